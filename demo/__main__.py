"""Runs the programs of the demo and prints one table: `make demo`, or `python -m demo [part of a name]`."""

import os
import sys

THREADS = int(os.environ.get("EINFALL_THREADS", "2"))
for variable in ("EINFALL_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(THREADS)  # the libraries read them when they are imported

import torch  # noqa: E402
from rich.box import SIMPLE_HEAD  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from demo import (  # noqa: E402
    bandwidth,
    bilateral,
    digits,
    induction,
    mistyped,
    pages,
    palette,
    smoothing,
    spelling,
    vocabulary,
)
from demo.comparison import PEERS, Outcome, compare  # noqa: E402

PROGRAMS = [module.PROGRAM for module in (
    digits, bandwidth, bilateral, palette, spelling, mistyped, smoothing, induction, pages, vocabulary)]


def table(outcomes: list[Outcome]) -> Table:
    """What was found, a line a program; 80 columns hold it."""
    made = Table(title=f"medians of interleaved runs in one process, {THREADS} threads each", box=SIMPLE_HEAD,
                 pad_edge=False, collapse_padding=True)
    made.add_column("program\ndata", no_wrap=True)
    for name in ("einfall\nms", "NumPy\nms", "torch\nms", "times\nfaster", "first\ncall s", "error"):
        made.add_column(name, justify="right", no_wrap=True)
    for program, times_s, first_s, distance, _, _, _ in outcomes:
        faster = min(times_s["NumPy"], times_s["torch"]) / times_s["einfall"]
        made.add_row(f"[bold]{program.name}[/bold]\n{program.data}",
                     *(f"{times_s[name] * 1e3:.1f}" for name in times_s),
                     f"[{'green' if faster >= 1 else 'red'}]{faster:.2f}[/]", f"{first_s:.2f}",
                     f"{distance:.0e}" if distance else "0")
    return made


def main() -> int:
    """Every program, or those whose name holds a word of the command line."""
    torch.set_num_threads(THREADS)
    console = Console()
    wanted = [program for program in PROGRAMS
              if not sys.argv[1:] or any(word in program.name for word in sys.argv[1:])]
    if not wanted:
        console.print(f"no program of that name; there are {', '.join(program.name for program in PROGRAMS)}")
        return 1
    outcomes = []
    for number, program in enumerate(wanted, 1):
        with console.status(program.name) as status:
            found = compare(program, lambda what, status=status, name=program.name: status.update(f"{name}: {what}"))
        outcomes.append(found)
        console.print(f"{number}/{len(wanted)} [bold]{program.name}[/bold]: {found.seen}", soft_wrap=True)
    console.print(table(outcomes))
    console.print("times faster than the better of NumPy and torch; below 1, in red, a library is faster.\n"
                  "first call: tracing and compiling included. error: the largest difference from the\n"
                  "float64 reference as a share of the largest value; one that rounding does not explain, or\n"
                  f"a peer further away than {PEERS:g}, stops the demo.", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

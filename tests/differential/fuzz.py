"""Random programs at every height: `python -m tests.differential.fuzz FIRST END` prints disagreements and the reach.

A disagreement is printed with its seed and its source; the exit status is 1 if there was one.
"""

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from rich.progress import Progress

from einfall.instruments.generate import generate, reached
from tests.differential.heights import assert_agrees_at_every_height


def trial(seed: int) -> tuple[Counter, str]:
    """What a program reaches, and what went wrong with it."""
    program = generate(seed)
    found = reached(program.kernel.trace(*program.arguments).cascade, program.arguments)
    try:
        assert_agrees_at_every_height(program.kernel, program.arguments)
    except Exception as failure:
        return found, f"seed {seed}: {type(failure).__name__}: {failure}\n{program.source}"
    return found, ""


def main(first: int, end: int) -> int:
    """Tries the programs of the seeds; the number that disagree."""
    begin, found, failures = time.monotonic(), Counter(), 0
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool, Progress(transient=True) as progress:
        for reach, failure in progress.track(pool.map(trial, range(first, end), chunksize=4), total=end - first):
            found += reach
            if failure:
                failures += 1
                print(failure, flush=True)
    print("\n".join(f"{name:28} {count:7}" for name, count in sorted(found.items())))
    print(f"seeds {first}..{end - 1}: {end - first - failures} agree at every height, {failures} do not, "
          f"{time.monotonic() - begin:.0f} s")
    return failures


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))

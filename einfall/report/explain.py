"""What a kernel does and how long it takes, against what the machine allows: as data, and as text."""

import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from einfall.base.node import postorder
from einfall.measure.timing import Timing
from einfall.pipeline import Compiled
from einfall.plan.cost import Cost, Prediction, predict, quantity
from einfall.plan.machine import Machine
from einfall.plan.work import BREAK_EVEN, operations
from einfall.scalar.dtypes import DTYPES
from einfall.scalar.memory import Loop
from einfall.scalar.nodes import Expr, Map
from einfall.scalar.run import evaluate
from einfall.target.llvm.operators import library_functions

__all__ = ["CallData", "Explanation", "KernelLine", "explanation", "predicted"]

WIDTH = 100
FAR = 2.0  # a prediction that is off by more is said to be off
UNEVEN = 1.5  # a median that is longer than the fastest call by more says that the calls were disturbed


class CallData(NamedTuple):
    """What is known of a call besides its program."""

    arguments: str
    sizes: Mapping[str, tuple[int, ...]]
    units: frozenset[tuple[str, int]]
    small: frozenset[tuple[str, int, int]]
    fixed: Mapping[tuple[str, int], int]  # sizes that Python code looked at: (input, axis) -> size
    entry_s: float  # to take the arguments apart
    told: tuple[str, ...] = ()  # how operands in a format are read, and why recurrences are not in chunks


class KernelLine(NamedTuple):
    """One tile program."""

    name: str
    grid: tuple[int, ...]
    in_lanes: tuple[str, ...]
    threads: int
    operations: float
    special_functions: float
    bytes: float
    predicted_s: float
    binds: str


class Explanation(NamedTuple):
    """The report of a kernel for arguments like those given; `str` makes it a page."""

    title: str
    arguments: str
    derivation: str
    kernels: tuple[KernelLine, ...]
    idle: int  # tile programs with nothing to do at these sizes: the rests of loops
    machine: Machine
    operations: float
    special_functions: float
    least_bytes: float
    predicted_s: float
    measured: Timing | None  # None where nothing was called
    limit_s: float
    formula: str
    binds: str
    notes: tuple[str, ...]

    @property
    def share(self) -> float:
        """The part of the time, measured if it was, that the limit would take."""
        return self.limit_s / (self.measured.median_s if self.measured else self.predicted_s)

    def __str__(self):
        return "\n".join(line.rstrip() for line in _page(self))


def predicted(compiled: Compiled, call: CallData, machine: Machine) -> Prediction:
    """The cost of a compiled cascade for the sizes of a call."""
    def has_vector_code(op: str, type: str) -> bool:
        return not library_functions(op, DTYPES[type])

    return predict(compiled.tiles, compiled.nest.inputs, compiled.nest.outputs, _size_of(call), machine,
                   lambda name, axis: (name, axis) in call.units, has_vector_code)


def explanation(name: str, compiled: Compiled, checks: tuple[tuple[str, Compiled], ...], call: CallData,
                machine: Machine, measured: Timing | None, derivation: str = "") -> Explanation:
    """The report; nothing is run or measured here.

    measured: how long a call takes, None for a report of predictions;
    checks: what is looked at before each call, "indices", "assumptions" or "gates", and by which program;
    derivation: how the program was derived, if it was.
    """
    size = _size_of(call)
    cost = predicted(compiled, call, machine)
    before = tuple(cost for _, program in checks for cost in predicted(program, call, machine).costs)
    busy = [one for one in (*before, *cost.costs) if not one.is_idle]
    expected_s = call.entry_s + sum(one.seconds for one in (*before, *cost.costs))
    binds = max(busy, key=lambda one: one.seconds).binds if busy else "calls"
    kernels = tuple(KernelLine(
        one.program.name, tuple(size(axis.extent) for axis in one.program.grid), _lanes(one), one.threads,
        one.work.operations, one.work.specials, one.bytes, one.seconds, one.binds) for one in busy)
    notes = tuple(_notes(compiled, {kind for kind, _ in checks}, call, machine, cost, measured, expected_s))
    return Explanation(name, call.arguments, derivation, kernels,
                       len(before) + len(cost.costs) - len(busy), machine,
                       sum(one.work.operations for one in cost.costs), sum(one.work.specials for one in cost.costs),
                       cost.least_bytes, expected_s, measured, cost.limit.seconds, cost.limit.formula,
                       "calls" if call.entry_s > expected_s / 2 else binds, notes)


def _size_of(call: CallData):
    def size(expr: Expr) -> int:
        return int(evaluate(expr, lambda leaf: np.asarray(call.sizes[leaf.input][leaf.axis], np.int64)))

    return size


def _lanes(one: Cost) -> tuple[str, ...]:
    """The vector loops; those for the rests of others only where there is nothing else."""
    names = [node.variable.name for node in postorder(*one.program.body)
             if isinstance(node, Loop) and node.kind == "vector"]
    return tuple(name for name in names if "_rest" not in name) or tuple(names)


# Notes

def _notes(compiled: Compiled, checked: set[str], call: CallData, machine: Machine, cost: Prediction,
           measured: Timing | None, expected_s: float) -> Iterator[str]:
    """What a user would want to know, each where it is true."""
    used = {(node.op.name, node.args[0].dtype) for node in postorder(*compiled.tiles)
            if isinstance(node, Map) and node.args[0].dtype.is_float and not node.is_weak}
    by_type: dict[str, set[str]] = {}
    for op, dtype in used:
        if library_functions(op, dtype):
            by_type.setdefault(dtype.name, set()).add(op)
    for type, names in sorted(by_type.items()):
        yield (f"{', '.join(sorted(names))} of {type}: there is no vector code, libm is called for each element")
    yield from call.told
    if "assumptions" in checked:
        yield "assumptions are checked at run time: before each call a program looks for where one does not hold"
    if "indices" in checked:
        yield "indices are checked at run time: before each call a program looks for one outside its axis"
    if "gates" in checked:
        yield "gates are looked at before each call: with one above 1 in size no recurrence is taken in chunks"
    if call.fixed:
        shown = ", ".join(f"axis {axis} of {name} = {value}" for (name, axis), value in sorted(call.fixed.items()))
        yield f"Python code looked at a size, so another program is traced when it changes: {shown}"
    inputs = {item.name for program in compiled.tiles for item in program.inputs}
    small = {name for name, *_ in call.small} & inputs
    if small:
        shown = ", ".join(f"{name}[{', '.join(_small_or_any(call, name))}]" for name in call.sizes if name in small)
        yield f"small extents are constants of the machine code: {shown}"
    for name in dict.fromkeys(copy.buffer for copy in compiled.copies if compiled.is_staged):
        yield f"{name} is copied before it is used, in the order in which many iterations read it"
    yield from _about_threads(cost, call, machine)
    if not machine.is_measured:
        yield "the numbers of the machine are estimates: it was not measured, or other programs were at work"
    if measured is None:
        return
    if measured.median_s > UNEVEN * measured.fastest_s:
        yield (f"the calls differ, the fastest took {seconds(measured.fastest_s)}: other programs were at work, or "
               "memory was provided anew")
    if expected_s and not 1 / FAR <= measured.median_s / expected_s <= FAR:
        yield f"the prediction is off: a call takes {measured.median_s / expected_s:.2g} times as long"


def _small_or_any(call: CallData, name: str) -> Iterator[str]:
    """The extents of an array; a colon where machine code takes any."""
    for axis, extent in enumerate(call.sizes[name]):
        yield str(extent) if (name, axis, extent) in call.small else ":"


def _about_threads(cost: Prediction, call: CallData, machine: Machine) -> Iterator[str]:
    for one in cost.costs:
        if one.is_idle or one.threads > 1 or machine.threads == 1:
            continue
        done = operations(one.program, _size_of(call))
        if done < BREAK_EVEN:
            why = (f"{quantity(done, '')} operators and accesses are fewer than {quantity(BREAK_EVEN, '')}, "
                   "below which waking another thread costs more than it saves")
        else:
            why = "it is one instance: its outermost loop carries a value, or is short"
        yield f"{one.program.name} runs on one thread: {why}"


# Text

def _page(report: Explanation) -> Iterator[str]:
    yield from _wrapped(f"{report.title}({report.arguments})", "", "    ")
    if report.derivation:
        yield ""
        yield "derivation"
        for line in report.derivation.splitlines():
            yield from _wrapped(line, "  ", "      ")
    yield ""
    yield "kernels"
    yield from _table(report.kernels)
    if report.idle:
        yield f"  {report.idle} more with nothing to do at these sizes"
    yield ""
    yield "time"
    machine = report.machine
    yield from _wrapped(f"predicted  {seconds(report.predicted_s):>8}  on {machine.name}, "
                        f"{machine.threads} thread{'s' * (machine.threads != 1)}", "  ", " " * 23)
    if report.measured:
        calls = report.measured.calls
        yield f"  measured   {seconds(report.measured.median_s):>8}  median of {calls} warm call{'s' * (calls != 1)}"
    yield from _wrapped(f"limit      {seconds(report.limit_s):>8}  {report.formula}", "  ", " " * 23)
    yield f"  share      {100 * report.share:>6.0f} %  of the limit"
    yield f"  binds      {report.binds}"
    if report.notes:
        yield ""
        yield "notes"
        for note in report.notes:
            yield from _wrapped(note, "  - ", "    ")


def _wrapped(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, drop_whitespace=True) or [""]


def _table(kernels: tuple[KernelLine, ...]) -> Iterator[str]:
    """One line a tile program, the longest texts cut so that it fits."""
    rows = [("program", "grid", "in lanes", "threads", "operations", "functions", "bytes", "predicted")]
    for one in kernels:
        rows.append((_cut(one.name, 18), _cut(" x ".join(map(str, one.grid)) or "1", 16),
                     _cut(" ".join(one.in_lanes) or "none", 14), str(one.threads), quantity(one.operations, ""),
                     quantity(one.special_functions, "") if one.special_functions else "0", quantity(one.bytes, "B"),
                     seconds(one.predicted_s)))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    widths[2] -= min(max(2 * len(widths) + sum(widths) - WIDTH, 0), widths[2] - len("in lanes"))
    for row in rows:
        cells = [_cut(cell, width).ljust(width) if place < 3 else cell.rjust(width)
                 for place, (cell, width) in enumerate(zip(row, widths))]
        yield "  " + "  ".join(cells)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[:width - 2] + ".."


def seconds(value: float) -> str:
    """Three digits and a unit: 25.9 ms."""
    if not math.isfinite(value):
        return "never"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= scale * 0.9995:
            number = value / scale
            return f"{number:.{max(0, 2 - math.floor(math.log10(number) + 2e-4))}f} {unit}"
    return f"{value * 1e9:.0f} ns"

"""How much a tile program does for given sizes: each operator, load and store with the loops that it runs in.

All counting is here: the launch asks for the sum, the cost model for each kind.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from einfall.base.node import children, postorder
from einfall.cascade.explicit import COSTLY
from einfall.scalar.memory import Load, Loop, Size, Statement, Store, Variable, depends_on_sizes_only
from einfall.scalar.monoids import combined
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.run import evaluate
from einfall.tile.nodes import Axis, Program

__all__ = ["BREAK_EVEN", "Block", "Site", "Work", "blocks", "instances", "is_special", "lengths", "operations", "sites",
           "threads_for", "work"]

BREAK_EVEN = 1_000_000  # operations below which waking another thread costs more than it saves


class Block(NamedTuple):
    """A statement that is performed in every step of the loops around it: a store, or what a loop carries."""

    around: tuple[Axis | Loop, ...]  # outermost first; for carried values their own loop is the last
    statement: Store | Loop


class Site(NamedTuple):
    """An operator, load or store, with the loops in whose steps it is needed: those outside of which it can stand."""

    node: Map | Select | Load | Store
    around: tuple[Axis | Loop, ...]
    block: Block


class Work(NamedTuple):
    """Counts over all instances."""

    arithmetic: dict[int, float]  # bits of the numbers: additions, multiplications, comparisons, selections
    special: dict[tuple[str, str], float]  # (operator, type): special functions
    loads: float
    stores: float

    @property
    def operations(self) -> float:
        """Arithmetic of every width."""
        return sum(self.arithmetic.values())

    @property
    def specials(self) -> float:
        """Special functions of every kind."""
        return sum(self.special.values())


def instances(program: Program, size: Callable[[Expr], int]) -> int:
    """How many instances the grid has."""
    return math.prod(size(axis.extent) for axis in program.grid)


def operations(program: Program, size: Callable[[Expr], int]) -> float:
    """Operators, accesses and combinations of all instances as they are written; what the launch weighs."""
    steps = lengths(program, size)
    return sum(count * math.prod(steps[variable] for variable in around) for around, count in _weights(program))


def lengths(program: Program, size: Callable[[Expr], int], *, at_end: bool = False) -> dict[Variable, int]:
    """How many steps each loop has, by its index. Where that depends on another index, the middle one counts (the last
    one for `at_end`); where it depends on data, as many as there may be."""
    found = {axis.variable: size(axis.extent) for axis in program.grid}
    where = {variable: max(length - 1, 0) if at_end else length // 2 for variable, length in found.items()}

    def block(statements: Sequence[Statement]) -> None:
        for loop in statements:
            if isinstance(loop, Loop):
                is_known = depends_on_sizes_only(loop.extent)
                found[loop.variable] = size(loop.extent) if is_known else _typical(loop.extent, where, size)
                where[loop.variable] = max(found[loop.variable] - 1, 0) if at_end else found[loop.variable] // 2
                block(loop.body)

    block(program.body)
    return found


def _typical(extent: Expr, where: dict[Variable, int], size: Callable[[Expr], int]) -> int:
    length = _most(extent, where, size)
    return 1 if length is None or length < 0 else length


def _most(expr: Expr, where: dict[Variable, int], size: Callable[[Expr], int]) -> int | None:
    """The value of a length; None where only data tell. A minimum is at most what is known of it."""
    if isinstance(expr, Size):
        return size(expr)
    if isinstance(expr, Const):
        return int(expr.value)
    if not isinstance(expr, Map | Cast | Select):
        return where.get(expr)
    found = [_most(arg, where, size) for arg in expr.below]
    known = [value for value in found if value is not None]
    if isinstance(expr, Map) and expr.op.name == "minimum" and known:
        return min(known)
    if len(known) < len(found):
        return None
    values = dict(zip(expr.below, known))
    made = evaluate(expr, lambda leaf: None, {arg: np.asarray(values[arg], arg.dtype.numpy) for arg in expr.below})
    return int(made)


def _weights(program: Program) -> tuple[tuple[tuple[Variable, ...], float], ...]:
    """What a step of the same loops does, with their indices."""
    found: dict[tuple[Variable, ...], float] = {}
    for around, statement in blocks(program):
        match statement:
            case Store(value=value):
                here = 1 + _written(value)
            case Loop(carried=carried):
                here = len(carried) + _written(*(item.update for item in carried))
        loops = tuple(loop.variable for loop in around)
        found[loops] = found.get(loops, 0.0) + here
    return tuple(found.items())


def _written(*exprs: Expr) -> int:
    return sum(isinstance(node, Map | Load) for node in postorder(*exprs))


def threads_for(operations: float, instances: int, threads: int) -> int:
    """How many of the threads a launch uses."""
    return max(1, min(threads, instances)) if operations >= BREAK_EVEN else 1


def blocks(program: Program) -> Iterator[Block]:
    """The stores and the carrying loops of a program, in order."""
    yield from _blocks(program.body, program.grid)


def _blocks(statements: Sequence[Statement], around: tuple) -> Iterator[Block]:
    for statement in statements:
        match statement:
            case Store():
                yield Block(around, statement)
            case Loop(body=body, carried=carried):
                inside = (*around, statement)
                yield from _blocks(body, inside)
                if carried:
                    yield Block(inside, statement)


def sites(program: Program) -> Iterator[Site]:
    """Everything that a program performs but arithmetic of indices; what a statement writes twice it performs once."""
    depths: dict[Expr, int] = {}
    for block in blocks(program):
        around, statement = block
        for depth, loop in enumerate(around, 1):
            depths[loop.variable] = depth
            depths.update((item.value, depth) for item in getattr(loop, "carried", ()))
        if isinstance(statement, Store):
            roots, indices = (statement.value,), statement.indices
            yield Site(statement, around, block)
        else:
            roots, indices = _combined(statement), ()
        values, stays = _values(roots), set()
        for node in postorder(*roots, *indices):
            # memory that the program writes may differ in every step, so what is read there stays where it is
            if (isinstance(node, Load) and node.buffer not in program.inputs) or not stays.isdisjoint(children(node)):
                stays.add(node)
            if isinstance(node, Load) or (isinstance(node, Map | Select) and node in values):
                depth = len(around) if node in stays else max((depths.get(item, 0) for item in node.free), default=0)
                yield Site(node, around[:depth], block)
        if isinstance(statement, Loop):  # after its loop a value stands in the loops around
            depths.update((item.value, len(around) - 1) for item in statement.carried)


def _combined(loop: Loop) -> tuple[Expr, ...]:
    """What a step of a carrying loop computes: the elements, brought together with the values."""
    updates = tuple(item.update for item in loop.carried)
    if loop.monoid is None:
        return updates
    return combined(loop.monoid, tuple(item.value for item in loop.carried), updates)


def _values(roots: Sequence[Expr]) -> set[Expr]:
    """The expressions below, without those that say where a load goes."""
    found, stack = set(), list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            if not isinstance(node, Load):
                stack += [child for child in children(node) if isinstance(child, Expr)]
    return found


def work(program: Program, size: Callable[[Expr], int]) -> Work:
    """The counts of a program. What a loop does not change is counted outside of it, and what depends on indices and
    sizes only is not counted."""
    arithmetic: dict[int, float] = {}
    special: dict[tuple[str, str], float] = {}
    loads = stores = 0.0
    steps = lengths(program, size)
    for node, around, _ in sites(program):
        times = math.prod(steps[loop.variable] for loop in around)
        match node:
            case Store():
                stores += times
            case Load():
                loads += times
            case _ if node.is_weak:
                continue
            case Map() if is_special(node):
                key = node.op.name, node.args[0].dtype.name
                special[key] = special.get(key, 0.0) + times
            case _:
                bits = (node.args[0] if isinstance(node, Map) else node).dtype.bits
                arithmetic[bits] = arithmetic.get(bits, 0.0) + times
    return Work(arithmetic, special, loads, stores)


def is_special(node: Expr) -> bool:
    """Whether it is a special function of a float."""
    return isinstance(node, Map) and node.op.name in COSTLY and node.args[0].dtype.is_float

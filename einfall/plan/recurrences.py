"""Which recurrences are taken in chunks, and of how many steps, for given sizes.

Counted in multiply-adds of a product in lanes, which is what chunks consist of; what everything else costs in such is
measured, and the same for every call: a choice by what a machine was measured to do would give other bits on other
days. Step by step, each element of the state passes through the nearest caches in every step. In chunks of n steps a
state is written and read once a chunk, and each step meets half of the n before it, over keys and over values.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from einfall.base.node import Node
from einfall.cascade.nodes import Rank
from einfall.derive.recurrences import Recurrence
from einfall.scalar.nodes import Expr

__all__ = ["Chunks", "Sizes", "in_chunks"]

CHUNKS = (16, 32, 64, 128)
FEWEST = 4  # chunks: fewer leave nothing that was sequential
KINDS = ("none", "scalar")  # of gates, for which chunks were measured to be faster; feedback is solved row by row
GAIN = 1.3  # how much less chunks have to count: the count is off by a tenth, and they take memory and compile longer
LANES_BYTES = 256  # of a row of values that fills the registers of a product

# Multiply-adds that take as long.
STEP = 3.6  # an element of the state in one step: two of them, and a passage through the nearest cache
OWN_STEP = 4.5  # the same where the state has the values as axes
ROW = 50.0  # a value in one step where values are free ranks: what begins and ends for its row of the state
STATE_BYTE = 3.0  # a byte of a state that is stored
WIDE = 1.1  # of numbers that are twice as wide, beside being twice as many bytes: half of them lie in a cache
PROGRAMS = 1e6  # the programs that there are more


class Sizes(NamedTuple):
    """What a recurrence is for a call: steps, keys, values, the longest axis of these, and how many there are of it."""

    steps: int
    keys: int
    values: int
    row: int
    batch: int


class Chunks(NamedTuple):
    """A recurrence that is taken in chunks of so many steps."""

    recurrence: Recurrence
    size: int


def in_chunks(found: Sequence[Recurrence], size: Callable[[Expr], int], free: Mapping[tuple[Node, Node], set[Expr]]
              ) -> tuple[Chunks, ...]:
    """Those that are worth it, in the order in which they are rewritten: what depends on others is before these.

    size: the value of an extent; free: the extents of the free ranks of nodes.
    """
    chosen: dict[tuple, int] = {}
    for one in found:
        if one.form == "chunks" and one.readouts:
            best = _best(one, _sizes(one, size, free))
            if best is not None:
                chosen[_essence(one)] = best
    groups: dict[tuple, list[Recurrence]] = {}
    for one in found:
        if one.form == "chunks" and _essence(one) in chosen:
            groups.setdefault(_essence(one), []).append(one)
    # the last state of a recurrence follows from those at starts of chunks, which its histories have stored before
    return tuple(Chunks(one, chosen[essence]) for essence, members in reversed(groups.items())
                 for one in sorted(members, key=lambda one: one.scan.last))


def _essence(one: Recurrence) -> tuple:
    """What is the same for the history of a recurrence and its last state."""
    scan = one.scan
    return (scan.rank, scan.extent, scan.reverse, scan.inits[one.place], one.keys, one.axes, one.gates, one.feedback,
            one.sources)


def _sizes(one: Recurrence, size: Callable[[Expr], int], free: Mapping[tuple[Node, Node], set[Expr]]) -> Sizes:
    """The sizes of a recurrence. An axis on which keys depend as well is one more of a batch."""
    of_keys = frozenset().union(*(item.k.free for item in one.sources), *(item.b.free for item in one.feedback),
                                *(read.q.free for readout in one.readouts for read in readout.reads))
    keys = values = row = batch = 1
    for axis, extent in zip(one.axes, one.extents):
        if axis in one.keys:
            keys *= size(extent)
        elif axis in of_keys:
            batch *= size(extent)
        else:
            values *= size(extent)
            row = max(row, size(extent))
    for rank in one.scan.free:
        if isinstance(rank, Rank) and rank not in one.axes:
            batch *= min(map(size, free.get((one.scan, rank), ())), default=1)
    return Sizes(size(one.scan.extent), keys, values, row, batch)


def _best(one: Recurrence, sizes: Sizes) -> int | None:
    """The size of chunks that is the fastest; None for step by step."""
    added = frozenset().union(*(factor.free for source in one.sources for factor in source))
    if one.feedback or one.kind not in KINDS or not (sizes.keys and sizes.values and sizes.batch) or any(
            isinstance(rank, Rank) and rank not in added for rank in one.scan.free):
        return None  # the products are the same for all coordinates of a rank that only gates have, and done for each
    bytes_each = one.dtype.bits // 8
    costs = {chunk: _chunks_cost(sizes, chunk, bytes_each) for chunk in CHUNKS if sizes.steps >= FEWEST * chunk}
    best = min(costs, key=costs.get, default=None)
    return best if best is not None and GAIN * costs[best] <= _steps_cost(one, sizes, bytes_each) else None


def _steps_cost(one: Recurrence, sizes: Sizes, bytes_each: int) -> float:
    """Step by step."""
    values = [axis for axis in one.axes if axis not in one.keys]
    is_own = all(axis in one.scan.axes[one.place] for axis in values)
    width = bytes_each / 4  # registers hold half as many numbers that are twice as wide
    row = 0.0 if is_own else ROW
    return sizes.batch * sizes.steps * sizes.values * (sizes.keys * (OWN_STEP if is_own else STEP) + row) * width


def _chunks_cost(sizes: Sizes, chunk: int, bytes_each: int) -> float:
    """In chunks of so many steps."""
    state = sizes.keys * sizes.values
    lanes = LANES_BYTES // bytes_each
    products = (2 * state + chunk * (sizes.keys + sizes.values)) * (-(-sizes.row // lanes) * lanes / sizes.row)
    width = bytes_each / 4 * (WIDE if bytes_each > 4 else 1.0)
    stored = 2 * 4 * state / chunk * STATE_BYTE
    return sizes.batch * sizes.steps * (products + stored) * width + PROGRAMS

"""Which recurrences are taken in chunks, and of how many steps, for given sizes.

Counted in multiply-adds of a product in lanes, which is what chunks consist of; what everything else costs in such is
measured, and the same for every call: a choice by what a machine was measured to do would give other bits on other
days. Step by step, each element of the state passes through the nearest caches in every step. In chunks of n steps a
state is written and read once a chunk, and each step meets half of the n before it, over keys and over values.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from einfall.base.node import Node, postorder
from einfall.cascade.explicit import COSTLY
from einfall.cascade.nodes import Rank
from einfall.derive.recurrences import Recurrence
from einfall.scalar.nodes import Expr, Map

__all__ = ["Chunks", "Sizes", "in_chunks"]

CHUNKS = (16, 32, 64, 128)
FEWEST = 4  # chunks: fewer leave nothing that was sequential
KEYS = 32  # of their own gates: with fewer, rows of values were measured to take several times as long as counted
GAIN = 1.2  # how much faster chunks have to be: the count is off by a tenth, and they take memory
LANES_BYTES = 256  # of a row of values that fills the registers of a product

# Multiply-adds that take as long.
STEP = 3.6  # an element of the state in one step: two of them, and a passage through the nearest cache
OWN_STEP = 4.5  # the same where the state has the values as axes
OWN_SPECIAL = 3.6  # more where the gate calls a function: rows of the state do not share registers then
SPECIAL = 21.0  # a function of keys, called for each register of values where these are free ranks
ROW = 50.0  # a value in one step where values are free ranks: what begins and ends for its row of the state
STATE_BYTE = 3.0  # a byte of a state that is stored
KEY, KEY_AND_ROW = 110.0, 5.5  # a key in one step whose gate is its own: blocks are cut in halves, and multiplied
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
    if one.feedback or one.kind == "value-wise":
        return None  # neither has been measured to be faster: the triangular system is solved row by row
    if not (sizes.keys and sizes.values and sizes.batch) or (one.kind == "key-wise" and sizes.keys < KEYS):
        return None
    bytes_each = one.dtype.bits // 8
    costs = {chunk: _chunks_cost(one.kind, sizes, chunk, bytes_each) for chunk in CHUNKS
             if sizes.steps >= FEWEST * chunk}
    best = min(costs, key=costs.get, default=None)
    return best if best is not None and GAIN * costs[best] <= _steps_cost(one, sizes, bytes_each) else None


def _steps_cost(one: Recurrence, sizes: Sizes, bytes_each: int) -> float:
    """Step by step."""
    values = [axis for axis in one.axes if axis not in one.keys]
    is_own = all(axis in one.scan.axes[one.place] for axis in values)
    element = OWN_STEP if is_own else STEP
    if any(isinstance(node, Map) and node.op.name in COSTLY for node in postorder(*one.gates)):
        element += OWN_SPECIAL if is_own else SPECIAL if one.kind == "key-wise" else 0.0
    width = bytes_each / 4  # registers hold half as many numbers that are twice as wide
    row = 0.0 if is_own else ROW
    return sizes.batch * sizes.steps * sizes.values * (sizes.keys * element + row) * width


def _chunks_cost(kind: str, sizes: Sizes, chunk: int, bytes_each: int) -> float:
    """In chunks of so many steps."""
    state = sizes.keys * sizes.values
    lanes = LANES_BYTES // bytes_each
    products = (2 * state + chunk * (sizes.keys + sizes.values)) * (-(-sizes.row // lanes) * lanes / sizes.row)
    width = bytes_each / 4 * (WIDE if bytes_each > 4 else 1.0)
    halves = sizes.keys * (KEY + KEY_AND_ROW * chunk) if kind == "key-wise" else 0.0
    stored = 2 * 4 * state / chunk * STATE_BYTE
    return sizes.batch * sizes.steps * (products + halves + stored) * width + PROGRAMS

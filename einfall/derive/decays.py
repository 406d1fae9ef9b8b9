"""Products of gates within a chunk: each is made of the gates themselves, never of logarithms or quotients.

So a gate of 0, below 0 or NaN needs no case of its own. `row` is the rank of the steps of a chunk; a product that does
not depend on an axis of the state does not have it.
"""

from collections.abc import Callable

from einfall.cascade.nodes import Access, History, Index, Label, Rank, Scan, State
from einfall.cascade.scope import carried
from einfall.scalar.dtypes import I64
from einfall.scalar.nodes import Const, Expr, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["Decays", "compare", "integer", "minus", "plus"]


def integer(value: int) -> Const:
    return Const(value, I64)


def compare(name: str, left: Expr, right: Expr) -> Expr:
    return Map(OPS[name], (left, right))


def plus(left: Expr, right: Expr | int) -> Expr:
    return Map(OPS["add"], (left, integer(right) if isinstance(right, int) else right))


def minus(left: Expr, right: Expr) -> Expr:
    return Map(OPS["subtract"], (left, right))


class Decays:
    """The products of the gates of one chunk.

    gate: at a row, 1 beyond the last step; axes, extents: the axes of the state that it depends on; size: of a chunk.
    """

    def __init__(self, gate: Expr, row: Rank, column: Rank, axes: tuple[Rank, ...], extents: tuple[Expr, ...],
                 size: int):
        self.gate, self.row, self.column, self.axes, self.extents, self.size = gate, row, column, axes, extents, size

    def since(self, block: int, row: Expr, *, strict: bool) -> Expr:
        """The product from the first step of the block of `row` to `row`, without that of `row` itself if strict."""
        label = Label("since")
        now = self.state(label, self.axes)
        grown = self.times(now, self.gate)
        if strict:  # read before each step: the last of a block leaves 1 for the next
            step = self.renewed(plus(Index(self.row), 1), block, grown, const(1, now.dtype))
        else:
            step = self.renewed(Index(self.row), block, grown, self.gate)
        return self.read(self.scan(label, self.axes, self.extents, step, exclusive=strict), row)

    def until(self, block: int, row: Expr) -> Expr:
        """The product of the gates behind `row` to the end of its block."""
        label = Label("until")
        now = self.state(label, self.axes)
        step = self.renewed(Index(self.row), block, self.times(now, self.gate), const(1, now.dtype))
        scan = self.scan(label, self.axes, self.extents, step, exclusive=True, reverse=True)
        return self.read(scan, row)

    def whole(self) -> Expr:
        """The product of all gates of the chunk."""
        return self.since(self.size, integer(self.size - 1), strict=False)

    def between(self, row: Expr, column: Expr, *, strict: bool) -> Expr:
        """The product of the gates behind `column` to `row`, for columns before (or at, unless strict) that row."""
        label = Label("mask")
        axes, extents = (self.column, *self.axes), (integer(self.size), *self.extents)
        now = self.state(label, axes)
        is_behind = compare("less", Index(self.column), Index(self.row))
        step = Select(is_behind, self.times(now, self.gate), const(1, now.dtype))
        row = minus(row, integer(1)) if strict else row
        scan = self.scan(label, axes, extents, step)
        return Access(History(scan, 0), (row, column, *map(Index, self.axes)), None)

    def back(self, rank: Rank, extent: int, gate_back: Callable[[Expr], Expr], label: Label, *, strict: bool) -> Scan:
        """The products of the gates of so many steps back from the row, its own first; from the step before it if
        strict (then 1 stands at 0 as well as at 1 step back)."""
        grown = self.times(self.state(label, self.axes), gate_back(Index(rank)))
        one = const(1, self.gate.dtype)
        step = Select(compare("equal", Index(rank), integer(0)), one, grown) if strict else grown
        return carried(Scan(rank, integer(extent), label, (self.axes,), (self.extents,), (one,), (step,), True, False,
                            False))

    def state(self, label: Label, axes: tuple[Rank, ...]) -> Expr:
        return Access(State(label, 0, self.gate.dtype, len(axes), ()), tuple(map(Index, axes)), None)

    def times(self, left: Expr, right: Expr) -> Expr:
        return Map(OPS["multiply"], (left, right))

    def renewed(self, row: Expr, block: int, grown: Expr, first: Expr) -> Expr:
        """A state that begins anew at the rows that are multiples of the block."""
        if block >= self.size:
            return grown
        begins = compare("equal", Map(OPS["remainder"], (row, integer(block))), integer(0))
        return Select(begins, first, grown)

    def scan(self, label: Label, axes: tuple[Rank, ...], extents: tuple[Expr, ...], step: Expr, *,
             exclusive: bool = False, reverse: bool = False) -> Scan:
        one = const(1, self.gate.dtype)
        return carried(Scan(self.row, integer(self.size), label, (axes,), (extents,), (one,), (step,), exclusive,
                            reverse, False))

    def read(self, scan: Scan, row: Expr) -> Expr:
        return Access(History(scan, 0), (row, *map(Index, self.axes)), None)

"""Products of gates within a chunk: each is made of the gates themselves, never of logarithms or quotients.

So a gate of 0, below 0 or NaN needs no case of its own. `row` is the rank of the steps of a chunk; a product that does
not depend on an axis of the state does not have it.
"""

from collections.abc import Callable, Iterable
from itertools import count

from einfall.cascade.nodes import Access, History, Index, Label, Rank, Scan, State
from einfall.cascade.scope import carried
from einfall.scalar.dtypes import I64
from einfall.scalar.nodes import Const, Expr, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["Decays", "Labels", "both", "compare", "integer", "minus", "plus"]


def integer(value: int) -> Const:
    return Const(value, I64)


def compare(name: str, left: Expr, right: Expr) -> Expr:
    return Map(OPS[name], (left, right))


def both(left: Expr, right: Expr) -> Expr:
    return Map(OPS["bitwise_and"], (left, right))


def plus(left: Expr, right: Expr | int) -> Expr:
    return Map(OPS["add"], (left, integer(right) if isinstance(right, int) else right))


def minus(left: Expr, right: Expr) -> Expr:
    return Map(OPS["subtract"], (left, right))


class Labels:
    """Gives scans labels: one for each, as proofs about accesses ask; scans that are the same stay the same."""

    def __init__(self, scans: Iterable[Scan]):
        self.scans = {scan.label: scan for scan in scans}

    def scan(self, name: str, build: Callable[[Label], Scan]) -> Scan:
        """What `build` makes of the first label of that name that is free, or that the same scan has."""
        for number in count(1):
            label = Label(name if number == 1 else f"{name}_{number}")
            scan = carried(build(label))
            if self.scans.setdefault(label, scan) is scan:
                return scan
        raise AssertionError

    def known(self, name: str, build: Callable[[Label], Scan]) -> Scan | None:
        """The scan that `build` makes of a label of that name, if there is one already."""
        for label in [label for label in self.scans if label.name == name or label.name.startswith(f"{name}_")]:
            if self.scans[label] is carried(build(label)):
                return self.scans[label]
        return None


class Decays:
    """The products of the gates of one chunk.

    gate: at a row, 1 beyond the last step; axes, extents: the axes of the state that it depends on; size: of a chunk.
    """

    def __init__(self, gate: Expr, row: Rank, column: Rank, axes: tuple[Rank, ...], extents: tuple[Expr, ...],
                 size: int, labels: Labels):
        self.gate, self.row, self.column, self.axes, self.extents, self.size = gate, row, column, axes, extents, size
        self.labels = labels

    def since(self, block: int, row: Expr, *, strict: bool) -> Expr:
        """The product from the first step of the block of `row` to `row`, without that of `row` itself if strict."""
        def build(label: Label) -> Scan:
            grown = self.times(self.state(label, self.axes), self.gate)
            if strict:  # read before each step: the last of a block leaves 1 for the next
                step = self.renewed(plus(Index(self.row), 1), block, grown, self.one)
            else:
                step = self.renewed(Index(self.row), block, grown, self.gate)
            return self.scan(label, self.axes, self.extents, step, exclusive=strict)

        return self.read(self.labels.scan("since", build), row)

    def until(self, block: int, row: Expr) -> Expr:
        """The product of the gates behind `row` to the end of its block."""
        def build(label: Label) -> Scan:
            grown = self.times(self.state(label, self.axes), self.gate)
            step = self.renewed(Index(self.row), block, grown, self.one)
            return self.scan(label, self.axes, self.extents, step, exclusive=True, reverse=True)

        return self.read(self.labels.scan("until", build), row)

    def whole(self) -> Expr:
        """The product of all gates of the chunk."""
        return self.since(self.size, integer(self.size - 1), strict=False)

    def between(self, *, strict: bool) -> Expr:
        """The product of the gates behind `column` to `row`, for columns before (or at, unless strict) that row.

        Read where it is made: a sum that reads it needs no memory for all axes.
        """
        return self.of_mask(Index(self.row), Index(self.column), exclusive=strict)

    def between_all(self, row: Expr, column: Expr, *, strict: bool) -> Expr:
        """The same at any rows and columns, from one and the same mask."""
        return self.of_mask(minus(row, integer(1)) if strict else row, column, exclusive=False)

    def of_mask(self, row: Expr, column: Expr, *, exclusive: bool) -> Expr:
        axes, extents = (self.column, *self.axes), (integer(self.size), *self.extents)

        def build(label: Label) -> Scan:
            grown = self.times(self.state(label, axes), self.gate)
            is_behind = compare("less", Index(self.column), Index(self.row))
            return self.scan(label, axes, extents, Select(is_behind, grown, self.one), exclusive=exclusive)

        return Access(History(self.labels.scan("mask", build), 0), (row, column, *map(Index, self.axes)), None)

    @property
    def one(self) -> Expr:
        return const(1, self.gate.dtype)

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
        return Scan(self.row, integer(self.size), label, (axes,), (extents,), (self.one,), (step,), exclusive, reverse,
                    False)

    def read(self, scan: Scan, row: Expr) -> Expr:
        return Access(History(scan, 0), (row, *map(Index, self.axes)), None)

"""Level kinds as records of what they can do: a format is one level for each axis, outermost first.

A level has positions. Under a position of the level above it (0 at the top) it has some of its own; each is the place
of one coordinate. What a level cannot do is None, and whoever needs that has to find another way.
"""

from collections.abc import Callable
from typing import NamedTuple

from einfall.scalar.dtypes import I64
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS

__all__ = ["Compressed", "Dense", "Level"]

Read = Callable[[str, Expr], Expr]  # an element of one of the level's arrays, as an i64


class Level(NamedTuple):
    """What a level kind has and can do.

    is_full: every coordinate has a position; is_ordered, is_unique: coordinates ascend, and occur once, under a parent;
    locate(parent, coordinate, extent): the position of a coordinate;
    between(read, parent): the first position under a parent, and that behind the last;
    coordinate(read, position): the coordinate at a position.
    """

    name: str
    arrays: tuple[str, ...]
    is_full: bool
    is_ordered: bool
    is_unique: bool
    locate: Callable[[Expr | None, Expr, Expr], Expr] | None
    between: Callable[[Read, Expr], tuple[Expr, Expr]] | None
    coordinate: Callable[[Read, Expr], Expr] | None

    def __repr__(self):
        return f"{self.name}()"


def _row_major(parent: Expr | None, coordinate: Expr, extent: Expr) -> Expr:
    if parent is None:
        return coordinate
    return Map(OPS["add"], (Map(OPS["multiply"], (parent, extent)), coordinate))


def _segment(read: Read, parent: Expr) -> tuple[Expr, Expr]:
    behind = Const(parent.value + 1, I64) if isinstance(parent, Const) else Map(OPS["add"], (parent, Const(1, I64)))
    return read("pos", parent), read("pos", behind)


def _listed(read: Read, position: Expr) -> Expr:
    return read("crd", position)


def Dense() -> Level:
    """Every coordinate has a position: no arrays, found by arithmetic."""
    return Level("Dense", (), True, True, True, _row_major, None, None)


def Compressed() -> Level:
    """Some coordinates have a position: `crd` holds them, ascending, `pos` where those of each parent begin."""
    return Level("Compressed", ("pos", "crd"), False, True, True, None, _segment, _listed)

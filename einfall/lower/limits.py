"""What conditions say of a loop: where it begins and ends."""

from collections.abc import Iterable
from typing import NamedTuple

from einfall.cascade.bounds import Bounds, bounds_of
from einfall.cascade.nodes import Rank, Reduce
from einfall.scalar.nodes import Const, Expr, Map

__all__ = ["Limits", "limits_of"]


class Limits(NamedTuple):
    """Where the loop over a rank begins and ends, and the conditions that say so."""

    bounds: tuple[Bounds, ...] = ()
    conditions: tuple[Expr, ...] = ()

    def length(self) -> Const | None:
        """The most steps between the limits, if that is a number."""
        lows = [low for one in self.bounds for low in one.lows]
        for high in (high for one in self.bounds for high in one.highs):
            match high:
                case Map(op, (low, Const() as length)) if op.name == "add" and low in lows:
                    return length
        return None

    def free(self) -> frozenset:
        """The ranks and labels that the limits depend on."""
        return frozenset().union(*(limit.free for one in self.bounds for limit in (*one.lows, *one.highs)))


def limits_of(conditions: Iterable[Expr], node: Reduce, shortest: int = 0) -> tuple[dict[Rank, Limits], list[Expr]]:
    """The limits that conditions put on the loops over the ranks of a reduction, each on the last that it knows, and
    the conditions that are left. A rank that has no more coordinates than `shortest` keeps its own."""
    extents = dict(zip(node.ranks, node.extents))
    found: dict[Rank, Limits] = dict.fromkeys(node.ranks, Limits())
    left = []
    for condition in conditions:
        innermost = [rank for rank in node.ranks if rank in condition.free][-1:]
        extent = extents[innermost[0]] if innermost else None
        bounds = bounds_of(condition, innermost[0], extent) if innermost else None
        if bounds is None or (isinstance(extent, Const) and extent.value <= shortest):
            left.append(condition)
        else:
            limits = found[innermost[0]]
            found[innermost[0]] = Limits((*limits.bounds, bounds), (*limits.conditions, condition))
    return found, left

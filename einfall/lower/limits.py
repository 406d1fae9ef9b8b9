"""What conditions say of a loop: where it begins and ends."""

from typing import NamedTuple

from einfall.cascade.bounds import Bounds
from einfall.scalar.nodes import Const, Expr, Map

__all__ = ["Limits"]


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

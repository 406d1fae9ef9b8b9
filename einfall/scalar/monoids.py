"""Monoids: how the elements of a reduction come together, as scalar expressions over two sides.

A monoid may have several components (argmax: a value and its index); elements, identity and result are tuples then.
"""

from einfall.base.node import Node, rewrite
from einfall.scalar.dtypes import I64, DType
from einfall.scalar.nodes import Const, Expr, Leaf, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["NAMED", "Monoid", "Side", "arg_extremum", "combined", "is_named", "named",
           "product"]

NOTHING = I64.highest  # the index that no element has: the identity of argmax


class Side(Leaf):
    """A component of the left or the right element that a monoid combines."""

    right: bool
    place: int
    type: DType

    def type_of(self):
        return self.type

    def weak(self):
        return False


class Monoid(Node):
    """`combine` brings two elements together, in order; `identity` is the element that changes nothing."""

    name: str
    identity: tuple[Const, ...]
    combine: tuple[Expr, ...]
    commutative: bool

    def derive(self):
        if [item.dtype for item in self.identity] != [item.dtype for item in self.combine]:
            raise TypeError(f"monoid {self.name}: identity and combine differ in type")

    @property
    def dtypes(self) -> tuple[DType, ...]:
        return tuple(item.dtype for item in self.identity)


def combined(monoid: Monoid, left: tuple[Expr, ...], right: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The expressions of a monoid with its two sides in place."""
    memo: dict[Node, Node] = {}  # what is put in place is not looked into: it may have sides of its own
    for place, dtype in enumerate(monoid.dtypes):
        memo |= {Side(False, place, dtype): left[place], Side(True, place, dtype): right[place]}
    return tuple(rewrite(item, None, memo) for item in monoid.combine)


NAMED = {  # name -> (operator, identity of a type, kinds of numbers)
    "sum": ("add", lambda dtype: 0, "if"),
    "prod": ("multiply", lambda dtype: 1, "if"),
    "max": ("maximum", lambda dtype: dtype.lowest, "ifb"),
    "min": ("minimum", lambda dtype: dtype.highest, "ifb"),
    "any": ("bitwise_or", lambda dtype: False, "b"),
    "all": ("bitwise_and", lambda dtype: True, "b"),
    "xor": ("bitwise_xor", lambda dtype: 0, "ib"),
    "or": ("bitwise_or", lambda dtype: 0, "ib"),
    "and": ("bitwise_and", lambda dtype: -1 if dtype.kind == "i" else dtype.highest, "ib"),
    "logsumexp": ("logaddexp", lambda dtype: dtype.lowest, "f"),
}


def named(name: str, dtype: DType) -> Monoid:
    """The monoid of the table for numbers of a type."""
    op, identity, kinds = NAMED[name]
    if dtype.letter not in kinds:
        raise TypeError(f"{name} of {dtype}")
    sides = (Side(False, 0, dtype), Side(True, 0, dtype))
    return Monoid(name, (const(identity(dtype), dtype),), (Map(OPS[op], sides),), True)


def product(monoids: tuple[Monoid, ...]) -> Monoid:
    """Several monoids side by side: an element has the components of each, one after the other."""
    identity, combine = [], []
    for monoid in monoids:
        offset = len(identity)
        sides = [tuple(Side(right, offset + place, dtype) for place, dtype in enumerate(monoid.dtypes))
                 for right in (False, True)]
        identity += monoid.identity
        combine += combined(monoid, *sides)
    name = "_".join(dict.fromkeys(monoid.name for monoid in monoids))
    return Monoid(f"{name}_x{len(monoids)}", tuple(identity), tuple(combine), all(item.commutative for item in monoids))


def is_named(monoid: Monoid) -> bool:
    """Whether the monoid is the one of the table with its name."""
    dtype = monoid.dtypes[0]
    return monoid.name in NAMED and dtype.letter in NAMED[monoid.name][2] and named(monoid.name, dtype) is monoid


def arg_extremum(name: str, dtype: DType, carried: tuple[DType, ...] = ()) -> Monoid:
    """argmax or argmin, (value, index): the first NaN wins, then the extremum, then the lower index.

    carried: the types of more components, that come along from the element that wins.
    """
    value_a, value_b = Side(False, 0, dtype), Side(True, 0, dtype)
    index_a, index_b = Side(False, 1, I64), Side(True, 1, I64)

    def both(x, y):
        return Map(OPS["bitwise_and"], (x, y))

    def either(x, y):
        return Map(OPS["bitwise_or"], (x, y))

    better = Map(OPS["greater" if name == "argmax" else "less"], (value_b, value_a))
    tied = Map(OPS["equal"], (value_a, value_b))
    if dtype.is_float:
        nan_a, nan_b = Map(OPS["isnan"], (value_a,)), Map(OPS["isnan"], (value_b,))
        better = either(both(nan_b, Map(OPS["invert"], (nan_a,))), better)
        tied = either(tied, both(nan_a, nan_b))
    take_b = either(better, both(tied, Map(OPS["less"], (index_b, index_a))))
    worst = dtype.lowest if name == "argmax" else dtype.highest
    more = [Select(take_b, Side(True, place, kind), Side(False, place, kind)) for place, kind in enumerate(carried, 2)]
    return Monoid(name if not carried else f"{name}_carrying",
                  (const(worst, dtype), Const(NOTHING, I64), *(const(0, kind) for kind in carried)),
                  (Select(take_b, value_b, value_a), Select(take_b, index_b, index_a), *more), True)



"""What is known of the size of a gate: products of gates of at most 1 in size stay that small, whatever they are.

Where the text does not prove it, a condition on each step says whether it holds. NaN is no danger: it is what the
state becomes as well.
"""

from functools import lru_cache

from einfall.cascade.nodes import Access, Domain, Input, Tensor
from einfall.derive.signs import is_nonnegative, is_nonpositive
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["guard_of", "is_at_most_one"]

REMEMBERED = 1024
BOUNDED = frozenset(("sigmoid", "tanh", "sin", "cos", "erf", "sign"))
SAME_SIZE = frozenset(("negative", "abs"))


@lru_cache(REMEMBERED)
def is_at_most_one(expr: Expr) -> bool:
    """Whether the absolute value is 1 or less wherever it is a number."""
    match expr:
        case Const(value, dtype):
            return dtype.is_float and abs(value) <= 1
        case Cast(arg, to):
            return arg.dtype.kind == "bool" or (to.is_float and arg.dtype.is_float and is_at_most_one(arg))
        case Select(_, yes, no):
            return is_at_most_one(yes) and is_at_most_one(no)
        case Access(Tensor(_, _, body), _, outside):
            return is_at_most_one(body) and (outside is None or is_at_most_one(outside))
        case Access(Input(domain=Domain(Const(low), _, Const(high))), _, None):
            return low >= -1 and high <= 1
        case Map(op, (left, right)) if op.name == "subtract":
            return all(is_nonnegative(item) and is_at_most_one(item) for item in (left, right))
        case Map(op, args):
            if op.name in ("exp", "exp2"):
                return is_nonpositive(args[0])
            if op.name in BOUNDED:
                return True
            if op.name == "minimum" and all(map(is_nonnegative, args)):
                return any(map(is_at_most_one, args))
            return op.name in (*SAME_SIZE, "multiply", "minimum", "maximum") and all(map(is_at_most_one, args))
    return False


def guard_of(gates: tuple[Expr, ...]) -> Expr | None:
    """Where a product of gates is safe: its size is not above 1; None where that is known.

    The product of factors of which each is at most 1 is; for others it is the whole product that counts.
    """
    if all(map(is_at_most_one, gates)):
        return None
    whole = gates[0]
    for gate in gates[1:]:
        whole = Map(OPS["multiply"], (whole, gate))
    above = Map(OPS["greater"], (Map(OPS["abs"], (whole,)), const(1, whole.dtype)))
    return Map(OPS["invert"], (above,))

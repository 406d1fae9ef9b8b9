"""What is known of the sign of an expression from its text, and from what its kernel assumes of its inputs.

Sums and extents count as positive or non-negative where they have elements; over nothing there is nothing to derive.
"""

from functools import lru_cache

from einfall.cascade.domain import is_constant
from einfall.cascade.nodes import Access, Domain, Input, Reduce, Size, Tensor
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select

__all__ = ["is_nonnegative", "is_nonpositive", "is_positive"]

POSITIVE = frozenset(("exp", "exp2", "sigmoid"))
REMEMBERED = 4096  # a sign is asked for again and again, and each answer asks for those of all parts
KEEPING = frozenset(("multiply", "divide", "sqrt", "rsqrt", "pow"))


@lru_cache(REMEMBERED)
def is_positive(expr: Expr) -> bool:
    """Whether the value is above 0 wherever it is a number."""
    match expr:
        case Const(value, dtype):
            return dtype.kind != "bool" and value > 0
        case Size():
            return True
        case Cast(arg, to):
            return is_positive(arg) and (to.is_float or (not arg.dtype.is_float and to.holds(arg.dtype)))
        case Select(_, yes, no):
            return is_positive(yes) and is_positive(no)
        case Access(Tensor(_, _, body), _, None):
            return is_positive(body)
        case Access(Input(domain=Domain(Const(least), reaches)), _, None):
            return least > 0 or (least == 0 and not reaches)
        case Reduce(monoid, _, _, (body,)):
            return monoid.name in ("sum", "prod", "max", "min") and not _may_wrap(expr) and is_positive(body)
        case Map(op, args):
            if _may_wrap(expr):
                return False
            if op.name in POSITIVE or (op.name in KEEPING and all(map(is_positive, args))):
                return True
            if op.name in ("add", "maximum"):
                left, right = args
                rest = is_nonnegative if op.name == "add" else lambda item: True
                return (is_positive(left) and rest(right)) or (is_positive(right) and rest(left))
            return op.name == "minimum" and all(map(is_positive, args))
    return False


@lru_cache(REMEMBERED)
def is_nonnegative(expr: Expr) -> bool:
    """Whether the value is 0 or more wherever it is a number."""
    if is_positive(expr) or expr.dtype.kind == "u":
        return True
    match expr:
        case Const(value, dtype):
            return dtype.kind != "bool" and value >= 0
        case Cast(arg, to):
            return arg.dtype.kind == "bool" or (is_nonnegative(arg) and (
                to.is_float or arg.dtype.is_float or to.holds(arg.dtype)))
        case Select(_, yes, no):
            return is_nonnegative(yes) and is_nonnegative(no)
        case Access(Tensor(_, _, body), _, None):
            return is_nonnegative(body)
        case Access(Input(domain=Domain(Const(least))), _, None):
            return least >= 0
        case Reduce(monoid, _, _, (body,)):
            return monoid.name in ("sum", "prod", "max", "min") and not _may_wrap(expr) and is_nonnegative(body)
        case Map(op, args):
            if _may_wrap(expr):
                return False
            if op.name in ("abs", "sqrt") or (op.name == "multiply" and args[0] is args[1]):
                return True
            if op.name == "pow" and isinstance(args[1], Const) and args[1].value % 2 == 0:
                return True
            if op.name == "maximum":
                return any(map(is_nonnegative, args))
            return op.name in ("add", "minimum", "multiply", "divide") and all(map(is_nonnegative, args))
    return False


@lru_cache(REMEMBERED)
def is_nonpositive(expr: Expr) -> bool:
    """Whether the value is 0 or less wherever it is a number."""
    match expr:
        case Const(value, dtype):
            return dtype.kind != "bool" and value <= 0
        case Access(Input(domain=Domain(high=Const(most))), _, None):
            return most <= 0
        case Map(op, args):
            if _may_wrap(expr):
                return False
            if op.name == "negative":
                return is_nonnegative(args[0])
            if op.name in ("add", "maximum"):
                return all(map(is_nonpositive, args))
            if op.name in ("multiply", "divide"):
                left, right = args
                return (is_nonpositive(left) and is_nonnegative(right)) or (
                    is_nonnegative(left) and is_nonpositive(right))
    return False


def _may_wrap(expr: Expr) -> bool:
    """Whether an integer may leave its type where it is computed; extents and what is made of them do not."""
    match expr:
        case Map(op):
            return expr.dtype.is_int and op.name not in ("minimum", "maximum") and not is_constant(expr)
        case Reduce(monoid, _, _, (body,)) if expr.dtype.is_int and monoid.name in ("sum", "prod"):
            return monoid.name == "prod" or not (isinstance(body, Cast) and body.arg.dtype.bits <= 32)
    return False

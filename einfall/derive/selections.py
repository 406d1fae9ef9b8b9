"""Maxima and minima of monotone functions, and what counts only where an element is the extremum."""

from einfall.cascade.nodes import Reduce
from einfall.derive.reading import ELEMENT, REFERENCE, Fact, Reader
from einfall.derive.signs import is_nonnegative, is_nonpositive, is_positive
from einfall.scalar.nodes import Const, Expr, Map, Select

__all__ = ["monotone_in", "selected"]

RISING = frozenset(("exp", "exp2", "expm1", "log", "log2", "log10", "sqrt", "tanh", "sigmoid", "erf", "sinh", "asinh",
                    "atan", "floor", "ceil", "trunc", "round"))
FALLING = frozenset(("negative",))
ABOVE_ZERO = frozenset(("log", "log2", "log10", "sqrt"))  # elsewhere not a number, which the extremum would not show


def monotone_in(reader: Reader, body: Expr) -> tuple[Expr, bool] | None:
    """The element that a body is a monotone function of, and whether the function rises; None if it is not seen."""
    if not reader.class_of(body) & REFERENCE:
        return body, True
    if not reader.class_of(body) & ELEMENT:
        return None
    match body:
        case Map(op, (arg,)) if op.name in RISING | FALLING:
            if op.name in ABOVE_ZERO and not is_nonnegative(arg):
                return None
            found = monotone_in(reader, arg)
            return found and (found[0], found[1] == (op.name in RISING))
        case Map(op, args) if len(args) == 2:
            mixed = [place for place, arg in enumerate(args) if reader.class_of(arg) & ELEMENT]
            if len(mixed) != 1:
                return None
            found = monotone_in(reader, args[mixed[0]])
            other = args[1 - mixed[0]]
            rises = _rises(op.name, mixed[0], other)
            return None if found is None or rises is None else (found[0], found[1] == rises)
    return None


def _rises(name: str, place: int, other: Expr) -> bool | None:
    """Whether an operator rises in one argument, given what is known of the other; None if that is not known."""
    if name in ("add", "maximum", "minimum"):
        return True
    if name == "subtract":
        return place == 0
    if name == "multiply":
        return True if is_nonnegative(other) else False if is_nonpositive(other) else None
    if name == "divide" and place == 0 and is_positive(other):
        return True
    return None


def selected(reader: Reader, node: Reduce) -> tuple[Fact, Expr] | None:
    """The extremum whose ties a body selects, and what is brought together there; None for other bodies."""
    match node.bodies[0]:
        case Select(condition, value, Const() as no) if no is node.monoid.identity[0]:
            fact = reader.selector(condition)
            if fact is not None and not reader.class_of(value) & REFERENCE:
                return fact, value
    return None

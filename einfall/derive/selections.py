"""Maxima and minima of monotone functions of extrema, and what counts only where an element is the extremum.

max f(x; r) = f(max x; r) for a function that rises in x, and max (g1 + h1, g2 + h2, ...) is the maximum of max g1 + h1,
max g2 + h2, ...: a tropical sum of products, with as many extrema as it has terms.
"""

from collections.abc import Callable
from typing import NamedTuple

from einfall.cascade.nodes import Reduce
from einfall.derive.reading import ELEMENT, REFERENCE, Fact, Reader
from einfall.derive.signs import is_nonnegative, is_nonpositive, is_positive
from einfall.scalar.nodes import Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["Extrema", "extrema_of", "selected"]

RISING = frozenset(("exp", "exp2", "expm1", "log", "log2", "log10", "sqrt", "tanh", "sigmoid", "erf", "sinh", "asinh",
                    "atan", "floor", "ceil", "trunc", "round"))
FALLING = frozenset(("negative",))
ABOVE_ZERO = frozenset(("log", "log2", "log10", "sqrt"))  # elsewhere not a number, which the extremum would not show
OTHER = {"max": "min", "min": "max"}
JOINING = {"max": "maximum", "min": "minimum"}


class Extrema(NamedTuple):
    """An extremum of a body as a function of extrema of elements.

    `parts`: elements, and "max" or "min" of each; `applied` takes a function that gives the value of such a part, and
    one that gives an expression of references at a moment, and gives the extremum of the body.
    """

    parts: tuple[tuple[Expr, str], ...]
    applied: Callable[[Callable[[Expr, str], Expr], Callable[[Expr], Expr]], Expr]


def extrema_of(reader: Reader, body: Expr, name: str) -> Extrema | None:
    """The "max" or "min" of a body that depends on elements, from extrema of these; None if it is not seen."""
    if not reader.class_of(body) & REFERENCE:
        return Extrema(((body, name),), lambda value, at: value(body, name))
    if isinstance(body, Map) and body.dtype.is_int and _may_wrap(body):
        return None
    match body:
        case Map(op, (arg,)) if op.name in RISING | FALLING:
            if op.name in ABOVE_ZERO and not is_nonnegative(arg):
                return None
            return _mapped(body, 0, extrema_of(reader, arg, name if op.name in RISING else OTHER[name]))
        case Map(op, (arg,)) if op.name == "abs":
            return extrema_of(reader, Map(OPS["maximum"], (arg, Map(OPS["negative"], (arg,)))), name)
        case Map(op, args) if op.name in ("add", "subtract") and all(reader.class_of(arg) & ELEMENT for arg in args):
            together = _gathered(reader, body)
            return None if together is None else extrema_of(reader, together, name)
        case Map(op, (left, right)):
            mixed = [place for place, arg in enumerate(body.args) if reader.class_of(arg) & ELEMENT]
            if len(mixed) == 1:
                rises = _rises(op.name, mixed[0], body.args[1 - mixed[0]])
                return None if rises is None else _mapped(
                    body, mixed[0], extrema_of(reader, body.args[mixed[0]], name if rises else OTHER[name]))
            if op.name == JOINING[name]:
                one, other = extrema_of(reader, left, name), extrema_of(reader, right, name)
                if one is not None and other is not None:
                    return Extrema(tuple(dict.fromkeys((*one.parts, *other.parts))), lambda value, at: Map(
                        op, (one.applied(value, at), other.applied(value, at))))
    return None


def _may_wrap(body: Map) -> bool:
    """Whether an operator on integers may leave their type, where it neither rises nor falls."""
    return body.op.name not in ("maximum", "minimum")


def _mapped(body: Map, place: int, found: Extrema | None) -> Extrema | None:
    """The extremum of an operator that is monotone in one argument, from that of the argument."""
    def applied(value, at) -> Expr:
        return Map(body.op, tuple(found.applied(value, at) if number == place else at(arg)
                                  for number, arg in enumerate(body.args)))

    return found and Extrema(found.parts, applied)


def _gathered(reader: Reader, body: Expr) -> Expr | None:
    """A sum in which elements are added first, then references; inside a maximum where one is added to.

    None where it is in this order already, or more than one term is of both.
    """
    elements: list[tuple[str, Expr]] = []
    references: list[tuple[str, Expr]] = []
    mixed: list[tuple[str, Expr]] = []
    terms = [("add", body)]
    while terms:
        sign, term = terms.pop(0)
        match term:
            case Map(op, (left, right)) if op.name in ("add", "subtract") and reader.class_of(term) & REFERENCE:
                turned = sign if op.name == "add" else "subtract" if sign == "add" else "add"
                terms[:0] = [(sign, left), (turned, right)]
                continue
        of = reader.class_of(term)
        (mixed if of & ELEMENT and of & REFERENCE else references if of & REFERENCE else elements).append((sign, term))
    if len(mixed) > 1 or (mixed and not elements):
        return None
    if mixed:
        (sign, term), = mixed
        if not isinstance(term, Map) or term.op.name not in ("maximum", "minimum", "abs"):
            return None
        args = (*term.args, Map(OPS["negative"], term.args)) if term.op.name == "abs" else term.args
        inner = tuple(_sum([*elements, (sign, arg), *references]) for arg in args)
        name = "maximum" if term.op.name == "abs" else term.op.name
        return Map(OPS[{"maximum": "minimum", "minimum": "maximum"}[name] if sign == "subtract" else name], inner)
    made = _sum([("add", _sum(elements)), *references])
    return None if made is body else made


def _sum(terms: list[tuple[str, Expr]]) -> Expr:
    made = None
    for sign, term in sorted(terms, key=lambda item: item[0] == "subtract"):  # what is subtracted comes after the rest
        if made is None:
            made = term if sign == "add" else Map(OPS["negative"], (term,))
        else:
            made = Map(OPS[sign], (made, term))
    return made


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

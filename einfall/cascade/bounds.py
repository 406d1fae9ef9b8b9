"""Conditions on ranks as bounds of loops: which coordinates of a rank a condition leaves.

    3 * k + j < n    is    k < (n - j + 2) // 3           for k, if j and n are known outside
"""

from typing import NamedTuple

from einfall.cascade.nodes import Index, Rank, Size
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["Bounds", "bounds_of", "conjuncts", "guarded", "linear", "target_of"]

NEGATED = {"less": "greater_equal", "greater_equal": "less", "greater": "less_equal", "less_equal": "greater",
           "equal": "not_equal", "not_equal": "equal"}
MOST = 2**31  # factors beyond this may leave 64 bits


class Bounds(NamedTuple):
    """What a rank is at least, and what it stays below; all of them hold."""

    lows: tuple[Expr, ...]
    highs: tuple[Expr, ...]


def conjuncts(condition: Expr, holds: bool = True) -> list[Expr]:
    """Conditions that hold together where `condition` holds (where it does not, for `holds=False`)."""
    match condition:
        case Map(op, (arg,)) if op.name == "invert" and arg.dtype is BOOL:
            return conjuncts(arg, not holds)
        case Map(op, (left, right)) if op.name == ("bitwise_and" if holds else "bitwise_or") and left.dtype is BOOL:
            return conjuncts(left, holds) + conjuncts(right, holds)
        case Map(op, args) if not holds and op.name in NEGATED and not args[0].dtype.is_float:
            return [Map(OPS[NEGATED[op.name]], args)]
    return [condition if holds else Map(OPS["invert"], (condition,))]


def guarded(body: Expr, identity: Const) -> tuple[list[Expr], Expr]:
    """The conditions under which a body is not the identity by a selection, and the body where they hold."""
    conditions: list[Expr] = []
    while isinstance(body, Select):
        if body.no is identity:
            conditions += conjuncts(body.condition)
            body = body.yes
        elif body.yes is identity:
            conditions += conjuncts(body.condition, holds=False)
            body = body.no
        else:
            break
    match body, identity:  # a condition is no identity where all that it is made of holds
        case (Map(op), Const(False)) if op.name == "bitwise_and" and body.dtype is BOOL:
            conditions, body = conditions + conjuncts(body), Const(True, BOOL)
        case (Map(op), Const(True)) if op.name == "bitwise_or" and body.dtype is BOOL:
            conditions, body = conditions + conjuncts(body, holds=False), Const(False, BOOL)
    return list(dict.fromkeys(conditions)), body


def bounds_of(condition: Expr, rank: Rank, extent: Expr) -> Bounds | None:
    """The bounds that say of the coordinates of a rank exactly what a condition says; None where there are none."""
    match condition:
        case Map(op, (left, right)) if left.dtype is I64 and op.name in (
                "less", "less_equal", "greater", "greater_equal", "equal"):
            return _solved(op.name, left, right, rank, extent)
    return None


def target_of(condition: Expr, ranks: tuple[Rank, ...], extents: tuple[Expr, ...]) -> tuple[Rank, Expr] | None:
    """The other rank and the computed index that a condition says are equal, where no bounds of these ranks say it."""
    match condition:
        case Map(op, (left, right)) if op.name == "equal" and left.dtype is I64:
            for one, other in ((left, right), (right, left)):
                for rank in sorted((item for item in one.free if isinstance(item, Rank)), key=lambda item: item.name):
                    found = linear(one, rank) if rank not in ranks and rank not in other.free else None
                    if found is None or found[0] != 1 or not _is_small(found[1]) or (
                            other.free | found[1].free).isdisjoint(ranks):
                        continue
                    innermost = [place for place, item in enumerate(ranks) if item in condition.free][-1]
                    if bounds_of(condition, ranks[innermost], extents[innermost]) is None:
                        return rank, _map("subtract", other, found[1])
    return None


def _solved(name: str, left: Expr, right: Expr, rank: Rank, extent: Expr) -> Bounds | None:
    if name in ("greater", "greater_equal"):
        return _solved({"greater": "less", "greater_equal": "less_equal"}[name], right, left, rank, extent)
    if name == "equal":
        one = _solved("less_equal", left, right, rank, extent)
        other = _solved("less_equal", right, left, rank, extent)
        return one and other and Bounds(one.lows + other.lows, one.highs + other.highs)
    if not (_is_small(left) and _is_small(right)):
        return _compared(name, left, right, rank, extent)
    a, b = linear(left, rank), linear(right, rank)
    if a is None or b is None:
        return None
    factor, rest = a[0] - b[0], _map("subtract", b[1], a[1])  # factor * rank < rest, or <= rest
    if factor == 0 or abs(factor) > MOST:
        return None
    if name == "less":
        rest = _map("subtract", rest, Const(1, I64))
    if factor > 0:
        return Bounds((), (_map("add", _floor(rest, factor), Const(1, I64)),))
    # rank >= ceil(-rest / -factor)
    return Bounds((_map("negative", _floor(rest, -factor)),), ())


def _compared(name: str, left: Expr, right: Expr, rank: Rank, extent: Expr) -> Bounds | None:
    """The rank itself against a number that may be anything: it is brought near the coordinates before it is moved."""
    zero, one = Const(0, I64), Const(1, I64)
    match left, right:
        case Index(it), _ if it is rank and rank not in right.free:  # rank < right, rank <= right
            near = _map("minimum", right, extent)
            return Bounds((), (_map("maximum", near, zero) if name == "less" else _map(
                "add", _map("maximum", near, Const(-1, I64)), one),))
        case _, Index(it) if it is rank and rank not in left.free:  # left < rank, left <= rank
            near = _map("minimum", _map("maximum", left, Const(-1, I64)), extent)
            return Bounds((_map("add", near, one) if name == "less" else near,), ())
    return None


def _is_small(expr: Expr) -> bool:
    """Whether sums and small multiples of an integer stay far from the end of 64 bits: it is made of coordinates,
    extents, small numbers and shorter integers."""
    match expr:
        case Const(value):
            return abs(value) <= MOST
        case Index() | Size():
            return True
        case Cast(arg):
            return arg.dtype.kind == "bool" or (arg.dtype.is_int and arg.dtype.bits <= 32)
        case Map(op, args):
            return op.name in ("add", "subtract", "negative", "minimum", "maximum", "floor_divide", "multiply") and all(
                map(_is_small, args))
    return False


def linear(expr: Expr, rank: Rank) -> tuple[int, Expr] | None:
    """(a, b) with expr = a * rank + b and b free of the rank."""
    if rank not in expr.free:
        return 0, expr
    match expr:
        case Index():
            return 1, Const(0, I64)
        case Map(op, (left, right)) if op.name in ("add", "subtract"):
            a, b = linear(left, rank), linear(right, rank)
            if a is None or b is None:
                return None
            return (a[0] + b[0] if op.name == "add" else a[0] - b[0]), _map(op.name, a[1], b[1])
        case Map(op, (arg,)) if op.name == "negative":
            a = linear(arg, rank)
            return a and (-a[0], _map("negative", a[1]))
        case Map(op, (left, right)) if op.name == "multiply":
            by, arg = (left, right) if isinstance(left, Const) else (right, left)
            a = linear(arg, rank) if isinstance(by, Const) else None
            return a and (a[0] * by.value, _map("multiply", by, a[1]))
    return None


def _floor(expr: Expr, by: int) -> Expr:
    return expr if by == 1 else _map("floor_divide", expr, Const(by, I64))


def _map(name: str, *args: Expr) -> Expr:
    """An integer operator, done at once where it is known."""
    match name, args:
        case "add", (Const(0), other) | (other, Const(0)):
            return other
        case "subtract", (other, Const(0)):
            return other
        case "subtract", (Const(0), other):
            return _map("negative", other)
        case "negative", (Map(op, (inner,)),) if op.name == "negative":
            return inner
        case "add", (Map(op, (inner, Const(1))), Const(1)) if op.name == "subtract":
            return inner
        case "multiply", (Const(0), _) | (_, Const(0)):
            return Const(0, I64)
    if all(isinstance(arg, Const) for arg in args):
        a, *b = (arg.value for arg in args)
        match name:
            case "add":
                return Const(a + b[0], I64)
            case "subtract":
                return Const(a - b[0], I64)
            case "multiply":
                return Const(a * b[0], I64)
            case "negative":
                return Const(-a, I64)
    return Map(OPS[name], args)

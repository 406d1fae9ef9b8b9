"""What becomes of an element where an entry of an operand is not stored, by the operator table."""

from typing import NamedTuple

from einfall.cascade.bounds import conjuncts, guarded
from einfall.cascade.domain import is_constant, is_domain
from einfall.cascade.nodes import Access, Reduce, Source
from einfall.cascade.presence import absence, folded
from einfall.scalar.dtypes import BOOL
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select

__all__ = ["is_identity_without", "is_limited", "reads_without"]


class _Known(NamedTuple):
    """What an expression is where an entry is not stored."""

    value: Const
    is_absent: bool


def is_identity_without(node: Reduce, access: Access) -> bool:
    """Whether the elements of a reduction are its identity wherever the pattern at `access` does not hold."""
    found = _known(node.bodies[0], access, {})
    return found is not None and found.value is node.monoid.identity[0]


def is_limited(body: Expr, condition: Expr, identity: Const) -> bool:
    """Whether a body says by itself that it is the identity wherever a condition does not hold."""
    conditions, inner = guarded(body, identity)
    return condition in conditions or any(value is identity and condition in conjuncts(gone, holds=False)
                                          for gone, value in absence(inner))


def reads_without(expr: Expr, inside: Expr, position: Expr, memo: dict | None = None, seen: set | None = None) -> bool:
    """Whether an expression reads memory at a position also where `inside`, the limit of positions, does not hold."""
    memo, seen = {} if memo is None else memo, set() if seen is None else seen
    if expr in seen:
        return False
    seen.add(expr)
    match expr:
        case Access(_, indices) if position in indices:
            return True
        case Select(condition, _, no) if condition is inside:
            return reads_without(no, inside, position, memo, seen)
        case Map(op, args):
            for place, arg in enumerate(args):
                one = _known(arg, inside, memo)
                if one is not None and one.is_absent and op.annihilated(place, one.value.value):
                    # it decides alone; but what may be absent too may decide as well, and counts
                    counting = [arg, *(other for where, other in enumerate(args) if where != place and absence(other)
                                       and any(where == found for found, _ in op.annihilators))]
                    return any(reads_without(item, inside, position, memo, seen) for item in counting)
    return any(reads_without(child, inside, position, memo, seen) for child in expr.below
               if isinstance(child, Expr | Source) and position.free <= child.free)


def _known(expr: Expr, pattern: Expr, memo: dict[Expr, _Known | None]) -> _Known | None:
    """The value of an expression where `pattern`, a condition, does not hold, if that decides it.

    By the operator table an absent value may decide an operator alone; other values never do.
    """
    if expr not in memo:
        memo[expr] = _Known(Const(False, BOOL), False) if expr is pattern else _found(expr, pattern, memo)
    return memo[expr]


def _found(expr: Expr, pattern: Expr, memo: dict) -> _Known | None:
    match expr:
        case Const():
            return _Known(expr, False)
        case Cast(arg, to):
            found = _known(arg, pattern, memo)
            value = None if found is None else folded(Cast(found.value, to))
            return _Known(value, found.is_absent) if isinstance(value, Const) else None
        case Select(condition, yes, no):
            chosen, one, other = (_known(item, pattern, memo) for item in (condition, yes, no))
            is_gone = is_constant(no) and is_domain(condition)
            if chosen is not None:
                found = one if chosen.value.value else other
                return found and _Known(found.value, found.is_absent or (is_gone and not chosen.value.value))
            if one is not None and other is not None and one.value is other.value:
                return _Known(one.value, one.is_absent and (other.is_absent or is_gone))
        case Map(_, args):
            return _of_map(expr, [_known(arg, pattern, memo) for arg in args])
        case Reduce(monoid, ranks, _, (body,)) if pattern.free.isdisjoint(ranks):
            found = _known(body, pattern, memo)
            if found is not None and found.value is monoid.identity[0]:
                return _Known(found.value, False)
    return None


def _of_map(expr: Map, found: list[_Known | None]) -> _Known | None:
    for place, one in enumerate(found):
        if one is not None and (one.is_absent or one.value.dtype is BOOL) and expr.op.annihilated(
                place, one.value.value):
            return _Known(one.value, one.is_absent)
    if any(one is None for one in found):
        return None
    value = folded(Map(expr.op, tuple(one.value for one in found)))
    points = [one.is_absent for one, arg in zip(found, expr.args) if not is_constant(arg)]
    return _Known(value, bool(points) and all(points)) if isinstance(value, Const) else None

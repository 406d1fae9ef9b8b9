"""Absent points, read off the text: under which conditions a value is absent, and with which value.

The same rules as in run.py, on expressions instead of arrays (LANGUAGE, absent points).
"""

import math

import numpy as np

from einfall.base.node import Node, postorder
from einfall.cascade.domain import is_constant, is_domain
from einfall.cascade.nodes import Access, Index, Tensor
from einfall.cascade.scope import substitute
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select, cast, const
from einfall.scalar.ops import OPS, Op
from einfall.scalar.run import evaluate

__all__ = ["absence", "annihilations", "folded"]

Alternatives = tuple[tuple[Expr, Expr], ...]  # (condition, the constant value there); the first that holds counts
MOST = 16  # ways in which the arguments of an operator are absent together, beyond which they are written as one


def both(left: Expr, right: Expr) -> Expr:
    """left & right; what the right one reads at computed places is read where the left one holds only."""
    if left is right:
        return left
    if any(isinstance(node, Access) and not all(isinstance(index, Index) for index in node.indices)
           for node in postorder(right)):
        return Select(left, right, Const(False, BOOL))
    return Map(OPS["bitwise_and"], (left, right))


def negated(condition: Expr) -> Expr:
    """~condition."""
    match condition:
        case Map(op, (arg,)) if op.name == "invert":
            return arg
    return Map(OPS["invert"], (condition,))


def absence(expr: Expr, memo: dict[Node, Alternatives] | None = None) -> Alternatives:
    """The conditions under which a value is absent."""
    memo = {} if memo is None else memo
    if expr not in memo:
        memo[expr] = _absence(expr, memo)
    return memo[expr]


def _absence(expr: Expr, memo: dict) -> Alternatives:
    match expr:
        case Select(condition, yes, no):
            inside = tuple((both(condition, gone), value) for gone, value in absence(yes, memo))
            if is_constant(no) and is_domain(condition):
                return ((negated(condition), no), *inside)
            return inside + tuple((both(negated(condition), gone), value) for gone, value in absence(no, memo))
        case Cast(arg, to):
            return tuple((gone, cast(value, to)) for gone, value in absence(arg, memo))
        case Map():
            return _of_map(expr, memo)
        case Access(Tensor(ranks, extents, body), indices, outside):
            values = dict(zip(ranks, indices))
            found = tuple((substitute(gone, values), value) for gone, value in absence(body, memo))
            if outside is not None:
                for index, extent in zip(indices, extents):
                    found = tuple((both(both(Map(OPS["greater_equal"], (index, Const(0, I64))),
                                             Map(OPS["less"], (index, extent))), gone), value) for gone, value in found)
            return found
    return ()


def _of_map(expr: Map, memo: dict) -> Alternatives:
    below = [absence(arg, memo) for arg in expr.args]
    found = [item for place, alternatives in enumerate(below) for item in annihilations(expr.op, place, alternatives)]
    points = [(arg, alternatives) for arg, alternatives in zip(expr.args, below) if not is_constant(arg)]
    if points and all(alternatives for _, alternatives in points):
        if math.prod(len(alternatives) for _, alternatives in points) > MOST:
            below = [_as_one(alternatives) if alternatives else () for alternatives in below]
        together: list[tuple[Expr | None, tuple[Expr, ...]]] = [(None, ())]
        for arg, alternatives in zip(expr.args, below):
            if is_constant(arg):
                together = [(gone, (*values, arg)) for gone, values in together]
            else:
                together = [(more if gone is None else both(gone, more), (*values, value))
                            for gone, values in together for more, value in alternatives]
        found += [(gone, folded(Map(expr.op, values))) for gone, values in together]
    return _distinct(found)


def _as_one(alternatives: Alternatives) -> Alternatives:
    """The same conditions as one, with the value as a selection."""
    *rest, (together, chosen) = alternatives
    for gone, value in reversed(rest):
        together, chosen = Map(OPS["bitwise_or"], (gone, together)), Select(gone, value, chosen)
    return ((together, chosen),)


def _distinct(found: list[tuple[Expr, Expr]]) -> Alternatives:
    """Without those that hold only where an earlier one holds."""
    kept: dict[frozenset[Expr], tuple[Expr, Expr]] = {}
    for gone, value in found:
        terms = frozenset(_terms(gone))
        if not any(earlier <= terms for earlier in kept):
            kept[terms] = gone, value
    return tuple(kept.values())


def _terms(condition: Expr) -> tuple[Expr, ...]:
    match condition:
        case Map(op, (left, right)) if op.name == "bitwise_and":
            return *_terms(left), *_terms(right)
        case Select(left, right, Const(value)) if condition.dtype is BOOL and not value:
            return *_terms(left), *_terms(right)
    return (condition,)


def annihilations(op: Op, place: int, alternatives: Alternatives) -> Alternatives:
    """Where an absent argument decides the result of an operator alone, and the result there."""
    found = []
    for where, zero in op.annihilators:
        for gone, value in alternatives if where == place else ():
            if isinstance(value, Const):
                if op.annihilated(place, value.value):
                    found.append((gone, value))
            elif (zero is True) == (value.dtype is BOOL) and (value.dtype.is_float or abs(zero) < math.inf):
                # a constant of extents: whether it is the value that decides is known at run time only
                decisive = const(zero, value.dtype)
                found.append((both(gone, Map(OPS["equal"], (value, decisive))), decisive))
    return tuple(found)


def folded(expr: Expr) -> Expr:
    """An operator on numbers, as a number, and on what operators make of numbers."""
    if all(isinstance(node, Const | Map | Cast | Select) for node in postorder(expr) if isinstance(node, Expr)):
        with np.errstate(all="ignore"):
            return const(evaluate(expr, lambda leaf: None).item(), expr.dtype)
    return expr

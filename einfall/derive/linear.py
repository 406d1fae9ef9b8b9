"""Expressions as sums of products that are linear in what they read: a state in its step, a history in a sum.

    s[d, e] - K[t, d] * sum[c](K[t, c] * s[c, e])  is  s[d, e]  and  sum over c of -K[t, d] * K[t, c] * s[c, e]
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from einfall.base.node import Node
from einfall.cascade.nodes import Access, Index, Rank, Reduce, Tensor
from einfall.cascade.scope import fresh, substitute
from einfall.derive.reading import name_of
from einfall.scalar.dtypes import DType
from einfall.scalar.monoids import is_named, named
from einfall.scalar.nodes import Cast, Expr, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["Expansion", "NotLinear", "Term", "added", "factors_of", "multiplied", "summed"]


class NotLinear(Exception):
    """An expression that is no sum of products with one read each; the reason in words."""


class Term(NamedTuple):
    """The sum over `sums` (ranks with their extents) of the product of the factors, and of what is read if it reads."""

    factors: tuple[Expr, ...]
    read: Access | None
    sums: tuple[tuple[Rank, Expr], ...] = ()

    def times(self, factor: Expr) -> "Term":
        return self._replace(factors=(*self.factors, factor))


class Expansion:
    """The terms of expressions, given what is read.

    reads: whether an expression depends on what is read; is_read: whether it is a read itself; taken: ranks whose names
    those that leave their reductions must not have.
    """

    def __init__(self, reads: Callable[[Node], bool], is_read: Callable[[Node], bool], taken: Iterable[Rank]):
        self.reads, self.is_read, self.taken = reads, is_read, set(taken)

    def terms(self, expr: Expr) -> list[Term]:
        """The terms, which together are the expression. Raises: NotLinear."""
        if not self.reads(expr):
            return [Term((expr,), None)]
        if self.is_read(expr):
            return [Term((), expr)]
        match expr:
            case Map(op, (left, right)) if op.name in ("add", "subtract"):
                after = self.terms(right)
                return self.terms(left) + (after if op.name == "add" else [_negated(term, expr.dtype)
                                                                           for term in after])
            case Map(op, (arg,)) if op.name == "negative":
                return [_negated(term, expr.dtype) for term in self.terms(arg)]
            case Map(op, (left, right)) if op.name == "multiply":
                if self.reads(left) and self.reads(right):
                    raise NotLinear("it is multiplied with itself")
                whole, factor = (left, right) if self.reads(left) else (right, left)
                return [term.times(factor) for term in self.terms(whole)]
            case Map(op, (left, right)) if op.name == "divide" and not self.reads(right):
                return [_divided(term, right) for term in self.terms(left)]
            case Reduce(monoid, ranks, extents, (body,)) if monoid.name == "sum" and is_named(monoid):
                return self.summed(ranks, extents, body)
            case Access(Tensor(ranks, _, body), indices) if all(isinstance(index, Index) for index in indices) and (
                    len(set(indices)) == len(indices)):
                return self.terms(substitute(body, dict(zip(ranks, indices))))
            case Cast(_, to):
                raise NotLinear(f"it is rounded to {to} on the way")
            case Select():
                raise NotLinear("a condition chooses what becomes of it")
        raise NotLinear(f"{name_of(expr)} of it is not linear")

    def summed(self, ranks: tuple[Rank, ...], extents: tuple[Expr, ...], body: Expr) -> list[Term]:
        """The terms of a sum: its ranks leave it under names of their own."""
        names = []
        for rank in ranks:
            names.append(fresh(rank, self.taken))
            self.taken.add(names[-1])
        inside = self.terms(substitute(body, dict(zip(ranks, map(Index, names)))))
        return [term._replace(sums=(*zip(names, extents), *term.sums)) for term in inside]


def _negated(term: Term, dtype: DType) -> Term:
    if not term.factors:
        return term.times(const(-1, dtype))
    first, *rest = term.factors
    return term._replace(factors=(Map(OPS["negative"], (first,)), *rest))


def _divided(term: Term, by: Expr) -> Term:
    """The last factor takes the divisor: 1 / by alone may be infinite where the quotient is not."""
    *rest, last = term.factors or (const(1, by.dtype),)
    return term._replace(factors=(*rest, Map(OPS["divide"], (last, by))))


def multiplied(factors: Iterable[Expr], dtype: DType) -> Expr:
    """The product; 1 of none."""
    made = None
    for factor in factors:
        made = factor if made is None else Map(OPS["multiply"], (made, factor))
    return const(1, dtype) if made is None else made


def added(items: Iterable[Expr], dtype: DType) -> Expr:
    """The sum; 0 of none."""
    made = None
    for item in items:
        made = item if made is None else Map(OPS["add"], (made, item))
    return const(0, dtype) if made is None else made


def summed(ranks: Iterable[Rank], extents: Iterable[Expr], body: Expr) -> Expr:
    """The sum over ranks; the body itself over none."""
    ranks, extents = tuple(ranks), tuple(extents)
    return Reduce(named("sum", body.dtype), ranks, extents, (body,)) if ranks else body


def factors_of(expr: Expr, axes: frozenset[Rank]) -> tuple[Expr, ...]:
    """An expression as a product: what depends on fewer of the axes is a factor of its own."""
    match expr:
        case Map(op, (left, right)) if op.name == "multiply":
            return *factors_of(left, axes), *factors_of(right, axes)
        case Map(op, (arg,)) if op.name == "negative":
            first, *rest = factors_of(arg, axes)
            return Map(OPS["negative"], (first,)), *rest
        case Map(op, (left, right)) if op.name == "divide":
            found = list(factors_of(left, axes))
            for place, factor in enumerate(found):
                if right.free & axes <= factor.free & axes:
                    found[place] = Map(OPS["divide"], (factor, right))
                    return tuple(found)
        case Select(condition, yes, no) if _is_zero(no):
            found = factors_of(yes, axes)
            if len(found) > 1 and not condition.free & axes:
                return tuple(Select(condition, factor, no) for factor in found)
    return (expr,)


def _is_zero(expr: Expr) -> bool:
    return getattr(expr, "value", None) == 0 and expr.dtype.is_float

"""Passes from cascade to cascade that prepare for loops: absence made explicit, tensors read in place."""

from collections.abc import Callable
from functools import lru_cache

from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.bounds import bounds_of, conjuncts, guarded, target_of
from einfall.cascade.nodes import Access, Cascade, Coordinate, Index, Reduce, Scan, Tensor
from einfall.cascade.presence import absence, annihilations
from einfall.cascade.scope import carried, substitute
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.nodes import Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["inline", "is_heavy", "make_absence_explicit", "plus_0"]

COSTLY = frozenset((
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh", "erf", "sigmoid", "lgamma", "pow"))


@lru_cache(16)  # proof, finder and lowering ask one after the other
def make_absence_explicit(cascade: Cascade) -> Cascade:
    """The program in which an absent argument that decides its operator is a selection: nothing is absent any more.

    where(p, x, 0) * y  becomes  where(~p, 0, where(p, x, 0) * y), which reads y only where p holds.
    """
    memo: dict[Node, tuple] = {}
    done: dict[Node, Node] = {}
    for node in postorder(*cascade.outputs):
        made = _rebuilt(node, done)
        if isinstance(node, Map) and node.op.annihilators:
            for place, arg in reversed(list(enumerate(node.args))):
                for gone, value in reversed(annihilations(node.op, place, absence(arg, memo))):
                    made = Select(rewrite(gone, lambda item: None, done), value, made)
        if isinstance(node, Reduce) and len(node.bodies) == 1:
            made = _restricted(node, made, memo, done)
        done[node] = made
    return Cascade(cascade.name, cascade.inputs, tuple(done[output] for output in cascade.outputs))


def _restricted(node: Reduce, made: Reduce, memo: dict, done: dict) -> Reduce:
    """The reduction with its body a selection where what is absent is the identity and the condition bounds a rank, or
    says at which place of another rank an element counts."""
    (body,), (identity, *_) = made.bodies, node.monoid.identity
    for gone, value in reversed(absence(guarded(node.bodies[0], identity)[1], memo)):
        if value is identity and any(
                target_of(condition, node.ranks, node.extents) or any(
                    bounds_of(condition, rank, extent) for rank, extent in zip(node.ranks, node.extents))
                for condition in conjuncts(gone, holds=False)):
            body = Select(rewrite(gone, lambda item: None, done), identity, body)
    return Reduce(made.monoid, made.ranks, made.extents, (body,))


def _rebuilt(node: Node, done: dict[Node, Node]) -> Node:
    values = []
    for field in node.fields:
        value = getattr(node, field)
        values.append(_replaced(value, done))
    return type(node)(*values)


def _replaced(value, done):
    if isinstance(value, Node):
        return done[value]
    return tuple(_replaced(item, done) for item in value) if type(value) is tuple else value


def is_heavy(expr: Expr) -> bool:
    """Whether computing a value again costs more than keeping it: a reduction, a scan, a special function."""
    return any(isinstance(node, Reduce | Scan) or (isinstance(node, Map) and node.op.name in COSTLY)
               for node in postorder(expr))


def inline(cascade: Cascade, *, only_bare: bool = False, stays: Callable[[Access], bool] | None = None) -> Cascade:
    """The program in which light tensors, and those that are only read at bare ranks, are read in place.

    only_bare: nothing but reads at bare ranks changes, which says the same of absent points;
    stays: reads of tensors that do not change.
    """
    memory = {output: None for output in cascade.outputs}
    for node in postorder(*cascade.outputs):
        match node:
            case Access(Tensor(body=body) as tensor, indices):
                if not _is_bare(indices) and is_heavy(body):
                    memory[tensor] = None

    def rule(node):
        match node:
            case Access(Tensor(ranks, extents, body) as tensor, indices, outside) if tensor not in kept:
                if (only_bare and not _is_bare(indices)) or (stays is not None and stays(node)):
                    return None
                inside = substitute(body, dict(zip(ranks, indices)))
                if outside is None:
                    return inside
                return Select(_within(indices, extents), inside, outside)
        return None

    done: dict[Node, Node] = {}
    kept: set[Node] = set()
    for node in postorder(*cascade.outputs):
        made = _rebuilt(node, done)
        if isinstance(made, Scan) and made is not node:  # it may depend on less than its states say
            made = carried(made)
        if isinstance(node, Access) and made.outside is None and all(
                isinstance(index, Index | Coordinate) for index in made.indices) and not all(
                isinstance(index, Index | Coordinate) for index in node.indices):
            # a computed index that turns out to be a rank: that rank need not have the extent of the axis
            made = Access(made.source, (plus_0(made.indices[0]), *made.indices[1:]), None)
        if node in memory:
            kept.add(made)
        after = rule(made)
        done[node] = made if after is None else after
    return Cascade(cascade.name, cascade.inputs, tuple(done[output] for output in cascade.outputs))


def plus_0(index: Expr) -> Expr:
    """An index as a computed one: what is read at it is kept in memory, and its rank may be longer than the axis."""
    return Map(OPS["add"], (index, Const(0, I64)))


def _is_bare(indices) -> bool:
    """Whether indices are ranks, each another one."""
    return all(isinstance(index, Index) for index in indices) and len(set(indices)) == len(indices)


def _within(indices, extents) -> Expr:
    inside: Expr = Const(True, BOOL)
    for index, extent in zip(indices, extents):
        for op, left, right in (("greater_equal", index, Const(0, I64)), ("less", index, extent)):
            condition = Map(OPS[op], (left, right))
            inside = condition if isinstance(inside, Const) else Map(OPS["bitwise_and"], (inside, condition))
    return inside

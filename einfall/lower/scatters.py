"""Reductions under an equality with a computed index: not a loop over elements for each place, but one loop over
elements that stores at the place of each.

    sum over m of where(dst[m] == n, x[m, f], 0)        for n: for f: w[n, f] = 0
                                                        for m: at dst[m], if that is a place: for f: w[.., f] += x[m, f]
"""

from typing import NamedTuple

from einfall.base.node import Node
from einfall.cascade.bounds import guarded, target_of
from einfall.cascade.nodes import Rank, Reduce
from einfall.lower.limits import limits_of
from einfall.scalar import memory as mem
from einfall.scalar.dtypes import I64
from einfall.scalar.monoids import combined
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["Scatter", "enter_where", "scatter_into", "scatter_of"]

PIECES = 4  # parts of the places that threads may fill at once; each looks at all elements


class Scatter(NamedTuple):
    """A reduction as stores: the index that a coordinate on each target rank equals, the conditions that are left, and
    what is brought together where they hold."""

    targets: dict[Rank, Expr]
    conditions: tuple[Expr, ...]
    body: Expr


def scatter_of(node: Node) -> Scatter | None:
    """A reduction as stores; None where no coordinate of a result is a computed index of its elements."""
    if not isinstance(node, Reduce) or len(node.bodies) > 1 or not node.ranks:
        return None
    conditions, body = guarded(node.bodies[0], node.monoid.identity[0])
    targets: dict[Rank, Expr] = {}
    left = []
    for condition in conditions:
        found = target_of(condition, node.ranks, node.extents)
        if found is None or found[0] in targets or any(found[0] in index.free or rank in found[1].free
                                                       for rank, index in targets.items()):
            left.append(condition)
        else:
            targets[found[0]] = found[1]
    return Scatter(targets, tuple(left), body) if targets else None


def scatter_into(lowering, node: Reduce, scatter: Scatter, buffer: mem.Buffer, outer: tuple[Expr, ...],
                 extents: dict[Rank, Expr], is_outermost: bool) -> None:
    """buffer[outer, ranks] = the reduction, for all coordinates of the ranks that have extents here.

    lowering: with the loops open that are around this; is_outermost: whether there are none.
    """
    ranks, first = tuple(extents), next(iter(scatter.targets))
    deciding = frozenset().union(*(index.free for index in scatter.targets.values()))
    batch = [rank for rank in ranks if rank in deciding]
    inner = [rank for rank in ranks if rank not in deciding and rank not in scatter.targets]
    in_pieces = is_outermost and not batch and bool(inner)
    lowering.fill((buffer,), outer, ranks, tuple(extents.values()), lambda: node.monoid.identity)
    state = lowering.state()
    spans = {rank: (Const(0, I64), lowering.size(extents[rank])) for rank in scatter.targets}
    for rank in batch:
        lowering.open(rank, extents[rank])
    if in_pieces:  # parts of the places, which are independent
        piece = mem.Variable(lowering.fresh(f"{first.name}_piece"))
        lowering.enter(piece, Const(PIECES, I64))
        _, size = spans[first]
        length = _map("floor_divide", _map("add", size, Const(PIECES - 1, I64)), Const(PIECES, I64))
        low = _map("multiply", piece, length)
        spans[first] = low, _map("minimum", size, _map("add", low, length))
    early = [item for item in scatter.conditions if item.free.isdisjoint((*inner, *scatter.targets))]
    later = [item for item in scatter.conditions if item not in early]
    limits, early = limits_of(early, node)
    for rank, extent in zip(node.ranks, node.extents):
        lowering.open(rank, extent, limits[rank])
    _enter_where(lowering, scatter, spans, extents, [lowering.value(item) for item in early])
    for rank in inner:
        lowering.open(rank, extents[rank])
    body = scatter.body
    for condition in later:
        body = Select(condition, body, node.monoid.identity[0])
    places = (*outer, *(lowering.env[rank] for rank in ranks))
    (after,) = combined(node.monoid, (mem.Load(buffer, places, None),), (lowering.value(body),))
    lowering.emit(mem.Store(buffer, places, after))
    for rank in reversed(inner):
        lowering.close(rank, "parallel")
    lowering.leave("sequential")
    for rank in reversed(node.ranks):
        lowering.close(rank, "sequential")
    if in_pieces:
        lowering.leave("parallel")
    for rank in reversed(batch):
        lowering.close(rank, "parallel")
    lowering.restore(state)


def _enter_where(lowering, scatter: Scatter, spans: dict[Rank, tuple[Expr, Expr]], extents: dict[Rank, Expr],
                 conditions: list[Expr]) -> None:
    """A loop of one step where an element goes somewhere, and of none elsewhere; inside, targets stand for indices."""
    here: Expr | None = None
    for rank, index in scatter.targets.items():
        at, (low, high) = lowering.value(index), spans[rank]
        lowering.env = {**lowering.env, rank: at}
        lowering.extents = {**lowering.extents, rank: extents[rank]}
        conditions = [*conditions, _map("less_equal", low, at), _map("less", at, high)]
    for condition in conditions:
        here = condition if here is None else _map("bitwise_and", here, condition)
    enter_where(lowering, here, tuple(lowering.env[rank] for rank in scatter.targets))


def enter_where(lowering, condition: Expr, bound: tuple[Expr, ...] = ()) -> None:
    """A loop of one step where a condition holds, of none elsewhere; inside, these values are known."""
    hit = mem.Variable(lowering.fresh("hit"))
    lowering.enter(hit, _map("minimum", Cast(condition, I64), Const(1, I64)), bound)


def _map(name: str, left: Expr, right: Expr) -> Expr:
    return Map(OPS[name], (left, right))

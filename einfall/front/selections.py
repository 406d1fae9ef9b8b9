"""The largest elements in order, and scatter: defined by reductions and scans."""

import math
from collections.abc import Mapping

from einfall.base.errors import RankError, TraceError
from einfall.cascade import nodes as cas
from einfall.front.expression import Array, Expression, Rank, apply, bound, lift, strong
from einfall.front.functions import binder, operand, over_ranks, reduction, where
from einfall.front.scans import scan
from einfall.front.trace import current
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.monoids import NAMED, arg_extremum
from einfall.scalar.nodes import Const, const

__all__ = ["scatter", "topk"]


def topk(x, *, over: Rank, to: Rank) -> tuple[Expression, Expression]:
    """The largest elements along a rank in descending order, and their indices: both over the new rank `to`.

    over: one rank; to: a rank with as many coordinates as are wanted, o.of(8). NaN comes first; ties: the lowest index.
    A call with fewer elements than that is a ShapeError.
    """
    part, (rank, *others) = strong(operand(x, "ef.topk")), over_ranks(over)
    if others or not isinstance(to, Rank):
        raise RankError(f"ef.topk goes over one rank to another, not over {over!r} to {to!r}", known=current().known,
                        repair="ef.topk(x, over=k, to=o.of(8))")
    if to.name in part.extents:
        raise RankError(f"ef.topk over {rank.name} to {to.name}, which is free in its operand",
                        known=current().known, repair=f"use a new rank: to=o.of({rank.name}.extent)")
    nodes, sizes, left, affine = binder([part], (rank,), "ef.topk")
    monoid = arg_extremum("argmax", part.node.dtype)
    lowest, nothing = (Expression(item, {}, dtype=dtype) for item, dtype in zip(monoid.identity, (part.dtype, I64)))
    index = Expression(cas.Index(nodes[0]), {rank.name: part.extents[rank.name]})

    def step(value, place):
        """The largest of those that come after the one taken before."""
        comes = (part < value) | ((part == value) & (index > place))
        if part.dtype.is_float:
            is_missing, was_missing = apply("isnan", part), apply("isnan", value)
            comes = where(was_missing, ~is_missing | (index > place), ~is_missing & comes)
        bodies = where(comes, part, lowest).node, where(comes, index, nothing).node
        reduce = cas.Reduce(monoid, nodes, sizes, bodies)
        free = {name: left.get(name) for name in {**left, **value.extents} if name != rank.name}
        return tuple(Expression(cas.Part(reduce, place_of), free, affine=affine, dtype=dtype)
                     for place_of, dtype in enumerate((part.dtype, I64)))

    dtype = part.node.dtype
    before_all = Expression(const(math.nan if dtype.is_float else dtype.highest, dtype), {}, dtype=part.dtype)
    values, places = scan(step, over=to, init=(before_all, Expression(Const(-1, I64), {})))
    current().need_elements(f"ef.topk over {rank.name} to {to.name}", sizes[0], bound(values, to))
    return values, where(places == nothing, 0, places)


def scatter(x, *, to: Mapping[Rank, object], over, by: str = "sum", outside: str = "error") -> Expression:
    """The elements of x brought together at computed coordinates: sum(where(index == n, x, 0), over=m), free in n.

    to: {n: index} for each new rank; over: the ranks of x that go; by: a monoid of the table; an index outside its
    rank is a BoundsError, or goes nowhere with outside="drop".
    """
    if not isinstance(to, Mapping) or not to or not all(isinstance(rank, Rank) for rank in to):
        raise RankError(f"to= of ef.scatter says which index each new rank is, not {to!r}",
                        known=current().known, repair="ef.scatter(x, to={n.of(5): dst[m]}, over=m)")
    if by not in NAMED or outside not in ("error", "drop"):
        raise TraceError(f"ef.scatter by {by!r} with outside={outside!r}", known=current().known,
                         repair=f'by= one of {", ".join(NAMED)}; outside="error" or "drop"')
    part = strong(operand(x, "ef.scatter"))
    here: Expression = Expression(Const(True, BOOL), {})
    for rank, index in to.items():
        place = lift(index)
        if rank.name in part.extents or rank.name in place.extents:
            raise RankError(f"ef.scatter to {rank.name}, which is free in what is scattered", known=current().known,
                            repair=f"use a new rank for the result and read it at {rank.name} afterwards")
        hit = place == rank
        if outside == "error":  # reading a table of the rank's extent checks the index
            extent = rank.extent.node
            table = Array(cas.Tensor((cas.Rank("i"),), (extent,), Const(True, BOOL)), (extent,), f"rank {rank.name}")
            read = table[place]
            current().told[read.node] = (f"rank {rank.name}", 'pass indices inside, or let others go nowhere: '
                                                              'ef.scatter(..., outside="drop")')
            hit = read & hit
        here = hit if isinstance(here.node, Const) else here & hit
    identity = Expression(const(NAMED[by][1](part.node.dtype), part.node.dtype), {}, dtype=part.dtype)
    return reduction(by, where(here, part, identity), over)

"""Functions in the steps of a scan that do not depend on all of its ranks, computed once before it.

    s = scan[t](exp(G[t, d]) * s + K[t, d] * V[t, e])        g = tensor[t, d](exp(G[t, d]))
                                                             s = scan[t](g[t, d] * s + K[t, d] * V[t, e])

A scan with `e` has a step for each of its coordinates, or for a few of them in lanes, and would call it in each.
"""

from collections.abc import Mapping

from einfall.base.node import Node, postorder, rebuild, rewrite
from einfall.cascade.explicit import COSTLY, plus_0
from einfall.cascade.nodes import Access, Cascade, Index, Label, Rank, Reduce, Scan, Tensor
from einfall.cascade.project import extents_of_ranks
from einfall.scalar.nodes import Expr, Map

__all__ = ["computed_once"]


def computed_once(cascade: Cascade) -> Cascade:
    """The program with such functions in tensors of their own."""
    order = list(postorder(*cascade.outputs))
    if not any(isinstance(node, Scan) for node in order):
        return cascade
    extents = extents_of_ranks(order)
    done: dict[Node, Node] = {}
    for node in order:
        made = rebuild(node, done.__getitem__)
        done[node] = _with_tensors(made, extents) if isinstance(made, Scan) else made
    return Cascade(cascade.name, cascade.inputs, tuple(done[output] for output in cascade.outputs))


def _with_tensors(scan: Scan, extents: Mapping[Rank, Expr]) -> Scan:
    """The scan that reads what does not need all its ranks."""
    ranks = {rank for rank in scan.free if isinstance(rank, Rank)}.union(*scan.axes)
    memo: dict[Node, Node] = {}
    for step in scan.steps:
        for node in _candidates(step):
            if scan.rank in node.free and not ranks <= node.free and node.free <= extents.keys() and _is_safe(node):
                memo[node] = _read(node, scan.rank, extents)
    if not memo:
        return scan
    steps = tuple(rewrite(step, None, dict(memo)) for step in scan.steps)
    return Scan(scan.rank, scan.extent, scan.label, scan.axes, scan.extents, scan.inits, steps, scan.exclusive,
                scan.reverse, scan.last)


def _candidates(step: Expr) -> list[Expr]:
    """The calls of costly functions that read no state, nor are read by another such call; not inside of reductions."""
    found, stack, seen = [], [step], set()
    while stack:
        node = stack.pop()
        if node in seen or isinstance(node, Reduce):
            continue
        seen.add(node)
        if isinstance(node, Map) and node.op.name in COSTLY and node.dtype.is_float and not any(
                isinstance(variable, Label) for variable in node.free):
            found.append(node)
        elif not isinstance(node, Access):
            stack.extend(node.below)
    return found


def _is_safe(node: Expr) -> bool:
    """Whether it can be computed at all coordinates: what it reads is there for each of them."""
    return all(isinstance(index, Index) for one in postorder(node) if isinstance(one, Access) for index in one.indices)


def _read(node: Expr, time: Rank, extents: Mapping[Rank, Expr]) -> Expr:
    """A tensor of its own, kept in memory: at bare ranks it would be computed where it is read."""
    ranks = (time, *sorted((rank for rank in node.free if rank is not time), key=lambda rank: rank.name))
    tensor = Tensor(ranks, tuple(extents[rank] for rank in ranks), node)
    return Access(tensor, (plus_0(Index(time)), *map(Index, ranks[1:])), None)

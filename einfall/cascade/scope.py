"""Substitution for free variables: simultaneous and capture-free."""

from collections.abc import Mapping

from einfall.base.node import Node, rebuild, rewrite
from einfall.cascade.nodes import Carried, Index, Rank, Reduce, Scan, State, Tensor
from einfall.scalar.nodes import Expr

__all__ = ["bound_here", "carried", "extents_here", "fresh", "substitute"]


def fresh(rank: Rank, taken) -> Rank:
    """A rank named after `rank` that is not among the taken ones."""
    names = {variable.name for variable in taken}
    number = 1
    while f"{rank.name}_{number}" in names:
        number += 1
    return Rank(f"{rank.name}_{number}")


def substitute(node: Node, values: Mapping[Node, Node]) -> Node:
    """`node` with expressions for free ranks and `Carried` for free labels, all at once; bound ranks step aside."""
    return _Substitution(values)(node)


class _Substitution:
    """One set of replacements, with what it has been applied to already."""

    def __init__(self, values: Mapping[Node, Node]):
        self.values = dict(values)
        self.done: dict[Node, Node] = {}

    def __call__(self, node: Node) -> Node:
        free = getattr(node, "free", None)
        if free is None or free.isdisjoint(self.values):
            return node
        if node not in self.done:
            self.done[node] = self._replaced(node)
        return self.done[node]

    def _replaced(self, node: Node) -> Node:
        match node:
            case Index(rank):
                return self.values[rank]
            case State(label, place, dtype, ndim, ranks):
                carried = self.values.get(label, Carried(label, ()))
                free = carried.free.union(*(
                    self.values[item].free if item in self.values else (item,) for item in ranks))
                ranks = tuple(sorted(free - {carried.label}, key=lambda rank: rank.name))
                return State(carried.label, place, dtype, ndim, ranks)
            case Reduce(monoid, ranks, extents, bodies):
                ranks, inside = self._under(ranks, bodies)
                return Reduce(monoid, ranks, extents, tuple(map(inside, bodies)))
            case Tensor(ranks, extents, body):
                ranks, inside = self._under(ranks, (body,))
                return Tensor(ranks, extents, inside(body))
            case Scan():
                return self._scan(node)
        return rebuild(node, self)

    def _under(self, ranks: tuple[Rank, ...], bodies) -> tuple[tuple[Rank, ...], "_Substitution"]:
        """The names that bound ranks take, and the substitution that holds below them."""
        free = frozenset().union(*(body.free for body in bodies))
        values = {variable: value for variable, value in self.values.items()
                  if variable in free and variable not in ranks}
        arriving = frozenset().union(*(value.free for value in values.values()))
        taken = set(free) | set(ranks) | set(arriving)
        renamed = []
        for rank in ranks:
            if rank in arriving:
                values[rank] = Index(fresh(rank, taken))
                taken.add(values[rank].rank)
                rank = values[rank].rank
            renamed.append(rank)
        return tuple(renamed), self if values == self.values else _Substitution(values)

    def _scan(self, scan: Scan) -> Scan:
        """All binders of a scan at once: the same rank may be an axis of several states, and keeps one name."""
        bound = tuple(dict.fromkeys((scan.rank, *(axis for axes in scan.axes for axis in axes))))
        renamed, inside = self._under(bound, scan.inits + scan.steps)
        names = dict(zip(bound, renamed))
        axes = tuple(tuple(names[axis] for axis in axes) for axes in scan.axes)
        return Scan(names[scan.rank], scan.extent, scan.label, axes, scan.extents, tuple(map(inside, scan.inits)),
                    tuple(map(inside, scan.steps)), scan.exclusive, scan.reverse, scan.last)


def carried(scan: Scan) -> Scan:
    """The scan with what it is free in written on the states that its steps read: they have a value for each.

    What the states said before does not count: a step may have changed since.
    """
    def plain(node: Node) -> Node | None:
        is_own = isinstance(node, State) and node.label is scan.label and node.ranks
        return State(node.label, node.place, node.type, node.ndim, ()) if is_own else None

    scan = Scan(scan.rank, scan.extent, scan.label, scan.axes, scan.extents, scan.inits,
                tuple(rewrite(step, plain) for step in scan.steps), scan.exclusive, scan.reverse, scan.last)
    ranks = tuple(sorted(scan.free, key=lambda variable: variable.name))
    steps = tuple(substitute(step, {scan.label: Carried(scan.label, ranks)}) for step in scan.steps)
    return Scan(scan.rank, scan.extent, scan.label, scan.axes, scan.extents, scan.inits, steps, scan.exclusive,
                scan.reverse, scan.last)


def bound_here(node: Node) -> frozenset:
    """The ranks and labels that a node binds."""
    match node:
        case Reduce(ranks=ranks) | Tensor(ranks=ranks):
            return frozenset(ranks)
        case Scan():
            return frozenset((node.rank, node.label, *(axis for axes in node.axes for axis in axes)))
    return frozenset()


def extents_here(node: Node) -> dict[Rank, Expr]:
    """The ranks that a node binds, with their extents."""
    match node:
        case Reduce(ranks=ranks, extents=extents) | Tensor(ranks=ranks, extents=extents):
            return dict(zip(ranks, extents))
        case Scan():
            return {node.rank: node.extent, **{rank: extent for axes, sizes in zip(node.axes, node.extents)
                                               for rank, extent in zip(axes, sizes)}}
    return {}

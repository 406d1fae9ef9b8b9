"""Histories that only reductions read, step by step, are not stored: the reductions are taken inside the steps.

    s = scan[t](... s_0[d, e] ...)                     s = scan[t](s_0[d, e](...), s_1[e](0, sum[d](q[t, d] * new)))
    o[t, e] = sum[d](q[t, d] * s.states[0][t, d, e])   o[t, e] = s.states[1][t, e]

`new` is the state after the step. Of a history with an axis for each of t, d and e what is left has t and e.
"""

from collections.abc import Iterator, Mapping

from einfall.base.node import Node, postorder, rebuild, rewrite
from einfall.cascade.explicit import inline
from einfall.cascade.nodes import Access, Carried, Cascade, History, Index, Label, Rank, Reduce, Scan, State, Tensor
from einfall.cascade.scope import bound_here, carried, extents_here, fresh, substitute
from einfall.scalar.nodes import Expr, const

__all__ = ["extents_of_ranks", "histories_in", "project"]


def project(cascade: Cascade) -> Cascade:
    """The program with the reductions of histories inside the scans."""
    scans = {node for node in postorder(*cascade.outputs) if isinstance(node, Scan) and not node.last}
    if not scans:
        return cascade
    cascade = inline(cascade, only_bare=True)
    while True:
        found = next(_chances(cascade), None)
        if found is None:
            return cascade
        scan, more, reductions, extents = found
        made = _with(scan, more, reductions, extents)
        memo: dict[Node, Node] = {}
        for place, (reduce, (time, axes)) in enumerate(reductions.items(), len(scan.inits)):
            memo[reduce] = Access(History(made, place), (Index(time), *map(Index, axes)), None)
        cascade = Cascade(cascade.name, cascade.inputs,
                          tuple(rewrite(output, None, memo) for output in cascade.outputs))


def _chances(cascade: Cascade) -> Iterator[tuple[Scan, tuple[Rank, ...], dict[Reduce, tuple[Rank, tuple[Rank, ...]]],
                                                  dict[Rank, Expr]]]:
    """Scans of which every history is read by reductions only, each at one step; the ranks that become axes of their
    states; the reductions with their time and axes; extents."""
    order = list(postorder(*cascade.outputs))
    reads: dict[Scan, list[Access]] = {}
    inside: dict[Access, set[Node]] = {}  # what reads an access: the innermost reductions around it, or something else
    for node in order:
        match node:
            case Access(History(scan)) if not scan.last:
                reads.setdefault(scan, []).append(node)
                inside[node] = set()
    for node in order:
        if isinstance(node, Reduce):
            for access in _below(node):
                inside[access].add(node)
    outside = {access for node in order if isinstance(node, Tensor) for access in _below(node)} | {
        access for node in order if isinstance(node, Scan) for body in (*node.inits, *node.steps)
        for access in _met(body)} | {access for node in order if isinstance(node, Access) for index in node.indices
                                     for access in _met(index)}
    extents = extents_of_ranks(order)
    for scan, accesses in reads.items():
        if any(access in outside or not inside[access] for access in accesses):
            continue
        readers = {reduce for access in accesses for reduce in inside[access]}
        # what the scan is free in and a reduction binds becomes an axis of its states
        more = tuple(sorted({rank for reduce in readers for rank in reduce.ranks if rank in scan.free},
                            key=lambda rank: rank.name))
        chosen: dict[Reduce, tuple[Rank, tuple[Rank, ...]]] = {}
        outer = scan.free.difference(more)
        for access, reduce in ((one, reader) for one in accesses for reader in inside[one]):
            time = access.indices[0]
            axes = tuple(sorted((rank for rank in reduce.free - outer if rank is not getattr(time, "rank", None)),
                                key=lambda rank: rank.name))
            if not (isinstance(time, Index) and _fits(reduce, scan, access, (*axes, *more), extents)
                    and chosen.setdefault(reduce, (time.rank, axes)) == (time.rank, axes)):
                break
        else:
            yield scan, more, chosen, extents


def _fits(reduce: Reduce, scan: Scan, access: Access, axes: tuple[Rank, ...], extents: Mapping[Rank, Expr]) -> bool:
    """Whether a reduction may be taken inside the steps, and leaves less than it reads: it has no ranks of its own,
    such as a product with a matrix, which is better done for all steps at once."""
    time, shown = access.indices[0].rank, scan.free.union(*(index.free for index in access.indices[1:]))
    under = [node for node in postorder(*reduce.bodies) if bound_here(node)]
    nested = any(isinstance(node, Access) and isinstance(node.source, History) and node.source.scan is scan
                 for node in postorder(*under)) if under else False
    return len(reduce.bodies) == 1 and not nested and time in reduce.free and time not in shown and (
        shown.issuperset(axes) and scan.rank not in axes and all(rank in extents for rank in axes)) and not any(
        isinstance(variable, Label) for variable in reduce.free | scan.free) and scan.free.isdisjoint(
        rank for some in scan.axes for rank in some)


def _below(node: Reduce | Tensor) -> Iterator[Access]:
    """The histories that a binder's bodies read, not under another binder."""
    for body in node.bodies if isinstance(node, Reduce) else (node.body,):
        yield from _met(body)


def _met(expr: Node) -> Iterator[Access]:
    return (access for access in histories_in(expr) if not access.source.scan.last)


def histories_in(expr: Node) -> Iterator[Access]:
    """The reads of histories in an expression, not under a binder inside it."""
    stack, seen = [expr], set()
    while stack:
        node = stack.pop()
        if node in seen or bound_here(node):
            continue
        seen.add(node)
        if isinstance(node, Access):
            if isinstance(node.source, History):
                yield node
            stack += node.indices
        else:
            stack += node.below


def extents_of_ranks(order: list[Node]) -> dict[Rank, Expr]:
    """The extents of ranks that have one in the whole program."""
    found: dict[Rank, set[Expr]] = {}
    for node in order:
        for rank, extent in extents_here(node).items():
            found.setdefault(rank, set()).add(extent)
    return {rank: next(iter(extents)) for rank, extents in found.items() if len(extents) == 1}


def _with(scan: Scan, more: tuple[Rank, ...], reductions: Mapping[Reduce, tuple[Rank, tuple[Rank, ...]]],
          extents: Mapping[Rank, Expr]) -> Scan:
    """The scan with `more` ranks as axes of its states, and a state for each reduction, made of what its states are
    after a step (before it, if it is exclusive)."""
    label = Label(f"{scan.label.name}_read")
    own = tuple(map(Index, more))

    def renamed(node: Node) -> Node | None:
        # states do not say what the scan is free in until all of them are there
        match node:
            case Access(State(found, place, dtype, ndim), indices, outside) if found is label:
                return Access(State(label, place, dtype, ndim + len(more), ()), (*indices, *own), outside)
        return None

    plain = [rewrite(substitute(step, {scan.label: Carried(label, ())}), renamed) for step in scan.steps]

    def value(access: Access) -> Expr:
        place, indices = access.source.place, access.indices[1:]
        if scan.exclusive:
            return Access(State(label, place, access.dtype, len(indices) + len(more), ()), (*indices, *own), None)
        return substitute(plain[place], dict(zip(scan.axes[place], indices)))

    axes = [(*some, *more) for some in scan.axes]
    sizes = [(*some, *(extents[rank] for rank in more)) for some in scan.extents]
    inits, steps = list(scan.inits), list(plain)
    taken = {scan.rank, *(axis for some in scan.axes for axis in some), *(rank for step in plain for rank in step.free)}
    for reduce, (time, kept) in reductions.items():
        names = {rank: fresh(rank, {*reduce.free, *reduce.ranks, *extents, *taken})
                 for rank in reduce.ranks if rank in taken and rank not in more}
        memo: dict[Node, Node] = {}

        def inner(node: Node, memo: dict = memo) -> Node:
            if node not in memo:
                is_history = isinstance(node, Access) and isinstance(node.source, History) and node.source.scan is scan
                memo[node] = value(node) if is_history else rebuild(node, inner)
            return memo[node]

        bodies = tuple(substitute(body, {rank: Index(name) for rank, name in names.items()}) for body in reduce.bodies)
        element = Reduce(reduce.monoid, tuple(names.get(rank, rank) for rank in reduce.ranks), reduce.extents,
                         tuple(map(inner, bodies)))
        axes.append(kept)
        sizes.append(tuple(extents[rank] for rank in kept))
        inits.append(const(0, reduce.dtype))
        steps.append(substitute(element, {time: Index(scan.rank)}))
    return carried(Scan(scan.rank, scan.extent, label, tuple(axes), tuple(sizes), tuple(inits), tuple(steps), False,
                        scan.reverse, False))

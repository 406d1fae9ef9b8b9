"""States of scans that nothing reads: what is left of a scan of which some states were taken out."""

from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.nodes import Access, Carried, Cascade, History, Scan, State
from einfall.cascade.scope import carried, substitute

__all__ = ["without_unread_states"]


def without_unread_states(cascade: Cascade) -> Cascade:
    """The program whose scans have only states that are read: by what reads histories, or by steps of such states."""
    order = list(postorder(*cascade.outputs))
    read: dict[Scan, set[int]] = {}
    for node in order:
        if isinstance(node, History):
            read.setdefault(node.scan, set()).add(node.place)
    for scan, places in read.items():
        found = [*places]
        while found:
            more = _read_by(scan, found.pop()) - places
            places |= more
            found += more
    memo: dict[Node, Node] = {}
    for node in order:  # a scan is rebuilt before what reads it
        if isinstance(node, History):
            kept = sorted(read[node.scan])
            if len(kept) < len(node.scan.inits):
                scan = rewrite(node.scan, None, memo)
                memo[node] = History(_with_only(scan, kept), kept.index(node.place))
        elif isinstance(node, Scan) and memo:
            scan = rewrite(node, None, memo)
            if scan is not node:
                memo[node] = carried(scan)  # what it reads may be free in less than before
    if not memo:
        return cascade
    return Cascade(cascade.name, cascade.inputs, tuple(rewrite(output, None, memo) for output in cascade.outputs))


def _read_by(scan: Scan, place: int) -> set[int]:
    return {node.place for node in postorder(scan.steps[place]) if isinstance(node, State) and node.label is scan.label}


def _with_only(scan: Scan, kept: list[int]) -> Scan:
    """The scan with some of its states."""
    def renumbered(node: Node) -> Node | None:
        match node:
            case Access(State(label, place, dtype, ndim), indices, outside) if label is scan.label:
                return Access(State(label, kept.index(place), dtype, ndim, ()), indices, outside)
        return None

    # what states say that they are free in is written anew: it may be less
    steps = [substitute(scan.steps[place], {scan.label: Carried(scan.label, ())}) for place in kept]
    return carried(Scan(scan.rank, scan.extent, scan.label, tuple(scan.axes[place] for place in kept),
                        tuple(scan.extents[place] for place in kept), tuple(scan.inits[place] for place in kept),
                        tuple(rewrite(step, renumbered) for step in steps), scan.exclusive, scan.reverse, scan.last))

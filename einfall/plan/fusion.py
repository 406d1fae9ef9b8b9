"""Whether a derived state is worth its corrections, for given sizes.

Several sweeps through what lies in the cache of a core cost little more than one; a state costs its corrections. So a
state is used where it saves
- special functions: the program as written needs more of them for an element, with those that late values need again;
- memory: its elements are reductions themselves, and would be kept for the whole rank;
- traffic: a row of elements, without a mask on the rank, does not fit into the cache of a core.
"""

from collections.abc import Callable

from einfall.base.node import Node, children, postorder
from einfall.cascade.domain import is_domain
from einfall.cascade.explicit import COSTLY
from einfall.cascade.nodes import Access, Cascade, Index, Input, Rank, Reduce, Scan
from einfall.derive.derive import Derivation, Derived
from einfall.lower.scatters import scatter_of
from einfall.scalar.nodes import Expr, Map, Select

__all__ = ["CORE_BYTES", "worthwhile"]

CORE_BYTES = 2**20  # the cache of a core


def worthwhile(derivation: Derivation, cascade: Cascade, size: Callable[[Expr], int]) -> frozenset[int]:
    """The places of the states that are used; `size` gives the value of an extent."""
    if derivation.running is not None:
        cascade = derivation.running.cascade
    return frozenset(place for place, state in enumerate(derivation.states) if _is_worthwhile(state, cascade, size))


def _is_worthwhile(state: Derived, cascade: Cascade, size: Callable[[Expr], int]) -> bool:
    fused = state.fused
    elements = (Reduce(one.monoid, fused.ranks, fused.extents, (one.element,)) for one in fused.components)
    if any(scatter_of(reduce) is not None for reduce in (*state.members, *elements)):
        return False  # stores at computed indices go through the elements once; a state would for each place
    rank = state.fused.ranks[0]
    late = _late_values(state, cascade)
    written = _specials([*(member.bodies[0] for member in state.members), *late], rank)
    derived = _specials([component.element for component in state.fused.components], rank)
    derived += _specials(late, rank)
    if derived > written:
        return False
    elements = [node for component in state.fused.components for node in postorder(component.element)
                if rank in getattr(node, "free", ())]
    if derived < written or (not late and any(isinstance(node, Reduce | Scan) for node in elements)):
        return True
    if any(isinstance(node, Select) and is_domain(node.condition) and rank in node.condition.free for node in elements):
        return False  # a mask may leave a few elements of a row, and portions beyond it are visited for nothing
    length = 1
    for extent in state.fused.extents:
        length *= size(extent)
    read = {node for node in elements if isinstance(node, Access) and isinstance(node.source, Input)
            and Index(rank) in node.indices}
    return length * sum(node.dtype.bits // 8 for node in read) > CORE_BYTES


def _late_values(state: Derived, cascade: Cascade) -> list[Expr]:
    """Expressions of the rank outside of the state that read one of its members: they need a sweep of their own."""
    members, rank = set(state.members), state.fused.ranks[0]
    inside = {node for member in members for node in postorder(member)}
    found: list[Expr] = []
    for node in postorder(*cascade.outputs):
        if isinstance(node, Map) and node not in inside and rank in node.free:
            mixed = any(rank not in getattr(child, "free", ()) and not members.isdisjoint(_read(child))
                        for child in children(node))
            if mixed:
                found.append(node)
    return found


def _read(node: Node) -> set[Node]:
    return set(postorder(node))


def _specials(roots: list[Expr], rank: Rank) -> int:
    """How many different special functions of elements expressions need, not looking into inner reductions."""
    seen: set[Node] = set()
    stack: list[Node] = list(roots)
    count = 0
    while stack:
        node = stack.pop()
        if node in seen or rank not in getattr(node, "free", ()):
            continue
        seen.add(node)
        count += isinstance(node, Map) and node.op.name in COSTLY and node.dtype.is_float
        if not isinstance(node, Reduce | Scan):
            stack.extend(children(node))
    return count

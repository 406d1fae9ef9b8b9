"""Reductions over the same ranks: which of them depend on which, and over which other ranks."""

from collections.abc import Collection
from typing import NamedTuple

from einfall.base.node import Node, children, postorder
from einfall.cascade.nodes import Cascade, Rank, Reduce, Scan, Tensor
from einfall.cascade.scope import bound_here
from einfall.cascade.states import Fused
from einfall.derive.fuse import Group, Proof
from einfall.derive.sums import Refused
from einfall.scalar.nodes import Expr

__all__ = ["SHORT", "Derived", "Family", "Refusal", "axes_of", "connected", "extents_of_free_ranks"]

SHORT = 16  # a rank of a known extent up to this is in registers anyway


class Refusal(NamedTuple):
    """A reduction that was not brought into the sweep of its references, and why."""

    reduction: Reduce
    reason: str


class Derived(NamedTuple):
    """One state: its node, the group it was made by, and how each member was derived.

    points: the ranks at each of which the state is wanted, of what came before (after, with `is_reverse`).
    """

    fused: Fused
    group: Group
    members: tuple[Reduce, ...]
    proofs: tuple[Proof, ...]
    points: frozenset[Rank] = frozenset()
    is_reverse: bool = False


class Family:
    """Reductions over the same ranks, each after those that it reads, and which of them each reads."""

    def __init__(self, members: list[Reduce]):
        self.members = members
        place = {member: 1 << number for number, member in enumerate(members)}
        below: dict[Node, int] = {}  # the members that a node reads, not those below them, as bits
        for node in postorder(*members):
            found = 0
            for child in children(node):
                found |= place.get(child) or below[child]
            below[node] = found
        self.reads = {member: [other for other in members if below[member] & place[other]] for member in members}

    def read(self, node: Reduce, among: Collection[Reduce]) -> list[Reduce]:
        """Those of some members that a body reads."""
        return [item for item in self.reads[node] if item in among]


def axes_of(node: Reduce, outer: frozenset, extents: dict) -> dict[Rank, Expr]:
    """The ranks of a reduction that are axes of its component, with their extents. Raises: Refused."""
    axes = {}
    for rank in node.free - outer:
        found = extents.get((node, rank), set())
        if not isinstance(rank, Rank) or len(found) != 1:
            raise Refused(f"{rank.name} has several extents where it is used")
        (axes[rank],) = found
    return axes


def connected(family: Family, nodes: list[Reduce]) -> list[list[Reduce]]:
    """The nodes in sets that are connected by dependence, each in the order given."""
    leader = {node: node for node in nodes}

    def find(node: Reduce) -> Reduce:
        while leader[node] is not node:
            node = leader[node]
        return node

    for node in nodes:
        for item in family.read(node, leader):
            leader[find(node)] = find(item)
    sets: dict[Reduce, list[Reduce]] = {}
    for node in nodes:
        sets.setdefault(find(node), []).append(node)
    return list(sets.values())


def extents_of_free_ranks(cascade: Cascade) -> dict[tuple[Node, Node], set[Expr]]:
    """The extents that a free rank of a node has, over all its uses."""
    around: dict[Node, dict[Node, set[Expr]]] = {}
    for node in reversed(list(postorder(*cascade.outputs))):
        own = around.setdefault(node, {})
        bound: dict[Node, set[Expr]] = {}
        match node:
            case Tensor(ranks, extents) | Reduce(_, ranks, extents):
                bound = {rank: {extent} for rank, extent in zip(ranks, extents)}
            case Scan():
                bound = {rank: {extent} for axes, sizes in zip(node.axes, node.extents)
                         for rank, extent in zip(axes, sizes)}
                bound[node.rank] = {node.extent}
        for child in children(node):
            below = around.setdefault(child, {})
            for variable in getattr(child, "free", ()):
                if variable in bound or variable not in bound_here(node):
                    here = bound.get(variable, own.get(variable, set()))
                    below[variable] = below.get(variable, set()) | here
    return {(node, variable): found for node, table in around.items() for variable, found in table.items()}

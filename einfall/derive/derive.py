"""The driver: which reductions of a cascade depend on each other over one rank, and what became of them.

A reduction that cannot be brought into the sweep in which its references are computed is refused with a reason, and
starts the next sweep, in which they are known. The result never has more sweeps than the program as it was written.
"""

import time
from collections.abc import Collection
from typing import NamedTuple

from einfall.base.node import Node, children, postorder, rewrite
from einfall.cascade.explicit import inline
from einfall.cascade.nodes import Cascade, Rank, Reduce, Scan, Tensor
from einfall.cascade.scope import bound_here
from einfall.cascade.states import Fused
from einfall.derive.forms import NoForm
from einfall.derive.fuse import Group, Proof
from einfall.derive.reading import NotSeparable
from einfall.derive.sums import Refused
from einfall.scalar.nodes import Const, Expr

__all__ = ["Derivation", "Derived", "Refusal", "derive"]

SHORT = 16  # a rank of a known extent up to this is in registers anyway


class Refusal(NamedTuple):
    """A reduction that was not brought into the sweep of its references, and why."""

    reduction: Reduce
    reason: str


class Derived(NamedTuple):
    """One state: its node, the group it was made by, and how each member was derived."""

    fused: Fused
    group: Group
    members: tuple[Reduce, ...]
    proofs: tuple[Proof, ...]


class Derivation(NamedTuple):
    """What a cascade became: the cascade with fused reductions, the states in it, and what was refused."""

    cascade: Cascade
    states: tuple[Derived, ...]
    refusals: tuple[Refusal, ...]
    seconds: float


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


def derive(cascade: Cascade, wanted: frozenset[int] | None = None) -> Derivation:
    """The cascade in which dependent reductions over a rank go through it together, as far as algebra allows.

    wanted: the places of the states that the cascade is to have; all of them are derived and told in any case.
    """
    begin = time.perf_counter()
    original, cascade = cascade, inline(cascade, only_bare=True)
    extents = _extents_of_free_ranks(cascade)
    states: list[Derived] = []
    refusals: list[Refusal] = []
    done: dict[Node, Node] = {}
    for members in _families(cascade):
        _derive_family(Family(members), extents, done, states, refusals, wanted)
    if not done:
        return Derivation(original, tuple(states), tuple(refusals), time.perf_counter() - begin)
    outputs = tuple(rewrite(output, None, done) for output in cascade.outputs)
    made = Cascade(cascade.name, cascade.inputs, outputs)
    return Derivation(made, tuple(states), tuple(refusals), time.perf_counter() - begin)


def _families(cascade: Cascade) -> list[list[Reduce]]:
    """The reductions over the same ranks, each after those that it depends on."""
    families: dict[tuple, list[Reduce]] = {}
    for node in postorder(*cascade.outputs):
        if isinstance(node, Reduce) and len(node.bodies) == 1 and node.ranks:
            if isinstance(node.extents[0], Const) and node.extents[0].value <= SHORT:
                continue
            families.setdefault((node.ranks, node.extents), []).append(node)
    return [members for members in families.values() if len(members) > 1]


def _derive_family(family: Family, extents: dict, done: dict, states: list[Derived],
                   refusals: list[Refusal], wanted: frozenset[int] | None) -> None:
    """Sweep after sweep, the groups of reductions that depend on each other."""
    pending = dict.fromkeys(family.members)
    while any(family.read(node, pending) for node in pending):
        deferred: dict[Reduce, None] = {}
        for connected in _connected(family, list(pending)):
            deferred |= _derive_group(family, connected, extents, done, states, refusals, wanted)
        if len(deferred) == len(pending):
            return  # none of them could be taken even as the first of its sweep
        pending = {node: None for node in pending if node in deferred}


def _derive_group(family: Family, connected: list[Reduce], extents: dict, done: dict, states: list[Derived],
                  refusals: list[Refusal], wanted: frozenset[int] | None) -> dict[Reduce, None]:
    """One state from reductions that depend on each other; those that it cannot hold are refused and given back."""
    refused: dict[Reduce, None] = {}
    here = dict.fromkeys(connected)
    dependent = [node for node in connected if family.read(node, here)]
    if not dependent:
        return {}
    outer = frozenset.intersection(*(node.free for node in dependent))
    group = Group(dependent[0].ranks, dependent[0].extents, len(states))
    taken: list[Reduce] = []
    for node in connected:
        if family.read(node, refused):
            refused[node] = None  # it follows in the next sweep
            continue
        try:
            axes = _axes(node, outer, extents)
            group.add(node, axes)
            taken.append(node)
        except (Refused, NotSeparable, NoForm) as problem:
            refusals.append(Refusal(node, str(problem)))
            refused[node] = None
    if group.proofs:
        fused = group.fused(done)
        states.append(Derived(fused, group, tuple(taken), tuple(group.proofs)))
        for node in taken if wanted is None or len(states) - 1 in wanted else ():
            if outer <= node.free:  # else it is computed for each of those ranks inside, and by itself for others
                done[node] = group.totals(node, fused, done)
    return refused


def _axes(node: Reduce, outer: frozenset, extents: dict) -> dict[Rank, Expr]:
    """The ranks of a reduction that are axes of its component, with their extents. Raises: Refused."""
    axes = {}
    for rank in node.free - outer:
        found = extents.get((node, rank), set())
        if not isinstance(rank, Rank) or len(found) != 1:
            raise Refused(f"{rank.name} has several extents where it is used")
        (axes[rank],) = found
    return axes


def _connected(family: Family, nodes: list[Reduce]) -> list[list[Reduce]]:
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


def _extents_of_free_ranks(cascade: Cascade) -> dict[tuple[Node, Node], set[Expr]]:
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

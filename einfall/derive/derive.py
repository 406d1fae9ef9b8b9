"""The driver: which reductions of a cascade depend on each other over one rank, and what became of them.

A reduction that cannot be brought into the sweep in which its references are computed is refused with a reason, and
starts the next sweep, in which they are known. The result never has more sweeps than the program as it was written.
"""

import time
from typing import NamedTuple

from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.explicit import inline
from einfall.cascade.nodes import Cascade, Label, Reduce
from einfall.derive.families import SHORT, Derived, Family, Refusal, axes_of, connected, extents_of_free_ranks
from einfall.derive.forms import NoForm
from einfall.derive.fuse import Group
from einfall.derive.reading import NotSeparable
from einfall.derive.running import Running, running
from einfall.derive.sums import Refused
from einfall.scalar.nodes import Const

__all__ = ["Derivation", "Derived", "Refusal", "derive"]


class Derivation(NamedTuple):
    """What a cascade became: the cascade with fused reductions, the states in it, and what was refused.

    running: the reductions of what came before each point that became scans, which are in use always; None: none did.
    """

    cascade: Cascade
    states: tuple[Derived, ...]
    refusals: tuple[Refusal, ...]
    seconds: float
    running: Running | None = None


def derive(cascade: Cascade, wanted: frozenset[int] | None = None) -> Derivation:
    """The cascade in which dependent reductions over a rank go through it together, as far as algebra allows.

    wanted: the places of the states that the cascade is to have; all of them are derived and told in any case.
    """
    begin = time.perf_counter()
    original, cascade = cascade, inline(cascade, only_bare=True)
    before = running(cascade)
    if before is not None:
        original = cascade = before.cascade
    extents = extents_of_free_ranks(cascade)
    states: list[Derived] = []
    refusals: list[Refusal] = []
    done: dict[Node, Node] = {}
    for members in _families(cascade, frozenset() if before is None else before.labels):
        _derive_family(Family(members), extents, done, states, refusals, wanted)
    if not done:
        return Derivation(original, tuple(states), tuple(refusals), time.perf_counter() - begin, before)
    outputs = tuple(rewrite(output, None, done) for output in cascade.outputs)
    made = Cascade(cascade.name, cascade.inputs, outputs)
    return Derivation(made, tuple(states), tuple(refusals), time.perf_counter() - begin, before)


def _families(cascade: Cascade, labels: frozenset[Label]) -> list[list[Reduce]]:
    """The reductions over the same ranks, each after those that it depends on; those that read states with these labels
    belong to a state already."""
    families: dict[tuple, list[Reduce]] = {}
    for node in postorder(*cascade.outputs):
        if isinstance(node, Reduce) and len(node.bodies) == 1 and node.ranks and labels.isdisjoint(node.free):
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
        for together in connected(family, list(pending)):
            deferred |= _derive_group(family, together, extents, done, states, refusals, wanted)
        if len(deferred) == len(pending):
            return  # none of them could be taken even as the first of its sweep
        pending = {node: None for node in pending if node in deferred}


def _derive_group(family: Family, together: list[Reduce], extents: dict, done: dict, states: list[Derived],
                  refusals: list[Refusal], wanted: frozenset[int] | None) -> dict[Reduce, None]:
    """One state from reductions that depend on each other; those that it cannot hold are refused and given back."""
    refused: dict[Reduce, None] = {}
    here = dict.fromkeys(together)
    dependent = [node for node in together if family.read(node, here)]
    if not dependent:
        return {}
    outer = frozenset.intersection(*(node.free for node in dependent))
    group = Group(dependent[0].ranks, dependent[0].extents, len(states))
    taken: list[Reduce] = []
    for node in together:
        if family.read(node, refused):
            refused[node] = None  # it follows in the next sweep
            continue
        try:
            axes = axes_of(node, outer, extents)
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

"""Reductions of what came before, for every point at once: a scan instead of a reduction for each.

    sum[k < K](where(k <= t, x[k], 0))        for each t < K    is    sum[k < t + 1](x[k])

The sum over k < t + 1 is what a scan over k has after step t. So is the state of several such reductions that depend
on each other, with what `fuse` derives for reductions over any number of elements: t + 1 is how many there are so far.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.bounds import bounds_of, conjuncts, guarded, linear
from einfall.cascade.nodes import Access, Cascade, History, Index, Label, Rank, Reduce, Scan
from einfall.cascade.presence import absence
from einfall.cascade.scope import bound_here
from einfall.cascade.states import Total
from einfall.cascade.unfold import by_element
from einfall.derive.families import SHORT, Derived, Family, axes_of, connected, extents_of_free_ranks
from einfall.derive.forms import NoForm
from einfall.derive.fuse import Group
from einfall.derive.reading import NotSeparable
from einfall.derive.sums import Refused
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.nodes import Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["Running", "running"]


class Before(NamedTuple):
    """Which coordinates of a rank count at a point: those before it, or after it with `is_reverse`; it too or not."""

    rank: Rank
    point: Rank
    is_reverse: bool
    is_exclusive: bool

    def count(self, extent: Expr) -> Expr:
        """How many coordinates count."""
        one, point = Const(1, I64), Index(self.point)
        if not self.is_reverse:
            return point if self.is_exclusive else Map(OPS["add"], (point, one))
        left = Map(OPS["subtract"], (extent, point))
        return Map(OPS["subtract"], (left, one)) if self.is_exclusive else left


class Running(NamedTuple):
    """States of reductions of what came before, and the reductions over as many elements in place of the program's.

    inside: what expressions are in the bodies of those reductions; labels: of the scans.
    """

    cascade: Cascade
    states: tuple[Derived, ...]
    plain: Mapping[Reduce, Reduce]
    inside: Mapping[Node, Node]
    labels: frozenset[Label]


def running(cascade: Cascade) -> Running | None:
    """The cascade with scans in place of reductions of what came before each point; None where there are none."""
    families: dict[tuple, list[Reduce]] = {}
    extents = None
    for node in postorder(*cascade.outputs):
        if isinstance(node, Reduce) and len(node.bodies) == 1 and node.ranks:
            found = _before(node)
            if found is None:
                continue
            extents = extents_of_free_ranks(cascade) if extents is None else extents
            if extents.get((node, found.point)) == {_extent(node, found.rank)}:
                families.setdefault((node.ranks, node.extents, found), []).append(node)
    done: dict[Node, Node] = {}
    states: list[Derived] = []
    plain: dict[Reduce, Reduce] = {}
    inside: dict[Node, Node] = {}
    labels: set[Label] = set()
    for (_, _, before), members in families.items():
        twins = {}
        for member in members:
            twins[member] = _without(before, member, twins, inside)
        plain |= twins
        for scan, state in _states(before, twins, extents, done, len(states)):
            states.append(state)
            labels.add(scan.label)
    if not done:
        return None
    outputs = tuple(rewrite(output, None, done) for output in cascade.outputs)
    return Running(Cascade(cascade.name, cascade.inputs, outputs), tuple(states), plain, inside, frozenset(labels))


def _before(node: Reduce) -> Before | None:
    """Which elements of a reduction count, if that is a matter of being before or after another rank."""
    for condition in _conditions(node):
        for rank, extent in zip(node.ranks, node.extents):
            if isinstance(extent, Const) and extent.value <= SHORT:
                continue
            found = _as_before(condition, rank, extent)
            if found is not None and found.point in node.free:
                return found
    return None


def _conditions(node: Reduce) -> list[Expr]:
    """The conditions under which an element is not the identity."""
    (body,), (identity, *_) = node.bodies, node.monoid.identity
    conditions, body = guarded(body, identity)
    return conditions + [condition for gone, value in absence(body) if value is identity
                         for condition in conjuncts(gone, holds=False)]


def _as_before(condition: Expr, rank: Rank, extent: Expr) -> Before | None:
    """k < t, k <= t, k >= t or k > t, however it is written."""
    match bounds_of(condition, rank, extent):
        case ((), (end,)):
            is_reverse, border = False, end
        case ((begin,), ()):
            is_reverse, border = True, begin
        case _:
            return None
    for point in border.free:
        match linear(border, point):
            case (1, Const(by)) if by in (0, 1):
                return Before(rank, point, is_reverse, is_reverse == (by == 1))
    return None


def _extent(node: Reduce, rank: Rank) -> Expr:
    return node.extents[node.ranks.index(rank)]


def _states(before: Before, twins: Mapping[Reduce, Reduce], extents: dict, done: dict[Node, Node], number: int
            ) -> Iterator[tuple[Scan, Derived]]:
    """The members of one family as states of scans, as far as algebra allows; others stay as they are.

    twins: the members, each with the reduction over as many elements; done: learns what stands for members.
    """
    sizes = {(twin, rank): extents[member, rank] for member, twin in twins.items() for rank in twin.free}
    family, originals = Family(list(twins.values())), {twin: member for member, twin in twins.items()}
    for together in connected(family, family.members):
        outer = frozenset.intersection(*(node.free for node in together)) | {before.point}
        group = Group(together[0].ranks, together[0].extents, number)
        taken: list[Reduce] = []
        for node in together:
            if set(family.read(node, together)) <= set(taken):
                try:
                    group.add(node, axes_of(node, outer, sizes))
                    taken.append(node)
                except (Refused, NotSeparable, NoForm):
                    continue  # it stays a reduction for each point, and `derive` says why if it could be more
        fused = group.fused(done)
        if not taken or before.point in fused.free:
            continue  # more than how many there are so far
        scan = by_element(fused, _extent(originals[taken[0]], before.rank), number,
                          is_exclusive=before.is_exclusive, is_reverse=before.is_reverse)
        memo = {Access(Total(fused, place), tuple(map(Index, component.axes)), None):
                Access(History(scan, place), (Index(before.point), *map(Index, component.axes)), None)
                for place, component in enumerate(fused.components)}
        for node in taken:
            done[originals[node]] = rewrite(group.totals(node, fused, done), None, dict(memo))
        number += 1
        yield scan, Derived(fused, group, tuple(taken), tuple(group.proofs), frozenset((before.point,)),
                            before.is_reverse)


def _without(before: Before, member: Reduce, twins: Mapping[Reduce, Reduce],
             inside: dict[Node, Node]) -> Reduce:
    """A reduction of what came before as one over as many elements, all of which count.

    inside: learns what became of expressions in its body.
    """
    place = member.ranks.index(before.rank)
    extent = member.extents[place]

    def is_known(condition: Expr) -> bool:
        return _as_before(condition, before.rank, extent) == before

    def rule(node: Node) -> Node | None:
        if isinstance(node, Select):
            return _chosen(node, is_known)
        return None

    (body,), (identity, *_) = member.bodies, member.monoid.identity
    conditions, element = guarded(body, identity)
    if element is Const(True, BOOL):  # a condition as it is
        body = Select(_all(conditions), element, identity)
    memo: dict[Node, Node] = dict(twins)
    for node in postorder(body, known=memo):
        if not bound_here(node).isdisjoint((before.rank, before.point)):
            memo[node] = node  # these ranks are others there
    body = rewrite(body, rule, memo)
    inside |= memo
    others = [number for number in range(len(member.ranks)) if number != place]
    return Reduce(member.monoid, (before.rank, *(member.ranks[other] for other in others)),
                  (before.count(extent), *(member.extents[other] for other in others)), (body,))


def _chosen(node: Select, is_known: Callable[[Expr], bool]) -> Expr:
    """A selection where some of the conditions that it asks for hold."""
    for holds, yes, no in ((True, node.yes, node.no), (False, node.no, node.yes)):
        asked = conjuncts(node.condition, holds)
        left = [condition for condition in asked if not is_known(condition)]
        if len(left) < len(asked):
            return Select(_all(left), yes, no) if left else yes
    return node


def _all(conditions: list[Expr]) -> Expr:
    made = conditions[0]
    for condition in conditions[1:]:
        made = Map(OPS["bitwise_and"], (made, condition))
    return made

"""Fused reductions as scans over portions of their elements: the online form, in the language of the user."""

from einfall.base.node import Node, postorder, rebuild, rewrite
from einfall.cascade.nodes import Access, Cascade, History, Index, Label, Rank, Reduce, Scan, State
from einfall.cascade.scope import carried, fresh
from einfall.cascade.states import Component, Fused, Total, component_value
from einfall.scalar.dtypes import I64
from einfall.scalar.monoids import combined
from einfall.scalar.nodes import Const, Expr, Map, Select, cast
from einfall.scalar.ops import OPS

__all__ = ["by_element", "unfold"]


def unfold(cascade: Cascade, portion: int) -> Cascade:
    """The cascade with a scan for each fused reduction, whose steps take `portion` coordinates of its first rank.

    Raises: ValueError for a portion below 1.
    """
    if portion < 1:
        raise ValueError(f"portions of {portion}")
    done: dict[Node, Node] = {}
    scans: dict[Node, Scan] = {}
    for node in postorder(*cascade.outputs):
        if isinstance(node, Fused):
            inner = rebuild(node, done.__getitem__)
            scans[node] = _scan(inner, portion, len(scans))
            done[node] = inner
        elif isinstance(node, Total):
            done[node] = History(scans[node.fused], node.place)
        else:
            done[node] = rebuild(node, done.__getitem__)
    return Cascade(cascade.name, cascade.inputs, tuple(done[output] for output in cascade.outputs))


def by_element(fused: Fused, extent: Expr, number: int, *, is_exclusive: bool, is_reverse: bool) -> Scan:
    """The scan whose states at each step are the totals of the elements of the first rank so far, that one included
    or not; from the end with `is_reverse`. Of the last element, which nobody reads then, nothing is computed.

    extent: of the whole rank; number: tells this state from others.
    """
    first = fused.ranks[0]
    inside = None
    if is_exclusive:
        last = Const(0, I64) if is_reverse else _map("subtract", extent, Const(1, I64))
        inside = _map("not_equal", Index(first), last)
    label = Label(f"{first.name}_so_far{number or ''}")
    return _stepped(fused, first, extent, label, inside, None, (is_exclusive, is_reverse, False))


def _scan(fused: Fused, portion: int, number: int) -> Scan:
    """The scan over portions whose last states are the totals."""
    taken = {rank for node in postorder(fused) for rank in getattr(node, "free", ()) if isinstance(rank, Rank)}
    taken |= {*fused.ranks, *(axis for component in fused.components for axis in component.axes)}
    first, extent = fused.ranks[0], fused.extents[0]
    step = fresh(first, taken)
    size = Const(portion, I64)
    begin = _map("multiply", Index(step), size)
    end = _map("add", begin, size)
    inside = _map("bitwise_and", _map("greater_equal", Index(first), begin), _map("less", Index(first), end))
    length = _map("subtract", _map("minimum", extent, end), begin)
    portions = _map("floor_divide", _map("add", extent, Const(portion - 1, I64)), size)
    label = Label(f"{first.name}_state{number or ''}")
    return _stepped(fused, step, portions, label, inside, length, (False, False, True))


def _stepped(fused: Fused, rank: Rank, extent: Expr, label: Label, inside: Expr | None, length: Expr | None,
             flags: tuple[bool, bool, bool]) -> Scan:
    """A scan over portions of the first rank, those coordinates that are `inside`, `length` of them; None: one each."""
    now = [component_value(label, place, component.monoid, component.axes)
           for place, component in enumerate(fused.components)]
    steps: list[Expr] = []
    for component in fused.components:
        before = _replaced(component.moved, fused, now, steps)
        element = _replaced(component.element, fused, now, steps)
        together = _fold(fused, component, element, inside, length)
        steps.append(combined(component.monoid, (before,), (together,))[0])
    return carried(Scan(rank, extent, label, tuple(component.axes for component in fused.components),
                        tuple(component.extents for component in fused.components),
                        tuple(component.monoid.identity[0] for component in fused.components), tuple(steps), *flags))


def _map(name: str, left: Expr, right: Expr) -> Expr:
    return Map(OPS[name], (left, right))


def _replaced(expr: Expr, fused: Fused, now: list[Expr], steps: list[Expr]) -> Expr:
    """An expression of a component with the states as a scan has them before, and as they are computed after."""

    def rule(node):
        match node:
            case Access(State(label, place)) if label is fused.before:
                return now[place]
            case Access(State(label, place)) if label is fused.after:
                return steps[place]
        return None

    return rewrite(expr, rule)


def _fold(fused: Fused, component: Component, element: Expr, inside: Expr | None, length: Expr | None) -> Expr:
    """The elements of one portion, brought together; what does not differ between them is multiplied."""
    guarded = element if inside is None else Select(inside, element, component.monoid.identity[0])
    single = length is None  # one coordinate of the first rank
    ranks, extents = fused.ranks[single:], fused.extents[single:]
    if not ranks:
        return guarded
    if component.monoid.name == "sum" and element.free.isdisjoint(fused.ranks):
        for extent in fused.extents[1:]:
            length = extent if length is None else _map("multiply", length, extent)
        return _map("multiply", cast(length, element.dtype), element)
    return Reduce(component.monoid, ranks, extents, (guarded,))

"""Fused reductions as scans over portions of their elements: the online form, in the language of the user."""

from collections.abc import Iterable

from einfall.base.node import Node, postorder, rebuild, rewrite
from einfall.cascade.nodes import Access, Cascade, History, Index, Label, Rank, Reduce, Scan, State
from einfall.cascade.scope import carried, fresh
from einfall.cascade.states import Component, Fused, Total, component_value
from einfall.scalar.dtypes import DTYPES, I64
from einfall.scalar.monoids import combined
from einfall.scalar.nodes import Cast, Const, Expr, Map, Rounded, Select, cast
from einfall.scalar.ops import OPS

__all__ = ["by_element", "unfold"]

F32, F64 = DTYPES["f32"], DTYPES["f64"]
LINEAR = frozenset(("add", "subtract", "multiply", "divide", "negative"))


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
    now, steps = _steps(fused, label, inside, None)
    sums = [place for place, component in enumerate(fused.components)
            if component.monoid.name == "sum" and component.monoid.dtypes[0] is F32]
    more = _in_f64(label, now, steps, sums)
    return _made(fused, [*range(len(now)), *sums], [*steps, *more], first, extent, label,
                 (is_exclusive, is_reverse, False))


def _in_f64(label: Label, now: list[Expr], steps: list[Expr], sums: list[int]) -> list[Expr]:
    """The steps of states in f64 for some that are sums in f32, which become what those are in f32.

    Added one by one, sums in f32 lose a digit in a thousand elements and two in a hundred thousand.
    """
    done: dict[Node, Expr] = {}
    shown: dict[Node, Node] = {}
    for number, place in enumerate(sums, len(now)):
        done[now[place]] = Access(State(label, number, F64, len(now[place].indices), ()), now[place].indices, None)
    for place, step in enumerate(tuple(steps)):
        if place in sums:
            shown[step] = steps[place] = Rounded(_widened(step, done, shown), F32)
        else:
            steps[place] = rewrite(step, None, dict(shown))
    return [steps[place].arg for place in sums]


def _widened(expr: Expr, done: dict[Node, Expr], shown: dict[Node, Node]) -> Expr:
    """What sums are made of, in f64 as far as it is added, multiplied and divided; done: what is already."""
    if expr not in done:
        match expr:
            case Map(op, args) if op.name in LINEAR and expr.dtype is F32:
                done[expr] = Map(op, tuple(_widened(arg, done, shown) for arg in args))
            case Select(condition, yes, no) if expr.dtype is F32:
                done[expr] = Select(rewrite(condition, None, dict(shown)), _widened(yes, done, shown),
                                    _widened(no, done, shown))
            case Cast(arg) if not arg.dtype.is_float:
                done[expr] = Cast(rewrite(arg, None, dict(shown)), F64)
            case _:
                done[expr] = cast(rewrite(expr, None, dict(shown)), F64)
    return done[expr]


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
    now, steps = _steps(fused, label, inside, length)
    return _made(fused, range(len(now)), steps, step, portions, label, (False, False, True))


def _steps(fused: Fused, label: Label, inside: Expr | None, length: Expr | None) -> tuple[list[Expr], list[Expr]]:
    """The states of a scan and their steps, over portions of the first rank: those coordinates that are `inside`,
    `length` of them; None: one each."""
    now = [component_value(label, place, component.monoid, component.axes)
           for place, component in enumerate(fused.components)]
    steps: list[Expr] = []
    for component in fused.components:
        before = _replaced(component.moved, fused, now, steps)
        element = _replaced(component.element, fused, now, steps)
        together = _fold(fused, component, element, inside, length)
        steps.append(combined(component.monoid, (before,), (together,))[0])
    return now, steps


def _made(fused: Fused, places: Iterable[int], steps: list[Expr], rank: Rank, extent: Expr, label: Label,
          flags: tuple[bool, bool, bool]) -> Scan:
    """The scan whose states are like these components, in the types of their steps."""
    components = [fused.components[place] for place in places]
    inits = tuple(cast(component.monoid.identity[0], step.dtype) for component, step in zip(components, steps))
    return carried(Scan(rank, extent, label, tuple(component.axes for component in components),
                        tuple(component.extents for component in components), inits, tuple(steps), *flags))


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

"""Definitions that read themselves, or each other, at earlier points: nested scans, one for each axis along which they
look back.

An element that is read before its tensor is defined is an access to a state that is not there yet. The definition
replaces it: D[i - 2, j] is the second state of a scan over i, whose axes are those behind i.
"""

from collections.abc import Mapping
from typing import NamedTuple

from einfall.base.errors import Line, TraceError, user_line
from einfall.base.node import Node, rebuild
from einfall.cascade import nodes as cas
from einfall.cascade.scope import carried, extents_here
from einfall.front.expression import Array, Binding, Expression, Rank, affine, lift, number, ordered
from einfall.front.trace import Again, current, unresolved
from einfall.scalar.dtypes import I64, DType
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select, cast, const
from einfall.scalar.ops import OPS

__all__ = ["Early"]

class Early:
    """A tensor before it is defined: its elements may be read by its own definition, at earlier points."""

    def __init__(self):
        self.label: cas.Label | None = None
        self.place = 0  # among the definitions of a tracing that read themselves
        self.ndim = 0
        self.outside: list = []  # what stands outside, for each reading
        self.array: Array | None = None
        self.waiting: tuple[Expression, tuple] | None = None  # a right side that reads what is not defined yet

    def define(self, value: Expression, order: tuple) -> None:
        """The right side of the definition; what waits for each other is made when the last of it is there."""
        trace = current()
        if not _open_in(value):
            self.array = ordered(value, order)
            return
        if self.label is None:  # nothing has read it yet
            self.enter(len(order))
        self.waiting = value, order
        group = [self]
        for early in group:
            if early.waiting is None:
                return
            for other, line in _open_in(early.waiting[0]):
                if other.array is not None:
                    raise TraceError("a tensor is read before it is defined", known=trace.known, where=line,
                                     repair="use its elements after its definition")
                if other not in group:
                    group.append(other)
        for early, array in zip(group, _recurrent({early: early.waiting for early in group})):
            early.array = array

    def waits_at(self) -> Line | None:
        """Where what it waits for was read first."""
        return next((line for early, line in _open_in(self.waiting[0]) if early.waiting is None), None)

    def axis(self, axis: int) -> str:
        """What stands for the extent of an axis until it is known."""
        return f"{self.label.name} axis {axis}"

    def enter(self, ndim: int) -> None:
        """Begins to stand for something."""
        trace = current()
        self.label, self.place, self.ndim = cas.Label(trace.next_label()), len(trace.early), ndim
        trace.early.append((self, user_line()))

    def read(self, index: tuple, outside=None) -> Expression:
        """An element, in the type that the tensor is thought to have."""
        trace = current()
        if self.label is None:
            self.enter(len(index))
        if len(index) != self.ndim:
            raise TraceError(f"a tensor is read with {self.ndim} indices and with {len(index)} before it is defined",
                             known=trace.known, repair="give one index per axis")
        parts, extents = [], {}
        for axis, item in enumerate(index):
            part = None if isinstance(item, tuple | slice | bool | float | str | None) else lift(item)
            if part is None or not part.dtype.is_int:
                raise TraceError(f"a tensor is read at {item!r} before it is defined", known=trace.known,
                                 repair="read it at ranks, and earlier: D[t - 1, s]")
            parts.append(part)
            for name, binding in part.extents.items():
                if binding is None and isinstance(item, Rank):  # a bare rank is the whole axis, which is not known yet
                    binding = Binding(unresolved(self.axis(axis)), f"axis {axis} of the tensor being defined")
                extents[name] = extents.get(name) or binding
        dtype = trace.guesses.get(self.place)  # none yet: an integer that takes the type of what it meets
        self.outside.append(outside)
        computed = I64 if dtype is None else dtype.computed
        node = cas.Access(cas.State(self.label, len(self.outside) - 1, computed, self.ndim, ()),
                          tuple(cast(part.node, I64) for part in parts), None)
        trace.lines[node] = user_line()
        return Expression(node, extents, weak=dtype is None, dtype=dtype)


class Look(NamedTuple):
    """How an element is found: so many steps back along an axis."""

    axis: int
    back: int


def _open_in(value: Expression) -> list[tuple[Early, Line | None]]:
    """The tensors of which an expression has elements that were read early, and where the first was."""
    return [(early, line) for early, line in current().early if early.label in value.node.free]


def _recurrent(group: Mapping[Early, tuple[Expression, tuple]]) -> list[Array]:
    """The tensors of definitions that read themselves and each other."""
    trace, shown = current(), []
    for early, (value, order) in group.items():
        if not all(isinstance(item, Rank) for item in order) or len(order) != early.ndim:
            raise TraceError(f"a tensor with {early.ndim} axes reads itself and is defined with other axes",
                             known=trace.known, repair="name one rank for each axis on the left: D[t, s] = ...")
        shown.append(ordered(value, order))
        if trace.guesses.get(early.place) is not shown[-1].dtype:
            raise Again(early.place, shown[-1].dtype)
        tensor, extents = shown[-1].source, []
        for axis, (rank, extent) in enumerate(zip(tensor.ranks, tensor.extents)):
            known = trace.representative(extent)
            is_open = isinstance(known, cas.Extent) and known.rank.name == early.axis(axis)
            extents.append(unresolved(rank.name) if is_open else known)  # the kernel has to say it
            trace.bind(early.axis(axis), extents[-1], "the definition")
        whole = cas.Tensor(tensor.ranks, tuple(extents), tensor.body)
        shown[-1] = Array(whole, whole.extents, shown[-1].name, dtype=shown[-1].dtype)
    unrolled = _Unrolled({early: array.source for early, array in zip(group, shown)})
    bodies, ranks, extents = unrolled.bodies(), unrolled.ranks, unrolled.extents
    for axis in sorted(unrolled.labels, reverse=True):
        states, label, behind = unrolled.states(axis), unrolled.labels[axis], ranks[axis + 1:]
        dtypes = [bodies[early].dtype for early, _ in states]
        # the newest element of each tensor, and its older ones one step further back
        steps = [bodies[early] if back == 1 else cas.Access(
            cas.State(label, place - 1, dtype, len(behind), ()), tuple(map(cas.Index, behind)), None)
            for place, ((early, back), dtype) in enumerate(zip(states, dtypes))]
        scan = carried(cas.Scan(ranks[axis], extents[axis], label, (behind,) * len(states),
                                (extents[axis + 1:],) * len(states), tuple(const(0, dtype) for dtype in dtypes),
                                tuple(steps), False, False, False))
        bodies = {early: cas.Access(cas.History(scan, states.index((early, 1))),
                                    tuple(map(cas.Index, ranks[axis:])), None) for early in bodies}
    return [Array(cas.Tensor(ranks, extents, bodies[early]), extents, array.name, dtype=array.dtype)
            for early, array in zip(group, shown)]


class _Unrolled:
    """Puts states in place of what definitions read of themselves and each other.

    labels: for each axis along which they look back, the label of its scan; most: how far, for each tensor.
    """

    def __init__(self, tensors: Mapping[Early, cas.Tensor]):
        self.tensors = tensors
        self.of_label = {early.label: early for early in tensors}
        first = next(iter(tensors.values()))
        self.ranks, self.extents = first.ranks, first.extents
        self.labels: dict[int, cas.Label] = {}
        self.most: dict[tuple[Early, int], int] = {}
        self.done: dict[tuple, Node] = {}
        for tensor in tensors.values():
            if tensor.ranks != self.ranks:
                names = [", ".join(rank.name for rank in ranks) for ranks in (self.ranks, tensor.ranks)]
                raise TraceError(f"definitions over [{names[0]}] and [{names[1]}] read each other",
                                 known=current().known, repair="name the same ranks on the left of both")
            for rank, extent, other in zip(self.ranks, self.extents, tensor.extents):
                current().equate(rank.name, extent, other, "one definition", "another that it reads")

    def bodies(self) -> dict[Early, Expr]:
        """The right sides with states; a first time only to see how far they look back."""
        for _ in range(2):
            self.done.clear()
            made = {early: self(tensor.body) for early, tensor in self.tensors.items()}
        return made

    def states(self, axis: int) -> list[tuple[Early, int]]:
        """The states of the scan along an axis: of each tensor, one for each step that they look back."""
        return [(early, back) for early in self.tensors for back in range(1, self.most.get((early, axis), 1) + 1)]

    def __call__(self, node: Node, inner: Mapping[cas.Rank, Expr] | None = None) -> Node:
        """`inner`: the ranks bound between the definition and here, with their extents."""
        inner = {} if inner is None else inner
        if self.of_label.keys().isdisjoint(getattr(node, "free", ())):
            return node
        key = node, frozenset(inner.items())
        if key not in self.done:
            self.done[key] = self.replaced(node, inner)
        return self.done[key]

    def replaced(self, node: Node, inner: Mapping[cas.Rank, Expr]) -> Node:
        match node:
            case cas.Access(cas.State(label=label)) if label in self.of_label:
                return self.element(node, tuple(self(index, inner) for index in node.indices), inner)
            case Cast(arg, to):
                return _cast(self(arg, inner), arg.dtype, to)
        inner = {**inner, **extents_here(node)}
        made = rebuild(node, lambda child: self(child, inner))
        # its states had said that it is free in what was read early
        return carried(made) if isinstance(made, cas.Scan) else made

    def element(self, node: cas.Access, indices: tuple[Expr, ...], inner: Mapping[cas.Rank, Expr]) -> Expr:
        """What stands for one element: a state, and where there is none so far back what stands outside."""
        look, early = self.look(node, inner), self.of_label[node.source.label]
        dtype = self.tensors[early].dtype
        line = current().lines.get(node)
        self.labels.setdefault(look.axis, cas.Label(current().next_label()))
        self.most[early, look.axis] = max(self.most.get((early, look.axis), 1), look.back)
        self.bind(indices[look.axis + 1:], look.axis + 1, inner)
        outside = early.outside[node.source.place]
        beyond = None if outside is None else number(outside, dtype, "pad")
        place = self.states(look.axis).index((early, look.back))
        state = cas.State(self.labels[look.axis], place, dtype, len(indices) - look.axis - 1, ())
        found = cas.Access(state, indices[look.axis + 1:], beyond)
        current().lines.setdefault(found, line)
        rank = self.ranks[look.axis]
        if beyond is None:  # an access that is outside its axis wherever it counts
            whole = cas.Tensor((rank,), (self.extents[look.axis],), const(0, dtype))
            beyond = cas.Access(whole, (indices[look.axis],), None)
            current().lines.setdefault(beyond, line)
            back = f"D[{rank.name} - {look.back}]"
            current().told[beyond] = ("the tensor being defined",
                                      f"guard it with ef.where({rank.name} >= {look.back}, {back}, ...), "
                                      "or say what lies before: D.pad(0.0)[...]")
        reaches = Map(OPS["greater_equal"], (cas.Index(rank), Const(look.back, I64)))
        return _cast(Select(reaches, found, beyond), dtype, node.dtype)

    def look(self, node: cas.Access, inner: Mapping[cas.Rank, Expr]) -> Look:
        """The first axis that is not read at its own rank, and how far back it is read. Raises: TraceError."""
        for axis, (rank, index) in enumerate(zip(self.ranks, node.indices)):
            if rank not in inner:
                factors, offset = affine(index) or ({}, 0)
                if factors == {rank.name: 1} and offset <= 0:
                    if offset == 0:
                        continue
                    return Look(axis, -offset)
            break
        own = ", ".join(rank.name for rank in self.ranks)
        raise TraceError(f"a definition over [{own}] reads itself at points that are not earlier",
                         where=current().lines.get(node), known=current().known,
                         repair=f"read it at some axis a number of steps before its own rank, such as "
                                f"{self.ranks[0].name} - 1, and at the bare ranks on all axes before that")

    def bind(self, indices: tuple[Expr, ...], first: int, inner: Mapping[cas.Rank, Expr]) -> None:
        """A bare rank is the whole axis: its extent is that of the axis."""
        for axis, index in enumerate(indices, first):
            if isinstance(index, cas.Index):
                rank, size = index.rank, self.extents[axis]
                known = inner[rank] if rank in inner else self.extents[self.ranks.index(rank)]
                current().equate(rank.name, known, size, "the definition", f"axis {axis} of what it defines")


def _cast(value: Expr, dtype: DType, to: DType) -> Expr:
    """A value as `to`, by way of the type that it was thought to have: that is no way round."""
    if value.dtype is to:
        return value
    if isinstance(value, Cast) and value.arg.dtype is to and value.to is dtype:
        return value.arg
    return cast(value, to)

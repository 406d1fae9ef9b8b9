"""Definitions that read themselves at earlier points: nested scans, one for each axis along which they look back.

An element that is read before its tensor is defined is an access to a state that is not there yet. The definition
replaces it: D[i - 2, j] is the second state of a scan over i, whose axes are those behind i.
"""

from collections.abc import Mapping
from typing import NamedTuple

from einfall.base.errors import TraceError, user_line
from einfall.base.node import Node, rebuild
from einfall.cascade import nodes as cas
from einfall.cascade.scope import bound_here, carried
from einfall.front.expression import Array, Expression, Rank, lift, number, ordered
from einfall.front.trace import Again, current
from einfall.scalar.dtypes import BOOL, F64, I64, DType
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select, cast, const
from einfall.scalar.ops import OPS

__all__ = ["Early", "recurrent"]

TYPES = {"i": I64, "f": F64, "b": BOOL}


class Early:
    """A tensor before it is defined: its elements may be read by its own definition, at earlier points."""

    def __init__(self):
        self.label: cas.Label | None = None
        self.place = 0  # among the definitions of a tracing that read themselves
        self.ndim = 0
        self.outside: list = []  # what stands outside, for each reading

    def read(self, index: tuple, outside=None) -> Expression:
        """An element, in the type that the tensor is thought to have."""
        trace = current()
        if self.label is None:
            self.label, self.place, self.ndim = cas.Label(trace.next_label()), len(trace.early), len(index)
            trace.early.append((self, user_line()))
        if len(index) != self.ndim:
            raise TraceError(f"a tensor is read with {self.ndim} indices and with {len(index)} before it is defined",
                             known=trace.known, repair="give one index per axis")
        parts = []
        for item in index:
            part = None if isinstance(item, tuple | slice | bool | float | str | None) else lift(item)
            if part is None or not part.dtype.is_int:
                raise TraceError(f"a tensor is read at {item!r} before it is defined", known=trace.known,
                                 repair="read it at ranks, and earlier: D[t - 1, s]")
            parts.append(part)
        extents = {name: part.extents[name] for part in parts for name in part.extents}
        dtype = TYPES[trace.kinds.get(self.place, "i")]
        self.outside.append(outside)
        node = cas.Access(cas.State(self.label, len(self.outside) - 1, dtype, self.ndim, ()),
                          tuple(cast(part.node, I64) for part in parts), None)
        trace.lines[node] = user_line()
        return Expression(node, extents, weak=dtype is not BOOL)


class Look(NamedTuple):
    """How an element is found: so many steps back along an axis."""

    axis: int
    back: int


def recurrent(early: Early, value: Expression, order: tuple) -> Array:
    """The tensor of a definition whose right side reads the tensor itself."""
    trace = current()
    if not all(isinstance(item, Rank) for item in order) or len(order) != early.ndim:
        raise TraceError(f"a tensor with {early.ndim} axes reads itself and is defined with other axes",
                         known=trace.known, repair="name one rank for each axis on the left: D[t, s] = ...")
    shown = ordered(value, order)
    tensor = shown.source
    kind = tensor.dtype.letter
    if TYPES[trace.kinds.get(early.place, "i")].letter != kind:
        raise Again(early.place, kind)
    built = _Unrolled(early, tensor)
    body = built(tensor.body)
    for axis in sorted(built.labels, reverse=True):
        ranks, extents = tensor.ranks[axis + 1:], tensor.extents[axis + 1:]
        count, label = built.most[axis], built.labels[axis]
        states = [cas.Access(cas.State(label, place, tensor.dtype, len(ranks), ()), tuple(map(cas.Index, ranks)), None)
                  for place in range(count - 1)]
        scan = carried(cas.Scan(tensor.ranks[axis], tensor.extents[axis], label, (ranks,) * count, (extents,) * count,
                                (const(0, tensor.dtype),) * count, (body, *states), False, False, False))
        body = cas.Access(cas.History(scan, 0), tuple(map(cas.Index, tensor.ranks[axis:])), None)
    return Array(cas.Tensor(tensor.ranks, tensor.extents, body), tensor.extents, shown.name, dtype=shown.dtype)


class _Unrolled:
    """Puts states in place of what a definition reads of itself.

    labels, most: for each axis along which it looks back, the label of the scan and how far it looks.
    """

    def __init__(self, early: Early, tensor: cas.Tensor):
        self.early, self.tensor = early, tensor
        self.labels: dict[int, cas.Label] = {}
        self.most: dict[int, int] = {}
        self.done: dict[tuple, Node] = {}

    def __call__(self, node: Node, inner: Mapping[cas.Rank, Expr] | None = None) -> Node:
        """`inner`: the ranks bound between the definition and here, with their extents."""
        inner = {} if inner is None else inner
        if self.early.label not in getattr(node, "free", ()):
            return node
        key = node, frozenset(inner.items())
        if key not in self.done:
            self.done[key] = self.replaced(node, inner)
        return self.done[key]

    def replaced(self, node: Node, inner: Mapping[cas.Rank, Expr]) -> Node:
        match node:
            case cas.Access(cas.State(label=label)) if label is self.early.label:
                return self.element(node, tuple(self(index, inner) for index in node.indices), inner)
            case Cast(arg, to) if self.early.label in arg.free:
                return _cast(self(arg, inner), arg.dtype, to)
            case cas.Reduce(ranks=ranks, extents=extents) | cas.Tensor(ranks=ranks, extents=extents):
                inner = {**inner, **dict(zip(ranks, extents))}
            case cas.Scan():
                inner = {**inner, node.rank: node.extent}
                inner.update((rank, extent) for some, sizes in zip(node.axes, node.extents)
                             for rank, extent in zip(some, sizes))
        assert not bound_here(node) - inner.keys() - {getattr(node, "label", None)}
        return rebuild(node, lambda child: self(child, inner))

    def element(self, node: cas.Access, indices: tuple[Expr, ...], inner: Mapping[cas.Rank, Expr]) -> Expr:
        """What stands for one element: a state, and where there is none so far back what stands outside."""
        look, tensor = self.look(node, inner), self.tensor
        line = current().lines.get(node)
        self.labels.setdefault(look.axis, cas.Label(current().next_label()))
        self.most[look.axis] = max(self.most.get(look.axis, 1), look.back)
        self.bind(indices[look.axis + 1:], look.axis + 1, inner)
        outside = self.early.outside[node.source.place]
        beyond = None if outside is None else number(outside, tensor.dtype, "pad")
        state = cas.State(self.labels[look.axis], look.back - 1, tensor.dtype, len(indices) - look.axis - 1, ())
        found = cas.Access(state, indices[look.axis + 1:], beyond)
        current().lines.setdefault(found, line)
        rank = tensor.ranks[look.axis]
        if beyond is None:  # an access that is outside its axis wherever it counts
            whole = cas.Tensor((rank,), (tensor.extents[look.axis],), const(0, tensor.dtype))
            beyond = cas.Access(whole, (indices[look.axis],), None)
            current().lines.setdefault(beyond, line)
            back = f"D[{rank.name} - {look.back}]"
            current().told[beyond] = ("the tensor being defined",
                                      f"guard it with ef.where({rank.name} >= {look.back}, {back}, ...), "
                                      "or say what lies before: D.pad(0.0)[...]")
        reaches = Map(OPS["greater_equal"], (cas.Index(rank), Const(look.back, I64)))
        return _cast(Select(reaches, found, beyond), tensor.dtype, node.dtype)

    def look(self, node: cas.Access, inner: Mapping[cas.Rank, Expr]) -> Look:
        """The first axis that is not read at its own rank, and how far back it is read. Raises: TraceError."""
        for axis, (rank, index) in enumerate(zip(self.tensor.ranks, node.indices)):
            if rank not in inner:
                match index:
                    case cas.Index(other) if other is rank:
                        continue
                    case Map(op, (cas.Index(other), Const(back))) if other is rank and (
                            (op.name == "subtract" and back > 0) or (op.name == "add" and back < 0)):
                        return Look(axis, abs(back))
            break
        own = ", ".join(rank.name for rank in self.tensor.ranks)
        raise TraceError(f"a definition over [{own}] reads itself at points that are not earlier",
                         where=current().lines.get(node), known=current().known,
                         repair=f"read it at some axis a number of steps before its own rank, such as "
                                f"{self.tensor.ranks[0].name} - 1, and at the bare ranks on all axes before that")

    def bind(self, indices: tuple[Expr, ...], first: int, inner: Mapping[cas.Rank, Expr]) -> None:
        """A bare rank is the whole axis: its extent is that of the axis."""
        for axis, index in enumerate(indices, first):
            if isinstance(index, cas.Index):
                rank, size = index.rank, self.tensor.extents[axis]
                known = inner[rank] if rank in inner else self.tensor.extents[self.tensor.ranks.index(rank)]
                current().equate(rank.name, known, size, "the definition", f"axis {axis} of what it defines")


def _cast(value: Expr, dtype: DType, to: DType) -> Expr:
    """A value as `to`, by way of the type that it was thought to have: that is no way round."""
    if value.dtype is to:
        return value
    if isinstance(value, Cast) and value.arg.dtype is to and value.to is dtype:
        return value.arg
    return cast(value, to)

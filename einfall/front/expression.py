"""Ranks and expressions as users handle them: operators, accesses, ordering.

An `Expression` wraps an interned node with what the node does not know: the extents of its free ranks and who gave
them, affine accesses that may still give one, whether its type is weak (Python numbers, ranks, extents), and its
nominal type: nodes of f16 and bf16 numbers are f32, and rounded where a kernel returns them or a user casts to them.
"""

import math
from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import NamedTuple

import numpy as np

from einfall.base.errors import FormatError, RankError, ShapeError, TraceError, user_line
from einfall.base.node import postorder
from einfall.cascade import nodes as cas
from einfall.cascade.domain import is_constant
from einfall.cascade.scope import fresh, substitute
from einfall.front.pads import AROUND, Pad, read
from einfall.front.trace import arithmetic, current, is_tracing, under_way, unresolved
from einfall.scalar.dtypes import BOOL, DTYPES, F64, I64, U64, DType, of_numpy, promote
from einfall.scalar.monoids import is_named, named
from einfall.scalar.nodes import Cast, Const, Expr, Select, cast, const
from einfall.scalar.nodes import Map as MapNode
from einfall.scalar.ops import OPS

__all__ = ["BY_POSITION", "Array", "Binding", "Expression", "Rank", "Symbolic", "affine", "apply", "common", "is_whole",
           "lift", "merged", "product", "ranks", "rounded", "strong"]

BY_POSITION: dict[str, Callable] = {}  # what tensors do without ranks: arrays.py and shapes.py write it here


class Binding(NamedTuple):
    """An extent of a rank, and what gave it."""

    extent: Expr
    owner: str


class Affine(NamedTuple):
    """An access that may give one rank its extent: offset + sum of coefficient * rank stays below `size`."""

    coefficients: tuple[tuple[str, int], ...]
    largest: Expr  # the largest value of what is not a free rank
    size: Expr
    owner: str


def _operator(name: str, reflected: bool = False):
    if reflected:
        return lambda self, other: apply(name, other, self)
    return lambda self, *other: apply(name, self, *other)


def _refuse(what: str, repair: str):
    def refused(self, *args, **options):
        raise TraceError(f"{what} of {self._called()}, whose value is not known while a kernel is traced",
                         known=current().known if is_tracing() else "", repair=repair)

    return refused


class Symbolic:
    """What takes part in expressions: Python's operators mean the operators of the table."""

    __hash__ = object.__hash__
    __add__, __radd__ = _operator("add"), _operator("add", True)
    __sub__, __rsub__ = _operator("subtract"), _operator("subtract", True)
    __mul__, __rmul__ = _operator("multiply"), _operator("multiply", True)
    __truediv__, __rtruediv__ = _operator("divide"), _operator("divide", True)
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _operator("floor_divide", True)
    __mod__, __rmod__ = _operator("remainder"), _operator("remainder", True)
    __pow__, __rpow__ = _operator("pow"), _operator("pow", True)
    __and__, __rand__ = _operator("bitwise_and"), _operator("bitwise_and", True)
    __or__, __ror__ = _operator("bitwise_or"), _operator("bitwise_or", True)
    __xor__, __rxor__ = _operator("bitwise_xor"), _operator("bitwise_xor", True)
    __lshift__, __rlshift__ = _operator("left_shift"), _operator("left_shift", True)
    __rshift__, __rrshift__ = _operator("right_shift"), _operator("right_shift", True)
    __lt__, __le__ = _operator("less"), _operator("less_equal")
    __gt__, __ge__ = _operator("greater"), _operator("greater_equal")
    __eq__, __ne__ = _operator("equal"), _operator("not_equal")
    __neg__, __invert__, __abs__ = _operator("negative"), _operator("invert"), _operator("abs")

    def __pos__(self):
        return self

    _called = __repr__ = object.__repr__
    __iter__ = _refuse("iteration", "use a rank: reduce over it, or bind it in the result")
    __contains__ = _refuse("`in`", "compare with == and reduce with ef.any(..., over=...)")
    __len__ = _refuse("len()", "use rank.extent")
    __array__ = _refuse("a NumPy array", "use the functions of einfall on expressions")

    def astype(self, dtype: DType):
        """The expression in another type: ef.f32, ef.i64 ..."""
        return converted(self, dtype)

    def as_format(self, format):
        """The result in a format. Raises: FormatError, since results are dense in this version."""
        raise FormatError(f"{self._called()} as a result in a format: results are dense in this version",
                          known=current().known if is_tracing() else "",
                          repair="return it dense, and pack what the kernel returns: ef.pack(result, format)")

    def __array_ufunc__(self, ufunc, method, *args, **options):
        name = {"left_shift": "left_shift", "divide": "divide"}.get(ufunc.__name__, ufunc.__name__)
        scalars = all(isinstance(arg, Symbolic | np.generic) for arg in args)
        if method == "__call__" and scalars and not options and name in OPS and OPS[name].symbol is not None:
            return apply(name, *args)  # a NumPy number on the left of an operator
        raise TraceError(f"numpy.{ufunc.__name__} on {self._called()}", known=current().known if is_tracing() else "",
                         repair=f"write ef.{ufunc.__name__}(...)" if name in OPS else "use the functions of einfall")

    def __array_function__(self, function, types, args, options):
        raise TraceError(f"numpy.{function.__name__} on {self._called()}",
                         repair="use the functions of einfall, such as ef.sum(x, over=k)")

    @classmethod
    def __torch_function__(cls, function, types, args=(), options=None):
        raise TraceError(f"torch.{getattr(function, '__name__', function)} on an expression of a kernel",
                         repair="use the functions of einfall, such as ef.exp or ef.sum(x, over=k)")


class Rank(Symbolic):
    """A named index. As a value it is its coordinate; `extent` is how many coordinates it has."""

    def __init__(self, name: str, size=None):
        self.name, self.size = name, size

    def __repr__(self):
        return self.name

    def _called(self):
        return f"rank {self.name}"

    def of(self, size) -> "Rank":
        """This rank with an extent: a number, or an integer expression of extents."""
        return Rank(self.name, size)

    @property
    def extent(self) -> "Expression":
        """The number of coordinates, as a scalar."""
        if self.size is not None:
            return lift(self.size)
        return Expression(unresolved(self.name), {}, weak=True)

    def __getitem__(self, order) -> "Array":
        return lift(self)[order]

    __bool__ = _refuse("the truth", "combine conditions with & | ~ and choose with ef.where(condition, a, b)")
    __int__ = __float__ = __index__ = _refuse("a Python number", "use the rank in an expression, or rank.extent")


def ranks(names: str = "", **sizes):
    """Ranks by name: `i, j = ef.ranks("i j")`, `k = ef.ranks("k")`, `g, h = ef.ranks(g=4, h=2)`."""
    if not isinstance(names, str):
        raise RankError(f"ranks are made by name, not by {names!r}", repair='ef.ranks("i j k") or ef.ranks(i=4)')
    made = [Rank(name) for name in names.replace(",", " ").split()] + [Rank(*item) for item in sizes.items()]
    for rank in made:
        if not rank.name.isidentifier():
            raise RankError(f"a rank is named like a Python variable, not {rank.name!r}", repair='ef.ranks("i j k")')
    if not made:
        raise RankError("no names of ranks were given", repair='ef.ranks("i j k") or ef.ranks(i=4)')
    return made[0] if len(made) == 1 else tuple(made)


class Expression(Symbolic):
    """A value at each coordinate of its free ranks."""

    def __init__(self, node: Expr, extents: Mapping[str, Binding | None], *, weak: bool = False,
                 affine: tuple[Affine, ...] = (), dtype: DType | None = None):
        self.node, self.extents, self.weak, self.affine = node, dict(extents), weak, affine
        self.nominal = dtype if dtype is not None and dtype.computed is node.dtype else node.dtype
        self.trace = under_way()

    def __repr__(self):
        return f"<expression over {', '.join(self.extents) or 'no ranks'}: {self.dtype}>"

    def _called(self):
        ranks = ", ".join(self.extents)
        return f"an expression over {ranks}" if ranks else "a scalar expression"

    @property
    def dtype(self) -> DType:
        """The type of the values: the nominal one, which decides results."""
        return self.nominal

    @property
    def ranks(self) -> tuple[str, ...]:
        """The names of the free ranks."""
        return tuple(self.extents)

    def __getitem__(self, order) -> "Array":
        return ordered(self, order if type(order) is tuple else (order,))

    def _look(self, kind, what: str, repair: str):
        """The value as a Python number: only sizes have one while tracing, and looking at one fixes it."""
        if not is_constant(self.node):
            _refuse(what, repair)(self)
        of_this_call(self)
        trace = current()
        values: dict = {}
        for node in postorder(self.node):
            if isinstance(node, cas.Size):
                trace.fixed.add(node)
                values[node] = np.int64(trace.sizes[node.input][node.axis])
            elif isinstance(node, Const):
                values[node] = node.dtype.numpy.type(node.value)
            elif isinstance(node, MapNode):
                values[node] = node.op.evaluate(*(np.asarray(values[arg]) for arg in node.args))
            elif isinstance(node, Expr):
                values[node] = np.asarray(values[node.arg]).astype(node.dtype.numpy)
        return kind(values[self.node])

    def __bool__(self):
        return self._look(bool, "the truth",
                          "combine conditions with & | ~ and choose with ef.where(condition, a, b); a <= b <= c is "
                          "(a <= b) & (b <= c)")

    def __index__(self):
        return self._look(int, "a Python number", "use the value in an expression; Python may look at sizes,"
                                                  " A.shape[0], and at what stands after *")

    __int__ = __index__

    def __float__(self):
        return self._look(float, "a Python number", "use the value in an expression, or pass it after * as static")


class Array(Symbolic):
    """A tensor: indexed with ranks it is an expression, not indexed an array whose axes are told by position."""

    by_position = True

    def __init__(self, source: cas.Source, extents: tuple[Expr, ...], name: str, pads: tuple[Pad, ...] | None = None,
                 dtype: DType | None = None, is_weak: bool = False):
        self.source, self.extents, self.name, self.is_weak = source, extents, name, is_weak
        self.pads = (None,) * len(extents) if pads is None else pads
        self.nominal = source.dtype if dtype is None else dtype
        self.trace = under_way()

    def __repr__(self):
        return f"<tensor {self.name} with {counted(self.ndim, 'axis', 'axes')}: {self.dtype}>"

    def _called(self):
        return f"tensor {self.name}"

    @property
    def dtype(self) -> DType:
        """The type of the elements: the nominal one."""
        return self.nominal

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.extents)

    @property
    def shape(self) -> tuple[Expression, ...]:
        """The extents of the axes; Python code that looks at one fixes it for this compilation."""
        return tuple(Expression(extent, {}, weak=True) for extent in of_this_call(self).extents)

    def pad(self, value) -> "Array":
        """The same tensor with something outside its axes: a number, "edge", "wrap", or one of these for some axes.

        It is meant for axes that no bare rank indexes: those are read whole.
        """
        return Array(of_this_call(self).source, self.extents, self.name, self.padded(value), self.dtype, self.is_weak)

    def padded(self, value) -> tuple[Pad, ...]:
        """What lies outside each axis. Raises: TraceError."""
        chosen = value if isinstance(value, dict) else dict.fromkeys(range(self.ndim), value)
        pads = list(self.pads)
        for axis, pad in chosen.items():
            if type(axis) is not int or not -self.ndim <= axis < self.ndim:
                raise TraceError(f"{self.name}.pad names axis {axis!r} of {counted(self.ndim, 'axis', 'axes')}",
                                 known=current().known, repair=f'{self.name}.pad({{0: "wrap"}})[...]')
            if not (isinstance(pad, bool | int | float | np.generic) or pad in AROUND):
                raise TraceError(f"{self.name}.pad({pad!r}): what lies outside is a number, \"edge\" or \"wrap\"",
                                 known=current().known, repair=f"{self.name}.pad(0.0)[...]")
            pads[axis] = pad if isinstance(pad, str) else const(
                number(pad, self.dtype, f"{self.name}.pad").value, self.source.dtype)
        return tuple(pads)

    def __getitem__(self, index) -> "Expression | Array":
        index = index if type(index) is tuple else (index,)
        return BY_POSITION["part"](self, index) if self._has_part(index) else accessed(self, index)

    def _has_part(self, index: tuple) -> bool:
        """Whether an index is one of the array style: a slice, `...`, None, or numbers that count as NumPy's do."""
        if any(item is None or isinstance(item, slice | EllipsisType) for item in index):
            return True
        numbers = all(not item.extents if isinstance(item, Expression | Array) else
                      isinstance(item, int | np.integer) and not isinstance(item, bool) for item in index)
        negative = any(isinstance(item, int | np.integer) and item < 0 for item in index)
        return self.by_position and numbers and (0 < len(index) < self.ndim or negative) and len(index) <= self.ndim

    def __matmul__(self, other) -> "Expression | Array":
        return BY_POSITION["matmul"](self, other)

    def __rmatmul__(self, other) -> "Expression | Array":
        return BY_POSITION["matmul"](other, self)

    @property
    def mT(self) -> "Array":
        """The last two axes exchanged."""
        return BY_POSITION["mT"](self)

    @property
    def T(self) -> "Array":
        """The two axes exchanged. Raises: ShapeError where there are not two."""
        return BY_POSITION["T"](self)

    def reshape(self, *shape) -> "Array":
        """The same elements in row-major order with other axes: A.reshape(n, -1), A.reshape((n, -1))."""
        return BY_POSITION["reshape"](self, shape[0] if len(shape) == 1 and type(shape[0]) in (tuple, list) else shape)

    def as_expression(self) -> Expression:
        """What the tensor stands for in an expression without an index.

        Raises: TraceError if it has axes.
        """
        if self.ndim == 0:
            return accessed(self, ())
        free = ", ".join("ijklmnopq"[:self.ndim])
        axes = counted(self.ndim, "axis", "axes")
        raise TraceError(f"{self._called()} has {axes} and stands in an expression without ranks",
                         known=current().known,
                         repair=f"index it with ranks, {self.name}[{free}]; or, if it is an expression that was "
                                "ordered too early, leave out the [...] that made it a tensor")

    __bool__ = _refuse("the truth", "index it with ranks, and choose with ef.where(condition, a, b)")
    __int__ = __float__ = __index__ = _refuse("a Python number", "index it with ranks, and use it in expressions")


def number(value, dtype: DType, what: str) -> Const:
    """A Python number as a constant of a type. Raises: TraceError where the type does not hold it."""
    value = value.item() if isinstance(value, np.generic) else value
    whole = isinstance(value, int) or (math.isfinite(value) and int(value) == value)
    if not (dtype.is_float or (whole and int(dtype.lowest) <= value <= int(dtype.highest))):
        raise TraceError(f"{what} of {value!r}, which {dtype} does not hold",
                         repair=f"give a number of type {dtype}, or cast the tensor first")
    try:
        return const(value, dtype)
    except OverflowError:
        raise TraceError(f"{what} of a number that no float holds",
                         repair="use math.inf, or a smaller number") from None


def of_this_call(value: "Expression | Array"):
    """The value itself. Raises: TraceError if it was made while another call of a kernel was traced."""
    if value.trace is not None and value.trace is not under_way():
        if is_tracing():
            raise TraceError(f"{value._called()} was made by another call of a kernel, and has no meaning in this one",
                             known=current().known,
                             repair="make it again inside the kernel, or return it as a tensor and pass that")
        current()  # raises: nothing is traced
    return value


def lift(value) -> Expression:
    """Anything that may stand in an expression, as one."""
    match value:
        case Expression():
            return of_this_call(value)
        case Rank(name=name, size=size):
            binding = None
            if size is not None:
                binding = Binding(_extent(size, name), f"{name}.of(...)")
                current().bind(name, *binding)
            return Expression(cas.Index(cas.Rank(name)), {name: binding}, weak=True)
        case Symbolic(as_expression=as_expression):
            return as_expression()
        case bool():
            return Expression(Const(value, BOOL), {})
        case int():
            if not I64.lowest <= value <= U64.highest:
                raise TraceError(f"{value} does not fit into 64 bits", repair="use a float, or a smaller number")
            return Expression(Const(value, I64 if value <= I64.highest else U64), {}, weak=True)
        case float():
            return Expression(Const(float(value), F64), {}, weak=not isinstance(value, np.generic))
        case np.generic() if of_numpy(value.dtype) is not None:
            dtype = of_numpy(value.dtype)
            return Expression(const(value.item(), dtype.computed), {}, dtype=dtype)
    what = type(value).__name__
    if hasattr(value, "shape"):
        raise TraceError(f"an array of shape {tuple(value.shape)} from outside stands in a kernel",
                         known=current().known, repair="pass it as an argument: arrays are not captured")
    raise TraceError(f"a {what} stands in an expression: {value!r}", known=current().known,
                     repair="use ranks, expressions and numbers")


def _extent(size, rank: str) -> Expr:
    """What was given to `.of`: an integer without ranks."""
    made = lift(size)
    is_known = all(isinstance(node, Const | cas.Size | cas.Extent | MapNode | Cast) for node in postorder(made.node)
                   if isinstance(node, Expr))
    if made.extents or not made.dtype.is_int or not is_known:
        raise RankError(f"the extent of rank {rank} is {made._called()}", repair=f"{rank}.of(8) or {rank}.of(k.extent)")
    if isinstance(made.node, Const) and made.node.value < 0:
        raise ShapeError(f"rank {rank} has a negative extent: {made.node.value}", repair="give 0 or more coordinates")
    if not isinstance(made.node, Const | cas.Size | cas.Extent):
        current().nonnegative.append((rank, made.node, user_line()))
    return cast(made.node, I64)


def met(parts: list[Expression]) -> tuple[dict[str, Binding | None], tuple[Affine, ...]]:
    """The free ranks of expressions that meet; extents of one rank have to agree."""
    together: dict[str, Binding | None] = {}
    affine: dict[Affine, None] = {}
    for part in parts:
        affine.update(dict.fromkeys(part.affine))
        for rank, binding in part.extents.items():
            known = together.get(rank)
            if known is not None and binding is not None:
                current().equate(rank, known.extent, binding.extent, known.owner, binding.owner)
            together[rank] = known or binding
    return together, tuple(affine)


def strong(expr: Expression) -> Expression:
    """The expression in the type that it has without neighbours: weak floats take the default float."""
    if of_this_call(expr).weak:
        to = current().default_float if expr.dtype.is_float else expr.dtype
        return Expression(narrowed(expr.node, to), expr.extents, affine=expr.affine)
    return expr


def together(parts: list[Expression], op: str, *, needs_float: bool = False, compares: bool = False
             ) -> tuple[DType, bool]:
    """The type in which expressions meet, and whether it is weak."""
    firm = [part.dtype for part in parts if not part.weak]
    if not firm and any(part.dtype is U64 for part in parts):
        raise TraceError(f"{op} of a number beyond i64 and what has no type of its own",
                         repair="give it a type: np.uint64(...)")
    floats = [part for part in parts if part.dtype.is_float]
    if not firm:
        return (F64 if floats or needs_float else I64), True
    dtype = firm[0]
    for other in firm[1:]:
        dtype = common(dtype, other)
    if dtype is BOOL and len(firm) < len(parts):
        dtype = I64
    if not dtype.is_float and (floats or needs_float):
        return current().default_float, False
    if compares and dtype.is_int and dtype is not U64 and len(firm) < len(parts):
        dtype = I64  # a rank or a large number compares exactly with any integer
    return dtype, False


def common(left: DType, right: DType) -> DType:
    """The type in which two types meet. Raises: TraceError where there is none."""
    dtype = promote(left, right)
    if dtype is None:
        signed = left if left.kind == "i" else right
        raise TraceError(f"u64 meets {signed}, and no integer type holds both", known=current().known,
                         repair="cast one of the two: x.astype(ef.i64), or y.astype(ef.u64)")
    return dtype


def fitted(part: Expression, dtype: DType) -> Expr:
    """The node of an argument in the type in which an operator on `dtype` computes."""
    if part.weak and isinstance(part.node, Const) and dtype.is_int and not (
            dtype.lowest <= part.node.value <= dtype.highest):
        raise TraceError(f"{part.node.value} does not fit into {dtype}", known=current().known,
                         repair="cast the other operand to ef.i64, or use a smaller number")
    return narrowed(part.node, dtype.computed) if part.weak else cast(part.node, dtype.computed)


def narrowed(node: Expr, to: DType) -> Expr:
    """A weak expression computed in the type of what it meets: only its leaves are cast."""
    if node.dtype is to or not (to.is_float and node.dtype.is_float):
        return cast(node, to)
    match node:
        case MapNode(op, args) if not op.to_bool:
            return MapNode(op, tuple(narrowed(arg, to) for arg in args))
        case Select(condition, yes, no):
            return Select(condition, narrowed(yes, to), narrowed(no, to))
        case Cast(arg):
            return cast(arg, to)
        case cas.Reduce(monoid, ranks, extents, (body,)) if is_named(monoid):
            return cas.Reduce(named(monoid.name, to), ranks, extents, (narrowed(body, to),))
    return cast(node, to)


def is_whole(value) -> bool:
    """Whether a value is a tensor with axes that are told by position, or a definition of one."""
    found = getattr(value, "array", value)
    return isinstance(found, Array) and found.ndim > 0 and found.by_position


def apply(name: str, *values) -> "Expression | Array":
    """An operator of the table on anything that may stand in an expression, or on tensors, by position."""
    if any(map(is_whole, values)):
        return BY_POSITION["map"](lambda *parts: apply(name, *parts), values, name)
    op = OPS[name]
    parts = [lift(value) for value in values]
    if op.takes == "ib" and len({part.dtype.kind for part in parts}) > 1 and any(part.dtype is BOOL for part in parts):
        raise TraceError(f"{op.symbol} between a boolean and a number", known=current().known,
                         repair=f"compare first, with parentheses: (a < b) {op.symbol} (x != 0)")
    dtype, weak = together(parts, name, needs_float=op.takes == "f", compares=op.to_bool)
    if dtype is BOOL and "b" not in op.takes:
        dtype = current().default_float if op.takes == "f" else I64
    if not op.accepts(dtype):
        raise TraceError(f"{name} is not defined on {dtype}", known=current().known,
                         repair="cast to an integer first, x.astype(ef.i64)" if "f" not in op.takes else
                                "cast to a float first, x.astype(ef.f32)")
    extents, affine = met(parts)
    args = tuple(fitted(part, dtype) for part in parts)
    if name == "pow" and isinstance(args[1], Const) and args[1].value == 2:
        op, args = OPS["multiply"], (args[0], args[0])  # the same number, and no special function
    return Expression(MapNode(op, args), extents, weak=weak and not op.to_bool, affine=affine, dtype=dtype)


def converted(value, dtype: DType) -> "Expression | Array":
    """An expression, or a tensor, in another type."""
    if is_whole(value):
        return BY_POSITION["map"](lambda part: converted(part, dtype), (value,), "astype")
    part = lift(value)
    if not isinstance(dtype, DType):
        raise TraceError(f"a type is one of {', '.join(f'ef.{name}' for name in DTYPES)}, not {dtype!r}",
                         repair="x.astype(ef.f32)")
    node = cast(rounded(part.node, dtype), dtype.computed)
    return Expression(node, part.extents, affine=part.affine, dtype=dtype)


def rounded(node: Expr, dtype: DType) -> Expr:
    """A number as it stands in memory of that type; what was read from there is that already."""
    if dtype.is_narrow and isinstance(node, Cast) and node.arg.dtype is dtype:
        return node.arg
    return cast(node, dtype)


# Accesses


def counted(count: int, one: str, several: str) -> str:
    """A number with its word: 1 axis, 2 axes."""
    return f"{count} {one if count == 1 else several}"


def axes_and_indices(array: Array, indices: tuple) -> str:
    """How many axes there are and how many indices were given."""
    return f"{counted(array.ndim, 'axis', 'axes')} and {counted(len(indices), 'index', 'indices')}"


def accessed(array: Array, indices: tuple) -> Expression:
    """A tensor at coordinates: one index per axis."""
    trace = current()
    of_this_call(array)
    if len(indices) != array.ndim:
        raise ShapeError(f"{array.name} has {axes_and_indices(array, indices)}", known=trace.known,
                         repair="give one index per axis; a tuple of ranks is one axis")
    parts, affine = [], []
    for axis, index in enumerate(indices):
        part, access = _index(array, axis, index)
        parts.append(part)
        affine += access
    extents, below = met(parts)
    node = read(array.source, array.extents, [part.node for part in parts], array.pads)
    trace.lines.setdefault(node, user_line())
    return Expression(cast(node, node.dtype.computed), extents, weak=array.is_weak, affine=(*below, *affine),
                      dtype=array.dtype)


def _index(array: Array, axis: int, index) -> tuple[Expression, list[Affine]]:
    """One index as an integer expression, and what it may say about an extent."""
    trace, size, owner = current(), array.extents[axis], f"{array.name} axis {axis}"
    match index:
        case Rank(name=name, size=given):
            binding = Binding(size, owner)
            trace.bind(name, *binding)
            if given is not None:
                own = lift(index).extents[name]
                trace.equate(name, own.extent, size, own.owner, owner)
            return Expression(cas.Index(cas.Rank(name)), {name: binding}, weak=True), []
        case tuple() if index and all(isinstance(rank, Rank) for rank in index):
            return _split(index, size, owner), []
        case bool() | float() | slice() | str() | None | tuple() | list():
            raise ShapeError(f"axis {axis} of {array.name} is indexed with {index!r}", known=trace.known,
                             repair="use a rank, an integer expression or a non-negative integer; slice arrays before "
                                    "they are passed")
        case int() if index < 0:
            raise ShapeError(f"axis {axis} of {array.name} is indexed with {index}", known=trace.known,
                             repair=f"an index counts from 0: {array.name}.shape[{axis}] - {-index} is the element "
                                    "from the end")
    part = lift(index)
    if not part.dtype.is_int:
        raise ShapeError(f"axis {axis} of {array.name} is indexed with a {part.dtype}", known=trace.known,
                         repair="use integers: x.astype(ef.i64), or ef.where(condition, ...) for a mask")
    node = cast(part.node, I64)
    found = None if array.pads[axis] is not None else affine(node)
    access = []
    # factors beyond 64 bits wrap around where they are computed: they give no extent
    if found is not None and found[0] and all(abs(value) <= I64.highest for value in (*found[0].values(), found[1])):
        coefficients, offset = found
        access = [Affine(tuple(coefficients.items()), Const(offset, I64), size, owner)]
    return Expression(node, part.extents, affine=part.affine), access


def index_of(array: Array, axis: int, index) -> Expr:
    """One index of the array style, as an integer."""
    return _index(array, axis, index)[0].node


def affine(node: Expr) -> tuple[dict[str, int], int] | None:
    """A sum of ranks with constant factors and a constant; None for anything else."""
    match node:
        case Const(value):
            return {}, value
        case cas.Index(rank):
            return {rank.name: 1}, 0
        case MapNode(op, (left, right)) if op.name in ("add", "subtract"):
            one, two, sign = affine(left), affine(right), 1 if op.name == "add" else -1
            if one is None or two is None:
                return None
            names = dict.fromkeys((*one[0], *two[0]))
            sums = {name: one[0].get(name, 0) + sign * two[0].get(name, 0) for name in names}
            return {name: factor for name, factor in sums.items() if factor}, one[1] + sign * two[1]
        case MapNode(op, (left, right)) if op.name == "multiply":
            one, two = affine(left), affine(right)
            if one is None or two is None or (one[0] and two[0]):
                return None
            (terms, offset), factor = (one, two[1]) if one[0] else (two, one[1])
            return {name: value * factor for name, value in terms.items() if factor}, offset * factor
        case MapNode(op, (arg,)) if op.name == "negative":
            below = affine(arg)
            return None if below is None else ({name: -value for name, value in below[0].items()}, -below[1])
    return None


def _split(group: tuple[Rank, ...], size: Expr, owner: str) -> Expression:
    """One axis read by several ranks, row-major; one of their extents may be unknown."""
    trace = current()
    bindings = {rank.name: lift(rank).extents[rank.name] for rank in group}
    if len(bindings) != len(group):
        raise RankError(f"{owner} is split by a rank twice", known=trace.known, repair="name each rank once")
    unknown = [name for name, binding in bindings.items() if binding is None]
    extents = {name: unresolved(name) if binding is None else binding.extent for name, binding in bindings.items()}
    if len(unknown) == 1:
        others = product(extent for name, extent in extents.items() if name not in unknown)
        rest = arithmetic("floor_divide", size, others)
        bindings[unknown[0]] = Binding(rest, owner)
        extents[unknown[0]] = rest
        trace.bind(unknown[0], rest, owner)
    elif unknown:
        trace.splits.append((extents, size))  # the rest of the kernel says all but one of them
    joined = ", ".join(bindings)
    trace.equate(f"({joined})", product(extents.values()), size, f"the extents of {joined}", owner)
    return Expression(_row_major(group, extents), bindings, weak=True)


def product(extents) -> Expr:
    """The number of elements of axes with these extents."""
    total: Expr = Const(1, I64)
    for extent in extents:
        total = arithmetic("multiply", total, extent)
    return total


def _row_major(group: tuple[Rank, ...], extents: Mapping[str, Expr]) -> Expr:
    node: Expr = cas.Index(cas.Rank(group[0].name))
    for rank in group[1:]:
        node = arithmetic("multiply", node, extents[rank.name])
        node = MapNode(OPS["add"], (node, cas.Index(cas.Rank(rank.name))))
    return node


# Binding and ordering


def bound(expr: Expression, rank: Rank) -> Expr:
    """The extent that a rank has where an expression binds it."""
    known = expr.extents[rank.name]
    given = lift(rank).extents[rank.name]
    if given is not None:
        if known is not None:
            current().equate(rank.name, known.extent, given.extent, known.owner, given.owner)
        return given.extent
    if known is None:
        known = _solved(expr, rank.name)
    return unresolved(rank.name) if known is None else known.extent


def _solved(expr: Expression, rank: str) -> Binding | None:
    """The largest extent that keeps every affine access inside, where the rank is the only unbound one of each."""
    found = None
    for access in expr.affine:
        coefficients = dict(access.coefficients)
        others = [name for name in coefficients if name != rank]
        if coefficients.get(rank, 0) <= 0 or any(expr.extents.get(name) is None for name in others):
            continue
        largest = access.largest
        for name in others:
            largest = _with_largest(largest, coefficients[name], expr.extents[name].extent)
        room = arithmetic("subtract", arithmetic("subtract", access.size, Const(1, I64)), largest)
        steps = arithmetic("floor_divide", room, Const(coefficients[rank], I64))
        extent = arithmetic("maximum", arithmetic("add", steps, Const(1, I64)), Const(0, I64))
        found = Binding(extent, access.owner) if found is None else Binding(
            arithmetic("minimum", found.extent, extent), f"{found.owner} and {access.owner}")
    if found is not None:
        current().bind(rank, *found)
    return found


def _with_largest(largest: Expr, factor: int, extent: Expr) -> Expr:
    """`largest` plus the largest value of factor * rank over an extent."""
    if factor < 0:
        return largest  # at coordinate 0
    last = arithmetic("subtract", extent, Const(1, I64))
    return arithmetic("add", largest, arithmetic("multiply", last, Const(factor, I64)))


def without(expr: Expression, gone: Mapping[str, Expr], ranks_left: Mapping[str, Binding | None]) -> tuple[Affine, ...]:
    """The affine accesses of an expression after some ranks were bound with these extents."""
    kept = []
    for access in expr.affine:
        largest = access.largest
        for name, factor in access.coefficients:
            if name in gone:
                largest = _with_largest(largest, factor, gone[name])
        left = tuple((name, factor) for name, factor in access.coefficients if name in ranks_left)
        if any(ranks_left[name] is None for name, _ in left):
            kept.append(Affine(left, largest, access.size, access.owner))
    return tuple(kept)


def ordered(expr: Expression, order: tuple) -> Array:
    """The tensor with the axes in this order; a tuple of ranks is one axis."""
    trace, expr = current(), strong(expr)
    groups = [item if type(item) is tuple else (item,) for item in order]
    flat = [rank for group in groups for rank in group]
    for rank in flat:
        if not isinstance(rank, Rank):
            raise RankError(f"an expression is ordered by its ranks, not by {rank!r}", known=trace.known,
                            repair="make it a tensor first, E[i, j], and index that")
    names = [rank.name for rank in flat]
    missing = [name for name in expr.extents if name not in names]
    extra = [name for name in names if name not in expr.extents]
    if missing or extra or len(set(names)) != len(names):
        wrong = (f"{', '.join(missing)} is free in the expression and not in the order" if missing else
                 f"{', '.join(extra)} is not free in the expression" if extra else "a rank is named twice")
        raise RankError(f"[{', '.join(names)}] does not order {expr._called()}: {wrong}", known=trace.known,
                        repair=f"name each free rank once, [{', '.join(expr.extents)}], or reduce some of them first"
                        if expr.extents else
                        f"write [()]; a state of a scan has axes where state=({', '.join(names)},) says so")
    extents = {rank.name: Binding(bound(expr, rank), "the result") for rank in flat}
    body, axes = merged(expr, groups, extents)
    tensor = cas.Tensor(tuple(rank for rank, _ in axes), tuple(extent for _, extent in axes), body)
    return Array(tensor, tensor.extents, f"[{', '.join(names)}]", dtype=expr.dtype)


def merged(expr: Expression, groups: list, extents: Mapping[str, Binding]):
    """The body and the axes after groups of ranks have become one axis each."""
    axes, values = [], {}
    for group in groups:
        if len(group) == 1:
            axes.append((cas.Rank(group[0].name), extents[group[0].name].extent))
            continue
        joined = cas.Rank("_".join(rank.name for rank in group) or "unit")
        if joined in expr.node.free or any(joined is rank for rank, _ in axes):
            joined = fresh(joined, {*expr.node.free, *(rank for rank, _ in axes)})
        rest: Expr = cas.Index(joined)
        total: Expr = Const(1, I64)
        for place, rank in reversed(list(enumerate(group))):
            extent = extents[rank.name].extent
            total = arithmetic("multiply", total, extent)
            values[cas.Rank(rank.name)] = rest if place == 0 else arithmetic("remainder", rest, extent)
            rest = arithmetic("floor_divide", rest, extent)
        axes.append((joined, total))
    return substitute(expr.node, values), axes

"""Array style: tensors that are not indexed, whose axes are told by position, written in ranks.

A tensor is read at ranks of its own (those it was made with), so that what is written by position is the same
expression as with ranks, and dependent reductions are found in it. These ranks belong to the tensor alone: they are
bound in it and say nothing about a rank of the user with the same name.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from einfall.base.errors import ShapeError, TraceError, user_line
from einfall.base.node import postorder
from einfall.cascade import nodes as cas
from einfall.cascade.explicit import is_heavy
from einfall.cascade.scope import substitute
from einfall.front.expression import (
    BY_POSITION,
    Array,
    Binding,
    Expression,
    Rank,
    Symbolic,
    axes_and_indices,
    counted,
    index_of,
    is_whole,
    lift,
    of_this_call,
    ordered,
    strong,
)
from einfall.front.pads import read as read_at
from einfall.front.trace import arithmetic, current, evaluate
from einfall.scalar.dtypes import I64, DType
from einfall.scalar.nodes import Const, Expr, cast
from einfall.scalar.ops import OPS

__all__ = ["ALL", "Frame", "Side", "along", "axes_of", "fits", "framed", "is_computed", "met_sides", "named",
           "ranks_of", "read", "sides_of", "tensor_of", "whole", "with_axis"]

ZERO, ONE = Const(0, I64), Const(1, I64)
ALL: Any = object()  # axis= was not given
LONG = 40  # characters of the name of a tensor that was computed


# Tensors read and made by position


def fits(value) -> Array | None:
    """The tensor with axes that a value is, or that a definition stands for; None for anything else."""
    return of_this_call(value if isinstance(value, Array) else value.array) if is_whole(value) else None


def whole(value, what: str) -> Array:
    """A value that has to be a tensor. Raises: TraceError for anything else."""
    found = fits(value)
    if found is None and isinstance(value, Array) and value.by_position:
        return of_this_call(value)
    if isinstance(value, Expression) and not value.extents:  # a number that was computed
        return ordered(value, ())
    if found is None:
        called = value._called() if isinstance(value, Symbolic) else repr(value)
        raise TraceError(f"{what} takes tensors, not {called}", known=current().known,
                         repair="order an expression first, E[i, j]; or use ranks throughout")
    return found


def free_names(taken) -> Iterator[cas.Rank]:
    """Ranks with short names, none of the taken ones."""
    names = {rank.name for rank in taken}
    letters = "ijklmnopqrstuvwxyzabcdefgh"
    yield from (cas.Rank(name) for name in letters if name not in names)
    yield from (cas.Rank(name) for name in (f"i{number}" for number in range(10_000)) if name not in names)


def ranks_of(array: Array) -> tuple[cas.Rank, ...]:
    """The ranks at which a tensor is read: those it was made with."""
    if isinstance(array.source, cas.Tensor):
        return array.source.ranks
    names = free_names(())
    return tuple(next(names) for _ in range(array.ndim))


def is_computed(array: Array) -> bool:
    """Whether a tensor is so much work to read that it had better keep its ranks."""
    return isinstance(array.source, cas.Tensor) and is_heavy(array.source.body)


def read(array: Array, indices: Sequence[Expr]) -> Expr:
    """The element at coordinates that lie inside: what the tensor stands for, where its ranks are what they were made
    with, or others and it is light; else the tensor is accessed, so that it may be kept."""
    match array.source:
        case cas.Tensor(ranks, _, body):
            values = {rank: index for rank, index in zip(ranks, indices) if rank in body.free}
            moved = {rank: index for rank, index in values.items() if index is not cas.Index(rank)}
            whole_axes = [index for index in values.values() if not isinstance(index, Const)]
            is_bare = all(isinstance(index, cas.Index) for index in whole_axes)
            if not moved or (is_bare and len(set(whole_axes)) == len(whole_axes) and not is_heavy(body)):
                return substitute(body, moved) if moved else body
    node = cas.Access(array.source, tuple(indices), None)
    current().lines.setdefault(node, user_line())
    return cast(node, node.dtype.computed)


def tensor_of(made: Expression, ranks: Sequence[cas.Rank], extents: Sequence[Expr], name: str) -> Expression | Array:
    """The tensor of an expression with these axes; without axes the expression itself."""
    if not ranks:
        return Expression(made.node, {}, weak=made.weak, dtype=made.dtype)
    made = strong(made)
    tensor = cas.Tensor(tuple(ranks), tuple(extents), made.node)
    return Array(tensor, tensor.extents, name if len(name) <= LONG else f"{name[:LONG - 3]}...", dtype=made.dtype)


def named(word: str, values: Sequence) -> str:
    """What a computed tensor is called in messages: A + B, exp(A)."""
    shown = []
    for value in values:
        found = fits(value)
        shown.append(found.name if found is not None else str(value) if isinstance(value, int | float) else "...")
    symbol = OPS[word].symbol if word in OPS else {"matmul": "@"}.get(word)
    if symbol is None:
        return f"{word}({', '.join(shown)})"
    shown = [f"({text})" if " " in text else text for text in shown]
    return f"{shown[0]} {symbol} {shown[1]}" if len(shown) == 2 else f"{symbol}{shown[0]}"


# Extents that meet


class Side(NamedTuple):
    """An axis of a tensor that meets others: its extent, and its name in messages."""

    extent: Expr
    owner: str


def sides_of(array: Array) -> list[Side]:
    """The axes of a tensor."""
    return [Side(extent, f"{array.name} axis {axis}") for axis, extent in enumerate(array.extents)]


def known_size(extent: Expr) -> int | None:
    """The size of this call, or None where only the whole kernel knows it."""
    if any(isinstance(node, cas.Extent) for node in postorder(extent)):
        return None
    return evaluate(extent, current().sizes)


def fixed(extent: Expr) -> int:
    """The size of this call, which the program depends on from now on."""
    trace = current()
    trace.fixed.update(node for node in postorder(extent) if isinstance(node, cas.Size))
    return evaluate(extent, trace.sizes)


def met_sides(one: Side, other: Side, rank: cas.Rank, what: str, *, broadcasts: bool = True) -> Side:
    """The axis that two axes have together: equal, or one of them has size 1 in this call and stays so.

    Raises: ShapeError where they do not fit.
    """
    trace = current()
    left, right = trace.representative(one.extent), trace.representative(other.extent)
    if left is right:
        return one
    if broadcasts and ONE in (left, right):
        return other if left is ONE else one
    sizes = known_size(left), known_size(right)
    if broadcasts and None not in sizes and 1 in sizes:
        gone, kept = (one, other) if sizes[0] == 1 else (other, one)
        fixed(gone.extent)
        return kept
    if None not in sizes and sizes[0] != sizes[1]:
        raise ShapeError(f"the axes of {what} do not fit: {one.owner} has {sizes[0]}, {other.owner} {sizes[1]}",
                         known=trace.known, repair=f"make them equal{' or 1' if broadcasts else ''}; or name the axes "
                                                   "with ranks, A[i, j] and B[k]")
    if None not in sizes:
        trace.alike.append((one.extent, other.extent))
    trace.equate(rank.name, one.extent, other.extent, one.owner, other.owner)
    return one


class Frame(NamedTuple):
    """The axes that tensors have together: a rank and an extent each."""

    ranks: tuple[cas.Rank, ...]
    sides: tuple[Side, ...]

    @property
    def extents(self) -> tuple[Expr, ...]:
        return tuple(side.extent for side in self.sides)

    def at(self, array: Array) -> Expression:
        """A tensor read at these axes, aligned at the right; where it has size 1 and the frame has not, at 0."""
        trace, indices, extents = current(), [], {}
        for axis, own in enumerate(array.extents, len(self.ranks) - array.ndim):
            rank, side = self.ranks[axis], self.sides[axis]
            same = trace.representative(own) is trace.representative(side.extent)
            indices.append(cas.Index(rank) if same else ZERO)
        node = read(array, indices)
        for rank, side in zip(self.ranks, self.sides):
            if rank in node.free:
                extents[rank.name] = Binding(side.extent, side.owner)
        return Expression(node, extents, dtype=array.dtype)

    def over(self, node: Expr, *, weak: bool = False, dtype: DType | None = None) -> Expression:
        """An expression of these ranks."""
        return Expression(node, {rank.name: Binding(*side) for rank, side in zip(self.ranks, self.sides)
                                 if rank in node.free}, weak=weak, dtype=dtype)


def framed(arrays: Sequence[Array], what: str) -> Frame:
    """The axes of tensors that are broadcast together, with the ranks of that which is the most work to read."""
    widest = [array for array in arrays if array.ndim == max(other.ndim for other in arrays)]
    owner = widest[0]
    if any(ranks_of(other) != ranks_of(owner) for other in widest):
        owner = max(widest, key=is_computed)
    ranks, sides = ranks_of(owner), sides_of(owner)
    for array in arrays:
        for place, side in enumerate(sides_of(array), owner.ndim - array.ndim):
            sides[place] = met_sides(sides[place], side, ranks[place], what)
    return Frame(ranks, tuple(sides))


def _tensors(values: Sequence) -> list[Array]:
    """The tensors among the operands. Raises: TraceError where one has free ranks."""
    found = [array for array in map(fits, values) if array is not None]
    if any(fits(value) is None and lift(value).extents for value in values):
        lift(found[0])  # raises: both cures
    return found


def _parts(values: Sequence, frame: Frame) -> list[Expression]:
    """Tensors at the axes of a frame, and scalars."""
    arrays = map(fits, values)
    return [lift(value) if array is None else frame.at(array) for value, array in zip(values, arrays)]


def mapped(function: Callable[..., Expression], values: Sequence, word: str) -> Expression | Array:
    """A function of elements on tensors and scalars, broadcast by position.

    Raises: ShapeError where axes do not fit; TraceError beside an expression with free ranks.
    """
    arrays, name = _tensors(values), named(word, values)
    frame = framed(arrays, name)
    return tensor_of(function(*_parts(values, frame)), frame.ranks, frame.extents, name)


# Functions along axes


def axes_of(array: Array, axis, what: str) -> tuple[int, ...]:
    """What was given as `axis=`, as places counted from 0; None is all of them.

    Raises: TraceError for what is no number, ShapeError for an axis that is not there or named twice.
    """
    if axis is ALL or axis is None:
        return tuple(range(array.ndim))
    places = []
    for item in axis if isinstance(axis, tuple) else (axis,):
        if isinstance(item, bool) or not isinstance(item, int | np.integer):
            called = item._called() if isinstance(item, Symbolic) else repr(item)
            raise TraceError(f"axis= of {what} is {called}", known=current().known,
                             repair="count the axes, axis=-1 (a parameter after * is a Python number); or name a rank "
                                    "of an expression, over=k")
        if not -array.ndim <= item < array.ndim:
            raise ShapeError(f"axis {item} of {array.name}, which has {counted(array.ndim, 'axis', 'axes')}",
                             known=current().known, repair="axes count from 0, or from the end with -1")
        places.append(int(item) % array.ndim)
    if len(set(places)) != len(places):
        raise ShapeError(f"axis= of {what} names an axis twice: {axis}", known=current().known,
                         repair="name each axis once")
    return tuple(places)


def along(function: Callable, values: Sequence, axis, what: str, *, keepdims: bool = False, keeps: bool = False,
          single: bool = False) -> Expression | Array:
    """A function `over=` ranks on tensors, along axes.

    keepdims: reduced axes stay with size 1; keeps: the function reduces nothing; single: it takes one axis.
    """
    arrays = _tensors(values)
    word = what.removeprefix("ef.")
    frame = framed(arrays, what)
    model = Array(arrays[0].source, frame.extents, arrays[0].name) if len(arrays) > 1 else arrays[0]
    places = axes_of(model, axis, what)
    if single and len(places) != 1:
        raise TraceError(f"{what} goes along one axis of {model.name}, which has {counted(model.ndim, 'axis', 'axes')}",
                         known=current().known, repair="say which: axis=-1")
    over = tuple(Rank(frame.ranks[place].name) for place in places)
    parts = [frame.over(part.node, weak=part.weak, dtype=part.dtype) for part in _parts(values, frame)]
    parts[0].extents.update({rank.name: Binding(*side) for rank, side in zip(frame.ranks, frame.sides)})
    trace = current()
    outer = trace.enter()  # what is bound in here is no rank of the user
    try:
        made = function(*parts, over=over[0] if len(over) == 1 else over)
    finally:
        trace.scope = outer
    if isinstance(made, tuple):  # indices on several ranks, as one
        made = _row_major(made, [frame.extents[place] for place in places])
    ranks, extents = [], []
    for place, (rank, extent) in enumerate(zip(frame.ranks, frame.extents)):
        if keeps or place not in places or keepdims:
            ranks.append(rank)
            extents.append(extent if keeps or place not in places else ONE)
    return tensor_of(made, ranks, extents, named(word, values))


def _row_major(indices: Sequence[Expression], extents: Sequence[Expr]) -> Expression:
    """The place that indices have among all elements, the last index counting fastest."""
    node = indices[0].node
    for index, extent in zip(indices[1:], extents[1:]):
        node = arithmetic("add", arithmetic("multiply", node, extent), index.node)
    return Expression(node, indices[0].extents)


def with_axis(what: str, *, keeps: bool = False, single: bool = False):
    """Makes a function of expressions with `over=` one that also takes tensors with `axis=` and `keepdims=`."""

    def marked(function: Callable) -> Callable:
        parameters = inspect.signature(function).parameters.values()
        count = sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)

        def chosen(values: tuple, over, axis, keepdims: bool, options: dict):
            if over is not None and axis is not ALL:
                raise TraceError(f"{what} takes over= or axis=, not both", known=current().known,
                                 repair="over= for an expression with ranks, axis= for a tensor")
            arrays = any(fits(value) is not None for value in values)
            if over is not None or not arrays:
                return function(*values, over=_over(values, over, axis, what), **options)
            return along(lambda *parts, over: function(*parts, over=over, **options), values, axis, what,
                         keepdims=keepdims, keeps=keeps, single=single)

        if count == 2:
            @wraps(function)
            def either(x, y, *, over=None, axis=ALL, **options):
                return chosen((x, y), over, axis, False, options)
        elif keeps:
            @wraps(function)
            def either(x, *, over=None, axis=ALL, **options):
                return chosen((x,), over, axis, False, options)
        else:
            @wraps(function)
            def either(x, *, over=None, axis=ALL, keepdims=False, **options):
                return chosen((x,), over, axis, keepdims, options)
        return either

    return marked


def _over(values: Sequence, over, axis, what: str):
    """The ranks of a function of expressions. Raises: TraceError where axes were given, TypeError where nothing was."""
    if over is not None:
        return over
    if axis is ALL and not any(isinstance(value, Array) for value in values):
        raise TypeError(f"{what.removeprefix('ef.')}() missing 1 required keyword-only argument: 'over'")
    free = ", ".join(dict.fromkeys(name for value in values for name in lift(value).extents))
    if free:
        raise TraceError(f"{what} with axis= of an expression over {free}", known=current().known,
                         repair=f"name the rank, over={free.split(', ')[0]}; or make it a tensor first, E[{free}], and "
                                "count its axes, axis=-1")
    if axis is not ALL and axis is not None and axis != ():
        raise ShapeError(f"{what} with axis={axis!r} of a scalar", known=current().known, repair="leave out axis=")
    return ()


# Parts


def part(array: Array, index: tuple) -> Expression | Array:
    """A part of a tensor, as in NumPy: slices keep an axis, numbers drop it, None makes one of size 1.

    Raises: ShapeError for too many indices, two `...`, or a rank beside them.
    """
    of_this_call(array)
    items = _without_ellipsis(array, index)
    names, own, axis = free_names(ranks_of(array)), ranks_of(array), 0
    ranks, extents, places = [], [], []
    for item in items:
        if item is None:
            ranks.append(next(names))
            extents.append(ONE)
            continue
        size, rank = array.extents[axis], own[axis]
        if isinstance(item, slice):
            start, length, step = _cut(array, axis, item, size)
            ranks.append(rank)
            extents.append(length)
            places.append(arithmetic("add", arithmetic("multiply", cas.Index(rank), Const(step, I64)), start))
        elif isinstance(item, int | np.integer) and not isinstance(item, bool) and -2**63 <= item < 0:
            places.append(arithmetic("add", size, Const(int(item), I64)))
        else:
            places.append(index_of(array, axis, item))
        if not isinstance(item, slice) and any(isinstance(free, cas.Rank) for free in places[-1].free):
            raise ShapeError(f"{array.name} is indexed with slices and ranks at once", known=current().known,
                             repair=f"slice first, then index: {array.name}[1:][i]")
        axis += 1
    if places == [cas.Index(rank) for rank in own]:
        return tensor_of(Expression(read(array, places), {}, dtype=array.dtype), ranks, extents, f"{array.name}[...]")
    node = read_at(array.source, array.extents, places, array.pads)
    current().lines.setdefault(node, user_line())
    made = Expression(cast(node, node.dtype.computed), {}, dtype=array.dtype)
    return tensor_of(made, ranks, extents, f"{array.name}[...]")


def _without_ellipsis(array: Array, index: tuple) -> list:
    """One item for each axis, and None for each new one."""
    given = [item for item in index if item is not None and not isinstance(item, EllipsisType)]
    if len(given) > array.ndim:
        raise ShapeError(f"{array.name} has {axes_and_indices(array, tuple(given))}", known=current().known,
                         repair="give at most one index per axis")
    dots = [place for place, item in enumerate(index) if isinstance(item, EllipsisType)]
    if len(dots) > 1:
        raise ShapeError(f"{array.name} is indexed with ... twice", known=current().known, repair="write : for an axis")
    place = dots[0] if dots else len(index)
    return [*index[:place], *[slice(None)] * (array.ndim - len(given)), *index[place + 1:]]


def _cut(array: Array, axis: int, item: slice, size: Expr) -> tuple[Expr, Expr, int]:
    """(first element, number of elements, step) of a slice."""
    if item.start is None and item.stop is None and item.step is None:
        return ZERO, size, 1
    for bound_ in (item.start, item.stop, item.step):
        if bound_ is not None and (isinstance(bound_, bool) or not isinstance(bound_, int | np.integer)):
            raise ShapeError(f"axis {axis} of {array.name} is sliced with {bound_!r}", known=current().known,
                             repair="slice with integers; an extent that is only known at run time needs .of")
    step = 1 if item.step is None else int(item.step)
    if abs(step) > I64.highest // 2:
        raise ShapeError(f"axis {axis} of {array.name} is sliced with step {step}", known=current().known,
                         repair="use a step that is at most the extent of the axis")
    if step == 0:
        raise ShapeError(f"axis {axis} of {array.name} is sliced with step 0", repair="use a step of 1 or more, or -1")

    def place(value, low: Expr, high: Expr) -> Expr:
        number = Const(max(-I64.highest, min(int(value), I64.highest)), I64)  # beyond every axis either way
        inside = number if value >= 0 else arithmetic("add", size, number)
        return arithmetic("minimum", arithmetic("maximum", inside, low), high)

    last = arithmetic("subtract", size, ONE)
    if step > 0:
        start = ZERO if item.start is None else place(item.start, ZERO, size)
        stop = size if item.stop is None else place(item.stop, ZERO, size)
        room = arithmetic("subtract", stop, start)
    else:
        below = Const(-1, I64)
        start = last if item.start is None else place(item.start, below, last)
        stop = below if item.stop is None else place(item.stop, below, last)
        room = arithmetic("subtract", start, stop)
    count = arithmetic("floor_divide", arithmetic("add", room, Const(abs(step) - 1, I64)), Const(abs(step), I64))
    return start, arithmetic("maximum", count, ZERO), step


BY_POSITION.update(map=mapped, part=part)

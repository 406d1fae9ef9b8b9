"""Array style: products of matrices, and tensors with other axes."""

from collections.abc import Sequence

import numpy as np

from einfall.base.errors import ShapeError, TraceError
from einfall.base.node import postorder
from einfall.cascade import nodes as cas
from einfall.front.arrays import (
    ONE,
    ZERO,
    Frame,
    Side,
    axes_of,
    fixed,
    framed,
    free_names,
    is_computed,
    known_size,
    met_sides,
    named,
    ranks_of,
    read,
    sides_of,
    tensor_of,
    whole,
)
from einfall.front.expression import (
    BY_POSITION,
    Array,
    Binding,
    Expression,
    Rank,
    Symbolic,
    apply,
    counted,
    lift,
    product,
    strong,
)
from einfall.front.functions import reduction, where
from einfall.front.pads import read as read_at
from einfall.front.trace import arithmetic, current
from einfall.scalar.dtypes import DTYPES, I64, DType
from einfall.scalar.nodes import Cast, Const, Expr, Map, cast, const
from einfall.scalar.ops import OPS

__all__ = ["arange", "broadcast_to", "concat", "expand_dims", "flip", "full", "matmul", "matrix_transpose", "ones",
           "permute_dims", "reshape", "squeeze", "stack", "take", "tril", "triu", "zeros"]


# Products


def matmul(x, y) -> Expression | Array:
    """`x @ y` of tensors of shapes [..., n, k] and [..., k, m]; a tensor of shape [k] is one row or one column.

    Products and sums are those of `*` and `ef.sum`: of integers in i64. Raises: ShapeError where axes do not fit.
    """
    left, right = whole(x, "@"), whole(y, "@")
    for side in (left, right):
        if not side.ndim:
            raise ShapeError(f"@ of {side.name}, which has no axes", known=current().known, repair="multiply with *")
    name = named("matmul", (left, right))
    rows, inner, columns, batch = _ranks_of_product(left, right)
    ends = (sides_of(left)[-1], sides_of(right)[-min(right.ndim, 2)])
    length = met_sides(*ends, inner, name, broadcasts=False)
    outer = [Array(side.source, side.extents[:-2], side.name) for side in (left, right) if side.ndim > 2]
    sides = _met_batches(outer, batch, name)
    ranks = [*batch, *rows, *columns]
    sides += sides_of(left)[-2:-1] + sides_of(right)[-1:] * len(columns)
    row, column = Frame((*batch, *rows, inner), (*sides[:len(batch) + len(rows)], length)), (inner, *columns)
    over = Frame((*batch, *column), (*sides[:len(batch)], length, *sides[len(batch) + len(rows):]))
    product = apply("multiply", row.at(left), over.at(right))
    product.extents.setdefault(inner.name, Binding(*length))
    made = reduction("sum", product, Rank(inner.name))
    return tensor_of(made, ranks, [side.extent for side in sides], name)


def _met_batches(outer: list[Array], batch: Sequence[cas.Rank], name: str) -> list[Side]:
    """The axes before the matrices, broadcast by position."""
    sides = [Side(ONE, "")] * len(batch)
    for array in outer:
        for place, side in enumerate(sides_of(array), len(batch) - array.ndim):
            sides[place] = met_sides(sides[place], side, batch[place], name)
    return sides


def _ranks_of_product(left: Array, right: Array):
    """(of rows, of the sum, of columns, of the batch): those that the operand which is more work was made with."""
    own, other = ranks_of(left), ranks_of(right)
    names, taken = free_names((*own, *other)), set()

    def taken_by(rank: cas.Rank | None) -> cas.Rank:
        rank = next(names) if rank is None or rank in taken else rank
        taken.add(rank)
        return rank

    count = max(left.ndim, right.ndim, 2) - 2
    wide = own if left.ndim >= right.ndim else other
    is_right = is_computed(right) and not is_computed(left)
    if is_right:
        inner = taken_by(other[-min(right.ndim, 2)])
        columns = [taken_by(other[-1])] if right.ndim > 1 else []
    else:
        inner = taken_by(own[-1])
        rows = [taken_by(own[-2])] if left.ndim > 1 else []
    batch = [taken_by(rank) for rank in wide[:count]]
    if is_right:
        rows = [taken_by(own[-2])] if left.ndim > 1 else []
    else:
        columns = [taken_by(other[-1])] if right.ndim > 1 else []
    return rows, inner, columns, batch


# The same elements with other axes


def _rearranged(array: Array, ranks: Sequence[cas.Rank], extents: Sequence[Expr], indices: Sequence[Expr], name: str
                ) -> Expression | Array:
    """A tensor with these axes, read at indices that lie inside."""
    return tensor_of(Expression(read(array, indices), {}, dtype=array.dtype), ranks, extents, name)


def permute_dims(x, axes) -> Array:
    """The axes in another order: axis `i` of the result is axis `axes[i]` of x.

    Raises: ShapeError where `axes` does not name each axis once.
    """
    array = whole(x, "ef.permute_dims")
    order = axes_of(array, tuple(axes), "ef.permute_dims")
    if len(order) != array.ndim:
        raise ShapeError(f"ef.permute_dims of {array.name}, which has {counted(array.ndim, 'axis', 'axes')}, names "
                         f"{len(order)}", known=current().known, repair="name each axis once")
    own = ranks_of(array)
    return _rearranged(array, [own[axis] for axis in order], [array.extents[axis] for axis in order],
                       [cas.Index(rank) for rank in own], f"permute_dims({array.name})")


def matrix_transpose(x) -> Array:
    """The last two axes exchanged, `x.mT`. Raises: ShapeError with fewer than two."""
    array = whole(x, "ef.matrix_transpose")
    if array.ndim < 2:
        raise ShapeError(f"{array.name} has {counted(array.ndim, 'axis', 'axes')} and no matrix to transpose",
                         known=current().known, repair="a tensor of two axes or more has .mT")
    made = permute_dims(array, (*range(array.ndim - 2), array.ndim - 1, array.ndim - 2))
    return Array(made.source, made.extents, f"{array.name}.mT", dtype=array.dtype)


def _transpose(array: Array) -> Array:
    if array.ndim != 2:
        raise ShapeError(f"{array.name}.T of {counted(array.ndim, 'axis', 'axes')}", known=current().known,
                         repair=".T exchanges two axes; .mT the last two; ef.permute_dims orders any")
    made = matrix_transpose(array)
    return Array(made.source, made.extents, f"{array.name}.T", dtype=array.dtype)


def expand_dims(x, *, axis=0) -> Array:
    """One more axis of size 1, before axis `axis` of x; -1 is after the last."""
    array = whole(x, "ef.expand_dims")
    own, extents = list(ranks_of(array)), list(array.extents)
    if isinstance(axis, bool) or not isinstance(axis, int) or not -len(own) - 1 <= axis <= len(own):
        raise ShapeError(f"ef.expand_dims of {array.name} at axis {axis!r}, which has "
                         f"{counted(array.ndim, 'axis', 'axes')}", known=current().known,
                         repair="say before which axis, from 0, or -1 for after the last")
    place = axis % (len(own) + 1)
    indices = [cas.Index(rank) for rank in own]
    own.insert(place, next(free_names(own)))
    extents.insert(place, ONE)
    return _rearranged(array, own, extents, indices, array.name)


def squeeze(x, axis) -> Expression | Array:
    """Without axes of size 1; the sizes are fixed for this program. Raises: ShapeError for another size."""
    array = whole(x, "ef.squeeze")
    gone = axes_of(array, axis, "ef.squeeze")
    for place in gone:
        extent = current().representative(array.extents[place])
        if extent is not ONE and (known_size(extent) is None or fixed(extent) != 1):
            raise ShapeError(f"ef.squeeze of axis {place} of {array.name}, which has size "
                             f"{known_size(extent) or 'unknown'}", known=current().known,
                             repair="drop axes of size 1 only")
    own = ranks_of(array)
    kept = [place for place in range(array.ndim) if place not in gone]
    return _rearranged(array, [own[place] for place in kept], [array.extents[place] for place in kept],
                       [ZERO if place in gone else cas.Index(rank) for place, rank in enumerate(own)], array.name)


def flip(x, *, axis=None) -> Expression | Array:
    """The elements from the last to the first, along an axis, several or all."""
    array = whole(x, "ef.flip")
    turned = axes_of(array, axis, "ef.flip")
    own = ranks_of(array)
    indices = [arithmetic("subtract", arithmetic("subtract", extent, ONE), cas.Index(rank)) if place in turned
               else cas.Index(rank) for place, (rank, extent) in enumerate(zip(own, array.extents))]
    return _rearranged(array, own, array.extents, indices, f"flip({array.name})")


def _extent(size, what: str) -> Expr:
    """One extent of a shape: a number from 0, or an expression of extents."""
    made = lift(size)
    is_known = all(isinstance(node, Const | cas.Size | cas.Extent | Map | Cast) for node in postorder(made.node)
                   if isinstance(node, Expr))
    if made.extents or not made.dtype.is_int or not is_known:
        raise TraceError(f"an extent of {what} is {made._called()}", known=current().known,
                         repair="give numbers and extents, A.shape[0] or k.extent")
    size = known_size(made.node)
    if size is not None and size < 0:
        raise ShapeError(f"an extent of {what} is {size}", known=current().known, repair="give 0 or more elements")
    if not isinstance(made.node, Const | cas.Size | cas.Extent):
        current().nonnegative.append((what, made.node, None))
    return made.node


def _shape(shape, what: str) -> tuple[Expr, ...]:
    return tuple(_extent(item, what) for item in (shape if isinstance(shape, tuple | list) else (shape,)))


def broadcast_to(x, shape) -> Expression | Array:
    """The elements repeated to a shape. Raises: ShapeError where it is not one that x broadcasts to."""
    array, extents = whole(x, "ef.broadcast_to"), _shape(shape, "ef.broadcast_to")
    if len(extents) < array.ndim:
        raise ShapeError(f"ef.broadcast_to of {array.name}, which has {counted(array.ndim, 'axis', 'axes')}, to "
                         f"{len(extents)}", known=current().known, repair="a shape has as many axes at least")
    own = ranks_of(array)
    names = free_names(own)
    ranks = (*(next(names) for _ in range(len(extents) - array.ndim)), *own)
    wanted = [Side(extent, f"the shape's axis {axis}") for axis, extent in enumerate(extents)]
    for place, side in enumerate(sides_of(array), len(extents) - array.ndim):
        if current().representative(side.extent) is not ONE:
            is_one = known_size(side.extent) == 1 and known_size(extents[place]) != 1
            if is_one:
                fixed(side.extent)
            else:
                met_sides(side, wanted[place], ranks[place], f"{array.name} and a shape", broadcasts=False)
    frame = Frame(ranks, tuple(wanted))
    return tensor_of(frame.at(array), ranks, extents, f"broadcast_to({array.name})")


def reshape(x, shape) -> Expression | Array:
    """The same elements in row-major order with other axes; one of them may be -1.

    Axes that both shapes have at the front or at the end are kept as they are. Raises: ShapeError where the numbers of
    elements differ.
    """
    array = whole(x, "ef.reshape")
    given = [None if _is_rest(item) else _extent(item, "ef.reshape")
             for item in (shape if isinstance(shape, tuple | list) else (shape,))]
    rest = [place for place, extent in enumerate(given) if extent is None]
    if len(rest) > 1:
        raise ShapeError(f"ef.reshape of {array.name} to a shape with -1 twice", known=current().known,
                         repair="leave one extent to be computed")
    before, after, own = list(array.extents), list(given), list(ranks_of(array))
    names = free_names(own)
    front = _same(before, after)
    back = _same(before[front:][::-1], after[front:][::-1])
    middle, made = slice(front, len(before) - back), slice(front, len(after) - back)
    for place in rest:
        others = [extent for extent in after[made] if extent is not None]
        after[place] = arithmetic("floor_divide", product(before[middle]), product(others))
    _agree(array, after, [extent for extent in given if extent is not None] if rest else None)
    ranks = [*own[:front], *(next(names) for _ in after[made]), *own[len(before) - back:]]
    places = _split([cas.Index(rank) for rank in ranks[made]], after[made], before[middle])
    indices = [*map(cas.Index, own[:front]), *places, *map(cas.Index, own[len(before) - back:])]
    return _rearranged(array, ranks, after, indices, f"{array.name}.reshape")


def _is_rest(item) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool) and item == -1


def _same(before: list[Expr], after: list) -> int:
    """How many extents at the beginning are the same in both shapes."""
    trace, count = current(), 0
    for one, other in zip(before, after):
        if other is None or trace.representative(one) is not trace.representative(other):
            break
        count += 1
    return count


def _agree(array: Array, after: Sequence[Expr], given: Sequence[Expr] | None) -> None:
    """Demands that two shapes have as many elements; `given` are the extents beside -1, if there is one."""
    trace, total, made = current(), product(array.extents), product(after)
    sizes = known_size(total), known_size(made)
    nothing = given is not None and known_size(product(given)) == 0
    if None not in sizes and (sizes[0] != sizes[1] or nothing):
        old, new = (", ".join(str(known_size(extent)) for extent in extents)
                    for extents in (array.extents, after if given is None else given))
        wrong = f"has no shape [{new}]" if given is None else f"leaves no whole number for -1 beside {new}"
        raise ShapeError(f"{array.name} of shape [{old}] {wrong}", known=trace.known,
                         repair="give a shape with as many elements")
    trace.equate("(elements)", total, made, array.name, "its new shape")


def _split(indices: Sequence[Expr], made: Sequence[Expr], wanted: Sequence[Expr]) -> list[Expr]:
    """Indices on other axes of the same elements, counted row-major."""
    if not wanted or not indices:
        return [ZERO] * len(wanted)
    flat = indices[0]
    for index, extent in zip(indices[1:], made[1:]):
        flat = arithmetic("add", arithmetic("multiply", flat, extent), index)
    places: list[Expr] = []
    for extent in reversed(wanted[1:]):
        places.append(arithmetic("remainder", flat, extent))
        flat = arithmetic("floor_divide", flat, extent)
    return [flat, *reversed(places)]


# Several tensors as one


def _operands(arrays, what: str) -> list[Array]:
    if not isinstance(arrays, tuple | list) or not arrays:
        called = arrays._called() if isinstance(arrays, Symbolic) else repr(arrays)
        raise TraceError(f"{what} takes a list of tensors, not {called}", known=current().known,
                         repair=f"{what}([A, B], axis=0)")
    made = [whole(item, what) for item in arrays]
    for array in made:
        if array.ndim != made[0].ndim:
            raise ShapeError(f"{what} of {made[0].name} with {counted(made[0].ndim, 'axis', 'axes')} and {array.name} "
                             f"with {array.ndim}", known=current().known, repair="give all as many: ef.expand_dims")
    return made


def concat(arrays, *, axis=0) -> Array:
    """Tensors one after the other along an axis (None: their elements, row-major).

    Raises: ShapeError where their other axes differ.
    """
    if axis is None and isinstance(arrays, tuple | list):
        arrays = [reshape(item, (-1,)) for item in arrays]
    parts = _operands(arrays, "ef.concat")
    (place,) = axes_of(parts[0], 0 if axis is None else axis, "ef.concat")
    ranks, sides = ranks_of(parts[0]), sides_of(parts[0])
    for other in parts[1:]:
        for rank, at, side in zip(ranks, range(len(sides)), sides_of(other)):
            if at != place:
                sides[at] = met_sides(sides[at], side, rank, "ef.concat", broadcasts=False)
    ends, end = [], ZERO
    for item in parts:
        ends.append(end := arithmetic("add", end, item.extents[place]))
    sides[place] = Side(end, "ef.concat")
    frame = Frame(ranks, tuple(sides))
    here = frame.over(cas.Index(ranks[place]), weak=True)
    made = None
    for number in reversed(range(len(parts))):
        begin = ends[number - 1] if number else ZERO
        # never a bare rank, which would say that the part is as long as the whole
        index = arithmetic("subtract", here.node, begin) if number else Map(OPS["add"], (here.node, ZERO))
        element = frame.over(read(parts[number], [index if rank is ranks[place] else cas.Index(rank)
                                                  for rank in ranks]), dtype=parts[number].dtype)
        made = element if made is None else where(here < Expression(ends[number], {}, weak=True), element, made)
    return tensor_of(made, ranks, frame.extents, named("concat", parts))


def stack(arrays, *, axis=0) -> Array:
    """Tensors of one shape along a new axis. Raises: ShapeError where their shapes differ."""
    parts = _operands(arrays, "ef.stack")
    for other in parts[1:]:
        for rank, one, side in zip(ranks_of(parts[0]), sides_of(parts[0]), sides_of(other)):
            met_sides(one, side, rank, "ef.stack", broadcasts=False)
    made = concat([expand_dims(item, axis=axis) for item in parts], axis=axis)
    return Array(made.source, made.extents, f"stack{made.name.removeprefix('concat')}", dtype=made.dtype)


def take(x, indices, *, axis=None) -> Expression | Array:
    """The elements at `indices` along an axis, as `X[src[m], f]` reads them: checked, counted from 0.

    Raises: TraceError for indices that are no integers, or no axis named where there are several.
    """
    array, at = whole(x, "ef.take"), whole(indices, "ef.take")
    places = axes_of(array, axis, "ef.take")
    if len(places) != 1 or not at.dtype.is_int:
        wrong = f"of {at.dtype} indices" if len(places) == 1 else f"along {len(places)} axes"
        raise TraceError(f"ef.take {wrong}", known=current().known, repair="ef.take(X, indices, axis=0), with integers")
    own, (place,) = list(ranks_of(array)), places
    names = free_names((*own, *ranks_of(at)))
    new = tuple(next(names) for _ in range(at.ndim))
    index = apply("add", Expression(read(at, [cas.Index(rank) for rank in new]), {}), 0).astype(I64)
    node = read_at(array.source, array.extents, [index.node if axis == place else cas.Index(rank)
                                                 for axis, rank in enumerate(own)], array.pads)
    extents = (*array.extents[:place], *at.extents, *array.extents[place + 1:])
    made = Expression(cast(node, node.dtype.computed), {}, dtype=array.dtype)
    return tensor_of(made, (*own[:place], *new, *own[place + 1:]), extents, f"take({array.name})")


def _triangle(x, k, what: str, op: str) -> Array:
    array = whole(x, what)
    if array.ndim < 2:
        raise ShapeError(f"{what} of {array.name}, which has {counted(array.ndim, 'axis', 'axes')}",
                         known=current().known, repair="a tensor of two axes or more has triangles")
    frame = framed([array], what)
    row, column = (frame.over(cas.Index(rank), weak=True) for rank in frame.ranks[-2:])
    element = frame.at(array)
    zero = Expression(const(0, element.node.dtype), {}, dtype=array.dtype)
    made = where(apply(op, column, row + k), element, zero)
    return tensor_of(made, frame.ranks, frame.extents, named(what.removeprefix("ef."), (array,)))


def tril(x, *, k=0) -> Array:
    """The elements on and below diagonal k of the last two axes, 0 above."""
    return _triangle(x, k, "ef.tril", "less_equal")


def triu(x, *, k=0) -> Array:
    """The elements on and above diagonal k of the last two axes, 0 below."""
    return _triangle(x, k, "ef.triu", "greater_equal")


# Tensors of numbers


def full(shape, value, *, dtype=None) -> Expression | Array:
    """One number at all coordinates of a shape, of its own type unless `dtype` says another."""
    return _filled(shape, value, dtype, "full")


def _filled(shape, value, dtype: DType | None, word: str) -> Expression | Array:
    extents, made = _shape(shape, f"ef.{word}"), strong(lift(value))
    if made.extents:
        raise TraceError(f"ef.{word} of {made._called()}", known=current().known,
                         repair="give a number; or bind a rank of this extent, k.of(n)")
    names = free_names(())
    made = made if dtype is None else made.astype(dtype)
    return tensor_of(made, [next(names) for _ in extents], extents, f"{word}(...)")


def zeros(shape, *, dtype=None) -> Expression | Array:
    """Zeros of a shape, of the default float unless `dtype` says another type."""
    return _filled(shape, 0.0, dtype, "zeros")


def ones(shape, *, dtype=None) -> Expression | Array:
    """Ones of a shape, of the default float unless `dtype` says another type."""
    return _filled(shape, 1.0, dtype, "ones")


def arange(start, stop=None, step=1, *, dtype: DType = DTYPES["i64"]) -> Array:
    """The integers from `start` (0 where there is one argument) to below `stop`: numbers or extents."""
    begin, end = (0, start) if stop is None else (start, stop)
    if isinstance(step, bool) or not isinstance(step, int) or step == 0:
        raise TraceError(f"the step of ef.arange is {step!r}", repair="give an integer that is not 0")
    parts = [lift(begin), lift(end)]
    for part in parts:
        if part.extents or not part.dtype.is_int or any(isinstance(node, cas.Access | cas.Scalar)
                                                        for node in postorder(part.node)):
            raise TraceError(f"ef.arange to {part._called()}", known=current().known,
                             repair="give integers and extents; arange(n) * 0.5 has other steps")
    low, high = (parts[0].node, parts[1].node) if step > 0 else (parts[1].node, parts[0].node)
    room = arithmetic("add", arithmetic("subtract", high, low), Const(abs(step) - 1, I64))
    count = arithmetic("floor_divide", room, Const(abs(step), I64))
    known = stop is None and step == 1 and isinstance(count, cas.Size | cas.Extent)
    count = count if known else arithmetic("maximum", count, ZERO)
    (rank,) = [next(free_names(()))]
    place = arithmetic("add", arithmetic("multiply", cas.Index(rank), Const(step, I64)), parts[0].node)
    made = Expression(place, {}).astype(dtype)
    return tensor_of(made, [rank], [count], "arange(...)")


BY_POSITION.update(matmul=matmul, mT=matrix_transpose, T=_transpose, reshape=reshape)

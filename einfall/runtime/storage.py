"""Operands in a format: the arrays that hold them, as they were given, in another order, or dense.

Wrapping copies nothing that is in order already. It looks at all coordinates once; afterwards they are trusted.
"""

import math
from collections.abc import Mapping

import numpy as np

from einfall.base.errors import FormatError
from einfall.format.codecs import HALF, Scaled
from einfall.format.format import DENSE, Format, Layout
from einfall.runtime.launch import refuse_what_no_memory_holds
from einfall.scalar.dtypes import DTYPES, F32, I32, I64, DType, of_numpy

__all__ = ["Stored", "compressed", "pack"]


class Stored:
    """An array in a format: `shape` and `dtype` are those of the dense array, `arrays` what holds it.

    A compressed one has `pos`, `crd` and `value`, in the order of its levels; a scaled one `code`, `scale` and perhaps
    `zero`, whose last axes stand for the grouped one.
    """

    def __init__(self, format: Format, shape: tuple[int, ...], arrays: Mapping[str, np.ndarray], *,
                 is_torch: bool = False):
        self.format, self.shape, self.arrays, self.is_torch = format, tuple(shape), dict(arrays), is_torch
        type = F32 if isinstance(format.codec, Scaled) else of_numpy(self.arrays["value"].dtype)
        index = of_numpy(self.arrays["pos"].dtype) if format.is_sparse else I64
        is_even = not isinstance(format.codec, Scaled) or self.shape[format.codec.axis] % format.codec.whole == 0
        self.layout = Layout(format, type, index, is_even)
        self.dtype = np.dtype(type.numpy)
        if not _holds(type, format.fill):
            raise FormatError(f"a fill of {format.fill!r}, which {type} does not hold",
                              repair="choose a fill of the type of the values")
        self.longest = 1
        if format.is_sparse:
            longest = int(np.diff(self.arrays["pos"]).max(initial=0))
            self.longest = 1 << (longest - 1).bit_length() if longest else 0  # so many lengths share a program

    def __repr__(self):
        return f"<{self.format.name} array of shape {self.shape}: {self.layout.type}>"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays that hold it."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def places(self) -> tuple:
        """What decides how calls are planned: shapes and strides of what holds it, and its longest segment."""
        return tuple((name, array.shape, array.strides) for name, array in self.arrays.items()), self.longest

    def carrier(self) -> np.ndarray:
        """An array of the dense shape and no memory: what programs ask for sizes."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def memory(self, form: tuple[int, ...], part: str) -> np.ndarray:
        """An array that holds it in a form: `DENSE`, or the axes of its levels in order."""
        if form == DENSE:
            return self.stored() if part == "stored" else self.dense()
        if part == "span":
            # how long a segment may be: in another order than ours only the extent of the axis is known beforehand
            length = self.longest if form == self.format.order else self.shape[form[-1]]
            return np.broadcast_to(np.False_, (length,))
        return (self.arrays if form == self.format.order else self.in_order(form))[part]

    def in_order(self, form: tuple[int, ...]) -> dict[str, np.ndarray]:
        """What is stored, sorted by the axes of another order."""
        coordinates = self.coordinates()
        outer = [self.shape[axis] for axis in form[:-1]]
        parents = np.ravel_multi_index([coordinates[axis] for axis in form[:-1]], outer) if outer else np.zeros(
            len(coordinates[0]), np.int64)
        if self.ndim == 2:  # what is sorted already stays so under each parent
            order = np.argsort(parents, kind="stable")
        else:
            order = np.lexsort((coordinates[form[-1]], parents))
        index = self.arrays["pos"].dtype
        pos = np.zeros(math.prod(outer) + 1, index)
        np.cumsum(np.bincount(parents, minlength=math.prod(outer)), out=pos[1:])
        return {"pos": pos, "crd": coordinates[form[-1]][order].astype(index), "value": self.values()[order]}

    def values(self) -> np.ndarray:
        """The stored values, as many as there are positions."""
        return self.arrays["value"][:self.arrays["pos"][-1]]

    def coordinates(self) -> list[np.ndarray]:
        """The coordinates of what is stored, per axis."""
        pos, order = self.arrays["pos"], self.format.order
        parents = np.repeat(np.arange(len(pos) - 1), np.diff(pos))
        found = [np.empty(0, np.int64)] * self.ndim
        outer = [self.shape[axis] for axis in order[:-1]]
        if outer:
            for axis, coordinate in zip(order, np.unravel_index(parents, outer) if 0 not in outer else (
                    [parents] * len(outer))):
                found[axis] = coordinate
        found[order[-1]] = self.arrays["crd"][:pos[-1]].astype(np.int64)
        return found

    def stored(self) -> np.ndarray:
        """Which elements are stored, as a dense array."""
        if not self.format.is_sparse:
            return np.broadcast_to(np.True_, self.shape)
        refuse_what_no_memory_holds(self.shape, np.dtype(bool), f"{self!r}")
        made = np.zeros(self.shape, bool)
        made[tuple(self.coordinates())] = True
        return made

    def dense(self) -> np.ndarray:
        """The dense array; what a codec decodes is exact, in float64."""
        if isinstance(self.format.codec, Scaled):
            return _decoded(self.format.codec, self.shape, self.arrays)
        refuse_what_no_memory_holds(self.shape, self.dtype, f"{self!r}")
        made = np.full(self.shape, self.format.fill, self.dtype)
        made[tuple(self.coordinates())] = self.values()
        return made


def _holds(type: DType, fill: float) -> bool:
    """Whether a number is one of a type."""
    return type.is_float or (math.isfinite(fill) and int(fill) == fill and type.lowest <= fill <= type.highest)


def compressed(format: Format, shape: tuple[int, ...], pos: np.ndarray, crd: np.ndarray, value: np.ndarray, *,
               is_torch: bool = False, what: str = "x") -> Stored:
    """The operand with these arrays: `crd[pos[p]:pos[p + 1]]` are the coordinates under position p, ascending.

    Raises: FormatError where they are not what a compressed level is.
    """
    index = I32.numpy if pos.dtype == crd.dtype == np.int32 else I64.numpy
    pos, crd = (array.astype(index, copy=False) for array in (pos, crd))
    parents = math.prod(shape[axis] for axis in format.order[:-1])
    extent = shape[format.order[-1]]
    known = f"{what}: shape {list(shape)}, pos {list(pos.shape)}, crd {list(crd.shape)}, values {list(value.shape)}"
    if pos.shape != (parents + 1,) or crd.ndim != 1 or crd.shape != value.shape:
        raise FormatError(f"the arrays of {what} ({format.name}) do not fit its shape", known=known,
                          repair="give one position more than there are rows, and a coordinate for each value")
    if pos[0] != 0 or (np.diff(pos) < 0).any() or pos[-1] > len(crd):
        raise FormatError(f"the positions of {what} ({format.name}) do not ascend from 0 to the number of its values",
                          known=known, repair="build it anew: scipy.sparse.coo_array((values, (rows, columns)))")
    held = crd[:pos[-1]]
    if len(held) and (held.min() < 0 or held.max() >= extent):
        wrong = int(held.min() if held.min() < 0 else held.max())
        raise FormatError(f"{what} ({format.name}) stores the coordinate {wrong} on an axis of extent {extent}",
                          known=known, repair="build it anew: scipy.sparse.coo_array((values, (rows, columns)))")
    if of_numpy(value.dtype) is None:
        raise FormatError(f"the values of {what} have dtype {value.dtype}", known=known,
                          repair=f"convert them to one of {', '.join(DTYPES)}")
    return Stored(format, shape, {"pos": pos, "crd": crd, "value": value}, is_torch=is_torch)


def pack(x: np.ndarray, format: Format) -> Stored:
    """A dense array in a format: what is not the fill is stored, codes are rounded to nearest even and saturate.

    Raises: FormatError for other numbers of axes than levels, for what no scale scales (NaN, infinities), and for
    formats without packing.
    """
    known = f"x: {of_numpy(x.dtype) or x.dtype}{list(x.shape)}"
    if of_numpy(x.dtype) is None:
        raise FormatError(f"ef.pack of an array of {x.dtype}", known=known,
                          repair=f"convert it to one of {', '.join(DTYPES)}")
    if x.ndim != len(format.levels):
        raise FormatError(f"an array of {x.ndim} axes in a format of {len(format.levels)} levels", known=known,
                          repair="give a level for each axis")
    if isinstance(format.codec, Scaled):
        return Stored(format, x.shape, _encoded(format.codec, x, known))
    if not format.is_sparse:
        raise FormatError("a format of dense levels without ef.Scaled: that is what a NumPy array is", known=known,
                          repair="pass x itself, or x.astype(...)")
    x = x if format.codec is None else x.astype(format.codec.numpy)
    count = math.prod(x.shape[axis] for axis in format.order[:-1])
    turned = np.ascontiguousarray(x.transpose(format.order)).reshape(count, x.shape[format.order[-1]])
    parents, crd = np.nonzero(turned != format.fill)
    pos = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(parents, minlength=count), out=pos[1:])
    return compressed(format, x.shape, pos, crd, turned[parents, crd])


def _encoded(codec: Scaled, x: np.ndarray, known: str) -> dict[str, np.ndarray]:
    """Codes, scales and zeros of groups along the grouped axis, which comes last."""
    x = np.moveaxis(x, codec.axis, -1).astype(np.float64)
    if not np.isfinite(x).all():
        raise FormatError("what is packed has NaN or infinite elements, and no scale scales them", known=known,
                          repair="replace them first: np.nan_to_num(x)")
    extent, offset, highest = x.shape[-1], codec.code.offset, codec.code.highest
    count = -(-extent // codec.group)
    groups = np.zeros((*x.shape[:-1], count * codec.group))
    groups[..., :extent] = x
    groups = groups.reshape(*x.shape[:-1], count, codec.group)
    if codec.zero is None:
        scale = (np.abs(groups) if offset else groups).max(axis=-1, initial=0) / (highest - offset)
    else:
        low, high = groups.min(axis=-1, initial=0), groups.max(axis=-1, initial=0)
        scale = (high - low) / highest
    limit = 65504.0 if codec.scale.name == "f16" else 3e38
    scale = np.minimum(scale, limit).astype(codec.scale.numpy)
    by = np.where(scale.astype(np.float64) == 0, 1.0, scale.astype(np.float64))
    made = {"scale": scale}
    if codec.zero is None:
        codes = np.rint(groups / by[..., None]) + offset
    elif codec.zero is True:
        made["zero"] = np.clip(np.rint(-low / by), 0, highest).astype(np.uint8)
        codes = np.rint(groups / by[..., None]) + made["zero"][..., None]
    else:
        made["zero"] = (low + offset * by).astype(codec.zero.numpy)
        codes = np.rint((groups - made["zero"].astype(np.float64)[..., None]) / by[..., None]) + offset
    codes = np.clip(codes, 0, highest).astype(np.uint8).reshape(*x.shape[:-1], count * codec.group)[..., :extent]
    return {"code": _in_blocks(codec, codes) if codec.code.bits == 4 else np.ascontiguousarray(codes), **made}


def _in_blocks(codec: Scaled, codes: np.ndarray) -> np.ndarray:
    """Codes of 4 bits, two a byte, in blocks of 32, those of a group together: [..., groups, blocks, 16]."""
    together = -(-codes.shape[-1] // codec.whole)
    whole = np.zeros((*codes.shape[:-1], together * codec.whole), np.uint8)
    whole[..., :codes.shape[-1]] = codes
    whole = whole.reshape(*codes.shape[:-1], together, codec.blocks, 2, HALF)
    return whole[..., 0, :] | whole[..., 1, :] << 4


def _decoded(codec: Scaled, shape: tuple[int, ...], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The numbers of a scaled array, exactly."""
    extent, code = shape[codec.axis], arrays["code"]
    if codec.code.bits == 4:
        code = np.stack([code & 15, code >> 4], axis=-2)
        code = code.reshape(*code.shape[:-4], code.shape[-4] * codec.whole)[..., :extent]

    def each(name: str) -> np.ndarray:
        return np.repeat(arrays[name].astype(np.float64), codec.group, axis=-1)[..., :extent]

    q = code.astype(np.float64) - (each("zero") if codec.zero is True else codec.code.offset)
    value = q * each("scale")
    if codec.zero not in (None, True):
        value = value + each("zero")
    return np.moveaxis(value, -1, codec.axis)

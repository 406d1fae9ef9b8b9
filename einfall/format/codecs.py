"""Codecs: how stored bits stand for numbers, as expressions of the scalar language.

A plain number type is a codec: what is stored is the number. `Scaled` codes are integers of few bits, each group of
them along an axis with a scale of its own, and a zero if it is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from einfall.base.errors import FormatError
from einfall.scalar.dtypes import DTYPES, F32, I64, DType
from einfall.scalar.nodes import Cast, Const, Expr, Map, cast, const
from einfall.scalar.ops import OPS

__all__ = ["BLOCK", "HALF", "Int", "Integer", "Lane", "Scaled", "UInt", "decoded", "scale_at",
           "unscaled"]

BLOCK = 32  # codes of 4 bits that are packed together: byte j has code j in its low half, code j + 16 in the high one
HALF = BLOCK // 2
U8 = DTYPES["u8"]

Read = Callable[[str, tuple[Expr, ...]], Expr]  # an element of an array of the codec


@dataclass(frozen=True, init=False)
class Integer:
    """Codes of 4 or 8 bits, with a sign or without; stored without one: a code with a sign is moved up by `offset`."""

    bits: int
    is_signed: bool

    def __init__(self, bits: int, is_signed: bool):
        if bits not in (4, 8):
            raise FormatError(f"codes of {bits!r} bits", repair="use 4 or 8 bits: ef.Int(4), ef.UInt(8)")
        self.__dict__.update(bits=bits, is_signed=is_signed)

    def __repr__(self):
        return f"{'Int' if self.is_signed else 'UInt'}({self.bits})"

    @property
    def offset(self) -> int:
        """What is added to a number for its code."""
        return 2 ** (self.bits - 1) if self.is_signed else 0

    @property
    def highest(self) -> int:
        """The largest code; the least is 0."""
        return 2**self.bits - 1


def Int(bits: int) -> Integer:
    """Integers with a sign in 4 or 8 bits. Raises: FormatError for other numbers of bits."""
    return Integer(bits, True)


def UInt(bits: int) -> Integer:
    """Integers without a sign in 4 or 8 bits. Raises: FormatError for other numbers of bits."""
    return Integer(bits, False)


@dataclass(frozen=True, init=False)
class Scaled:
    """Numbers `(q - zero) * scale` with integers q, and a scale (and zero) for each `group` of them along an axis.

    scale: the float type of the scales; zero: None for none, True for one that is a code, a float type for one that is
    added after scaling, `q * scale + zero`. Raises: FormatError for what is none of these.
    """

    code: Integer
    group: int
    axis: int
    scale: DType
    zero: DType | bool | None

    def __init__(self, code: Integer, group: int, axis: int = -1, scale: DType = DTYPES["f16"],
                 zero: DType | bool | None = None):
        self.__dict__.update(code=code, group=group, axis=axis, scale=scale, zero=zero)
        repair = "ef.Scaled(ef.Int(4), group=128, scale=ef.f16, zero=True)"
        if not isinstance(self.code, Integer):
            raise FormatError(f"ef.Scaled of {self.code!r}", repair=repair)
        if type(self.group) is not int or self.group < 1:
            raise FormatError(f"ef.Scaled with groups of {self.group!r}", repair=repair)
        if type(self.axis) is not int:
            raise FormatError(f"ef.Scaled along axis {self.axis!r}", repair=repair)
        if not isinstance(self.scale, DType) or not self.scale.is_float:
            raise FormatError(f"ef.Scaled with scales of {self.scale!r}", repair=repair)
        is_float = isinstance(self.zero, DType) and self.zero.is_float
        if not (self.zero is None or self.zero is True or is_float):
            raise FormatError(f"ef.Scaled with a zero of {self.zero!r}", repair=repair)

    @property
    def arrays(self) -> Mapping[str, tuple[DType, int]]:
        """The arrays with their types, and how many axes each has in the place of the grouped one."""
        found = {"code": (U8, 3 if self.code.bits == 4 else 1), "scale": (self.scale, 1)}
        if self.zero is not None:
            found["zero"] = (U8 if self.zero is True else self.zero, 1)
        return found

    @property
    def blocks(self) -> int:
        """How many blocks of 4-bit codes lie together: those of a group, one where groups are no whole blocks."""
        return self.group // BLOCK if self.group % BLOCK == 0 else 1

    @property
    def whole(self) -> int:
        """How many codes of 4 bits are stored at least, and a multiple of that always."""
        return self.blocks * BLOCK

    @property
    def scales_sums(self) -> bool:
        """Whether a scale may be applied to a sum: each block has one, and nothing is added after it."""
        return self.group % BLOCK == 0 and not isinstance(self.zero, DType)


class Lane(NamedTuple):
    """A coordinate along the grouped axis, taken apart: which blocks lie together, the block among them, its place in a
    half of the block, which half."""

    together: Expr
    block: Expr
    lane: Expr
    half: int

    def coordinate(self, codec: Scaled) -> Expr:
        """The coordinate."""
        found = _map("multiply", self.together, Const(codec.whole, I64))
        if codec.blocks > 1:
            found = _map("add", found, _map("multiply", self.block, Const(BLOCK, I64)))
        found = _map("add", found, Const(self.half * HALF, I64)) if self.half else found
        return _map("add", found, self.lane)


def scale_at(codec: Scaled, read: Read, others: tuple[Expr, ...], group: Expr) -> Expr:
    """The scale of a group."""
    return cast(read("scale", (*others, group)), F32)


def unscaled(codec: Scaled, read: Read, others: tuple[Expr, ...], coordinate: Expr, lane: Lane | None, group: Expr
             ) -> Expr:
    """The number at a coordinate of the grouped axis before it is scaled."""
    q = Cast(_code(codec, read, others, coordinate, lane), F32)
    if codec.zero is True:
        return _map("subtract", q, Cast(read("zero", (*others, group)), F32))
    return _map("subtract", q, const(codec.code.offset, F32)) if codec.code.offset else q


def decoded(codec: Scaled, read: Read, others: tuple[Expr, ...], coordinate: Expr, lane: Lane | None) -> Expr:
    """The number at a coordinate of the grouped axis; `others` are the coordinates on the other axes.

    lane: the coordinate taken apart, where it is known so.
    """
    group = lane.together if lane is not None and codec.group % BLOCK == 0 else _map(
        "floor_divide", coordinate, Const(codec.group, I64))
    q = unscaled(codec, read, others, coordinate, lane, group)
    value = _map("multiply", q, scale_at(codec, read, others, group))
    return _map("add", value, cast(read("zero", (*others, group)), F32)) if isinstance(codec.zero, DType) else value


def _code(codec: Scaled, read: Read, others: tuple[Expr, ...], coordinate: Expr, lane: Lane | None) -> Expr:
    if codec.code.bits == 8:
        return read("code", (*others, coordinate))
    if lane is not None:
        byte = read("code", (*others, lane.together, lane.block, lane.lane))
        return _map("right_shift", byte, Const(4, U8)) if lane.half else _map("bitwise_and", byte, Const(15, U8))
    block = _map("floor_divide", coordinate, Const(BLOCK, I64))
    together, rest = (_map(name, block, Const(codec.blocks, I64)) for name in ("floor_divide", "remainder"))
    byte = read("code", (*others, together, rest, _map("remainder", coordinate, Const(HALF, I64))))
    half = _map("remainder", _map("floor_divide", coordinate, Const(HALF, I64)), Const(2, I64))
    shift = Cast(_map("multiply", half, Const(4, I64)), U8)
    return _map("bitwise_and", _map("right_shift", byte, shift), Const(15, U8))


def _map(name: str, left: Expr, right: Expr) -> Expr:
    return Map(OPS[name], (left, right))

"""Number types and how they meet."""

import ml_dtypes
import numpy as np

__all__ = ["BOOL", "DTYPES", "F32", "F64", "I32", "I64", "U64", "DType", "of_numpy", "promote"]


class DType:
    """A number type. There is one object of each, so `is` compares."""

    __slots__ = ("bits", "kind", "name", "numpy")

    def __init__(self, name: str, kind: str, bits: int):
        self.name, self.kind, self.bits = name, kind, bits
        self.numpy = np.dtype({"bool": "bool", "bf16": ml_dtypes.bfloat16}.get(name, f"{kind}{bits // 8}"))

    def __repr__(self):
        return self.name

    def __reduce__(self):
        return _named, (self.name,)

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_int(self) -> bool:
        """Whether it is an integer, with a sign or without."""
        return self.kind in ("i", "u")

    @property
    def letter(self) -> str:
        """The kind as tables have it: f floats, i integers with a sign or without, b booleans."""
        return "i" if self.is_int else self.kind[0]

    @property
    def computed(self) -> "DType":
        """The type in which its numbers are computed: floats narrower than f32 stand in memory and in casts only."""
        return F32 if self.is_float and self.bits < 32 else self

    @property
    def is_narrow(self) -> bool:
        """Whether it is a float that is computed in a wider type."""
        return self.computed is not self

    @property
    def lowest(self):
        """The identity of max: -inf, or the least integer."""
        if self.is_float:
            return -float("inf")
        return False if self.kind == "bool" else 0 if self.kind == "u" else -(2 ** (self.bits - 1))

    @property
    def highest(self):
        """The identity of min: inf, or the largest integer."""
        if self.is_float:
            return float("inf")
        return True if self.kind == "bool" else 2 ** (self.bits - (self.kind == "i")) - 1

    @property
    def accumulated(self) -> "DType":
        """The type of sums and products: 64 bits for integers, signed but for u64; a float's own."""
        return self if self.is_float else U64 if self is U64 else I64

    def holds(self, other: "DType") -> bool:
        """Whether every integer of the other type is one of this."""
        return self.lowest <= other.lowest and other.highest <= self.highest


BOOL, I32, I64, U64 = DType("bool", "bool", 8), DType("i32", "i", 32), DType("i64", "i", 64), DType("u64", "u", 64)
F32, F64 = DType("f32", "f", 32), DType("f64", "f", 64)
DTYPES = {dtype.name: dtype for dtype in (
    BOOL, DType("u8", "u", 8), DType("i8", "i", 8), DType("u16", "u", 16), DType("i16", "i", 16), DType("u32", "u", 32),
    I32, U64, I64, DType("f16", "f", 16), DType("bf16", "f", 16), F32, F64)}
_OF_NUMPY = {dtype.numpy: dtype for dtype in DTYPES.values()}
_ORDER = {"b": 0, "i": 1, "f": 2}


def _named(name: str) -> DType:
    return DTYPES[name]


def of_numpy(dtype: np.dtype) -> DType | None:
    """The number type of a NumPy dtype in native byte order; None where einfall has none."""
    return _OF_NUMPY.get(dtype)


def promote(left: DType, right: DType) -> DType | None:
    """The type in which two numbers meet: the array API's table, and the float where an integer meets a float.

    None for u64 and a signed integer, which have no type in common.
    """
    if left.letter != right.letter:
        return max(left, right, key=lambda dtype: _ORDER[dtype.letter])
    if left.kind == right.kind:
        if left.bits == right.bits and left is not right:
            return F32  # f16 and bf16: neither holds the other
        return max(left, right, key=lambda dtype: dtype.bits)
    unsigned, signed = (left, right) if left.kind == "u" else (right, left)
    return DTYPES.get(f"i{max(2 * unsigned.bits, signed.bits)}")

"""Number types and how they meet."""

import numpy as np

__all__ = ["BOOL", "DTYPES", "F32", "F64", "I32", "I64", "DType", "of_numpy", "promote"]


class DType:
    """A number type. There is one object of each, so `is` compares."""

    __slots__ = ("bits", "kind", "name", "numpy")

    def __init__(self, name: str, kind: str, bits: int):
        self.name, self.kind, self.bits = name, kind, bits
        self.numpy = np.dtype({"bool": "bool", "f": f"f{bits // 8}", "i": f"i{bits // 8}"}[kind])

    def __repr__(self):
        return self.name

    def __reduce__(self):
        return _named, (self.name,)

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_int(self) -> bool:
        return self.kind == "i"

    @property
    def lowest(self):
        """The identity of max: -inf, or the least integer."""
        return -float("inf") if self.is_float else False if self.kind == "bool" else -(2 ** (self.bits - 1))

    @property
    def highest(self):
        """The identity of min: inf, or the largest integer."""
        return float("inf") if self.is_float else True if self.kind == "bool" else 2 ** (self.bits - 1) - 1


BOOL, I32, I64 = DType("bool", "bool", 8), DType("i32", "i", 32), DType("i64", "i", 64)
F32, F64 = DType("f32", "f", 32), DType("f64", "f", 64)
DTYPES = {dtype.name: dtype for dtype in (BOOL, I32, I64, F32, F64)}
_OF_NUMPY = {dtype.numpy: dtype for dtype in DTYPES.values()}


def _named(name: str) -> DType:
    return DTYPES[name]


def of_numpy(dtype: np.dtype) -> DType | None:
    """The number type of a NumPy dtype in native byte order; None where einfall has none."""
    return _OF_NUMPY.get(dtype)


def promote(left: DType, right: DType) -> DType:
    """The type in which two numbers meet: the array API's table, and the float where an integer meets a float."""
    order = {"bool": 0, "i": 1, "f": 2}
    return max(left, right, key=lambda dtype: (order[dtype.kind], dtype.bits))

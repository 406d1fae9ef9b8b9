"""Which types there are, how they meet, and their integers at the ends of their range, against NumPy."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from einfall.scalar.dtypes import DTYPES, of_numpy, promote
from einfall.scalar.nodes import const
from einfall.scalar.ops import OPS, convert

INTEGERS = [dtype for dtype in DTYPES.values() if dtype.is_int]
NAMES = "bool u8 i8 u16 i16 u32 i32 u64 i64 f16 bf16 f32 f64"


def ends(dtype) -> np.ndarray:
    """The ends of the range, and what lies around zero."""
    around = [value for value in (-3, -2, -1, 0, 1, 2, 3, 7, 8, 100) if dtype.lowest <= value <= dtype.highest]
    return np.array([dtype.lowest, dtype.lowest + 1, *around, dtype.highest - 1, dtype.highest], dtype.numpy)


def test_the_types():
    assert " ".join(sorted(DTYPES)) == " ".join(sorted(NAMES.split()))
    assert all(of_numpy(dtype.numpy) is dtype for dtype in DTYPES.values())
    assert DTYPES["bf16"].numpy == np.dtype(ml_dtypes.bfloat16)
    assert of_numpy(np.dtype(np.longdouble)) is None and of_numpy(np.dtype(ml_dtypes.float8_e5m2)) is None


@pytest.mark.parametrize("left, right", list(itertools.product(DTYPES.values(), repeat=2)), ids=repr)
def test_types_meet_by_the_table_of_the_array_api(left, right):
    met = promote(left, right)
    assert met is promote(right, left)
    if left.letter == right.letter:
        mixed = {left.kind, right.kind} == {"i", "u"} and 64 in (left.bits, right.bits) and "u64" in (
            left.name, right.name)
        both_narrow = {left.name, right.name} == {"f16", "bf16"}  # NumPy leaves it open; torch has this as well
        expected = None if mixed else np.dtype("f4") if both_narrow else np.promote_types(left.numpy, right.numpy)
        assert (met and met.numpy) == expected
    else:
        assert met is (left if "bif".index(left.letter) > "bif".index(right.letter) else right)


@pytest.mark.parametrize("dtype", INTEGERS, ids=repr)
def test_integers_wrap_and_never_trap(dtype):
    a, b = np.meshgrid(ends(dtype), ends(dtype))
    width = dtype.bits

    def wrapped(function):
        made = [function(int(x), int(y)) % 2**width for x, y in zip(a.ravel(), b.ravel())]
        return np.array(made, np.uint64).astype(dtype.numpy).reshape(a.shape)

    exact = {
        "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y,
        "floor_divide": lambda x, y: x // y if y else 0, "remainder": lambda x, y: x % y if y else 0,
        "minimum": min, "maximum": max, "bitwise_and": lambda x, y: x & y, "bitwise_xor": lambda x, y: x ^ y,
        "left_shift": lambda x, y: x << y if 0 <= y < width else 0,
        "right_shift": lambda x, y: x >> y if 0 <= y < width else -(x < 0),
        "pow": lambda x, y: pow(x, y, 2**width) if y >= 0 else {1: 1, -1: 1 - 2 * (y % 2)}.get(x, 0),
    }
    for name, function in exact.items():
        with np.errstate(all="ignore"):
            made = OPS[name].evaluate(a, b)
        assert made.dtype == dtype.numpy, name
        assert np.array_equal(made, wrapped(function)), name
    with np.errstate(all="ignore"):
        assert np.array_equal(OPS["negative"].evaluate(a), wrapped(lambda x, _: -x))
        assert np.array_equal(OPS["abs"].evaluate(a), wrapped(lambda x, _: abs(x)))
        assert np.array_equal(OPS["sign"].evaluate(a), wrapped(lambda x, _: (x > 0) - (x < 0)))


@pytest.mark.parametrize("dtype", INTEGERS, ids=repr)
def test_floats_truncate_and_saturate(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.7, -2.7, -0.5, 2.0**63, 2.0**64])
    low, high = dtype.lowest, dtype.highest
    expected = [0, high, low, high, low, 2, max(-2, low), 0, min(2**63, high), high]
    assert convert(x, dtype.numpy).tolist() == expected
    assert convert(x.astype(np.float32), dtype.numpy).tolist() == expected


def test_constants_of_narrow_floats_are_rounded():
    assert const(1.1, DTYPES["bf16"]).value == float(ml_dtypes.bfloat16(1.1))
    assert const(70000.0, DTYPES["f16"]).value == np.inf
    assert const(1.1, DTYPES["f32"]).value == 1.1

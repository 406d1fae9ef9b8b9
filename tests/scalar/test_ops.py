"""The documented values of integer operators and conversions, where hardware would trap or leave them open."""

import numpy as np
import pytest

from einfall.scalar.ops import OPS, convert

I32, I64 = np.int32, np.int64


@pytest.mark.parametrize("op, a, b, expected", [
    ("floor_divide", 7, 0, 0), ("remainder", 7, 0, 0), ("floor_divide", -7, 2, -4), ("remainder", -7, 2, 1),
    ("floor_divide", 7, -2, -4), ("remainder", 7, -2, -1), ("floor_divide", -(2**31), -1, -(2**31)),
    ("remainder", -(2**31), -1, 0), ("left_shift", 1, 32, 0), ("left_shift", 1, -1, 0), ("right_shift", -5, 40, -1),
    ("right_shift", 5, 40, 0), ("right_shift", -5, 1, -3), ("pow", 2, -1, 0), ("pow", -1, -3, -1), ("pow", 0, 0, 1),
    ("add", 2**31 - 1, 1, -(2**31)), ("multiply", 2**30, 4, 0),
])
def test_integers_never_trap(op, a, b, expected):
    with np.errstate(all="ignore"):
        result = OPS[op].evaluate(np.array([a], I32), np.array([b], I32))
    assert result.dtype == I32
    assert result[0] == expected


def test_floats_become_integers_by_truncation_and_saturation():
    x = np.array([2.7, -2.7, np.nan, np.inf, -np.inf, 3e9, -3e9, 2.0**31, -(2.0**31)])
    high, low = 2**31 - 1, -(2**31)
    assert convert(x, np.dtype(I32)).tolist() == [2, -2, 0, high, low, high, low, high, low]
    assert convert(np.array([2.0**63, -(2.0**63), 1e300]), np.dtype(I64)).tolist() == [2**63 - 1, -(2**63), 2**63 - 1]


def test_annihilators():
    assert OPS["multiply"].annihilated(0, -0.0)
    assert OPS["divide"].annihilated(0, 0.0) and not OPS["divide"].annihilated(1, 0.0)
    assert OPS["subtract"].annihilated(0, -np.inf) and not OPS["subtract"].annihilated(1, -np.inf)
    assert OPS["bitwise_or"].annihilated(0, True) and not OPS["bitwise_or"].annihilated(0, 1)

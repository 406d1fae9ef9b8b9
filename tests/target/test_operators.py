"""Operators on the CPU where they are more than one instruction."""

import numpy as np
import pytest

import einfall as ef
from tests.target.test_mathematics import ulps

i = ef.ranks("i")


@pytest.mark.parametrize("op", ["sin", "cos"])
@pytest.mark.parametrize("count", [1, 16, 37, 1000])
def test_circular_functions_are_right_however_large_the_argument(op, count):
    @ef.kernel
    def f(x):
        return getattr(ef, op)(x[i])[i]

    random = np.random.default_rng(count)
    x = (random.standard_normal(count) * 10.0 ** random.uniform(-3, 38, count)).astype(np.float32)
    assert ulps(f(x), getattr(np, op)(x.astype(np.float64))).max() <= 8
    with np.errstate(invalid="ignore"):
        edges = np.array([np.inf, -np.inf, np.nan, 0.0, 8388607.5, 1e10, 3.4e38], np.float32)
        expected = getattr(np, op)(edges.astype(np.float64))
    result = f(edges)
    assert np.array_equal(np.isnan(result), np.isnan(expected))
    assert ulps(result[3:], expected[3:]).max() <= 8

"""Maps and broadcasting by rank name."""

import numpy as np

import einfall as ef
from tests.programs.program import program

i, j, k = ef.ranks("i j k")


@program(lambda rng: (
    0.75,
    rng.standard_normal((5, 6), dtype=np.float32)[:, ::2].T,
    rng.standard_normal((1, 5), dtype=np.float32),
    rng.standard_normal(3, dtype=np.float32)[::-1],
))
@ef.kernel
def broadcast_by_name(a, A, B, c):
    return ((a * A[i, j] - B[k, j]) * c[i] + 1)[k, j, i]


@program(lambda rng: (rng.standard_normal((4, 7), dtype=np.float32), rng.integers(-9, 9, 4, dtype=np.int32)))
@ef.kernel
def indices_as_values(X, n):
    upper = ef.where((i <= j) & (j < i + 3), X[i, j], -1.0)
    return (upper * (i - 2 * j) + j / j.extent)[j, i], (n[i] * i + i.extent)[i]


@program(lambda rng: (rng.uniform(0.05, 0.95, (3, 5)), rng.uniform(-2, 2, 4)))
@ef.kernel
def elementary(X, y):
    x = X[i, j]
    several = [ef.exp(x), ef.log(x), ef.log1p(x), ef.expm1(x), ef.sqrt(x), ef.rsqrt(x), ef.sin(x), ef.cos(x), ef.tan(x)]
    several += [ef.tanh(x), ef.sinh(x), ef.cosh(x), ef.asin(x), ef.acos(x), ef.atan(x), 2.0**x, x**-2, ef.abs(-x), -x]
    total = 0.0
    for n, value in enumerate(several):
        total = total + (n + 1) * value
    return total[i, j], ef.atan2(y[k], x - 0.5)[i, j, k], (x ** y[k])[k, j, i]


@program(lambda rng: (3 * rng.standard_normal((2, 9), dtype=np.float32),))
@ef.kernel
def activations(X):
    x = X[i, j]
    return {
        "sigmoid": ef.sigmoid(x)[i, j],
        "silu": ef.silu(x)[i, j],
        "relu": ef.relu(x)[i, j],
        "softplus": ef.softplus(x)[i, j],
        "erf": ef.erf(x)[i, j],
        "lgamma": ef.lgamma(ef.abs(x) + 0.5)[i, j],
        "gelu": (0.5 * x * (1 + ef.erf(x / ef.sqrt(2.0))))[i, j],
    }


def with_exceptions(rng, size):
    """Normal numbers among which are NaN and both infinities."""
    x = rng.standard_normal(size)
    x[[1, 4, 6]] = np.nan, np.inf, -np.inf
    return x


@program(lambda rng: (with_exceptions(rng, 9), with_exceptions(rng, 9)[::-1], -0.5, 0.5))
@ef.kernel
def not_a_number(x, y, low, high):
    larger, smaller = ef.maximum(x[i], y[j]), ef.minimum(x[i], y[j])
    clipped = ef.clip(x[i], low, high)
    finite = ef.where(ef.isfinite(x[i]) & ~ef.isnan(y[j]), x[i] * y[j], -1.0)
    order = (x[i] < y[j]) | (x[i] == y[j])
    unequal, largest = x[i] != x[i], ef.max(x[i], over=i)
    return larger[i, j], smaller[i, j], clipped[i], finite[j, i], order[i, j], unequal[i], largest[()]


@program(lambda rng: (rng.integers(-20, 20, 15) / 4,))
@ef.kernel
def rounding(x):
    return ef.floor(x[i])[i], ef.ceil(x[i])[i], ef.round(x[i])[i], ef.sign(x[i])[i], (x[i] // 0.75)[i], (x[i] % 0.75)[i]

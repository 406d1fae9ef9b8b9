"""Integers and bits: wrapping, floor division, shifts, casts, counting."""

import numpy as np

import einfall as ef
from tests.programs.program import program

i, j, n, t, v = ef.ranks("i j n t v")


@program(lambda rng: (
    np.array([-(2**31), -8, -7, -1, 0, 5, 7, 2**31 - 1], dtype=np.int32),
    np.array([-(2**31), -3, -1, 0, 1, 2, 3], dtype=np.int32),
    rng.integers(-20, 20, 9)[::2],
))
@ef.kernel
def floor_division(a, b, c):
    return (a[i] // b[j])[i, j], (a[i] % b[j])[i, j], (c[i] // -4)[i], (c[i] % -4)[i], (100 // c[i])[i], (c[i] / 4)[i]


@program(lambda rng: (
    rng.integers(-(2**31), 2**31, 7).astype(np.int32), np.array([0, 1, 5, 31, 32, 33, 70], dtype=np.int32),
    rng.integers(-(2**62), 2**62, 5), rng.random(7) < 0.5,
))
@ef.kernel
def shifts_and_bits(x, s, y, m):
    shifted = (x[i] << s[j])[i, j], (x[i] >> s[j])[i, j], (y[n] << 63)[n], (y[n] >> 64)[n]
    bits = (x[i] & 255) | (~x[i] & 3840) ^ (x[i] >> 4)
    logic = (m[i] & ~m[j] | (i == j)) ^ (x[i] > 0)
    return *shifted, bits[i], logic[j, i], (x[i] * x[i] + x[i])[i], (-x[i])[i]


def fowler_noll_vo(code, over):
    """The 64-bit hash FNV-1a."""
    return ef.scan(lambda h: (h ^ code) * 1099511628211, over=over, init=-3750763034362895579, last=True)


@program(lambda rng: (rng.integers(0, 256, (3, 6)), rng.integers(-(2**31), 2**31, (4, 5)).astype(np.int32)))
@ef.kernel
def hashes(X, Y):
    fold = ef.reduce(Y[i, j], over=j, by="xor")
    return fowler_noll_vo(X[n, t], t)[n], fold[i], ef.reduce(X[n, t], over=(n, t), by="xor")[()]


@program(lambda rng: (
    (rng.integers(-2, 8, (3, 9), dtype=np.int32), rng.random((3, 9)), np.zeros(0, dtype=np.int64)), {"bins": 6},
))
@ef.kernel
def histogram(X, W, Y, *, bins):
    bucket = v.of(bins)
    count = ef.sum(ef.where(X[n, t] == bucket, 1, 0), over=(n, t))
    weighted = ef.sum(ef.where(X[n, t] == bucket, W[n, t], 0), over=t)
    even = ef.sum(ef.where(X[n, t] % 2 == bucket, 1, 0), over=(t, n))
    return count[v], weighted[v, n], even[v], ef.sum(ef.where(Y[i] == bucket, 1, 0), over=i)[v]


@program(lambda rng: (rng.integers(-(2**31), 2**31, 9).astype(np.int32),))
@ef.kernel
def prefix_parity(x):
    ones = 0
    for place in range(32):
        ones = ones + ((x[t] >> place) & 1)
    parity = ef.scan(lambda s: s ^ (ones & 1), over=t, init=0)
    return ones[t], parity[t], (x[t] ^ (x[t] >> 1))[t]


@program(lambda rng: (
    np.array([-1e300, -3e9, -300.5, -2.7, -0.5, 0.0, 0.5, 2.7, 254.9, 300.5, 3e9, 1e300, np.nan, np.inf, -np.inf]),
    np.concatenate([rng.standard_normal(9), [2**24 + 1, 3e38, 1e-8]]),
    rng.integers(-(2**40), 2**40, 9),
))
@ef.kernel
def casts(x, y, z):
    whole = [x[i].astype(dtype)[i] for dtype in (ef.i32, ef.i64)]
    singles = y[i].astype(ef.f32).astype(ef.f64)
    words, positive = z[i].astype(ef.i32), (z[i] > 0).astype(ef.i32)
    return *whole, singles[i], words[i], ef.cast(z[i], ef.f64)[i], positive[i]


@program(lambda rng: (rng.integers(0, 500, (2, 5)), rng.integers(0, 500, 3)))
@ef.kernel
def greatest_common_divisor(a, b):
    x, y = a[i, j], b[n]
    for _ in range(14):
        x, y = ef.where(y == 0, x, y), x % y
    return x[i, j, n]

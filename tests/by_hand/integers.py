"""Integers and bits: wrapping, floor division, shifts, casts, counting."""

import numpy as np


def wrapped(values, bits):
    """Whole numbers of any size as two's complement."""
    low = np.vectorize(lambda n: (int(n) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1), otypes=[object])
    return low(np.array(values, dtype=object)).astype(f"i{bits // 8}")


def floor_division(a, b, c):
    a, b, c = a.tolist(), b.tolist(), c.tolist()
    quotient = [[x // y if y else 0 for y in b] for x in a]
    remainder = [[x % y if y else 0 for y in b] for x in a]
    fixed = [np.array([x // -4 for x in c]), np.array([x % -4 for x in c]), np.array([100 // x if x else 0 for x in c])]
    return wrapped(quotient, 32), wrapped(remainder, 32), *fixed, np.array([x / 4 for x in c])


def shifts_and_bits(x, s, y, m):
    x, s, y = x.tolist(), s.tolist(), y.tolist()
    left = wrapped([[v << by if by < 32 else 0 for by in s] for v in x], 32)
    right = wrapped([[v >> by if by < 32 else -(v < 0) for by in s] for v in x], 32)
    top, sign = wrapped([v << 63 for v in y], 64), wrapped([-(v < 0) for v in y], 64)
    bits = wrapped([(v & 255) | ((~v & 3840) ^ (v >> 4)) for v in x], 32)
    logic = [[((m[i] and not m[j]) or i == j) != (x[i] > 0) for i in range(7)] for j in range(7)]
    squares, negated = wrapped([v * v + v for v in x], 32), wrapped([-v for v in x], 32)
    return left, right, top, sign, bits, np.array(logic), squares, negated


def hashes(X, Y):
    codes = []
    for row in X.tolist():
        code = 0xCBF29CE484222325
        for byte in row:
            code = (code ^ byte) * 0x100000001B3 % 2**64
        codes.append(code)
    fold = [0] * len(Y)
    for i, row in enumerate(Y.tolist()):
        for value in row:
            fold[i] ^= value
    total = 0
    for value in X.ravel().tolist():
        total ^= value
    return wrapped(codes, 64), wrapped(fold, 32), np.int64(total)


def histogram(X, W, Y, *, bins):
    count, weighted, even = np.zeros(bins, dtype=np.int64), np.zeros((bins, 3)), np.zeros(bins, dtype=np.int64)
    for n, t in np.ndindex(X.shape):
        even[X[n, t] % 2] += 1
        if 0 <= X[n, t] < bins:
            count[X[n, t]] += 1
            weighted[X[n, t], n] += W[n, t]
    return count, weighted, even, np.zeros(bins, dtype=np.int64)


def prefix_parity(x):
    ones = [bin(v % 2**32).count("1") for v in x.tolist()]
    parity = [sum(ones[: t + 1]) % 2 for t in range(len(ones))]
    gray = [v ^ (v >> 1) for v in x.tolist()]
    return wrapped(ones, 32), wrapped(parity, 32), wrapped(gray, 32)


def saturated(values, low, high, dtype):
    """Truncated towards zero and clipped to the range; NaN gives 0."""
    whole = [0 if np.isnan(v) else int(min(max(v, low), high)) for v in values.tolist()]
    return np.array(whole, dtype=dtype)


def casts(x, y, z):
    ranges = [(-(2**31), 2**31 - 1, np.int32), (-(2**63), 2**63 - 1, np.int64)]
    whole = [saturated(x, *bounds) for bounds in ranges]
    singles = y.astype(np.float32).astype(np.float64)
    words = np.array([(v + 2**31) % 2**32 - 2**31 for v in z.tolist()], dtype=np.int32)
    return *whole, singles, words, z.astype(np.float64), np.array([int(v > 0) for v in z], dtype=np.int32)


def greatest_common_divisor(a, b):
    return np.array([[[np.gcd(x, y) for y in b] for x in row] for row in a])

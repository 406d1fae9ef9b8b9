"""Maps and broadcasting by rank name."""

import numpy as np


def broadcast_by_name(a, A, B, c):
    result = np.zeros((B.shape[0], A.shape[1], A.shape[0]))
    for k, j, i in np.ndindex(result.shape):
        result[k, j, i] = (a * float(A[i, j]) - float(B[k, j])) * float(c[i]) + 1
    return result


def indices_as_values(X, n):
    I, J = X.shape
    result = np.zeros((J, I))
    for i in range(I):
        for j in range(J):
            upper = float(X[i, j]) if i <= j < i + 3 else -1.0
            result[j, i] = upper * (i - 2 * j) + j / J
    return result, np.array([n[i] * i + I for i in range(I)], dtype=np.int32)


def elementary(X, y):
    several = [np.exp(X), np.log(X), np.log1p(X), np.expm1(X), np.sqrt(X), 1 / np.sqrt(X), np.sin(X), np.cos(X)]
    several += [np.tan(X), np.tanh(X), np.sinh(X), np.cosh(X), np.arcsin(X), np.arccos(X), np.arctan(X), 2**X, X**-2.0]
    several += [X, -X]
    total = np.zeros(X.shape)
    for n, value in enumerate(several, start=1):
        total += n * value
    angle = np.stack([np.arctan2(v, X - 0.5) for v in y], axis=2)
    power = np.stack([(X**v).T for v in y], axis=0)
    return total, angle, power


def erf(x):
    """The Maclaurin series for small arguments, the continued fraction of erfc for the others."""
    if abs(x) < 3:
        term = total = x
        for n in range(1, 100):
            term *= -x * x / n
            total += term / (2 * n + 1)
        return 2 / np.sqrt(np.pi) * total
    fraction = 0.0
    for n in range(200, 0, -1):
        fraction = n / 2 / (abs(x) + fraction)
    return np.sign(x) * (1 - np.exp(-x * x) / np.sqrt(np.pi) / (abs(x) + fraction))


def lgamma(x):
    """Stirling's series at x + 20, brought back by the recurrence."""
    back = sum(np.log(x + n) for n in range(20))
    z = x + 20
    series = 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5) - 1 / (1680 * z**7)
    return (z - 0.5) * np.log(z) - z + 0.5 * np.log(2 * np.pi) + series - back


def activations(X):
    X = X.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-X))
    error = np.array([[erf(x) for x in row] for row in X])
    return {
        "sigmoid": sigmoid,
        "silu": X * sigmoid,
        "relu": np.maximum(X, 0),
        "softplus": np.log(1 + np.exp(X)),
        "erf": error,
        "lgamma": np.array([[lgamma(abs(x) + 0.5) for x in row] for row in X]),
        "gelu": np.array([[0.5 * x * (1 + erf(x / np.sqrt(2))) for x in row] for row in X]),
    }


def not_a_number(x, y, low, high):
    I, J = len(x), len(y)
    larger, smaller, finite, order = np.zeros((I, J)), np.zeros((I, J)), np.zeros((J, I)), np.zeros((I, J), dtype=bool)
    for i in range(I):
        for j in range(J):
            missing = np.isnan(x[i]) or np.isnan(y[j])
            larger[i, j] = np.nan if missing else max(x[i], y[j])
            smaller[i, j] = np.nan if missing else min(x[i], y[j])
            finite[j, i] = x[i] * y[j] if np.isfinite(x[i]) and not np.isnan(y[j]) else -1.0
            order[i, j] = x[i] < y[j] or x[i] == y[j]
    clipped = np.array([v if np.isnan(v) else min(max(v, low), high) for v in x])
    return larger, smaller, clipped, finite, order, np.isnan(x), np.array(np.nan)


def rounding(x):
    """Rounding of a quarter's multiples: exact, halves to even."""
    floor = np.array([v // 1 for v in x])
    ceil = np.array([-(-v // 1) for v in x])
    nearest = np.array([float(round(float(v))) for v in x])
    sign = np.array([float((v > 0) - (v < 0)) for v in x.tolist()])
    quotient = np.array([float((4 * v) // 3) for v in x])
    return floor, ceil, nearest, sign, quotient, np.array([v - 0.75 * q for v, q in zip(x, quotient)])

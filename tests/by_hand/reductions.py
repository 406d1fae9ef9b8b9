"""Reductions of every kind, over one rank or several, and over nothing."""

import numpy as np


def row_statistics(X, M):
    """NumPy's reductions propagate NaN, as these do; a comparison with NaN is false."""
    X = X.astype(np.float64)
    above = np.array(any(x > 1.5 for x in X.ravel()))
    number = np.int64(sum(bool(m) for m in M.ravel()))
    return X.sum(1), X.prod(1), X.max(1), X.min(0), M.any(1), M.all(0), above, number


def moments(X, N):
    X = X.astype(np.float64)
    mean = np.array([X[:, j, :].sum() / X[:, j, :].size for j in range(X.shape[1])])
    var = np.array([((X[:, j, :] - mean[j]) ** 2).sum() / X[:, j, :].size for j in range(X.shape[1])])
    logsumexp = np.array([np.log(np.exp(3 * X[i]).sum()) for i in range(X.shape[0])])
    average = sum(int(n) for n in N.ravel()) / N.size
    return mean, var, logsumexp, N.sum(1) / N.shape[1], np.array(((N - average) ** 2).sum() / N.size)


def reductions_of_nothing(X, N, M):
    floating = [np.full(3, value) for value in (0.0, 1.0, -np.inf, np.inf, -np.inf, np.nan, np.nan)]
    sums = [np.full(2, value, dtype=np.int64) for value in (0, 1)]
    extremes = [np.full(2, value, dtype=np.int32) for value in (-(2**31), 2**31 - 1)]
    return *floating, *sums, *extremes, np.array([False, False]), np.array([True, True]), np.array(0.0)


def first_largest(values):
    """The index of the first NaN, else the lowest index of the largest value."""
    best = 0
    for index, value in enumerate(values):
        if np.isnan(value):
            return index
        if value > values[best]:
            best = index
    return best


def argmax_ties(X, N, M):
    masked = np.where(M, N * 0.5, -np.inf)
    rows = np.array([first_largest(row) for row in X])
    negated = np.array([first_largest(-row) for row in X])
    columns = np.array([first_largest(column) for column in N.T])
    return rows, negated, columns, np.array([first_largest(column) for column in masked.T])


def argmax_plane(X, Y):
    where = [divmod(first_largest(plane.ravel()), plane.shape[1]) for plane in X]
    where_y = [divmod(first_largest(plane.ravel()), plane.shape[1]) for plane in Y]
    row, column = np.array([w[0] for w in where]), np.array([w[1] for w in where])
    return row, column, np.array([w[1] for w in where_y]), np.array([w[0] for w in where_y]), Y.max((1, 2))


def merged_moments(count, mean, square):
    """Total count, mean and sum of squared deviations of groups given by theirs."""
    total = count.sum(1)
    average = (count * mean).sum(1) / total
    spread = np.zeros(len(count))
    for i, s in np.ndindex(count.shape):
        if count[i, s] > 0:
            spread[i] += square[i, s] + count[i, s] * (mean[i, s] - average[i]) ** 2
    return total, average, spread


def complex_product(re, im, rate):
    product = (re + 1j * im).prod(1)
    return product.real, product.imag, (1 + rate).prod(1) - 1, np.array((1 + rate).prod() - 1)


def maximum_subarray(X):
    """Sum of each row, and its largest sums over a nonempty prefix, suffix and run."""
    X = X.astype(np.float64)
    n = X.shape[1]
    prefix = np.array([max(x[:stop].sum() for stop in range(1, n + 1)) for x in X])
    suffix = np.array([max(x[start:].sum() for start in range(n)) for x in X])
    best = np.array([max(x[start:stop].sum() for start in range(n) for stop in range(start + 1, n + 1)) for x in X])
    return X.sum(1), prefix, suffix, best


def zeros_are_values(X):
    lower = np.array([[X[i, j] if j <= i else 0.0 for j in range(5)] for i in range(5)])
    strict = np.array([max((X[i, j] for j in range(i)), default=-np.inf) for i in range(5)])
    return lower.max(1), lower.min(1), lower.prod(1), lower.mean(1), lower.var(1), np.log(np.exp(lower).sum(1)), strict

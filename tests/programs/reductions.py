"""Reductions of every kind, over one rank or several, and over nothing."""

import numpy as np

import einfall as ef
from tests.programs.program import program

i, j, k, n, s = ef.ranks("i j k n s")


def ragged_values(rng):
    """Rows with a NaN in one and an infinity in another."""
    X = rng.standard_normal((5, 7), dtype=np.float32)
    X[2, 3], X[4, 0] = np.nan, -np.inf
    return X


@program(lambda rng: (ragged_values(rng), rng.random((5, 7)) < 0.4))
@ef.kernel
def row_statistics(X, M):
    x = X[i, j]
    return (
        ef.sum(x, over=j)[i],
        ef.prod(x, over=j)[i],
        ef.max(x, over=j)[i],
        ef.min(x, over=i)[j],
        ef.any(M[i, j], over=j)[i],
        ef.all(M[i, j], over=i)[j],
        ef.any(x > 1.5, over=(i, j))[()],
        ef.sum(ef.where(M[i, j], 1, 0), over=(i, j))[()],
    )


@program(lambda rng: (rng.standard_normal((4, 3, 5), dtype=np.float32).transpose(2, 0, 1), rng.integers(-9, 9, (3, 4))))
@ef.kernel
def moments(X, N):
    return (
        ef.mean(X[i, j, k], over=(i, k))[j],
        ef.var(X[i, j, k], over=(i, k))[j],
        ef.logsumexp(X[i, j, k] * 3, over=(k, j))[i],
        ef.mean(N[i, j], over=j)[i],
        ef.var(N[i, j], over=(i, j))[()],
    )


@program(lambda rng: (
    np.zeros((3, 0), dtype=np.float32), np.zeros((2, 0), dtype=np.int32), np.zeros((0, 2), dtype=bool),
))
@ef.kernel
def reductions_of_nothing(X, N, M):
    x, number, mask = X[i, j], N[i, j], M[j, i]
    floating = [f(x, over=j)[i] for f in (ef.sum, ef.prod, ef.max, ef.min, ef.logsumexp, ef.mean, ef.var)]
    integer = [f(number, over=j)[i] for f in (ef.sum, ef.prod, ef.max, ef.min)]
    return *floating, *integer, ef.any(mask, over=j)[i], ef.all(mask, over=j)[i], ef.sum(x, over=(i, j))[()]


def ties(rng):
    """Small whole numbers in a float array, with a row that holds two NaN."""
    X = rng.integers(0, 4, (6, 9)).astype(np.float32)
    X[1, [4, 7]] = np.nan
    X[2] = 3.0
    return X


@program(lambda rng: (
    ties(rng), rng.integers(0, 3, (6, 9), dtype=np.int32), np.arange(6)[:, None] < np.append(rng.integers(1, 6, 8), 0),
))
@ef.kernel
def argmax_ties(X, N, M):
    masked = ef.where(M[i, j], N[i, j] * 0.5, -ef.inf)
    return (
        ef.argmax(X[i, j], over=j)[i],
        ef.argmax(-X[i, j], over=j)[i],
        ef.argmax(N[i, j], over=i)[j],
        ef.argmax(masked, over=i)[j],
    )


@program(lambda rng: (rng.integers(0, 5, (3, 4, 5)).astype(np.float32), rng.standard_normal((3, 4, 5))[:, ::-1]))
@ef.kernel
def argmax_plane(X, Y):
    row, column = ef.argmax(X[n, i, j], over=(i, j))
    column_first = ef.argmax(Y[n, i, j], over=(j, i))
    return row[n], column[n], column_first[0][n], column_first[1][n], ef.max(Y[n, i, j], over=(j, i))[n]


@program(lambda rng: (rng.integers(0, 5, (3, 6)).astype(np.float64), rng.standard_normal((3, 6)), rng.random((3, 6))))
@ef.kernel
def merged_moments(count, mean, square):
    def merge(a, b):
        (n_a, mean_a, square_a), (n_b, mean_b, square_b) = a, b
        total = n_a + n_b
        share = ef.where(total > 0, n_b / total, 0.0)
        delta = mean_b - mean_a
        return total, mean_a + delta * share, square_a + square_b + delta * delta * n_a * share

    welford = ef.Monoid(merge, (0.0, 0.0, 0.0), commutative=True)
    present = ef.where(count[i, s] > 0, square[i, s], 0.0)
    total, average, spread = ef.reduce((count[i, s], mean[i, s], present), over=s, by=welford)
    return total[i], average[i], spread[i]


@program(lambda rng: (rng.standard_normal((3, 5)), rng.standard_normal((3, 5)), rng.uniform(-0.1, 0.1, (4, 7))))
@ef.kernel
def complex_product(re, im, rate):
    def times(a, b):
        return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]

    x, y = ef.reduce((re[i, k], im[i, k]), over=k, by=ef.Monoid(times, (1.0, 0.0)))
    compound = ef.Monoid(lambda p, q: p + q + p * q, 0.0, commutative=True)
    rows, whole = ef.reduce(rate[i, k], over=k, by=compound), ef.reduce(rate[i, k], over=(i, k), by=compound)
    return x[i], y[i], rows[i], whole[()]


@program(lambda rng: (rng.standard_normal((4, 11), dtype=np.float32)[:, ::-1],))
@ef.kernel
def maximum_subarray(X):
    def join(a, b):
        total = a[0] + b[0]
        prefix = ef.maximum(a[1], a[0] + b[1])
        suffix = ef.maximum(b[2], a[2] + b[0])
        return total, prefix, suffix, ef.maximum(ef.maximum(a[3], b[3]), a[2] + b[1])

    x = X[i, j]
    by = ef.Monoid(join, (0.0, -ef.inf, -ef.inf, -ef.inf))
    total, prefix, suffix, best = ef.reduce((x, x, x, x), over=j, by=by)
    return total[i], prefix[i], suffix[i], best[i]


@program(lambda rng: (-rng.uniform(1, 2, (5, 5)),))
@ef.kernel
def zeros_are_values(X):
    lower = ef.where(j <= i, X[i, j], 0)
    return (
        ef.max(lower, over=j)[i],
        ef.min(lower, over=j)[i],
        ef.prod(lower, over=j)[i],
        ef.mean(lower, over=j)[i],
        ef.var(lower, over=j)[i],
        ef.logsumexp(lower, over=j)[i],
        ef.max(ef.where(j < i, X[i, j], -ef.inf), over=j)[i],
    )

"""The largest elements in order, what stands beside an extremum, scatter, other semirings, random numbers."""

import numpy as np


def in_order(values, count):
    """Indices of the largest, NaN first, ties by index."""
    missing = np.isnan(values)
    rank = np.where(missing, np.inf, values)
    order = sorted(range(len(values)), key=lambda at: (not missing[at], -rank[at], at))
    return np.array(order[:count])


def largest_in_order(X, N):
    index = np.stack([in_order(row.astype(float), 4) for row in X])
    order = np.stack([in_order(column.astype(float), len(N)) for column in N.T], axis=1)
    return np.take_along_axis(X, index, 1), index, np.take_along_axis(N, order, 0), order


def routed_to_two_experts(X, W, lengths):
    results, indices = [], []
    for row, length in zip(X, lengths):
        index = in_order(row[:6 - length % 4], 2)
        weight = np.exp(row[index] - row[index].max())
        results.append((weight[:, None] * W[index]).sum(0) / weight.sum())
        indices.append(index)
    return np.array(results), np.array(indices)


def beside_the_extremum(X, V, W):
    index = X.argmax(1)
    ties = np.argwhere(X.min() == X.T)[0]  # row-major over (k, i)
    return (index, V[index], 2 * index, W[np.arange(5), index], ties[0], ties[1], W[ties[1], ties[0]],
            np.zeros(5, np.int64), np.full(5, V[0]))


def scattered(X, dst, loose, column):
    totals, highest, counts = np.zeros((5, 3)), np.full((3, 7), -np.inf), np.zeros((5, 3), np.int64)
    for m in range(12):
        totals[dst[m]] += X[m]
        counts[dst[m], column[m]] += 1
        if 0 <= loose[m] < 7:
            highest[:, loose[m]] = np.maximum(highest[:, loose[m]], X[m])
    return totals, highest, counts


def other_semirings(A, B, P):
    paths = A[:, :, None] + B
    return (paths.max(1), paths.min(1), np.log(np.exp(paths).sum((1, 2))), (P[:, None] & P).any(2), P.any(0), A @ B)


def mixed(numbers):
    """SplitMix64's function of one integer after the other, on Python's integers."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) % 2**64
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = (state ^ state >> shift) * factor % 2**64
        state ^= state >> 31
    return (state >> 40) / 2**24


def drawn(seed, counters, Z):
    grid = np.array([[mixed((seed, i, j)) for j in range(5)] for i in range(4)])
    return grid, np.array([mixed((seed, int(counter))) for counter in counters]), np.where(grid < 0.25, 0.0, 1.0)

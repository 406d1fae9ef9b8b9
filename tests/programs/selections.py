"""The largest elements in order, what stands beside an extremum, scatter, other semirings, random numbers."""

import numpy as np

import einfall as ef
from tests.programs.program import program

b, i, j, k, m, n, o, f, d, e = ef.ranks("b i j k m n o f d e")


def with_ties(rng, shape):
    values = rng.integers(0, 6, shape).astype(np.float32)
    values[1, 3] = values[1, -1] = np.nan
    values[2] = -np.inf
    return values


@program(lambda rng: (with_ties(rng, (5, 9)), rng.integers(-3, 3, (7, 2), dtype=np.int32)))
@ef.kernel
def largest_in_order(X, N):
    values, index = ef.topk(X[i, k], over=k, to=o.of(4))
    whole, order = ef.topk(N[k, j], over=k, to=o.of(N.shape[0]))
    return values[i, o], index[i, o], whole[o, j], order[o, j]


@program(lambda rng: (rng.standard_normal((4, 6)), rng.standard_normal((6, 3)), np.array([0, 3, 5, 6])))
@ef.kernel
def routed_to_two_experts(X, W, lengths):
    """The two largest scores among the present ones, made to sum to 1."""
    scores = ef.where(k < 6 - lengths[i] % 4, X[i, k], -ef.inf)
    values, index = ef.topk(scores, over=k, to=o.of(2))
    weight = ef.softmax(values, over=o)
    return ef.sum(weight * W[index, d], over=o)[i, d], index[i, o]


@program(lambda rng: (
    rng.integers(0, 4, (5, 7)).astype(np.float64), rng.standard_normal(7), rng.standard_normal((5, 7)),
))
@ef.kernel
def beside_the_extremum(X, V, W):
    index, value, double, other = ef.argmax(X[i, k], over=k, carry=(V[k], 2 * k, W[i, k]))
    (first, second), least = ef.argmin(X[i, k], over=(k, i), carry=W[i, k])
    nothing, beside = ef.argmax(ef.where(k > 90, X[i, k], -ef.inf), over=k, carry=V[k])
    return index[i], value[i], double[i], other[i], first[()], second[()], least[()], nothing[i], beside[i]


@program(lambda rng: (
    rng.standard_normal((12, 3), dtype=np.float32), rng.integers(0, 5, 12), rng.integers(-2, 9, 12, dtype=np.int32),
    rng.integers(0, 3, 12, dtype=np.int32),
))
@ef.kernel
def scattered(X, dst, loose, column):
    totals = ef.scatter(X[m, f], to={n.of(5): dst[m]}, over=m)
    highest = ef.scatter(X[m, f], to={n.of(7): loose[m]}, over=m, by="max", outside="drop")
    counts = ef.scatter(1, to={n.of(5): dst[m], d.of(3): column[m]}, over=m)
    return totals[n, f], highest[f, n], counts[n, d]


@program(lambda rng: (rng.standard_normal((4, 6)), rng.standard_normal((6, 5)), rng.random((4, 6)) < 0.4))
@ef.kernel
def other_semirings(A, B, P):
    longest = ef.einsum("ik,kj->ij", A, B, semiring=ef.max_plus)
    shortest = ef.einsum("ik,kj->ij", A, B, semiring=ef.min_plus)
    likely = ef.einsum("ik,kj->i", A, B, semiring=ef.log_plus)
    linked = ef.einsum("ik,jk->ij", P, P, semiring=ef.or_and)
    return longest, shortest, likely, linked, ef.einsum("ik->k", P, semiring=ef.or_and), ef.einsum("ik,kj", A, B)


@program(lambda rng: (int(rng.integers(1 << 40)), rng.integers(-(1 << 62), 1 << 62, 6), np.zeros(3, np.float32)))
@ef.kernel
def drawn(seed, counters, Z):
    dropped = ef.where(ef.uniform(seed, i, j) < 0.25, 0.0, 1.0)
    return ef.uniform(seed, i.of(4), j.of(5))[i, j], ef.uniform(seed, counters[i])[i], dropped[i.of(4), j.of(5)]

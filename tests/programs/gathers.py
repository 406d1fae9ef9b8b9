"""Gathers and scatters: embeddings, permutations, graphs, pages."""

import numpy as np

import einfall as ef
from tests.programs.program import program

b, d, f, i, j, m, n, t, v = ef.ranks("b d f i j m n t v")


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


@program(lambda rng: (
    normal(rng, 4, 11).T, normal(rng, 5, 4), rng.integers(0, 11, (3, 5), dtype=np.int32),
    np.zeros((2, 0), dtype=np.int64), rng.integers(0, 5, (4, 3)),
))
@ef.kernel
def embedding(W, position, token, none, chosen):
    embedded = W[token[b, t], d] + position[t, d]
    along = position[chosen[d, j], d]
    return embedded[b, t, d], W[none[b, t], d][b, d, t], along[j, d], W[token[b, t] // 2 + 1, 3][t, b], W[10, d][d]


@program(lambda rng: (rng.standard_normal((7, 3)), rng.permutation(7), rng.integers(0, 9, 7)))
@ef.kernel
def permutation(X, p, target):
    inverse = ef.sum(ef.where(p[i] == j.of(7), i, 0), over=i)[j]
    scattered = ef.sum(ef.where(p[i] == j.of(7), X[i, d], 0), over=i)
    collected = ef.sum(ef.where(target[i] == m.of(6), X[i, d], 0), over=i)
    largest = ef.max(ef.where(target[i] == m.of(6), X[i, d], -ef.inf), over=i)
    permuted, back = X[p[i], d], X[inverse[j], d]
    return permuted[i, d], inverse, scattered[j, d], back[j, d], p[p[p[i]]][i], collected[m, d], largest[d, m]


@program(lambda rng: (
    normal(rng, 9, 3), rng.integers(0, 9, 12), rng.random(12), np.array([0, 4, 4, 9, 12], dtype=np.int32),
))
@ef.kernel
def embedding_bag(W, token, weight, offset):
    start, stop = offset[:-1][b], offset[1:][b]
    inside = (start <= n) & (n < stop)
    total = ef.sum(ef.where(inside, weight[n] * W[token[n], d], 0.0), over=n)
    length = ef.sum(ef.where(inside, 1, 0), over=n)
    largest = ef.max(ef.where(inside, W[token[n], d], -ef.inf), over=n)
    return total[b, d], length[b], largest[b, d], ef.where(length > 0, total / length, 0.0)[d, b]


def aggregate(X, source, target):
    """Sum, largest and number of the features that arrive at each node."""
    arrived = target[m] == n
    total = ef.sum(ef.where(arrived, X[source[m], f], 0), over=m)
    largest = ef.max(ef.where(arrived, X[source[m], f], -ef.inf), over=m)
    return total, largest, ef.sum(ef.where(arrived, 1, 0), over=m)


def graph(rng):
    """Six nodes of which the last hears nothing, and eleven edges."""
    source, target = rng.integers(0, 6, 11, dtype=np.int32), rng.integers(0, 5, 11, dtype=np.int32)
    return normal(rng, 6, 3), source, target, normal(rng, 3, 4)


@program(graph)
@ef.kernel
def message_passing(X, source, target, W):
    total, largest, degree = aggregate(X, source, target)
    new = ef.relu(ef.sum((X[n, f] + total / ef.maximum(degree, 1)) * W[f, d], over=f))
    edge = ef.sum(X[source[m], f] * X[target[m], f], over=f)[m]
    weight = ef.exp(edge[m]) / ef.sum(ef.where(target[j] == target[m], ef.exp(edge[j]), 0), over=j)
    return new[n, d], largest[n, f], edge, weight[m]


@program(lambda rng: (normal(rng, 5, 2), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)))
@ef.kernel
def edgeless_graph(X, source, target):
    total, largest, degree = aggregate(X, source, target)
    reached = ef.where(degree > 0, total, X[n, f])
    return reached[n, f], ef.where(X[n, f] > 0, largest, 1.0)[n, f], (degree + n)[n]


def pages(rng):
    """A pool of six pages of four places; what a sequence does not use is garbage."""
    table = rng.permutation(6).reshape(2, 3)
    lengths = np.array([9, 3], dtype=np.int32)
    K, V = normal(rng, 6, 4, 5), normal(rng, 6, 4, 2)
    K[table[0, 2], 1:], V[table[0, 2], 1:] = np.nan, np.inf
    K[table[1, 0], 3], V[table[1, 0], 3] = np.inf, np.nan
    table[1, 1:] = -7, 10**6
    return normal(rng, 2, 5), K, V, table, lengths


@program(pages)
@ef.kernel
def paged_attention(Q, K, V, table, lengths):
    page, place = table[b, t.of(12) // 4], t % 4
    S = ef.sum(Q[b, d] * K[page, place, d], over=d) / ef.sqrt(d.extent)
    P = ef.softmax(ef.where(t < lengths[b], S, -ef.inf), over=t)
    first = ef.where(t.of(12) < lengths[b], V[page, place, 0], -1.0)
    return ef.sum(P * V[page, place, f], over=t)[b, f], first[b, t]


@program(lambda rng: (rng.standard_normal(5), np.array([-3, 0, 4, 5, 2, 10**9, -(10**9)]), normal(rng, 5, 3), 5))
@ef.kernel
def guarded_gather(x, index, Y, size):
    inside = (index[n] >= 0) & (index[n] < size)
    guarded = ef.where(inside, x[index[n]], -1.0)
    either = ef.where(~inside, 7.0, 2 * x[index[n]])
    nested = ef.where(index[n] >= 0, ef.where(index[n] < size, x[index[n]] + Y[index[n], d], 2.0), 1.0)
    summed = ef.sum(ef.where(inside, Y[index[n], d], 0), over=n)
    padded = x.pad(0.5)[index[n]] + x.pad(0.25)[index[n] + 1]
    return guarded[n], either[n], nested[n, d], summed[d], padded[n], Y.pad(0.0)[index[n], d][d, n]

"""Gathers and scatters: embeddings, permutations, graphs, pages."""

import numpy as np


def embedding(W, position, token, none, chosen):
    W, position = W.astype(np.float64), position.astype(np.float64)
    embedded = np.array([[W[token[b, t]] + position[t] for t in range(5)] for b in range(3)])
    along = np.array([[position[chosen[d, j], d] for d in range(4)] for j in range(3)])
    halved = np.array([[W[token[b, t] // 2 + 1, 3] for b in range(3)] for t in range(5)])
    return embedded, np.zeros((2, 4, 0)), along, halved, W[10].copy()


def permutation(X, p, target):
    inverse = np.array([p.tolist().index(j) for j in range(7)])
    collected, largest = np.zeros((6, 3)), np.full((3, 6), -np.inf)
    for i, m in enumerate(target):
        if m < 6:
            collected[m] += X[i]
            largest[:, m] = np.maximum(largest[:, m], X[i])
    gathered = np.array([X[p[i]] for i in range(7)])
    back = np.array([X[inverse[j]] for j in range(7)])
    return gathered, inverse, back, back, np.array([p[p[p[i]]] for i in range(7)]), collected, largest


def embedding_bag(W, token, weight, offset):
    W = W.astype(np.float64)
    total, largest, mean = np.zeros((4, 3)), np.full((4, 3), -np.inf), np.zeros((3, 4))
    length = np.array([offset[b + 1] - offset[b] for b in range(4)], dtype=np.int64)
    for b in range(4):
        for n in range(offset[b], offset[b + 1]):
            total[b] += weight[n] * W[token[n]]
            largest[b] = np.maximum(largest[b], W[token[n]])
        if length[b]:
            mean[:, b] = total[b] / length[b]
    return total, length, largest, mean


def message_passing(X, source, target, W):
    X, W = X.astype(np.float64), W.astype(np.float64)
    total, largest, degree = np.zeros(X.shape), np.full(X.shape, -np.inf), np.zeros(len(X))
    edge = np.array([X[s] @ X[t] for s, t in zip(source, target)])
    normaliser = np.zeros(len(X))
    for s, t, score in zip(source, target, edge):
        total[t] += X[s]
        largest[t] = np.maximum(largest[t], X[s])
        degree[t] += 1
        normaliser[t] += np.exp(score)
    new = np.maximum((X + total / np.maximum(degree, 1)[:, None]) @ W, 0)
    return new, largest, edge, np.array([np.exp(score) / normaliser[t] for t, score in zip(target, edge)])


def edgeless_graph(X, source, target):
    X = X.astype(np.float64)
    return X, np.where(X > 0, -np.inf, 1.0), np.arange(5)


def paged_attention(Q, K, V, table, lengths):
    Q, K, V = (array.astype(np.float64) for array in (Q, K, V))
    O, first = np.zeros((2, 2)), np.full((2, 12), -1.0)
    for b in range(2):
        places = [(table[b, t // 4], t % 4) for t in range(lengths[b])]
        weights = np.exp([Q[b] @ K[place] / np.sqrt(5) for place in places])
        O[b] = sum(weight * V[place] for weight, place in zip(weights, places)) / weights.sum()
        for t, place in enumerate(places):
            first[b, t] = V[place][0]
    return O, first


def guarded_gather(x, index, Y, size):
    Y = Y.astype(np.float64)
    guarded, either, nested, padded = np.full(7, -1.0), np.full(7, 7.0), np.full((7, 3), 2.0), np.zeros(7)
    summed, rows = np.zeros(3), np.zeros((3, 7))
    for n, at in enumerate(index.tolist()):
        padded[n] = (x[at] if 0 <= at < 5 else 0.5) + (x[at + 1] if 0 <= at + 1 < 5 else 0.25)
        if at < 0:
            nested[n] = 1.0
        if 0 <= at < 5:
            guarded[n], either[n], nested[n] = x[at], 2 * x[at], x[at] + Y[at]
            summed += Y[at]
            rows[:, n] = Y[at]
    return guarded, either, nested, summed, padded, rows

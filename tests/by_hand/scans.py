"""Scans: states of one value, of several, and with axes."""

import numpy as np


def running_totals(X, N, y):
    X = X.astype(np.float64)
    T = X.shape[1]
    totals = [np.stack([f(X[:, : t + 1], axis=1) for t in range(T)], axis=1) for f in (np.sum, np.prod, np.max, np.min)]
    before = np.stack([X[:, :t].sum(1) for t in range(T)], axis=1)
    after = np.stack([X[:, t + 1 :].sum(1) for t in range(T)])
    largest = np.stack([X[:, t:].max(1) for t in range(T)], axis=1)
    counted = np.array([sum(int(n) for n in N[: t + 1]) for t in range(len(N))])
    masked = np.array([sum(y[u] for u in range(t + 1) if u % 3 == 1) for t in range(len(y))], dtype=np.float64)
    return *totals, largest, after, before, after, largest, counted, masked


def exponential_average(X, alpha, start, restart):
    X = X.astype(np.float64)
    average, segmented = np.zeros((9, 3)), np.zeros((3, 9))
    state, total = start, np.zeros(3)
    for t in range(9):
        state = alpha * X[t] + (1 - alpha) * state
        total = X[t] if restart[t] else total + X[t]
        average[t], segmented[:, t] = state, total
    return average, segmented


def gated_recurrence(A, X, start):
    H = np.zeros((2, 5, 3, 4))
    for b, d, e in np.ndindex(2, 3, 4):
        state = start[b, d, e]
        for t in range(5):
            state = H[b, t, d, e] = A[b, t, d] * state + (1 - A[b, t, d]) * X[b, t, d]
    backward = np.ones((3, 2))
    for b, d in np.ndindex(2, 3):
        for t in reversed(range(5)):
            backward[d, b] = A[b, t, d] * backward[d, b] + X[b, t, d]
    return H, backward, H.sum((1, 2))


def stabilised_lstm(I, F, Z, O):
    """The cell without a stabiliser; the stabiliser is the running maximum of gates summed since."""
    I, F, Z, O = (array.astype(np.float64) for array in (I, F, Z, O))
    hidden, scale = np.zeros(I.shape), np.zeros(I.shape)
    cell, norm = np.zeros((2, 3)), np.zeros((2, 3))
    for t in range(6):
        cell = np.exp(F[:, t]) * cell + np.exp(I[:, t]) * np.tanh(Z[:, t])
        norm = np.exp(F[:, t]) * norm + np.exp(I[:, t])
        hidden[:, t] = cell / norm / (1 + np.exp(-O[:, t]))
        scale[:, t] = np.max([I[:, u] + F[:, u + 1 : t + 1].sum(1) for u in range(t + 1)], axis=0)
    return hidden, scale


def delta_rule(Q, K, V):
    S, O = np.zeros((3, 5)), np.zeros((7, 5))
    for t in range(7):
        S = S + np.outer(K[t], V[t] - K[t] @ S)
        O[t] = Q[t] @ S
    return O, S


def momentum_descent(A, target, start, rate, mu):
    x, v = start, np.zeros(4)
    for t in range(6):
        v = mu * v - rate[t] * (A @ x - target)
        x = x + v
    return x, v


def viterbi_score(start, A, E):
    score, state = np.zeros((7, 3)), start
    for t in range(7):
        state = np.array([max(state[p] + A[p, n] for p in range(3)) + E[t, n] for n in range(3)])
        score[t] = state
    return score


def linear_attention(Q, K, V, decay):
    Q, K, V = (array.astype(np.float64) for array in (Q, K, V))
    O, total = np.zeros((2, 7, 4)), np.zeros((2, 7))
    for b, q in np.ndindex(2, 7):
        for k in range(q + 1):
            score = Q[b, q] @ K[b, k] * decay[b] ** (q - k)
            O[b, q] += score * V[b, k]
            total[b, k] += score
    return O, total


def horner(coefficient, X):
    value = np.zeros(X.shape)
    for n, c in enumerate(coefficient):
        value += c * X**n
    return value, value.T


def scan_over_nothing(X, start, Y):
    return np.array([[s] * 3 for s in start]), np.zeros((3, 0, 2)), np.zeros((0, 4)), np.zeros((3, 2))

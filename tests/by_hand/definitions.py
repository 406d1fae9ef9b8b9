"""Definitions that read themselves at earlier points: dynamic programs, wavefronts, stencils in time."""

import numpy as np


def edit_distance(A, B):
    D = np.zeros((len(A) + 1, len(B) + 1), np.int64)
    for i, j in np.ndindex(*D.shape):
        D[i, j] = i + j
        if i and j:
            D[i, j] = min(D[i - 1, j] + 1, D[i, j - 1] + 1, D[i - 1, j - 1] + (A[i - 1] != B[j - 1]))
    return D, D[-1, -1]


def leaky_totals(X, G):
    H = np.zeros(X.shape)
    for t in range(len(X)):
        H[t] = (H[t - 1] * G[t] if t else 0) + X[t]
    return H.sum(1), H


def fibonacci(X):
    F, G = [], []
    for t in range(len(X)):
        F.append(X[t] if t < 2 else F[t - 1] + F[t - 2])
        G.append((G[t - 1] if t >= 1 else 1) + (G[t - 3] if t >= 3 else 1) * (F[t] % 3))
    return np.array(F, np.int32), np.array(G, np.int32)


def viterbi(L, A):
    V, back = np.zeros(L.shape), np.zeros(L.shape, np.int64)
    for b in range(len(L)):
        for t in range(L.shape[1]):
            before = (V[b, t - 1] if t else np.zeros(4))[:, None] + A
            V[b, t] = L[b, t] + (before.max(0) if t else 0)
            back[b, t] = before.argmax(0)
    return V, back


def parities_and_paths(P):
    odd = np.logical_xor.accumulate(P, axis=1)
    paths = np.zeros((6, 8), np.int64)  # a row and a column of zeros before the others
    for i, j in np.ndindex(5, 7):
        paths[i + 1, j + 1] = 1 if i + j == 0 else 0 if P[i, j] and i + j < 9 else paths[i, j + 1] + paths[i + 1, j]
    return odd, paths[1:, 1:]


def heat(U):
    W = np.zeros((5, 8, 7))
    W[0, 1:-1, 1:-1] = U
    for t in range(1, 5):
        W[t, 1:-1, 1:-1] = (W[t - 1, :-2, 1:-1] + W[t - 1, 2:, 1:-1] + W[t - 1, 1:-1, :-2] + W[t - 1, 1:-1, 2:]) / 4
    return W[:, 1:-1, 1:-1], W[4, 1:-1, 1:-1]


def normalised_walk(X, a):
    W = np.array(X)
    for t in range(1, len(X)):
        W[t] += a * W[t - 1] / np.sqrt((W[t - 1] ** 2).sum() + 1)
    return W


def three_ways(X):
    S = np.zeros((5, 8, 7))  # a border before and behind the axes: 1 and 1, 2 and 2, 1 and 1
    for i, j, t in np.ndindex(3, 4, 5):
        a, b, c = i + 1, j + 2, t + 1
        S[a, b, c] = X[i, j, t] + S[a - 1, b, c] / 2 + S[a, b - 2, c] / 4 - S[a, b, c - 1] / 2
        S[a, b, c] += S[a - 1, b + 1, 4 - t + 1] / 8
    return S[1:-1, 2:-2, 1:-1]


def affine_gaps(A, B):
    shape = len(A) + 1, len(B) + 1
    M, X, Y = (np.full(shape, -1000.0) for _ in range(3))
    for i, j in np.ndindex(*shape):
        if i and j:
            M[i, j] = max(M[i - 1, j - 1], X[i - 1, j - 1], Y[i - 1, j - 1]) + (2 if A[i - 1] == B[j - 1] else -1)
        elif not i and not j:
            M[i, j] = 0
        if i:
            X[i, j] = max(M[i - 1, j] - 3, X[i - 1, j] - 1)
        if j:
            Y[i, j] = max(M[i, j - 1] - 3, Y[i, j - 1] - 1)
    return np.maximum(np.maximum(M, X), Y), X


def oscillators(F, w):
    P, V = [np.ones(3)], [np.zeros(3), np.zeros(3)]  # with what lies before the beginning
    for force in F:
        P.append(P[-1] + V[-2] / 2)
        V.append(0.9 * V[-1] - w * P[-2] / 4 + force / 8)
    P, V = np.array(P[1:]), np.array(V[2:])
    return P, V, (P > 0).cumsum(0)

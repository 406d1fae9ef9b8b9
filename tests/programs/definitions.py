"""Definitions that read themselves at earlier points: dynamic programs, wavefronts, stencils in time."""

import numpy as np

import einfall as ef
from tests.programs.program import program

i, j, t, s, r, d, b, x, y = ef.ranks("i j t s r d b x y")


@program(lambda rng: (rng.integers(0, 3, 11), rng.integers(0, 3, 7, dtype=np.int32)))
@ef.kernel
def edit_distance(A, B):
    D = ef.tensor()
    D[i.of(A.shape[0] + 1), j.of(B.shape[0] + 1)] = ef.where(
        (i == 0) | (j == 0), i + j,
        ef.minimum(ef.minimum(D[i - 1, j], D[i, j - 1]) + 1, D[i - 1, j - 1] + (A[i - 1] != B[j - 1])))
    return D, D[A.shape[0], B.shape[0]]


@program(lambda rng: (rng.standard_normal((9, 3), dtype=np.float32), rng.random((9, 3), dtype=np.float32)))
@ef.kernel
def leaky_totals(X, G):
    H = ef.tensor()
    H[t, d] = ef.where(t == 0, 0.0, H[t - 1, d]) * G[t, d] + X[t, d]
    return ef.sum(H[t, d], over=d)[t], H


@program(lambda rng: (np.arange(3, 13, dtype=np.int32),))
@ef.kernel
def fibonacci(X):
    F = ef.tensor()
    F[t] = ef.where(t < 2, X[t], F[t - 1] + F.pad(7)[t - 2]) + F.pad(2)[t - 2] * 0
    G = ef.tensor()
    G[t] = G.pad(1)[t - 1] + G.pad(1)[t - 3] * (F[t] % 3)
    return F, G


@program(lambda rng: (rng.standard_normal((2, 6, 4)), rng.standard_normal((4, 4))))
@ef.kernel
def viterbi(L, A):
    V = ef.tensor()
    V[b, t, r] = ef.where(t == 0, 0.0, ef.max(V[b, t - 1, s] + A[s, r], over=s)) + L[b, t, r]
    back = ef.argmax(ef.where(t > 0, V.pad(0.0)[b, t - 1, s], 0.0) + A[s, r], over=s)
    return V, back[b, t, r]


@program(lambda rng: (rng.standard_normal((5, 7)) > 0,))
@ef.kernel
def parities_and_paths(P):
    odd = ef.tensor()
    odd[i, j] = ef.where(j == 0, False, odd[i, j - 1]) ^ P[i, j]
    paths = ef.tensor()
    paths[i, j] = ef.where((i == 0) & (j == 0), 1, ef.where(
        P[i, j] & (i + j < 9), 0, paths.pad(0)[i - 1, j] + paths.pad(0)[i, j - 1]))
    return odd, paths


@program(lambda rng: (rng.standard_normal((6, 5), dtype=np.float32),))
@ef.kernel
def heat(U):
    W = ef.tensor()
    cold = W.pad(0.0)
    W[t.of(5), x, y] = ef.where(t == 0, U[x, y], 0.25 * (
        cold[t - 1, x - 1, y] + cold[t - 1, x + 1, y] + cold[t - 1, x, y - 1] + cold[t - 1, x, y + 1]))
    return W, W[4, x, y][x, y]


@program(lambda rng: (rng.standard_normal((4, 8)), 0.5))
@ef.kernel
def normalised_walk(X, a):
    """Each row of the walk is divided by its own length before the next step; the ranks of the sum are named alike."""
    W = ef.tensor()
    W[t, d] = X[t, d] + ef.where(t == 0, 0.0, a * W[t - 1, d] / ef.sqrt(ef.sum(W[t - 1, d] * W[t - 1, d], over=d) + 1))
    return W


@program(lambda rng: (rng.standard_normal((3, 4, 5)),))
@ef.kernel
def three_ways(X):
    S = ef.tensor()
    before = S.pad(0.0)
    S[i, j, t] = X[i, j, t] + 0.5 * before[i - 1, j, t] + 0.25 * before[i, j - 2, t] - 0.5 * before[i, j, t - 1] + (
        0.125 * before[i - 1, j + 1, 4 - t])
    return S


@program(lambda rng: (rng.integers(0, 4, 9), rng.integers(0, 4, 6)))
@ef.kernel
def affine_gaps(A, B):
    """Gotoh's alignment: three tables that read each other; opening a gap costs 3, going on 1."""
    M, X, Y = ef.tensor(), ef.tensor(), ef.tensor()
    rows, columns = i.of(A.shape[0] + 1), j.of(B.shape[0] + 1)
    best = ef.maximum(ef.maximum(M[i - 1, j - 1], X[i - 1, j - 1]), Y[i - 1, j - 1])
    M[rows, columns] = ef.where((i == 0) & (j == 0), 0.0, ef.where(
        (i == 0) | (j == 0), -1000.0, best + ef.where(A[i - 1] == B[j - 1], 2.0, -1.0)))
    X[rows, columns] = ef.where(i == 0, -1000.0, ef.maximum(M[i - 1, j] - 3, X[i - 1, j] - 1))
    Y[rows, columns] = ef.where(j == 0, -1000.0, ef.maximum(M[i, j - 1] - 3, Y[i, j - 1] - 1))
    return ef.maximum(ef.maximum(M[i, j], X[i, j]), Y[i, j])[i, j], X


@program(lambda rng: (rng.standard_normal((7, 3)), rng.standard_normal(3)))
@ef.kernel
def oscillators(F, w):
    """A position and a speed, of which one looks back two steps; a count that waits for both; in one statement."""
    P, V, N = ef.tensor(), ef.tensor(), ef.tensor()
    V[t, d], P[t, d] = (0.9 * V.pad(0.0)[t - 1, d] - w[d] * P.pad(1.0)[t - 1, d] / 4 + F[t, d] / 8,
                        P.pad(1.0)[t - 1, d] + V.pad(0.0)[t - 2, d] / 2)
    N[t, d] = N.pad(0)[t - 1, d] + (P[t, d] > 0)
    return P, V, N

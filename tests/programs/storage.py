"""Operands in a format: sparse matrices of SciPy and torch, quantised ones, read where they store something."""

import numpy as np
import scipy.sparse

import einfall as ef
from tests.programs.program import program

d, e, f, g, i, j, k, l, n = ef.ranks("d e f g i j k l n")


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def sparse(rng, rows, columns, kind="csr", dtype=np.float32):
    """Some rows empty, one dense, explicit zeros, a row of one entry."""
    made = rng.standard_normal((rows, columns)).astype(dtype) * (rng.random((rows, columns)) < 0.3)
    made[rows // 2] = rng.standard_normal(columns)
    made[[0, rows - 2]] = 0
    made = scipy.sparse.csr_array(made)
    made.data[::5] = 0
    return made.asformat(kind)


def quantised(x, **options):
    return ef.pack(x, ef.Format([ef.Dense(), ef.Dense()], codec=ef.Scaled(**options)))


@program(lambda rng: (sparse(rng, 9, 7), normal(rng, 7), sparse(rng, 6, 9, "csc"), rng.standard_normal(9)))
@ef.kernel
def spmv(A, x, B, y):
    return (ef.sum(A[i, k] * x[k], over=k)[i], ef.sum(B[i, k] * y[k], over=k)[i], ef.sum(A[i, k] * y[i], over=i)[k],
            ef.sum(A[i, k] * y[i], over=(i, k)), ef.sum(B[d, i] * ef.sum(A[i, k] * x[k], over=k), over=i)[d])


@program(lambda rng: (sparse(rng, 11, 8), normal(rng, 8, 21), sparse(rng, 5, 8, dtype=np.float64).tocoo()))
@ef.kernel
def spmm(A, X, B):
    Y = ef.sum(A[i, k] * X[k, j], over=k)
    return Y[i, j], Y[j, i], ef.relu(ef.sum(B[d, k] * ef.exp(X[k, j]), over=k) + 1)[d, j]


def broken(rng):
    """Rows that no entry of A reads hold NaN and infinities; A stores some of its own."""
    A = sparse(rng, 7, 6).tolil()
    A[:, 2] = 0
    A[3, 1] = np.inf
    A = scipy.sparse.csr_array(A)
    X = normal(rng, 6, 3)
    X[2] = np.nan, np.inf, -np.inf
    return A, X


@program(broken)
@ef.kernel
def unread_rows(A, X):
    both = ef.where(A[i, k] != 0, 1, 0)
    return (ef.sum(A[i, k] * X[k, j], over=k)[i, j], ef.sum(ef.where(ef.stored(A[i, k]), X[k, j], 0), over=k)[i, j],
            ef.max(ef.where(ef.stored(A[i, k]), X[k, j], -ef.inf), over=k)[i, j], ef.sum(both, over=k)[i],
            ef.sum(ef.stored(A[i, k]), over=k)[i], ef.any(ef.stored(A[i, k]) & (k > 2), over=k)[i])


@program(lambda rng: (sparse(rng, 9, 8), normal(rng, 9, 5), normal(rng, 8, 5), normal(rng, 8, 3)))
@ef.kernel
def masked_product(A, Q, K, V):
    S = ef.sum(Q[i, d] * K[k, d], over=d)
    M = ef.where(ef.stored(A[i, k]), S, 0)
    weighted = A[i, k] * S
    return (ef.sum(M * V[k, e], over=k)[i, e], ef.sum(weighted * V[k, e], over=k)[i, e], ef.sum(weighted, over=k)[i],
            ef.sum(ef.where(k <= i, weighted, 0), over=k)[i])


@program(lambda rng: (sparse(rng, 9, 8), normal(rng, 9, 5), normal(rng, 8, 5), normal(rng, 8, 3)))
@ef.kernel
def graph_attention(A, Q, K, V):
    S = ef.where(ef.stored(A[i, k]), ef.sum(Q[i, d] * K[k, d], over=d) / ef.sqrt(d.extent), -ef.inf)
    P, m = ef.softmax(S, over=k), ef.max(S, over=k)
    present = ef.softmax(S, over=k, empty=0.0)  # rows without entries have present points, which read V
    return (ef.sum(P * V[k, e], over=k)[i, e], ef.sum(present * V[k, e], over=k)[i, e], m[i],
            ef.min(ef.where(ef.stored(A[i, k]), k, 99), over=k)[i])


@program(lambda rng: (sparse(rng, 6, 7), sparse(rng, 6, 7), normal(rng, 7)))
@ef.kernel
def read_densely(A, B, x):
    doubled = (A[i, k] * 2)[i, k]
    return (doubled, ef.max(A[i, k], over=k)[i], ef.sum(A[i, k] + 1, over=k)[i],
            ef.sum(A[i, k] * B[i, k] * x[k], over=k)[i],
            ef.sum(doubled[i, k] * x[k], over=k)[i], ef.stored(B[i, k])[i, k], (A[i, k] * x[k])[k, i],
            ef.cumsum(A[i, k], over=k)[i, k], A.pad(3.0)[d.of(6) + 1, e.of(9) - 1][d, e])


@program(lambda rng: (
    scipy.sparse.csr_array((5, 4), dtype=np.float32), scipy.sparse.csr_array((0, 4), dtype=np.float32),
    scipy.sparse.csr_array((5, 0), dtype=np.float32), scipy.sparse.csr_array(np.float32([[3.0]])), normal(rng, 4, 3)))
@ef.kernel
def empty_and_single(A, B, C, D, X):
    return (ef.sum(A[i, k] * X[k, j], over=k)[i, j], ef.sum(B[i, k] * X[k, j], over=k)[i, j],
            ef.sum(C[i, k] * 2, over=k)[i], ef.sum(D[i, k] * X[0, j], over=(i, k))[j],
            ef.max(ef.where(ef.stored(A[i, k]), X[k, j], -ef.inf), over=k)[i, j], ef.sum(B[i, k], over=i)[k])


@program(lambda rng: (sparse(rng, 8, 8), rng.integers(0, 8, 5), normal(rng, 8), np.float32(rng.random((8, 8)) < 0.5)))
@ef.kernel
def sampled_rows(A, chosen, x, D):
    return (ef.sum(A[chosen[n], k] * x[k], over=k)[n], ef.sum(A[i, i] * x[i], over=i),
            ef.sum(A[chosen[n], k] * A[k, l] * x[l], over=(k, l))[n],
            ef.sum(ef.where(ef.stored(D[i, k]), x[k], 0), over=k)[i],
            ef.scan(lambda s: 0.5 * s + ef.sum(A[n, k] * x[k], over=k), over=n, init=0.0)[n])


@program(lambda rng: (sparse(rng, 8, 8), sparse(rng, 8, 8), rng.permutation(8)[:5], normal(rng, 8)))
@ef.kernel
def same_ranks(A, B, chosen, x):
    inner = ef.sum(A[i, k], over=i)
    return (ef.sum(A[i, k] * B[k, l] * x[l], over=(k, l))[i], ef.sum(A[chosen[n], k] * B[k, l] * x[l], over=(l, k))[n],
            ef.sum(ef.where(i < 3, inner, 0), over=k)[i], ef.sum(A[i, k] * ef.sum(A[k, i] * x[k], over=k), over=i)[k],
            ef.sum(A[k, i] * ef.sum(A[i, k] * x[k], over=k), over=i)[k], ef.sum(A[i, k] * A[k, i], over=k)[i],
            ef.sum(ef.where(l <= i, A[i, k] * B[k, l] * x[l], 0), over=(k, l))[i])


@program(lambda rng: (
    quantised(normal(rng, 9, 256), code=ef.Int(4), group=128),
    quantised(normal(rng, 5, 80), code=ef.Int(4), group=32, zero=True),
    quantised(normal(rng, 5, 80), code=ef.UInt(4), group=16, zero=ef.f16), normal(rng, 3, 256), normal(rng, 80)))
@ef.kernel
def four_bits(W, U, M, x, y):
    return (ef.sum(W[n, k] * x[i, k], over=k)[i, n], ef.sum(U[n, k] * y[k], over=k)[n],
            ef.sum(M[n, k] * y[k], over=k)[n], ef.max(U[n, k] + y[k], over=k)[n],
            (U[n, k] * 2)[n, k], ef.sum(M[n, k] * y[k], over=(n, k)), W[n, 130][n],
            ef.sum(ef.where(k < 50, U[n, k] * M[n, k], 0), over=k)[n])


@program(lambda rng: (
    quantised(normal(rng, 6, 7), code=ef.UInt(8), group=3, zero=True),
    quantised(normal(rng, 40, 3), code=ef.Int(4), group=8, axis=0),
    normal(rng, 7), normal(rng, 40), quantised(normal(rng, 0, 33), code=ef.Int(4), group=32)))
@ef.kernel
def codes_of_eight_bits(W, U, x, y, none):
    return (ef.sum(W[n, k] * x[k], over=k)[n], ef.sum(U[k, n] * y[k], over=k)[n], (W[n, k] + 1).astype(ef.f16)[k, n],
            ef.softmax(U[k, n] * y[k], over=k)[n, k], ef.sum(none[n, k], over=k)[n],
            U.pad(9.0)[i.of(40) + 1, d.of(3)][i, d])

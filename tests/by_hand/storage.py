"""Operands in a format, dense in plain NumPy."""

import numpy as np


def dense(A):
    return A.toarray().astype(np.float64)


def held(A):
    """Where a sparse matrix stores something."""
    A = A.tocoo()
    made = np.zeros(A.shape, bool)
    made[A.row, A.col] = True
    return made


def spmv(A, x, B, y):
    A, B, x = dense(A), dense(B), x.astype(np.float64)
    return A @ x, B @ y, A.T @ y, y @ A.sum(axis=1), B @ (A @ x)


def spmm(A, X, B):
    A, X, B = dense(A), X.astype(np.float64), dense(B)
    return A @ X, (A @ X).T, np.maximum(B @ np.exp(X) + 1, 0)


def unread_rows(A, X):
    stored, X, A = held(A), X.astype(np.float64), dense(A)
    total, plain, largest = np.zeros((7, 3)), np.zeros((7, 3)), np.full((7, 3), -np.inf)
    for i, k in zip(*np.nonzero(stored)):
        if k != 2 or A[i, k] != 0:
            total[i] += A[i, k] * X[k]
            plain[i] += X[k]
            largest[i] = np.maximum(largest[i], X[k])
    return (total, plain, largest, (A != 0).sum(axis=1), stored.sum(axis=1), stored[:, 3:].any(axis=1))


def masked_product(A, Q, K, V):
    stored, A = held(A), dense(A)
    Q, K, V = (array.astype(np.float64) for array in (Q, K, V))
    weighted = A * (Q @ K.T)
    return np.where(stored, Q @ K.T, 0) @ V, weighted @ V, weighted.sum(axis=1), np.tril(weighted).sum(axis=1)


def graph_attention(A, Q, K, V):
    stored = held(A)
    Q, K, V = (array.astype(np.float64) for array in (Q, K, V))
    O, largest, least = np.zeros((9, 3)), np.full(9, -np.inf), np.full(9, 99)
    for i in range(9):
        keys = np.nonzero(stored[i])[0]
        if len(keys):
            scores = K[keys] @ Q[i] / np.sqrt(5)
            largest[i], least[i] = scores.max(), keys.min()
            O[i] = np.exp(scores) @ V[keys] / np.exp(scores).sum()
    return O, O, largest, least


def read_densely(A, B, x):
    stored, A, B, x = held(B), dense(A), dense(B), x.astype(np.float64)
    padded = np.full((6, 9), 3.0)
    padded[:5, 1:8] = A[1:]
    return (2 * A, A.max(axis=1), (A + 1).sum(axis=1), (A * B) @ x, 2 * A @ x, stored, (A * x).T,
            A.cumsum(axis=1), padded)


def empty_and_single(A, B, C, D, X):
    X = X.astype(np.float64)
    return np.zeros((5, 3)), np.zeros((0, 3)), np.zeros(5), 3 * X[0], np.full((5, 3), -np.inf), np.zeros(4)


def sampled_rows(A, chosen, x, D):
    A, x = dense(A), x.astype(np.float64)
    states, state = [], 0.0
    for product in A @ x:
        state = 0.5 * state + product
        states.append(state)
    return A[chosen] @ x, np.diag(A) @ x, A[chosen] @ A @ x, np.full(8, x.sum()), np.array(states)


def same_ranks(A, B, chosen, x):
    A, B, x = dense(A), dense(B), x.astype(np.float64)
    total = np.where(np.arange(8) < 3, A.sum(), 0)
    return (A @ B @ x, A[chosen] @ B @ x, total, (A * (A.T @ x)[:, None]).sum(axis=0), A @ (A @ x),
            (A * A.T).sum(axis=1), np.tril(A @ B) @ x)


def numbers(W):
    """What the codes of an operand stand for, code by code."""
    codec, made = W.format.codec, np.zeros(W.shape)
    code, scale = W.arrays["code"], W.arrays["scale"].astype(np.float64)
    axis = codec.axis % len(W.shape)
    for place in np.ndindex(W.shape):
        k, others = place[axis], place[:axis] + place[axis + 1:]
        group = (*others, k // codec.group)
        if codec.code.bits == 4:
            blocks = max(codec.group // 32, 1)
            byte = code[(*others, k // 32 // blocks, k // 32 % blocks, k % 16)]
            q = byte >> 4 if k % 32 >= 16 else byte & 15
        else:
            q = code[(*others, k)]
        if codec.zero is True:
            made[place] = (float(q) - float(W.arrays["zero"][group])) * scale[group]
        else:
            made[place] = (float(q) - (2 ** (codec.code.bits - 1) if codec.code.is_signed else 0)) * scale[group]
            made[place] += float(W.arrays["zero"][group]) if codec.zero is not None else 0.0
    return made


def four_bits(W, U, M, x, y):
    W, U, M = map(numbers, (W, U, M))
    x, y = x.astype(np.float64), y.astype(np.float64)
    return (x @ W.T, U @ y, M @ y, (U + y).max(axis=1), 2 * U, (M @ y).sum(), W[:, 130], (U * M)[:, :50].sum(axis=1))


def codes_of_eight_bits(W, U, x, y, none):
    W, U = numbers(W), numbers(U)
    x, y = x.astype(np.float64), y.astype(np.float64)
    P = np.exp(U * y[:, None])
    padded = np.full(U.shape, 9.0)
    padded[:-1] = U[1:]
    return W @ x, U.T @ y, (W + 1).T, (P / P.sum(axis=0)).T, np.zeros(0), padded

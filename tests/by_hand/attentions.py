"""Softmax, and attention in its variants."""

import numpy as np


def double(*arrays):
    return [array.astype(np.float64) for array in arrays]


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def attention(Q, K, V):
    Q, K, V = double(Q, K, V)
    O = np.zeros((*Q.shape[:3], V.shape[3]))
    for b, h, q in np.ndindex(Q.shape[:3]):
        scores = np.array([Q[b, h, q] @ K[b, h, k] / np.sqrt(Q.shape[3]) for k in range(q + 1)])
        O[b, h, q] = softmax(scores) @ V[b, h, : q + 1]
    return O


def attention_window(Q, K, V, window, cap):
    Q, K, V = double(Q, K, V)
    heads, queries, width = Q.shape
    O = np.zeros((queries, heads, V.shape[2]))
    for h, q in np.ndindex(heads, queries):
        seen = range(max(0, q - window + 1), q + 1)
        scores = np.array([cap * np.tanh(Q[h, q] @ K[h, k] / np.sqrt(width) / cap) for k in seen])
        O[q, h] = softmax(scores) @ np.array([V[h, k] for k in seen])
    return O


def attention_alibi(Q, K, V, B):
    Q, K, V, B = double(Q, K, V, B)
    (heads, queries, width), keys = Q.shape, K.shape[1]
    O, P, L = np.zeros((heads, queries, V.shape[2])), np.zeros((queries, keys, heads)), np.zeros((heads, queries))
    for h, q in np.ndindex(heads, queries):
        slope = 2.0 ** (-8 * (h + 1) / heads)
        last = q + keys - queries
        scores = np.array([Q[h, q] @ K[h, k] / np.sqrt(width) - slope * (last - k) + B[q, k] for k in range(last + 1)])
        P[q, : last + 1, h] = softmax(scores)
        O[h, q] = P[q, :, h] @ V[h]
        L[h, q] = np.log(np.exp(scores).sum())
    return O, P, L


def grouped_query_attention(Q, K, V):
    """Query heads 3 h, 3 h + 1 and 3 h + 2 share the key head h."""
    Q, K, V = double(Q, K, V)
    (batches, heads, queries, width), group = Q.shape, Q.shape[1] // K.shape[1]
    O = np.zeros((batches, queries, heads, V.shape[3]))
    for b, head, q in np.ndindex(batches, heads, queries):
        scores = K[b, head // group] @ Q[b, head, q] / np.sqrt(width)
        O[b, q, head] = softmax(scores) @ V[b, head // group]
    return O.reshape(batches, queries, heads * V.shape[3])


def attention_lengths(Q, K, V, lengths):
    Q, K, V = double(Q, K, V)
    batches, queries, width = Q.shape
    O, P = np.zeros((batches, queries, V.shape[2])), np.zeros((batches, queries, K.shape[1]))
    for b, q in np.ndindex(batches, queries):
        n = lengths[b]
        P[b, q, :n] = softmax(K[b, :n] @ Q[b, q] / np.sqrt(width))
        O[b, q] = P[b, q, :n] @ V[b, :n]
    return O, P


def attention_masked_row(Q, K, V, M):
    Q, K, V = double(Q, K, V)
    nothing, zeros = np.full((5, 3), np.nan), np.zeros((5, 3))
    for q in range(5):
        if M[q].any():
            nothing[q] = zeros[q] = softmax(K[M[q]] @ Q[q]) @ V[M[q]]
    return nothing, zeros


def attention_no_keys(Q, K, V):
    return np.full((3, 2), np.nan), np.zeros((2, 3)), np.zeros((0, 3))


def softmax_plane(X, temperature):
    Z = X / temperature
    rows, logarithms = np.zeros(Z.shape), np.zeros(Z.shape)
    for b, y in np.ndindex(2, 3):
        rows[b, y] = softmax(Z[b, y])
    for b, x in np.ndindex(2, 5):
        logarithms[b, :, x] = Z[b, :, x] - np.log(np.exp(Z[b, :, x]).sum())
    planes = np.stack([softmax(Z[b].ravel()) for b in range(2)])
    return rows, planes, logarithms.transpose(2, 1, 0), np.array(np.log(np.exp(Z).sum()))

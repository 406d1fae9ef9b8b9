"""Softmax, and attention in its variants."""

import numpy as np

import einfall as ef
from tests.programs.program import program

b, h, g, q, k, d, e, y, x = ef.ranks("b h g q k d e y x")


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


@program(lambda rng: (normal(rng, 2, 3, 7, 5), normal(rng, 2, 3, 7, 5), normal(rng, 2, 3, 7, 4)))
@ef.kernel
def attention(Q, K, V):
    S = ef.sum(Q[b, h, q, d] * K[b, h, k, d], over=d) / ef.sqrt(d.extent)
    S = ef.where(k <= q, S, -ef.inf)
    P = ef.exp(S - ef.max(S, over=k))
    O = ef.sum(P * V[b, h, k, e], over=k) / ef.sum(P, over=k)
    return O[b, h, q, e]


@program(lambda rng: (
    normal(rng, 9, 2, 3).swapaxes(0, 1), normal(rng, 2, 9, 3), normal(rng, 2, 9, 6)[..., ::-2], 4, 5.0,
))
@ef.kernel
def attention_window(Q, K, V, window, cap):
    S = ef.sum(Q[h, q, d] * K[h, k, d], over=d) * d.extent**-0.5
    S = cap * ef.tanh(S / cap)
    S = ef.where((k <= q) & (q - k < window), S, -ef.inf)
    return ef.sum(ef.softmax(S, over=k) * V[h, k, e], over=k)[q, h, e]


@program(lambda rng: (normal(rng, 3, 5, 4), normal(rng, 3, 8, 4), normal(rng, 3, 8, 2), normal(rng, 5, 8)))
@ef.kernel
def attention_alibi(Q, K, V, B):
    offset = k.extent - q.extent
    S = ef.sum(Q[h, q, d] * K[h, k, d], over=d) / ef.sqrt(d.extent)
    S = S - 2.0 ** (-8 * (h + 1) / h.extent) * ef.abs(q + offset - k) + B[q, k]
    S = ef.where(k <= q + offset, S, -ef.inf)
    P = ef.softmax(S, over=k)
    return ef.sum(P * V[h, k, e], over=k)[h, q, e], P[q, k, h], ef.logsumexp(S, over=k)[h, q]


@program(lambda rng: (normal(rng, 2, 6, 5, 4), normal(rng, 2, 2, 7, 4), normal(rng, 2, 2, 7, 3)))
@ef.kernel
def grouped_query_attention(Q, K, V):
    S = ef.sum(Q[b, (h, g), q, d] * K[b, h, k, d], over=d) / ef.sqrt(d.extent)
    O = ef.sum(ef.softmax(S, over=k) * V[b, h, k, e], over=k)
    return O[b, q, (h, g, e)]


def padded(rng):
    """Keys and values beyond each length are NaN or infinite."""
    Q, K, V = normal(rng, 3, 5, 4), normal(rng, 3, 7, 4), normal(rng, 3, 7, 2)
    lengths = np.array([4, 7, 1])
    for row, length in enumerate(lengths):
        K[row, length:] = np.nan
        V[row, length:] = np.inf
    return Q, K, V, lengths


@program(padded)
@ef.kernel
def attention_lengths(Q, K, V, lengths):
    S = ef.sum(Q[b, q, d] * K[b, k, d], over=d) / ef.sqrt(d.extent)
    S = ef.where(k < lengths[b], S, -ef.inf)
    P = ef.softmax(S, over=k)
    return ef.sum(P * V[b, k, e], over=k)[b, q, e], P[b, q, k]


def with_an_empty_row(rng):
    mask = rng.random((5, 6)) < 0.6
    mask[:, 0], mask[3] = True, False
    return normal(rng, 5, 4), normal(rng, 6, 4), normal(rng, 6, 3), mask


@program(with_an_empty_row)
@ef.kernel
def attention_masked_row(Q, K, V, M):
    S = ef.sum(Q[q, d] * K[k, d], over=d)
    S = ef.where(M[q, k], S, -ef.inf)
    P = ef.exp(S - ef.max(S, over=k))
    nothing = ef.sum(P * V[k, e], over=k) / ef.sum(P, over=k)
    zeros = ef.sum(ef.softmax(S, over=k, empty=0.0) * V[k, e], over=k)
    return nothing[q, e], zeros[q, e]


@program(lambda rng: (normal(rng, 3, 4), np.zeros((0, 4), dtype=np.float32), np.zeros((0, 2), dtype=np.float32)))
@ef.kernel
def attention_no_keys(Q, K, V):
    S = ef.sum(Q[q, d] * K[k, d], over=d)
    P = ef.exp(S - ef.max(S, over=k))
    return (ef.sum(P * V[k, e], over=k) / ef.sum(P, over=k))[q, e], ef.sum(P * V[k, e], over=k)[e, q], P[k, q]


@program(lambda rng: (8 * rng.standard_normal((2, 3, 5)), 1.5))
@ef.kernel
def softmax_plane(X, temperature):
    z = X[b, y, x] / temperature
    return (
        ef.softmax(z, over=x)[b, y, x],
        ef.softmax(z, over=(y, x))[b, (y, x)],
        ef.log_softmax(z, over=y)[x, y, b],
        ef.logsumexp(z, over=(b, y, x))[()],
    )

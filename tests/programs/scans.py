"""Scans: states of one value, of several, and with axes."""

import numpy as np

import einfall as ef
from tests.programs.program import program

b, t, d, e, c, h, i, n, p, q, k = ef.ranks("b t d e c h i n p q k")


@program(lambda rng: (
    rng.standard_normal((2, 7), dtype=np.float32)[:, ::-1],
    rng.integers(-9, 9, 6, dtype=np.int32),
    rng.standard_normal(9),
))
@ef.kernel
def running_totals(X, N, y):
    x = X[b, t]
    before = ef.scan(lambda s: s + x, over=t, init=0.0, exclusive=True)
    after = ef.scan(lambda s: s + x, over=t, init=0.0, reverse=True, exclusive=True)
    largest = ef.scan(lambda s: ef.maximum(s, x), over=t, init=-ef.inf, reverse=True)
    short = [f(x, over=t)[b, t] for f in (ef.cumsum, ef.cumprod, ef.cummax, ef.cummin)]
    masked = ef.cumsum(ef.where(t % 3 == 1, y[t], 0.0), over=t)
    backward = [ef.cummax(x, over=t, reverse=True)[b, t], ef.cumsum(x, over=t, reverse=True, exclusive=True)[t, b]]
    return *short, *backward, before[b, t], after[t, b], largest[b, t], ef.cumsum(N[t], over=t)[t], masked[t]


@program(lambda rng: (rng.standard_normal((9, 3), dtype=np.float32), 0.3, rng.standard_normal(3), rng.random(9) < 0.3))
@ef.kernel
def exponential_average(X, alpha, start, restart):
    average = ef.scan(lambda s: alpha * X[t, d] + (1 - alpha) * s, over=t, init=start[d])
    segmented = ef.scan(lambda s: ef.where(restart[t], 0.0, s) + X[t, d], over=t, init=0.0)
    return average[t, d], segmented[d, t]


@program(lambda rng: (rng.uniform(0, 1, (2, 5, 3)), rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 3, 4))))
@ef.kernel
def gated_recurrence(A, X, start):
    H = ef.scan(lambda s: A[b, t, d] * s + (1 - A[b, t, d]) * X[b, t, d], over=t, init=start[b, d, e])
    backward = ef.scan(lambda s: A[b, t, d] * s + X[b, t, d], over=t, init=1.0, reverse=True, last=True)
    return H[b, t, d, e], backward[d, b], ef.sum(H, over=(d, t))[b, e]


@program(lambda rng: tuple(2 * rng.standard_normal((2, 6, 3), dtype=np.float32) for _ in range(4)))
@ef.kernel
def stabilised_lstm(I, F, Z, O):
    def step(c, n, m):
        new = ef.maximum(F[b, t, d] + m, I[b, t, d])
        forget, accept = ef.exp(F[b, t, d] + m - new), ef.exp(I[b, t, d] - new)
        return forget * c + accept * ef.tanh(Z[b, t, d]), forget * n + accept, new

    cell, norm, scale = ef.scan(step, over=t, init=(0.0, 0.0, -ef.inf))
    return (ef.sigmoid(O[b, t, d]) * cell / norm)[b, t, d], scale[b, t, d]


@program(lambda rng: (rng.standard_normal((7, 3)), rng.standard_normal((7, 3)) / 2, rng.standard_normal((7, 5))))
@ef.kernel
def delta_rule(Q, K, V):
    def step(s):
        return s + K[t, d] * (V[t, e] - ef.sum(K[t, c] * s[c, e], over=c))

    S = ef.scan(step, over=t, init=0.0, state=(d, e))
    final = ef.scan(step, over=t, init=0.0, state=(d, e), last=True)
    return ef.sum(Q[t, d] * S, over=d)[t, e], final[d, e]


@program(lambda rng: (
    rng.standard_normal((4, 4)) / 4, rng.standard_normal(4), rng.standard_normal(4), rng.uniform(0.05, 0.1, 6), 0.9,
))
@ef.kernel
def momentum_descent(A, target, start, rate, mu):
    def step(x, v):
        gradient = ef.sum(A[d, c] * x[c], over=c) - target[d]
        new = mu * v - rate[t] * gradient
        return x + new, new

    x, v = ef.scan(step, over=t, init=(start[d], 0.0), state=((d,), (d,)), last=True)
    return x[d], v[d]


@program(lambda rng: (rng.standard_normal(3), rng.standard_normal((3, 3)), rng.standard_normal((7, 3))))
@ef.kernel
def viterbi_score(start, A, E):
    score = ef.scan(lambda s: ef.max(s[p] + A[p, n], over=p) + E[t, n], over=t, init=start[n], state=(n,))
    return score[t, n]


@program(lambda rng: (
    rng.standard_normal((2, 7, 3), dtype=np.float32), rng.standard_normal((2, 7, 3), dtype=np.float32),
    rng.standard_normal((2, 7, 4), dtype=np.float32), rng.uniform(0.5, 1, 2),
))
@ef.kernel
def linear_attention(Q, K, V, decay):
    S = ef.where(k <= q, ef.sum(Q[b, q, d] * K[b, k, d], over=d) * decay[b] ** (q - k), 0)
    return ef.sum(S * V[b, k, e], over=k)[b, q, e], ef.sum(S, over=q)[b, k]


@program(lambda rng: (rng.standard_normal(6), rng.uniform(-1, 1, (2, 4)).T))
@ef.kernel
def horner(coefficient, X):
    value = ef.scan(lambda s: s * X[i, h] + coefficient[n], over=n, init=0.0, reverse=True, last=True)
    powers = ef.sum(coefficient[n] * X[i, h] ** n, over=n)
    return value[i, h], powers[h, i]


@program(lambda rng: (np.zeros((2, 0, 3)), rng.standard_normal(2), np.zeros((0, 4), dtype=np.float32)))
@ef.kernel
def scan_over_nothing(X, start, Y):
    final = ef.scan(lambda s: 0.5 * s + X[b, t, d], over=t, init=start[b], last=True)
    whole = ef.scan(lambda s: 0.5 * s + X[b, t, d], over=t, init=start[b])
    running, largest = ef.cumsum(Y[b, t], over=t), ef.cummax(X[b, t, d], over=t)
    return final[b, d], whole[d, t, b], running[b, t], ef.sum(largest, over=t)[d, b]

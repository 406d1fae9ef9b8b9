"""Linear recurrences, with the class that each is of: what the tests of chunks run."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import einfall as ef

t, d, e, c, h, n = ef.ranks("t d e c h n")

STEPS, KEYS, VALUES = 67, 5, 3


class Case(NamedTuple):
    """A program; kind, form, how, feedback terms, sources: what is expected; inputs: rng, steps, strength of decay."""

    kernel: Callable
    expected: tuple
    inputs: Callable


def rows(rng, steps, *more):
    """Vectors of length about 1, one for each step."""
    return rng.standard_normal((steps, *more)) / np.sqrt(more[-1])


def qkv(rng, steps):
    return rows(rng, steps, KEYS), rows(rng, steps, KEYS), rng.standard_normal((steps, VALUES))


def unit_rows(rng, steps):
    x = rng.standard_normal((steps, KEYS))
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def logs(rng, strength, *shape):
    """Logarithms of gates."""
    return -strength * rng.random(shape)


@ef.kernel
def linear_attention(Q, K, V):
    S = ef.scan(lambda s: s + K[t, d] * V[t, e], over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def retnet(Q, K, V, G):
    S = ef.scan(lambda s: ef.exp(G[h]) * s + K[t, d] * V[t, e], over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[h, t, e]


@ef.kernel
def mamba2(Q, K, V, A, D):
    S = ef.scan(lambda s: ef.exp(A[t]) * s + D[t] * K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def gla(Q, K, V, G):
    S = ef.scan(lambda s: ef.exp(G[t, d]) * s + K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def value_gate(Q, K, V, G):
    S = ef.scan(lambda s: ef.exp(G[t, e]) * s + K[t, d] * V[t, e], over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def delta_net(Q, K, V, B):
    def step(s):
        return s + B[t] * K[t, d] * (V[t, e] - ef.sum(K[t, c] * s[c, e], over=c))

    S = ef.scan(step, over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def gated_delta_net(Q, K, V, B, A):
    def step(s):
        gate = ef.exp(A[t])
        return gate * s + B[t] * K[t, d] * (V[t, e] - gate * ef.sum(K[t, c] * s[c, e], over=c))

    S = ef.scan(step, over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def diagonal_plus_low_rank(Q, K, V, G, X, Y):
    def step(s):
        return ef.exp(G[t, d]) * s + X[t, d] * ef.sum(Y[t, c] * s[c, e], over=c) + K[t, d] * V[t, e]

    S = ef.scan(step, over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def two_feedback_terms(Q, K, V, A, X, Y):
    def step(s):
        return (ef.exp(A[t]) * s - X[t, d] * ef.sum(X[t, c] * s[c, e], over=c) / 2.0
                - Y[t, d] * ef.sum(Y[t, c] * s[c, e], over=c) / 4.0 + K[t, d] * V[t, e])

    S = ef.scan(step, over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def mamba1(C, B, X, D, A):
    S = ef.scan(lambda s: ef.exp(D[t, e] * A[e, d]) * s + D[t, e] * B[t, d] * X[t, e], over=t, init=0.0)
    return ef.sum(C[t, d] * S, over=d)[t, e]


@ef.kernel
def dense(Q, K, V, A):
    S = ef.scan(lambda s: ef.sum(A[t, d, c] * s[c, e], over=c) + K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


CASES = (
    Case(linear_attention, ("none", "chunks", "", 0, 1), lambda rng, steps, _: qkv(rng, steps)),
    Case(retnet, ("scalar", "chunks", "mask", 0, 1), lambda rng, steps, strength: (
        *qkv(rng, steps), logs(rng, strength, 2))),
    Case(mamba2, ("scalar", "chunks", "mask", 0, 1), lambda rng, steps, strength: (
        *qkv(rng, steps), logs(rng, strength, steps), rng.random(steps))),
    Case(gla, ("key-wise", "chunks", "halving", 0, 1), lambda rng, steps, strength: (
        *qkv(rng, steps), logs(rng, strength, steps, KEYS))),
    Case(value_gate, ("value-wise", "chunks", "halving on values", 0, 1), lambda rng, steps, strength: (
        *qkv(rng, steps), logs(rng, strength, steps, VALUES))),
    Case(delta_net, ("none", "chunks", "", 1, 1), lambda rng, steps, _: (
        rows(rng, steps, KEYS), unit_rows(rng, steps), rows(rng, steps, VALUES), rng.random(steps))),
    Case(gated_delta_net, ("scalar", "chunks", "mask", 1, 1), lambda rng, steps, strength: (
        rows(rng, steps, KEYS), unit_rows(rng, steps), rows(rng, steps, VALUES), rng.random(steps),
        logs(rng, strength, steps))),
    Case(diagonal_plus_low_rank, ("key-wise", "chunks", "halving", 1, 1), lambda rng, steps, strength: (
        *qkv(rng, steps), logs(rng, strength, steps, KEYS), 0.3 * unit_rows(rng, steps), -unit_rows(rng, steps))),
    Case(two_feedback_terms, ("scalar", "chunks", "mask", 2, 1), lambda rng, steps, strength: (
        *qkv(rng, steps), logs(rng, strength, steps), unit_rows(rng, steps), unit_rows(rng, steps))),
    Case(mamba1, ("full", "scan", "", 0, 0), lambda rng, steps, strength: (
        rows(rng, steps, KEYS), rows(rng, steps, KEYS), rng.standard_normal((steps, VALUES)),
        rng.random((steps, VALUES)), -strength * rng.random((VALUES, KEYS)))),
    Case(dense, ("dense", "steps", "", 0, 0), lambda rng, steps, _: (
        *qkv(rng, steps), rng.standard_normal((steps, KEYS, KEYS)) / 5)),
)

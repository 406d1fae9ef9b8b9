"""Functions in the steps of a scan that do not need all its ranks are computed once before it."""

import numpy as np
import pytest

import einfall as ef
from einfall.cascade.once import computed_once
from einfall.cascade.text import text
from tests.differential.heights import assert_agrees_at_every_height

t, d, e, b = ef.ranks("t d e b")


@ef.kernel
def gated(Q, K, V, G):
    S = ef.scan(lambda s: ef.exp(G[t, d]) * s + K[t, d] * ef.tanh(V[t, e]), over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def with_axes(Q, K, V, G):
    S = ef.scan(lambda s: ef.sigmoid(G[t, d] + s[0, 0]) * s + ef.exp(G[t, d]) * K[t, d] * V[t, e], over=t, init=0.0,
                state=(d, e), last=True)
    return S[d, e]


@ef.kernel
def as_it_stands(X, A):
    """A function of all ranks of its scan, one of none of its steps, and one that is read behind a condition."""
    full = ef.scan(lambda s: ef.exp(A[d, e] * X[t, d]) * s + X[t, e], over=t, init=0.0)
    shifted = ef.scan(lambda s: ef.where(t > 0, ef.exp(-X[t - 1, d]), 0.0) * s + X[t, e], over=t, init=1.0)
    return full[t, d, e], shifted[e, d, t]


def data(steps=9, keys=4, values=3):
    rng = np.random.default_rng(steps)
    return tuple(rng.standard_normal((steps, size)).astype(np.float32) for size in (keys, keys, values, keys))


def test_a_gate_is_computed_for_each_step_and_not_for_each_value():
    made = text(computed_once(gated.trace(*data()).cascade))
    assert "tensor[t < Q.shape[0], d < Q.shape[1]](exp(G[t, d]))" in made
    assert "](tanh(V[t, e]))" in made


def test_what_needs_all_ranks_or_might_not_be_there_stays():
    cascade = as_it_stands.trace(np.ones((5, 3), np.float32), np.ones((3, 3), np.float32)).cascade
    assert computed_once(cascade) is cascade


@pytest.mark.parametrize("steps", [0, 1, 9])
def test_every_height_agrees(steps):
    for kernel in (gated, with_axes):
        assert_agrees_at_every_height(kernel, data(steps))
    X = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    assert_agrees_at_every_height(as_it_stands, (X, X[:3]))

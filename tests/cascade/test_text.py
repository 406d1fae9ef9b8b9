"""Every program prints as text that parses back to the same object."""

import numpy as np
import pytest

import einfall as ef
from einfall.cascade.parse import parse
from tests.lower.test_line import attention
from tests.programs.program import load

PROGRAMS = load()
d, e, t, c = ef.ranks("d e t c")


@pytest.mark.parametrize("name", PROGRAMS)
def test_text_parses_back_to_the_same_cascade(name):
    program = PROGRAMS[name]
    args, kwargs = program.arguments(np.random.default_rng(0))
    traced = program.kernel.trace(*args, **kwargs)
    assert parse(str(traced)) is traced.cascade


def test_tracing_twice_gives_the_same_cascade():
    for program in list(PROGRAMS.values())[::7]:
        args, kwargs = program.arguments(np.random.default_rng(0))
        first = program.kernel.trace(*args, **kwargs)
        assert ef.kernel(program.kernel.function).trace(*args, **kwargs).cascade is first.cascade


def test_attention_prints_with_the_names_of_its_source():
    Q = np.zeros((2, 3, 5, 4), np.float32)
    assert str(attention.trace(Q, Q, Q)) == """\
def attention(Q: f32[4], K: f32[4], V: f32[4]):
    t1[b, h, k, q] = sum[d < Q.shape[3]](Q[b, h, q, d] * K[b, h, k, d])
    S[b, h, k, q] = where(k <= q, t1[b, h, k, q] / sqrt(cast(Q.shape[3], f32)), -inf)
    t2[b, h, q] = max[k < K.shape[2]](S[b, h, k, q])
    P[b, h, k, q] = exp(S[b, h, k, q] - t2[b, h, q])
    t3[b, e, h, q] = sum[k < K.shape[2]](P[b, h, k, q] * V[b, h, k, e])
    t4[b, h, q] = sum[k < K.shape[2]](P[b, h, k, q])
    O[b, e, h, q] = t3[b, e, h, q] / t4[b, h, q]
    return tensor[b < Q.shape[0], h < Q.shape[1], q < Q.shape[2], e < V.shape[3]](O[b, e, h, q])
"""


def test_a_delta_rule_prints_its_scan():
    @ef.kernel
    def delta(K, V):
        def step(s):
            return s + K[t, d] * (V[t, e] - ef.sum(K[t, c] * s[c, e], over=c))

        return ef.scan(step, over=t, init=0.0, state=(d, e))[t, d, e]

    traced = delta.trace(np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32))
    assert str(traced) == """\
def delta(K: f32[2], V: f32[2]):
    t1[e, t] = sum[c < K.shape[1]](K[t, c] * s1_0[c, e])
    t2 = scan[t < V.shape[0]](s1_0[d < K.shape[1], e < V.shape[1]](f32(0.0), \
s1_0[d, e] + K[t, d] * (V[t, e] - t1[e, t])))
    return tensor[t < V.shape[0], d < K.shape[1], e < V.shape[1]](t2.states[0][t, d, e])
"""
    assert parse(str(traced)) is traced.cascade


@pytest.mark.parametrize("line, what", [
    ("return tensor[i < X.shape[0]](Y[i])", "Y is not defined"),
    ("return tensor[i < X.shape[0]](X[i] + [1])", r"not part of a cascade: \[1\]"),
])
def test_text_that_is_no_cascade(line, what):
    with pytest.raises(SyntaxError, match=what):
        parse(f"def f(X: f32[1]):\n    {line}\n")

"""Interchange: what becomes of a reduction inside independent iterations, and when it is refused."""

import numpy as np
import pytest

from einfall.nest.interchange import interchange, legal_interchange
from einfall.nest.run import run
from einfall.nest.schedule import loops
from einfall.nest.text import parse, text

COLUMNS = parse("""\
def columns(x: f32[2], y: f32[1]):
    out = output(f32, x.shape[1])
    top = output(f32, x.shape[1])
    for j in vector(x.shape[1]):
        for i in sequential(x.shape[0], a=y[j], b=f32(-inf)):
            fold(monoid(f32(0.0), f32(-inf), left_0 + right_0, maximum(left_1, right_1), commutative=True, \
name='both'), a=x[i, j] * y[j], b=x[i, j])
        for k in sequential(x.shape[0], c=f32(0.0)):
            fold(sum, c=x[k, j] - a)
        out[j] = a + c
        top[j] = b
""")
OTHERS = parse("""\
def others(x: f32[2], n: i64[1]):
    out = output(f32, x.shape[1])
    at = output(i64, x.shape[1])
    for j in parallel(x.shape[1]):
        for i in sequential(j, a=f32(0.0)):
            fold(sum, a=x[i, j])
        out[j] = a
    for k in parallel(x.shape[1]):
        for l in sequential(x.shape[0], b=f32(-inf), c=9223372036854775807):
            fold(argmax, b=x[l, k], c=l)
        at[k] = c
    for m in parallel(n[0]):
        for o in sequential(x.shape[0], d=f32(0.0)):
            fold(sum, d=x[o, m])
        out[m] = d
    for p in sequential(x.shape[0], e=f32(0.0)):
        fold(sum, e=x[p, 0])
    for q in parallel(x.shape[1]):
        out[q] = e
""")


def test_reductions_go_through_rows_for_all_iterations():
    nest = interchange(COLUMNS, "j")
    assert text(nest) == """\
def columns(x: f32[2], y: f32[1]):
    out = output(f32, x.shape[1])
    top = output(f32, x.shape[1])
    w = workspace(f32, x.shape[1])
    w_ = workspace(f32, x.shape[1])
    for j in vector(x.shape[1]):
        w[j] = y[j]
        w_[j] = f32(-inf)
    for i in sequential(x.shape[0]):
        for j_ in vector(x.shape[1]):
            w[j_] = w[j_] + x[i, j_] * y[j_]
            w_[j_] = maximum(w_[j_], x[i, j_])
    w__ = workspace(f32, x.shape[1])
    for j__ in vector(x.shape[1]):
        w__[j__] = f32(0.0)
    for k in sequential(x.shape[0]):
        for j___ in vector(x.shape[1]):
            w__[j___] = w__[j___] + (x[k, j___] - w[j___])
    for j____ in vector(x.shape[1]):
        out[j____] = w[j____] + w__[j____]
        top[j____] = w_[j____]
"""
    assert parse(text(nest)) is nest
    rng = np.random.default_rng(0)
    for rows, columns in [(0, 3), (3, 0), (4, 5)]:
        inputs = {"x": rng.standard_normal((rows, columns)), "y": rng.standard_normal(columns)}
        for before, after in zip(run(COLUMNS, inputs, {}), run(nest, inputs, {})):
            assert np.array_equal(before, after)


@pytest.mark.parametrize("name, reason", [
    ("j", "loop i has another length in each iteration of loop j"),
    ("k", "the components of argmax depend on each other"),
    ("m", "the length of loop m has no bound by sizes"),
    ("p", "the iterations of loop p are not independent"),
    ("q", "loop q does not hold reductions and what is stored of them"),
])
def test_an_interchange_is_refused_with_a_reason(name, reason):
    assert legal_interchange(loops(OTHERS)[name]).reason == reason
    with pytest.raises(ValueError, match=reason):
        interchange(OTHERS, name)

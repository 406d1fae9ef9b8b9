"""Where inputs store something, and indices that never leave: the two nodes that storage needs of a cascade."""

import numpy as np
import pytest

from einfall.cascade.check import check
from einfall.cascade.parse import parse
from einfall.cascade.run import Fault, run
from einfall.cascade.text import text
from einfall.lower.cascade_to_nest import cascade_to_nest

SUM = parse("""
def f(A: f32[2], x: f32[1]):
    t1[i] = sum[k < A.shape[1]](A[i, k] * x[k])
    t2[i] = sum[k < A.shape[1]](where(A.stored[i, k], 1, 0))
    return tensor[i < A.shape[0]](t1[i]), tensor[i < A.shape[0]](t2[i])
""")


def test_patterns_and_inside_indices_have_text():
    program = parse("""
def f(A: f32[2], at: i64[1]):
    return tensor[n < at.shape[0], k < A.shape[1]](where(A.stored.pad(True)[at[n], k + 1], A[inside(at[n]), k], 0.0))
""")
    check(program)
    assert parse(text(program)) is program and parse(text(SUM)) is SUM
    assert "A.stored.pad(True)[at[n], k + 1]" in text(program) and "A[inside(at[n]), k]" in text(program)


def test_what_is_not_stored_is_absent():
    A, x = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]), np.array([1.0, np.nan, 3.0])
    everything, ones = run(SUM.outputs, {"A": A, "x": x})
    assert np.isnan(everything.array).all() and ones.array.tolist() == [3, 3]
    some = np.array([[True, False, True], [False, False, True]])
    total, count = run(SUM.outputs, {"A": A, "x": x}, stored={"A": some})
    assert total.array.tolist() == [1, 6] and count.array.tolist() == [2, 1]
    read = run(SUM.outputs, {"A": A, "x": x}, stored={"A": np.array([[True, True, True], [False, False, True]])})
    assert np.isnan(read[0].array[0]) and read[0].array[1] == 6


def test_an_index_that_stays_inside_is_loaded_without_a_guard():
    guarded, trusted = (cascade_to_nest(parse(f"""
def f(x: f32[1], at: i64[1]):
    return tensor[n < at.shape[0]](x[{index}])
""")) for index in ("at[n]", "inside(at[n])"))
    (kept,), (bare,) = guarded.body[0].body, trusted.body[0].body
    assert kept.value.outside is not None and bare.value.outside is None
    assert kept.value.indices == bare.value.indices


def test_the_reference_looks_at_indices_that_stay_inside():
    program = parse("""
def f(x: f32[1], at: i64[1]):
    return tensor[n < at.shape[0]](x[inside(at[n])])
""")
    assert run(program.outputs, {"x": np.arange(3.0), "at": np.array([2, 0])})[0].array.tolist() == [2, 0]
    with pytest.raises(Fault):
        run(program.outputs, {"x": np.arange(3.0), "at": np.array([3])})

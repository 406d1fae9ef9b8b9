"""Facts that a kernel states of its data: checked before each call, and known to the derivation."""

import numpy as np
import pytest

import einfall as ef
from tests.differential.heights import assert_agrees_at_every_height

i, k, t = ef.ranks("i k t")


def scaled(X, Scale):
    """The maximum of what is left under the maximum, times a number: up or down, as its sign says."""
    ef.assume(Scale[i] > 0)
    top = ef.max(X[k], over=k)
    return ef.max((X[k] - top) * Scale[i], over=k)[i]


def without_facts(X, Scale):
    top = ef.max(X[k], over=k)
    return ef.max((X[k] - top) * Scale[i], over=k)[i]


X, SCALE = np.random.default_rng(0).standard_normal(300).astype(np.float32), np.float32([0.5, 2, 3])


def test_a_derivation_uses_what_is_assumed():
    """With the sign of the factor the maximum is one sweep; without it there are two."""
    assert "one sweep" in str(ef.kernel(scaled).lower(X, SCALE).derivation)
    assert "one sweep" not in str(ef.kernel(without_facts).lower(X, SCALE).derivation)
    assert_agrees_at_every_height(ef.kernel(scaled), (X, SCALE))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_what_does_not_hold_is_an_error_and_says_where(bad):
    held = ef.kernel(scaled)
    held(X, SCALE)
    data = SCALE.copy()
    data[1] = bad
    for attempt in (held, lambda *args: ef.reference(held, *args), lambda *args: ef.check(held, *args)):
        with pytest.raises(ef.AssumptionError, match=rf"^an assumption does not hold at i=1: {bad} > 0.0"):
            attempt(X, data)


def test_nothing_is_written_when_an_assumption_fails():
    out = np.full(3, 7, np.float32)
    with pytest.raises(ef.AssumptionError):
        ef.kernel(scaled)(X, -SCALE, out=out)
    assert (out == 7).all()


def test_unchecked_kernels_do_not_look():
    data = SCALE.copy()
    data[1] = -1
    assert np.isfinite(ef.kernel(scaled, unchecked=True)(X, data)[0])


def test_assumptions_of_masks_conjunctions_tensors_and_inner_kernels():
    @ef.kernel
    def inner(A):
        ef.assume(A > 0)  # of a whole tensor
        return (A[t] * 2)[t]

    @ef.kernel
    def program(A, lens):
        ef.assume((ef.sum(A[t], over=t) < 100.0) & (lens[i] >= 0))
        ef.assume(ef.where(t < lens[i], A[t] < 10.0, True))
        return ef.sum(ef.where(t < lens[i], inner(A)[t], 0.0), over=t)[i]

    A, lens = np.linspace(1, 20, 5).astype(np.float32), np.array([0, 2])
    assert_agrees_at_every_height(program, (A, lens))
    for arguments, text in (((A, np.array([0, 3])), "at t=2, i=1: 10.5 < 10.0"),
                            ((A, np.array([0, -3])), "at i=1: -3 >= 0"),
                            ((A * 3, np.array([0, 0])), "at i=0: 157.5 < 100.0"),
                            ((-A, np.array([0, 0])), "at i0=0: -1.0 > 0.0")):
        with pytest.raises(ef.AssumptionError, match=text):
            program(*arguments)


@pytest.mark.parametrize("fact", [
    lambda A: ef.assume(A[:-1] > 0), lambda A: ef.assume(ef.where(i < 1, A[i] > 0, True)),
    lambda A: ef.assume((A[i] > 0) | (i >= 1)), lambda A: ef.assume(A[1:] < 0)])
def test_a_fact_about_a_part_is_none_of_the_whole(fact):
    """Long enough for a derived state, which would move the maximum inside a factor that is taken for positive."""
    @ef.kernel
    def program(A, X):
        fact(A)
        top = ef.max(X[i, k], over=k)
        return ef.max((X[i, k] - top) * A[i], over=k)[i]

    A, X = np.array([1.0, -1.0]), np.tile(np.arange(400_000.0), (2, 1))
    assert ": f64[1]" in str(program.trace(A, X)).split("A")[1]
    assert program(A, X).tolist() == [0, 399_999]


def test_facts_in_numbers_that_the_type_does_not_hold_are_checked_only():
    @ef.kernel
    def program(A):
        ef.assume((A[i] >= 1e-50) & (A[i] <= 0.1))
        return (A[i] * 2)[i]

    A = np.float32([0.05, 0.0625])
    assert str(program.trace(A)).startswith("def program(A: f32[1]):") and program(A).tolist() == (A * 2).tolist()


def test_a_fault_inside_an_assumption_is_found_first():
    @ef.kernel
    def program(A, at):
        ef.assume(A[at[i]] > 0)
        return (at[i] * 2)[i]

    assert program(np.ones(3, np.float32), np.array([2, 0])).tolist() == [4, 0]
    with pytest.raises(ef.BoundsError, match="index 3 is out of range for axis 0 of A"):
        program(np.ones(3, np.float32), np.array([2, 3]))


def test_the_text_of_a_program_says_what_is_assumed_of_its_inputs():
    @ef.kernel
    def program(A, G):
        ef.assume((A[t] > 0) & (G[t] >= 0))
        ef.assume(G[t] <= 1.0)
        return (A[t] * G[t])[t]

    traced = program.trace(X, X)
    assert str(traced).startswith("def program(A: f32[1, 0.0 < A], G: f32[1, 0.0 <= G <= 1.0]):")
    assert ef.parse(str(traced)).cascade is traced.cascade


def test_explain_says_that_assumptions_are_checked():
    assert "assumptions are checked" in str(ef.kernel(scaled).explain(X, SCALE))


def test_the_reference_at_chosen_coordinates_evaluates_nothing_else():
    """The whole table would be 2 TB."""
    @ef.kernel
    def table(A, B):
        return (A[i] * B[k])[i, k]

    A = np.arange(500_000, dtype=np.float32)
    assert ef.reference(table, A, A, at={i: [3], k: [2]}).tolist() == [[6]]

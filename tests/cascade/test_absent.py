"""Absent points: what only absent points read is never seen."""

import numpy as np
import pytest

import einfall as ef
from einfall.front.kernel import measured
from tests.differential.heights import assert_agrees_at_every_height

i, j, k, n = ef.ranks("i j k n")
NAN = np.nan


def test_an_absent_zero_annihilates_nan():
    @ef.kernel
    def f(X, W, n):
        x = ef.where(j < n, X[j], 0.0)
        return (x * W[j])[j], (x * W[j] + 1.0)[j], ef.sum(x * W[j], over=j)[()], (x / W[j])[j], (W[j] / x)[j]

    X, W = np.array([1.0, 2.0, NAN]), np.array([3.0, 4.0, NAN])

    @ef.kernel
    def g(X, W, L):
        x = ef.where(j < L[()], X[j], 0.0)
        return (x * W[j])[j], (x * W[j] + 1.0)[j], ef.sum(x * W[j], over=j)[()], (x / W[j])[j], (W[j] / x)[j]

    product, shifted, total, ratio, inverse = ef.reference(g, X, W, np.array(2))
    assert product.tolist() == [3, 8, 0]
    assert shifted.tolist() == [4, 9, 1]
    assert total == 11
    assert ratio.tolist() == [1 / 3, 0.5, 0]
    assert inverse[0] == 3 and np.isnan(inverse[2])  # a denominator of 0 decides nothing
    # a number of the call is no extent: the same predicate makes nothing absent, and the NaN is seen
    assert np.isnan(ef.reference(f, X, W, 2)[0][2])


def test_a_predicate_on_floats_makes_nothing_absent():
    @ef.kernel
    def f(X, W):
        return (ef.where(X[j] > 0, X[j], 0.0) * W[j])[j]

    assert np.isnan(ef.reference(f, np.array([1.0, -1.0]), np.array([1.0, NAN]))[1])


def test_minus_infinity_is_absent_through_exp():
    @ef.kernel
    def f(X, V):
        s = ef.where(k <= i, X[i, k], -ef.inf)
        p = ef.exp(s - ef.max(s, over=k))
        return ef.sum(p * V[k], over=k)[i]

    X = np.array([[0.0, NAN], [1.0, 1.0]])
    V = np.array([2.0, NAN])
    result = ef.reference(f, X, V)
    assert result[0] == 2 and np.isnan(result[1])


def test_boolean_annihilators_and_unchosen_accesses():
    @ef.kernel
    def f(P, X):
        inside = (j > 0) & (X[j] > 0)
        return ef.where(j > 0, ef.where(inside, X.pad(7.0)[j - 1], X[j]), -1.0)[j]

    assert ef.reference(f, np.array([True]), np.array([5.0, -2.0, 3.0])).tolist() == [-1, -2, -2]


def test_only_the_chosen_access_is_checked():
    @ef.kernel
    def f(X, at, ok):
        return ef.where(ok[n], X[at[n]], 0.0)[n], (ef.where(ok[n], 1.0, 0.0) * X[at[n]])[n]

    X, at = np.arange(4.0), np.array([3, 99, -1])
    first, second = ef.reference(f, X, at, np.array([True, False, False]))
    assert first.tolist() == second.tolist() == [3, 0, 0]
    with pytest.raises(ef.BoundsError, match="index 99 is out of range for axis 0 of X, which has extent 4, at n=1"):
        ef.reference(f, X, at, np.array([True, True, False]))


def test_a_value_that_is_not_the_identity_counts():
    @ef.kernel
    def f(X):
        x = ef.where(j <= i, X[i, j], 0.0)
        return ef.max(x, over=j)[i], ef.min(x, over=j)[i], ef.mean(x, over=j)[i]

    X = np.array([[-1.0, NAN], [-2.0, -3.0]])
    largest, smallest, mean = ef.reference(f, X)
    assert largest.tolist() == [0, -2] and smallest.tolist() == [-1, -3] and mean.tolist() == [-0.5, -2.5]


def test_argmax_of_nothing_present_is_zero():
    @ef.kernel
    def f(X):
        return ef.argmax(ef.where(j < i, X[i, j], -ef.inf), over=j)[i]

    assert ef.reference(f, np.array([[1.0, 2.0], [3.0, NAN]])).tolist() == [0, 0]


@ef.kernel
def hashed(X):
    """Numbers fold, also those that a program writes as operators; what a call only knows is told as one."""
    other = ef.where(i % 2 == 0, i, X.shape[0] * 3 + 1)
    for _ in range(6):
        other = other * (other + ef.where(i < 5, 1, X.shape[0])) ^ (other >> 3)
    bucket = ef.where(i % 3 == 0, i, 2)
    return ef.uniform(7, bucket, bucket)[i], ef.uniform(7, other)[i], (ef.where(i < 3, other, 0) * X[i])[i]


def test_what_is_absent_in_many_steps_is_found():
    assert_agrees_at_every_height(hashed, (np.linspace(1, 2, 9),))


def test_what_an_absent_factor_decides_is_exact():
    """Its bound of errors does not come from what is never seen."""
    @ef.kernel
    def program(X, g):
        known = ef.where(i < 1, g, 0.0)
        return ef.sum(ef.atan(X[i]) * X[i] * known, over=i)[()], ef.sum(X[i] * known, over=i)[()]

    X = np.array([2.0, np.inf, NAN], dtype=np.float32)
    _, results = measured(program, (X, 0.371), {})
    assert all(np.isfinite(result.error).all() for result in results)
    assert_agrees_at_every_height(program, (X, 0.371))

"""Small programs that once gave a wrong result, compared at every height."""

import numpy as np
import pytest

import einfall as ef
from tests.differential.heights import assert_agrees_at_every_height

i, j, k, q, d, t = ef.ranks("i j k q d t")
LARGEST, SMALLEST = 2**63 - 1, -2**63


@ef.kernel
def a_state_reads_the_old_memory_of_another(x):
    a, n = ef.scan(lambda a, n: (a + x[d], n + a[0]), over=t.of(3), init=(0.0, 0.0), state=((d,), ()))
    return n[t], a[t, d]


@ef.kernel
def the_same_before_each_step(x):
    _, n = ef.scan(lambda a, n: (a + x[d], ef.exp(a[1]) + n), over=t.of(3), init=(0.0, 0.0), state=((d,), ()),
                   exclusive=True)
    return n[t]


@ef.kernel
def last_states_with_and_without_axes(x):
    a, n = ef.scan(lambda a, n: (a + x[d], n + 1.0), over=t.of(3), init=(0.0, 0.0), state=((d,), ()), last=True)
    return n[()], a[d]


@ef.kernel
def a_rank_bound_again_has_another_mask(A):
    column = ef.sum(ef.where(k <= q, A[q, k], 2.0), over=q)
    return ef.sum(ef.where(k <= q, column, 0.0), over=k)[q]


@ef.kernel
def forward_algorithm(T, E, o):
    def step(a):
        w = ef.sum(a[i] * T[i, j], over=i) * E[j, o[t]]
        return w / ef.sum(w, over=j)

    return ef.scan(step, over=t, init=0.2, state=(j,), last=True)[j]


@ef.kernel
def comparisons_with_any_number(A, L):
    below = ef.sum(ef.where(k <= L[i], A[i, k], 0), over=k)
    above = ef.sum(ef.where(k > L[i], A[i, k], 0), over=k)
    equal = ef.sum(ef.where(k == L[i], A[i, k], 0), over=k)
    strictly = ef.sum(ef.where((L[i] <= k) & (k < L[i] + 1_000_000_000), A[i, k], 0), over=k)
    wrapped = ef.sum(ef.where((k + L[i] < 10) & (3 - k < L[i]) & (k - L[i] >= 0), A[i, k], 0), over=k)
    return below[i], above[i], equal[i], strictly[i], wrapped[i]


@ef.kernel
def softmax_of_nothing_divided_inside(S, V):
    p = ef.softmax(ef.where(k < q, S[q, k], -ef.inf), over=k)
    return ef.sum(p * V[k, d], over=k)[q, d]


@ef.kernel
def maximum_of_nothing_below_itself(X):
    T = ef.where(k < q.of(4), X[k], -ef.inf)
    return ef.max(T - ef.max(T, over=k), over=k)[q]


@ef.kernel
def distances_to_a_largest_absolute_value(X):
    m = ef.max(abs(X[k]), over=k)
    return ef.sum(abs(X[k] - m), over=k)[()]


@ef.kernel
def sums_over_other_axes_share_no_component(X, T, U):
    away = X[k] - ef.mean(X[k], over=k)
    return ef.sum(T[q] * away * away, over=k)[q], ef.sum(U[d] * away * away, over=k)[d]


@ef.kernel
def some_below_a_maximum_of_all(X, Y):
    return ef.sum(ef.where(Y[q, k] > 0, ef.exp(X[q, k] - ef.max(X[q, k], over=k)), 0.0), over=k)[q]


@ef.kernel
def least_distance_to_a_maximum(X, Y):
    return ef.min(X[q, k] - ef.max(X[q, k], over=k), over=k)[q], ef.max(
        ef.exp(Y[q, k] - ef.min(Y[q, k], over=k)), over=k)[q]


def infinite_rows():
    """Rows with infinities at elements that count, and at others."""
    X, Y = random(6, 20), random(6, 20)[::-1].copy()
    X[0, 3], Y[0, 3] = np.inf, -1.0
    X[1, 3], Y[1, 3] = np.inf, 1.0
    X[2] = X[3] = X[4, :10] = -np.inf
    Y[2] = -1.0
    return X, Y


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "args"), [
    (a_state_reads_the_old_memory_of_another, (np.ones(2),)),
    (the_same_before_each_step, (np.ones(2) / 4,)),
    (last_states_with_and_without_axes, (np.ones(2),)),
    (a_rank_bound_again_has_another_mask, (random(6, 6),)),
    (forward_algorithm, (abs(random(5, 5)), abs(random(5, 7)), np.array([0, 1, 2, 6]))),
    (comparisons_with_any_number, (random(9, 20), np.array([
        LARGEST, LARGEST - 5, SMALLEST, SMALLEST + 5, -1, 0, 7, 19, 20]))),
    (softmax_of_nothing_divided_inside, (random(4, 9), random(9, 2))),
    (maximum_of_nothing_below_itself, (random(30),)),
    (distances_to_a_largest_absolute_value, (random(30),)),
    (sums_over_other_axes_share_no_component, (random(30), random(4), random(5))),
    (some_below_a_maximum_of_all, infinite_rows()),
    (least_distance_to_a_maximum, (infinite_rows()[0], -infinite_rows()[0])),
], ids=lambda value: getattr(value, "__name__", ""))
def test_agrees(kernel, args):
    assert_agrees_at_every_height(kernel, args)


@ef.kernel
def a_state_wider_than_its_init(y, start):
    return ef.scan(lambda s: s + y[t], over=t, init=start)[t]


@pytest.mark.parametrize(("y", "start"), [
    (np.array([0.5, 0.5, 0.5]), np.asarray(0)), (np.full(4, 2**31), np.asarray(0, np.int32)),
    (np.array([1e-9, 1.0, 1e8, 1.0]), np.asarray(0.1, np.float32))], ids=["integer", "i32", "f32"])
def test_a_state_is_as_wide_in_its_step_as_after_it(y, start):
    """The reference and all heights alike had it in the type of the init."""
    total = np.cumsum(np.append(start.astype(y.dtype), y))[1:]
    assert np.array_equal(a_state_wider_than_its_init(y, start), total)
    assert np.array_equal(ef.reference(a_state_wider_than_its_init, y, start), total)
    assert_agrees_at_every_height(a_state_wider_than_its_init, (y, start))

"""Substitution is simultaneous and capture-free."""

import numpy as np
import pytest

import einfall as ef

i, j, k, m, n, t, b = ef.ranks("i j k m n t b")


def test_tensors_are_read_under_ranks_that_they_bind():
    @ef.kernel
    def f(A):
        R = ef.sum(A[i, j], over=j)[i]  # j is bound inside
        S = (R[i] * A[i, j])[i, j]
        return S[j, i][i, j], ef.sum(S[j, j] * R[j], over=j)[()]  # swapped, and the diagonal under the same name

    A = np.arange(9.0).reshape(3, 3)
    rows = A.sum(1)
    swapped, total = ef.reference(f, A)
    assert np.array_equal(swapped, (rows[:, None] * A).T)
    assert total == (rows * np.diag(A) * rows).sum()


def test_shifted_under_a_guard():
    @ef.kernel
    def f(A):
        S = (A[i, j] * 2.0)[i, j]
        return ef.where(j > 0, S[i, j - 1], A[i, j])[i, j]

    A = np.arange(6.0).reshape(2, 3)
    assert ef.reference(f, A).tolist() == [[0, 0, 2], [3, 6, 8]]


def test_a_split_axis_runs_through_a_reduction_over_the_same_name():
    @ef.kernel
    def f(A):
        S = ef.sum(A[i, j] * 1.0, over=j)[i]
        return (S[j] + j)[j], ef.sum(S[i] * A[i, j], over=i)[j]

    A = np.arange(6.0).reshape(2, 3)
    plain, weighted = ef.reference(f, A)
    assert plain.tolist() == (A.sum(1) + np.arange(2)).tolist()
    assert weighted.tolist() == (A.sum(1) @ A).tolist()


def test_a_merged_result_substitutes_into_a_scan():
    @ef.kernel
    def f(A):
        S = ef.scan(lambda s: s + A[b, t], over=t, init=0.0)
        return S[(b, t),], ef.sum(S, over=t)[b]

    A = np.arange(6.0).reshape(2, 3)
    merged, summed = ef.reference(f, A)
    assert merged.tolist() == A.cumsum(1).ravel().tolist()
    assert summed.tolist() == A.cumsum(1).sum(1).tolist()


def test_a_state_is_not_captured_by_a_sum_inside_its_step():
    @ef.kernel
    def f(A, W):
        # s has the free rank b of A; the sum inside binds another b
        return ef.scan(lambda s: s * ef.sum(W[b], over=b) + A[b, t], over=t, init=0.0)[b, t]

    A, W = np.arange(6.0).reshape(2, 3), np.array([0.5, 0.25, 0.125])
    expected, state = np.zeros((2, 3)), np.zeros(2)
    for step in range(3):
        state = state * W.sum() + A[:, step]
        expected[:, step] = state
    assert np.array_equal(ef.reference(f, A, W), expected)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
def test_cumulative_forms(reverse, exclusive):
    @ef.kernel
    def f(A, *, exclusive, reverse):
        return ef.cumsum(A[m, n], over=n, exclusive=exclusive, reverse=reverse)[m, n]

    A = np.random.default_rng(0).integers(0, 9, (2, 5))
    flipped = A[:, ::-1] if reverse else A
    expected = flipped.cumsum(1) - (flipped if exclusive else 0)
    result = ef.reference(f, A, exclusive=exclusive, reverse=reverse)
    assert np.array_equal(result, expected[:, ::-1] if reverse else expected)

"""Accesses outside their axis are found before anything is computed, and only those that count."""

import numpy as np
import pytest

import einfall as ef

i, j, n, m, t, f = ef.ranks("i j n m t f")
X = np.arange(12.0).reshape(3, 4)


def test_a_gather_names_tensor_axis_value_and_position():
    @ef.kernel
    def gather(X, at):
        return X[i, at[n]][n, i]

    assert gather(X, np.array([3, 0])).tolist() == X[:, [3, 0]].T.tolist()
    with pytest.raises(ef.BoundsError, match=r"index -1 is out of range for axis 1 of X, .* extent 4, at i=0, n=1"):
        gather(X, np.array([3, -1, 9]))


def test_faults_pass_through_tensors_reductions_and_scans():
    @ef.kernel
    def inner(X, at):
        Y = (X[i, at[i]] * 2.0)[i]
        return ef.sum(Y[i], over=i)[()]

    @ef.kernel
    def scanned(X, at):
        return ef.scan(lambda s: s + X[0, at[t]], over=t, init=0.0)[t]

    assert inner(X, np.array([0, 1, 2])) == 2 * (0 + 5 + 10)
    assert scanned(X, np.array([1, 2])).tolist() == [1, 3]
    for kernel, at in ((inner, [0, 4, 2]), (scanned, [1, 4])):
        with pytest.raises(ef.BoundsError, match="index 4 is out of range for axis 1 of X"):
            kernel(X, np.array(at))


def test_what_a_where_does_not_choose_is_not_checked():
    @ef.kernel
    def guarded(X, at):
        return ef.where(at[n] < 3, X[at[n], 1], 0.0)[n], (ef.where(at[n] < 3, 1.0, 0.0) * X[at[n], 1])[n]

    first, second = guarded(X, np.array([2, 7]))
    assert first.tolist() == second.tolist() == [9, 0]


def test_an_element_of_a_sum_over_nothing_is_no_element():
    @ef.kernel
    def summed(X, at, W):
        return ef.sum(X[at[n], 0] * W[f], over=(n, f))[()]

    assert summed(X, np.array([99]), np.zeros(0)) == 0
    with pytest.raises(ef.BoundsError, match="index 99"):
        summed(X, np.array([99]), np.zeros(1))


def test_an_affine_index_that_stays_inside_needs_no_check():
    @ef.kernel
    def convolution(T, P):
        return ef.sum(T[i + j] * P[j], over=j)[i]

    T, P = np.arange(6.0), np.array([1.0, 10.0])
    assert convolution(T, P).tolist() == [10, 21, 32, 43, 54]
    assert len(convolution.machines) == 1, "no program that looks for faults was compiled"


def test_an_affine_index_that_leaves_is_a_shape_error():
    @ef.kernel
    def shifted(X):
        return (X[i, j] - X[i, j - 1])[i, j]

    with pytest.raises(ef.ShapeError, match="index -1 is out of range for axis 1 of X"):
        shifted(X)

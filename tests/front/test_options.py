"""The options of a kernel."""

import numpy as np
import pytest

import einfall as ef
from tests.differential.heights import assert_agrees_at_every_height

i, j, k = ef.ranks("i j k")
RNG = np.random.default_rng(1)


def in_order(values: np.ndarray) -> np.ndarray:
    """The sums along the last axis, one element after the other in the type of the values."""
    total = np.zeros(values.shape[:-1], values.dtype)
    for place in range(values.shape[-1]):
        total = total + values[..., place]
    return total


@pytest.mark.parametrize("shape", [(1, 1000), (7, 333), (100, 50), (3, 0)])
def test_exact_kernels_add_in_order(shape):
    X = (RNG.standard_normal(shape) * 10.0 ** RNG.integers(-3, 4, shape)).astype(np.float32)

    @ef.kernel(exact=True)
    def rows(X):
        return ef.sum(X[i, k], over=k)[i]

    @ef.kernel(exact=True)
    def whole(X):
        return ef.sum(X[i, k], over=(i, k))[()]

    assert np.array_equal(rows(X), in_order(X))
    assert np.array_equal(whole(X), in_order(X.reshape(-1)))
    assert_agrees_at_every_height(rows, (X,))


def test_exact_kernels_derive_nothing_and_keep_products_as_written():
    def softmax(X):
        p = ef.exp(X[i, k] - ef.max(X[i, k], over=k))
        return ef.sum(p, over=k)[i]

    def chain(A, B, C):
        return ef.sum(A[i, j] * B[j, k] * C[k], over=(j, k))[i]

    X = RNG.standard_normal((5, 700)).astype(np.float32)
    exact, free = ef.kernel(softmax, exact=True), ef.kernel(softmax)
    assert free.lower(X).derivation and not exact.lower(X).derivation
    shifted = np.exp((X - X.max(1, keepdims=True)).astype(np.float64))
    assert np.allclose(exact(X), shifted.sum(1), rtol=1e-5)
    A, B, C = (RNG.standard_normal(shape).astype(np.float32) for shape in ((30, 40), (40, 50), (50,)))
    terms = (A[:, :, None] * B) * C
    assert np.array_equal(ef.kernel(chain, exact=True)(A, B, C), in_order(terms.reshape(30, -1)))


def test_unchecked_kernels_have_no_finder():
    @ef.kernel(unchecked=True)
    def gather(X, at):
        return X[at[i]][i]

    X, at = RNG.standard_normal(5).astype(np.float32), np.array([4, 0, 2])
    assert np.array_equal(gather(X, at), X[at])
    assert "indices are checked" not in str(gather.explain(X, at))


def test_relaxed_kernels_agree():
    @ef.kernel(relaxed=True)
    def rows(X):
        return ef.sum(X[i, k], over=k)[i]

    assert_agrees_at_every_height(rows, (RNG.standard_normal((3, 50)).astype(np.float32),))


@pytest.mark.parametrize("form", ["sum", "einsum", "definition", "mean", "matmul"])
def test_accumulate_says_in_which_type_floats_come_together(form):
    def program(X, Y):
        if form == "sum":
            return ef.sum(X[i, k] * Y[k, j], over=k)[i, j]
        if form == "einsum":
            return ef.einsum("ik,kj->ij", X, Y)
        if form == "mean":
            return ef.mean(X[i, k] * Y[k, j], over=k)[i, j]
        if form == "matmul":
            return X @ Y
        C = ef.tensor()
        C[i, j] = X[i, k] * Y[k, j]
        return C

    X, Y = np.float32([[1e8, 1, -1e8, 1]]), np.ones((4, 1), np.float32)
    wanted = 0.5 if form == "mean" else 2.0
    made = ef.kernel(program, accumulate=ef.f64)(X, Y)
    assert made.dtype == np.float32 and made.tolist() == [[wanted]]
    assert ef.kernel(program, exact=True)(X, Y).tolist() != [[wanted]]
    assert_agrees_at_every_height(ef.kernel(program, accumulate=ef.f64), (X, Y))


def test_accumulate_of_integers_is_of_integers_only():
    @ef.kernel(accumulate=ef.i32)
    def program(X, Y):
        return ef.sum(X[k], over=k)[()], ef.sum(Y[k], over=k)[()]

    whole, number = program(np.full(3, 2**30, np.int32), np.float32([1, 2, 3]))
    assert whole.dtype == np.int32 and whole == np.int32(3 * 2**30 - 2**32)
    assert number.dtype == np.float32 and number == 6


def test_kernels_called_inside_accumulate_like_the_outer_one():
    @ef.kernel
    def plain(X):
        return ef.sum(X[k], over=k)[()]

    @ef.kernel(accumulate=ef.f64)
    def own(X):
        return ef.sum(X[k], over=k)[()]

    def outer(X):
        return plain(X), own(X), ef.sum(X[k], over=k)[()]

    X = np.float32([1e8, 1, -1e8])
    assert ef.kernel(outer, exact=True)(X) == (0, 1, 0)
    assert ef.kernel(outer, accumulate=ef.f64)(X) == (1, 1, 1)


def test_a_kernel_keeps_its_options_when_it_is_shown():
    @ef.kernel(exact=True)
    def f(X):
        return X[i][i]

    assert f.__name__ == "f" and f.options.exact and "exact=True" in repr(f)

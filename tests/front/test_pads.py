"""What lies outside a tensor's axes, against numpy.pad."""

import numpy as np
import pytest

import einfall as ef
from einfall.front.kernel import measured
from tests.differential.heights import assert_agrees_at_every_height
from tests.tolerance import assert_agrees

i, j, k, r = ef.ranks("i j k r")
RNG = np.random.default_rng(0)


def both(function, *arguments):
    """What the kernel gives by the reference, after all heights were compared."""
    held = ef.kernel(function)
    assert_agrees_at_every_height(held, arguments)
    return ef.reference(held, *arguments)


@pytest.mark.parametrize("mode, how", [("edge", "edge"), ("wrap", "wrap"), ("constant", 2.5)])
@pytest.mark.parametrize("shape", [(5, 7), (1, 3), (4, 1)])
def test_all_axes(shape, mode, how):
    X = RNG.normal(size=shape).astype(np.float32)
    options = {"constant_values": 2.5} if mode == "constant" else {}
    expected = np.pad(X.astype(float), ((2, 1), (3, 2)), mode, **options)
    rows, columns = expected.shape
    result = both(lambda A: A.pad(how)[i.of(rows) - 2, j.of(columns) - 3][i, j], X)
    np.testing.assert_array_equal(result, expected)


def test_axes_of_their_own():
    X = RNG.normal(size=(4, 5, 3)).astype(np.float32)
    expected = np.pad(X.astype(float), ((1, 1), (0, 0), (0, 0)), "wrap")
    expected = np.pad(expected, ((0, 0), (2, 0), (0, 0)), "edge")
    expected = np.pad(expected, ((0, 0), (0, 0), (0, 1)), constant_values=-1)
    result = both(lambda A: A.pad({0: "wrap", 1: "edge", -1: -1.0})[i.of(6) - 1, j.of(7) - 2, k.of(4) + 0][i, j, k], X)
    np.testing.assert_array_equal(result, expected)


def test_two_numbers_and_a_bare_rank():
    X = RNG.normal(size=(4, 5, 3))
    expected = np.pad(X, ((1, 1), (0, 0), (0, 0)), constant_values=7)
    expected = np.pad(expected, ((0, 0), (2, 2), (0, 0)), constant_values=8)

    def f(A):
        return A.pad({1: 8.0}).pad({0: 7.0})[i.of(6) - 1, j.of(9) - 2, k][i, j, k]

    # the tensor of the number that is named first lies around the other
    result = both(lambda A: A.pad({1: 8.0, 0: 7.0})[i.of(6) - 1, j.of(9) - 2, k][i, j, k], X)
    other = both(f, X)
    np.testing.assert_array_equal(other, result)
    inside = np.s_[1:-1, 2:-2]
    np.testing.assert_array_equal(result[inside], expected[inside])
    assert (result[0, 2:-2] == 7).all()
    assert (result[1:-1, 0] == 8).all()


def test_an_axis_without_a_pad_stays_checked():
    @ef.kernel
    def f(A):
        return A.pad({0: 0.0})[i.of(5) - 1, j.of(4) + 1][i, j]

    with pytest.raises(ef.ShapeError, match="index 4 is out of range for axis 1 of A"):
        f(np.zeros((3, 4), np.float32))


def test_tensors_made_inside_and_gathers():
    X, at = RNG.normal(size=(3, 4)), np.array([-5, 9, 0, 3])
    expected = (X * 2)[:, np.clip(at, 0, 3)]
    result = both(lambda A, n: (2 * A[i, j])[i, j].pad("edge")[i, n[k]][i, k], X, at)
    np.testing.assert_array_equal(result, expected)
    wrapped = both(lambda A, n: (2 * A[i, j])[i, j].pad("wrap")[i, n[k]][i, k], X, at)
    np.testing.assert_array_equal(wrapped, (X * 2)[:, at % 4])


def test_states_of_a_scan():
    X = RNG.normal(size=(4, 5)).astype(np.float32)
    state = np.zeros(5)
    for row in X.astype(float):
        state = np.roll(state, 1) + np.concatenate([state[:1], state[:-1]]) / 2 + row

    @ef.kernel
    def f(A):
        return ef.scan(lambda s: s.pad("wrap")[j - 1] + 0.5 * s.pad("edge")[j - 1] + A[i, j], over=i, init=0.0, state=j,
                       last=True)[j]

    assert_agrees_at_every_height(f, (X,))
    assert_agrees(state, measured(f, (X,), {}, measure="float64")[1][0], what="states")


def test_a_ring():
    X = RNG.normal(size=(6, 5)).astype(np.float32)

    @ef.kernel
    def f(A):
        B = A.pad("wrap")
        return (B[i - 1, j] + B[i + 1, j] + B[i, j - 1] + B[i, j + 1])[i, j]

    assert_agrees_at_every_height(f, (X,))
    expected = sum(np.roll(X.astype(float), shift, (0, 1)) for shift in [(1, 0), (-1, 0), (0, 1), (0, -1)])
    assert_agrees(expected, measured(f, (X,), {}, measure="float64")[1][0], what="a ring")

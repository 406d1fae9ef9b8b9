"""What was once wrong in definitions, number types, arrays and selections: at every height, and by hand."""

import numpy as np
import pytest

import einfall as ef
from einfall.front.kernel import measured
from tests.differential.heights import assert_agrees_at_every_height, leaves
from tests.tolerance import assert_agrees

b, e, i, j, t, s = ef.ranks("b e i j t s")
FLAGS = np.array([0, 1, 0, 0, 1], bool)


def reads_itself(step):
    """A kernel of one definition, whose right side `step` makes of the tensor and the arguments."""

    def f(x):
        D = ef.tensor()
        D[tuple((t, i)[:x.ndim])] = step(D, x)
        return D

    return f


def wrapping_half(x):
    D = [np.uint8(x[0])]
    for _ in x[1:]:
        D.append(np.uint8((int(D[-1]) + 100) % 256 // 2))
    return np.array(D)


def totals(X):
    D = [X[0]]
    for row in X[1:]:
        D.append(row + np.cumsum(D[-1]))
    return np.array(D)


def sums_of_two_ranks_of_one_name(D, x):
    return x[t, i] + ef.sum(D.pad(0.0)[t - 1, s], over=s) + ef.sum(x[s, 0], over=s)


def summed(X):
    D = [X[0] + X[:, 0].sum()]
    for row in X[1:]:
        D.append(row + D[-1].sum() + X[:, 0].sum())
    return np.array(D)


def toggled(x):
    return np.logical_xor.accumulate(x)


BIG = np.array([2**63 + 8, 0, 0], np.uint64)
SMALL = np.array([200, 0, 0], np.uint8)
ONES = np.ones((4, 5))
PROGRAMS = {
    "halves of u64": (reads_itself(lambda D, x: ef.where(t == 0, x[t], D[t - 1] // 2)), (BIG,),
                      lambda x: np.array([x[0], x[0] // 2, x[0] // 4])),
    "halves of u64 in a scan": (lambda x: ef.scan(lambda a: ef.where(t == 0, x[t], a // 2), over=t, init=0)[t], (BIG,),
                                lambda x: np.array([x[0], x[0] // 2, x[0] // 4])),
    "u8 wraps in its own definition": (
        reads_itself(lambda D, x: ef.where(t == 0, x[t], (D[t - 1] + 100) // 2)), (SMALL,), wrapping_half),
    "a toggle": (
        reads_itself(lambda D, x: ef.where(x[t], ~D.pad(False)[t - 1], D.pad(False)[t - 1])), (FLAGS,), toggled),
    "a copy of flags": (reads_itself(lambda D, x: ef.where(t == 0, x[t], D[t - 1])), (FLAGS,),
                        lambda x: np.zeros(5, bool)),
    "a scan of what was before": (reads_itself(lambda D, x: x[t, i] + ef.cumsum(D.pad(0.0)[t - 1, i], over=i)),
                                  (ONES,), totals),
    "two steps back in two steps": (reads_itself(lambda D, x: x[t, i] + D.pad(0.0)[t - 1 - 1, i]), (ONES,),
                                    lambda X: np.array([X[0], X[0], 2 * X[0], 2 * X[0]])),
    "a bound rank of two extents": (reads_itself(sums_of_two_ranks_of_one_name), (ONES,), summed),
    "softmax of bytes": (lambda x: ef.softmax(x, axis=1), (np.array([[0, 9, 1], [193, 200, 195]], np.uint8),),
                         lambda x: np.exp(x - 0.0 - x.max(1, keepdims=True)) / np.exp(
                             x - 0.0 - x.max(1, keepdims=True)).sum(1, keepdims=True)),
    "rms_norm of bytes": (lambda x: ef.rms_norm(x, axis=0), (np.array([100, 30], np.int8),),
                          lambda x: x / np.sqrt((x.astype(float) ** 2).mean() + 1e-6)),
    "hypot of bytes": (lambda x: ef.hypot(x, x), (np.array([100, 30], np.int8),),
                       lambda x: np.sqrt(2 * x.astype(float) ** 2)),
    "an extent where a condition does not hold": (lambda x: (ef.where(i > 2, x[i], i.extent) - 5)[i], (np.arange(6),),
                                                  lambda x: np.where(x > 2, x, 6) - 5),
    "a rank that is longer than the axis": (
        lambda x: ef.where(e.of(16)[e][b] < 3, x[e.of(16)[e][b]], 0.0)[b], (np.arange(3.0) + 1,),
        lambda x: np.concatenate([x, np.zeros(13)])),
    "floats beside an extremum of integers": (lambda X: ef.argmax(i, over=i, carry=X[i, j])[1][j], (ONES,),
                                              lambda X: X[-1]),
    "random numbers of what may be absent": (
        lambda A: (ef.uniform(3, ef.where(i > 1, A[i], 0)) >= 0)[i], (np.arange(5),), lambda A: np.ones(5, bool)),
    "a sum along no axis": (lambda A: ef.sum(A, axis=()), (ONES,), lambda A: A),
    "the place in a number": (lambda x: ef.argmax(x), (np.array(3.0),), lambda x: np.array(0)),
    "a computed number as an array": (
        lambda A: (
            ef.expand_dims(ef.sum(A), axis=0), ef.stack([ef.sum(A), ef.max(A)]), ef.broadcast_to(ef.sum(A), (2,))),
        (ONES,), lambda A: (np.array([20.0]), np.array([20.0, 1.0]), np.array([20.0, 20.0]))),
    "a large number outside": (lambda X: (X.pad(10**30)[i.of(3) - 1])[i], (np.ones(2),),
                               lambda X: np.array([1e30, 1, 1])),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees(name):
    function, args, by_hand = PROGRAMS[name]
    kernel = ef.kernel(function)
    assert_agrees_at_every_height(kernel, args)
    _, results = measured(kernel, args, {}, measure="float64")
    for bounded, hand in zip(results, leaves(by_hand(*args)), strict=True):
        assert_agrees(hand, bounded)


def test_a_definition_with_the_extent_of_the_kernel():
    @ef.kernel
    def f(X):
        D = ef.tensor()
        D[i, j] = ef.where((i + j) % 7 > 1, 0, D.pad(1)[i - 1, j] ^ ef.where(j < 1, 1, D[i, j - 1]))
        return D, X[i, j][j, i], D[i, j][j, i]

    assert_agrees_at_every_height(f, (ONES,))
    assert f(ONES)[0].shape == (4, 5)


def test_two_definitions_of_flags():
    @ef.kernel
    def two(x):
        D, E = ef.tensor(), ef.tensor()
        D[t] = D.pad(False)[t - 1] | x[t]
        E[t] = E.pad(False)[t - 1] ^ x[t]
        return D, E

    seen, odd = two(FLAGS)
    np.testing.assert_array_equal(seen, np.logical_or.accumulate(FLAGS))
    np.testing.assert_array_equal(odd, np.logical_xor.accumulate(FLAGS))

"""Array style: each function on tensors by position is what NumPy gives for the same arrays."""

import math

import numpy as np
import pytest

import einfall as ef
from einfall.front.kernel import measured
from tests.differential.heights import assert_agrees_at_every_height, leaves
from tests.tolerance import assert_agrees

b, h, i, j, k, q, d, e = ef.ranks("b h i j k q d e")
SHAPES = [(5,), (1,), (0,), (3, 7), (1, 5), (5, 1), (0, 4), (4, 0), (1, 1), (2, 3, 5), (2, 1, 3), (2, 0, 3)]


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def integers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-9, 9, shape)


def check(function, by_hand, *args):
    """The reference and the call agree with NumPy, in shapes, types and values."""
    kernel = ef.kernel(function)
    expected = leaves(by_hand(*args))
    _, results = measured(kernel, args, {}, measure="float64")
    called = leaves(kernel(*args))
    assert len(results) == len(called) == len(expected)
    for place, (result, call, hand) in enumerate(zip(results, called, expected)):
        hand = np.asarray(hand)
        assert call.dtype == hand.dtype
        assert_agrees(hand, result, what=f"the reference, result {place}")
        assert call.shape == hand.shape
        np.testing.assert_allclose(call, hand, rtol=1e-12, atol=1e-12)


# Elements

PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((4,), (3, 4)), ((3, 1), (1, 4)), ((3, 1), (4,)), ((1,), (5,)),
         ((1, 1), (2, 3)), ((2, 3, 4), (3, 1)), ((2, 1, 4), (3, 1)), ((0,), (1,)), ((2, 0), (2, 1)), ((1,), (1,)),
         ((), (3,)), ((2, 2), ()), ((), ()), ((1, 3, 1), (2, 1, 5)), ((0, 1), (1, 0))]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=str)
def test_operators_broadcast_by_position(one, other):
    def f(A, B):
        return A + B, A - B, A * B, A < B, ef.maximum(A, B), ef.where(A > 0, A, B), ef.where(A > B, 1.0, A * 2)

    def hand(A, B):
        return (A + B, A - B, A * B, A < B, np.maximum(A, B), np.where(A > 0, A, B),
                np.where(A > B, 1.0, A * 2))

    check(f, hand, np.asarray(floats(*one)), np.asarray(floats(*other, seed=1)))


def test_operators_of_floats():
    A, B = floats(3, 4), np.abs(floats(4, seed=1)) + 0.5
    check(lambda A, B: (A / B, A // B, A % B, abs(A) ** B, -A, abs(A), 1 / B, 2 - A, 2.0 ** A, A == A, A != B, A >= B),
          lambda A, B: (A / B, A // B, A % B, abs(A) ** B, -A, abs(A), 1 / B, 2 - A, 2.0 ** A, A == A, A != B, A >= B),
          A, B)


def test_operators_of_integers():
    A, B = integers(3, 4), np.abs(integers(4, seed=1)) + 1

    def f(A, B):
        return A & B, A | B, A ^ B, ~A, A << B, A >> B, A // B, A % B, A <= B, (A > 0) & (B > 3), A ** 2, 7 - A

    check(f, f, A, B)


def test_functions_of_elements():
    def f(A):
        return (ef.exp(A), ef.clip(A, -0.5, 0.5), ef.relu(A), ef.silu(A), ef.square(A), ef.hypot(A, 1.0),
                ef.logical_not(A > 0), ef.gelu(A), ef.softplus(A), ef.reciprocal(A))

    def hand(A):
        erf = np.vectorize(math.erf)
        return (np.exp(A), np.clip(A, -0.5, 0.5), np.maximum(A, 0), A / (1 + np.exp(-A)), A * A, np.hypot(A, 1.0),
                ~(A > 0), A * 0.5 * (1 + erf(A * np.sqrt(0.5))), np.log1p(np.exp(A)), 1 / A)

    check(f, hand, floats(3, 5))


def test_types_are_those_of_the_rank_style():
    A, B = integers(3).astype(np.int32), floats(3).astype(np.float32)
    check(lambda A, B: (A + 1, A * B, B * 0.5, A.astype(ef.i32), B.astype(ef.i64), A / 2, (A > 0) * 2),
          lambda A, B: (A + np.int32(1), A.astype(np.float32) * B, B * np.float32(0.5), A.astype(np.int32),
                        B.astype(np.int64), (A / 2).astype(np.float32), (A > 0) * 2), A, B)


def test_scalars_mix_with_tensors():
    check(lambda A, s: (A * s + A.shape[0], ef.sum(A) * A, A[0, 0] + A, np.float64(2.0) * A, A * k.of(3).extent),
          lambda A, s: (A * s + 3, A.sum() * A, A[0, 0] + A, 2.0 * A, A * 3), floats(3, 4), 2.5)


# Reductions and scans

AXES = [None, 0, -1]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_reductions(shape, axis, keepdims):
    def f(A, N):
        at = {"axis": axis, "keepdims": keepdims}
        return (ef.sum(A, **at), ef.prod(A, **at), ef.max(A, **at), ef.min(A, **at), ef.any(A > 0, **at),
                ef.all(A > 0, **at), ef.mean(A, **at), ef.var(A, **at), ef.logsumexp(A, **at), ef.sum(N, **at),
                ef.sum(A > 0, **at))

    def hand(A, N):
        at = {"axis": axis, "keepdims": keepdims}
        with np.errstate(all="ignore"):
            count = np.ones(A.shape).sum(**at)
            mean = A.sum(**at) / count
            away = A - A.sum(axis=axis, keepdims=True) / np.ones(A.shape).sum(axis=axis, keepdims=True)
            return (A.sum(**at), A.prod(**at), A.max(**at, initial=-np.inf), A.min(**at, initial=np.inf),
                    (A > 0).any(**at), (A > 0).all(**at), mean,
                    (away * away).sum(**at) / count, np.log(np.exp(A).sum(**at)), N.sum(**at), (A > 0).sum(**at))

    check(f, hand, floats(*shape), integers(*shape, seed=2))


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_places_of_extremes(axis):
    A = integers(4, 7)
    for keepdims in (False, True):
        check(lambda A, *, k=keepdims: (ef.argmax(A, axis=axis, keepdims=k), ef.argmin(A, axis=axis, keepdims=k)),
              lambda A, *, k=keepdims: (A.argmax(axis=axis, keepdims=k), A.argmin(axis=axis, keepdims=k)), A)


def test_several_axes():
    check(lambda A: (ef.sum(A, axis=(0, 2)), ef.max(A, axis=(-1, 0), keepdims=True), ef.sum(A, axis=()), ef.sum(A)),
          lambda A: (A.sum((0, 2)), A.max((-1, 0), keepdims=True), A, A.sum()), floats(2, 3, 5))


def test_reductions_of_a_scalar():
    check(lambda A: (ef.sum(A), ef.max(A, axis=None), ef.mean(A)), lambda A: (A, A, A), np.asarray(floats()))


@pytest.mark.parametrize("shape", [(5,), (1,), (0,), (3, 7), (1, 5), (2, 3, 5), (0, 4)], ids=str)
def test_scans(shape):
    for axis in range(-len(shape), len(shape)):
        check(lambda A, *, axis=axis: (ef.cumsum(A, axis=axis), ef.cumprod(A, axis=axis), ef.cummax(A, axis=axis),
                                    ef.cumsum(A, axis=axis, reverse=True)),
              lambda A, *, axis=axis: (A.cumsum(axis), A.cumprod(axis), np.maximum.accumulate(A, axis),
                                    np.flip(np.flip(A, axis).cumsum(axis), axis)), floats(*shape))
    if len(shape) == 1:
        check(lambda A: ef.cumsum(A), np.cumsum, integers(*shape))


def test_ranks_of_the_user_are_not_bound_by_position():
    """`j` takes its extent from B alone, though tensors have been accumulated and read at ranks of their own."""
    check(lambda A, B: (ef.cumsum(A, axis=1), (ef.ranks("j") * 1.0 + B[j])[j], ef.exp(A), A @ A.mT),
          lambda A, B: (A.cumsum(1), np.arange(2) + B, np.exp(A), A @ A.T), floats(3, 4), floats(2))
    kernel = ef.kernel(lambda A: (ef.cumsum(A, axis=0), j * 1.0 + ef.sum(A), ef.exp(A))[0])
    kernel(floats(3, 4))


def softmax(x, axis):
    p = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return p / p.sum(axis, keepdims=True)


@pytest.mark.parametrize("shape", [(5,), (3, 7), (1, 5), (5, 1), (0, 4), (2, 3, 5)], ids=str)
def test_sugar(shape):
    for axis in range(-len(shape), len(shape)):
        def hand(A, axis=axis):
            away = A - A.mean(axis, keepdims=True)
            return (softmax(A, axis), np.log(softmax(A, axis)),
                    away / np.sqrt((away * away).mean(axis, keepdims=True) + 1e-5),
                    A / np.sqrt((A * A).mean(axis, keepdims=True) + 1e-6),
                    -(softmax(A, axis) * np.log(softmax(A, axis))).sum(axis))

        if 0 not in shape or shape[axis] != 0:
            check(lambda A, *, axis=axis: (ef.softmax(A, axis=axis), ef.log_softmax(A, axis=axis),
                                        ef.layer_norm(A, axis=axis), ef.rms_norm(A, axis=axis),
                                        ef.cross_entropy(A, ef.softmax(A, axis=axis), axis=axis)), hand, floats(*shape))


def test_softmax_over_nothing_says_what_it_is():
    check(lambda A: ef.softmax(ef.where(A > 9, A, -ef.inf), axis=-1, empty=0.0), lambda A: A * 0, floats(2, 3))

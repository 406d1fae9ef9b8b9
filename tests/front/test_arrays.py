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
    for place, (call, bounded) in enumerate(zip(called, measured(kernel, args, {})[1])):
        assert_agrees(call, bounded, what=f"the call, result {place}")


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
@pytest.mark.parametrize("shape", [
    shape if shape in ((3, 7), (0, 4)) else pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES], ids=str)
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


@pytest.mark.parametrize("shape", [(5,), (3, 7), *(
    pytest.param(shape, marks=pytest.mark.slow) for shape in ((1, 5), (5, 1), (0, 4), (2, 3, 5)))], ids=str)
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


# Products

PRODUCTS = [((3, 4), (4, 5)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)),
            ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (6, 4, 5)), ((1, 3, 4), (2, 4, 5)), ((2, 3, 4), (4,)),
            ((4,), (2, 4, 5)), ((0, 4), (4, 5)), ((3, 0), (0, 5)), ((1, 1), (1, 1)), ((1, 4), (4, 1)),
            ((3, 1), (1, 5)), ((5, 2, 3, 4), (5, 2, 4, 3)), ((0,), (0,))]


@pytest.mark.parametrize(("one", "other"), PRODUCTS, ids=str)
def test_products(one, other):
    check(lambda A, B: (A @ B, ef.matmul(A, B)), lambda A, B: (A @ B, np.matmul(A, B)), floats(*one),
          floats(*other, seed=1))


def test_products_of_products():
    check(lambda A: (A @ A @ A, A.T @ (A @ A).T, (A @ A) @ (A @ A), (A + A.T) @ A, A @ A + A @ A.T, A @ (A @ A)),
          lambda A: (A @ A @ A, A.T @ (A @ A).T, (A @ A) @ (A @ A), (A + A.T) @ A, A @ A + A @ A.T, A @ (A @ A)),
          floats(4, 4))
    check(lambda A: A @ A.T, lambda A: A @ A.T, integers(3, 4))


# Axes

def test_transposes():
    check(lambda A, B: (A.T, A.mT, B.mT, ef.matrix_transpose(B), ef.permute_dims(B, (2, 0, 1)),
                        ef.permute_dims(B, (-1, 1, 0)), ef.permute_dims(ef.permute_dims(B, (2, 0, 1)), (2, 0, 1))),
          lambda A, B: (A.T, A.T, B.swapaxes(1, 2), B.swapaxes(1, 2), B.transpose(2, 0, 1), B.transpose(2, 1, 0),
                        B.transpose(1, 2, 0)), floats(3, 4), floats(2, 3, 5))


@pytest.mark.parametrize(("shape", "new"), [
    ((6,), (2, 3)), ((2, 3), (6,)), ((2, 3), (3, 2)), ((2, 3, 4), (2, -1)), ((2, 3, 4), (-1, 4)), ((2, 12), (2, 3, 4)),
    ((4, 6), (2, 2, 3, 2)), ((1,), ()), ((5,), (1, 5, 1)), ((1, 5, 1), (5,)), ((0, 3), (3, 0)), ((0,), (0, 4)),
    ((2, 3, 4), (-1,)), ((4, 1, 3), (3, 4)), ((0, 3), (-1, 3)), ((2, 3), (2, 3)), ((1, 1), (1,))], ids=str)
def test_reshape(shape, new):
    check(lambda A: (A.reshape(new), ef.reshape(A, new), (A * 2).reshape(*new), ef.exp(A).reshape(list(new))),
          lambda A: (A.reshape(new), A.reshape(new), A.reshape(new) * 2, np.exp(A).reshape(new)), floats(*shape))


def test_reshape_by_extents():
    check(lambda A: (A.reshape(A.shape[0], -1, 2), A.reshape((A.shape[0] * A.shape[1], A.shape[2])),
                     A.reshape(-1, A.shape[1] * A.shape[2])),
          lambda A: (A.reshape(3, -1, 2), A.reshape(12, 6), A.reshape(-1, 24)), floats(3, 4, 6))


def test_heads_are_split_and_merged():
    check(lambda A: ef.permute_dims(A.reshape(A.shape[0], 2, -1), (1, 0, 2)).mT.reshape(2, -1),
          lambda A: A.reshape(5, 2, -1).transpose(1, 0, 2).swapaxes(1, 2).reshape(2, -1), floats(5, 6))


def test_axes_of_size_one():
    check(lambda A: (ef.expand_dims(A, axis=0), ef.expand_dims(A, axis=-1), ef.expand_dims(A, axis=1),
                     ef.squeeze(A[None], 0), ef.squeeze(ef.expand_dims(A, axis=(1)), axis=1), ef.squeeze(A[:1], axis=0),
                     ef.squeeze(A[:1, :1], axis=(0, -1))),
          lambda A: (A[None], A[..., None], A[:, None], A, A, A[0], A[0, 0]), floats(3, 4))


def test_broadcast_to():
    check(lambda A, B: (ef.broadcast_to(A, (2, 3, 4)), ef.broadcast_to(B, (3, 5)), ef.broadcast_to(B, (A.shape[0], 1)),
                        ef.broadcast_to(ef.expand_dims(A, axis=1), (3, 0, 4))),
          lambda A, B: (np.broadcast_to(A, (2, 3, 4)), np.broadcast_to(B, (3, 5)), B, np.zeros((3, 0, 4))),
          floats(3, 4), floats(3, 1))


def test_flip():
    check(lambda A: (ef.flip(A), ef.flip(A, axis=0), ef.flip(A, axis=(0, -1)), ef.flip(ef.exp(A), axis=1)),
          lambda A: (np.flip(A), np.flip(A, 0), np.flip(A), np.flip(np.exp(A), 1)), floats(3, 4))


@pytest.mark.parametrize("shapes", [((2, 3), (4, 3)), ((2, 3), (0, 3), (1, 3)), ((1, 3),), ((0, 3), (0, 3))], ids=str)
def test_concat(shapes):
    arrays = [floats(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    check(lambda arrays: (ef.concat(arrays), ef.concat([A.mT for A in arrays], axis=-1), ef.concat(arrays, axis=None),
                          ef.concat([ef.exp(A) for A in arrays], axis=0)),
          lambda arrays: (np.concatenate(arrays), np.concatenate([A.T for A in arrays], 1),
                          np.concatenate(arrays, axis=None), np.exp(np.concatenate(arrays))), tuple(arrays))


def test_concat_of_types():
    check(lambda A, B: ef.concat([A, B, A > 0]), lambda A, B: np.concatenate([A, B, A > 0]), integers(3), floats(4))


def test_stack():
    for axis in (0, 1, -1, 2):
        check(lambda A, B, *, axis=axis: (ef.stack([A, B, A * B], axis=axis), ef.stack([A], axis=axis)),
              lambda A, B, *, axis=axis: (np.stack([A, B, A * B], axis), np.stack([A], axis)), floats(3, 4),
              floats(3, 4, seed=1))


def test_triangles():
    for shape in ((3, 3), (2, 5), (4, 1), (2, 3, 4), (0, 3)):
        check(lambda A: [ef.tril(A), ef.triu(A), ef.tril(A, k=-1), ef.triu(A, k=2), ef.tril(A > 0)],
              lambda A: [np.tril(A), np.triu(A), np.tril(A, -1), np.triu(A, 2), np.tril(A > 0)], floats(*shape))


def test_tensors_of_numbers():
    check(lambda A: (ef.zeros((2, 3)), ef.ones(4, dtype=ef.i32), ef.full((2, A.shape[0]), 7), ef.full((), 1.5),
                     ef.arange(5), ef.arange(A.shape[0]), ef.arange(2, 9, 3), ef.arange(5, -2, -2), ef.arange(3, 1),
                     ef.arange(3, dtype=ef.f32), ef.zeros((0, 2)), ef.full(3, True), A * ef.arange(A.shape[0])),
          lambda A: (np.zeros((2, 3)), np.ones(4, np.int32), np.full((2, 5), 7), np.asarray(1.5), np.arange(5),
                     np.arange(5), np.arange(2, 9, 3), np.arange(5, -2, -2), np.arange(3, 1),
                     np.arange(3, dtype=np.float32), np.zeros((0, 2)), np.full(3, True), A * np.arange(5)), floats(5))


def test_take():
    check(lambda A, at: (ef.take(A, at, axis=0), ef.take(A, at, axis=-1), ef.take(A[0], at),
                         ef.take(ef.exp(A), at, axis=1)),
          lambda A, at: (A.take(at, 0), A.take(at, 1), A[0].take(at), np.exp(A).take(at, 1)),
          floats(4, 5), np.array([[3, 0], [1, 1]], np.int32))


# Parts

def test_parts():
    def f(A):
        return (A[0], A[-1], A[1, 2], A[:, 1:], A[..., -1], A[None], A[..., None], A[:, None, ::2], A[::-1, ...],
                A[-2:, 0], A[1][0], A[1, ..., 0], A[..., 1:, 1:], A[-1, -1, -1], A[...], A[:, -1, None],
                A[-2, 1:, ::-1])

    check(f, f, floats(3, 4, 5))


def test_parts_of_one_axis():
    check(lambda A: (A[0] + A, A[-1] * 2, A[1:] - A[:-1], A[None, :], A[::2], A[A.shape[0] - 1]),
          lambda A: (A[0] + A, A[-1] * 2, A[1:] - A[:-1], A[None, :], A[::2], A[4]), floats(5))


def test_parts_at_numbers_of_the_call():
    check(lambda A, n, at: (A[n] * 2, A[at[1], 1:], A[:, at[0]], A[-1, n]),
          lambda A, n, at: (A[n] * 2, A[at[1], 1:], A[:, at[0]], A[-1, n]), floats(3, 4), np.array(2), np.array([0, 1]))


def test_definitions_are_tensors_too():
    def f(A, B):
        C = ef.tensor()
        C[i, k] = A[i, j] * B[j, k]
        return C @ A, A @ C, ef.exp(C), A * C, ef.where(A < C, C, 0.0), C.mT, ef.sum(C, axis=0), C[-1]

    def hand(A, B):
        C = A @ B
        return C @ A, A @ C, np.exp(C), A * C, np.where(A < C, C, 0.0), C.T, C.sum(0), C[-1]

    check(f, hand, floats(3, 3), floats(3, 3, seed=1))


def test_kernels_take_and_give_tensors_by_position():
    gram = ef.kernel(lambda A: A @ A.mT)
    check(lambda A: (gram(A) + gram(A * 2), gram(ef.exp(A)[1:])),
          lambda A: (5 * A @ A.T, np.exp(A)[1:] @ np.exp(A)[1:].T), floats(3, 4))


def test_states_of_scans_are_scalars_among_tensors():
    def hand(A):
        states = [1.0]
        for _ in range(3):
            states.append(states[-1] + (states[-1] * A).sum())
        return np.array(states[1:])

    check(lambda A: ef.scan(lambda s: s + ef.sum(s * A), over=h.of(3), init=1.0)[h], hand, floats(4))


def test_extents_that_only_the_kernel_knows():
    check(lambda A, B: ((A[i] * k)[i, k] + B, B[i, k][k, i]), lambda A, B: (A[:, None] * np.arange(4) + B, B.T),
          floats(3), floats(3, 4))


def test_parts_of_what_was_computed():
    check(lambda A: (ef.exp(A)[1:, -1], (A @ A.T)[-1], (A @ A.T)[:, ::-1], ef.cumsum(A, axis=0)[-1]),
          lambda A: (np.exp(A)[1:, -1], (A @ A.T)[-1], (A @ A.T)[:, ::-1], A.cumsum(0)[-1]), floats(3, 4))


# Sizes of later calls

def test_a_size_that_broadcasts_is_fixed_for_its_program():
    kernel = ef.kernel(lambda A, B: A * B + A)
    for one, other in (((3, 4), (1, 4)), ((1, 4), (5, 4)), ((1, 4), (1, 4)), ((3, 4), (3, 4)), ((5, 4), (5, 4)),
                       ((6, 4), (1, 4)), ((1, 4), (2, 4)), ((0, 4), (1, 4))):
        A, B = floats(*one), floats(*other, seed=1)
        result, hand = kernel(A, B), A * B + A
        assert_agrees(result, measured(kernel, (A, B), {})[1][0])
        assert_agrees(hand, measured(kernel, (A, B), {}, measure="float64")[1][0])


def test_a_size_that_was_equal_may_broadcast_later():
    kernel = ef.kernel(lambda A, B: A * B)
    assert kernel(floats(3, 4), floats(3, 4)).shape == (3, 4)
    assert kernel(floats(3, 4), floats(1, 4)).shape == (3, 4)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.float32])
def test_parts_of_a_tensor_keep_its_type(dtype):
    A = integers(2, 3).astype(dtype)
    for function in (lambda A: ef.concat([A, A]), lambda A: ef.stack([A, A]), lambda A: A[:, 1:], lambda A: A.mT,
                     lambda A: ef.flip(A), lambda A: ef.tril(A), lambda A: A.reshape((6,)), lambda A: ef.squeeze(
                         ef.expand_dims(A), axis=0), lambda A: ef.take(A, ef.arange(2), axis=0)):
        assert ef.kernel(function)(A).dtype == dtype


def test_definitions_are_tensors():
    def f(A, B):
        C = ef.tensor()
        C[i, j] = A[i, k] * B[k, j]
        s = ef.tensor()
        s[()] = ef.sum(A[i, j], over=(i, j))
        return C + 1, -C, ef.exp(C) @ C.mT, C[0], abs(C).reshape((-1,)), C * s

    check(f, lambda A, B: (A @ B + 1, -(A @ B), np.exp(A @ B) @ (A @ B).T, (A @ B)[0], abs(A @ B).reshape(-1),
                           A @ B * A.sum()), floats(3, 4), floats(4, 5, seed=1))


def test_an_axis_that_is_kept_broadcasts_for_every_size():
    kernel = ef.kernel(lambda A: A - ef.mean(A, axis=-1, keepdims=True))
    for shape in ((3, 1), (1, 1), (3, 4), (1, 5)):
        A = floats(*shape)
        assert_agrees(kernel(A), measured(kernel, (A,), {})[1][0])
        assert_agrees(A - A.mean(-1, keepdims=True), measured(kernel, (A,), {}, measure="float64")[1][0])
    ((program,),) = kernel.programs.values()
    assert not program.fixed


def test_a_size_that_is_squeezed_is_fixed():
    kernel = ef.kernel(lambda A: ef.squeeze(A, axis=0))
    assert kernel(floats(1, 3)).shape == (3,)
    with pytest.raises(ef.ShapeError, match="drop axes of size 1 only"):
        kernel(floats(2, 3))


# Programs

@ef.kernel
def attention(Q, K, V):
    return ef.softmax(Q @ K.mT / ef.sqrt(Q.shape[-1]), axis=-1) @ V


@ef.kernel
def attention_in_steps(Q, K, V):
    S = Q @ K.mT * Q.shape[-1] ** -0.5
    P = ef.exp(S - ef.max(S, axis=-1, keepdims=True))
    return P @ V / ef.sum(P, axis=-1, keepdims=True)


@ef.kernel
def attention_in_ranks(Q, K, V):
    S = ef.sum(Q[q, d] * K[k, d], over=d) / ef.sqrt(d.extent)
    return ef.sum(ef.softmax(S, over=k) * V[k, e], over=k)[q, e]


@ef.kernel
def causal_heads(Q, K, V):
    scores = Q @ K.mT / ef.sqrt(Q.shape[-1])
    mask = ef.arange(K.shape[-2]) <= ef.expand_dims(ef.arange(Q.shape[-2]), axis=-1)
    return ef.softmax(ef.where(mask, scores, -ef.inf), axis=-1) @ V


@ef.kernel
def normalised(X, gain, shift):
    return ef.layer_norm(X, axis=-1) * gain + shift, ef.rms_norm(X, axis=-1) * gain


@ef.kernel
def perceptron(X, W1, b1, W2, b2):
    hidden = ef.relu(X @ W1 + b1)
    return hidden @ W2 + b2


@ef.kernel
def convolution(X, W):
    total = 0.0
    rows, columns = X.shape[0] - 2, X.shape[1] - 2
    for r in range(3):
        for c in range(3):
            total = X[r:int(rows) + r, c:int(columns) + c] * W[r, c] + total
    return total


@ef.kernel
def both_styles(X, W, s):
    """Scores by position, a banded sum by rank, and its norm by position again."""
    S = ef.tensor()
    S[i, j] = (X @ W)[i, k] * X[j, k]
    T = ef.sum(ef.where(k <= i, S[i, k], 0.0), over=k)[i]
    return ef.softmax(T * s[0], axis=0), S.mT + T, ef.sum(ef.exp(-T)[i] * X[i, k], over=i)[k]


PROGRAMS = [
    (attention, lambda Q, K, V: softmax(Q @ K.T / 7 ** 0.5, -1) @ V, ((5, 7), (13, 7), (13, 3))),
    (attention_in_steps, lambda Q, K, V: softmax(Q @ K.T / 7 ** 0.5, -1) @ V, ((5, 7), (13, 7), (13, 3))),
    (causal_heads, lambda Q, K, V: softmax(np.where(np.tri(5, dtype=bool), Q @ K.mT / 2, -np.inf), -1) @ V,
     ((2, 3, 5, 4), (2, 1, 5, 4), (3, 5, 2))),
    (normalised, lambda X, g, s: (((X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 1e-5)) * g + s,
                                  X / np.sqrt((X * X).mean(-1, keepdims=True) + 1e-6) * g), ((4, 9), (9,), (9,))),
    (perceptron, lambda X, W, b, U, c: np.maximum(X @ W + b, 0) @ U + c, ((6, 5), (5, 7), (7,), (7, 3), (3,))),
    (convolution, lambda X, W: sum(X[r:r + 5, c:c + 4] * W[r, c] for r in range(3) for c in range(3)),
     ((7, 6), (3, 3))),
    (both_styles, lambda X, W, s: (softmax(np.tril(X @ W @ X.T).sum(1) * s[0], 0),
                                   (X @ W @ X.T).T + np.tril(X @ W @ X.T).sum(1),
                                   np.exp(-np.tril(X @ W @ X.T).sum(1)) @ X), ((4, 3), (3, 3), (1,))),
]


@pytest.mark.parametrize(("kernel", "by_hand", "shapes"), [
    PROGRAMS[0], *(pytest.param(*one, marks=pytest.mark.slow) for one in PROGRAMS[1:])],
    ids=lambda item: getattr(item, "__name__", ""))
def test_programs_at_every_height(kernel, by_hand, shapes):
    args = tuple(floats(*shape, seed=seed) for seed, shape in enumerate(shapes))
    assert_agrees_at_every_height(kernel, args)
    for bounded, hand in zip(measured(kernel, args, {}, measure="float64")[1], leaves(by_hand(*args))):
        assert_agrees(hand, bounded)


def test_attention_by_position_is_the_same_program_as_with_ranks():
    args = floats(5, 7), floats(13, 7, seed=1), floats(13, 3, seed=2)
    assert str(attention.trace(*args)) == """\
def attention(Q: f64[2], K: f64[2], V: f64[2]):
    t1[i, k] = sum[j < Q.shape[1]](Q[i, j] * K[k, j])
    t2[i, k] = t1[i, k] / sqrt(cast(Q.shape[1], f64))
    t3[i] = max[k < K.shape[0]](t2[i, k])
    t4[i, k] = exp(t2[i, k] - t3[i])
    t5[i] = sum[k < K.shape[0]](t4[i, k])
    t6[i, j] = sum[k < K.shape[0]](t4[i, k] / t5[i] * V[k, j])
    return tensor[i < Q.shape[0], j < V.shape[1]](t6[i, j])
"""
    for kernel in (attention, attention_in_steps, attention_in_ranks):
        assert "one sweep over k < K.shape[0]" in kernel.lower(*args).derivation

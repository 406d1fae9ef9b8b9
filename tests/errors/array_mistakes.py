"""Programs in array style with a mistake each."""

import numpy as np

import einfall as ef
from tests.errors.mistakes import mistake, trial

i, j, k = ef.ranks("i j k")
X = np.zeros((2, 3), np.float32)
V = np.zeros(3, np.float32)
Z = np.zeros((2, 2, 3), np.float32)


@mistake(ef.ShapeError)
def axes_that_do_not_fit():
    trial(lambda A, B: A + B, X, X.T)


@mistake(ef.ShapeError)
def axes_of_three_that_do_not_fit():
    trial(lambda A, B, C: ef.where(A > 0, B, ef.exp(C) * 2), X, V, V[:2])


@mistake(ef.ShapeError)
def axes_that_do_not_fit_in_a_later_call():
    f = ef.kernel(lambda A, B: A * B)
    ef.reference(f, X, X)
    ef.reference(f, X, X[:, :2])


@mistake(ef.TraceError)
def a_tensor_beside_an_expression():
    trial(lambda A, B: A + B[j], X, V)


@mistake(ef.TraceError)
def a_tensor_beside_a_rank():
    trial(lambda A: ef.where(i > 0, A, 0.0), V)


@mistake(ef.TraceError)
def an_axis_of_an_expression():
    trial(lambda A: ef.sum(A[i, j], axis=1), X)


@mistake(ef.TraceError)
def a_softmax_of_an_expression_by_axis():
    trial(lambda A: ef.softmax(A[i, j] * 2, axis=-1), X)


@mistake(ef.TraceError)
def over_and_axis():
    trial(lambda A: ef.sum(A, over=i, axis=0), X)


@mistake(ef.TraceError)
def a_rank_of_a_tensor():
    trial(lambda A: ef.softmax(A, over=i), X)


@mistake(ef.ShapeError)
def an_axis_that_is_not_there():
    trial(lambda A: ef.sum(A, axis=2), X)


@mistake(ef.ShapeError)
def an_axis_named_twice():
    trial(lambda A: ef.sum(A, axis=(0, -2)), X)


@mistake(ef.TraceError)
def an_axis_that_is_a_rank():
    trial(lambda A: ef.sum(A, axis=i), X)


@mistake(ef.TraceError)
def an_axis_that_arrives_with_the_call():
    trial(lambda A, axis: ef.sum(A, axis=axis), X, 1)


@mistake(ef.ShapeError)
def an_axis_of_a_scalar():
    trial(lambda A: ef.sum(A, axis=0), np.float32(1.0))


@mistake(ef.TraceError)
def a_scan_without_its_axis():
    trial(lambda A: ef.cumsum(A), X)


@mistake(ef.ShapeError)
def argmax_along_nothing():
    trial(lambda A: ef.argmax(A, axis=1), X[:, :0])


@mistake(ef.ShapeError)
def matrices_that_do_not_fit():
    trial(lambda A: A @ A, X)


@mistake(ef.ShapeError)
def batches_that_do_not_fit():
    trial(lambda A, B: A @ B.mT, Z, np.zeros((3, 2, 3), np.float32))


@mistake(ef.ShapeError)
def a_product_that_broadcasts_its_sum():
    trial(lambda A, B: A @ B, X, V[:1])


@mistake(ef.ShapeError)
def a_product_with_a_scalar():
    trial(lambda A, B: A @ B, X, np.float32(2.0))


@mistake(ef.TraceError)
def a_product_with_an_expression():
    trial(lambda A: A @ A[i, j], X)


@mistake(ef.TraceError)
def a_product_with_a_number():
    trial(lambda A: A @ 2.0, X)


@mistake(ef.ShapeError)
def a_transpose_of_three_axes():
    trial(lambda A: A.T, Z)


@mistake(ef.ShapeError)
def a_matrix_transpose_of_one_axis():
    trial(lambda A: A.mT, V)


@mistake(ef.ShapeError)
def an_order_of_too_few_axes():
    trial(lambda A: ef.permute_dims(A, (1, 0)), Z)


@mistake(ef.ShapeError)
def a_shape_of_other_elements():
    trial(lambda A: A.reshape(4, 2), X)


@mistake(ef.RankError)
def a_shape_of_other_elements_in_a_later_call():
    f = ef.kernel(lambda A: A.reshape(3, 2))
    ef.reference(f, X)
    ef.reference(f, X[:, :2])


@mistake(ef.ShapeError)
def a_shape_that_leaves_a_rest():
    trial(lambda A: A.reshape(4, -1), X)


@mistake(ef.ShapeError)
def a_shape_with_two_rests():
    trial(lambda A: A.reshape(-1, -1), X)


@mistake(ef.TraceError)
def a_shape_of_data():
    trial(lambda A: A.reshape(A[0, 0], 2), X)


@mistake(ef.ShapeError)
def a_negative_shape():
    trial(lambda A: ef.zeros((A.shape[0] - 3, 2)) + A, X)


@mistake(ef.ShapeError)
def an_axis_before_nothing():
    trial(lambda A: ef.expand_dims(A, axis=4), X)


@mistake(ef.ShapeError)
def a_squeeze_of_elements():
    trial(lambda A: ef.squeeze(A, axis=0), X)


@mistake(ef.ShapeError)
def a_broadcast_to_another_shape():
    trial(lambda A: ef.broadcast_to(A, (2, 4)), X)


@mistake(ef.ShapeError)
def a_broadcast_to_fewer_axes():
    trial(lambda A: ef.broadcast_to(A, (3,)), X)


@mistake(ef.ShapeError)
def a_concat_of_other_axes():
    trial(lambda A, B: ef.concat([A, B], axis=0), X, X[:, :2])


@mistake(ef.ShapeError)
def a_concat_of_fewer_axes():
    trial(lambda A, B: ef.concat([A, B], axis=0), X, V)


@mistake(ef.TraceError)
def a_concat_of_one_tensor():
    trial(lambda A: ef.concat(A, axis=0), X)


@mistake(ef.TraceError)
def a_stack_of_an_expression():
    trial(lambda A: ef.stack([A, A[i, j]]), X)


@mistake(ef.ShapeError)
def a_stack_of_other_shapes():
    trial(lambda A, B: ef.stack([A, B]), V, V[:1])


@mistake(ef.ShapeError)
def a_triangle_of_one_axis():
    trial(lambda A: ef.tril(A), V)


@mistake(ef.TraceError)
def a_take_along_two_axes():
    trial(lambda A, at: ef.take(A, at), X, np.array([0]))


@mistake(ef.TraceError)
def a_take_at_floats():
    trial(lambda A: ef.take(A, A, axis=0), V)


@mistake(ef.BoundsError)
def a_take_out_of_range():
    trial(lambda A, at: ef.take(A, at, axis=1), X, np.array([0, 3]))


@mistake(ef.TraceError)
def a_full_of_an_expression():
    trial(lambda A: ef.full((2, 3), A[i]), V)


@mistake(ef.TraceError)
def an_arange_of_floats():
    trial(lambda A: A * ef.arange(0.5), V)


@mistake(ef.TraceError)
def an_arange_with_step_0():
    trial(lambda A: A * ef.arange(0, 5, 0), V)


@mistake(ef.ShapeError)
def too_many_places():
    trial(lambda A: A[1:, 0, 0], X)


@mistake(ef.ShapeError)
def two_ellipses():
    trial(lambda A: A[..., 0, ...], X)


@mistake(ef.ShapeError)
def a_rank_beside_an_ellipsis():
    trial(lambda A: A[..., i], X)


@mistake(ef.ShapeError)
def a_place_that_is_not_there():
    trial(lambda A: A[-3], X)


@mistake(ef.ShapeError)
def a_place_of_nothing():
    trial(lambda A: A[0] * 2, X[:0])

"""Programs with a mistake each."""

import numpy as np

import einfall as ef

i, j, k, n, t, d, e = ef.ranks("i j k n t d e")
X = np.zeros((2, 3), np.float32)
V = np.zeros(3, np.float32)


def mistake(kind):
    """Marks a function as a mistake that raises an error of this kind."""

    def mark(function):
        function.mistake = kind
        return function

    return mark


def trial(function, *args):
    """What a user does: a kernel of the function, evaluated."""
    return ef.reference(ef.kernel(function), *args)


@mistake(ef.RankError)
def extents_that_disagree():
    trial(lambda A, B: ef.sum(A[i, j] * B[j, k], over=j)[i, k], X, X)


@mistake(ef.RankError)
def extents_that_disagree_in_a_later_call():
    f = ef.kernel(lambda A, B: (A[i] + B[i])[i])
    ef.reference(f, V, V)
    ef.reference(f, V, V[:2])


@mistake(ef.RankError)
def a_rank_never_bound():
    trial(lambda A: (A[i] * k)[i, k], V)


@mistake(ef.RankError)
def a_rank_with_two_extents():
    trial(lambda A, B: (A[i], B[i], ef.sum(i * 1.0, over=i))[2], V, V[:2])


@mistake(ef.RankError)
def a_reduction_over_a_missing_rank():
    trial(lambda A: ef.sum(A[i], over=j)[i], V)


@mistake(ef.RankError)
def a_result_that_forgets_a_rank():
    trial(lambda A: (A[i, j] * 2)[i], X)


@mistake(ef.RankError)
def a_result_with_a_strange_rank():
    trial(lambda A: (A[i, j] * 2)[i, j, k], X)


@mistake(ef.RankError)
def an_order_that_renames():
    trial(lambda A: (A[i, j] * 2)[i, j + 1], X)


@mistake(ef.RankError)
def over_something_else():
    trial(lambda A: ef.sum(A[i], over="i")[()], V)


@mistake(ef.RankError)
def an_extent_that_is_no_number():
    trial(lambda A: (A[i] + j.of(A[i]))[i, j], V)


@mistake(ef.RankError)
def ranks_without_names():
    ef.ranks("")


@mistake(ef.RankError)
def a_rank_with_a_strange_name():
    ef.ranks("2d")


@mistake(ef.ShapeError)
def a_negative_extent():
    trial(lambda A, B: (i.of(A.shape[0] - B.shape[0]) * 1.0)[i], V[:2], V)


@mistake(ef.ShapeError)
def too_many_indices():
    trial(lambda A: A[i, j, k][i, j, k], X)


@mistake(ef.ShapeError)
def a_float_index():
    trial(lambda A: A[A[i]][i], V)


@mistake(ef.ShapeError)
def a_negative_index():
    trial(lambda A: A[-1, i][i], X)


@mistake(ef.ShapeError)
def a_mask_as_index():
    trial(lambda A: A[True][()], V)


@mistake(ef.ShapeError)
def slices_and_ranks_at_once():
    trial(lambda A: A[1:, i][i], X)


@mistake(ef.ShapeError)
def an_affine_index_that_leaves():
    trial(lambda A: (A[i - 1] + A[i])[i], V)


@mistake(ef.ShapeError)
def argmax_of_nothing():
    trial(lambda A: ef.argmax(A[i, j], over=j)[i], X[:, :0])


@mistake(ef.BoundsError)
def a_gather_out_of_range():
    trial(lambda A, at: A[i, at[n]][i, n], X, np.array([0, 7]))


@mistake(ef.TraceError)
def chained_comparison():
    trial(lambda A: ef.where(0 < A[i] < 1, 1.0, 0.0)[i], V)


@mistake(ef.TraceError)
def a_python_condition():
    trial(lambda A: (A[i] if A[i] > 0 else -A[i])[i], V)


@mistake(ef.TraceError)
def and_between_conditions():
    trial(lambda A: ef.where(A[i] > 0 and i > 0, 1.0, 0.0)[i], V)


@mistake(ef.TraceError)
def membership():
    trial(lambda A: ef.where(3 in A[i], 1.0, 0.0)[i], V)


@mistake(ef.TraceError)
def a_python_number_of_an_expression():
    trial(lambda A: (A[i] * float(ef.sum(A[j], over=j)))[i], V)


@mistake(ef.TraceError)
def a_loop_over_a_rank():
    trial(lambda A: sum(A[i] for _ in range(i))[i], V)


@mistake(ef.TraceError)
def iteration():
    trial(lambda A: next(iter(A[i])), V)


@mistake(ef.TraceError)
def len_of_a_tensor():
    trial(lambda A: (A[i] * len(A))[i], V)


@mistake(ef.TraceError)
def a_numpy_function():
    trial(lambda A: np.exp(A[i])[i], V)


@mistake(ef.TraceError)
def a_numpy_reduction():
    trial(lambda A: np.sum(A[i])[i], V)


@mistake(ef.TraceError)
def an_array_from_outside():
    trial(lambda A: (A[i] * V)[i], V)


@mistake(ef.TraceError)
def a_tensor_without_ranks():
    trial(lambda A: (A * A[i, j])[i, j], X)


@mistake(ef.TraceError)
def a_tensor_reduced():
    trial(lambda A: ef.sum(A, over=i)[()], V)


@mistake(ef.TraceError)
def an_and_between_a_boolean_and_a_number():
    trial(lambda A: ef.where((i > 0) & i, A[i], 0.0)[i], V)


@mistake(ef.TraceError)
def a_condition_that_is_a_number():
    trial(lambda A: ef.where(i, A[i], 0.0)[i], V)


@mistake(ef.TraceError)
def bits_of_a_float():
    trial(lambda A: (A[i] ^ A[i])[i], V)


@mistake(ef.TraceError)
def a_number_too_large():
    trial(lambda A: (A[i] + 2**40)[i], np.zeros(2, np.int32))


@mistake(ef.TraceError)
def a_free_expression_returned():
    trial(lambda A: A[i] * 2, V)


@mistake(ef.TraceError)
def nothing_returned():
    trial(lambda A: None, V)


@mistake(ef.TraceError)
def an_implicit_sum_under_a_function():
    def f(A, B):
        C = ef.tensor()
        C[i] = ef.exp(A[i, k]) * B[i]
        return C

    trial(f, X, V[:2])


@mistake(ef.TraceError)
def an_implicit_sum_of_an_access_alone():
    def f(A):
        C = ef.tensor()
        C[i] = A[i, k]
        return C

    trial(f, X)


@mistake(ef.TraceError)
def a_tensor_defined_twice():
    def f(A):
        C = ef.tensor()
        C[i] = A[i] + 1
        C[i] = A[i] + 2
        return C

    trial(f, V)


@mistake(ef.TraceError)
def einsum_with_a_strange_result():
    trial(lambda A, B: ef.einsum("ik,kj->iz", A, B), X, X.T)


@mistake(ef.TraceError)
def einsum_with_a_missing_operand():
    trial(lambda A: ef.einsum("ik,kj->ij", A), X)


@mistake(ef.TraceError)
def einsum_with_a_wrong_rank():
    trial(lambda A, B: ef.einsum("ik,k->i", A, B), X, X)


@mistake(ef.TraceError)
def einsum_with_an_ellipsis():
    trial(lambda A: ef.einsum("...i->...", A), X)


@mistake(ef.TraceError)
def a_scan_step_that_loses_a_state():
    trial(lambda A: ef.scan(lambda s, m: s + A[t], over=t, init=(0.0, 0.0))[0][t], V)


@mistake(ef.TraceError)
def a_scan_init_that_depends_on_its_rank():
    trial(lambda A: ef.scan(lambda s: s + A[t], over=t, init=A[t])[t], V)


@mistake(ef.TraceError)
def a_state_that_escapes():
    def f(A):
        seen = []
        ef.scan(lambda s: seen.append(s) or s + A[t], over=t, init=0.0)
        return seen[0]

    trial(f, V)


@mistake(ef.TraceError)
def a_complex_array():
    trial(lambda A: (A[i] * 2)[i], V.astype(complex))


@mistake(ef.TraceError)
def an_array_of_objects():
    trial(lambda A: (A[i] * 2)[i], np.array([None, None]))


@mistake(ef.TraceError)
def a_foreign_byte_order():
    trial(lambda A: (A[i] * 2)[i], V.astype(">f4"))


@mistake(ef.TraceError)
def a_string_as_array():
    trial(lambda A: (A[i] * 2)[i], {1, 2})


@mistake(ef.TraceError)
def a_missing_argument():
    trial(lambda A, B: (A[i] * B[i])[i], V)


@mistake(ef.TraceError)
def a_static_argument_without_a_hash():
    def f(A, *, shape):
        return A[i][i]

    ef.reference(ef.kernel(f), V, shape=[1, 2])


@mistake(ef.TraceError)
def a_parameter_called_out():
    ef.kernel(lambda A, out: A[i][i])


@mistake(ef.TraceError)
def a_kernel_with_star_arguments():
    ef.kernel(lambda *arrays: arrays[0][i][i])


@mistake(ef.TraceError)
def an_expression_outside_a_kernel():
    k.extent * 2


@mistake(ef.TraceError)
def an_expression_passed_to_a_kernel():
    inner = ef.kernel(lambda A: (A[i] * 2)[i])
    trial(lambda A: inner(A[i]), V)


@mistake(ef.TraceError)
def an_unknown_monoid():
    trial(lambda A: ef.reduce(A[i], over=i, by="median")[()], V)


@mistake(ef.TraceError)
def an_unknown_type():
    trial(lambda A: A[i].astype("f32")[i], V)


@mistake(ef.TraceError)
def a_pad_that_the_type_does_not_hold():
    trial(lambda A: A.pad(0.5)[i.of(4) - 1][i], np.zeros(2, np.int32))


@mistake(ef.TraceError)
def a_monoid_that_uses_the_kernel():
    trial(lambda A: ef.reduce(A[i], over=i, by=ef.Monoid(lambda a, b: a + b * A[0], 0.0))[()], V)


@mistake(ef.RankError)
def an_extent_that_arrives_with_the_call():
    trial(lambda A, s: (A[i] + j.of(s))[i, j], V, 3)


@mistake(ef.TraceError)
def a_kernel_of_something_else():
    ef.kernel(int)


@mistake(ef.TraceError)
def an_expression_of_another_call():
    seen = []
    trial(lambda A: seen.append(A[i] * 2) or A[i][i], V)
    trial(lambda B: (B[i] * seen[0])[i], V)


@mistake(ef.TraceError)
def a_tensor_of_another_call():
    seen = []
    trial(lambda A: seen.append(A) or A[i][i], V)
    trial(lambda B: (B[i] * seen[0][i])[i], V)


@mistake(ef.TraceError)
def a_state_of_another_call():
    seen = []
    trial(lambda A: ef.scan(lambda s: seen.append(s) or s + A[t], over=t, init=0.0)[t], V)
    trial(lambda A: (A[t] + seen[0])[t], V)


@mistake(ef.TraceError)
def a_tensor_of_another_call_returned():
    seen = []
    trial(lambda A: seen.append(A) or A[i][i], V)
    trial(lambda B: seen[0], V)


@mistake(ef.TraceError)
def a_size_of_another_call():
    seen = []
    trial(lambda A: seen.append(i.of(A.shape[0] - 1)) or A[i][i], V)
    trial(lambda B: (B[j] * seen[0])[i, j], V)


@mistake(ef.TraceError)
def an_expression_used_outside():
    seen = []
    trial(lambda A: seen.append(A[i] * 2) or A[i][i], V)
    bool(seen[0] > 0)


@mistake(ef.TraceError)
def a_scan_step_of_too_few_arguments():
    trial(lambda A: ef.scan(lambda s: (s, s), over=t, init=(0.0, A[0]))[0][t], V)


@mistake(ef.TraceError)
def a_scan_step_that_is_no_function():
    trial(lambda A: ef.scan(A[t], over=t, init=0.0)[t], V)


@mistake(ef.TraceError)
def a_monoid_of_one_argument():
    trial(lambda A: ef.reduce(A[i], over=i, by=ef.Monoid(lambda a: a, 0.0))[()], V)


@mistake(ef.RankError)
def ranks_by_number():
    ef.ranks(3)


@mistake(ef.ShapeError)
def one_axis_and_two_indices():
    trial(lambda A: A[i, j][i, j], V)


twice = ef.kernel(lambda A: (A[i] * 2)[i])
both = ef.kernel(lambda A: ((A[i] * 2)[i], (A[i] * 3)[i]))
named = ef.kernel(lambda A: {"two": (A[i] * 2)[i], "three": (A[i] * 3)[i]})


@mistake(ef.TraceError)
def an_out_that_is_read_only():
    C = np.zeros(3, np.float32)
    C.setflags(write=False)
    twice(V, out=C)


@mistake(ef.ShapeError)
def an_out_of_another_shape():
    twice(V, out=np.zeros((1, 3), np.float32))


@mistake(ef.TraceError)
def an_out_of_another_type():
    twice(V, out=np.zeros(3))


@mistake(ef.TraceError)
def an_out_that_is_a_list():
    twice(V, out=[0.0, 0.0, 0.0])


@mistake(ef.TraceError)
def one_out_for_two_results():
    both(V, out=np.zeros(3, np.float32))


@mistake(ef.TraceError)
def three_outs_for_two_results():
    both(V, out=(np.zeros(3, np.float32),) * 3)


@mistake(ef.TraceError)
def outs_by_other_names():
    named(V, out={"two": np.zeros(3, np.float32), "four": np.zeros(3, np.float32)})


@mistake(ef.TraceError)
def outs_that_overlap():
    C = np.zeros(4, np.float32)
    both(V, out=(C[1:], C[:3]))


@mistake(ef.TraceError)
def an_out_that_was_broadcast():
    twice(V, out=np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (3,), (0,)))


@mistake(ef.TraceError)
def an_out_inside_a_kernel():
    trial(lambda A: twice(A, out=A), V)


LONG = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**42,), (0,))  # 16 TiB in four bytes


def call(function, *args):
    """What a user does: a kernel of the function, compiled and run."""
    return ef.kernel(function)(*args)


@mistake(ef.ShapeError)
def a_rank_of_too_many_coordinates():
    call(lambda A: (A[i] * ef.ranks(j=2**62))[i, ef.ranks("j")], V)


@mistake(ef.ShapeError)
def a_result_larger_than_memory():
    call(lambda A: (A[i] * 2)[i], LONG)


@mistake(ef.ShapeError)
def a_result_larger_than_memory_by_the_reference():
    trial(lambda A: (A[i] * A[j])[i, j], LONG)


@mistake(ef.ShapeError)
def a_merged_axis_of_large_ranks():
    call(lambda A: (j.of(2**40) + k.of(2**40) * 1.0)[(j, k),], V)


@mistake(ef.ShapeError)
def a_merged_axis_of_large_sizes():
    call(lambda A: (A[i] + A[j])[(i, j),], LONG)


@mistake(ef.ShapeError)
def an_axis_split_by_large_ranks():
    call(lambda A: A[(i.of(2**40), j.of(2**40)),][i, j], V)


@mistake(ef.ShapeError)
def an_extent_computed_too_large():
    call(lambda A: (j.of(A.shape[0] * 2**62) * 1.0)[j], V)


@mistake(ef.ShapeError)
def a_state_larger_than_memory():
    call(lambda A: ef.scan(lambda s: s + A[i] * k, over=i, init=0.0, state=(k.of(2**50),), last=True)[k], V)


@mistake(ef.ShapeError)
def nothing_with_too_many_indices():
    call(lambda A: (A[i] * j.of(0) + k.of(2**62) + n.of(2**62))[i, j, k, n], V)


@mistake(ef.ShapeError)
def an_index_that_wraps_around():
    call(lambda A: A[i.of(4) * 2**62 * 2][i], V)


@mistake(ef.RankError)
def an_index_with_a_factor_beyond_64_bits():
    call(lambda A: A[i * 2**62 * 4][i], V)


@mistake(ef.TraceError)
def an_index_beyond_64_bits():
    call(lambda A: A[2**64][()], V)


@mistake(ef.ShapeError)
def a_slice_with_a_huge_step():
    call(lambda A: A[::2**70], V)


@mistake(ef.ShapeError)
def a_state_read_outside():
    trial(lambda A: ef.scan(lambda s: s[j - 1] + A[i, j], over=i, init=0.0, state=(j,))[i, j], X)


@mistake(ef.RankError)
def a_state_without_axes_indexed():
    trial(lambda A: ef.scan(lambda s: s[j] + A[i, j], over=i, init=0.0)[i, j], X)


@mistake(ef.ShapeError)
def a_tensor_made_inside_read_outside():
    def shifted(A):
        T = (2 * A[i])[i]
        return (T[i - 1] + A[i])[i]

    trial(shifted, V)


@mistake(ef.TraceError)
def a_loop_over_an_extent():
    trial(lambda A: tuple((A[i] * step)[i] for step in range(i.extent)), V)


@mistake(ef.ShapeError)
def a_definition_that_reads_itself_before_its_beginning():
    def f(A):
        C = ef.tensor()
        C[i] = C[i - 1] + A[i]
        return C

    trial(f, V)


@mistake(ef.TraceError)
def a_definition_that_reads_itself_later():
    def f(A):
        C = ef.tensor()
        C[i] = ef.where(i > 0, C[i + 1], 0) + A[i]
        return C

    trial(f, V)


@mistake(ef.TraceError)
def a_definition_that_reads_itself_at_a_rank_bound_inside():
    def f(A):
        C = ef.tensor()
        C[i] = A[i] + ef.sum(C.pad(0)[i - 1] * A[i], over=i)
        return C

    trial(f, V)


@mistake(ef.TraceError)
def a_tensor_read_and_never_defined():
    def f(A):
        C = ef.tensor()
        return (C[i] + A[i])[i]

    trial(f, V)


@mistake(ef.TraceError)
def a_tensor_read_with_two_numbers_of_axes():
    def f(A):
        C = ef.tensor()
        C[i, j] = C.pad(0.0)[i - 1, j] + C.pad(0.0)[i - 1] + A[i, j]
        return C

    trial(f, X)


@mistake(ef.TraceError)
def a_tensor_read_early_with_a_slice():
    def f(A):
        C = ef.tensor()
        C[i] = C[1:] + A[i]
        return C

    trial(f, V)


@mistake(ef.TraceError)
def a_definition_that_reads_itself_with_merged_ranks():
    def f(A):
        C = ef.tensor()
        C[(i, j)] = C.pad(0.0)[i - 1] + A[i, j]
        return C

    trial(f, X)


@mistake(ef.TraceError)
def a_definition_of_no_type():
    def f(A):
        C = ef.tensor()
        before = C.pad(0)[i - 1]
        C[i] = before.astype(ef.i64) + i if before.dtype.is_float else before + 0.5
        return C

    trial(f, V)


@mistake(ef.RankError)
def a_definition_that_reads_itself_at_another_extent():
    def f(A, B):
        C = ef.tensor()
        C[i, j] = A[i, j] + ef.where(i == 0, 0.0, ef.sum(C[i - 1, k] * B[k], over=k))
        return C

    trial(f, X, V[:2])


@mistake(ef.TraceError)
def a_pad_of_no_kind():
    trial(lambda A: A.pad("middle")[i - 1][i], V)


@mistake(ef.TraceError)
def a_pad_of_an_axis_that_is_not_there():
    trial(lambda A: A.pad({1: "wrap"})[i - 1][i], V)


@mistake(ef.TraceError)
def a_definition_that_reads_itself_with_an_edge():
    def f(A):
        C = ef.tensor()
        C[i] = C.pad("edge")[i - 1] + A[i]
        return C

    trial(f, V)


@mistake(ef.ShapeError)
def more_of_the_largest_than_there_are():
    trial(lambda A: ef.topk(A[k], over=k, to=n.of(4))[0][n], V)


@mistake(ef.RankError)
def the_largest_over_two_ranks():
    trial(lambda A: ef.topk(A[i, k], over=(i, k), to=n.of(2))[0][n], X)


@mistake(ef.RankError)
def the_largest_to_a_rank_of_the_operand():
    trial(lambda A: ef.topk(A[i, k], over=k, to=i)[0][i], X)


@mistake(ef.BoundsError)
def a_scatter_out_of_range():
    trial(lambda A, at: ef.scatter(A[i], to={n.of(3): at[i]}, over=i)[n], V, np.array([0, 3, 1]))


@mistake(ef.RankError)
def a_scatter_to_nothing():
    trial(lambda A: ef.scatter(A[i], to=n, over=i)[n], V)


@mistake(ef.RankError)
def a_scatter_to_a_rank_of_its_elements():
    trial(lambda A, at: ef.scatter(A[i, n], to={n: at[i]}, over=i)[n], X, np.array([0, 1]))


@mistake(ef.TraceError)
def a_scatter_by_no_monoid():
    trial(lambda A, at: ef.scatter(A[i], to={n.of(3): at[i]}, over=i, by="mean")[n], V, np.array([0, 3, 1]))


@mistake(ef.TraceError)
def einsum_with_a_strange_semiring():
    trial(lambda A, B: ef.einsum("ik,kj->ij", A, B, semiring="max_plus"), X, X.T)


@mistake(ef.TraceError)
def a_random_number_of_a_float():
    trial(lambda A: ef.uniform(A[i])[i], V)


@mistake(ef.TraceError)
def a_text_that_is_no_program():
    ef.parse("def f(A: f32[1]):\n    return A[i")


@mistake(ef.TraceError)
def definitions_that_read_each_other_over_other_ranks():
    def f(A):
        C, D = ef.tensor(), ef.tensor()
        C[i] = D.pad(0.0)[i - 1] + A[i]
        D[j] = C.pad(0.0)[j - 1] + A[j]
        return C

    trial(f, V)


@mistake(ef.TraceError)
def definitions_that_read_each_other_at_the_same_point():
    def f(A):
        C, D = ef.tensor(), ef.tensor()
        C[i] = D[i] + A[i]
        D[i] = C.pad(0.0)[i - 1]
        return C

    trial(f, V)


@mistake(ef.TraceError)
def a_definition_that_waits_for_ever():
    def f(A):
        C, D = ef.tensor(), ef.tensor()
        C[i] = D.pad(0.0)[i - 1] + A[i]
        return C

    trial(f, V)


@mistake(ef.TraceError)
def an_early_element_that_is_used_later():
    def f(A):
        C, D = ef.tensor(), ef.tensor()
        before = C.pad(0.0)[i - 1]
        C[i] = before + A[i]
        D[i] = before * 2
        return D

    trial(f, V)


@mistake(ef.AssumptionError)
def an_assumption_that_does_not_hold():
    def f(A):
        ef.assume((A[i] > 0) & (A[i] < 10))
        return (A[i] * 2)[i]

    ef.kernel(f)(np.float32([1, 5, 10]))


@mistake(ef.TraceError)
def an_assumption_of_a_number():
    def f(A):
        ef.assume(A[i])
        return (A[i] * 2)[i]

    trial(f, V)


@mistake(ef.TraceError)
def an_assumption_of_a_state():
    def step(s, A):
        ef.assume(s > 0)
        return s + A[t]

    trial(lambda A: ef.scan(lambda s: step(s, A), over=t, init=0.0)[t], V)


@mistake(ef.TraceError)
def an_option_that_there_is_not():
    ef.kernel(fast=True)(lambda A: A[i][i])


@mistake(ef.TraceError)
def an_option_of_a_wrong_type():
    ef.kernel(exact=1)(lambda A: A[i][i])


@mistake(ef.TraceError)
def an_accumulator_that_is_narrow():
    ef.kernel(accumulate=ef.f16)(lambda A: A[i][i])


@mistake(ef.TraceError)
def a_target_that_there_is_not():
    ef.kernel(target="tpu")(lambda A: A[i][i])


@mistake(ef.TraceError)
def schedules_that_are_to_be_measured():
    ef.kernel(tune=30.0)(lambda A: A[i][i])

"""Mistakes with formats and with operands that have one."""

import numpy as np
import scipy.sparse

import einfall as ef
from tests.errors.mistakes import mistake, trial

i, j, k = ef.ranks("i j k")
DENSE = [ef.Dense(), ef.Dense()]
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def total(A):
    return trial(lambda A: ef.sum(A[i, k], over=k)[i], A)


def matrix(pos, crd, value=(1.0, 2.0)):
    """A CSR matrix that SciPy has not looked at."""
    made = scipy.sparse.csr_array((2, 3), dtype=np.float32)
    made.indptr, made.indices = np.array(pos, np.int32), np.array(crd, np.int32)
    made.data = np.array(value, np.float32)
    made.has_canonical_format = made.has_sorted_indices = True
    return made


@mistake(ef.FormatError)
def codes_of_three_bits():
    ef.Int(3)


@mistake(ef.FormatError)
def scaled_numbers():
    ef.Scaled(ef.f32, group=128)


@mistake(ef.FormatError)
def groups_of_nothing():
    ef.Scaled(ef.Int(4), group=0)


@mistake(ef.FormatError)
def groups_along_a_rank():
    ef.Scaled(ef.Int(4), group=8, axis=k)


@mistake(ef.FormatError)
def scales_that_are_integers():
    ef.Scaled(ef.Int(4), group=8, scale=ef.i8)


@mistake(ef.FormatError)
def a_zero_that_is_a_number():
    ef.Scaled(ef.Int(4), group=8, zero=3)


@mistake(ef.FormatError)
def a_level_that_is_none():
    ef.Format([ef.Dense, ef.Compressed])


@mistake(ef.FormatError)
def an_axis_in_two_levels():
    ef.Format([ef.Dense(), ef.Compressed()], order=(0, 0))


@mistake(ef.FormatError)
def two_compressed_levels():
    ef.Format([ef.Compressed(), ef.Compressed()])


@mistake(ef.FormatError)
def a_codec_that_is_none():
    ef.Format(DENSE, codec="int4")


@mistake(ef.FormatError)
def scaled_and_compressed():
    ef.Format([ef.Dense(), ef.Compressed()], codec=ef.Scaled(ef.Int(4), group=8))


@mistake(ef.FormatError)
def scaled_along_an_axis_that_is_not_there():
    ef.Format(DENSE, codec=ef.Scaled(ef.Int(4), group=8, axis=2))


@mistake(ef.FormatError)
def scaled_in_another_order():
    ef.Format(DENSE, order=(1, 0), codec=ef.Scaled(ef.Int(4), group=8))


@mistake(ef.FormatError)
def packed_by_name():
    ef.pack(X, "csr")


@mistake(ef.FormatError)
def a_packed_list():
    ef.pack([1.0, 2.0], ef.csr)


@mistake(ef.FormatError)
def packed_with_a_level_too_many():
    ef.pack(X[0], ef.csr)


@mistake(ef.FormatError)
def packed_as_it_is():
    ef.pack(X, ef.Format(DENSE))


@mistake(ef.FormatError)
def a_scaled_nan():
    ef.pack(X * np.float32(np.nan), ef.Format(DENSE, codec=ef.Scaled(ef.Int(4), group=8)))


@mistake(ef.FormatError)
def packed_complex_numbers():
    ef.pack(X * 1j, ef.csr)


@mistake(ef.FormatError)
def a_fill_that_the_type_does_not_hold():
    ef.asarray(scipy.sparse.csr_array(X.astype(np.int8)), fill=-np.inf)


@mistake(ef.FormatError)
def a_sparse_vector():
    total(scipy.sparse.coo_array(X[0]))


@mistake(ef.FormatError)
def a_sparse_matrix_of_complex_numbers():
    total(scipy.sparse.csr_array(X * 1j))


@mistake(ef.FormatError)
def a_coordinate_out_of_range():
    total(matrix([0, 1, 2], [0, 3]))


@mistake(ef.FormatError)
def positions_that_descend():
    ef.asarray(matrix([0, 2, 1], [0, 2]))


@mistake(ef.FormatError)
def too_few_positions():
    ef.asarray(matrix([0, 2], [0, 2]))


@mistake(ef.TraceError)
def stored_of_a_product():
    trial(lambda A: ef.sum(ef.where(ef.stored(A[i, k] * 2), 1, 0), over=k)[i], X)


@mistake(ef.FormatError)
def a_result_in_a_format():
    trial(lambda A: (A[i, k] * 2)[i, k].as_format(ef.csr), X)


@mistake(ef.BoundsError)
def a_row_of_a_sparse_matrix_that_is_not_there():
    f = ef.kernel(lambda A, rows: ef.sum(A[rows[j], k], over=k)[j])
    f(scipy.sparse.csr_array(X), np.array([0, 2]))

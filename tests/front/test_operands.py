"""Arrays of other libraries as operands: what is copied, what is put in order, what changes a program."""

import warnings

import numpy as np
import pytest
import scipy.sparse

import einfall as ef
from einfall.front.arguments import collect
from tests.differential.heights import assert_agrees_at_every_height

i, j, k = ef.ranks("i j k")


@ef.kernel
def product(A, X):
    return ef.sum(A[i, k] * X[k, j], over=k)[i, j]


def dense(rng, rows=7, columns=6):
    return (rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < 0.4)).astype(np.float32)


def arguments(*args):
    return collect(product.signature, "product", args, {})


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
def test_kinds_of_scipy(kind, make):
    rng = np.random.default_rng(0)
    A, X = dense(rng), rng.standard_normal((6, 3)).astype(np.float32)
    made = product(make(A).asformat(kind), X)
    assert type(made) is np.ndarray and np.allclose(made, A @ X, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
def test_kinds_of_torch(layout):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    A, X = torch.from_numpy(dense(rng)), torch.from_numpy(rng.standard_normal((6, 3)).astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, that layouts are new
        S = getattr(A, f"to_sparse_{layout}")() if layout != "coo" else A.to_sparse()
    made = product(S, X)
    assert isinstance(made, torch.Tensor) and torch.allclose(made, A @ X, atol=1e-5)
    assert torch.allclose(product(S.to(torch.bfloat16), X), A.to(torch.bfloat16).to(torch.float32) @ X, atol=1e-5)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, bool])
def test_types_of_indices_and_values(index, dtype):
    rng = np.random.default_rng(2)
    A = scipy.sparse.csr_array((dense(rng) * 3).astype(dtype if dtype is not np.float16 else np.float32))
    held = ef.asarray(A)
    if dtype is np.float16:
        held = ef.pack(A.toarray().astype(np.float16), ef.csr)
    else:
        A.indptr, A.indices = A.indptr.astype(index), A.indices.astype(index)
        held = ef.asarray(A)
        assert held.arrays["pos"].dtype == index and np.shares_memory(held.arrays["value"], A.data)
    X = rng.standard_normal((6, 3)).astype(np.float32)
    assert held.dtype == dtype
    assert_agrees_at_every_height(product, (held, X), heights=("concrete", "nest", "machine"))


def test_rows_out_of_order_and_duplicates_are_put_in_order_in_a_copy():
    indptr, indices = np.array([0, 4, 4, 5]), np.array([3, 0, 3, 1, 2])
    data = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    A = scipy.sparse.csr_array((data.copy(), indices.copy(), indptr.copy()), shape=(3, 4))
    held = ef.asarray(A)
    assert held.dense().tolist() == [[2, 8, 0, 5], [0] * 4, [0, 0, 16, 0]]
    assert held.arrays["crd"].tolist() == [0, 1, 3, 2]
    assert np.array_equal(A.data, data) and np.array_equal(A.indices, indices) and np.array_equal(A.indptr, indptr)
    assert product(A, np.eye(4))[0].tolist() == [2, 8, 0, 5]
    coo = scipy.sparse.coo_array((data, ([0, 0, 0, 0, 2], indices)), shape=(3, 4))
    assert product(coo, np.eye(4))[0].tolist() == [2, 8, 0, 5]


def test_torch_rows_out_of_order():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        A = torch.sparse_csr_tensor(torch.tensor([0, 3, 4]), torch.tensor([2, 0, 1, 1]), torch.tensor([1.0, 2, 3, 4]),
                                    (2, 3))
    held = ef.asarray(A)
    assert held.arrays["crd"].tolist() == [0, 1, 2, 1] and held.dense().tolist() == [[2, 3, 1], [0, 4, 0]]
    assert A.col_indices().tolist() == [2, 0, 1, 1]


def test_sparse_torch_tensors_that_are_refused():
    torch = pytest.importorskip("torch")
    x = torch.eye(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blocks, rows = x.to_sparse_bsr((1, 1)), x.to_sparse_csr().requires_grad_()
    with pytest.raises(ef.FormatError, match=r"^A is a torch tensor of layout bsr with 2 axes\n  in .*\n"
                                             r"  try    pass one with two axes, of layout torch.sparse_csr$"):
        product(blocks, x)
    with pytest.raises(ef.FormatError, match=r"^A requires grad, and einfall has no gradients yet\n  in .*\n"
                                             r"  try    pass A.detach\(\)$"):
        product(rows, x)


def test_dense_arrays_are_given_back():
    x = np.zeros((2, 3))
    assert ef.asarray(x) is x and ef.asarray(2.5) == 2.5
    held = ef.asarray(scipy.sparse.csr_array(x))
    assert ef.asarray(held) is held


def test_another_fill():
    @ef.kernel
    def shortest(A, x):
        return ef.min(A[i, k] + x[k], over=k)[i], ef.max(A[i, k], over=k)[i]

    A = scipy.sparse.csr_array(np.array([[3.0, 0, 1], [0, 0, 0]]))
    held = ef.asarray(A, fill=-np.inf)
    assert held.dense().tolist() == [[3, -np.inf, 1], [-np.inf] * 3]
    assert_agrees_at_every_height(shortest, (held, np.ones(3)))
    assert shortest(held, np.ones(3))[1].tolist() == [3, -np.inf]


def test_the_program_is_that_of_dense_arrays():
    rng = np.random.default_rng(3)
    A, X = dense(rng), rng.standard_normal((6, 3)).astype(np.float32)
    assert str(product.trace(scipy.sparse.csr_array(A), X)) == str(product.trace(A, X))
    packed = ef.pack(A, ef.Format([ef.Dense(), ef.Dense()], codec=ef.Scaled(ef.Int(4), group=32)))
    assert str(product.trace(packed, X)) == str(product.trace(A, X))


def test_data_and_lengths_of_rows_of_one_format_share_machine_code():
    held, rng = ef.kernel(product.function), np.random.default_rng(4)
    X = rng.standard_normal((60, 3)).astype(np.float32)
    keys = set()
    for _ in range(4):
        A = scipy.sparse.csr_array(dense(rng, 50, 60))
        assert np.allclose(held(A, X), A @ X, atol=1e-4)
        keys.add(arguments(A, X).key)
    assert len(keys) == 1 and len(held.machines) == 1 and len(held.programs) == 1
    held(scipy.sparse.csc_array(A), X)
    assert len(held.programs) == 2


def test_decoded_numbers_are_weak():
    @ef.kernel
    def scaled(W, x):
        return (W[i, k] * x[k])[i, k], W[i, k][i, k], (W[i, k] * 2 * W[i, k])[k, i]

    W = ef.pack(np.ones((2, 32)), ef.Format([ef.Dense(), ef.Dense()], codec=ef.Scaled(ef.Int(4), group=32)))
    assert [made.dtype for made in scaled(W, np.ones(32, np.float16))] == [np.float16, np.float32, np.float32]
    assert [made.dtype for made in scaled(W, np.ones(32))] == [np.float64] * 3


def test_results_are_written_beside_operands():
    A = scipy.sparse.csr_array(np.diag(np.arange(1.0, 4)))

    @ef.kernel
    def scaled(A, x):
        return ef.sum(A[i, k] * x[k], over=k)[i]

    into = A.data[:3]
    assert scaled(A, np.ones(3), out=into) is into and into.tolist() == [1, 2, 3]
    assert scaled(A, np.array([1.0, 1, 2]), out=A.data).tolist() == [1, 2, 6]

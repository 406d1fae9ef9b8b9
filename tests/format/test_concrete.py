"""The rewrite over stored arrays: which reductions go through stored entries, what is read densely, what is told."""

import numpy as np
import pytest
import scipy.sparse

import einfall as ef
from einfall.cascade.text import text
from einfall.format.concrete import concretised, with_patterns
from einfall.front.arguments import collect
from tests.differential.heights import assert_agrees_at_every_height

d, i, j, k = ef.ranks("d i j k")
A = scipy.sparse.csr_array(np.float32([[0, 1, 2, 0], [0, 0, 0, 0], [3, 0, 0, 4]]))
X, Q = np.ones((4, 5), np.float32), np.ones((3, 5), np.float32)
longest = ef.Monoid(lambda a, b: ef.where(abs(a) > abs(b), a, b), 0.0)


def concrete(function, *args):
    """The program over stored arrays."""
    kernel = ef.kernel(function)
    arguments = collect(kernel.signature, "f", args, {})
    cascade = with_patterns(kernel.program(arguments).cascade, arguments.layouts)
    return concretised(cascade, arguments.layouts)


def test_a_product_goes_through_stored_entries():
    made = concrete(lambda A, X: ef.sum(A[i, k] * X[k, j], over=k)[i, j], A, X)
    assert text(made.cascade) == """\
def unnamed(A: f32[2], X: f32[2], A_pos: i32[1], A_crd: i32[1], A_value: f32[1], A_span: bool[1]):
    t1[i] = cast(A_pos[i], i64)
    t2[i, k_A] = t1[i] + k_A
    t3[i, j] = sum[k_A < A_span.shape[0]](where(k_A < cast(A_pos[inside(i + 1)], i64) - t1[i], A_value[t2[i, k_A]], 0.0) * X[inside(cast(A_crd[t2[i, k_A]], i64)), j])
    return tensor[i < A.shape[0], j < X.shape[1]](t3[i, j])
"""  # noqa: E501
    assert [use[1:] for use in made.uses] == [("A", (0, 1), part) for part in ("pos", "crd", "value", "span")]
    assert made.notes == ("reductions over k go through the stored entries of A (csr)",)


def test_a_product_with_codes_goes_through_blocks():
    form = ef.Format([ef.Dense(), ef.Dense()], codec=ef.Scaled(ef.Int(4), group=64))
    W, x = ef.pack(np.ones((3, 128)), form), np.ones(128, np.float32)
    made = concrete(lambda W, x: ef.sum(W[i, k] * x[k], over=k)[i], W, x)
    lines = text(made.cascade).splitlines()
    assert "sum[k_block < 2]((cast(W_code[i, k_group, k_block, k_lane] & 15, f32) - 8.0) * x[inside(" in lines[2]
    assert lines[3:] == [
        "    t3[i, k_lane] = sum[k_group < W_code.shape[1]](cast(W_scale[i, k_group], f32) * t2[i, k_group, k_lane])",
        "    t4[i] = sum[k_lane < 16](t3[i, k_lane])",
        "    return tensor[i < W.shape[0]](t4[i])"]
    names = [item.name for item in made.cascade.inputs]
    assert names == ["W", "x", "W_code", "W_scale"] and not made.notes


BOTH = "A is made dense in each call: "
DENSE = {
    "elements": (lambda A: (A[i, k] + 1)[i, k], BOTH + "it is read where no reduction"),
    "a sum of what is not 0": (lambda A: ef.sum(A[i, k] + 1, over=k)[i],
                               BOTH + "the elements of sum over k are not 0.0"),
    "a maximum": (lambda A: ef.max(A[i, k], over=k)[i], BOTH + "the elements of max over k are not -inf"),
    "a product with what is present": (
        lambda A: ef.sum(ef.where(ef.exp(k * 1.0) > 3, 0.0, A[i, k]) * k, over=k)[i], BOTH + "the elements of sum"),
    "a scan": (lambda A: ef.cumsum(A[i, k], over=k)[i, k], BOTH),
    "a diagonal": (lambda A: ef.sum(A[k, k + 0], over=k.of(3)), BOTH),
}


@pytest.mark.parametrize("name", DENSE)
def test_what_is_read_densely_is_told(name):
    function, expected = DENSE[name]
    notes = concrete(function, A).notes
    assert any(note.startswith(expected) for note in notes)


SPARSE = {
    "a count": lambda A: ef.sum(ef.stored(A[i, k]), over=k)[i],
    "any": lambda A: ef.any(ef.stored(A[i, k]) & (k < 2), over=k)[i],
    "a maximum of what is stored": lambda A: ef.max(ef.where(ef.stored(A[i, k]), A[i, k], -ef.inf), over=k)[i],
    "columns": lambda A: ef.sum(A[i, k], over=i)[k],
    "both": lambda A: ef.sum(abs(A[i, k]) * 2, over=(i, k)),
    "a softmax": lambda A: ef.sum(ef.softmax(ef.where(ef.stored(A[i, k]), A[i, k], -ef.inf), over=k) * k, over=k)[i],
    "a tensor made inside": lambda A: ef.sum((A[i, k] * 2)[k, i][k, i] / 3, over=k)[i],
    "a branch": lambda A: ef.sum(ef.where(k < i, A[i, k], 0), over=k)[i],
    "in the order of rows": lambda A: ef.reduce(A[i, k] * 2, over=(i, k), by=longest)[()],
    "in the order of columns": lambda A: ef.reduce(A[i, k] * 2, over=(k, i), by=longest)[()],
    "a quotient": lambda A: ef.prod(ef.exp(A[i, k] / (k + 1)), over=k)[i],
}


@pytest.mark.parametrize("name", SPARSE)
def test_what_goes_through_stored_entries_reads_nothing_else(name):
    made = concrete(SPARSE[name], A)
    assert {use.part for use in made.uses} <= {"pos", "crd", "value", "span"}


def test_another_order_is_told():
    by_columns = concrete(lambda A: ef.sum(A[i, 1], over=i)[()], A)
    assert by_columns.notes == (
        "reductions over i go through the stored entries of A (csr)",
        "A is sorted anew in each call, as its axis 0 is reduced: it is stored in the order of axes 0, 1")
    assert {use.form for use in by_columns.uses} == {(1, 0)}
    assert len(concrete(lambda A: ef.sum(A[i, k], over=i)[k], A.tocsc()).notes) == 1


def test_entries_are_brought_to_their_coordinates():
    to_columns = concrete(lambda A: ef.sum(A[i, k], over=i)[k], A)
    assert to_columns.notes == ("reductions over i go through the stored entries of A, each to its k (csr)",)
    assert {use.form for use in to_columns.uses} == {(0, 1)}


TO_COLUMNS = {
    "a product": lambda A: ef.sum(A[i, k] * (i + 1.5), over=i)[k],
    "a product of matrices": lambda A: ef.sum(A[i, k] * (i + j), over=i)[k, j.of(3)],
    "the largest": lambda A: ef.max(ef.where(ef.stored(A[i, k]), A[i, k], -ef.inf), over=i)[k],
    "how many": lambda A: ef.sum(ef.where(ef.stored(A[i, k]), 1, 0), over=i)[k],
    "a softmax": lambda A: ef.sum(ef.softmax(ef.where(ef.stored(A[i, k]), A[i, k], -ef.inf), over=i) * i, over=i)[k],
    "both sides": lambda A: (ef.sum(A[i, k] * ef.sum(A[i, j] * j, over=j), over=i))[k],
}


@pytest.mark.parametrize("name", TO_COLUMNS)
def test_columns_of_rows_agree_at_every_height(name):
    kernel = ef.kernel(TO_COLUMNS[name])
    for rows, columns in ((5, 7), (1, 1), (4, 0), (0, 4)):
        dense = (np.random.default_rng(rows).random((rows, columns)) < 0.4) * np.arange(1.0, columns + 1)
        assert_agrees_at_every_height(kernel, (scipy.sparse.csr_array(dense),))


def test_products_of_products_are_kept():
    """What several entries share is computed once: no positions are gone through inside of others."""
    m, n = ef.ranks("m n")

    def written_together(A, X):
        return ef.sum(A[i, k] * ef.sum(A[k, m] * ef.sum(A[m, n] * X[n, j], over=n), over=m), over=k)[i, j]

    def by_tensors(A, X):
        for _ in range(3):
            X = ef.sum(A[i, k] * X[k, j], over=k)[i, j]
        return X

    square = scipy.sparse.csr_array(np.float32([[0, 1, 2], [0, 0, 0], [3, 0, 4]]))
    for function in (written_together, by_tensors):
        kernel = ef.kernel(function)
        assert np.allclose(kernel(square, X[:3]), square @ (square @ (square @ X[:3])))
        depth, open_ = 0, []
        for line in kernel.lower(square, X[:3]).schedule.splitlines():
            indent = len(line) - len(line.lstrip())
            open_ = [at for at in open_ if at < indent] + [indent] * ("_A in sequential" in line)
            depth = max(depth, len(open_))
        assert depth == 1


def test_dependent_reductions_meet_on_one_rank():
    def attention(A, Q, X):
        S = ef.where(ef.stored(A[i, k]), ef.sum(Q[i, d] * X[k, d], over=d), -ef.inf)
        P = ef.exp(S - ef.max(S, over=k))
        return (ef.sum(P * X[k, j], over=k) / ef.sum(P, over=k))[i, j]

    derived = ef.kernel(attention).lower(A, Q, X).derivation
    assert "one sweep over k_A < A_span.shape[0] instead of 2" in derived


def test_without_formats_nothing_changes():
    kernel = ef.kernel(lambda A: ef.sum(A[i, k], over=k)[i])
    program = kernel.trace(X).cascade
    assert with_patterns(program, {}) is program and concretised(program, {}).cascade is program
    everywhere = ef.kernel(lambda A: ef.sum(ef.where(ef.stored(A[i, k]), A[i, k], 7), over=k)[i])
    assert with_patterns(everywhere.trace(X).cascade, {}) is program
    assert everywhere(X).tolist() == [5] * 4


def test_what_explain_says():
    kernel = ef.kernel(lambda A: (ef.sum(A[i, k], over=k)[i], ef.max(A[i, k], over=k)[i]))
    notes = kernel.explain(A).notes
    assert notes[0] == "reductions over k go through the stored entries of A (csr)"
    assert notes[1].startswith("A is made dense in each call: the elements of max over k are not -inf where A stores")


def test_rows_that_are_not_there_are_found():
    taken = ef.kernel(lambda A, rows: ef.sum(A[rows[j], k], over=k)[j])
    assert taken(A, np.array([0, 2, 2])).tolist() == [3, 7, 7]
    for wrong in (-1, 3, 2**40):
        with pytest.raises(ef.BoundsError, match=f"index {wrong} is out of range for axis 0 of A"):
            taken(A, np.array([1, wrong]))
    guarded = ef.kernel(lambda A, rows: ef.sum(ef.where(rows[j] < 3, A[rows[j], k], 0) * k, over=k)[j])
    assert guarded(A, np.array([0, 7, 2])).tolist() == [5, 0, 12]
    absent = ef.kernel(lambda A, rows: ef.sum(ef.where(rows[j] < 3, 1.0, 0.0) * A[rows[j], k], over=k)[j])
    assert absent(A, np.array([0, 7, 2])).tolist() == [3, 0, 7]
    (check,) = taken.prepared(collect(taken.signature, "f", (A, np.array([0, 2])), {})).checks
    assert not check.machine.uses, "these faults do not depend on what is stored"


def test_what_is_padded_counts_beyond_its_axes():
    padded = ef.kernel(lambda A: ef.sum(A.pad(1.0)[i.of(4) + 1, k], over=k)[i])
    assert padded(A).tolist() == [0, 7, 4, 4]
    assert_agrees_at_every_height(padded, (A,))

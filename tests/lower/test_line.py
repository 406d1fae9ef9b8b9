"""The straight line: what a sum, a matrix product, a softmax and attention become."""

import numpy as np
import pytest

import einfall as ef
from einfall.front.kernel import measured
from tests.differential.heights import HEIGHTS, assert_agrees_at_every_height
from tests.tolerance import assert_agrees

b, h, i, j, k, q, d, e, n = ef.ranks("b h i j k q d e n")


@ef.kernel
def add(A, B):
    return (A[i, j] + B[i, j])[i, j]


@ef.kernel
def product(A, B):
    return ef.sum(A[i, k] * B[k, j], over=k)[i, j]


@ef.kernel
def softmax(A):
    return ef.softmax(A[i, j], over=j)[i, j]


@ef.kernel
def attention(Q, K, V):
    S = ef.sum(Q[b, h, q, d] * K[b, h, k, d], over=d) / ef.sqrt(d.extent)
    S = ef.where(k <= q, S, -ef.inf)
    P = ef.exp(S - ef.max(S, over=k))
    O = ef.sum(P * V[b, h, k, e], over=k) / ef.sum(P, over=k)
    return O[b, h, q, e]


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def test_a_matrix_product_goes_through_panels_with_six_rows_at_a_time():
    assert product.lower(normal(20, 30), normal(30, 40)).schedule.startswith("""\
def product(A: f32[2], B: f32[2]):
    out = output(f32, A.shape[0], B.shape[1])
    for j_panel in parallel(B.shape[1] // 64):
        for i in parallel(A.shape[0] // 6):
            for j in vector(64):
                for k in sequential(A.shape[1], a_0=f32(0.0), a_1=f32(0.0), a_2=f32(0.0), a_3=f32(0.0), \
a_4=f32(0.0), a_5=f32(0.0)):
                    v1 = i * 6
                    v2 = B[k, j_panel * 64 + j]
                    fold(sum_x6, a_0=A[v1, k] * v2, a_1=A[v1 + 1, k] * v2, a_2=A[v1 + 2, k] * v2, \
a_3=A[v1 + 3, k] * v2, a_4=A[v1 + 4, k] * v2, a_5=A[v1 + 5, k] * v2)
                out[i * 6, j_panel * 64 + j] = a_0
""")


def test_the_lanes_are_where_memory_lies_side_by_side():
    schedule = product.lower(normal(11, 30), normal(40, 30).T).schedule
    assert "for k in vector" in schedule and "for j in vector" not in schedule


def test_what_is_read_often_is_staged():
    """Columns that lie apart are copied if there are rows enough, panels if there are more; no result knows."""
    for rows, staged in [(1, False), (11, False), (20, True)]:
        lowered = product.lower(normal(rows, 30), normal(70, 30).T)
        assert ("B_staged[j_panel, k, j]" in lowered.schedule) is staged, rows
    for rows, staged in [(255, False), (256, True)]:
        lowered = product.lower(normal(rows, 30), normal(30, 70))
        assert ("B_staged[j_panel, k, j]" in lowered.schedule) is staged, rows
    for rows in (20, 100, 300):
        for B in (normal(70, 30).T, normal(30, 70)):
            A = normal(rows, 30)
            _, (expected,) = measured(product, (A, B), {})
            assert_agrees(product(A, B), expected)


def test_softmax_keeps_a_row_and_runs_three_sweeps():
    assert softmax.lower(normal(20, 30)).schedule == """\
def softmax(A: f32[2]):
    out = output(f32, A.shape[0], A.shape[1])
    for i in parallel(A.shape[0]):
        w = workspace(f32, A.shape[1])
        for j_3 in vector(A.shape[1], a=f32(-inf)):
            fold(max, a=A[i, j_3])
        for j_2 in vector(A.shape[1]):
            w[j_2] = exp(A[i, j_2] - a)
        for j_4 in vector(A.shape[1], a_2=f32(0.0)):
            fold(sum, a_2=w[j_4])
        for j in vector(A.shape[1]):
            out[i, j] = w[j] / a_2
"""


QUICK = {(np.float32, 3), (np.float32, 13), (np.int64, 3)}  # a type and the rows


@pytest.mark.parametrize("dtype, rows, columns, inner", [
    pytest.param(dtype, *shape, marks=() if (dtype, shape[0]) in QUICK else pytest.mark.slow)
    for dtype in (np.float32, np.int64)  # others: tests/differential/test_types.py
    for shape in [(5, 7, 3), (1, 1, 1), (0, 3, 2), (3, 0, 2), (3, 2, 0), (17, 16, 33), (13, 131, 3)]])
def test_products_of_every_shape_and_type(rows, columns, inner, dtype):
    A, B = normal(rows, inner) * 9, normal(inner, columns) * 9
    assert_agrees_at_every_height(product, (A.astype(dtype), B.astype(dtype)))
    assert_agrees_at_every_height(add, (A.astype(dtype), A.astype(dtype)))


@pytest.mark.parametrize("view", [
    lambda x: x.T, lambda x: x[::-1, ::2], lambda x: x[:, 1:], lambda x: np.broadcast_to(x[:1], x.shape),
    np.asfortranarray, lambda x: x[::-2, ::-1],
])
def test_any_strides_without_a_copy(view):
    A = view(normal(6, 6))
    assert_agrees_at_every_height(add, (A, A))
    assert_agrees_at_every_height(softmax, (A,))


def test_unaligned_arrays():
    packed = np.zeros(5, dtype=[("tag", "i1"), ("x", "f8"), ("y", "f4")])
    packed["x"], packed["y"] = np.arange(5), np.arange(5) * 0.5

    @ef.kernel
    def f(x, y):
        return (x[n] * y[n])[n]

    assert f(packed["x"], packed["y"]).tolist() == [0, 0.5, 2, 4.5, 8]


def test_one_compilation_serves_every_size():
    @ef.kernel
    def f(A, B):
        return ef.sum(A[i, k] * B[k, j], over=k)[i, j]

    for size in range(17, 60, 5):
        A, B = normal(size, size + 1), normal(size + 1, 20)
        _, expected = measured(f, (A, B), {})
        assert_agrees(f(A, B), expected[0])
    assert len(f.machines) == 1 and len(f.programs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("size", range(17, 60, 5))
def test_every_size_agrees_at_every_height(size):
    """The same sizes; the interpreters of nest and tile go through the smaller products element by element."""
    A, B = normal(size, size + 1), normal(size + 1, 20)
    heights = [height for height in HEIGHTS if size < 40 or height not in ("nest", "tile")]
    assert_agrees_at_every_height(product, (A, B), heights=heights)


def test_torch_in_and_out():
    torch = pytest.importorskip("torch")
    x = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    result = add(x, x.T.contiguous().T)
    assert isinstance(result, torch.Tensor) and torch.equal(result, x + x)


def test_results_have_the_type_of_the_program():
    A = normal(2, 3)
    assert add(A, A).dtype == np.float32
    assert product(A.astype(np.int32), A.T.astype(np.int32)).dtype == np.int64
    assert product(A, A.T.astype(np.float64)).dtype == np.float64


def test_every_height_has_a_text():
    lowered = attention.lower(*normal(3, 1, 2, 50, 40))
    assert lowered.cascade.startswith("def attention(Q: f32[4]")
    assert "b, h, q = grid(1, 2, Q.shape[2] // 6)" in lowered.tiles
    assert "define void @einfall.attention" in lowered.source
    assert list(lowered.times) == ["derive", "unfold", "project", "once", "cascade_to_nest", "specialise", "fuse",
                                   "vectors", "copies", "tiles", "nest_to_tile", "emit", "llvm"]


def test_a_poisoned_workspace_is_never_read():
    """Runs the line on causal attention with NaN behind the mask."""
    Q, K, V = normal(3, 1, 1, 4, 3)
    V = V.copy()
    V[0, 0, 3] = np.nan
    assert_agrees_at_every_height(attention, (Q, K, V))
    assert np.isfinite(attention(Q, K, V)[0, 0, :3]).all()


@ef.kernel
def columns_above(A):
    return ef.sum(ef.where(i <= j, A[i, j], 0.0), over=i)[j]


@ef.kernel
def ragged_columns(A, length):
    """A sum and a scan over as many rows of each column as its length says."""
    x = ef.where(i < length[j], A[i, j], 0.0)
    steps = ef.scan(lambda s: s * 0.5 + A[i, j], over=i, init=0.0)
    return ef.sum(x, over=i)[j], ef.max(ef.where(i < length[j], steps * x, -ef.inf), over=i)[j]


@ef.kernel
def smoothed(A):
    near = i.of(A.shape[0]) + k.of(5) - 2
    return ef.sum(ef.where((near >= 0) & (near < A.shape[0]), A.pad(0.0)[near, j] * (k + 1), 0.0), over=k)[j, i]


@pytest.mark.parametrize("columns", [0, 1, 17, *(
    pytest.param(count, marks=pytest.mark.slow) for count in (15, 16, 70))])
def test_lanes_of_different_lengths(columns):
    """The lanes of a group go on until the longest ends; those that rest read nothing and change nothing."""
    A = normal(23, columns)
    assert columns < 17 or "for j in vector" in columns_above.lower(A).schedule
    A[np.arange(23)[:, None] > np.arange(columns)] = np.nan
    assert_agrees_at_every_height(columns_above, (A,))
    length = np.random.default_rng(0).integers(-1, 26, columns).astype(np.int32)
    A = normal(23, columns)
    assert_agrees_at_every_height(ragged_columns, (A, length))
    assert_agrees_at_every_height(smoothed, (normal(columns, 3),))
    assert_agrees_at_every_height(smoothed, (normal(3, columns),))


def test_one_loop_in_lanes_is_cut_for_the_threads():
    lowered = add.lower(normal(1, 9000), normal(1, 9000))
    assert "i, j_strip = grid(1, (A.shape[1] + 4095) // 4096)" in lowered.tiles
    assert "j_strip = grid((A.shape[1] + 63) // 64)" in columns_above.lower(normal(37, 9000)).tiles


@ef.kernel
def column_statistics(A, x):
    return ef.sum(A[i, j] * x[i], over=i)[j], ef.max(A[i, j], over=i)[j], ef.var(A[i, j], over=i)[j]


@pytest.mark.parametrize("shape", [(0, 30), (30, 0), (20, 17), *(
    pytest.param(shape, marks=pytest.mark.slow) for shape in [(1, 70), (17, 35)])])
def test_columns_are_reduced_row_by_row(shape):
    A, x = normal(*shape), normal(shape[0])
    if shape[0] > 16 and shape[1] > 16:
        schedule = column_statistics.lower(A, x).schedule
        assert "w[j_] = w[j_] + A[i, j_strip * 16384 + j_] * x[i]" in schedule
    A[A > 2] = np.nan
    assert_agrees_at_every_height(column_statistics, (A, x))


@pytest.mark.slow
def test_fifty_sizes_are_compiled_at_most_three_times():
    copy = ef.kernel(attention.function)
    for size in range(17, 667, 13):
        copy(*normal(3, 1, 2, size, 24))
    assert sum(map(len, copy.machines.values())) <= 3

"""Reductions of what came before each point become one scan, and mean what they mean as written."""

import pathlib

import numpy as np
import pytest

import einfall as ef
from einfall.base.node import postorder
from einfall.cascade.nodes import Reduce, Scan
from einfall.derive.derive import derive
from einfall.derive.text import text
from einfall.front.kernel import measured
from tests.differential.heights import assert_agrees_at_every_height
from tests.tolerance import assert_agrees

k, t, b, d = ef.ranks("k t b d")
GOLDENS = pathlib.Path(__file__).parent / "expected"


@ef.kernel
def log_cumulative_sum_exp(X):
    x = ef.where(k <= t.of(k.extent), X[b, k], -ef.inf)
    m = ef.max(x, over=k)
    total = ef.sum(ef.exp(x - m), over=k)
    return (m + ef.log(total))[b, t]


@ef.kernel
def running_variance(X):
    n = t.of(k.extent) + 1
    mean = ef.sum(ef.where(k < n, X[b, k], 0), over=k) / n
    return (ef.sum(ef.where(t >= k, (X[b, k] - mean) ** 2, 0), over=k) / n)[b, t], mean[t, b]


@ef.kernel
def what_follows(X, W):
    """From the end, the point itself not counted, over two ranks; and elements of which some are left out."""
    after = (k > t.of(k.extent)) & (W[k] > 0)
    highest = ef.max(ef.where(after, X[k, d], -ef.inf), over=(d, k))
    return ef.sum(ef.where(after, ef.exp(X[k, d] - highest), 0), over=(d, k))[t], ef.any(
        (t < k) & (W[k] < 0), over=k)[t], ef.min(ef.where(k - 1 >= t, X[k, d], ef.inf), over=k)[d, t]


@ef.kernel
def running_softmax_average(S, V):
    """A mean with weights, both of the same points: attention without a query."""
    s = ef.where(k <= t.of(k.extent), S[b, k], -ef.inf)
    p = ef.exp(s - ef.max(s, over=k))
    return (ef.sum(p * V[b, k, d], over=k) / ef.sum(p, over=k))[b, t, d]


PROGRAMS = ((log_cumulative_sum_exp, ("bk",)), (running_variance, ("bk",)), (what_follows, ("kd", "k")),
            (running_softmax_average, ("bk", "bkd")))


def arguments(shapes, length: int, dtype) -> list[np.ndarray]:
    sizes = {"b": 2, "k": length, "d": 3}
    rng = np.random.default_rng(length)
    return [rng.standard_normal([sizes[axis] for axis in shape]).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(("kernel", "shapes"), PROGRAMS, ids=lambda item: getattr(item, "__name__", ""))
def test_nothing_is_left_that_goes_through_all_points_for_each(kernel, shapes):
    cascade = derive(kernel.trace(*arguments(shapes, 40, np.float64)).cascade).cascade
    left = [node for node in postorder(*cascade.outputs) if isinstance(node, Reduce | Scan)]
    assert any(isinstance(node, Scan) for node in left)
    assert not any(rank.name == "k" for node in left if isinstance(node, Reduce) for rank in node.ranks)


@pytest.mark.parametrize("length", [0, 1, 2, 40])
@pytest.mark.parametrize(("kernel", "shapes"), PROGRAMS, ids=lambda item: getattr(item, "__name__", ""))
def test_every_height_agrees(kernel, shapes, length):
    for dtype in (np.float32, np.float64):
        assert_agrees_at_every_height(kernel, tuple(arguments(shapes, length, dtype)))


def test_what_comes_later_is_not_seen():
    X = np.ones((1, 40), dtype=np.float32)
    X[0, 30:] = np.nan
    for result in (log_cumulative_sum_exp(X), running_variance(X)[0]):
        assert np.isfinite(result[0, :30]).all()
        assert np.isnan(result[0, 30:]).all()


@ef.kernel
def last_index(A, table):
    """The last element is no index, and no point reads it."""
    return ef.sum(ef.where(k < t.of(k.extent), table[A[k]], 0), over=k)[t]


def test_what_no_point_reads_is_not_read():
    A = np.arange(40) % 3
    A[-1] = 2**40
    table = np.array([1.0, 10.0, 100.0])
    assert np.array_equal(last_index(A, table), np.cumsum(table[A[:-1]])[np.maximum(np.arange(40) - 1, 0)] * (
        np.arange(40) > 0))


@ef.kernel
def seen_from_each_point(X):
    """Elements that differ with the point, windows, and points of another length are reductions for each point."""
    before = k <= t.of(k.extent)
    return (ef.sum(ef.where(before, X[k] * X[t], 0), over=k)[t],
            ef.sum(ef.where(before & (k > t - 3), X[k], 0), over=k)[t],
            ef.sum(ef.where(k <= d.of(k.extent + 1), X[k], 0), over=k)[d])


def test_other_reductions_stay():
    X = np.random.default_rng(0).standard_normal(40)
    assert derive(seen_from_each_point.trace(X).cascade).running is None
    assert_agrees_at_every_height(seen_from_each_point, (X,))


@pytest.mark.parametrize("kernel", [log_cumulative_sum_exp, running_variance], ids=lambda kernel: kernel.__name__)
def test_the_text_says_what_the_scan_does(kernel, request):
    program = kernel.trace(np.ones((2, 40)))
    shown = text(derive(program.cascade), program.cascade, program.names)
    golden = GOLDENS / f"{kernel.__name__}.txt"
    if request.config.getoption("--accept"):
        golden.write_text(shown)
    assert shown == golden.read_text()


@pytest.mark.slow
def test_long_sums_keep_their_digits():
    """Added one by one in f32, a million numbers would lose three digits."""
    X = np.random.default_rng(5).choice(np.array([0.1, 0.3], dtype=np.float32), (1, 2**20))
    rows = [0, 1000, 2**20 - 1]
    _, (variance, mean) = measured(running_variance, (X,), {}, {t: rows})
    found = running_variance(X)
    assert_agrees(found[0][:, rows], variance)
    assert_agrees(found[1][rows], mean)


@ef.kernel
def of_each_other(X):
    """A running sum of running sums, with a running maximum that only some elements count in."""
    total = ef.sum(ef.where(k <= t.of(k.extent), X[k], 0), over=k)
    some = (k <= t) & (X[k] > 0)
    top, highest = ef.max(ef.where(some, X[k], -ef.inf), over=k), ef.max(ef.where(k <= t, X[k], -ef.inf), over=k)
    part = ef.sum(ef.where(some, ef.exp(X[k] - top) * ef.exp(X[k] - highest) * total, 0), over=k)
    return ef.sum(ef.where(t <= d.of(t.extent), total, 0), over=t)[d], part[t]


def test_running_reductions_of_each_other():
    X = np.random.default_rng(2).standard_normal(30)
    assert_agrees_at_every_height(of_each_other, (X,))
    assert of_each_other.lower(X).derivation.count("one scan over") >= 2

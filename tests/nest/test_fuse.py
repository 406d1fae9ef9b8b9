"""Reductions over the same indices make their steps together where nothing is in the way."""

import numpy as np
import pytest

import einfall as ef
from einfall.nest import schedule
from einfall.nest.fuse import fuse, legal_fuse
from einfall.nest.run import run
from einfall.nest.text import parse, text
from einfall.scalar.memory import Loop
from tests.differential.heights import assert_agrees_at_every_height

APART = """
def f(X: f32[1]):
    out = output(f32, 3)
    for k in sequential(X.shape[0], a=f32(0.0)):
        fold(sum, a=X[k])
    for k_2 in sequential(X.shape[0], b=f32(-inf)):
        fold(max, b=X[k_2] * 2.0)
    for k_3 in sequential(X.shape[0], c=f32(0.0)):
        fold(sum, c=X[k_3] * b)
    out[0] = a
    out[1] = b
    out[2] = c
"""
X = np.arange(5, dtype=np.float32) - 2


def loops(nest) -> list[Loop]:
    return [statement for statement in nest.body if isinstance(statement, Loop)]


def test_loops_that_do_not_read_each_other_become_one():
    nest = parse(APART)
    made = fuse(nest, 6)
    assert [len(loop.carried) for loop in loops(made)] == [2, 1]  # the third reads what the second gives
    assert parse(text(made)) is made
    (before,), (after,) = run(nest, {"X": X}, {}), run(made, {"X": X}, {})
    np.testing.assert_array_equal(before, after)


def test_a_loop_carries_at_most_so_many_values():
    assert len(loops(fuse(parse(APART), 1))) == 3


@pytest.mark.parametrize(("change", "reason"), [
    (("k_2 in sequential(X.shape[0]", "k_2 in sequential(2"), "loops k and k_2 have different lengths"),
    (("X[k_2] * 2.0", "X[k_2] * a"), "loop k_2 reads what loop k gives"),
])
def test_refusals(change, reason):
    first, second, _ = loops(parse(APART.replace(*change)))
    assert legal_fuse(first, second).reason == reason


def test_order_that_matters_and_stores_are_refused():
    i, k = ef.ranks("i k")
    last = ef.Monoid(lambda a, b: b, 0.0, commutative=False)

    @ef.kernel
    def sums(A):
        return ef.reduce(A[i, k], over=k, by=last)[i]

    nest = parse(sums.lower(np.ones((20, 30), np.float32)).schedule)
    outer, inner = schedule.loops(nest)["i"], schedule.loops(nest)["k"]
    assert legal_fuse(inner, inner).reason == "loop k is not a reduction whose order is free"
    assert legal_fuse(outer, outer).reason == "loop i is not a reduction whose order is free"


def test_mean_and_variance_of_a_long_row_share_their_loads():
    i, k = ef.ranks("i k")

    @ef.kernel
    def variance(A):
        return ef.var(A[i, k], over=k)[i]

    text = variance.lower(np.ones((1, 400_000), np.float32)).schedule
    assert text.count("fold(") == 2  # the mean, then the squares with their residue
    assert "fold(sum_x2" in text


def test_loops_meet_past_what_they_do_not_read():
    i, k = ef.ranks("i k")

    @ef.kernel
    def extent_of_values(A):
        lowest, highest, total = (f(A[i, k], over=(i, k)) for f in (ef.min, ef.max, ef.sum))
        return lowest[()], highest[()], total[()], ef.sum(A[i, k], over=k)[i], ef.max(A[i, k], over=k)[i]

    A = np.random.default_rng(0).standard_normal((20, 30))
    text = extent_of_values.lower(A).schedule
    assert text.count("fold(") == 2  # of all elements, and of those of a row
    assert text.count("for i") == 2
    assert_agrees_at_every_height(extent_of_values, (A,))


BETWEEN = """
def f(X: f32[1]):
    out = output(f32, 2)
    for i in parallel(2):
        for k in sequential(X.shape[0], a=f32(0.0)):
            fold(sum, a=X[k])
        w = workspace(f32, X.shape[0])
        for k_3 in sequential(X.shape[0]):
            w[k_3] = X[k_3] * 2.0
        for k_2 in sequential(X.shape[0], b=f32(0.0)):
            fold(sum, b=w[k_2])
        out[i] = a + b
"""


def test_loops_stay_behind_what_they_read():
    nest = parse(BETWEEN)
    assert fuse(nest, 6) is nest
    assert len(schedule.loops(fuse(parse(BETWEEN.replace("b=w[k_2]", "b=X[k_2]")), 6))) == 3


def test_values_do_not_pass_a_grid():
    """A parallel loop at the top is a program of its own."""
    grids = BETWEEN.replace("for i in parallel(2)", "for i in sequential(1)").replace("\n        ", "\n    ").replace(
        "    for i in sequential(1):\n", "").replace("k_3 in sequential", "k_3 in parallel").replace("[i]", "[0]")
    nest = parse(grids.replace("b=w[k_2]", "b=X[k_2]"))
    assert fuse(nest, 6) is nest


def test_monoids_of_several_components_side_by_side():
    """Each keeps its own sides, also where another stands before it."""
    k = ef.ranks("k")

    @ef.kernel
    def scored(A, B):
        place, carried = ef.argmin(A[k] % 3, over=k, carry=B[k])
        return ef.sum(B[k], over=k)[()], place[()], carried[()], ef.argmax(B[k], over=k)[()]

    A, B = np.array([4, 2, 3, 5, 0, 6]), np.arange(6.0)
    assert scored.lower(A, B).schedule.count("fold(") == 1
    assert_agrees_at_every_height(scored, (A, B))

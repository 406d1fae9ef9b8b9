"""Schedule primitives: what they make of a nest, and when they refuse."""

import numpy as np
import pytest

from einfall.nest.run import run
from einfall.nest.schedule import (
    legal_split_outside,
    legal_strip,
    legal_unroll_and_jam,
    legal_vectorise,
    loops,
    specialise,
    split_outside,
    strip,
    unroll_and_jam,
    vectorise,
)
from einfall.nest.text import parse, text

ROWS = parse("""\
def rows(A: f32[2]):
    out = output(f32, A.shape[0])
    last = output(f32, A.shape[0])
    for i in parallel(A.shape[0]):
        w = workspace(f32, A.shape[1])
        for j in parallel(A.shape[1]):
            w[j] = A[i, j] * 2.0
        for k in sequential(A.shape[1], a=f32(0.0)):
            fold(sum, a=w[k])
        for t in sequential(A.shape[1], s=f32(0.0)):
            carry(s=s * f32(0.5) + A[i, t])
        for p in sequential(A.shape[1], c=f32(1.0)):
            fold(monoid(f32(1.0), right_0 * left_0, commutative=False, name='after'), c=A[i, p])
        for n in parallel(A.shape[1]):
            last[i] = s
        out[i] = a + c
""")


def test_vectorise_changes_the_kind_of_one_loop():
    before, after = text(ROWS), text(vectorise(ROWS, "j"))
    assert after == before.replace("for j in parallel", "for j in vector")
    assert parse(after) is vectorise(ROWS, "j")
    assert text(vectorise(ROWS, "k")) == before.replace("for k in sequential", "for k in vector")


@pytest.mark.parametrize("name, reason", [
    ("i", "loop i has a workspace, w, of its own"),
    ("t", "a step of loop t needs the one before it"),
    ("p", "the elements of loop p come together in order: after"),
    ("n", "the lanes of loop n would write one element of last"),
])
def test_vectorise_refuses_with_a_reason(name, reason):
    assert legal_vectorise(loops(ROWS)[name]).reason == reason
    with pytest.raises(ValueError, match=reason):
        vectorise(ROWS, name)


def test_one_vector_loop_on_a_way():
    nest = vectorise(parse("""\
def f(A: f32[2]):
    out = output(f32, A.shape[0], A.shape[1])
    for i in parallel(A.shape[0]):
        for j in parallel(A.shape[1]):
            out[i, j] = A[i, j]
"""), "j")
    assert legal_vectorise(loops(nest)["j"]).reason == "loop j is a vector loop already"
    assert legal_vectorise(loops(nest)["i"]).reason == "loop i holds a vector loop"


SUMS = """\
def sums(x: f32[2]):
    out = output(f32, x.shape[0])
    for i in parallel(x.shape[0]):
        for k in sequential(x.shape[1], a=f32(0.0)):
            fold(sum, a=x[i, k])
        out[i] = a
"""


def test_a_strip_has_workspaces_with_an_axis_for_its_lanes():
    nest = vectorise(strip(parse(KEPT), "i", 4), "i")
    assert text(nest) == """\
def kept(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0])
    for i_strip in parallel((x.shape[0] + 3) // 4):
        w = workspace(f32, y.shape[0], 4)
        for i in vector(minimum(x.shape[0] - i_strip * 4, 4)):
            for j in parallel(y.shape[0]):
                for k in sequential(x.shape[1], a=f32(0.0)):
                    fold(sum, a=x[i_strip * 4 + i, k] * y[j, k])
                w[j, i] = a
            for l in sequential(y.shape[0], b=f32(0.0)):
                fold(sum, b=w[l, i])
            out[i_strip * 4 + i] = b
"""
    assert parse(text(nest)) is nest
    rng = np.random.default_rng(0)
    for rows in (0, 1, 4, 7, 8):
        x, y = rng.standard_normal((rows, 3)), rng.standard_normal((5, 3))
        (before,), (after,) = (run(item, {"x": x, "y": y}, {}) for item in (parse(KEPT), nest))
        assert np.array_equal(before, after)


@pytest.mark.parametrize("name, reason", [
    ("t", "the iterations of loop t are not independent"),
    ("n", "the lanes of loop n would write one element of last"),
])
def test_a_strip_is_refused_with_a_reason(name, reason):
    assert legal_strip(loops(ROWS)[name]).reason == reason
    with pytest.raises(ValueError, match=reason):
        strip(ROWS, name, 4)


@pytest.mark.parametrize("index, simpler", [
    ("i * (2 + 1) + 0", "i * 3"), ("0 + i", "i"), ("i + 4 - i", "4"), ("i + 4 - 4", "i"), ("4 - (0 - 3)", "7"),
    ("(i + 9) // (2 - 2)", "(i + 9) // 0"), ("9223372036854775807 + 1", "9223372036854775807 + 1"),
    ("i + x.shape[0] - x.shape[0]", "i"), ("y.shape[0]", "5"),
])
def test_indices_are_computed_where_they_can_be(index, simpler):
    nest = parse(OUTER.replace("out[i, j]", f"out[i, {index}]"))
    assert f"out[i, {simpler}] =" in text(specialise(nest, frozenset({("y", 0, 5)})))


def test_unroll_and_jam_runs_rows_through_one_loop():
    nest = unroll_and_jam(parse(SUMS), "i", 2)
    assert text(nest) == """\
def sums(x: f32[2]):
    out = output(f32, x.shape[0])
    for i in parallel(x.shape[0] // 2):
        for k in sequential(x.shape[1], a_0=f32(0.0), a_1=f32(0.0)):
            v1 = i * 2
            fold(sum_x2, a_0=x[v1, k], a_1=x[v1 + 1, k])
        out[i * 2] = a_0
        out[i * 2 + 1] = a_1
    for i_rest in parallel(x.shape[0] - x.shape[0] // 2 * 2):
        for k_rest in sequential(x.shape[1], a_rest=f32(0.0)):
            fold(sum, a_rest=x[x.shape[0] // 2 * 2 + i_rest, k_rest])
        out[x.shape[0] // 2 * 2 + i_rest] = a_rest
"""
    assert parse(text(nest)) is nest


@pytest.mark.parametrize("rows", range(6))
def test_unroll_and_jam_keeps_the_values(rows):
    x = np.random.default_rng(rows).standard_normal((rows, 3))
    (before,), (after,) = (run(nest, {"x": x}, {}) for nest in (parse(SUMS), unroll_and_jam(parse(SUMS), "i", 3)))
    assert np.array_equal(before, after)


def test_unroll_and_jam_refuses_with_a_reason():
    assert legal_unroll_and_jam(loops(ROWS)["t"]).reason == "the iterations of loop t are not independent"
    within = parse("""\
def within(x: f32[2]):
    out = output(f32, x.shape[0])
    for i in parallel(x.shape[0]):
        for j in sequential(i, a=f32(0.0)):
            for k in sequential(i, b=a):
                fold(sum, b=x[j, k])
            carry(a=b)
        out[i] = a
""")
    with pytest.raises(ValueError, match="loops inside have other lengths in each iteration of loop i, one in another"):
        unroll_and_jam(within, "i", 2)


TRIANGLE = """\
def triangle(x: f32[2], y: f32[1]):
    out = output(f32, x.shape[0])
    for i in parallel(x.shape[0]):
        w = workspace(f32, x.shape[1])
        for j in parallel(i + 1):
            for k in sequential(y.shape[0], a=f32(0.0)):
                fold(sum, a=x[i, j] * y[k])
            w[j] = a
        for l in sequential(i + 1, b=f32(0.0)):
            fold(sum, b=w[l])
        out[i] = b
"""


def test_unroll_and_jam_goes_as_far_as_the_shortest_together():
    nest = unroll_and_jam(parse(TRIANGLE), "i", 2, frozenset("j"))
    assert """\
        v1 = i * 2 + 1
        for l in sequential(minimum(v1, v1 + 1), b_0_first=f32(0.0), b_1_first=f32(0.0)):
            fold(sum_x2, b_0_first=w_0[l], b_1_first=w_1[l])
        for l_0_last in sequential(v1 - minimum(v1, v1 + 1), b_0=b_0_first):
            fold(sum, b_0=w_0[minimum(v1, v1 + 1) + l_0_last])
        v2 = v1 + 1
        for l_1_last in sequential(v2 - minimum(v1, v2), b_1=b_1_first):
            fold(sum, b_1=w_1[minimum(v1, v2) + l_1_last])
        out[i * 2] = b_0
""" in text(nest)
    for other in (nest, unroll_and_jam(parse(TRIANGLE), "i", 3)):
        assert parse(text(other)) is other
        for rows in (0, 1, 6, 7):
            x, y = np.random.default_rng(rows).standard_normal((rows, rows)), np.arange(5.0)
            (before,), (after,) = (run(item, {"x": x, "y": y}, {}) for item in (parse(TRIANGLE), other))
            assert np.array_equal(before, after)


KEPT = """\
def kept(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0])
    for i in parallel(x.shape[0]):
        w = workspace(f32, y.shape[0])
        for j in parallel(y.shape[0]):
            for k in sequential(x.shape[1], a=f32(0.0)):
                fold(sum, a=x[i, k] * y[j, k])
            w[j] = a
        for l in sequential(y.shape[0], b=f32(0.0)):
            fold(sum, b=w[l])
        out[i] = b
"""


def test_unroll_and_jam_gives_each_row_its_own_workspace_and_leaves_loops_apart():
    nest = unroll_and_jam(parse(KEPT), "i", 2, frozenset("l"))
    assert text(nest).startswith("""\
def kept(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0])
    for i in parallel(x.shape[0] // 2):
        w_0 = workspace(f32, y.shape[0])
        w_1 = workspace(f32, y.shape[0])
        for j in parallel(y.shape[0]):
            for k in sequential(x.shape[1], a_0=f32(0.0), a_1=f32(0.0)):
                v1 = i * 2
                v2 = y[j, k]
                fold(sum_x2, a_0=x[v1, k] * v2, a_1=x[v1 + 1, k] * v2)
            w_0[j] = a_0
            w_1[j] = a_1
        for l in sequential(y.shape[0], b_0=f32(0.0)):
            fold(sum, b_0=w_0[l])
        for l_1 in sequential(y.shape[0], b_1=f32(0.0)):
            fold(sum, b_1=w_1[l_1])
        out[i * 2] = b_0
        out[i * 2 + 1] = b_1
    for i_rest in parallel(x.shape[0] - x.shape[0] // 2 * 2):
        w_rest = workspace(f32, y.shape[0])
""")
    assert parse(text(nest)) is nest
    rng = np.random.default_rng(0)
    for rows in range(5):
        x, y = rng.standard_normal((rows, 3)), rng.standard_normal((4, 3))
        (before,), (after,) = (run(item, {"x": x, "y": y}, {}) for item in (parse(KEPT), nest))
        assert np.array_equal(before, after)


OUTER = """\
def outer(x: f32[1], y: f32[1]):
    out = output(f32, x.shape[0], y.shape[0])
    for i in parallel(x.shape[0]):
        for j in vector(y.shape[0]):
            out[i, j] = x[i] * y[j]
"""


def test_split_outside_goes_through_panels():
    nest = split_outside(parse(OUTER), "i", 4)
    assert text(nest) == """\
def outer(x: f32[1], y: f32[1]):
    out = output(f32, x.shape[0], y.shape[0])
    for j_panel in parallel(y.shape[0] // 4):
        for i in parallel(x.shape[0]):
            for j in vector(4):
                v1 = j_panel * 4 + j
                out[i, v1] = x[i] * y[v1]
    for i_rest in parallel(x.shape[0]):
        for j_rest in vector(y.shape[0] - y.shape[0] // 4 * 4):
            v2 = y.shape[0] // 4 * 4 + j_rest
            out[i_rest, v2] = x[i_rest] * y[v2]
"""
    assert parse(text(nest)) is nest
    for columns in range(10):
        x, y = np.arange(3.0), np.arange(float(columns))
        assert np.array_equal(run(nest, {"x": x, "y": y}, {})[0], np.outer(x, y))


def test_split_outside_refuses_with_a_reason():
    assert legal_split_outside(loops(ROWS)["t"]).reason == "the iterations of loop t are not independent"
    with pytest.raises(ValueError, match="loop i does not hold one loop of independent iterations"):
        split_outside(ROWS, "i", 4)

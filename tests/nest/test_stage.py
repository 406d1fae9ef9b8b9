"""Staging: what is copied, in which order, and when it is refused."""

import numpy as np
import pytest

from einfall.base.node import postorder
from einfall.nest.nodes import Nest
from einfall.nest.run import run
from einfall.nest.stage import legal_stage, stage
from einfall.nest.text import parse, text
from einfall.scalar.memory import Load

PRODUCT = parse("""\
def product(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0], y.shape[0])
    for i in parallel(x.shape[0]):
        for j in parallel(y.shape[0]):
            for k in sequential(x.shape[1], a=f32(0.0)):
                fold(sum, a=x[i, k] * y[j, k])
            out[i, j] = a
""")
# a lower triangle, by portions of 4 columns
TRIANGLE = parse("""\
def triangle(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0])
    for i in parallel(x.shape[0]):
        for p in sequential((y.shape[0] + 3) // 4, s=f32(0.0)):
            for j in parallel(maximum(minimum(minimum(y.shape[0], p * 4 + 4), i + 1) - p * 4, 0)):
                for k in sequential(x.shape[1], a=f32(0.0)):
                    fold(sum, a=x[i, k] * y[p * 4 + j, k])
                out[i] = a
            carry(s=s + 1.0)
""")
GATHERED = parse("""\
def gathered(x: f32[1], t: i64[1]):
    out = output(f32, t.shape[0], x.shape[0])
    kept = output(f32, x.shape[0])
    for j in parallel(t.shape[0]):
        for n in sequential(x.shape[0], s=i64(0)):
            carry(s=s + 1)
        for i in parallel(x.shape[0]):
            kept[i] = x[i]
            out[j, i] = x[t[j]] + kept[i] + x[s]
        for m in parallel(t[j]):
            out[j, m] = x[m]
""")


def load_of(nest: Nest, name: str, *indices: str) -> Load:
    """The load of a buffer whose indices print like this."""
    (found,) = {node for node in postorder(nest) if isinstance(node, Load) and node.buffer.name == name
                and tuple(map(shown, node.indices)) == indices}
    return found


def shown(index) -> str:
    return getattr(index, "name", type(index).__name__)


def test_a_copy_has_an_axis_a_loop_and_the_named_one_last():
    nest = stage(PRODUCT, load_of(PRODUCT, "y", "j", "k"), "j")
    assert text(nest) == """\
def product(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0], y.shape[0])
    y_staged = workspace(f32, x.shape[1], y.shape[0])
    for k_staged in parallel(x.shape[1]):
        for j_staged in vector(y.shape[0]):
            y_staged[k_staged, j_staged] = y[j_staged, k_staged]
    for i in parallel(x.shape[0]):
        for j in parallel(y.shape[0]):
            for k in sequential(x.shape[1], a=f32(0.0)):
                fold(sum, a=x[i, k] * y_staged[k, j])
            out[i, j] = a
"""
    assert parse(text(nest)) is nest
    rng = np.random.default_rng(0)
    for rows, columns, depth in [(0, 3, 2), (3, 0, 2), (3, 5, 0), (4, 3, 5)]:
        inputs = {"x": rng.standard_normal((rows, depth)), "y": rng.standard_normal((columns, depth))}
        (before,), (after,) = run(PRODUCT, inputs, {}), run(nest, inputs, {})
        assert np.array_equal(before, after)


def test_loops_cut_short_by_others_are_copied_whole():
    load = next(node for node in postorder(TRIANGLE) if isinstance(node, Load) and node.buffer.name == "y")
    nest = stage(TRIANGLE, load, "j")
    assert text(nest).split("    for i in")[0] == """\
def triangle(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0])
    y_staged = workspace(f32, (y.shape[0] + 3) // 4, x.shape[1], minimum(y.shape[0], 4))
    for p_staged in parallel((y.shape[0] + 3) // 4):
        for k_staged in parallel(x.shape[1]):
            v1 = p_staged * 4
            for j_staged in vector(maximum(minimum(y.shape[0], v1 + 4) - v1, 0)):
                y_staged[p_staged, k_staged, j_staged] = y.pad(0.0)[v1 + j_staged, k_staged]
"""
    rng = np.random.default_rng(0)
    for rows, columns in [(0, 3), (3, 0), (9, 6), (6, 9), (8, 8)]:
        inputs = {"x": rng.standard_normal((rows, 3)), "y": rng.standard_normal((columns, 3))}
        (before,), (after,) = run(TRIANGLE, inputs, {}), run(nest, inputs, {})
        assert np.array_equal(before[:columns], after[:columns])


@pytest.mark.parametrize("load, name, reason", [
    (("kept", "i"), "i", "kept is not an input"),
    (("x", "Load"), "j", "where x is read depends on what is read elsewhere"),
    (("x", "s"), "j", "where x is read depends on carried values"),
    (("t", "j"), "i", "all steps of loop i read the same element of t"),
    (("x", "m"), "m", "the length of loop m has no bound by sizes"),
])
def test_a_copy_is_refused_with_a_reason(load, name, reason):
    node = load_of(GATHERED, *load)
    assert legal_stage(GATHERED, node, name).reason == reason
    with pytest.raises(ValueError, match=reason):
        stage(GATHERED, node, name)


@pytest.mark.parametrize("index, is_apart", [
    ("i", True), ("i * 16 + j", True), ("i * 16 - j", True), ("j * 2 + i * 40 - 7", True), ("i + 5 - n[0]", False),
    ("i * 15 + j", False), ("i + j", False), ("i - j", False), ("i * 50 + j * 3", True), ("i * 50 + j * 3 + k", True),
    ("i * 50 + j * 3 + k * 2", False), ("minimum(i, 4) + j", False), ("i * 16 + minimum(j, 3)", False),
    ("i * 0", False),
])
def test_a_copy_holds_no_element_twice(index, is_apart):
    nest = parse(f"""\
def apart(x: f32[1], n: i64[1]):
    out = output(f32, n.shape[0], 16, 3)
    for i in parallel(n.shape[0]):
        for j in parallel(minimum(n.shape[0], 16)):
            for k in parallel(3):
                out[i, j, k] = x[{index}]
""")
    load = next(node for node in postorder(nest) if isinstance(node, Load) and node.buffer.name == "x")
    refusal = legal_stage(nest, load, "i")
    assert (refusal is None) is is_apart, refusal

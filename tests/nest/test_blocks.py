"""Blocks: what becomes of a loop and of a grid, what the values are, and when it is refused."""

import numpy as np
import pytest

from einfall.nest.blocks import at_once, block, block_grid, legal_block, legal_block_grid
from einfall.nest.check import check
from einfall.nest.nodes import Nest
from einfall.nest.run import run
from einfall.nest.schedule import loops, replaced
from einfall.nest.text import parse, text

PRODUCT = parse("""\
def product(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0], y.shape[1])
    for i in parallel(x.shape[0]):
        for j in parallel(y.shape[1]):
            for k in sequential(x.shape[1], a=f32(0.0), b=f32(-inf)):
                fold(monoid(f32(0.0), f32(-inf), left_0 + right_0, maximum(left_1, right_1), commutative=True, \
name='both'), a=x[i, k] * y[k, j], b=x[i, k])
            out[i, j] = a + b
""")
OTHERS = parse("""\
def others(x: f32[2], n: i64[1]):
    out = output(f32, x.shape[1])
    for i in parallel(n[0]):
        w = workspace(f32, x.shape[0])
        for j in sequential(x.shape[0], a=f32(0.0)):
            w[j] = x[j, i]
            fold(sum, a=w[j])
        for k in sequential(x.shape[0], b=f32(0.0)):
            carry(b=b * x[k, i])
        out[i] = a + b
""")
TAKEN = {"x", "y", "out", "i", "j", "k", "a", "b", "product"}


def in_blocks(i: int, j: int, k: int) -> Nest:
    """The product with blocks of these lengths."""
    found = loops(PRODUCT)
    nest = replaced(PRODUCT, found["k"], lambda loop: (block(loop, k, set(TAKEN)),))
    found = loops(nest)
    by = {found["i"].variable: i, found["j"].variable: j}
    return replaced(nest, found["i"], lambda loop: (block_grid((found["i"], found["j"]), by, set(TAKEN)),))


def test_a_grid_and_a_reduction_in_blocks():
    assert text(in_blocks(4, 8, 16)) == """\
def product(x: f32[2], y: f32[2]):
    out = output(f32, x.shape[0], y.shape[1])
    for i_block in parallel((x.shape[0] + 3) // 4):
        for j_block in parallel((y.shape[1] + 7) // 8):
            for i in vector(minimum(x.shape[0] - i_block * 4, 4)):
                for j in vector(minimum(y.shape[1] - j_block * 8, 8)):
                    for k_block in sequential((x.shape[1] + 15) // 16, a=f32(0.0), b=f32(-inf)):
                        for k in vector(minimum(x.shape[1] - k_block * 16, 16), a_block=a, b_block=b):
                            v1 = k_block * 16 + k
                            v2 = x[i_block * 4 + i, v1]
                            fold(monoid(f32(0.0), f32(-inf), left_0 + right_0, maximum(left_1, right_1), \
commutative=True, name='both'), a_block=v2 * y[v1, j_block * 8 + j], b_block=v2)
                        carry(a=a_block, b=b_block)
                    out[i_block * 4 + i, j_block * 8 + j] = a + b
"""


@pytest.mark.parametrize("shape", [(5, 7, 9), (4, 8, 16), (1, 1, 1), (0, 3, 2), (3, 0, 2), (2, 3, 0)])
def test_blocks_change_no_value(shape):
    i, j, k = shape
    rng = np.random.default_rng(1)
    inputs = {"x": rng.standard_normal((i, k), np.float32), "y": rng.standard_normal((k, j), np.float32)}
    nest = in_blocks(4, 2, 3)
    check(nest)
    assert parse(text(nest)) is nest
    for before, after in zip(run(PRODUCT, inputs, {}), run(nest, inputs, {}), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-12)


def test_a_loop_at_once_is_a_vector_loop():
    loop = loops(PRODUCT)["k"]
    assert at_once(loop).kind == "vector" and at_once(loop).carried == loop.carried


def test_refusals():
    found = loops(OTHERS)
    assert legal_block(found["j"]).reason == "loop j stores what its next step overwrites"
    assert legal_block(found["k"]).reason == "a step of loop k needs the one before it"
    assert legal_block(at_once(loops(PRODUCT)["k"])).reason == "loop k is a vector loop already"
    assert legal_block_grid((found["i"],)).reason == "the length of loop i is not known before anything runs"
    assert legal_block_grid((found["j"],)).reason == "the iterations of loop j are not independent"
    chain = loops(PRODUCT)["i"], loops(PRODUCT)["k"]
    assert legal_block_grid(chain).reason == "loop i holds more than loop k"
    for force in (lambda: at_once(found["k"]), lambda: block(found["j"], 4, set()),
                  lambda: block_grid((found["i"],), {}, set())):
        with pytest.raises(ValueError, match="loop"):
            force()

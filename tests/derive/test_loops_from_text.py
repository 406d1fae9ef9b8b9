"""What a reader writes from the text of a derivation is the loop: it gives what the program as written gives."""

import numpy as np
import pytest

from einfall.cascade.run import run
from tests.derive import cases, loops
from tests.tolerance import assert_agrees


def scores(rng, extent, offset):
    return (rng.standard_normal((5, extent)) + offset,)


def heads(rng, extent, offset):
    Q, K, V = rng.standard_normal((3, 5)), rng.standard_normal((extent, 5)), rng.standard_normal((extent, 7))
    return Q * max(1.0, offset / 100), K, V + offset


LOOPS = {"attention": heads, "variance": scores, "entropy": scores}


def both(name: str, given: tuple, portion: int):
    """What the loop gives, and the reference."""
    kernel = getattr(cases, name)
    program = kernel.trace(*given)
    inputs = dict(zip((item.name for item in program.cascade.inputs), given))
    (expected,) = run(program.cascade.outputs, inputs, measure="float64")
    return getattr(loops, name)(*given, portion), expected


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("portion", [1, 7, 64])
@pytest.mark.parametrize("extent", [1, 5, 67, 129])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_loop_written_from_the_text(name, portion, extent, offset):
    given = LOOPS[name](np.random.default_rng(extent), extent, offset)
    assert_agrees(*both(name, given, portion), what=name)


@pytest.mark.parametrize("portion", [1, 7, 64])
def test_attention_of_keys_that_are_infinitely_far(portion):
    """A query that no key reaches, and keys that none but the last portions reach."""
    Q, K, V = np.array([[-1.0, 0.0], [0.0, 1.0]]), np.random.default_rng(0).standard_normal((67, 2)), np.ones((67, 3))
    K[:, 0] = np.inf
    Q[1, 0], K[:-1, 1] = -1e-300, 0.5
    with np.errstate(invalid="ignore"):
        assert_agrees(*both("attention", (Q, K, V), portion))
    K[:, 0] = np.where(np.arange(67) < 50, np.inf, K[:, 1])
    assert_agrees(*both("attention", (Q, K, V), portion))


@pytest.mark.parametrize("portion", [1, 7, 64])
@pytest.mark.parametrize("name", ["variance", "entropy"])
def test_a_row_that_is_infinitely_low(name, portion):
    X = np.random.default_rng(0).standard_normal((3, 67))
    X[0] = -np.inf
    assert_agrees(*both(name, (X,), portion))

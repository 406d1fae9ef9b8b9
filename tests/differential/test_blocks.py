"""Programs in blocks agree with the reference: their tile programs in the interpreter, and as machine code."""

import numpy as np
import pytest

from tests.differential.blocked import BLOCKED
from tests.differential.in_blocks import assert_agrees_in_blocks
from tests.programs.program import load

PROGRAMS = load()
QUICK = "product", "attention_causal"
SIZES = [pytest.param(name, extents, marks=pytest.mark.slow if place or name not in QUICK else ())
         for name, (_, _, sizes) in BLOCKED.items() for place, extents in enumerate(sizes)]
LARGER = {"product": (130, 70, 66), "layer": (70, 40, 130), "softmax": (70, 2049), "layer_norm": (40, 2049),
          "attention": (70, 100, 40, 33), "attention_causal": (100, 130, 17, 20)}


@pytest.mark.parametrize("name, extents", SIZES, ids=str)
def test_blocks_agree(name, extents):
    kernel, arguments, _ = BLOCKED[name]
    assert_agrees_in_blocks(kernel, arguments(*extents))


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in LARGER])
def test_machine_code_of_many_blocks_agrees(name):
    kernel, arguments, _ = BLOCKED[name]
    assert_agrees_in_blocks(kernel, arguments(*LARGER[name]), heights=("machine",))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["product", "attention_causal"])
def test_narrow_floats_agree(name):
    kernel, arguments, (extents, *_) = BLOCKED[name]
    assert_agrees_in_blocks(kernel, tuple(array.astype(np.float16) for array in arguments(*extents)))


# the interpreter goes element by element
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if place % 20 else ())
                                  for place, name in enumerate(PROGRAMS)])
def test_programs_by_hand_agree_in_blocks(name):
    args, kwargs = PROGRAMS[name].arguments(np.random.default_rng(3))
    assert_agrees_in_blocks(PROGRAMS[name].kernel, args, kwargs)

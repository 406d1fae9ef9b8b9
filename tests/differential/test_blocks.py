"""Programs in blocks agree with the reference: their tile programs in the interpreter, and as machine code."""

import numpy as np
import pytest

from tests.differential.in_blocks import assert_agrees_in_blocks
from tests.programs.program import load

PROGRAMS = load()


# the interpreter goes element by element
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if place % 3 else ())
                                  for place, name in enumerate(PROGRAMS)])
def test_programs_by_hand_agree_in_blocks(name):
    args, kwargs = PROGRAMS[name].arguments(np.random.default_rng(3))
    assert_agrees_in_blocks(PROGRAMS[name].kernel, args, kwargs)

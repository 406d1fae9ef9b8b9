"""The programs that also exist by hand agree with the reference at every height."""

import numpy as np
import pytest

from tests.differential.heights import assert_agrees_at_every_height
from tests.programs.program import load

PROGRAMS = load()


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_height_agrees(name):
    program = PROGRAMS[name]
    args, kwargs = program.arguments(np.random.default_rng(3))
    assert_agrees_at_every_height(program.kernel, args, kwargs)

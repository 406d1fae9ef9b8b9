"""The programs that also exist by hand agree with the reference at every height."""

import numpy as np
import pytest

from tests.differential.heights import COMPILED_AGAIN, HEIGHTS, assert_agrees_at_every_height
from tests.programs.program import load

PROGRAMS = load()


# for the interpreters, which go element by element
LONG = {"grouped_query_attention", "convolution_2d", "three_ways", "embedding_bag", "largest_in_order", "softmax_plane"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LONG or place % 3 else ())
                                  for place, name in enumerate(PROGRAMS)])
def test_heights_agree(name):
    program = PROGRAMS[name]
    args, kwargs = program.arguments(np.random.default_rng(3))
    heights = [height for height in HEIGHTS if height not in COMPILED_AGAIN]
    assert_agrees_at_every_height(program.kernel, args, kwargs, heights)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_machine_code_for_other_lanes_and_portions_agrees(name):
    """As it is called, and for one of the narrower processors: programs take turns, and random ones as well."""
    program, place = PROGRAMS[name], list(PROGRAMS).index(name)
    args, kwargs = program.arguments(np.random.default_rng(4))
    heights = [height for height in COMPILED_AGAIN if height != ("avx2", "generic")[place % 2]]
    assert_agrees_at_every_height(program.kernel, args, kwargs, heights)

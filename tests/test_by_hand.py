"""Each program, evaluated by the reference, agrees with the same program written by hand."""

import importlib

import numpy as np
import pytest

from einfall.front.kernel import measured
from tests.differential.heights import leaves
from tests.programs.program import load
from tests.tolerance import assert_agrees

PROGRAMS = load()




@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize("name", PROGRAMS)
def test_reference_agrees_with_the_hand(name, seed):
    program = PROGRAMS[name]
    args, kwargs = program.arguments(np.random.default_rng(seed))
    by_hand = getattr(importlib.import_module(f"tests.by_hand.{program.group}"), name)
    expected = leaves(by_hand(*args, **kwargs))
    _, results = measured(program.kernel, args, kwargs, measure="float64")
    assert len(results) == len(expected)
    for place, (result, hand) in enumerate(zip(results, expected)):
        assert_agrees(hand, result, what=f"{name}, result {place}")

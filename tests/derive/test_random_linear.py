"""Random linear recurrences mean the same in chunks."""

import pytest

from einfall.derive.recurrence_text import text
from einfall.derive.recurrences import recurrences
from tests.derive.random_linear import random_linear
from tests.differential.heights import assert_agrees_at_every_height

BATCHES = [range(1), *(pytest.param(range(first, first + 15), marks=pytest.mark.slow) for first in (1, 16, 31, 46))]


@pytest.mark.parametrize("seeds", BATCHES, ids=str)
def test_chunks_agree(seeds):
    taken = 0
    for seed in seeds:
        program = random_linear(seed)
        cascade = program.kernel.trace(*program.arguments).cascade
        found = recurrences(cascade)
        taken += any(one.form == "chunks" for one in found)
        assert all(text(one, cascade, 16) for one in found)
        try:
            assert_agrees_at_every_height(program.kernel, program.arguments, heights=("chunks",))
        except Exception as failure:
            failure.add_note(f"seed {seed}\n{program.source}")
            raise
    assert taken > len(seeds) // 2

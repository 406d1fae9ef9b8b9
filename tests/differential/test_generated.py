"""Random programs: every height of the compiler agrees with the reference, and garbage that is absent is never seen."""

import re
import types
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from einfall import api
from einfall.front.kernel import measured
from einfall.instruments.generate import generate, reached, with_other_garbage
from einfall.instruments.reach import DTYPES, FEATURES, MONOIDS, NODES, OPERATORS
from tests.differential.heights import assert_agrees_at_every_height, heights_of

PROGRAMS, REACHED_SEEDS, LEAST = 100, 400, 4
BORDERS = [4, 8, *range(44, PROGRAMS + 5, 20)]  # of the batches; each has a program with garbage, the first is quick
BATCHES = [pytest.param(range(first, end), id=f"seeds-{first}-{end - 1}", marks=pytest.mark.slow if first > 4 else ())
           for first, end in pairwise(BORDERS)]


@pytest.mark.parametrize("seeds", BATCHES)
def test_heights_agree(seeds):
    for seed in seeds:
        program = generate(seed)
        try:
            assert_agrees_at_every_height(program.kernel, program.arguments, heights=heights_of(seed))
        except Exception as failure:
            failure.add_note(f"seed {seed}\n{program.source}")
            raise


@pytest.mark.parametrize("seeds", BATCHES[:3])
def test_operands_in_a_format_agree(seeds):
    """The same programs with arrays of floats stored in part, along one of their axes."""
    stored = 0
    for seed in seeds:
        program, rng = generate(seed), np.random.default_rng(seed)
        args = tuple(packed(value, rng) for value in program.arguments)
        stored += sum(one is not other for one, other in zip(args, program.arguments))
        try:
            assert_agrees_at_every_height(program.kernel, args, heights=("text", "concrete", "machine"))
        except Exception as failure:
            failure.add_note(f"seed {seed}\n{program.source}")
            raise
    assert stored, "no program of the batch has an operand in a format"


def packed(value, rng: np.random.Generator):
    """An array of floats, mostly, with one level in part; anything else as it is."""
    if not (isinstance(value, np.ndarray) and value.ndim and value.dtype in (np.float32, np.float64)):
        return value
    levels = [api.Dense()] * (value.ndim - 1) + [api.Compressed()]
    return api.packed(value, api.Format(levels, rng.permutation(value.ndim).tolist())) if rng.random() < 0.7 else value


def bits(results) -> list[bytes]:
    return [np.ascontiguousarray(result.array).tobytes() for result in results]


@pytest.mark.parametrize("seeds", BATCHES)
def test_absent_garbage_is_never_seen(seeds):
    poisoned = 0
    for seed in seeds:
        program = generate(seed)
        if all(mask is None for mask in program.poisoned):
            continue
        poisoned += 1
        for other in range(3):
            changed = with_other_garbage(program, other)
            _, before = measured(program.kernel, program.arguments, {}, measure="")
            _, after = measured(program.kernel, changed, {}, measure="")
            assert bits(before) == bits(after), f"seed {seed}\n{program.source}"
    assert poisoned, "no program of the batch has garbage"


@pytest.mark.slow
def test_programs_reach_the_language():
    """At least so often in 400 programs, which is a fifth of what 2,000 have to."""
    found, words = Counter(), Counter()
    for seed in range(REACHED_SEEDS):
        program = generate(seed)
        cascade = program.kernel.trace(*program.arguments).cascade
        found += reached(cascade, program.arguments, program.source)
        words.update(re.findall(r"\bef\.(\w+)", program.source))
    # what is derived has these, and not what is traced
    states = ("node:Component", "node:Fused", "node:Rounded", "node:Total")
    wanted = [*OPERATORS, *MONOIDS, *(name for name in NODES if name not in states), *DTYPES,
              *(f"feature:{name}" for name in FEATURES)]
    table = "\n".join(f"{name:24} {found[name]}" for name in sorted({*wanted, *found}))
    assert not [name for name in wanted if found[name] < LEAST], table
    # the functions of the api: all but those that run a program or make operands, and other names of operators
    spoken = {name for name, value in api.NAMES.items()
              if isinstance(value, types.FunctionType) and value.__name__ == name} - {
                  "reference", "check", "parse", "asarray", "pack", "stored", "Dense", "Compressed", "Int", "UInt"}
    assert not sorted(spoken - set(words)), words


def test_a_seed_is_a_program():
    for seed in range(0, PROGRAMS, 7):
        one, two = generate(seed), generate(seed)
        assert one.source == two.source
        assert len(one.arguments) == len(two.arguments)
        for left, right in zip(one.arguments, two.arguments):
            assert type(left) is type(right)
            assert np.asarray(left).dtype == np.asarray(right).dtype
            assert np.asarray(left).strides == np.asarray(right).strides
            assert np.asarray(left).tobytes() == np.asarray(right).tobytes()
    assert len({generate(seed).source for seed in range(50)}) == 50

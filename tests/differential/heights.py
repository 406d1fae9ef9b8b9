"""The heights at which a program can be run, and the comparison of each with the reference."""

from collections.abc import Collection

import numpy as np

from einfall.cascade import parse as cascade_text
from einfall.cascade.run import run as run_cascade
from einfall.cascade.text import text as cascade_as_text
from einfall.front.arguments import Arguments, collect
from einfall.front.kernel import Kernel, Program, evaluated
from einfall.front.trace import evaluate
from einfall.nest import text as nest_text
from einfall.nest.run import run as run_nest
from einfall.pipeline import Compiled, compile_cascade
from einfall.plan.fusion import worthwhile
from einfall.plan.vectors import are_worthwhile
from einfall.runtime.launch import launch
from einfall.tile import text as tile_text
from einfall.tile.run import run as run_tile
from tests.tolerance import assert_agrees

__all__ = ["COMPILED_AGAIN", "HEIGHTS", "assert_agrees_at_every_height", "leaves"]


def at_text(program: Program, compiled: Compiled, arguments: Arguments) -> list[np.ndarray]:
    """The cascade printed and read back."""
    cascade = cascade_text.parse(str(program))
    assert cascade is program.cascade
    return [result.array for result in run_cascade(cascade.outputs, arguments.arrays, arguments.scalars)]


def at_derived(program: Program, compiled: Compiled, arguments: Arguments) -> list[np.ndarray]:
    """The cascade with its dependent reductions in one sweep, portion by portion."""
    assert cascade_text.parse(cascade_as_text(compiled.chosen)) is compiled.chosen
    return [result.array for result in run_cascade(compiled.chosen.outputs, arguments.arrays, arguments.scalars)]


def at_nest(program: Program, compiled: Compiled, arguments: Arguments) -> list[np.ndarray]:
    """The nest, loop by loop."""
    assert nest_text.parse(nest_text.text(compiled.nest)) is compiled.nest
    return run_nest(compiled.nest, arguments.arrays, arguments.scalars)


def at_tile(program: Program, compiled: Compiled, arguments: Arguments) -> list[np.ndarray]:
    """The tile programs, instance by instance."""
    memory: dict[str, np.ndarray] = {}
    for tile in compiled.tiles:
        assert tile_text.parse(tile_text.text(tile)) is tile
        run_tile(tile, arguments.arrays, arguments.scalars, memory)
    return [memory[buffer.name] for buffer in compiled.nest.outputs]


def at_machine(program: Program, compiled: Compiled, arguments: Arguments) -> list[np.ndarray]:
    """Machine code."""
    return launch(compiled.steps, compiled.nest.outputs, arguments.arrays, arguments.scalars)


def at_call(program: Program, compiled: Compiled, arguments: Arguments) -> list[np.ndarray]:
    """Machine code as a call has it: with the states and copies that are worth it, in portions of their usual size."""
    def size(extent) -> int:
        return evaluate(extent, arguments.sizes)

    if not compiled.derivation.states and are_worthwhile(compiled.copies, size):
        return at_machine(program, compiled, arguments)
    wanted = worthwhile(compiled.derivation, program.cascade, size)
    called = compile_cascade(program.cascade, arguments.units, arguments.small, wanted, compiled.derivation,
                             lambda copies: are_worthwhile(copies, size))
    return launch(called.steps, called.nest.outputs, arguments.arrays, arguments.scalars)


def at_few_lanes(program: Program, compiled: Compiled, arguments: Arguments) -> list[np.ndarray]:
    """Machine code from the same schedule, with four lanes."""
    narrow = compile_cascade(program.cascade, arguments.units, lanes=4, portion=3)
    return launch(narrow.steps, narrow.nest.outputs, arguments.arrays, arguments.scalars)


HEIGHTS = {"text": (at_text, "float64"), "derived": (at_derived, "float64"), "nest": (at_nest, "float64"),
           "tile": (at_tile, "float64"), "machine": (at_machine, "nominal"), "call": (at_call, "nominal"),
           "four lanes": (at_few_lanes, "nominal")}


COMPILED_AGAIN = ("call", "four lanes")  # heights with machine code of their own


def assert_agrees_at_every_height(kernel: Kernel, args: tuple, kwargs: dict | None = None,
                                  heights: Collection[str] = tuple(HEIGHTS)) -> None:
    """Each height gives what the reference gives, within the rounding of the types it computes in."""
    arguments = collect(kernel.signature, kernel.__name__, args, kwargs or {})
    program = kernel.program(arguments)
    compiled = compile_cascade(program.cascade, arguments.units, arguments.small, portion=5)
    references = {measure: evaluated(program, arguments, {}, measure) for measure in ("float64", "nominal")}
    for name, (height, measure) in ((name, HEIGHTS[name]) for name in heights):
        for place, (actual, expected) in enumerate(zip(height(program, compiled, arguments), references[measure])):
            assert_agrees(actual, expected, what=f"{kernel.__name__} at {name}, result {place}")


def leaves(structure) -> list:
    """The arrays of a result, in order."""
    if isinstance(structure, tuple | list):
        return [leaf for item in structure for leaf in leaves(item)]
    if isinstance(structure, dict):
        return [leaf for item in structure.values() for leaf in leaves(item)]
    return [structure]

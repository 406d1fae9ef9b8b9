"""Programs in blocks at the heights that need no device, and their comparison with the reference."""

from collections.abc import Collection

import numpy as np

from einfall.front.arguments import Arguments, collect
from einfall.front.kernel import Kernel, Program, evaluated
from einfall.pipeline import Blocked, in_blocks, lanes_of
from einfall.runtime.launch import Step, launch
from einfall.target.llvm.compile import compile_module, host_features
from einfall.target.llvm.emit import emit
from einfall.tile import text as tile_text
from einfall.tile.run import run as run_tile
from tests.derive.once import derivation_of
from tests.differential.heights import over_memory
from tests.tolerance import assert_agrees

__all__ = ["HEIGHTS_IN_BLOCKS", "assert_agrees_in_blocks", "blocked_of"]


def blocked_of(program: Program, arguments: Arguments) -> tuple[Blocked, Arguments]:
    """A program in blocks, over what its operands store, and the arguments with these arrays."""
    cascade, arguments = over_memory(program.cascade, arguments)
    return in_blocks(cascade, arguments.small, derivation_of(cascade)), arguments


def at_tile(made: Blocked, arguments: Arguments) -> list[np.ndarray]:
    """The tile programs in blocks, instance by instance."""
    memory: dict[str, np.ndarray] = {}
    for tile in made.tiles:
        assert tile_text.parse(tile_text.text(tile)) is tile
        run_tile(tile, arguments.arrays, arguments.scalars, memory)
    return [memory[buffer.name] for buffer in made.nest.outputs]


def at_machine(made: Blocked, arguments: Arguments) -> list[np.ndarray]:
    """Their machine code: blocks are lanes, or loops."""
    features = host_features()
    steps = [Step(tile, compile_module(emit(tile, features, lanes_of(features), arguments.units)))
             for tile in made.tiles]
    return launch(tuple(steps), made.nest.outputs, arguments.arrays, arguments.scalars)


HEIGHTS_IN_BLOCKS = {"tile": (at_tile, "float64"), "machine": (at_machine, "nominal")}


def assert_agrees_in_blocks(kernel: Kernel, args: tuple, kwargs: dict | None = None,
                            heights: Collection[str] = tuple(HEIGHTS_IN_BLOCKS)) -> None:
    """Each height gives, of programs in blocks, what the reference gives."""
    arguments = collect(kernel.signature, kernel.__name__, args, kwargs or {})
    program = kernel.program(arguments)
    made, memory = blocked_of(program, arguments)
    for name in heights:
        height, measure = HEIGHTS_IN_BLOCKS[name]
        expected = evaluated(program, arguments, {}, measure)
        for place, (actual, wanted) in enumerate(zip(height(made, memory), expected, strict=True)):
            assert_agrees(actual, wanted, what=f"{kernel.__name__} in blocks at {name}, result {place}")

"""A tile program run instance by instance, in a random order: instances are independent."""

from collections.abc import Mapping

import numpy as np

from einfall.scalar.memory_run import Execution
from einfall.tile.nodes import Program

__all__ = ["run"]


def run(program: Program, inputs: Mapping[str, np.ndarray], numbers: Mapping[str, float],
        outputs: dict[str, np.ndarray]) -> None:
    """Fills the outputs, floats in float64; those that are not there yet are made."""
    execution = Execution(inputs, numbers)
    with np.errstate(all="ignore"):
        for buffer in program.outputs:
            if buffer.name not in outputs:
                outputs[buffer.name] = execution.memory(buffer)
            execution.arrays[buffer.name] = outputs[buffer.name]
        shape = tuple(int(execution.value(axis.extent)) for axis in program.grid)
        for instance in np.random.default_rng(0).permutation(int(np.prod(shape))):
            for axis, place in zip(program.grid, np.unravel_index(instance, shape) if shape else ()):
                execution.values[axis.variable.name] = np.asarray(place, np.int64)
            execution.block(program.body)

"""A nest run loop by loop."""

from collections.abc import Mapping

import numpy as np

from einfall.nest.nodes import Nest
from einfall.scalar.memory_run import Execution

__all__ = ["run"]


def run(nest: Nest, inputs: Mapping[str, np.ndarray], numbers: Mapping[str, float]) -> list[np.ndarray]:
    """The outputs of a nest, floats in float64."""
    execution = Execution(inputs, numbers)
    with np.errstate(all="ignore"):
        outputs = [execution.memory(buffer) for buffer in nest.outputs]
        execution.block(nest.body)
    return outputs

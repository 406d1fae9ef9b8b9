"""What a program of the demo consists of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from einfall.front.expression import Rank
from einfall.front.kernel import Kernel

__all__ = ["Program", "as_torch"]


class Program(NamedTuple):
    """A kernel, its data, the same in NumPy and in torch, and what a person sees of the result."""

    name: str
    data: str
    load: Callable[[], tuple]  # the arguments, made of data that installed packages hold
    tiny: Callable[[np.random.Generator], tuple]  # arguments like these, small, for the tests
    kernel: Kernel
    numpy: Callable
    torch: Callable
    # the rank of which some coordinates are compared with the reference; a number: so many rows of the results, which
    # depend on as many rows of the first argument; None: everything
    checked: Rank | int | None
    see: Callable[[Any, tuple], str]  # the result and the arguments, in a sentence


def as_torch(arguments: tuple) -> tuple:
    """The arguments as torch tensors; numbers stay."""
    import torch

    return tuple(torch.from_numpy(item) if isinstance(item, np.ndarray) else item for item in arguments)

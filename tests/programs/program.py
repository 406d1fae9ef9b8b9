"""A registry of programs: a kernel, and a recipe for its inputs."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Program:
    """A kernel with its inputs; its twin in plain NumPy is by_hand.<group>.<name of the kernel>."""

    kernel: Callable
    inputs: Callable
    group: str

    def arguments(self, rng: np.random.Generator) -> tuple[tuple, dict]:
        """(args, kwargs): what inputs(rng) gives, where a tuple and then a dict, alone, stand for just these two."""
        match self.inputs(rng):
            case (tuple() as args, dict() as kwargs):
                return args, kwargs
            case args:
                return args, {}


PROGRAMS: dict[str, Program] = {}


def program(inputs: Callable) -> Callable:
    """Registers the kernel below it; inputs(rng) gives the positional arguments, or (args, kwargs)."""

    def register(kernel: Callable) -> Callable:
        name = kernel.__name__
        if name in PROGRAMS:
            raise ValueError(f"two programs are named {name}")
        PROGRAMS[name] = Program(kernel, inputs, inputs.__module__.rpartition(".")[2])
        return kernel

    return register


def load() -> dict[str, Program]:
    """All programs, from every file of this folder."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"tests.programs.{module.name}")
    return PROGRAMS

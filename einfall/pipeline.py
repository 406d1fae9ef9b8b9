"""The passes in order, each with its reason."""

import time
from typing import NamedTuple

from einfall.cascade.nodes import Cascade
from einfall.lower.cascade_to_nest import cascade_to_nest
from einfall.lower.nest_to_tile import nest_to_tile
from einfall.nest.nodes import Nest
from einfall.runtime.launch import Step
from einfall.target.llvm.compile import compile_module, host_features
from einfall.target.llvm.emit import emit
from einfall.tile.nodes import Program

__all__ = ["Compiled", "compile_cascade"]


class Compiled(NamedTuple):
    """A cascade at every height, and the seconds that each step took."""

    cascade: Cascade
    nest: Nest
    tiles: tuple[Program, ...]
    steps: tuple[Step, ...]
    times_s: dict[str, float]


def compile_cascade(cascade: Cascade) -> Compiled:
    """The machine code of a cascade.

    cascade_to_nest  decides loops and memory; nothing before it knows order or storage
    nest_to_tile     splits the nest where instances are independent
    emit             spells a tile program for LLVM, the first step that knows the processor
    compile_module   is LLVM
    """
    times_s: dict[str, float] = {}

    def timed(name: str, function, *args):
        begin = time.perf_counter()
        made = function(*args)
        times_s[name] = times_s.get(name, 0.0) + time.perf_counter() - begin
        return made

    nest = timed("cascade_to_nest", cascade_to_nest, cascade)
    tiles = timed("nest_to_tile", nest_to_tile, nest)
    steps = []
    for program in tiles:
        module = timed("emit", emit, program, host_features())
        steps.append(Step(program, timed("llvm", compile_module, module)))
    return Compiled(cascade, nest, tiles, tuple(steps), times_s)

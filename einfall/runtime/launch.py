"""A call of compiled programs: memory for results and workspaces, arguments as words, the instances run."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from einfall.plan.work import operations
from einfall.runtime.threads import in_parallel
from einfall.scalar.memory import Buffer, Number
from einfall.scalar.nodes import Expr
from einfall.scalar.run import evaluate
from einfall.target.llvm.compile import MachineCode
from einfall.tile.nodes import Program

__all__ = ["Step", "launch"]


class Step(NamedTuple):
    """A tile program and its machine code."""

    program: Program
    code: MachineCode


def launch(steps: tuple[Step, ...], outputs: tuple[Buffer, ...], inputs: Mapping[str, np.ndarray],
           numbers: Mapping[str, int | float]) -> list[np.ndarray]:
    """The outputs, freshly made; steps run in order."""
    def size(expr: Expr) -> int:
        return int(evaluate(expr, lambda leaf: np.asarray(inputs[leaf.input].shape[leaf.axis], np.int64)))

    memory = dict(inputs)

    def made(buffer: Buffer) -> np.ndarray:
        return np.empty(tuple(map(size, buffer.extents)), buffer.type.numpy)

    for buffer in outputs:
        memory[buffer.name] = made(buffer)
    for program, code in steps:
        for buffer in program.outputs:
            if buffer.name not in memory:
                memory[buffer.name] = made(buffer)
        instances = math.prod(size(axis.extent) for axis in program.grid)

        def run(begin: int, end: int, program: Program = program, code: MachineCode = code) -> None:
            scratch = {buffer.name: made(buffer) for buffer in code.layout.scratch}  # each thread has its own
            words = _words(program, code, memory, scratch, numbers)
            code.call(words.ctypes.data, begin, end)

        if instances:
            in_parallel(run, instances, operations(program, size))
    return [memory[buffer.name] for buffer in outputs]


def _words(program: Program, code: MachineCode, memory: Mapping[str, np.ndarray], scratch: Mapping[str, np.ndarray],
           numbers: Mapping[str, int | float]) -> np.ndarray:
    """The arguments in the order of the layout, 64 bits each."""
    types = {item.name: item.type for item in program.inputs if isinstance(item, Number)}
    words = np.empty(max(len(code.layout.slots), 1), np.int64)
    for place, slot in enumerate(code.layout.slots):
        match slot:
            case ("base", name):
                words[place] = memory[name].__array_interface__["data"][0]
            case ("scratch", name):
                words[place] = scratch[name].__array_interface__["data"][0]
            case ("stride", name, axis):
                words[place] = memory[name].strides[axis]
            case ("size", name, axis):
                words[place] = memory[name].shape[axis]
            case ("number", name):
                words[place] = np.asarray(numbers[name], types[name].numpy).view(np.int64)
    return words

"""A call of compiled programs: memory for results and workspaces, arguments as words, the instances run.

What depends only on shapes and strides is planned once; a call makes memory and fills in addresses and numbers.
"""

import ctypes
import math
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from einfall.base.errors import ShapeError
from einfall.plan.work import operations
from einfall.runtime.threads import in_parallel
from einfall.scalar.dtypes import of_numpy
from einfall.scalar.memory import Buffer, Number
from einfall.scalar.nodes import Expr
from einfall.scalar.run import whole_number
from einfall.target.llvm.compile import MachineCode
from einfall.tile.nodes import Program

__all__ = ["Plan", "Step", "launch", "refuse_what_no_memory_holds"]

LARGEST = 2**63 - 1  # sizes and offsets are 64-bit words
UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]


class Step(NamedTuple):
    """A tile program and its machine code."""

    program: Program
    code: MachineCode


class Block(NamedTuple):
    """Memory to be made: a result, a workspace."""

    shape: tuple[int, ...]
    type: np.dtype

    def made(self) -> np.ndarray:
        """The memory; it holds nothing yet."""
        try:
            return np.empty(self.shape, self.type)
        except MemoryError:
            raise _too_large(self.shape, self.type, "") from None

    @property
    def strides(self) -> tuple[int, ...]:
        """In bytes, row-major."""
        return tuple(self.type.itemsize * math.prod(self.shape[axis + 1:]) for axis in range(len(self.shape)))


class Run(NamedTuple):
    """A step for arrays of known shapes and strides: what each word holds, and what fills the others in a call."""

    code: MachineCode
    words: tuple[int, ...]
    bases: tuple[tuple[int, str], ...]
    numbers: tuple[tuple[int, str, np.dtype], ...]
    scratch: tuple[tuple[int, Block], ...]
    memory: tuple[tuple[str, Block], ...]  # made before the step, for it and later ones
    instances: int
    operations: float


class Plan:
    """The calls of compiled programs for arrays of known shapes and strides.

    Raises: ShapeError where an extent does not fit into 64 bits or an array not into memory.
    """

    def __init__(self, steps: tuple[Step, ...], outputs: tuple[Buffer, ...], inputs: Mapping[str, np.ndarray]):
        self.inputs = {name: (array.shape, array.strides) for name, array in inputs.items()}
        self.known = "  ".join(f"{name}: {of_numpy(array.dtype)}{list(array.shape)}" for name, array in inputs.items())
        self.blocks: dict[str, Block] = {}
        self.outputs = tuple(buffer.name for buffer in outputs)
        for buffer in outputs:
            self.blocks[buffer.name] = self.block(buffer)
        self.runs = tuple(map(self.run_of, steps))

    def size(self, expr: Expr) -> int:
        """The value of an extent."""
        return whole_number(expr, lambda leaf: self.inputs[leaf.input][0][leaf.axis], self.known)

    def block(self, buffer: Buffer) -> Block:
        """The memory of a buffer."""
        shape = tuple(map(self.size, buffer.extents))
        refuse_what_no_memory_holds(shape, buffer.type.numpy, self.known)
        return Block(shape, np.dtype(buffer.type.numpy))

    def run_of(self, step: Step) -> Run:
        """A step with everything filled in that calls have in common."""
        program, layout, made = step.program, step.code.layout, []
        for buffer in program.outputs:
            if buffer.name not in self.blocks:
                self.blocks[buffer.name] = self.block(buffer)
                made.append((buffer.name, self.blocks[buffer.name]))
        types = {item.name: np.dtype(item.type.numpy) for item in program.inputs if isinstance(item, Number)}
        scratch = {buffer.name: self.block(buffer) for buffer in layout.scratch}
        words, bases, numbers, own = [0] * len(layout.slots), [], [], []
        for place, slot in enumerate(layout.slots):
            match slot:
                case ("base", name):
                    bases.append((place, name))
                case ("scratch", name):
                    own.append((place, scratch[name]))
                case ("stride", name, axis):
                    strides = self.inputs[name][1] if name in self.inputs else self.blocks[name].strides
                    words[place] = strides[axis]
                case ("size", name, axis):
                    words[place] = self.inputs[name][0][axis]
                case ("number", name):
                    numbers.append((place, name, types[name]))
        instances = math.prod(self.size(axis.extent) for axis in program.grid)
        if instances > LARGEST:
            raise ShapeError(f"{program.name} has {instances} instances, more than 64 bits count", known=self.known,
                             repair="use smaller extents")
        return Run(step.code, tuple(words), tuple(bases), tuple(numbers), tuple(own), tuple(made), instances,
                   operations(program, self.size))

    def run(self, inputs: Mapping[str, np.ndarray], numbers: Mapping[str, int | float],
            into: Mapping[str, np.ndarray] | None = None) -> list[np.ndarray]:
        """The outputs; freshly made but for those in `into`, row-major arrays that share no memory with others."""
        memory = dict(inputs)
        for name in self.outputs:
            memory[name] = into[name] if into and name in into else self.blocks[name].made()
        for run in self.runs:
            for name, block in run.memory:
                memory[name] = block.made()
            if run.instances:
                in_parallel(lambda run=run: _started(run, memory, numbers), run.instances, run.operations)
        return [memory[name] for name in self.outputs]


def launch(steps: tuple[Step, ...], outputs: tuple[Buffer, ...], inputs: Mapping[str, np.ndarray],
           numbers: Mapping[str, int | float]) -> list[np.ndarray]:
    """The outputs of one call; steps run in order."""
    return Plan(steps, outputs, inputs).run(inputs, numbers)


def _started(run: Run, memory: Mapping[str, np.ndarray], numbers: Mapping[str, int | float]):
    """The function of (begin, end) for one thread, which has workspaces of its own."""
    scratch = [block.made() for _, block in run.scratch]
    words = list(run.words)
    for place, name in run.bases:
        words[place] = memory[name].__array_interface__["data"][0]
    for (place, _), array in zip(run.scratch, scratch):
        words[place] = array.__array_interface__["data"][0]
    for place, name, dtype in run.numbers:
        words[place] = int(np.asarray(numbers[name], dtype).view(np.int64))
    arguments = (ctypes.c_int64 * len(words))(*words)
    call = run.code.call
    # `scratch` and `memory` are held as long as the function: machine code knows their addresses only
    return lambda begin, end, held=(scratch, memory): call(arguments, begin, end)


def refuse_what_no_memory_holds(shape: tuple[int, ...], dtype: np.dtype, known: str) -> None:
    """Raises: ShapeError where an array is larger than this machine's memory, or than NumPy's largest.

    The system would give addresses for somewhat more than there is, and end the process when they are used.
    """
    if _bytes(shape, np.dtype(dtype)) > (LARGEST if 0 in shape else _memory_bytes()):
        raise _too_large(shape, np.dtype(dtype), known)


def _bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return dtype.itemsize * math.prod(extent for extent in shape if extent)  # NumPy leaves out zeros as well


def _too_large(shape: tuple[int, ...], dtype: np.dtype, known: str) -> ShapeError:
    if 0 in shape:
        return ShapeError(f"an array with the extents {list(shape)} has no elements, and yet more indices than 64 bits "
                          "count", known=known, repair="use smaller extents")
    size, unit = _bytes(shape, dtype), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return ShapeError(f"an array of {of_numpy(dtype)} with the extents {list(shape)} takes {size:.4g} {UNITS[unit]}, "
                      "more than there is memory", known=known,
                      repair="use smaller extents, or reduce before returning")


def _memory_bytes() -> int:
    """All memory of this machine; where it cannot be asked, what processors address."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**47

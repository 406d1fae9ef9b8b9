"""Kernels in blocks at each height: the interpreter of tile, machine code, and Triton in an environment of its own."""

import json
import math
import os
import pathlib
import subprocess

import numpy as np

from einfall.front.arguments import Arguments
from einfall.pipeline import Blocked
from einfall.scalar.dtypes import DType
from einfall.scalar.memory import Buffer, Number
from einfall.scalar.run import whole_number
from einfall.target.triton.emit import Source

__all__ = ["TRITON", "compiled", "results_of"]

RUNNER = pathlib.Path(__file__).parent / "triton_runner.py"
TRITON = os.environ.get("EINFALL_TRITON_PYTHON")  # the Python of an environment with Triton in it
NAMES = {"f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "bool": "uint8"}
HELD = {"f32": "fp32", "f64": "fp64", "f16": "fp16", "bf16": "bf16", "bool": "u8"}  # in the signature of a kernel


def results_of(made: Blocked, sources: tuple[Source, ...], arguments: Arguments, folder: pathlib.Path
               ) -> list[np.ndarray]:
    """The results of kernels under Triton's interpreter."""
    buffers = {buffer.name: buffer for tile in made.tiles for buffer in (*tile.inputs, *tile.outputs)
               if isinstance(buffer, Buffer)}
    arrays = {name: np.ascontiguousarray(array) for name, array in arguments.arrays.items() if name in buffers}
    for buffer in buffers.values():
        if buffer.name not in arrays:  # what is not written must not look like a result
            shape = tuple(size(extent, arguments) for extent in buffer.extents)
            arrays[buffer.name] = np.full(shape, np.nan if buffer.type.is_float else buffer.type.lowest,
                                          buffer.type.numpy)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", stored(array))
    kernels = []
    for place, kernel in enumerate(sources):
        instances = math.prod(size(extent, arguments) for extent in kernel.grid)
        if instances == 0:
            continue
        assert instances <= 300, f"{kernel.name}: {instances} instances are too many for an interpreter"
        kernels.append({**described(kernel, place, folder), "instances": instances,
                        "arguments": [value(slot, arrays, arguments) for slot in kernel.slots],
                        "constants": {name: kernel.constant(size(extent, arguments))
                                      for name, extent in kernel.constants}})
    job = {"task": "run", "kernels": kernels, "types": {name: named(buffers[name].type) for name in arrays},
           "results": [buffer.name for buffer in made.nest.outputs]}
    started(folder, job, {"TRITON_INTERPRET": "1"})
    return [np.load(folder / f"{buffer.name}.npy").view(buffer.type.numpy).reshape(arrays[buffer.name].shape)
            for buffer in made.nest.outputs]


def compiled(made: Blocked, sources: tuple[Source, ...], folder: pathlib.Path, constants: int, *, divisible: bool
             ) -> list[dict[str, int]]:
    """What each kernel needs of a processor with compute capability 9.0; `constants` are those of its text."""
    types = {item.name: item.type for tile in made.tiles for item in (*tile.inputs, *tile.outputs)}
    numbers = {item.name for tile in made.tiles for item in tile.inputs if isinstance(item, Number)}
    kernels = []
    for place, kernel in enumerate(sources):
        kinds = [f"*{held(types[slot[1]])}" if slot[0] == "base" else
                 held(types[slot[1]]) if slot[1] in numbers else "i64" for slot in kernel.slots]
        aligned = [index for index, slot in enumerate(kernel.slots) if slot[0] != "number" and divisible]
        kernels.append({**described(kernel, place, folder), "types": kinds, "warps": kernel.warps,
                        "divisible": aligned, "constants": {name: constants for name, _ in kernel.constants}})
    started(folder, {"task": "compile", "kernels": kernels, "capability": 90}, {})
    return json.loads((folder / "resources.json").read_text())


def described(kernel: Source, place: int, folder: pathlib.Path) -> dict:
    """The text of a kernel in a file."""
    file = f"kernel{place}_{kernel.name}.py"
    (folder / file).write_text(kernel.text)
    return {"file": file, "name": kernel.name}


def started(folder: pathlib.Path, job: dict, environment: dict[str, str]) -> None:
    """Runs a job to its end; a kernel that reads beyond an array ends its own process only."""
    (folder / "job.json").write_text(json.dumps(job))
    made = subprocess.run([TRITON, "-I", str(RUNNER), str(folder)], env={**os.environ, **environment}, timeout=120,
                          capture_output=True, text=True)
    assert made.returncode == 0, f"{made.returncode}: {made.stderr[-3000:]}"


def value(slot: tuple, arrays: dict[str, np.ndarray], arguments: Arguments) -> tuple:
    """What an argument of a kernel is: its kind, and the name of an array or a number."""
    match slot:
        case ("base", name):
            return "base", name
        case ("stride", name, axis):
            return "number", arrays[name].strides[axis] // arrays[name].itemsize
        case ("size", name, axis):
            return "number", arguments.arrays[name].shape[axis]
        case ("number", name):
            return "number", arguments.scalars[name]
    raise AssertionError(slot)


def size(extent, arguments: Arguments) -> int:
    """The value of an extent."""
    return whole_number(extent, lambda leaf: arguments.arrays[leaf.input].shape[leaf.axis])


def stored(array: np.ndarray) -> np.ndarray:
    """An array of a type that files hold: narrow floats and booleans as their bits."""
    held = array.dtype.kind in "iuf" and array.dtype.itemsize > 1 and array.dtype.name != "bfloat16"
    return array if held else array.view(f"u{array.itemsize}")


def named(dtype: DType) -> str:
    """A type as the interpreter names it."""
    return NAMES.get(dtype.name) or f"{'u' if dtype.kind == 'u' else ''}int{dtype.bits}"


def held(dtype: DType) -> str:
    """A type as a signature names it."""
    return HELD.get(dtype.name, dtype.name)

"""Runs kernels under Triton's interpreter, or compiles them for a processor that is not here.

A program of its own, for an environment with Triton in it: it knows nothing of einfall. `triton_runner.py FOLDER` reads
FOLDER/job.json. `run`: kernels one after the other over the arrays FOLDER/NAME.npy, which are written back.
`compile`: the resources of each kernel go to FOLDER/resources.json.
"""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np


class Pointer:
    """What Triton's interpreter asks of an argument that is an array."""

    def __init__(self, array, name):
        self.array, self.dtype, self.shape = array, name, array.shape

    def data_ptr(self):
        return self.array.ctypes.data

    def untyped_storage(self):
        return self

    def size(self):
        return self.array.nbytes

    def cpu(self):
        return self

    def numel(self):
        return self.array.size

    def element_size(self):
        return self.array.itemsize

    def stride(self):
        return tuple(step // self.array.itemsize for step in self.array.strides)

    def storage_offset(self):
        return 0

    def new_empty(self, *_, **__):
        return self

    def set_(self, *_, **__):
        return self

    def copy_(self, *_, **__):
        return self

    def to(self, *_, **__):
        return self


def kernel_of(path, name):
    """The function of a kernel, from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def run(folder, job):
    """Runs the kernels; the interpreter reads where an array is, so that its steps may be anything."""
    arrays = {name: np.load(folder / f"{name}.npy") for name in job["types"]}
    for item in job["kernels"]:
        function = kernel_of(folder / item["file"], item["name"])
        arguments = [Pointer(arrays[value], job["types"][value]) if kind == "base" else number(value)
                     for kind, value in item["arguments"]]
        function[(item["instances"],)](*arguments, **item["constants"])
    for name in job["results"]:
        np.save(folder / f"{name}.npy", arrays[name])


def number(value):
    """A number as an argument: the interpreter would make an f32 of one of f64."""
    if isinstance(value, int):
        return value
    import triton.language as tl
    from triton.runtime.interpreter import TensorHandle

    return tl.tensor(TensorHandle(np.array([value]), tl.float64), tl.float64)


def tool(name):
    """A program that comes with Triton."""
    import triton

    return pathlib.Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name


def compile_(folder, job):
    """Compiles the kernels for the processor of the job, and reads what they need from the machine code."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    found = []
    for item in job["kernels"]:
        function = kernel_of(folder / item["file"], item["name"])
        names = function.arg_names
        kinds = dict(zip(names, item["types"]))
        constants = {(names.index(name),): value for name, value in item["constants"].items()}
        signature = {name: kinds.get(name, "constexpr") for name in names}
        attributes = {(place,): [["tt.divisibility", 16]] for place in item["divisible"]}
        made = triton.compile(ASTSource(function, signature, constants, attributes),
                              target=GPUTarget("cuda", job["capability"], 32), options={"num_warps": item["warps"]})
        binary = folder / f"{item['file']}.cubin"
        binary.write_bytes(made.asm["cubin"])
        text = subprocess.run([tool("cuobjdump"), "-res-usage", binary], capture_output=True, text=True, check=True)
        usage = {key: int(value) for key, value in re.findall(r"(REG|STACK|SHARED|LOCAL):(\d+)",
                                                              text.stdout + text.stderr)}
        sass = subprocess.run([tool("cuobjdump"), "-sass", binary], capture_output=True, text=True, check=True).stdout
        found.append({
            "registers": usage["REG"], "stack_bytes": usage["STACK"], "shared_bytes": made.metadata.shared,
            "threads": 32 * made.metadata.num_warps,
            **{word: len(re.findall(rf"\b{word}\b", sass)) for word in ("HGMMA", "HMMA", "LDL", "STL", "FFMA")}})
    (folder / "resources.json").write_text(json.dumps(found))


if __name__ == "__main__":
    where = pathlib.Path(sys.argv[1])
    what = json.loads((where / "job.json").read_text())
    os.environ.setdefault("TRITON_CACHE_DIR", str(where / "cache"))
    {"run": run, "compile": compile_}[what["task"]](where, what)

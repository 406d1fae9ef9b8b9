"""What machine this is, and whether a program runs on it."""

import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from importlib import metadata

import llvmlite
import numpy as np
from llvmlite import binding

from einfall.base.settings import thread_count
from einfall.cascade.agreement import share_of_tolerance
from einfall.front.expression import ranks
from einfall.front.functions import total, where
from einfall.front.kernel import kernel, measured
from einfall.pipeline import lanes_of
from einfall.target.llvm.compile import host_features

__all__ = ["examination"]

TELLING = ("sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "neon", "sve")
i, j, k = ranks("i j k")


def examination(version: str) -> Iterator[tuple[str, str, bool]]:
    """(what, what was found, whether it is well), the machine first."""
    tested = sys.platform == "linux" and platform.machine() == "x86_64"
    features = host_features()
    yield "Python", f"{platform.python_version()} ({sys.executable})", True
    yield "einfall", version, True
    yield "numpy", np.__version__, True
    yield "llvmlite", f"{llvmlite.__version__} (LLVM {'.'.join(map(str, binding.llvm_version_info))})", True
    yield "torch", _installed("torch"), True
    yield "platform", f"{platform.system()} {platform.machine()}{'' if tested else ' (not tested here)'}", True
    yield "CPU", f"{_processor()} ({' '.join(name for name in TELLING if name in features) or 'no vectors'})", True
    yield "lanes", f"{lanes_of(features)} of f32 in a vector loop", True
    given = os.cpu_count()
    yield "threads", f"{thread_count()} of {given} processors (EINFALL_THREADS sets how many)", True
    yield _trial()


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed, and not needed"


def _processor() -> str:
    """The name of the processor; Linux tells it in a file only."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def masked_product(A, B):
    """Large enough for threads, with tails of vectors and a mask."""
    return total(where(k <= i + j, A[i, k] * B[k, j], 0.0), over=k)[i, j]


def _trial() -> tuple[str, str, bool]:
    """One small program, compiled, run, and compared with the reference."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 131, 131), dtype=np.float32)
    held, begin = kernel(masked_product), time.perf_counter()
    try:
        result, took = held(A, B), time.perf_counter() - begin
        share = share_of_tolerance(result, measured(held, (A, B), {})[1][0])
    except Exception:  # whatever it is, it is what the user must see and report
        return "program", f"failed\n{traceback.format_exc()}", False
    if share > 1:
        return "program", f"wrong: {share:.3g} tolerances from the reference; report this machine", False
    return "program", f"ok: compiled and run in {took:.2f} s, agrees with the reference", True

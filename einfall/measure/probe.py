"""The numbers of this machine, measured with machine code of our own, and kept for the next time."""

import hashlib
import json
import math
import os
import pathlib
import platform
import stat
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from einfall.base.settings import cache_directory, may_probe, thread_count
from einfall.measure.timing import fastest_s
from einfall.plan.machine import Cache, Machine, described
from einfall.plan.work import BREAK_EVEN
from einfall.runtime.launch import Step, launch
from einfall.runtime.threads import in_parallel
from einfall.scalar.memory import Buffer
from einfall.target.llvm.compile import compile_module, host_features
from einfall.target.llvm.emit import Layout, Module, emit
from einfall.tile.text import parse

__all__ = ["identity", "load", "probe", "save", "this_machine"]

VERSION = 1  # of what is measured and how; numbers of another version are not read
CHAINS = 12  # independent multiply-adds that cover their latency
TRIAD = """
def triad(A: f32[2], B: f32[2]):
    out = output(f32, A.shape[0], A.shape[1])
    c = grid(A.shape[0])
    for i in vector(A.shape[1]):
        out[c, i] = A[c, i] + 0.5 * B[c, i]
"""
READ = """
def read(A: f32[2]):
    out = output(f32, A.shape[0])
    c = grid(A.shape[0])
    for i in vector(A.shape[1], a=f32(0.0)):
        fold(sum, a=A[c, i])
    out[c] = a
"""
EXPONENTIAL = """
def exponential(A: {type}[2]):
    out = output({type}, A.shape[0], A.shape[1])
    c = grid(A.shape[0])
    for i in vector(A.shape[1]):
        out[c, i] = exp(A[c, i])
"""


def lanes_of(features: frozenset[str]) -> int:
    """How many numbers of f32 a register holds."""
    return 16 if "avx512f" in features else 8 if "avx2" in features else 4


def this_machine(directory: pathlib.Path | None = None, say: Callable[[str], None] | None = None) -> Machine:
    """The machine of this process with its present thread count: as kept, else measured now, else estimated."""
    name, threads = identity(), thread_count()
    key = name, threads, str(directory or cache_directory())
    if key not in _KNOWN:
        directory = directory or _directory()
        found = load(directory, name, threads)
        if found is None and may_probe():
            found = probe(say or (lambda text: print(text, file=sys.stderr)))
            if not found.is_measured:  # disturbed: the next report tries again
                return found
            save(directory, found)
        _KNOWN[key] = found or described(name, threads, lanes_of(host_features()))
    return _KNOWN[key]


_KNOWN: dict[tuple, Machine] = {}


def identity() -> str:
    """What tells this processor from others, as far as it says."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        found = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        found = ""
    return found or platform.processor() or platform.machine() or "unknown processor"


# Kept numbers


def _directory() -> pathlib.Path | None:
    """Where numbers are kept; None where the user has no such place."""
    given = cache_directory()
    if given:
        return pathlib.Path(given)
    import platformdirs

    try:
        return pathlib.Path(platformdirs.user_cache_dir("einfall"))
    except (OSError, RuntimeError):
        return None


def _file(directory: pathlib.Path, name: str, threads: int) -> pathlib.Path:
    about = json.dumps([VERSION, name, threads, sorted(host_features())])
    return directory / f"machine-{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"


def load(directory: pathlib.Path | None, name: str, threads: int) -> Machine | None:
    """The numbers kept for a machine; None if there are none, others could have written them, or they make no sense."""
    if directory is None:
        return None
    try:
        about = directory.stat()
        if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o022:
            return None
        held = json.loads(_file(directory, name, threads).read_text())
        machine = Machine(**{**held, "caches": tuple(Cache(*item) for item in held["caches"])})
        return machine if _is_sensible(machine) and (machine.name, machine.threads) == (name, threads) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_sensible(machine: Machine) -> bool:
    numbers = [value for field, value in machine._asdict().items() if field not in ("name", "caches", "is_measured")]
    numbers += [value for cache in machine.caches for value in cache[1:]]
    return bool(machine.caches) and all(type(value) in (int, float) and 0 < value < math.inf for value in numbers)


def save(directory: pathlib.Path | None, machine: Machine) -> bool:
    """Keeps the numbers where only the user reads and writes; whether that was possible."""
    if directory is None:
        return False
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            return False
        directory.chmod(0o700)
        place = _file(directory, machine.name, machine.threads)
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=place.stem)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(machine._asdict(), file)
            os.replace(temporary, place)
        except OSError:  # no room, or no right to rename
            os.unlink(temporary)
            return False
        return True
    except OSError:
        return False


# Measuring


def probe(say: Callable[[str], None], budget_s: float = 1.5) -> Machine:
    """Measures this machine with its present thread count; `say` is told what happens."""
    say(f"einfall: measuring this machine once, about {2 * budget_s:.0f} s at most ...")
    features, threads = host_features(), thread_count()
    lanes, part = lanes_of(features), budget_s / 14
    bench = Bench(features, lanes, part)
    peaks = {bits: bench.peak_per_s(bits, threads) for bits in (32, 64)}
    if bench.is_disturbed:
        say("einfall: other programs are at work, and the numbers come out lower than they should; they are not kept")
    special_s, library_s = bench.exponential_s("f32"), bench.exponential_s("f64")
    sizes = cache_bytes()
    caches = tuple(Cache(f"L{level}", size, bench.read_bytes_per_s(size // 2)) for level, size in enumerate(sizes, 1))
    # farther levels are not faster, whatever a disturbed measurement says
    for place in range(1, len(caches)):
        slower = min(caches[place].bandwidth_bytes_per_s, caches[place - 1].bandwidth_bytes_per_s)
        caches = (*caches[:place], caches[place]._replace(bandwidth_bytes_per_s=slower), *caches[place + 1:])
    memory = bench.triad_bytes_per_s(min(max(2 * sizes[-1], 32 << 20), 128 << 20), threads)
    machine = Machine(identity(), threads, lanes, peaks[32], peaks[64], memory.all_bytes_per_s, memory.one_bytes_per_s,
                      memory.fresh_bytes_per_s, caches, special_s, library_s, bench.launch_s(), not bench.is_disturbed)
    say(f"einfall: {machine.name}, {threads} threads: {machine.peak_f32_per_s / 1e9:.0f} Gop/s f32, "
        f"{machine.bandwidth_bytes_per_s / 1e9:.0f} GB/s")
    return machine


def cache_bytes() -> tuple[int, ...]:
    """The capacities of the caches that one core sees, as the system says, else common ones."""
    found = []
    for name, common in (("SC_LEVEL1_DCACHE_SIZE", 32 << 10), ("SC_LEVEL2_CACHE_SIZE", 1 << 20),
                         ("SC_LEVEL3_CACHE_SIZE", 16 << 20)):
        size = os.sysconf(name) if name in os.sysconf_names else 0
        found.append(size if size > (found[-1] if found else 0) else max(common, 2 * found[-1] if found else common))
    return tuple(found)


class MainMemory(NamedTuple):
    """Bytes per second of main memory: with all threads, with one, and of one into memory never touched."""

    all_bytes_per_s: float
    one_bytes_per_s: float
    fresh_bytes_per_s: float


class Bench:
    """The kernels of the probe, compiled for this machine."""

    def __init__(self, features: frozenset[str], lanes: int, part_s: float):
        self.features, self.lanes, self.part_s = features, lanes, part_s
        self.is_disturbed = False

    def step(self, text: str) -> Step:
        """A tile program compiled for rows that lie one after the other."""
        program = parse(text)
        units = frozenset((item.name, len(item.extents) - 1) for item in program.inputs if isinstance(item, Buffer))
        return Step(program, compile_module(emit(program, self.features, self.lanes, units)))

    def run(self, step: Step, memory: dict[str, np.ndarray]) -> Callable[[int, int], None]:
        """run(begin, end) on arrays that stay: nothing is made."""
        words = np.empty(len(step.code.layout.slots), np.int64)
        for place, slot in enumerate(step.code.layout.slots):
            array = memory[slot[1]]
            words[place] = array.ctypes.data if slot[0] == "base" else (
                array.strides if slot[0] == "stride" else array.shape)[slot[2]]

        def run(begin: int, end: int, held=memory) -> None:  # the arrays live as long as their addresses are used
            step.code.call(words.ctypes.data, begin, end)

        return run

    def peak_per_s(self, bits: int, threads: int) -> float:
        """Operations of multiply-adds that stay in registers, on all threads."""
        code = compile_module(_multiply_adds(bits, self.lanes * 32 // bits))
        sink = np.zeros(self.lanes)
        words = np.array([sink.ctypes.data], np.int64)
        steps = 400_000

        def run(begin: int, end: int, held=sink) -> None:
            code.call(words.ctypes.data, begin, end)

        done = 2.0 * CHAINS * (self.lanes * 32 // bits) * steps
        one = done / fastest_s(lambda: run(0, steps), self.part_s, 20)
        if threads == 1:
            return one
        all_s = fastest_s(lambda: in_parallel(lambda: run, steps * threads, BREAK_EVEN), self.part_s, 20)
        together = done * threads / all_s
        # as many threads as there are processors, each at full speed, unless somebody else works on one of them
        self.is_disturbed = self.is_disturbed or together < 0.8 * one * threads
        return together

    def exponential_s(self, type: str) -> float:
        """Seconds per element from a small array, on one thread."""
        step = self.step(EXPONENTIAL.format(type=type))
        rows, columns = (64, 1024) if type == "f32" else (4, 1024)
        A = np.linspace(-3, 3, rows * columns).astype(step.program.inputs[0].type.numpy).reshape(rows, columns)
        run = self.run(step, {"A": A, "out": np.empty_like(A)})
        return fastest_s(lambda: run(0, rows), self.part_s, 20) / A.size

    def read_bytes_per_s(self, size_bytes: int) -> float:
        """One thread, from an array of that many bytes that was read before."""
        columns = max(size_bytes // 4, self.lanes)
        rows = max(2, (1 << 23) // size_bytes)  # the same elements again and again: rows without distance
        A = np.broadcast_to(np.ones(columns, np.float32), (rows, columns))
        run = self.run(self.step(READ), {"A": A, "out": np.empty(rows, np.float32)})
        return 4.0 * columns * rows / fastest_s(lambda: run(0, rows), self.part_s, 10)

    def triad_bytes_per_s(self, size_bytes: int, threads: int) -> MainMemory:
        """Two arrays of main memory read, one written."""
        rows = 8 * threads
        shape = rows, size_bytes // 4 // rows
        A, B, out = (np.empty(shape, np.float32) for _ in range(3))
        A[:], B[:] = 1, 2
        fresh_s = fastest_s(lambda: np.empty(shape, np.float32).fill(0), self.part_s / 4, 2)
        out[:] = 0
        warm_s = fastest_s(lambda: out.fill(0), self.part_s / 4, 2)
        run = self.run(self.step(TRIAD), {"A": A, "B": B, "out": out})
        one_s = fastest_s(lambda: run(0, rows), self.part_s, 5)
        all_s = fastest_s(lambda: in_parallel(lambda: run, rows, BREAK_EVEN), self.part_s, 9) if threads > 1 else one_s
        fastest = 3 * A.nbytes / min(all_s, one_s)
        return MainMemory(fastest, 3 * A.nbytes / one_s, A.nbytes / max(fresh_s - warm_s, A.nbytes / 1e12))

    def launch_s(self) -> float:
        """A call that does nearly nothing."""
        step, A = self.step(READ), np.ones((1, 16), np.float32)
        return fastest_s(lambda: launch((step,), step.program.outputs, {"A": A}, {}), self.part_s, 50)


def _multiply_adds(bits: int, lanes: int) -> Module:
    """A loop of independent multiply-adds, `begin` to `end` steps; the sum is stored so that nothing is left out."""
    one = "float" if bits == 32 else "double"
    type, name = f"<{lanes} x {one}>", f"llvm.fma.v{lanes}f{bits}"
    half = f"splat ({one} 0x3FE0000000000000)"
    lines = [f"declare {type} @{name}({type}, {type}, {type})", "define void @peak(ptr %words, i64 %begin, i64 %end) {",
             "entry:", "  %place = load ptr, ptr %words", "  %seed = sitofp i64 %begin to " + one,
             f"  %first = insertelement {type} zeroinitializer, {one} %seed, i32 0", "  br label %body", "body:",
             "  %i = phi i64 [ %begin, %entry ], [ %next, %body ]"]
    lines += [f"  %a{k} = phi {type} [ %first, %entry ], [ %b{k}, %body ]" for k in range(CHAINS)]
    lines += [f"  %b{k} = call {type} @{name}({type} %a{k}, {type} {half}, {type} splat ({one} {float(k + 1)}))"
              for k in range(CHAINS)]
    lines += ["  %next = add i64 %i, 1", "  %more = icmp slt i64 %next, %end",
              "  br i1 %more, label %body, label %exit", "exit:", f"  %s0 = fadd {type} %b0, %b0"]
    lines += [f"  %s{k} = fadd {type} %s{k - 1}, %b{k}" for k in range(1, CHAINS)]
    # a sum is never NaN: nothing is stored, and LLVM cannot know it
    lines += [f"  %r = extractelement {type} %s{CHAINS - 1}, i32 0", f"  %c = fcmp uno {one} %r, %r",
              "  br i1 %c, label %store, label %done", "store:", f"  store {one} %r, ptr %place", "  br label %done",
              "done:", "  ret void", "}"]
    return Module("peak", "\n".join(lines), Layout((), ()))

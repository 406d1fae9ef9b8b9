"""What a tile program costs on a machine: operations, bytes, seconds, and what binds. The one model for all who ask.

An instruction on a register of lanes takes a slot; arithmetic and loads have slots of their own and overlap, and so
do the bytes that pass each cache. What takes longest is the prediction.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from einfall.base.node import postorder
from einfall.plan.machine import Machine
from einfall.plan.traffic import Passing, is_vector, least_bytes, traffic_bytes
from einfall.plan.work import Site, Work, instances, is_special, lengths, operations, sites, threads_for, work
from einfall.scalar.memory import Buffer, Load, Loop, Store, Value
from einfall.scalar.nodes import Const, Expr, Map, Select
from einfall.tile.nodes import Axis, Program

__all__ = ["Cost", "Limit", "Prediction", "cost", "limit", "predict"]

# Slots of an instruction on one register, where it is not one. An extremum that lets NaN through is two comparisons,
# their union and a choice; divisions and roots are not pipelined.
SLOTS = {"maximum": 4.0, "minimum": 4.0, "divide": 10.0, "sqrt": 16.0, "rsqrt": 26.0, "sign": 4.0,
         "isfinite": 2.0, "isinf": 2.0}
# Elements of exp in vector code that take as long as one of the function.
EXPONENTIALS = {"exp2": 0.9, "log": 1.3, "log2": 1.3, "sin": 1.5, "cos": 1.5, "erf": 2.5, "logaddexp": 3.0}
# Calls of exp in libm that take as long as one of the operator; the arguments decide much of it.
CALLS = {"exp2": 0.7, "erf": 0.9, "log": 0.8, "log2": 0.8, "log10": 1.6, "log1p": 1.5, "expm1": 1.5, "cosh": 1.5,
         "acosh": 1.0, "pow": 3.0, "tan": 3.5, "atan2": 3.5, "asinh": 5.0, "atanh": 5.0, "exp": 1.0, "sigmoid": 1.2,
         "floor_divide": 1.0, "remainder": 1.0}
CALL = 2.5  # of those that are not in the table
JUMPING = 4.0  # bytes in order that pass in the time of one on another page, beyond the nearest caches
REGISTERS = 24  # that hold what short loops keep; the others are needed to work
WIDE = 4  # registers that the lanes of a loop fill that reduces in loops inside
GATHERED = 2.0  # slots of a load per lane where lanes do not lie side by side
BROADCAST = 0.5  # slots of a load of one element for all lanes: it is part of the instruction that uses it
PADDED = 3.0  # slots per axis to ask whether an index is inside; indices have 64 bits
HALVING = 1.0  # slots to bring the halves of a register together: half a register is half the work
STARTING = 4.0  # slots to begin a vector loop and to end it
LATENCY = 4.0  # slots before the result of an addition can be added to
WINDOW = 400.0  # slots that a processor looks ahead: a shorter chain of additions hides behind what follows it
KEPT_BYTES = 32 << 20  # larger results are given back to the system and provided again by every call


class Cost(NamedTuple):
    """One tile program: seconds per resource; the largest is what it takes."""

    program: Program
    work: Work
    bytes: float  # to and from beyond the last cache that does not hold everything
    threads: int
    instances: int
    seconds_by: Mapping[str, float]  # arithmetic, special functions, loads, then each level of memory
    launch_s: float

    @property
    def seconds(self) -> float:
        """The prediction: calculation and accesses overlap."""
        return self.launch_s + max((*self.overlapping.values(), 0.0))

    @property
    def is_idle(self) -> bool:
        """Whether these sizes leave it nothing to do."""
        return self.work.stores == 0

    @property
    def overlapping(self) -> dict[str, float]:
        """Seconds of what runs side by side: calculation in order, loads, levels of memory."""
        calculation = {"arithmetic", "special functions", "calls of libm"}
        together = sum(value for name, value in self.seconds_by.items() if name in calculation)
        return {"calculation": together, **{
            name: value for name, value in self.seconds_by.items() if name not in calculation}}

    @property
    def binds(self) -> str:
        """What takes longest."""
        if self.launch_s >= self.seconds / 2:
            return "calls"
        longest = max(self.overlapping, key=self.overlapping.get)
        if longest == "calculation":
            return max(("arithmetic", "special functions", "calls of libm"), key=lambda name: self.seconds_by[name])
        return longest


class Limit(NamedTuple):
    """The least time a machine needs for what has to be done, and the formula in numbers."""

    seconds: float
    formula: str
    binds: str


class Prediction(NamedTuple):
    """All programs of a kernel, in order."""

    costs: tuple[Cost, ...]
    least_bytes: float
    limit: Limit

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.costs)

    @property
    def binds(self) -> str:
        """What binds the program that takes longest."""
        return max(self.costs, key=lambda one: one.seconds).binds if self.costs else "calls"


def predict(programs: Sequence[Program], inputs: Sequence, outputs: Sequence[Buffer], size: Callable[[Expr], int],
            machine: Machine, is_unit: Callable[[str, int], bool], has_vector_code: Callable[[str, str], bool]
            ) -> Prediction:
    """What the programs of a kernel cost.

    is_unit: whether elements of an input lie side by side along an axis; has_vector_code: whether the target has
    vector code for a function, by operator and type.
    """
    costs = tuple(cost(program, size, machine, is_unit, has_vector_code) for program in programs)
    least = least_bytes(programs, size, inputs, outputs)
    return Prediction(costs, least, limit(costs, least, machine, has_vector_code))


def cost(program: Program, size: Callable[[Expr], int], machine: Machine, is_unit: Callable[[str, int], bool],
         has_vector_code: Callable[[str, str], bool]) -> Cost:
    """What one tile program costs."""
    count = instances(program, size)
    threads = threads_for(operations(program, size), count, machine.threads)
    share = math.ceil(count / threads) / count if count else 0.0  # what the busiest thread does
    slot_s = 2.0 * machine.lanes * machine.threads / machine.peak_f32_per_s
    slots = Slots(program, size, machine.lanes, is_unit, has_vector_code)
    seconds = {"arithmetic": slots.arithmetic * slot_s * share,
               "special functions": slots.exponentials * machine.special_s * share,
               "calls of libm": slots.calls * machine.library_s * share,
               "loads": slots.loads * slot_s * share}
    passing = traffic_bytes(program, size, [cache.capacity_bytes for cache in machine.caches])
    for level, (cache, nearer) in enumerate(zip(machine.caches[1:], passing)):
        seconds[cache.name] = _ordered(nearer, level) * share / cache.bandwidth_bytes_per_s
    last = passing[-1].bytes
    fits = last <= machine.caches[-1].capacity_bytes
    fresh = sum(amount for amount in (bytes_of(buffer, size) for buffer in program.outputs) if amount > KEPT_BYTES)
    # what fits stays from call to call; what does not comes from memory, and large results are provided anew
    seconds["memory"] = (0.0 if fits else _ordered(passing[-1], len(passing)) / machine.main_bandwidth(threads)) + (
        fresh * share / machine.fresh_bytes_per_s)
    return Cost(program, work(program, size), last, threads, count, seconds, machine.launch_s if count else 0.0)


def _ordered(passing: Passing, level: int) -> float:
    """The bytes in order that would take as long; the second cache is near enough for any order."""
    return passing.bytes + (JUMPING - 1) * passing.jumping_bytes * (level > 0)


def bytes_of(buffer: Buffer, size: Callable[[Expr], int]) -> float:
    """The bytes of a buffer."""
    return math.prod(map(size, buffer.extents)) * max(buffer.type.bits // 8, 1)


class Slots:
    """Instructions of all instances, by the unit that performs them."""

    def __init__(self, program: Program, size: Callable[[Expr], int], lanes: int, is_unit: Callable[[str, int], bool],
                 has_vector_code: Callable[[str, str], bool]):
        self.size, self.lanes, self.is_unit, self.has_vector_code = size, lanes, is_unit, has_vector_code
        self.arithmetic = self.loads = self.exponentials = self.calls = 0.0
        self.inputs = program.inputs
        self.chains: dict[Loop, list[float]] = {}  # of each loop that carries values: its steps, and their arithmetic
        self.fused = _fused(program)
        self.steps_of = lengths(program, size)
        for site in sites(program):
            self.add(site)
        self.arithmetic += self.waiting()

    def groups(self, around: Sequence) -> float:
        """How often these loops make a step: a vector loop does its lanes at once, in whole registers."""
        return math.prod(self.steps(loop, place, around) for place, loop in enumerate(around))

    def steps(self, loop: Axis | Loop, place: int, around: Sequence) -> int:
        extent, is_inner = self.steps_of[loop.variable], any(map(is_vector, around[:place]))
        return -(-extent // self.lanes) if is_vector(loop) and not is_inner else extent

    def times(self, site: Site) -> float:
        """How often an instruction is performed.

        Short loops are written out, so what does not change in a loop around them is performed before it and kept.
        """
        node, around, _ = site
        leaves = node.free if isinstance(node, Expr) else frozenset()
        if not leaves or any(isinstance(leaf, Value) for leaf in leaves):
            return self.groups(around)
        total, kept, place = 1.0, 1, len(around)
        room = REGISTERS // self.wide(around)
        while place and kept <= room:
            loop = around[place - 1]
            if loop.variable in leaves:
                if not isinstance(loop.extent, Const):
                    break
                kept *= loop.extent.value
                total *= self.steps(loop, place - 1, around)
            place -= 1
        is_written = kept > 1 and any(isinstance(item, Load) and item.buffer not in self.inputs
                                      for item in postorder(node))  # it may differ in every step
        if kept > room or is_written:
            return self.groups(around)
        return total * self.groups(around[:place])

    def wide(self, around: Sequence) -> int:
        """How many registers the lanes of the vector loop fill: one where functions are called."""
        lane = next((loop for loop in around if is_vector(loop)), None)
        if lane is None or lane.carried or any(is_special(node) for node in postorder(*lane.body)):
            return 1
        return WIDE

    def add(self, site: Site) -> None:
        """The slots of one operator or access."""
        node, around, _ = site
        times = self.times(site)
        lane = next((loop for loop in around if is_vector(loop)), None)
        before = self.arithmetic
        match node:
            case Load() | Store():
                self.loads += times * self.registers(node.buffer.type.bits, lane) * self.access(node, lane)
                if isinstance(node, Load) and node.outside is not None:
                    self.arithmetic += times * PADDED * len(node.indices)
            case Map(op, (first, *_)) if first.dtype.is_float and not self.has_vector_code(op.name, first.dtype.name):
                self.calls += times * CALLS.get(op.name, CALL) * (self.lanes if lane is not None else 1.0)
            case Map() if is_special(node):
                self.exponentials += times * self.lanes * EXPONENTIALS.get(node.op.name, 1.0)
            case Map() if node not in self.fused:
                bits = node.args[0].dtype.bits
                self.arithmetic += times * SLOTS.get(node.op.name, 1.0) * self.registers(bits, lane)
            case Select():
                self.arithmetic += times * self.registers(node.dtype.bits, lane)
        spent = self.arithmetic - before
        for depth, loop in enumerate(around, 1):
            if isinstance(loop, Loop) and loop.carried:
                self.chains.setdefault(loop, [self.groups(around[:depth]), 0.0])[1] += spent

    def registers(self, bits: int, lane: Loop | None) -> float:
        return 1.0 if lane is None else max(1.0, bits / 32)

    def access(self, node: Load | Store, lane: Loop | None) -> float:
        """The slots of an access in lanes: one where they lie side by side or read one element."""
        if lane is None or all(lane.variable not in index.free for index in node.indices):
            return BROADCAST if lane is not None else 1.0
        moving = [axis for axis, index in enumerate(node.indices) if lane.variable in index.free]
        dense = len(moving) == 1 and (
            self.is_unit(node.buffer.name, moving[0]) if node.buffer in self.inputs  # others are row-major
            else moving[0] == len(node.indices) - 1)
        return 1.0 if dense else GATHERED * self.lanes

    def waiting(self) -> float:
        """Slots that pass while an addition waits for the one before, and to bring lanes together."""
        total = 0.0
        for loop, (steps, spent) in self.chains.items():
            extent = self.steps_of[loop.variable]
            runs = steps / max(-(-extent // self.lanes) if is_vector(loop) else extent, 1)
            if is_vector(loop):
                total += runs * (STARTING + HALVING * math.log2(self.lanes) * len(loop.carried))
            a_step = spent / steps if steps else 0.0
            if runs and not is_vector(loop) and a_step < LATENCY and steps / runs * LATENCY > WINDOW:
                total += steps * (LATENCY - a_step)
        return total


def _fused(program: Program) -> set[Expr]:
    """The products that are performed in the instruction of the sum that reads them: one of each sum."""
    found: set[Expr] = set()
    for node, *_ in sites(program):
        if isinstance(node, Map) and node.op.name in ("add", "subtract"):
            found.update([arg for arg in node.args if isinstance(arg, Map) and arg.op.name == "multiply"
                          and arg.dtype.is_float][:1])
    return found


def limit(costs: Sequence[Cost], least: float, machine: Machine, has_vector_code: Callable[[str, str], bool]) -> Limit:
    """max(least bytes / bandwidth, operations / peak, special functions / their rate), all threads at work.

    The bandwidth is that of the smallest level of memory that holds the bytes.
    """
    level, bandwidth = "memory", machine.bandwidth_bytes_per_s
    for cache in machine.caches[::-1]:
        if least <= cache.capacity_bytes * (1 if cache is machine.caches[-1] else machine.threads):
            level, bandwidth = cache.name, max(bandwidth, cache.bandwidth_bytes_per_s * machine.threads)
    terms = [(least / bandwidth, "memory", f"{quantity(least, 'B')} / {quantity(bandwidth, 'B/s')} of {level}")]
    for bits, name in ((32, "f32"), (64, "f64")):
        done = sum(amount for one in costs for width, amount in one.work.arithmetic.items()
                   if (width > 32) == (bits > 32))
        if done:
            peak = machine.peak_per_s(bits)
            terms.append((done / peak, "arithmetic", f"{quantity(done, 'op')} / {quantity(peak, 'op/s')} {name}"))
    special = {True: 0.0, False: 0.0}
    for one in costs:
        for key, amount in one.work.special.items():
            special[has_vector_code(*key)] += amount
    rates = ((True, machine.special_s, "special functions"), (False, machine.library_s, "calls of libm"))
    for own, each_s, what in rates:
        if special[own]:
            rate = machine.threads / each_s
            terms.append((special[own] / rate, what, f"{quantity(special[own], '')} {what} / {quantity(rate, '/s')}"))
    seconds, binds, _ = max(terms)
    return Limit(seconds, f"max({', '.join(text for *_, text in terms)})", binds)


def quantity(value: float, unit: str) -> str:
    """Three digits and a prefix: 1.05 MB."""
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g} {prefix}{unit}".rstrip()
    return f"{value:.3g} {unit}".rstrip()

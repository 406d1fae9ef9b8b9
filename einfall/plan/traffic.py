"""How many bytes of its buffers a program touches, and how many pass a cache: footprints of loops against capacity.

A loop whose footprint fits brings in what it touches once. A loop whose steps fit keeps what the next step reads
again. A loop whose steps do not fit brings everything in again in every step.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from einfall.base.node import postorder
from einfall.plan.work import blocks, lengths
from einfall.scalar.memory import Buffer, Load, Loop, Store, Variable
from einfall.scalar.nodes import Expr, Map
from einfall.tile.nodes import Axis, Program

__all__ = ["least_bytes", "traffic_bytes"]

LINE_BYTES = 64  # what a cache keeps together
PAGE_BYTES = 4096  # what is fetched ahead ends here
GROUP = 64  # iterations of a vector loop that count as one step: their lanes go through the loops inside together


class Range(NamedTuple):
    """An index that is affine in loop indices: factors per index, and what is added."""

    factors: tuple[tuple[Variable, int], ...]
    offset: int


class Access(NamedTuple):
    """A load or a store: the range of each axis (None where it is not affine), and the loops around."""

    buffer: Buffer
    axes: tuple[Range | None, ...]
    around: tuple[Axis | Loop, ...]


class Passing(NamedTuple):
    """Bytes that pass a cache, and those of them that go from page to page, where nothing is fetched ahead."""

    bytes: float
    jumping_bytes: float


class Traffic:
    """The accesses of a program for given sizes."""

    def __init__(self, program: Program, size: Callable[[Expr], int]):
        self.program, self.size = program, size
        self.extents = lengths(program, size, at_end=True)
        self.accesses: dict[Access, None] = {}
        for block in blocks(program):
            statement = block.statement
            roots = (statement.value, *statement.indices) if isinstance(statement, Store) else [
                item.update for item in statement.carried]
            for node in (*postorder(*roots), *([statement] if isinstance(statement, Store) else [])):
                if isinstance(node, Load | Store):
                    axes = tuple(self.range_of(index) for index in node.indices)
                    self.accesses[Access(node.buffer, axes, block.around)] = None

    def range_of(self, index: Expr) -> Range | None:
        """An index as factors and an offset."""
        found = self.affine(index)
        if found is None:
            return None
        return Range(tuple(sorted(found[0].items(), key=lambda item: item[0].name)), found[1])

    def affine(self, expr: Expr) -> tuple[dict[Variable, int], int] | None:
        if not expr.free and not any(isinstance(node, Load) for node in postorder(expr)):
            try:
                return {}, self.size(expr)
            except (AttributeError, KeyError):  # it depends on a number of the call
                return None
        match expr:
            case Variable():
                return {expr: 1}, 0
            case Map(op, (left, right)) if op.name in ("add", "subtract", "multiply"):
                one, other = self.affine(left), self.affine(right)
                if one is None or other is None:
                    return None
                if op.name == "multiply":
                    one, other = (one, other) if one[0] else (other, one)
                    return None if other[0] else ({x: k * other[1] for x, k in one[0].items()}, one[1] * other[1])
                sign = 1 if op.name == "add" else -1
                factors = {x: one[0].get(x, 0) + sign * other[0].get(x, 0) for x in one[0] | other[0]}
                return factors, one[1] + sign * other[1]
        return None

    def touched(self, around: Sequence[Axis | Loop]) -> dict[Buffer, float]:
        """Bytes of each buffer that one step of the innermost of these loops touches; of all where there is none."""
        depth, found = len(around), {}
        classes: dict[tuple, list[Access]] = {}
        for access in self.accesses:
            if access.around[:depth] == tuple(around):
                shape = tuple(axis and axis.factors for axis in access.axes)
                classes.setdefault((access.buffer, shape), []).append(access)
        for (buffer, _), same in classes.items():
            found[buffer] = found.get(buffer, 0.0) + self.union(buffer, same, depth)
        return {buffer: min(amount, self.whole(buffer)) for buffer, amount in found.items()}

    def union(self, buffer: Buffer, same: list[Access], depth: int) -> float:
        """Bytes of accesses that differ by offsets: the box around them, no more than each element on its own."""
        first = same[0]
        inside = {loop.variable: self.extents[loop.variable] if place >= depth else min(
            self.extents[loop.variable], GROUP) for place, loop in enumerate(first.around)
            if place >= depth or is_vector(loop)}
        steps = math.prod(inside.values())
        spans = []
        for place, axis in enumerate(first.axes):
            extent = self.size(buffer.extents[place])
            if axis is None:
                spans.append(extent)
                continue
            offsets = [access.axes[place].offset for access in same]
            moving = [(abs(factor), inside[x]) for x, factor in axis.factors if x in inside]
            reach = sum(factor * (count - 1) for factor, count in moving) + max(offsets) - min(offsets) + 1
            places = math.prod(count for _, count in moving) * len(set(offsets))
            spans.append(max(min(reach, places, extent), 0))
        elements = min(math.prod(spans), steps * len(same))
        along = min(spans[-1] if spans else 1, elements)  # the last axis lies side by side, as a rule
        if not elements:
            return 0.0
        width = max(buffer.type.bits // 8, 1)
        return elements / along * max(along * width, min(LINE_BYTES, self.size_of_row(buffer) * width))

    def size_of_row(self, buffer: Buffer) -> int:
        return self.size(buffer.extents[-1]) if buffer.extents else 1

    def whole(self, buffer: Buffer) -> float:
        return math.prod(map(self.size, buffer.extents)) * max(buffer.type.bits // 8, 1)

    def passing(self, capacity_bytes: float) -> Passing:
        """Bytes that come from beyond a cache of this capacity, or go there."""
        jumping = {access.buffer for access in self.accesses if self.jumps(access)}
        found = self._passing((), self.program.grid, capacity_bytes)
        return Passing(sum(found.values()), sum(amount for buffer, amount in found.items() if buffer in jumping))

    def jumps(self, access: Access) -> bool:
        """Whether the lanes of an access, or its next steps, are on other pages."""
        lane = next((loop for loop in access.around if is_vector(loop)), None)
        nearest = [loop.variable for loop in (access.around[-1:] + ((lane,) if lane else ()))
                   if self.extents[loop.variable] > 1]
        step_bytes = max(access.buffer.type.bits // 8, 1)
        for axis, extent in zip(reversed(access.axes), reversed(access.buffer.extents)):
            if axis and any(abs(factor) * step_bytes >= PAGE_BYTES for x, factor in axis.factors if x in nearest):
                return True
            step_bytes *= self.size(extent)
        return False

    def _passing(self, around: tuple, grid: Sequence[Axis], capacity: float) -> dict[Buffer, float]:
        whole = self.touched(around)
        if sum(whole.values()) <= capacity:
            return whole
        inner = [grid[0]] if grid else list(dict.fromkeys(
            access.around[len(around)] for access in self.accesses
            if access.around[:len(around)] == around and len(access.around) > len(around)))
        total: dict[Buffer, float] = {}
        for loop in inner:
            steps = -(-self.extents[loop.variable] // (GROUP if is_vector(loop) else 1))
            inside = self.touched((*around, loop))
            if sum(inside.values()) <= capacity:
                part = {buffer: min(amount * steps, whole[buffer]) for buffer, amount in inside.items()}
            else:
                part = {buffer: amount * steps
                        for buffer, amount in self._passing((*around, loop), grid[1:], capacity).items()}
            for buffer, amount in part.items():
                total[buffer] = total.get(buffer, 0.0) + amount
        return total or whole


def is_vector(loop: Axis | Loop) -> bool:
    """Whether lanes run the loop."""
    return isinstance(loop, Loop) and loop.kind == "vector"


def traffic_bytes(program: Program, size: Callable[[Expr], int], capacities: Sequence[float]
                  ) -> list[Passing]:
    """The bytes that pass each cache of these capacities."""
    traffic = Traffic(program, size)
    return [traffic.passing(capacity) for capacity in capacities]


def least_bytes(programs: Sequence[Program], size: Callable[[Expr], int], inputs: Sequence, outputs: Sequence[Buffer]
                ) -> float:
    """Every element of the inputs that is read, once, and every element of the outputs, once."""
    read: dict[Buffer, float] = {}
    for program in programs:
        for buffer, amount in Traffic(program, size).touched(()).items():
            if buffer in inputs:
                read[buffer] = max(read.get(buffer, 0.0), amount)
    written = sum(math.prod(map(size, buffer.extents)) * max(buffer.type.bits // 8, 1) for buffer in outputs)
    return sum(read.values()) + written

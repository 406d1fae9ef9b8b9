"""Which loops become blocks, for targets whose values are tensors: chosen by what a loop reads and keeps.

A block is the axis of a tensor. Rows of a grid are blocks where what one of them reads serves others; a reduction is in
blocks where its elements are products of two tensors, or where they all fit into registers; others go step by step.
"""

import math
from collections.abc import Mapping
from itertools import chain as joined

from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.nodes import Reduce
from einfall.derive.derive import Derivation
from einfall.nest.blocks import at_once, block, block_grid, legal_block, legal_block_grid
from einfall.nest.nodes import Nest
from einfall.nest.schedule import fresh
from einfall.nest.stage import bounds
from einfall.scalar.dtypes import F32
from einfall.scalar.memory import Load, Loop, Statement, Store, Value, Variable, Workspace, depends_on_sizes_only
from einfall.scalar.nodes import Cast, Expr, Map

__all__ = ["choose_blocks", "factors_of", "portion_of"]

BLOCK = 64  # rows and columns of a product, and its steps on narrow floats: one instruction of a group of warps
STEPS = 16  # of a product of f32: its operands are in registers, and more of them leave none for the results
PORTION = 32  # elements that a state takes at a time where they are products
ROW = 1024  # elements of a row at a time, where a row is an instance
HELD = 4096  # elements of a tensor: 32 registers of each of 128 threads
LEAST = 16  # the shortest axis of a product of blocks, and the shortest block that is worth its mask

Indices = tuple[tuple[Variable, Expr], ...]  # of loops one in another, with their lengths


def portion_of(derivation: Derivation) -> int:
    """How many elements a derived state takes at a time: columns of a product, where the elements are some."""
    for state in derivation.states:
        for component in state.fused.components:
            if any(isinstance(node, Reduce) for node in postorder(component.element)):
                return PORTION
    return ROW


def choose_blocks(nest: Nest) -> Nest:
    """The nest in which what instances hold, and what they take at a time, are blocks."""
    return _Choice(nest).nest()


class _Choice:
    """One nest being brought into blocks: the names that are taken, and which axes hidden values have."""

    def __init__(self, nest: Nest):
        self.whole = nest
        self.taken = {node.name for node in postorder(nest) if hasattr(node, "name")}
        self.hidden: dict[Node, frozenset[Variable]] = {}  # workspaces and carried values: the axes they were made in

    def nest(self) -> Nest:
        """All statements at the top."""
        body = joined.from_iterable(map(self.top, self.whole.body))
        return Nest(self.whole.name, self.whole.inputs, self.whole.outputs, tuple(body))

    def top(self, statement: Statement, outer: Indices = ()) -> list[Statement]:
        """A statement at the top, as one for each grid that is in it."""
        if not isinstance(statement, Loop) or statement.kind != "parallel":
            return [self.inside(statement, {})]
        indices = (*outer, (statement.variable, statement.extent))
        inner = statement.body
        if not all(isinstance(item, Loop) and item.kind == "parallel" and depends_on_sizes_only(item.extent)
                   for item in inner):
            return [self.grid(_one_in_another(indices, inner))]
        made = self.top(inner[0], indices)
        for item in inner[1:]:
            names: dict[Node, Node] = {old: Variable(fresh(old.name, self.taken)) for old, _ in indices}
            renamed = tuple((names[old], extent) for old, extent in indices)
            made += self.top(rewrite(item, None, names), renamed)
        return made

    def grid(self, chain: tuple[Loop, ...]) -> Statement:
        """Independent loops one in another, with what the innermost holds."""
        by = {} if legal_block_grid(chain) is not None else self.rows(chain)
        body = tuple(self.inside(item, by) for item in chain[-1].body)
        chain = _one_in_another(tuple((loop.variable, loop.extent) for loop in chain), body)
        return block_grid(chain, by, self.taken) if by else chain[0]

    def rows(self, chain: tuple[Loop, ...]) -> Mapping[Variable, int]:
        """The loops of a grid that are in blocks, and how long these are."""
        body = chain[-1].body
        shared = [loop for loop in chain if _serves_others(loop, body)]
        long = [loop for loop in shared if _most(loop) >= LEAST] or shared
        if long:
            return {loop.variable: min(BLOCK, _power_of_two(_most(loop))) for loop in long[-2:]}
        inner = [loop for item in body for loop in postorder(item) if isinstance(loop, Loop)
                 and legal_block(loop) is None]
        if not inner:
            return {loop.variable: min(BLOCK, _power_of_two(_most(loop))) for loop in chain[-2:]}
        rows = ROW // _power_of_two(min(ROW, max(map(_most, inner))))
        return {chain[-1].variable: min(BLOCK, rows, _power_of_two(_most(chain[-1])))} if rows > 1 else {}

    def inside(self, statement: Statement, axes: Mapping[Variable, int]) -> Statement:
        """A statement of an instance; `axes` are the blocks around it, and how long they are."""
        if isinstance(statement, Workspace):
            self.hidden[statement.buffer] = frozenset(axes)
        if not isinstance(statement, Loop):
            return statement
        self.hidden |= {item.value: frozenset(axes) for item in statement.carried}
        by = self.length(statement, axes)
        inner = axes if by is None else {**axes, statement.variable: by}
        body = tuple(self.inside(item, inner) for item in statement.body)
        loop = Loop(statement.variable, statement.extent, statement.kind, statement.monoid, statement.carried, body)
        if by is None:
            return loop
        return at_once(loop) if by >= _most(loop) or self.is_kept(loop) else block(loop, by, self.taken)

    def length(self, loop: Loop, axes: Mapping[Variable, int]) -> int | None:
        """The length of the blocks of a loop; None where it goes step by step."""
        if legal_block(loop) is not None:
            return None
        most = _most(loop)
        if self.is_kept(loop):
            return _power_of_two(most) if most < math.inf else BLOCK
        steps = self.steps_of_product(loop, axes)
        if steps:
            return min(steps, _power_of_two(most))
        room = HELD // math.prod(axes.values())
        length = min(_power_of_two(min(most, ROW)), room, ROW)
        return length if length >= min(LEAST, most) and length > 1 else None

    def is_kept(self, loop: Loop) -> bool:
        """Whether memory of the instance has an axis for a loop: it is a tensor, which has to be there as a whole."""
        return any(isinstance(node, Load | Store) and node.buffer in self.hidden and loop.variable in node.indices
                   for node in postorder(*loop.body, *loop.carried))

    def steps_of_product(self, loop: Loop, axes: Mapping[Variable, int]) -> int:
        """How many elements a sum takes at a time whose elements are products of two tensors with a different axis
        each; 0 where they are not."""
        if loop.body or _most(loop) < LEAST:
            return 0
        for item in loop.carried:
            factors = factors_of(item.update) if item.value.type is F32 else None
            if factors is None or any(loop.variable not in factor.free for factor in factors):
                continue
            left, right = (self.axes_of(factor) & set(axes) for factor in factors)
            if left and right and not left & right and all(axes[axis] >= LEAST for axis in left | right):
                are_narrow = all(isinstance(factor, Cast) and factor.arg.dtype.is_narrow for factor in factors)
                return BLOCK if are_narrow else STEPS
        return 0

    def axes_of(self, expr: Expr) -> frozenset[Variable]:
        """The variables that an expression depends on, also through what was computed before."""
        found = set(expr.free)
        for node in postorder(expr):
            if isinstance(node, Load) and node.buffer in self.hidden:
                found |= self.hidden[node.buffer]
            elif isinstance(node, Value):
                found |= self.hidden.get(node, frozenset())
        return frozenset(found)


def factors_of(element: Expr) -> tuple[Expr, Expr] | None:
    """The two factors of a product."""
    match element:
        case Map(op, (left, right)) if op.name == "multiply":
            return left, right
    return None


def _one_in_another(indices: Indices, body: tuple[Statement, ...]) -> tuple[Loop, ...]:
    """Independent loops, each all that the one before it holds, the innermost with this body; outermost first."""
    made: list[Loop] = []
    for variable, extent in reversed(indices):
        made.append(Loop(variable, extent, "parallel", None, (), (made[-1],) if made else body))
    return tuple(reversed(made))


def _serves_others(loop: Loop, body: tuple[Statement, ...]) -> bool:
    """Whether a reduction inside reads, step by step, the same in all iterations of a loop around."""
    own = {node.buffer for node in postorder(*body) if isinstance(node, Workspace)}
    for inner in postorder(*body):
        if isinstance(inner, Loop) and inner.carried and any(
                isinstance(node, Load) and node.buffer not in own and inner.variable in node.free
                and loop.variable not in node.free for node in postorder(inner)):
            return True
    return False


def _most(loop: Loop) -> float:
    """How many iterations a loop has at most; infinite where only sizes say."""
    return min((bound.value for bound in bounds(loop.extent)), default=math.inf)


def _power_of_two(length: float) -> float:
    return length if length == math.inf else 1 << max(int(length) - 1, 0).bit_length()

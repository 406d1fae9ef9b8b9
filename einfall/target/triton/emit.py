"""A tile program as the text of a Triton kernel.

Every open vector loop is an axis: an expression is a tensor over the axes that it depends on, in the order of the
loops, and is written where the innermost loop begins that it depends on. A loop that is no vector loop goes through its
steps once for the whole tensor. A workspace that is read and written at the indices of vector loops is a tensor.
"""

import re
from typing import NamedTuple

from einfall.base.node import Node, postorder
from einfall.nest.stage import bounds
from einfall.scalar.memory import (
    Buffer,
    Load,
    Loop,
    Size,
    Store,
    Variable,
    Workspace,
    depends_on_sizes_only,
)
from einfall.scalar.nodes import Const, Expr
from einfall.target.triton import access
from einfall.target.triton.expressions import Expressions, Scope
from einfall.target.triton.operators import refused
from einfall.target.triton.reductions import Functions, reduced, together
from einfall.target.triton.values import Axis, Tensor
from einfall.tile.nodes import Program

__all__ = ["Emission", "Source", "emit"]

OWN = re.compile(r"tl|triton|range|float|product_by_steps|combine_\w*|BLOCK\d*")  # names of the text
MADE = re.compile(r"(\w+)_(?:step|stride\d+|size\d+|axis\d+)")  # and those that it makes of names
HEAD = "import triton\nimport triton.language as tl\n"


class Source(NamedTuple):
    """The text of a kernel, and how to start it.

    slots: what each argument holds: ("base", buffer), ("stride", buffer, axis) in elements, ("size", input, axis),
    ("number", name); then the constants of the text follow. There are as many instances as the product of `grid`.
    """

    name: str
    text: str
    slots: tuple[tuple, ...]
    constants: tuple[tuple[str, Expr], ...]  # each is the next power of two of an extent, and at least `LEAST`
    grid: tuple[Expr, ...]
    warps: int

    def constant(self, extent: int) -> int:
        """The value of a constant for an extent."""
        return max(LEAST, 1 << max(extent - 1, 0).bit_length())


WARPS = 4  # of an instance
WARPS_OF_PRODUCTS = 8  # more threads hold the results of products without memory for what registers do not hold
WHOLE = 1 << 20  # the depth of axes that no loop has
LEAST = 16  # of the constants: the shortest axis that a product of tensors takes


def emit(program: Program, units: frozenset[tuple[str, int]] = frozenset(), *, widen: bool = False) -> Source:
    """The kernel of a program.

    units: (input, axis) whose elements lie side by side; widen: whether products of narrow floats are computed on f32.
    Raises: CompileError for what has no spelling in Triton.
    """
    return Emission(program, units, widen).source()


class Emission(Expressions):
    """One kernel under construction: scopes, open axes, and the tensors that workspaces are."""

    def __init__(self, program: Program, units: frozenset[tuple[str, int]], widen: bool):
        super().__init__({node.name for node in postorder(program) if hasattr(node, "name")})
        self.program, self.widen = program, widen
        self.axes: list[Axis] = []
        self.depth = 0
        self.active: list[Tensor] = []  # which lanes take the steps of the loops of the text
        self.constants: dict[Expr, str] = {}
        self.kept: dict[Buffer, access.Kept] = {}
        self.functions = Functions()
        self.workspaces = {node.buffer for node in postorder(program) if isinstance(node, Workspace)}
        self.unstable = {node.buffer for node in postorder(program) if isinstance(node, Store)}
        self.read = {node.buffer for node in postorder(program) if isinstance(node, Load)}
        self.readers: dict[Node, frozenset[Buffer]] = {}
        self.numbers = 0
        self.whole_axes: dict[str, Axis] = {}
        self.has_products = False
        self.slots = _slots(program, units)

    def source(self) -> Source:
        """The text, from the body outwards. Raises: CompileError for names that the text has for something else."""
        made = {name: MADE.fullmatch(name) for name in self.taken}
        own = sorted(name for name in self.taken
                     if OWN.fullmatch(name) or (made[name] and made[name][1] in self.taken))
        if own:
            raise refused(f"the name {own[0]} means something else", "give it another name")
        self.instance()
        self.block(self.program.body)
        arguments = [_argument(slot) for slot in self.slots]
        arguments += [f"{name}: tl.constexpr" for name in self.constants.values()]
        body = "\n".join(f"    {line}" for line in self.scopes[0].lines)
        text = f"{HEAD}{self.functions.text}\n\n@triton.jit\ndef {self.program.name}({', '.join(arguments)}):\n{body}\n"
        return Source(self.program.name, text, self.slots, tuple((name, extent) for extent, name in
                      self.constants.items()), tuple(axis.extent for axis in self.program.grid),
                      WARPS_OF_PRODUCTS if self.has_products else WARPS)

    def instance(self) -> None:
        """The indices of the grid, the last one first."""
        if not self.program.grid:
            return
        rest = self.line("tl.cast(tl.program_id(0), tl.int64)")
        for place, axis in reversed(list(enumerate(self.program.grid))):
            if place == 0:
                self.remember(axis.variable, rest)
                continue
            extent = self.value(axis.extent)
            self.remember(axis.variable, self.line("{} % {}", rest, extent))
            rest = self.line("{} // {}", rest, extent)

    def number(self) -> int:
        """A number that has not been given yet."""
        self.numbers += 1
        return self.numbers

    def computed(self, node: Expr) -> Tensor:
        """An expression that has no name yet; here there is memory."""
        match node:
            case Size(name, axis):
                return Tensor(_argument(("size", name, axis)))
            case Load():
                return access.load(self, node)
        return super().computed(node)

    # Statements

    def block(self, statements: tuple) -> None:
        for statement in statements:
            match statement:
                case Workspace(buffer):
                    self.kept[buffer] = access.Kept(tuple(self.axes), self.level, len(self.active))
                case Store():
                    access.store(self, statement)
                    self.forget(frozenset((statement.buffer,)))
                case Loop(kind="vector"):
                    self.vector(statement)
                case Loop():
                    self.steps(statement)

    def forget(self, written: frozenset[Buffer]) -> None:
        """What was read of memory that is written over is to be read again."""
        for scope in self.scopes:
            for node in [node for node in scope.known if not written.isdisjoint(self.read_by(node))]:
                del scope.known[node]

    def read_by(self, node: Node) -> frozenset[Buffer]:
        """The memory that an expression reads, of what the program writes."""
        if node not in self.readers:
            self.readers[node] = frozenset(item.buffer for item in postorder(node) if isinstance(item, Load)
                                           and item.buffer in self.unstable)
        return self.readers[node]

    def block_of(self, extent: Expr) -> int | str:
        """The length of an axis that holds so many elements: a number, or the name of a constant of the text."""
        most = min((bound.value for bound in bounds(extent)), default=None)
        if most is not None:
            return 1 << max(most - 1, 0).bit_length()
        if not depends_on_sizes_only(extent):
            raise refused("a loop of a length that only its instance knows is a block", "report this program")
        return self.constants.setdefault(extent, f"BLOCK{len(self.constants) or ''}")

    def held_by(self, loop: Loop) -> Expr | None:
        """The extent that workspaces have along a loop, if they have an axis for it: then it is as long as theirs."""
        for node in postorder(*loop.body, *loop.carried):
            if isinstance(node, Load | Store) and node.buffer in self.workspaces and loop.variable in node.indices:
                return node.buffer.extents[node.indices.index(loop.variable)]
        return None

    def axis(self, loop: Loop) -> Axis:
        """The axis of a vector loop: its length is a constant that the loop does not exceed."""
        block = self.block_of(self.held_by(loop) or loop.extent)
        self.depth += 1
        axis = self.counted(Axis(loop.variable, loop.variable.name, block, self.depth, loop.extent))
        if not (isinstance(loop.extent, Const) and loop.extent.value == block):
            axis.mask = self.line("{} < {}", self.value(loop.variable), self.value(loop.extent))
        return axis

    def counted(self, axis: Axis) -> Axis:
        """An axis, with the text that counts along it."""
        self.scopes[0].lines.append(f"{axis.name} = tl.cast(tl.arange(0, {axis.block}), tl.int64)")
        self.remember(axis.variable, Tensor(axis.name, (axis,)))
        return axis

    def whole_axis(self, name: str, block: int | str, extent: Expr) -> Axis:
        """The axis of a workspace, of which one element is meant: inside all axes of loops."""
        if name not in self.whole_axes:
            depth = WHOLE + len(self.whole_axes)
            self.whole_axes[name] = self.counted(Axis(Variable(name), name, block, depth, extent))
        return self.whole_axes[name]

    def vector(self, loop: Loop) -> None:
        """A loop whose iterations are an axis; what it brings together is reduced over it."""
        axis = self.axis(loop)
        self.axes.append(axis)
        self.block(loop.body)
        results = reduced(self, loop, axis) if loop.carried else ()
        self.axes.pop()
        for item, result in zip(loop.carried, results):
            self.remember(item.value, self.typed(result, item.value.type))

    def steps(self, loop: Loop) -> None:
        """A loop of the text; where lanes have different lengths it is as long as the longest, and the others rest."""
        written = frozenset(node.buffer for node in postorder(*loop.body) if isinstance(node, Store))
        self.forget(written)
        extent, axes = self.value(loop.extent), tuple(self.axes)
        count = extent if not extent.axes else self.longest(extent)
        for item in loop.carried:
            text = self.full(self.value(item.init), item.value.type, axes)
            self.scopes[-1].lines.append(f"{item.value.name} = {text}")
        access.prepare(self, written)
        self.scopes.append(Scope())
        for item in loop.carried:
            self.remember(item.value, Tensor(item.value.name, axes, self.level))
        step = f"{loop.variable.name}_step"
        self.remember(loop.variable, Tensor(loop.variable.name, (), self.level))
        self.scopes[-1].lines.append(f"{loop.variable.name} = tl.cast({step}, tl.int64)")
        if extent.axes:
            self.active.append(self.line("{} < {}", self.value(loop.variable), extent))
        self.block(loop.body)
        self.carry_on(loop, axes, bool(extent.axes))
        if extent.axes:
            self.active.pop()
        inner = self.scopes.pop()
        self.scopes[-1].lines.append(f"for {step} in range(0, {count.text}):")
        self.scopes[-1].lines += [f"    {line}" for line in inner.lines]
        for item in loop.carried:
            self.remember(item.value, Tensor(item.value.name, axes, self.level))
        self.forget(written)

    def carry_on(self, loop: Loop, axes: tuple[Axis, ...], rests: bool) -> None:
        """The carried values change, all together."""
        updates = [self.value(item.update) for item in loop.carried]
        if loop.monoid is not None:
            before = [self.value(item.value) for item in loop.carried]
            updates = together(self, loop.monoid, before, updates)
        names = {item.value.name for item in loop.carried}
        lines = []
        for item, update in zip(loop.carried, updates):
            if rests:
                update = self.line("tl.where({}, {}, {})", self.active[-1], update, self.value(item.value))
            if update.text in names and update.text != item.value.name:
                update = self.line("{}", update)
            if update.text != item.value.name:
                lines.append(f"{item.value.name} = {self.full(update, item.value.type, axes)}")
        self.scopes[-1].lines += lines

    def longest(self, extent: Tensor) -> Tensor:
        """The greatest length of all lanes that are at work."""
        for axis in extent.axes:
            if axis.mask is not None:
                extent = self.line("tl.where({}, {}, 0)", axis.mask, extent)
        for place in reversed(range(len(extent.axes))):
            extent = self.write(f"tl.max({extent.text}, axis={place})", extent.axes[:place], extent.level)
        return extent


def _slots(program: Program, units: frozenset[tuple[str, int]]) -> tuple[tuple, ...]:
    """The arguments of a kernel; elements that lie side by side need no stride."""
    nodes = list(postorder(program))
    inputs = {item.name for item in program.inputs}
    slots: list[tuple] = []
    for item in (*program.inputs, *program.outputs):
        if not isinstance(item, Buffer):
            slots.append(("number", item.name))
            continue
        slots.append(("base", item.name))
        last = len(item.extents) - 1
        slots += [("stride", item.name, axis) for axis in range(len(item.extents))
                  if ((item.name, axis) not in units if item.name in inputs else axis != last)]
    sizes = sorted({(node.input, node.axis) for node in nodes if isinstance(node, Size)})
    return (*slots, *(("size", *size) for size in sizes))


def _argument(slot: tuple) -> str:
    """The name of an argument in the text."""
    match slot:
        case ("base" | "number", name):
            return name
        case (kind, name, axis):
            return f"{name}_{kind}{axis}"
    raise AssertionError(slot)

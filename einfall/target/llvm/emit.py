"""A tile program as the text of an LLVM module.

The function is `void name(ptr arguments, i64 begin, i64 end)`: it runs the instances begin .. end - 1 of the flattened
grid. `arguments` are 64-bit words, in the order of `Layout.slots`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from einfall.base.node import Node, children, postorder
from einfall.scalar.memory import Buffer, Load, Loop, Number, Size, Store, Value, Variable, Workspace
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.target.llvm.builder import Builder
from einfall.target.llvm.operators import Operators, llvm_type
from einfall.tile.nodes import Program

__all__ = ["Layout", "Module", "emit"]


class Layout(NamedTuple):
    """What stands in each word: ("base", buffer), ("stride", buffer, axis) in bytes, ("size", input, axis),
    ("number", name), ("scratch", buffer)."""

    slots: tuple[tuple, ...]
    scratch: tuple[Buffer, ...]


class Module(NamedTuple):
    """The text of a module with one function, and how to call it."""

    name: str
    text: str
    layout: Layout


def emit(program: Program, features: frozenset[str]) -> Module:
    """The module of a program. Raises: NotImplementedError for an operator that the target does not spell."""
    return _Emission(program, features).module()


def _layout(program: Program) -> Layout:
    nodes = list(postorder(program))
    sizes = sorted({(node.input, node.axis) for node in nodes if isinstance(node, Size)})
    scratch = tuple(node.buffer for node in nodes if isinstance(node, Workspace))
    slots: list[tuple] = []
    for item in (*program.inputs, *program.outputs):
        if isinstance(item, Buffer):
            slots += [("base", item.name), *(("stride", item.name, axis) for axis in range(len(item.extents)))]
        else:
            slots.append(("number", item.name))
    slots += [("size", *size) for size in sizes]
    slots += [("scratch", buffer.name) for buffer in scratch]
    return Layout(tuple(slots), scratch)


class _Emission:
    """One function under construction. `scopes` holds, per open loop, the values that are known inside it."""

    def __init__(self, program: Program, features: frozenset[str]):
        self.program, self.layout = program, _layout(program)
        self.builder = Builder()
        self.operators = Operators(self.builder, 1, features)
        self.scopes: list[dict[Node, str]] = [{}]
        self.words: dict[tuple, str] = {}
        self.strides: dict[str, list[str]] = {}
        self.block = "entry"
        self.unstable = _unstable(program)

    def module(self) -> Module:
        self.builder.label("entry")
        self.arguments()
        self.instances()
        self.builder.do("ret void")
        body = "\n".join(self.builder.lines)
        declarations = "\n".join(sorted(self.builder.declarations))
        functions = "".join(sorted(self.operators.functions))
        name = f"einfall.{self.program.name}"
        text = (f"@outside = internal constant [16 x i8] zeroinitializer\n{declarations}\n{functions}\n"
                f"define void @{name}(ptr noalias readonly %arguments, i64 %begin, i64 %end) {{\n{body}\n}}\n")
        return Module(name, text, self.layout)

    # Arguments

    def arguments(self) -> None:
        emit = self.builder.emit
        for place, slot in enumerate(self.layout.slots):
            address = emit(f"getelementptr i64, ptr %arguments, i64 {place}")
            number = next((item for item in self.program.inputs if isinstance(item, Number) and slot == (
                "number", item.name)), None)
            type = "ptr" if slot[0] in ("base", "scratch") else llvm_type(number.type) if number else "i64"
            self.words[slot] = emit(f"load {type}, ptr {address}", hint=slot[1].replace(".", "_"))
            if number is not None:
                self.scopes[0][number] = self.words[slot]
            if slot[0] == "size":
                self.scopes[0][Size(slot[1], slot[2])] = self.words[slot]
        for item in (*self.program.inputs, *self.program.outputs):
            if isinstance(item, Buffer):
                self.strides[item.name] = [self.words["stride", item.name, axis] for axis in range(len(item.extents))]
        for buffer in self.layout.scratch:  # dense, row-major
            step, strides = str(max(buffer.type.bits // 8, 1)), []
            for extent in reversed(buffer.extents):
                strides.append(step)
                step = emit(f"mul i64 {step}, {self.value(extent)}")
            self.strides[buffer.name] = strides[::-1]

    def base(self, buffer: Buffer) -> str:
        return self.words.get(("base", buffer.name)) or self.words["scratch", buffer.name]

    # Control

    def jump(self, label: str) -> None:
        self.builder.do(f"br label %{label}")

    def enter(self, label: str) -> None:
        self.builder.label(label)
        self.block = label

    def label(self, hint: str) -> str:
        return self.builder.fresh(hint)[1:]

    def counted(self, begin: str, end: str, carried: Sequence[tuple[str, str]], body) -> list[str]:
        """A loop from begin to end; `body(index, values)` gives the carried values after a step.

        carried: (type, first value). Returns the last values.
        """
        head, inside, exit_ = self.label("head"), self.label("body"), self.label("exit")
        before = self.block
        self.jump(head)
        self.enter(head)
        index = self.builder.fresh("i")
        values = [self.builder.fresh("c") for _ in carried]
        place = len(self.builder.lines)
        more = self.builder.emit(f"icmp slt i64 {index}, {end}")
        self.builder.do(f"br i1 {more}, label %{inside}, label %{exit_}")
        self.enter(inside)
        self.scopes.append({})
        after = body(index, values)
        self.scopes.pop()
        following = self.builder.emit(f"add nsw i64 {index}, 1")
        phis = [f"  {index} = phi i64 [ {begin}, %{before} ], [ {following}, %{self.block} ]"]
        phis += [f"  {value} = phi {type} [ {first}, %{before} ], [ {new}, %{self.block} ]"
                 for value, (type, first), new in zip(values, carried, after)]
        self.builder.lines[place:place] = phis
        self.jump(head)
        self.enter(exit_)
        return values

    def instances(self) -> None:
        def instance(flat: str, _) -> list[str]:
            rest = flat
            for place, axis in reversed(list(enumerate(self.program.grid))):
                extent = self.value(axis.extent)
                self.scopes[-1][axis.variable] = rest if place == 0 else self.builder.emit(f"urem i64 {rest}, {extent}")
                rest = rest if place == 0 else self.builder.emit(f"udiv i64 {rest}, {extent}")
            self.statements(self.program.body)
            return []

        for axis in self.program.grid:
            self.value(axis.extent)
        self.counted("%begin", "%end", [], instance)

    def statements(self, statements) -> None:
        for statement in statements:
            match statement:
                case Store(buffer, indices, value):
                    made = self.value(value)
                    address = self.address(buffer, [self.value(index) for index in indices])
                    type = llvm_type(buffer.type)
                    if type == "i1":
                        made, type = self.builder.emit(f"zext i1 {made} to i8"), "i8"
                    self.builder.do(f"store {type} {made}, ptr {address}, align 1")
                    self.forget()
                case Loop():
                    self.loop(statement)
                    self.forget()

    def forget(self) -> None:
        """What was loaded may have been written over."""
        for scope in self.scopes:
            for node in [node for node in scope if node in self.unstable]:
                del scope[node]

    def loop(self, loop: Loop) -> None:
        self.forget_written(loop)
        extent = self.value(loop.extent)
        carried = [(llvm_type(item.value.type), self.value(item.init)) for item in loop.carried]

        def body(index: str, values: list[str]) -> list[str]:
            self.scopes[-1][loop.variable] = index
            self.scopes[-1].update((item.value, value) for item, value in zip(loop.carried, values))
            self.statements(loop.body)
            return [self.value(item.update) for item in loop.carried]

        last = self.counted("0", extent, carried, body)
        for item, value in zip(loop.carried, last):
            self.scopes[-1][item.value] = value

    def forget_written(self, loop: Loop) -> None:
        """A loop that stores must not reuse what was loaded before it: later steps see other values."""
        if any(isinstance(node, Store) for node in postorder(loop)):
            self.forget()

    # Values

    def value(self, expr: Expr) -> str:
        """The register that holds an expression; computed at most once in a scope."""
        for scope in reversed(self.scopes):
            if expr in scope:
                return scope[expr]
        made = self.scopes[-1][expr] = self.computed(expr)
        return made

    def computed(self, expr: Expr) -> str:
        match expr:
            case Const(value, dtype):
                return self.operators.constant(value, dtype)
            case Map(op, args):
                return self.operators.apply(op.name, args[0].dtype, tuple(map(self.value, args)))
            case Select(condition, yes, no):
                chosen = self.value(condition)
                return self.operators.select(chosen, llvm_type(expr.dtype), self.value(yes), self.value(no))
            case Cast(arg, to):
                return self.operators.cast(self.value(arg), arg.dtype, to)
            case Load():
                return self.load(expr)
            case Variable(name) | Value(name) | Number(name):
                raise AssertionError(f"{name} is not known here")
        raise TypeError(f"not part of a tile program: {expr!r}")

    def address(self, buffer: Buffer, places: list[str]) -> str:
        emit, offset = self.builder.emit, None
        for place, stride in zip(places, self.strides[buffer.name]):
            step = emit(f"mul i64 {place}, {stride}")
            offset = step if offset is None else emit(f"add i64 {offset}, {step}")
        base = self.base(buffer)
        return base if offset is None else emit(f"getelementptr i8, ptr {base}, i64 {offset}")

    def load(self, load: Load) -> str:
        emit, buffer = self.builder.emit, load.buffer
        places = [self.value(index) for index in load.indices]
        inside = None
        if load.outside is not None:
            for place, extent in zip(places, buffer.extents):
                within = emit(f"icmp ult i64 {place}, {self.value(extent)}")
                inside = within if inside is None else emit(f"and i1 {inside}, {within}")
        address = self.address(buffer, places)
        if inside is not None:
            address = emit(f"select i1 {inside}, ptr {address}, ptr @outside")
        type = llvm_type(buffer.type)
        made = emit(f"load {'i8' if type == 'i1' else type}, ptr {address}, align 1")
        if type == "i1":
            made = emit(f"icmp ne i8 {made}, 0")
        if inside is None:
            return made
        return emit(f"select i1 {inside}, {type} {made}, {type} {self.operators.constant(*_number(load.outside))}")


def _number(node: Const) -> tuple:
    return node.value, node.dtype


def _unstable(program: Program) -> set[Node]:
    """The expressions that read memory which the program writes."""
    found: set[Node] = set()
    for node in postorder(program):
        written = isinstance(node, Load) and node.buffer not in program.inputs
        if isinstance(node, Expr) and (written or any(child in found for child in children(node))):
            found.add(node)
    return found

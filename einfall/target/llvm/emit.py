"""A tile program as the text of an LLVM module.

The function is `void name(ptr arguments, i64 begin, i64 end)`: it runs the instances begin .. end - 1 of the flattened
grid. `arguments` are 64-bit words, in the order of `Layout.slots`.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from einfall.base.node import Node, children, postorder
from einfall.scalar.dtypes import DType
from einfall.scalar.memory import Buffer, Carried, Load, Loop, Number, Size, Store, Value, Variable, Workspace
from einfall.scalar.monoids import Monoid, Side
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.target.llvm import access
from einfall.target.llvm.builder import Builder, splat, vector_type
from einfall.target.llvm.conversions import llvm_type
from einfall.target.llvm.operators import LIBRARY, Operators
from einfall.target.llvm.values import Lane, Register
from einfall.tile.nodes import Program

__all__ = ["Emission", "Layout", "Module", "emit"]

SETS = 4  # independent partial results that a vector reduction has at least, to cover the latency of an addition


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


def emit(program: Program, features: frozenset[str], lanes: int, units: frozenset[tuple[str, int]],
         is_exact: bool = False) -> Module:
    """The module of a program.

    lanes: how many iterations of a vector loop run at once; units: (input, axis) whose elements lie side by side;
    is_exact: whether products are rounded before they are added.
    Raises: NotImplementedError for an operator that the target does not spell.
    """
    return Emission(program, features, lanes, units, is_exact).module()


def _plain(name: str) -> str:
    """A name in the letters that LLVM takes."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


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


class Emission:
    """One function under construction. `scopes` holds, per open loop, the values that are known inside it."""

    def __init__(self, program: Program, features: frozenset[str], lanes: int, units: frozenset[tuple[str, int]],
                 is_exact: bool):
        self.program, self.layout, self.is_exact = program, _layout(program), is_exact
        self.features, self.lanes, self.units = features, lanes, units
        self.builder = Builder()
        self.functions: set[str] = set()
        self.spellings: dict[int, Operators] = {}
        self.scopes: list[dict[Node, Register]] = [{}]
        self.words: dict[tuple, str] = {}
        self.strides: dict[str, list[str]] = {}
        self.block = "entry"
        self.unstable = _unstable(program)
        self.lane: Lane | None = None
        self.varying: frozenset[Node] = frozenset()  # the indices and carried values that differ between lanes

    def module(self) -> Module:
        """The text, with what the function needs around it."""
        self.builder.label("entry")
        self.arguments()
        self.instances()
        self.builder.do("ret void")
        body = "\n".join(self.builder.lines)
        declarations = "\n".join(sorted(self.builder.declarations))
        functions = "".join(sorted(self.functions))
        name = f"einfall.{_plain(self.program.name)}"
        text = (f"@outside = internal constant [16 x i8] zeroinitializer\n{declarations}\n{functions}\n"
                f"define void @{name}(ptr noalias readonly %arguments, i64 %begin, i64 %end) {{\n{body}\n}}\n")
        return Module(name, text, self.layout)

    def operators(self, lanes: int) -> Operators:
        if lanes not in self.spellings:
            self.spellings[lanes] = Operators(self.builder, lanes, self.features, self.functions, self.is_exact)
        return self.spellings[lanes]

    # Arguments

    def arguments(self) -> None:
        emit = self.builder.emit
        for place, slot in enumerate(self.layout.slots):
            address = emit(f"getelementptr i64, ptr %arguments, i64 {place}")
            number = next((item for item in self.program.inputs if isinstance(item, Number) and slot == (
                "number", item.name)), None)
            type = "ptr" if slot[0] in ("base", "scratch") else llvm_type(number.type) if number else "i64"
            self.words[slot] = emit(f"load {type}, ptr {address}", hint=_plain(slot[1]))
            if number is not None:
                self.scopes[0][number] = Register(self.words[slot], 1)
            if slot[0] == "size":
                self.scopes[0][Size(slot[1], slot[2])] = Register(self.words[slot], 1)
        for item in (*self.program.inputs, *self.program.outputs):
            if isinstance(item, Buffer):
                dense = item in self.program.outputs
                self.strides[item.name] = [
                    str(item_bytes(item)) if (item.name, axis) in self.units or (
                        dense and axis == len(item.extents) - 1) else self.words["stride", item.name, axis]
                    for axis in range(len(item.extents))]
        for buffer in self.layout.scratch:  # dense, row-major
            step, strides = str(item_bytes(buffer)), []
            for extent in reversed(buffer.extents):
                strides.append(step)
                step = emit(f"mul i64 {step}, {self.scalar(extent)}")
            self.strides[buffer.name] = strides[::-1]

    # Control

    def jump(self, label: str) -> None:
        self.builder.do(f"br label %{label}")

    def enter(self, label: str) -> None:
        self.builder.label(label)
        self.block = label

    def label(self, hint: str) -> str:
        return self.builder.fresh(hint)[1:]

    def counted(self, begin: str, end: str, carried: Sequence[tuple[str, str]],
                body: Callable[[str, list[str]], list[str]], step: int = 1) -> list[str]:
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
        following = self.builder.emit(f"add nsw i64 {index}, {step}")
        phis = [f"  {index} = phi i64 [ {begin}, %{before} ], [ {following}, %{self.block} ]"]
        phis += [f"  {value} = phi {type} [ {first}, %{before} ], [ {new}, %{self.block} ]"
                 for value, (type, first), new in zip(values, carried, after)]
        self.builder.lines[place:place] = phis
        self.jump(head)
        self.enter(exit_)
        return values

    def instances(self) -> None:
        """The loop over the instances of this call."""
        def instance(flat: str, _) -> list[str]:
            rest = flat
            for place, axis in reversed(list(enumerate(self.program.grid))):
                extent = self.scalar(axis.extent)
                here = rest if place == 0 else self.builder.emit(f"urem i64 {rest}, {extent}")
                self.scopes[-1][axis.variable] = Register(here, 1)
                rest = rest if place == 0 else self.builder.emit(f"udiv i64 {rest}, {extent}")
            self.statements(self.program.body)
            return []

        for axis in self.program.grid:
            self.scalar(axis.extent)
        self.counted("%begin", "%end", [], instance)

    def statements(self, statements) -> None:
        for statement in statements:
            match statement:
                case Store():
                    access.store(self, statement)
                    self.forget()
                case Loop():
                    if any(isinstance(node, Store) for node in postorder(statement)):
                        self.forget()  # later steps see other values than were loaded before
                    if statement.kind == "vector" and self.lane is None and not _has_memory(statement):
                        self.vector_loop(statement)
                    else:
                        self.loop(statement)
                    self.forget()

    def forget(self) -> None:
        """What was loaded may have been written over."""
        for scope in self.scopes:
            for node in [node for node in scope if node in self.unstable]:
                del scope[node]

    def loop(self, loop: Loop) -> None:
        """One step after the other; in a vector loop the lanes go through it together.

        Where lanes have different lengths there are as many steps as the longest needs, and the others rest.
        """
        length = self.value(loop.extent)
        extent, outer = length.name, self.lane
        if length.lanes > 1:
            extent = self.longest(length)
        self.hoist(loop)
        lanes = [self.lanes if item.value in self.varying else 1 for item in loop.carried]
        carried = [(vector_type(llvm_type(item.value.type), count),
                    self.widened(self.value(item.init), item.init, count)) for item, count in zip(loop.carried, lanes)]

        def body(index: str, names: list[str]) -> list[str]:
            self.scopes[-1][loop.variable] = Register(index, 1)
            values = [Register(name, count) for name, count in zip(names, lanes)]
            self.scopes[-1].update((item.value, value) for item, value in zip(loop.carried, values))
            if length.lanes > 1:
                self.lane = outer._replace(mask=self.resting(index, length))
            self.statements(loop.body)
            updates = [self.value(item.update) for item in loop.carried]
            if loop.monoid is not None:
                updates = self.together(loop.monoid, values, updates)
            after = [self.widened(update, item.update, count)
                     for update, item, count in zip(updates, loop.carried, lanes)]
            if length.lanes > 1:
                after = [self.operators(self.lanes).select(self.lane.mask, llvm_type(item.value.type), new, old)
                         for new, old, item in zip(after, names, loop.carried)]
            return after

        last = self.counted("0", extent, carried, body)
        self.lane = outer
        for item, name, count in zip(loop.carried, last, lanes):
            self.scopes[-1][item.value] = Register(name, count)

    def longest(self, length: Register) -> str:
        """The greatest of the lengths of lanes that are at work."""
        if self.lane.mask is not None:
            whole = vector_type("i64", self.lanes)
            none = splat(0, "i64", self.lanes)
            length = Register(self.builder.emit(f"select {vector_type('i1', self.lanes)} {self.lane.mask}, "
                                                f"{whole} {length.name}, {whole} {none}"), self.lanes)
        return self.builder.call("i64", f"llvm.vector.reduce.smax.v{self.lanes}i64",
                                 f"{vector_type('i64', self.lanes)} {length.name}")

    def resting(self, index: str, length: Register) -> str:
        """The mask of the lanes that take this step."""
        whole = vector_type("i64", self.lanes)
        step = self.spread(index, "i64", self.lanes)
        mask = self.builder.emit(f"icmp slt {whole} {step}, {length.name}")
        if self.lane.mask is not None:
            mask = self.operators(self.lanes).binary("and", "i1", self.lane.mask, mask)
        return mask

    def hoist(self, loop: Loop) -> None:
        """Computes before a loop what is the same in all its steps; loads stay, since the loop may make no step."""
        changing = _changing(loop)
        for expr in _computed_in(loop):
            if changing.isdisjoint(expr.free):
                self.value(expr)

    # Vector loops

    def vector_loop(self, loop: Loop) -> None:
        """Groups of lanes, then the rest under a mask; partial results of a reduction come together at the end."""
        extent = self.scalar(loop.extent)
        self.hoist(loop)
        full = self.builder.emit(f"and i64 {extent}, {-self.lanes}")
        rest = self.builder.emit(f"sub i64 {extent}, {full}")
        outer = self.varying
        self.varying = _varying(loop)
        types = [vector_type(llvm_type(item.value.type), self.lanes) for item in loop.carried]
        partial = [self.operators(self.lanes).constant(item.value, item.dtype) for item in loop.monoid.identity] if (
            loop.monoid is not None) else []
        begin = "0"
        wide = self.lanes * _registers_wide(loop)
        if wide > self.lanes:
            begin = self.wide_groups(loop, extent, wide)
        if 0 < len(types) < SETS and loop.monoid is not None and not any(isinstance(item, Loop) for item in loop.body):
            begin, partial = self.unrolled(loop, full, types, partial)
        partial = self.counted(begin, full, list(zip(types, partial)),
                               lambda index, values: self.group(loop, index, values, None), self.lanes)
        partial = self.masked(loop, full, rest, types, partial)
        self.varying = outer
        if loop.monoid is not None:
            self.finished(loop, partial)

    def wide_groups(self, loop: Loop, extent: str, wide: int) -> str:
        """As many indices at once as fill several registers, so that a line of memory is used whole; where it ends."""
        end = self.builder.emit(f"and i64 {extent}, {-wide}")
        narrow, self.lanes = self.lanes, wide
        self.counted("0", end, [], lambda index, values: self.group(loop, index, values, None), wide)
        self.lanes = narrow
        return end

    def unrolled(self, loop: Loop, full: str, types: list[str], identity: list[str]) -> tuple[str, list[str]]:
        """Several groups a step, each with partial results of its own; (where it ends, the results together)."""
        sets = -(-SETS // len(types))
        step = self.lanes * sets
        end = self.builder.emit(f"and i64 {full}, {-step}")

        def body(index: str, values: list[str]) -> list[str]:
            after = []
            for place in range(sets):
                here = index if place == 0 else self.builder.emit(f"add nsw i64 {index}, {place * self.lanes}")
                after += self.group(loop, here, values[place * len(types):(place + 1) * len(types)], None)
            return after

        last = self.counted("0", end, list(zip(types * sets, identity * sets)), body, step)
        parts = [[Register(name, self.lanes) for name in last[place * len(types):(place + 1) * len(types)]]
                for place in range(sets)]
        while len(parts) > 1:
            parts = [self.together(loop.monoid, one, other) for one, other in zip(parts[::2], parts[1::2])]
        return end, [register.name for register in parts[0]]

    def group(self, loop: Loop, index: str, values: list[str], mask: str | None) -> list[str]:
        """The body for as many indices as there are lanes, from `index` on."""
        first = Variable(f"{loop.variable.name}.first")
        self.scopes.append({first: Register(index, 1), loop.variable: self.iota(index)})
        self.lane = Lane(loop.variable, first, mask)
        self.statements(loop.body)
        updates = [Register(self.widened(self.value(item.update), item.update, self.lanes), self.lanes)
                   for item in loop.carried]
        if mask is not None:
            nothing = loop.monoid.identity if loop.monoid else ()
            o = self.operators(self.lanes)
            updates = [Register(o.select(mask, llvm_type(none.dtype), update.name, o.constant(none.value, none.dtype)),
                                self.lanes) for update, none in zip(updates, nothing)]
        self.lane = None
        made = self.together(loop.monoid, [Register(name, self.lanes) for name in values], updates) if updates else []
        self.scopes.pop()
        return [register.name for register in made]

    def iota(self, first: str) -> Register:
        numbers = ", ".join(f"i64 {lane}" for lane in range(self.lanes))
        whole = vector_type("i64", self.lanes)
        start = self.widened(Register(first, 1), Variable("first"), self.lanes)
        return Register(self.builder.emit(f"add {whole} {start}, <{numbers}>"), self.lanes)

    def masked(self, loop: Loop, full: str, rest: str, types: list[str], values: list[str]) -> list[str]:
        """The lanes that are left, if there are any."""
        some, after = self.label("tail"), self.label("done")
        before = self.block
        more = self.builder.emit(f"icmp ne i64 {rest}, 0")
        self.builder.do(f"br i1 {more}, label %{some}, label %{after}")
        self.enter(some)
        whole = vector_type("i64", self.lanes)
        limit = self.widened(Register(rest, 1), loop.variable, self.lanes)
        numbers = ", ".join(f"i64 {lane}" for lane in range(self.lanes))
        mask = self.builder.emit(f"icmp slt {whole} <{numbers}>, {limit}")
        made = self.group(loop, full, values, mask)
        end = self.block
        self.jump(after)
        self.enter(after)
        return [self.builder.emit(f"phi {type} [ {value}, %{before} ], [ {new}, %{end} ]")
                for type, value, new in zip(types, values, made)]

    def finished(self, loop: Loop, partial: list[str]) -> None:
        """The lanes brought together by halves, then with what was there before the loop."""
        values, lanes = [Register(name, self.lanes) for name in partial], self.lanes
        while lanes > 1:
            halves = []
            for offset in (0, lanes // 2):
                order = ", ".join(f"i32 {offset + lane}" for lane in range(lanes // 2))
                halves.append([Register(self.half(value, item, lanes, order), lanes // 2)
                               for value, item in zip(values, loop.carried)])
            lanes //= 2
            values = self.together(loop.monoid, *halves)
        values = self.together(loop.monoid, [self.value(item.init) for item in loop.carried], values)
        for item, value in zip(loop.carried, values):
            self.scopes[-1][item.value] = value

    def half(self, value: Register, item: Carried, lanes: int, order: str) -> str:
        whole = vector_type(llvm_type(item.value.type), lanes)
        if lanes == 2:
            return self.builder.emit(f"extractelement {whole} {value.name}, {order}")
        mask = f"<{lanes // 2} x i32> <{order}>"
        return self.builder.emit(f"shufflevector {whole} {value.name}, {whole} poison, {mask}")

    def together(self, monoid: Monoid, left: Sequence[Register], right: Sequence[Register]) -> list[Register]:
        """Two elements brought together by a monoid."""
        sides = {Side(False, place, dtype): value for place, (dtype, value) in enumerate(zip(monoid.dtypes, left))}
        sides |= {Side(True, place, dtype): value for place, (dtype, value) in enumerate(zip(monoid.dtypes, right))}
        outer, self.scopes = self.scopes, [sides]
        made = [self.value(item) for item in monoid.combine]
        self.scopes = outer
        return made

    # Values

    def value(self, expr: Expr) -> Register:
        """The register that holds an expression; computed at most once in a scope."""
        for scope in reversed(self.scopes):
            if expr in scope:
                return scope[expr]
        made = self.scopes[-1][expr] = self.computed(expr)
        return made

    def scalar(self, expr: Expr) -> str:
        """The register of an expression that is the same in all lanes."""
        made = self.value(expr)
        assert made.lanes == 1, f"{expr!r} differs between lanes"
        return made.name

    def widened(self, value: Register, expr: Expr, lanes: int) -> str:
        """A register with this many lanes: the one number in each of them."""
        if value.lanes == lanes:
            return value.name
        assert value.lanes == 1, f"{value.lanes} lanes are not {lanes}"
        if isinstance(expr, Const):
            return self.operators(lanes).constant(expr.value, expr.dtype)
        return self.spread(value.name, llvm_type(expr.dtype), lanes)

    def spread(self, name: str, type: str, lanes: int) -> str:
        whole = vector_type(type, lanes)
        one = self.builder.emit(f"insertelement {whole} poison, {type} {name}, i32 0")
        return self.builder.emit(f"shufflevector {whole} {one}, {whole} poison, <{lanes} x i32> zeroinitializer")

    def computed(self, expr: Expr) -> Register:
        match expr:
            case Const(value, dtype):
                return Register(self.operators(1).constant(value, dtype), 1)
            case Map(op, args):
                values, lanes = self.aligned(args)
                return Register(self.operators(lanes).apply(op.name, args[0].dtype, values), lanes)
            case Select():
                (condition, yes, no), lanes = self.aligned((expr.condition, expr.yes, expr.no))
                return Register(self.operators(lanes).select(condition, llvm_type(expr.dtype), yes, no), lanes)
            case Cast(arg, to):
                value = self.value(arg)
                return Register(self.operators(value.lanes).cast(value.name, arg.dtype, to), value.lanes)
            case Load():
                return access.load(self, expr)
            case Variable(name) | Value(name) | Number(name):
                raise AssertionError(f"{name} is not known here")
        raise TypeError(f"not part of a tile program: {expr!r}")

    def aligned(self, args: tuple[Expr, ...]) -> tuple[tuple[str, ...], int]:
        """The registers of arguments, with as many lanes as the widest has."""
        values = [self.value(arg) for arg in args]
        lanes = max(value.lanes for value in values)
        return tuple(self.widened(value, arg, lanes) for value, arg in zip(values, args)), lanes


def item_bytes(buffer: Buffer) -> int:
    """The bytes of an element in memory; a boolean takes one."""
    return item_bytes_of(buffer.type)


def item_bytes_of(dtype: DType) -> int:
    """The bytes of a number in memory."""
    return max(dtype.bits // 8, 1)


def _changing(loop: Loop) -> frozenset[Node]:
    """The indices and carried values that differ between the steps of a loop."""
    inside = [node for node in postorder(loop) if isinstance(node, Loop)]
    return frozenset((*(node.variable for node in inside), *(item.value for node in inside for item in node.carried)))


def _computed_in(loop: Loop) -> list[Expr]:
    """The operators of a loop's statements whose arguments hold no load, arguments first."""
    roots: list[Expr] = []
    statements: list = [loop]
    while statements:
        match statements.pop():
            case Store(_, indices, value):
                roots += (*indices, value)
            case Loop(_, extent, _, _, carried, body):
                roots += (extent, *(expr for item in carried for expr in (item.init, item.update)))
                statements += body
    found: list[Expr] = []
    loads: set[Node] = set()
    for node in postorder(*roots):
        if isinstance(node, Load) or any(child in loads for child in children(node)):
            loads.add(node)
        elif isinstance(node, Map | Select | Cast):
            found.append(node)
    return found


def _registers_wide(loop: Loop) -> int:
    """How many registers a group of a vector loop fills: several where reductions inside it stream through memory."""
    inner = [item for node in postorder(*loop.body) if isinstance(node, Loop) for item in node.carried]
    changing = _changing(loop)
    if loop.carried or not inner or any(isinstance(node, Map) and node.op.name in LIBRARY and not changing.isdisjoint(
            node.free) for node in postorder(loop)):
        return 1
    return max(1, 16 // max(item_bytes_of(item.value.type) for item in inner))


def _has_memory(loop: Loop) -> bool:
    """Whether iterations of a loop have workspaces of their own: there is one of each, so they run one by one."""
    return any(isinstance(node, Workspace) for node in postorder(*loop.body))


def _varying(loop: Loop) -> frozenset[Node]:
    """The indices and carried values inside a vector loop that differ between its lanes."""
    found: set[Node] = {loop.variable, Variable(f"{loop.variable.name}.first")}
    inner = [node for node in postorder(*loop.body) if isinstance(node, Loop)]
    before = -1
    while len(found) != before:
        before = len(found)
        for item in inner:
            if any(not found.isdisjoint(one.init.free | one.update.free | item.extent.free) for one in item.carried):
                found.update(one.value for one in item.carried)
    return frozenset(found - {Variable(f"{loop.variable.name}.first")})


def _unstable(program: Program) -> set[Node]:
    """The expressions that read memory which the program writes."""
    found: set[Node] = set()
    for node in postorder(program):
        written = isinstance(node, Load) and node.buffer not in program.inputs
        if isinstance(node, Expr) and (written or any(child in found for child in children(node))):
            found.add(node)
    return found

"""Statements and memory as text with Python's syntax, and back; nests and tile programs add their heads."""

import ast
from collections import Counter

from einfall.base.node import Node, children, postorder
from einfall.scalar.dtypes import DTYPES
from einfall.scalar.memory import (
    KINDS,
    Buffer,
    Carried,
    Load,
    Loop,
    Number,
    Size,
    Store,
    Value,
    Variable,
    Workspace,
    input_buffer,
)
from einfall.scalar.nodes import Cast, Map, Select
from einfall.scalar.text import Parser, Printer, literal_text

__all__ = ["StatementParser", "StatementPrinter"]


class StatementPrinter(Printer):
    """Prints statements; what a statement uses more than once gets a name on a line before it."""

    def __init__(self):
        self.aliases: dict[Node, str] = {}
        self.count = 0
        self.inputs: set[Node] = set()

    def form(self, node: Node, outer: int = 0) -> str:
        return self.aliases.get(node) or super().form(node, outer)

    def head(self, name: str, inputs) -> str:
        """The first line of a program: its name and what arrives."""
        self.inputs.update(inputs)
        items = ", ".join(f"{item.name}: {item.type}" + (f"[{len(item.extents)}]" if isinstance(item, Buffer) else "")
                          for item in inputs)
        return f"def {name}({items}):"

    def memory(self, what: str, buffer: Buffer) -> str:
        return f"{what}({', '.join([str(buffer.type), *map(self.form, buffer.extents)])})"

    def block(self, statements, depth: int, lines: list[str]) -> None:
        indent = "    " * depth
        outer = self.aliases
        for statement in statements:
            self.shared(statement, indent, lines)
            match statement:
                case Workspace(buffer):
                    lines.append(f"{indent}{buffer.name} = {self.memory('workspace', buffer)}")
                case Store(buffer, indices, value):
                    places = ', '.join(map(self.form, indices)) or '()'
                    lines.append(f"{indent}{buffer.name}[{places}] = {self.form(value)}")
                case Loop(variable, extent, kind, monoid, carried, body):
                    begin = "".join(f", {item.value.name}={self.form(item.init)}" for item in carried)
                    lines.append(f"{indent}for {variable.name} in {kind}({self.form(extent)}{begin}):")
                    before = self.aliases
                    self.block(body, depth + 1, lines)
                    if carried:
                        self.shared(carried, indent + "    ", lines)
                        after = ", ".join(f"{item.value.name}={self.form(item.update)}" for item in carried)
                        how = "carry(" if monoid is None else f"fold({self.monoid(monoid)}, "
                        lines.append(f"{indent}    {how}{after})")
                    self.aliases = before
        self.aliases = outer

    def shared(self, statement, indent: str, lines: list[str]) -> None:
        """Lines for the expressions that a statement, or what a loop carries, uses more than once."""
        match statement:
            case Store(_, indices, value):
                roots = (*indices, value)
            case Loop(_, extent, _, _, carried, _):
                roots = (extent, *(item.init for item in carried))
            case tuple():
                roots = tuple(item.update for item in statement)
            case _:
                return
        uses = Counter(roots) + Counter(child for node in postorder(*roots) for child in children(node))
        self.aliases = dict(self.aliases)
        for node in postorder(*roots):
            is_input = isinstance(node, Load) and node.buffer in self.inputs  # others change between statements
            if (is_input or isinstance(node, Map | Select | Cast)) and uses[node] > 1 and node not in self.aliases:
                line = f"{indent}v{{}} = {self.form(node)}"
                self.count += 1
                self.aliases[node] = f"v{self.count}"
                lines.append(line.format(self.count))

    def leaf(self, node: Node) -> str:
        match node:
            case Variable(name) | Value(name) | Number(name):
                return name
            case Size(name, axis):
                return f"{name}.shape[{axis}]"
            case Load(buffer, indices, outside):
                pad = "" if outside is None else f".pad({literal_text(outside)})"
                return f"{buffer.name}{pad}[{', '.join(map(self.form, indices)) or '()'}]"
        return super().leaf(node)


class StatementParser(Parser):
    """Reads statements."""

    def __init__(self):
        self.known: dict[str, Node] = {}

    def head(self, function: ast.FunctionDef) -> tuple[Buffer | Number, ...]:
        """What arrives."""
        for arg in function.args.args:
            match arg.annotation:
                case ast.Subscript(ast.Name(dtype), ast.Constant(ndim)):
                    self.known[arg.arg] = input_buffer(arg.arg, DTYPES[dtype], ndim)
                case ast.Name(dtype):
                    self.known[arg.arg] = Number(arg.arg, DTYPES[dtype])
        return tuple(self.known.values())

    def memory(self, name: str, args: list[ast.expr]) -> Buffer:
        self.known[name] = Buffer(name, DTYPES[args[0].id], tuple(map(self.read, args[1:])))
        return self.known[name]

    def block(self, statements: list[ast.stmt]) -> tuple:
        made = []
        for statement in statements:
            match statement:
                case ast.Assign([ast.Name(name)], ast.Call(ast.Name("workspace"), args)):
                    made.append(Workspace(self.memory(name, args)))
                case ast.Assign([ast.Subscript(ast.Name(name), index)], value):
                    buffer = self.known[name]
                    made.append(Store(buffer, self.indices(index), self.typed(value, buffer.type)))
                case ast.For(ast.Name(name), ast.Call(ast.Name(kind), [extent], begin), body) if kind in KINDS:
                    made.append(self.loop(name, extent, kind, begin, body))
                case ast.Assign([ast.Name(name)], value):
                    self.known[name] = self.read(value)
                case _:
                    raise SyntaxError(f"not a statement of a nest: {ast.unparse(statement)}")
        return tuple(made)

    def loop(self, name: str, extent: ast.expr, kind: str, begin: list[ast.keyword], body: list[ast.stmt]) -> Loop:
        size = self.read(extent)
        inits = {item.arg: self.read(item.value) for item in begin}
        self.known[name] = Variable(name)
        values = {item: Value(item, init.dtype) for item, init in inits.items()}
        self.known.update(values)
        updates, monoid = {}, None
        match body:
            case [*rest, ast.Expr(ast.Call(ast.Name("carry" | "fold"), how, after))]:
                inside = self.block(rest)
                updates = {item.arg: self.typed(item.value, values[item.arg].type) for item in after}
                monoid = self.monoid(how[0], values[after[0].arg].type) if how else None
            case _:
                inside = self.block(body)
        carried = tuple(Carried(value, inits[item], updates[item]) for item, value in values.items())
        return Loop(Variable(name), size, kind, monoid, carried, inside)

    def typed(self, tree: ast.expr, dtype):
        return self.literal(tree, dtype) if self.is_literal(tree) else self.read(tree)

    def indices(self, tree: ast.expr) -> tuple:
        return tuple(map(self.read, tree.elts if isinstance(tree, ast.Tuple) else [tree]))

    def leaf(self, tree: ast.expr):
        match tree:
            case ast.Name(name) if name in self.known:
                return self.known[name]
            case ast.Subscript(ast.Attribute(ast.Name(name), "shape"), ast.Constant(axis)):
                return Size(name, axis)
            case ast.Subscript(ast.Call(ast.Attribute(ast.Name(name), "pad"), [outside]), index):
                buffer = self.known[name]
                return Load(buffer, self.indices(index), self.literal(outside, buffer.type))
            case ast.Subscript(ast.Name(name), index):
                return Load(self.known[name], self.indices(index), None)
        return super().leaf(tree)

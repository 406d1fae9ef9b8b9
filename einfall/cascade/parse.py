"""Text back to a cascade; see text.py for what it looks like."""

import ast

from einfall.base.node import Node
from einfall.cascade.nodes import (
    Access,
    Cascade,
    Coordinate,
    Domain,
    History,
    Index,
    Input,
    Label,
    Part,
    Pattern,
    Rank,
    Reduce,
    Scalar,
    Scan,
    Size,
    Source,
    State,
    Tensor,
)
from einfall.cascade.scope import carried
from einfall.scalar.dtypes import BOOL, DTYPES, DType
from einfall.scalar.nodes import Expr
from einfall.scalar.text import Parser

__all__ = ["parse", "parse_named"]


def parse(text: str) -> Cascade:
    """The cascade that prints as this text.

    Raises: SyntaxError where the text is not one.
    """
    return parse_named(text)[0]


def parse_named(text: str) -> tuple[Cascade, dict[Node, str]]:
    """The cascade that prints as this text, and what its nodes are called there.

    Raises: SyntaxError where the text is not one.
    """
    match ast.parse(text).body:
        case [ast.FunctionDef() as function]:
            parser = _Parser(function)
            program = parser.program()
            return program, {node: name for name, node in parser.done.items() if isinstance(node, Node)}
    raise SyntaxError("a program is one function: def name(X: f32[2]): ...")


class _Parser(Parser):
    """One reading: definitions wait as syntax until they are used, because a state's type is known by its scan only."""

    def __init__(self, function: ast.FunctionDef):
        self.function = function
        self.inputs = {arg.arg: self.input(arg) for arg in function.args.args}
        self.waiting: dict[str, ast.expr] = {}
        self.done: dict[str, object] = {}
        self.states: dict[str, State] = {}

    def input(self, arg: ast.arg):
        match arg.annotation:
            case ast.Subscript(ast.Name(dtype), ast.Constant(ndim)):
                return Input(arg.arg, DTYPES[dtype], ndim, None)
            case ast.Subscript(ast.Name(dtype), ast.Tuple([ast.Constant(ndim), ast.Compare() as domain])):
                return Input(arg.arg, DTYPES[dtype], ndim, self.domain(domain, DTYPES[dtype]))
            case ast.Name(dtype):
                return Scalar(arg.arg, DTYPES[dtype])
        raise SyntaxError(f"an input is written like X: f32[2], not {ast.unparse(arg)}")

    def domain(self, tree: ast.Compare, dtype: DType) -> Domain:
        items, reaches = [tree.left, *tree.comparators], [isinstance(op, ast.LtE) for op in tree.ops]
        low = None if isinstance(items[0], ast.Name) and items[0].id != "inf" else self.literal(items[0], dtype)
        high = None if low is not None and len(items) == 2 else self.literal(items[-1], dtype)
        return Domain(low, low is not None and reaches[0], high, high is not None and reaches[-1])

    def program(self) -> Cascade:
        outputs = None
        for line in self.function.body:
            match line:
                case ast.Assign([ast.Name(name)], value) | ast.Assign([ast.Subscript(ast.Name(name))], value):
                    self.waiting[name] = value
                case ast.Return(ast.Tuple(items)):
                    outputs = items
                case ast.Return(value):
                    outputs = [value]
        if outputs is None:
            raise SyntaxError("the function returns nothing")
        return Cascade(self.function.name, tuple(self.inputs.values()), tuple(map(self.read, outputs)))

    def definition(self, name: str):
        if name not in self.done:
            if name not in self.waiting:
                raise SyntaxError(f"{name} is not defined")
            self.done[name] = self.read(self.waiting[name])
        return self.done[name]

    def leaf(self, tree: ast.expr):
        """What a cascade has besides scalar expressions."""
        match tree:
            case ast.Name(name):
                return self.name(name)
            case ast.Subscript(ast.Attribute(ast.Name(name), "shape"), ast.Constant(axis)):
                return Size(name, axis)
            case ast.Attribute(ast.Name(name), "stored"):
                return Pattern(name, self.inputs[name].ndim)
            case ast.Subscript(ast.Attribute(ast.Name(name), "states"), ast.Constant(place)):
                return History(self.definition(name), place)
            case ast.Subscript(ast.Attribute(ast.Name(name) | ast.Subscript(ast.Name(name)), "parts"), place):
                return Part(self.definition(name), place.value)
            case ast.Subscript(source, index):
                return self.subscript(source, index)
            case ast.Call(ast.Name("inside"), [arg]):
                return Coordinate(self.read(arg))
            case ast.Call(ast.Name("tensor"), [body]):
                return Tensor((), (), self.read(body))
            case ast.Call(ast.Subscript(ast.Name("tensor"), binders), [body]):
                return Tensor(*self.binders(binders), self.read(body))
            case ast.Call(ast.Subscript(ast.Name("scan"), binders), states, flags):
                return self.scan(binders, states, {flag.arg for flag in flags})
            case ast.Call(ast.Subscript(ast.Name(name), binders), bodies):
                return self.reduce(name, binders, bodies)
            case ast.Call(ast.Name("monoid")):
                return self.monoid(tree, BOOL)
        raise SyntaxError(f"not part of a cascade: {ast.unparse(tree)}")

    def name(self, name: str):
        if name in self.states:
            return self.states[name]
        if isinstance(self.inputs.get(name), Scalar):
            return self.inputs[name]
        if name in self.waiting:
            return self.definition(name)
        return Index(Rank(name))

    def subscript(self, source: ast.expr, index: ast.expr):
        outside = None
        match source:
            case ast.Call(ast.Attribute(inner, "pad"), [beyond]):
                source, outside = inner, beyond
        # arrays stand before brackets only, so a rank may have the name of an array
        held = self.inputs.get(source.id) if isinstance(source, ast.Name) else None
        held = held or self.read(source)
        if isinstance(held, Index):
            raise SyntaxError(f"{held.rank.name} is not defined")
        if not isinstance(held, Source):
            return held  # a defined expression, named with its free ranks
        items = index.elts if isinstance(index, ast.Tuple) else [index]
        pad = None if outside is None else self.literal(outside, held.dtype)
        return Access(held, tuple(map(self.read, items)), pad)

    def binders(self, tree: ast.expr) -> tuple[tuple[Rank, ...], tuple[Expr, ...]]:
        items = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        return (tuple(Rank(item.left.id) for item in items),
                tuple(self.read(item.comparators[0]) for item in items))

    def reduce(self, name: str, binders: ast.expr, bodies: list[ast.expr]) -> Reduce:
        ranks, extents = self.binders(binders)
        elements = tuple(map(self.read, bodies))
        is_own = name in self.waiting
        monoid = self.definition(name) if is_own else self.monoid(ast.Name(name), elements[0].dtype)
        return Reduce(monoid, ranks, extents, elements)

    def scan(self, binders: ast.expr, states: list[ast.expr], flags: set[str]) -> Scan:
        (rank,), (extent,) = self.binders(binders)
        heads = [state.func.value if isinstance(state.func, ast.Subscript) else state.func for state in states]
        label = Label(heads[0].id.rpartition("_")[0])
        bound = [self.binders(state.func.slice) if isinstance(state.func, ast.Subscript) else ((), ())
                 for state in states]
        inits = tuple(self.read(state.args[0]) for state in states)
        for head, init, (axes, _) in zip(heads, inits, bound):
            self.states[head.id] = State(label, int(head.id.rpartition("_")[2]), init.dtype, len(axes), ())
        steps = tuple(self.read(state.args[1]) for state in states)
        return carried(Scan(rank, extent, label, tuple(axes for axes, _ in bound), tuple(sizes for _, sizes in bound),
                            inits, steps, *(flag in flags for flag in ("exclusive", "reverse", "last"))))

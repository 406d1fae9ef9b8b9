"""Scalar expressions as text with Python's syntax, and back; each language adds its own leaves.

A number without a type has that of its neighbour; alone, integers are i64, and others are written with their type.
"""

import ast
import keyword
import math

from einfall.base.node import Node
from einfall.scalar.dtypes import BOOL, DTYPES, I64, DType
from einfall.scalar.monoids import NAMED, Monoid, Side, arg_extremum, is_named, named, product
from einfall.scalar.nodes import Cast, Const, Expr, Map, Rounded, Select, const
from einfall.scalar.ops import OPS

__all__ = ["Parser", "Printer", "literal_text", "monoid_word"]

PRECEDENCE = {"|": 2, "^": 3, "&": 4, "<<": 5, ">>": 5, "+": 6, "-": 6, "*": 7, "/": 7, "//": 7, "%": 7, "**": 9,
              "<": 1, "<=": 1, ">": 1, ">=": 1, "==": 1, "!=": 1}
UNARY = {"negative": "-", "invert": "~"}
SYMBOLS = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder", ast.Pow: "pow", ast.BitAnd: "bitwise_and", ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor", ast.LShift: "left_shift", ast.RShift: "right_shift", ast.Lt: "less",
    ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal", ast.Eq: "equal", ast.NotEq: "not_equal",
}


def literal_text(node: Const) -> str:
    """The digits of a number, exactly."""
    if node.dtype.is_float and not math.isfinite(node.value):
        return "nan" if math.isnan(node.value) else "inf" if node.value > 0 else "-inf"
    return repr(node.value)


def _alike(name: str, dtype: DType) -> Monoid | None:
    """What sum_x4 stands for: four sums side by side; None for other names."""
    one, _, count = name.rpartition("_x")
    if not count.isdigit() or not (one in NAMED or one in ("argmax", "argmin")):
        return None
    monoid = named(one, dtype) if one in NAMED else arg_extremum(one, dtype)
    return product((monoid,) * int(count))


def monoid_word(name: str) -> str:
    """The name of a monoid where Python has no word of that name: `or` is written or_."""
    return f"{name}_" if keyword.iskeyword(name) else name


class Printer:
    """Prints expressions; a language overrides `leaf`."""

    def leaf(self, node: Node) -> str:
        """A node that is not of the scalar language."""
        raise TypeError(f"no text for {node!r}")

    def form(self, node: Node, outer: int = 0) -> str:
        """An expression, in parentheses if it binds less than its surroundings."""
        match node:
            case Const():
                return self.number(node)
            case Cast(arg, to):
                return f"{'rounded' if isinstance(node, Rounded) else 'cast'}({self.form(arg)}, {to})"
            case Select(condition, yes, no):
                return f"where({', '.join([self.form(condition), *self.args((yes, no))])})"
            case Map():
                return self.map(node, outer)
            case Side(right, place):
                return f"{'right' if right else 'left'}_{place}"
        return self.leaf(node)

    def number(self, node: Const) -> str:
        """A number that no neighbour gives a type to."""
        if node.dtype in (BOOL, I64):
            return repr(node.value)
        return f"{node.dtype}({literal_text(node)})"

    def monoid(self, monoid: Monoid) -> str:
        """The name of a monoid of the table, or what it does."""
        if is_named(monoid) or monoid is arg_extremum(monoid.name, monoid.dtypes[0]):
            return monoid_word(monoid.name)
        if _alike(monoid.name, monoid.dtypes[0]) is monoid:
            return monoid.name
        parts = ", ".join([*map(self.number, monoid.identity), *map(self.form, monoid.combine)])
        return f"monoid({parts}, commutative={monoid.commutative}, name={monoid.name!r})"

    def args(self, args: tuple[Expr, ...], outer: tuple[int, ...] = ()) -> list[str]:
        """Arguments of one type: numbers are bare where another argument tells the type."""
        tells = any(not isinstance(arg, Const) for arg in args)
        bounds = outer or (0,) * len(args)
        return [(literal_text(arg) if tells else self.number(arg)) if isinstance(arg, Const) else self.form(arg, bound)
                for arg, bound in zip(args, bounds)]

    def map(self, node: Map, outer: int) -> str:
        op = node.op
        if op.name in UNARY and not isinstance(node.args[0], Const):
            inner = f"{UNARY[op.name]}{self.form(node.args[0], 8)}"
            return f"({inner})" if outer > 7 else inner
        if op.symbol is None or op.arity != 2:
            return f"{op.name}({', '.join(self.args(node.args))})"
        level = PRECEDENCE[op.symbol]
        left, right = self.args(node.args, (level + (level == 1 or op.symbol == "**"), level + 1))
        if op.symbol == "**" and left.startswith("-"):
            left = f"({left})"
        body = f"{left} {op.symbol} {right}"
        return f"({body})" if outer > level else body


class Parser:
    """Reads expressions from Python's syntax trees; a language overrides `leaf`."""

    sides: dict[str, Side] = {}  # noqa: RUF012  replaced, never changed, while a monoid is read

    def monoid(self, tree: ast.expr, dtype: DType) -> Monoid:
        """A monoid; `dtype` is that of its first component."""
        match tree:
            case ast.Name(name):
                name = name.removesuffix("_")
                several = _alike(name, dtype)
                if several is not None:
                    return several
                return named(name, dtype) if name in NAMED else arg_extremum(name, dtype)
            case ast.Call(ast.Name("monoid"), args, options):
                count = len(args) // 2
                identity = tuple(map(self.read, args[:count]))
                self.sides = {f"{side}_{place}": Side(side == "right", place, item.dtype)
                              for place, item in enumerate(identity) for side in ("left", "right")}
                combine = tuple(map(self.read, args[count:]))
                self.sides = {}
                how = {option.arg: option.value.value for option in options}
                return Monoid(how["name"], identity, combine, how["commutative"])
        raise SyntaxError(f"not a monoid: {ast.unparse(tree)}")

    def leaf(self, tree: ast.expr):
        """What is not of the scalar language. Raises: SyntaxError."""
        raise SyntaxError(f"not part of the language: {ast.unparse(tree)}")

    def read(self, tree: ast.expr):
        """An expression, or whatever else a language has."""
        match tree:
            case ast.Name(name) if name in self.sides:
                return self.sides[name]
            case ast.Constant(value):
                return self.number(value, None)
            case ast.UnaryOp(ast.USub(), operand) if self.is_literal(operand):
                return self.literal(tree, None)
            case ast.UnaryOp(ast.USub() | ast.Invert() as op, operand):
                return Map(OPS["negative" if isinstance(op, ast.USub) else "invert"], (self.read(operand),))
            case ast.BinOp(left, op, right) | ast.Compare(left, [op], [right]):
                return Map(OPS[SYMBOLS[type(op)]], self.siblings([left, right]))
            case ast.Call(ast.Name("where"), [condition, yes, no]):
                return Select(self.read(condition), *self.siblings([yes, no]))
            case ast.Call(ast.Name("cast" | "rounded" as name), [arg, ast.Name(to)]):
                return (Cast if name == "cast" else Rounded)(self.read(arg), DTYPES[to])
            case ast.Call(ast.Name(dtype), [value]) if dtype in DTYPES:
                return self.literal(value, DTYPES[dtype])
            case ast.Call(ast.Name(op), args) if op in OPS:
                return Map(OPS[op], self.siblings(args))
        return self.leaf(tree)

    def siblings(self, trees: list[ast.expr]) -> tuple[Expr, ...]:
        """Arguments of one type: a bare number takes that of the first that is not a bare number."""
        read = [None if self.is_literal(tree) else self.read(tree) for tree in trees]
        dtype = next((expr.dtype for expr in read if expr is not None), None)
        return tuple(self.literal(tree, dtype) if expr is None else expr for tree, expr in zip(trees, read))

    def is_literal(self, tree: ast.expr) -> bool:
        match tree:
            case ast.UnaryOp(ast.USub(), inner):
                return self.is_literal(inner)
            case ast.Constant():
                return True
            case ast.Name("inf" | "nan"):
                return True
        return False

    def literal(self, tree: ast.expr, dtype: DType | None) -> Const:
        match tree:
            case ast.UnaryOp(ast.USub(), inner):
                below = self.literal(inner, dtype)
                return Const(-below.value, below.dtype)
            case ast.Name(name):
                return Const(math.inf if name == "inf" else math.nan, dtype)
            case ast.Constant(value):
                return self.number(value, dtype)
        raise SyntaxError(f"not a number: {ast.unparse(tree)}")

    def number(self, value, dtype: DType | None) -> Const:
        if dtype is None:
            dtype = {bool: BOOL, int: I64}.get(type(value), DTYPES["f64"])
        return const(value, dtype)

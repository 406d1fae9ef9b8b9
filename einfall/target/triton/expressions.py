"""Expressions as lines of text: each is written once, in the outermost block where all that it reads is known."""

from collections.abc import Sequence

from einfall.base.node import Node
from einfall.scalar.dtypes import BOOL, I64, DType
from einfall.scalar.memory import Number, is_never_negative
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.target.triton.operators import TYPES, any_power, convert, power, refused, spell
from einfall.target.triton.values import Axis, Tensor, in_order, literal

__all__ = ["Expressions", "Scope"]

COMPARED = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
TYPED = {"floor_divide", "remainder", "left_shift", "right_shift", "divide", "logaddexp"}  # spelled in several lines


class Scope:
    """A block of text under construction, and what has a name in it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.known: dict[Node, Tensor] = {}


class Expressions:
    """Text under construction: a scope for each loop of the text that is open."""

    def __init__(self, taken: set[str]):
        self.taken = taken
        self.scopes = [Scope()]
        self.counter = 0

    @property
    def level(self) -> int:
        """How many loops of the text are open."""
        return len(self.scopes) - 1

    def write(self, text: str, axes: tuple[Axis, ...], level: int) -> Tensor:
        """A line of text at a level, and the tensor that it makes."""
        self.counter += 1
        while f"v{self.counter}" in self.taken:
            self.counter += 1
        self.scopes[level].lines.append(f"v{self.counter} = {text}")
        return Tensor(f"v{self.counter}", axes, level)

    def line(self, template: str, *args: Tensor) -> Tensor:
        """A line of text that makes a tensor of others, where they are all known."""
        axes = in_order(*args)
        text = template.format(*(arg.along(axes) for arg in args))
        return self.write(text, axes, max((arg.level for arg in args), default=0))

    def remember(self, node: Node, tensor: Tensor) -> Tensor:
        """The tensor, which stands for a node from now on."""
        self.scopes[tensor.level].known[node] = tensor
        return tensor

    def typed(self, tensor: Tensor, dtype: DType) -> Tensor:
        """A tensor that has a type also where it is a number of the text."""
        return self.line(f"tl.full([], {tensor.text}, {TYPES[dtype.name]})") if tensor.is_literal else tensor

    def shape(self, axes: Sequence[Axis]) -> str:
        """The lengths of axes, as a list of the text."""
        return f"[{', '.join(str(axis.block) for axis in axes)}]"

    def full(self, tensor: Tensor, dtype: DType, axes: tuple[Axis, ...]) -> str:
        """The text of a tensor with all these axes. Raises: CompileError for one that has others."""
        if not set(tensor.axes) <= set(axes):
            raise refused(f"{tensor.text} differs along an axis that where it is kept has not", "report this program")
        if tensor.is_literal:
            return f"tl.full({self.shape(axes)}, {tensor.text}, {TYPES[dtype.name]})"
        return tensor.text if tensor.axes == axes else f"tl.broadcast_to({tensor.along(axes)}, {self.shape(axes)})"

    def value(self, node: Expr) -> Tensor:
        """The tensor of an expression."""
        for scope in reversed(self.scopes):
            if node in scope.known:
                return scope.known[node]
        return self.remember(node, self.computed(node))

    def computed(self, node: Expr) -> Tensor:
        """The tensor of an expression that has no name yet. Raises: CompileError for what has no spelling."""
        match node:
            case Const(value):
                return literal(value)
            case Number(name):
                return self.line(f"tl.cast({name}, {TYPES[node.type.name]})")
            case Map(op, args):
                return self.mapped(op.name, args)
            case Select(condition, yes, no):
                pair = [self.value(yes), self.value(no)]
                if all(one.is_literal for one in pair):
                    pair[0] = self.typed(pair[0], node.dtype)
                return self.line("tl.where({}, {}, {})", self.typed(self.value(condition), BOOL), *pair)
            case Cast(arg, to):
                return convert(self.line, self.typed(self.value(arg), arg.dtype), arg.dtype, to)
        raise refused(f"{node!r} has no spelling", "report this program")

    def mapped(self, op: str, args: tuple[Expr, ...]) -> Tensor:
        """An operator; indices are divided more simply by a number above 0."""
        dtype, values = args[0].dtype, tuple(map(self.value, args))
        other = args[-1].value if isinstance(args[-1], Const) and dtype is I64 else None
        if op in ("floor_divide", "remainder") and other and other > 0:
            return self.divided(op, self.typed(values[0], I64), other, is_never_negative(args[0]))
        if op == "pow" and dtype.is_float:
            exponent = args[1].value if isinstance(args[1], Const) else 0.1
            if abs(exponent) <= 8 and 2 * exponent == int(2 * exponent):
                return power(self.line, dtype, self.typed(values[0], dtype), exponent)
            if isinstance(args[0], Const) and args[0].value == 2.0:
                return self.line("tl.exp2({})", self.typed(values[1], dtype))
            return any_power(self.line, dtype, *(self.typed(value, dtype) for value in values))
        if values[0].is_literal and op in COMPARED:
            values = (self.typed(values[0], dtype), *values[1:])  # the comparison is Triton's, not Python's
        if op in TYPED or all(value.is_literal for value in values):
            values = tuple(self.typed(value, dtype) for value in values)
        return spell(self.line, op, dtype, values)

    def divided(self, op: str, index: Tensor, by: int, is_plain: bool) -> Tensor:
        """An index divided by a number above 0, downwards; Triton divides towards 0."""
        made = self.line(f"{{}} {'//' if op == 'floor_divide' else '%'} {by}", index)
        if is_plain:
            return made
        if op == "floor_divide":
            return self.line(f"tl.where({{}} % {by} < 0, {{}} - 1, {{}})", index, made, made)
        return self.line(f"tl.where({{}} < 0, {{}} + {by}, {{}})", made, made, made)

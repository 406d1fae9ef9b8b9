"""Memory and loops: buffers, loads, stores, and loops that carry values. What nests and tile programs share.

Statements run in order. A loop's carried values all change together at the end of its body; afterwards their names
mean the last values. Names of loop indices, carried values and buffers are unique in a program.
"""

from einfall.base.node import Node, postorder
from einfall.scalar.dtypes import I64, DType
from einfall.scalar.monoids import Monoid
from einfall.scalar.nodes import Const, Expr, Leaf, Map

__all__ = ["Buffer", "Carried", "Load", "Loop", "Number", "Size", "Statement", "Store", "Value", "Variable",
           "Workspace", "depends_on_sizes_only", "input_buffer", "is_never_negative"]

KINDS = ("parallel", "sequential", "vector")


class Variable(Leaf):
    """The index of a loop: 0 to its extent."""

    name: str

    def type_of(self):
        return I64

    def free_variables(self):
        return frozenset((self,))


class Value(Leaf):
    """A carried value: inside its loop the one before the step, after it the last."""

    name: str
    type: DType

    def type_of(self):
        return self.type

    def weak(self):
        return False

    def free_variables(self):
        return frozenset((self,))


class Size(Leaf):
    """The extent of an axis of an input."""

    input: str
    axis: int

    def type_of(self):
        return I64


class Number(Leaf):
    """A number that arrives with the call."""

    name: str
    type: DType

    def type_of(self):
        return self.type


class Buffer(Node):
    """Memory with axes: an input, an output or a workspace. Extents depend on sizes only."""

    name: str
    type: DType
    extents: tuple[Expr, ...]


class Load(Expr):
    """An element of a buffer; where an index may leave its axis, `outside` says what is there instead."""

    buffer: Buffer
    indices: tuple[Expr, ...]
    outside: Const | None

    def type_of(self):
        if len(self.indices) != len(self.buffer.extents) or any(index.dtype is not I64 for index in self.indices):
            raise TypeError(f"{len(self.buffer.extents)} i64 indices are needed for {self.buffer.name}")
        return self.buffer.type

    def weak(self):
        return False


class Statement(Node):
    """What a nest does."""


class Workspace(Statement):
    """Memory for the statements after it in this block; it holds nothing yet."""

    buffer: Buffer


class Store(Statement):
    """buffer[indices] = value."""

    buffer: Buffer
    indices: tuple[Expr, ...]
    value: Expr

    def derive(self):
        if self.value.dtype is not self.buffer.type or len(self.indices) != len(self.buffer.extents):
            raise TypeError(f"{self.buffer.name} holds {self.buffer.type}, not {self.value.dtype}")


class Carried(Node):
    """A value that a loop carries: where it begins, and what it becomes after each step.

    In a loop with a monoid, `update` is the element that the monoid brings together with the value.
    """

    value: Value
    init: Expr
    update: Expr

    def derive(self):
        if not self.value.type is self.init.dtype is self.update.dtype:
            raise TypeError(f"{self.value.name}: {self.value.type}, {self.init.dtype}, {self.update.dtype}")


class Loop(Statement):
    """The body for each index below the extent.

    The iterations of a parallel loop are independent. Those of a vector loop are too, or they bring elements together
    with a commutative monoid: a target runs several at once, and decides how many.
    """

    variable: Variable
    extent: Expr
    kind: str
    monoid: Monoid | None
    carried: tuple[Carried, ...]
    body: tuple[Statement, ...]

    def derive(self):
        together = self.monoid is not None and self.monoid.commutative
        if self.kind not in KINDS or (self.carried and (self.kind == "parallel" or (
                self.kind == "vector" and not together))):
            raise TypeError(f"a {self.kind} loop that carries {len(self.carried)} values")
        if self.monoid is not None and self.monoid.dtypes != tuple(item.value.type for item in self.carried):
            raise TypeError(f"{self.monoid.name} of {[item.value.type for item in self.carried]}")


def input_buffer(name: str, dtype: DType, ndim: int) -> Buffer:
    """The memory of an input, whose extents are its own sizes."""
    return Buffer(name, dtype, tuple(Size(name, axis) for axis in range(ndim)))


def depends_on_sizes_only(extent: Expr) -> bool:
    """Whether an extent is known before anything runs: no index, no value and no memory is in it."""
    return not any(isinstance(node, Leaf | Load) and not isinstance(node, Size) for node in postorder(extent))


def is_never_negative(expr: Expr) -> bool:
    """Whether an integer is plainly 0 or more: built of indices and sizes by operators that keep that."""
    match expr:
        case Const(value):
            return value >= 0
        case Variable() | Size():
            return True
        case Map(op, args) if op.name == "maximum":
            return any(map(is_never_negative, args))
        case Map(op, args):
            return op.name in ("add", "multiply", "minimum", "floor_divide") and all(map(is_never_negative, args))
    return False

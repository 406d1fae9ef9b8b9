"""The expression language that all heights share: constants, maps, selections and casts over an abstract leaf."""

import numpy as np

from einfall.base.node import Node, children
from einfall.scalar.dtypes import BOOL, DType
from einfall.scalar.ops import Op

__all__ = ["Cast", "Const", "Expr", "Leaf", "Map", "Rounded", "Select", "cast", "const"]

_PYTHON = {"b": bool, "i": int, "f": float}


class Expr(Node):
    """An expression: it has a number type, and the variables (ranks, states, loop indices) that it is free in."""

    derived = ("dtype", "free", "is_weak")

    def derive(self):
        object.__setattr__(self, "dtype", self.type_of())
        object.__setattr__(self, "free", self.free_variables())
        object.__setattr__(self, "is_weak", self.weak())

    def type_of(self) -> DType:
        """The number type, from the fields."""
        raise NotImplementedError

    def free_variables(self) -> frozenset:
        """The free variables, from the fields; binders take theirs away."""
        below = [child.free for child in children(self) if hasattr(child, "free")]
        return below[0].union(*below[1:]) if below else frozenset()


    def weak(self) -> bool:
        """Whether it depends on ranks, extents and numbers only: no type has rounded it, and the reference does not."""
        return all(child.is_weak for child in children(self) if isinstance(child, Expr))


class Leaf(Expr):
    """What an expression is about; each language has its own."""


class Const(Expr):
    """A number. A float keeps all the digits it was written with; a target rounds it to its type."""

    value: bool | int | float
    type: DType

    def type_of(self):
        expected = _PYTHON[self.type.letter]
        if type(self.value) is not expected:
            raise TypeError(f"a constant of type {self.type} is a {expected.__name__}, not {self.value!r}")
        return self.type


class Map(Expr):
    """An operator of the table, applied to arguments that have been brought to the types it takes."""

    op: Op
    args: tuple[Expr, ...]

    def type_of(self):
        return self.op.result(tuple(arg.dtype for arg in self.args))


class Select(Expr):
    """`yes` where the condition holds, `no` elsewhere; only the chosen side is performed."""

    condition: Expr
    yes: Expr
    no: Expr

    def type_of(self):
        if self.condition.dtype is not BOOL or self.yes.dtype is not self.no.dtype:
            raise TypeError(f"select({self.condition.dtype}, {self.yes.dtype}, {self.no.dtype})")
        return self.yes.dtype


class Cast(Expr):
    """The number brought to another type: float to integer truncates and saturates, NaN gives 0."""

    arg: Expr
    to: DType

    def type_of(self):
        return self.to


class Rounded(Cast):
    """What was carried in more digits than its type asks for, in its type: where floats are float64 nothing happens."""


def const(value, dtype: DType) -> Const:
    """The constant of that type nearest to a Python number. One of a narrow float is rounded here: no target computes
    with it."""
    if dtype.is_narrow:
        with np.errstate(over="ignore"):
            value = np.asarray(value, np.float64).astype(dtype.numpy)
    return Const(_PYTHON[dtype.letter](value), dtype)


def cast(x: Expr, to: DType) -> Expr:
    """`x` in another type; constants are converted here, and a cast to the same type is nothing."""
    if x.dtype is to:
        return x
    if isinstance(x, Const) and (to.is_float or (
            to.is_int and not x.dtype.is_float and to.lowest <= x.value <= to.highest)):
        return const(x.value, to)
    return Cast(x, to)

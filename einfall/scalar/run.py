"""Scalar expressions evaluated on NumPy values, floats in float64: what the interpreters of nest and tile share."""

from collections.abc import Callable

import numpy as np

from einfall.base.errors import ShapeError
from einfall.base.node import postorder
from einfall.scalar.dtypes import BOOL, I64, DType, of_numpy
from einfall.scalar.nodes import Cast, Const, Expr, Map, Rounded, Select
from einfall.scalar.ops import convert

__all__ = ["INTEGERS", "evaluate", "in_float64", "in_type", "operation", "rounds", "too_wide", "whole_number"]

INTEGERS = {  # the operators of extents, on Python's integers
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "floor_divide": lambda a, b: a // b if b else 0, "remainder": lambda a, b: a % b if b else 0,
    "maximum": max, "minimum": min, "negative": lambda a: -a, "abs": abs,
}


CONDITIONS = {  # the operators of conditions on extents
    "less": lambda a, b: a < b, "less_equal": lambda a, b: a <= b, "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b, "equal": lambda a, b: a == b, "not_equal": lambda a, b: a != b,
    "bitwise_and": lambda a, b: a and b, "bitwise_or": lambda a, b: a or b, "invert": lambda a: not a,
}


def whole_number(extent: Expr, leaf: Callable[[Expr], int], known: str = "") -> int:
    """The exact value of an extent; `leaf` gives the sizes. Raises: ShapeError beyond 64 bits."""
    values: dict[Expr, int] = {}
    for node in postorder(extent):
        match node:
            case Const(value):
                values[node] = value
            case Cast(arg):
                values[node] = int(values[arg])
            case Select(condition, yes, no):
                values[node] = values[yes if values[condition] else no]
            case Map(op, args) if node.dtype is BOOL:
                values[node] = CONDITIONS[op.name](*(values[arg] for arg in args))
            case Map(op, args):
                values[node] = INTEGERS[op.name](*(values[arg] for arg in args))
                if not I64.lowest <= values[node] <= I64.highest:
                    raise too_wide(values[node], known)
            case Expr():
                values[node] = leaf(node)
    return values[extent]


def too_wide(value: int, known: str) -> ShapeError:
    """The error of an extent that no integer of a program holds."""
    return ShapeError(f"an extent does not fit into 64 bits: {value}", known=known,
                      repair="use smaller extents, or fewer ranks in one axis")


def evaluate(expr: Expr, leaf: Callable[[Expr], np.ndarray], memo: dict | None = None) -> np.ndarray:
    """The value of an expression; `leaf` gives those of the leaves."""
    memo = {} if memo is None else memo
    if expr not in memo:
        function = operation(expr)
        memo[expr] = leaf(expr) if function is None else function(*(evaluate(arg, leaf, memo) for arg in expr.below))
    return memo[expr]


def in_float64(array: np.ndarray) -> np.ndarray:
    """An array as the interpreters hold it: floats in float64, others as they are."""
    dtype = of_numpy(array.dtype)
    return array.astype(np.float64) if dtype is not None and dtype.is_float else array


def rounds(node: Cast) -> bool:
    """Whether a cast to a float rounds where floats are float64: what is weak has no type that did, and a narrow float
    stands for memory."""
    arg, to = node.arg, node.to
    return to.is_float and not isinstance(node, Rounded) and (
        to.is_narrow or (arg.dtype.is_float and to.bits < arg.dtype.bits and not arg.is_weak))


def in_type(value: np.ndarray, to: DType) -> np.ndarray:
    """Numbers rounded to a float type, in float64."""
    return value.astype(to.numpy).astype(np.float64)


def operation(node: Expr) -> Callable[..., np.ndarray] | None:
    """What a node makes of the values of its children; None of a leaf."""
    match node:
        case Const(value, dtype):
            made = np.asarray(value, np.float64 if dtype.is_float else dtype.numpy)
            return lambda: made
        case Map(op):
            return lambda *args: np.asarray(op.evaluate(*args))
        case Select():
            return np.where
        case Cast():
            return lambda value: _cast(value, node)
    return None


def _cast(value: np.ndarray, node: Cast) -> np.ndarray:
    to = node.to
    if to.is_float:
        return in_type(value, to) if rounds(node) else value.astype(np.float64)
    return value != 0 if to.kind == "bool" else convert(value, to.numpy)

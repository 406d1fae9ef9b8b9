"""Scalar expressions evaluated on NumPy values, floats in float64: what the interpreters of nest and tile share."""

from collections.abc import Callable

import numpy as np

from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import convert

__all__ = ["evaluate"]


def evaluate(expr: Expr, leaf: Callable[[Expr], np.ndarray], memo: dict | None = None) -> np.ndarray:
    """The value of an expression; `leaf` gives those of the leaves."""
    memo = {} if memo is None else memo
    if expr in memo:
        return memo[expr]
    match expr:
        case Const(value, dtype):
            made = np.asarray(value, np.float64 if dtype.is_float else dtype.numpy)
        case Map(op, args):
            made = np.asarray(op.evaluate(*(evaluate(arg, leaf, memo) for arg in args)))
        case Select(condition, yes, no):
            made = np.where(evaluate(condition, leaf, memo), evaluate(yes, leaf, memo), evaluate(no, leaf, memo))
        case Cast(arg, to):
            made = _cast(evaluate(arg, leaf, memo), arg, to)
        case _:
            made = leaf(expr)
    memo[expr] = made
    return made


def _cast(value: np.ndarray, arg: Expr, to) -> np.ndarray:
    if to.is_float:
        value = value.astype(np.float64)
        narrower = arg.dtype.is_float and to.bits < arg.dtype.bits and not arg.is_weak
        return value.astype(to.numpy).astype(np.float64) if narrower else value
    return value != 0 if to.kind == "bool" else convert(value, to.numpy)

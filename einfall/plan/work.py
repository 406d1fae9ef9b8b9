"""How many operations a tile program performs for given sizes."""

from collections.abc import Callable

from einfall.base.node import postorder
from einfall.scalar.memory import Load, Loop, Statement, Store
from einfall.scalar.nodes import Expr, Map
from einfall.tile.nodes import Program

__all__ = ["longest", "operations"]

UNKNOWN = 2**62  # a length that depends on data
TYPICAL = 64  # what such a loop is taken to have


def operations(program: Program, size: Callable[[Expr], int]) -> float:
    """Operators and loads of all instances; `size` gives the value of an extent."""
    instances = 1.0
    for axis in program.grid:
        instances *= size(axis.extent)
    return instances * sum(_of(statement, size) for statement in program.body)


def _of(statement: Statement, size: Callable[[Expr], int]) -> float:
    match statement:
        case Store(_, _, value):
            return 1.0 + _of_exprs(value)
        case Loop(extent=extent, carried=carried, body=body):
            inner = sum(_of(item, size) for item in body) + _of_exprs(*(item.update for item in carried)) + len(carried)
            length = longest(extent, size)
            return (TYPICAL if length >= UNKNOWN else length) * inner
    return 0.0


def longest(extent: Expr, size: Callable[[Expr], int]) -> int:
    """How many iterations a loop has at most, as far as sizes alone tell."""
    if not extent.free:
        return size(extent)
    match extent:
        case Map(op, args) if op.name in ("minimum", "maximum"):
            return min((longest(arg, size) for arg in args if op.name == "minimum" or arg.free), default=UNKNOWN)
        case Map(op, (left, _)) if op.name == "subtract":
            return longest(left, size)  # what is taken off is where the loop begins
    return UNKNOWN


def _of_exprs(*exprs: Expr) -> float:
    return float(sum(isinstance(node, Map | Load) for node in postorder(*exprs)))

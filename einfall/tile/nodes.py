"""The nodes of a tile program: a grid of instances that may run in any order, each the statements of its body.

Inside an instance loops are sequential; a workspace belongs to its instance. No two instances store to one element.
"""

from einfall.base.node import Node
from einfall.scalar.memory import Buffer, Number, Statement, Variable
from einfall.scalar.nodes import Expr

__all__ = ["Axis", "Program"]


class Axis(Node):
    """An axis of the grid: an index of the instance, and how many it takes."""

    variable: Variable
    extent: Expr


class Program(Node):
    """`inputs` are read, `outputs` are written and may be read; extents are expressions of the sizes of inputs."""

    name: str
    inputs: tuple[Buffer | Number, ...]
    outputs: tuple[Buffer, ...]
    grid: tuple[Axis, ...]
    body: tuple[Statement, ...]

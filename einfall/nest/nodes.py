"""The nodes of a nest: the statements of scalar/memory.py, with loops that may be parallel."""

from einfall.base.node import Node
from einfall.scalar.memory import Buffer, Number, Statement

__all__ = ["Nest"]


class Nest(Node):
    """A program: what arrives, what is filled, and the statements that fill it."""

    name: str
    inputs: tuple[Buffer | Number, ...]
    outputs: tuple[Buffer, ...]
    body: tuple[Statement, ...]

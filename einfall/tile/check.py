"""What must hold of a tile program beyond the types of its nodes."""

from einfall.base.node import postorder
from einfall.scalar.memory import Loop
from einfall.scalar.memory_check import check_statements
from einfall.tile.nodes import Program

__all__ = ["check"]


def check(program: Program) -> None:
    """Names are known where they are used, inputs are not written, no loop is parallel. Raises: AssertionError."""
    check_statements(program.inputs, program.outputs, program.body, tuple(axis.variable for axis in program.grid))
    for node in postorder(*program.body):
        assert not isinstance(node, Loop) or node.kind != "parallel", f"loop {node.variable.name} is parallel"

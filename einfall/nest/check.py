"""What must hold of a nest beyond the types of its nodes."""

from einfall.nest.nodes import Nest
from einfall.scalar.memory_check import check_statements

__all__ = ["check"]


def check(nest: Nest) -> None:
    """Names are unique and known where they are used, inputs are not written. Raises: AssertionError."""
    check_statements(nest.inputs, nest.outputs, nest.body)

"""Tensors and axes: what stands for a value in the text of a kernel."""

from typing import NamedTuple

from einfall.scalar.memory import Variable
from einfall.scalar.nodes import Expr

__all__ = ["Axis", "Tensor", "in_order", "literal"]


class Axis:
    """An axis of tensors: an open vector loop. `block` is its length, a number or the name of a constant."""

    __slots__ = ("block", "depth", "extent", "mask", "name", "variable")

    def __init__(self, variable: Variable, name: str, block: int | str, depth: int, extent: Expr):
        self.variable, self.name, self.block, self.depth, self.extent = variable, name, block, depth, extent
        self.mask: Tensor | None = None  # where the loop has iterations; None where everywhere


class Tensor(NamedTuple):
    """A name in the text, its axes from the outermost loop to the innermost, and where the text that makes it stands.

    level: how many loops of the text are around it; is_literal: it is a number, which has the type of what it meets.
    """

    text: str
    axes: tuple[Axis, ...] = ()
    level: int = 0
    is_literal: bool = False

    def along(self, axes: tuple[Axis, ...]) -> str:
        """The text that broadcasts along these axes, which hold those of the tensor."""
        if not self.axes or self.axes == axes:
            return self.text
        return f"{self.text}[{', '.join(':' if axis in self.axes else 'None' for axis in axes)}]"


def in_order(*tensors: Tensor) -> tuple[Axis, ...]:
    """The axes of all tensors, outermost first."""
    return tuple(sorted({axis for tensor in tensors for axis in tensor.axes}, key=lambda axis: axis.depth))


def literal(value: bool | int | float) -> Tensor:
    """A number in the text."""
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return Tensor(f'float("{value}")', is_literal=True)
    return Tensor(f"({value!r})" if not isinstance(value, bool) and value < 0 else repr(value), is_literal=True)

"""Formats: the levels of an array, outermost first, which axes they hold, and the codec of its values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from einfall.base.errors import FormatError
from einfall.format.codecs import Scaled
from einfall.format.levels import Compressed, Dense, Level
from einfall.scalar.dtypes import F32, DType

__all__ = ["DENSE", "Format", "Layout", "csc", "csr"]

DENSE = ()  # the form of an operand in which all elements lie in memory; others are the axes of its levels, in order


@dataclass(frozen=True, init=False)
class Format:
    """How an array is stored. The shape is always that of the dense array.

    levels: outermost first, at most one that is not full, as the last; order: the axis that each level holds, (0, 1);
    codec: a number type or ef.Scaled, None for the type that the values have; fill: what is not stored.
    Raises: FormatError for levels, orders or codecs that do not fit together.
    """

    levels: tuple[Level, ...]
    order: tuple[int, ...]
    codec: DType | Scaled | None
    fill: float

    def __init__(self, levels: Iterable[Level], order: Iterable[int] | None = None, codec: DType | Scaled | None = None,
                 fill: float = 0):
        levels = tuple(levels)
        order = tuple(range(len(levels))) if order is None else tuple(order)
        self.__dict__.update(levels=levels, order=order, codec=codec, fill=fill)
        for level in self.levels:
            if not isinstance(level, Level):
                raise FormatError(f"{getattr(level, '__name__', repr(level))} is no level",
                                  repair="ef.Format([ef.Dense(), ef.Compressed()])")
        if sorted(order) != list(range(len(self.levels))):
            raise FormatError(f"the order {order} of {len(self.levels)} levels", repair="name each axis once: (1, 0)")
        if not self.levels or any(not level.is_full for level in self.levels[:-1]):
            shown = ", ".join(map(repr, self.levels))
            raise FormatError(f"the levels [{shown}]: this version stores one level in part, the innermost",
                              repair="ef.Format([ef.Dense(), ef.Compressed()])")
        if not (self.codec is None or isinstance(self.codec, DType | Scaled)):
            raise FormatError(f"{self.codec!r} is no codec", repair="use a number type, or ef.Scaled(ef.Int(4), ...)")
        if isinstance(self.codec, Scaled):
            if self.is_sparse:
                raise FormatError("ef.Scaled of an array that is stored in part", repair="use a number type as codec")
            if not -len(self.levels) <= self.codec.axis < len(self.levels):
                raise FormatError(f"ef.Scaled along axis {self.codec.axis} of {len(self.levels)}",
                                  repair="group along the last axis: axis=-1")
            if order != tuple(sorted(order)):
                raise FormatError("ef.Scaled of an array in another order", repair="leave out order=")

    @property
    def is_sparse(self) -> bool:
        """Whether some elements are not stored."""
        return not self.levels[-1].is_full

    @property
    def name(self) -> str:
        """What people call it."""
        named = {csr: "csr", csc: "csc"}
        plain = Format(self.levels, self.order)
        return named.get(plain, f"{list(self.levels)}".replace("()", "").replace("'", ""))


csr = Format((Dense(), Compressed()), (0, 1))
csc = Format((Dense(), Compressed()), (1, 0))


class Layout(NamedTuple):
    """What of an operand decides machine code: its format, the types of its numbers, what holds of its shape.

    type: of the values as programs have them; index: of stored coordinates, in each order;
    is_even: whether the grouped axis consists of whole blocks.
    """

    format: Format
    type: DType
    index: DType
    is_even: bool = True

    @property
    def is_decoded(self) -> bool:
        """Whether values are computed from what is stored."""
        return isinstance(self.format.codec, Scaled)

    @property
    def nominal(self) -> DType:
        """The type of an element: decoded ones are f32."""
        return F32 if self.is_decoded else self.type

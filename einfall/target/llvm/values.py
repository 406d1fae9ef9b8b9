"""What the parts of an emission hand to each other."""

from typing import NamedTuple

from einfall.scalar.memory import Variable

__all__ = ["Lane", "Register"]


class Register(NamedTuple):
    """A value: one number, or one for each lane."""

    name: str
    lanes: int


class Lane(NamedTuple):
    """The vector loop that is open: its index, the index of lane 0 as a variable, and which lanes are there."""

    variable: Variable
    first: Variable
    mask: str | None

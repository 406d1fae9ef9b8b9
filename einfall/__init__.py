"""einfall: tensor mathematics with named ranks, compiled."""

from einfall.api import NAMES

globals().update(NAMES)
globals()["bool"] = NAMES["bool_"]  # the number type; it must not hide Python's in the rooms
__all__ = sorted({*NAMES, "bool"})

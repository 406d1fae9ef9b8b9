"""Errors of four lines: what is wrong, where in the user's source, what is known, what to write instead."""

import linecache
import os
import sys
from typing import NamedTuple

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Line(NamedTuple):
    """A line of the user's source."""

    file: str
    number: int

    def __str__(self):
        text = linecache.getline(self.file, self.number).strip()
        return f"{os.path.basename(self.file)}:{self.number}" + (f": {text}" if text else "")


def user_line() -> Line | None:
    """The innermost line of the running program that is not einfall's own."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else Line(frame.f_code.co_filename, frame.f_lineno)


class EinfallError(Exception):
    """The base of all errors that a user can cause."""

    def __init__(self, what: str, *, known: str = "", repair: str = "", where: Line | None = None):
        where = where or user_line()
        lines = [what]
        lines += [f"  in     {where}"] if where else []
        lines += [f"  known  {known}"] if known else []
        lines += [f"  try    {repair}"] if repair else []
        super().__init__("\n".join(lines))


class RankError(EinfallError):
    """Ranks that do not fit: extents that disagree, a rank never bound, a reduction over a rank that is not there."""


class ShapeError(EinfallError):
    """Axes that do not fit: a wrong number of indices, an index that can leave its axis, an impossible extent."""


class BoundsError(EinfallError, IndexError):
    """A gather out of range."""


class AssumptionError(EinfallError):
    """Data of which something that the kernel assumes is not true."""


class TraceError(EinfallError):
    """Something in a kernel that is not tensor mathematics, or not in einfall's spelling."""


class FormatError(EinfallError):
    """Storage that does not fit: a format that makes no sense, arrays that are not what a format says."""


class CompileError(EinfallError):
    """A program that this version or this target cannot compile."""

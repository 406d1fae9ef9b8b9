"""Asking before forcing: what may be illegal answers with a reason."""

from typing import NamedTuple

__all__ = ["Refusal"]


class Refusal(NamedTuple):
    """Why something is not done."""

    reason: str

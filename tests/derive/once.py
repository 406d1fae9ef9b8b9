"""What is derived of a cascade, worked out once for the tests that ask what it computes."""

from functools import lru_cache

from einfall.cascade.nodes import Cascade
from einfall.derive.derive import Derivation, derive

__all__ = ["derivation_of"]


@lru_cache(256)
def derivation_of(cascade: Cascade) -> Derivation:
    """What is derived of a cascade; the same cascade traced again, for other data, is the same node."""
    return derive(cascade)

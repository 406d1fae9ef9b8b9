"""Who is told of calls of kernels: the command line and other instruments. Nobody is, unless they ask."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

__all__ = ["OBSERVERS", "Call", "observing"]


class Call(NamedTuple):
    """A call that returned."""

    kernel: Any
    args: tuple
    options: dict
    total_s: float
    compile_s: float  # of the total: looking up, tracing, lowering and compiling what the call needs


OBSERVERS: list[Callable[[Call], None]] = []


@contextmanager
def observing(observer: Callable[[Call], None]) -> Iterator[None]:
    """Tells `observer` of every call of a kernel, in whichever thread, until the block ends."""
    OBSERVERS.append(observer)
    try:
        yield
    finally:
        OBSERVERS.remove(observer)

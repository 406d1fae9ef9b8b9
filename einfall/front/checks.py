"""A kernel compared with the reference."""

from typing import NamedTuple

import numpy as np

from einfall.base.errors import CompileError, TraceError
from einfall.cascade.agreement import share_of_tolerance, shares_of_tolerance
from einfall.cascade.run import Result
from einfall.front.arguments import memory_of
from einfall.front.kernel import Kernel, measured

__all__ = ["Agreement", "check"]


class Agreement(NamedTuple):
    """A kernel that agrees with the reference. shares: the largest error of each result, in tolerances (at most 1)."""

    kernel: str
    shares: tuple[float, ...]

    def __str__(self):
        worst = max(self.shares, default=0.0)
        return (f"{self.kernel} agrees with the reference: the largest error is {worst:.3g} of what rounding in its "
                f"types explains ({len(self.shares)} result{'s' * (len(self.shares) != 1)})")


def check(held: Kernel, *args, **options) -> Agreement:
    """Calls a kernel and evaluates the reference; print what it gives.

    The tolerance of each element follows from its type, the number of elements reduced and the reference evaluated on
    absolute values: 16 eps (log2 n + 8) cond. Integers and booleans have to be equal, NaN and infinities in place.

    Raises: CompileError where a result is further away.
    """
    if not isinstance(held, Kernel):
        raise TraceError(f"ef.check takes a kernel, not {held!r}", repair="decorate the function with @ef.kernel")
    if "out" in options:
        raise TraceError("ef.check is called with out=, and would write it before it compares",
                         repair=f"ef.check({held.__name__}, ...) without out=")
    results: list = []
    _flat(held(*args, **options), results)
    program, references = measured(held, args, options)
    shares = tuple(share_of_tolerance(_seen(result), wanted) for result, wanted in zip(results, references))
    for place, share in enumerate(shares):
        if not share <= 1:
            raise CompileError(f"result {place} of {held.__name__} is {share:.3g} tolerances from the reference: "
                               + _worst(_seen(results[place]), references[place]), known=str(program).splitlines()[0],
                               repair="report it with this call: a kernel must never do this")
    return Agreement(held.__name__, shares)


def _seen(result) -> np.ndarray:
    """A result as NumPy sees it."""
    return result if isinstance(result, np.ndarray) else memory_of(result) if hasattr(result, "numpy") else np.asarray(
        result)


def _worst(found: np.ndarray, reference: Result) -> str:
    """The element that is furthest away, in tolerances."""
    wanted = reference.array
    if found.shape != wanted.shape:
        return f"shape {found.shape} instead of {wanted.shape}"
    shares = shares_of_tolerance(found, reference)
    at = np.unravel_index(int(np.argmax(np.where(np.isnan(shares), np.inf, shares))), found.shape)
    return f"{found[at]} instead of {wanted[at]} at {tuple(map(int, at))}"


def _flat(structure, into: list) -> None:
    match structure:
        case tuple() | list():
            for item in structure:
                _flat(item, into)
        case dict():
            for item in structure.values():
                _flat(item, into)
        case _:
            into.append(structure)

"""The one tolerance of all tests: rounding errors propagated by the reference, and the length of reductions."""

import numpy as np

from einfall.cascade.agreement import tolerance
from einfall.cascade.run import Result
from einfall.scalar.run import in_float64

__all__ = ["assert_agrees", "tolerance"]


def assert_agrees(actual: np.ndarray, reference: Result, *, what: str = "result") -> None:
    """The same shape; integers equal; floats within the tolerance, NaN and infinities at the same places."""
    actual, expected = in_float64(np.asarray(actual)), reference.array
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    if expected.dtype.kind != "f":
        assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, not {expected.dtype}"
        wrong = actual != expected
    else:
        finite = np.isfinite(expected)
        same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            near = np.abs(actual - expected) <= tolerance(reference.error, reference.reduced_elems, reference.unit)
        wrong = ~np.where(finite, same | near, same)
    wrong = np.atleast_1d(wrong)
    if wrong.any():
        actual, expected = np.atleast_1d(actual), np.atleast_1d(expected)
        place = tuple(int(axis[0]) for axis in np.nonzero(wrong))
        raise AssertionError(f"{what} at {place}: {actual[place]!r}, not {expected[place]!r} "
                             f"({int(wrong.sum())} of {wrong.size} wrong)")

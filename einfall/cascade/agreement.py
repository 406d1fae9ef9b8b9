"""How far a result is from the reference, as a share of what rounding explains."""

import numpy as np

from einfall.cascade.run import Result
from einfall.scalar.run import in_float64

__all__ = ["share_of_tolerance", "shares_of_tolerance", "tolerance"]


def tolerance(error: np.ndarray, reduced_elems: int, unit: np.ndarray | float = 0.0) -> np.ndarray:
    """How far a result may be from the reference: 16 (log2 n + 8) eps cond, with eps cond and n from the reference, and
    one unit of the type of the result where that is narrower than the computation."""
    return 16 * (np.log2(max(reduced_elems, 1)) + 8) * error + unit


def share_of_tolerance(actual: np.ndarray, reference: Result) -> float:
    """The largest distance from the reference, in tolerances: agreement is at most 1."""
    return float(np.max(shares_of_tolerance(actual, reference), initial=0.0))


def shares_of_tolerance(actual: np.ndarray, reference: Result) -> np.ndarray:
    """The distance of each element from the reference, in tolerances. Integers agree or are infinitely far; so are
    results of another shape (one number for all), and NaN or infinity at other places."""
    actual, expected = in_float64(np.asarray(actual)), reference.array
    if actual.shape != expected.shape:
        return np.array(np.inf)
    same = (actual == expected) | (actual != actual) & (expected != expected)
    if expected.dtype.kind != "f":
        return np.where(same, 0.0, np.inf)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        share = np.abs(actual - expected) / tolerance(reference.error, reference.reduced_elems, reference.unit)
    return np.where(same, 0.0, np.where(np.isfinite(expected) & np.isfinite(actual), share, np.inf))

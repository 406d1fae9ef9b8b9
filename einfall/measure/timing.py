"""The seconds of a call."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Timing", "fastest_s", "timed"]

ENOUGH = 25  # calls after which more say nothing new


class Timing(NamedTuple):
    """The seconds of several calls."""

    median_s: float
    fastest_s: float
    calls: int


def timed(call: Callable[[], object], budget_s: float = 1.0) -> Timing:
    """Several calls, after one to warm up, which is all there is where it takes the whole budget."""
    begin = time.perf_counter()
    call()
    warm_s = time.perf_counter() - begin
    found = [warm_s] if warm_s >= budget_s else []
    while not found or (len(found) < ENOUGH and time.perf_counter() - begin < budget_s):
        before = time.perf_counter()
        call()
        found.append(time.perf_counter() - before)
    return Timing(statistics.median(found), min(found), len(found))


def fastest_s(call: Callable[[], object], budget_s: float, calls: int = 7) -> float:
    """The least of a few calls: what a machine can do when nobody disturbs it."""
    begin = time.perf_counter()
    call()
    best = float("inf")
    for number in range(calls):
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        best = min(best, after - before)
        if number and after - begin > budget_s:
            break
    return best

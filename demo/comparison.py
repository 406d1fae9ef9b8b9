"""One program checked against the reference and its peers, and timed beside them."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from demo.program import Program, as_torch
from einfall.cascade.agreement import share_of_tolerance
from einfall.front.kernel import Kernel, measured

__all__ = ["Outcome", "agreement", "compare", "peer_distance"]

CHECKED = 8  # coordinates of the checked rank, spread over its extent
PEERS = 1e-3  # how far NumPy and torch may be, as a share of the largest value: |x|² + |y|² − 2xy loses digits
SECONDS, LEAST, MOST = 4.0, 3, 25  # of the interleaved runs
PAUSE_S = 0.12  # before each: threads of OpenBLAS wait for work in a loop for 0.1 s, and take a core from the next one


class Outcome(NamedTuple):
    """What one program gave."""

    program: Program
    times_s: dict[str, float]  # medians
    first_s: float
    distance: float  # the largest difference from the reference, as a share of its largest value
    share: float  # the largest difference in tolerances; 1 is the bound
    peers: float  # the largest difference from a peer, as a share of the largest value
    seen: str


def parts(result: Any) -> tuple[np.ndarray, ...]:
    """The arrays of a result."""
    return tuple(np.asarray(item) for item in (result if isinstance(result, tuple) else (result,)))


def agreement(program: Program, arguments: tuple, result: Any) -> tuple[float, float]:
    """The largest difference from the reference: as a share of its largest value, and in tolerances."""
    at, rank = {}, program.checked
    if isinstance(rank, int):
        arguments, result = (arguments[0][:rank], *arguments[1:]), tuple(item[:rank] for item in parts(result))
        rank = None
    outputs = program.kernel.trace(*arguments).cascade.outputs
    actual = parts(result)
    if rank is not None:
        axes = [[one.name for one in output.ranks].index(rank.name) for output in outputs]
        extent = actual[0].shape[axes[0]]
        at = {rank: np.unique(np.linspace(0, extent - 1, CHECKED).astype(int))}
        actual = tuple(np.take(item, at[rank], axis) for item, axis in zip(actual, axes))
    _, expected = measured(program.kernel, arguments, {}, at)
    distance = max(_distance(item, reference.array) for item, reference in zip(actual, expected))
    return distance, max(map(share_of_tolerance, actual, expected))


def peer_distance(program: Program, result: Any, peer: Any) -> float:
    """The largest difference from a peer's result, as a share of the largest value."""
    return max(map(_distance, parts(peer), parts(result)))


def _distance(actual: np.ndarray, expected: np.ndarray) -> float:
    difference = np.abs(np.asarray(actual, np.float64) - expected).max(initial=0.0)
    return float(difference / max(np.abs(expected).max(initial=0.0), np.finfo(np.float32).tiny))


def compare(program: Program, say: Callable[[str], None], seconds: float = SECONDS) -> Outcome:
    """Everything about one program; `say` is told what goes on."""
    say("reading the data")
    arguments = program.load()
    tensors = as_torch(arguments)
    say("compiling")
    kernel = Kernel(program.kernel.function)  # a new one: the data may have needed calls that compiled already
    result, first_s = _timed(kernel, arguments)
    say("comparing with the reference")
    if program.part is None:
        distance, share = agreement(program, arguments, result)
    else:
        part = program.part(arguments)
        distance, share = agreement(program, part, kernel(*part))
    say("comparing with NumPy and torch")
    peers = max(peer_distance(program, result, program.numpy(*arguments)),
                peer_distance(program, result, program.torch(*tensors)))
    if not share <= 1 or not peers <= PEERS:
        raise AssertionError(f"{program.name}: {share:.3g} tolerances from the reference, {peers:.3g} from its peers")
    runs = {"einfall": (kernel, arguments), "NumPy": (program.numpy, arguments),
            "torch": (program.torch, tensors)}
    times_s: dict[str, list[float]] = {name: [] for name in runs}
    begin = time.perf_counter()
    while len(times_s["torch"]) < LEAST or (
            len(times_s["torch"]) < MOST and time.perf_counter() - begin < seconds):
        say(f"run {len(times_s['torch']) + 1}")
        for name, (function, given) in runs.items():
            time.sleep(PAUSE_S)
            times_s[name].append(_timed(function, given)[1])
    medians = {name: statistics.median(found) for name, found in times_s.items()}
    return Outcome(program, medians, first_s, distance, share, peers, program.see(result, arguments))


def _timed(function: Callable, arguments: tuple) -> tuple[Any, float]:
    begin = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - begin

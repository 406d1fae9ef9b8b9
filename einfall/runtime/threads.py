"""Several threads at the instances of one grid: each takes a run of them, cut the same way every time.

Python looks at signals between calls of machine code only, so long runs are cut into pieces: Ctrl-C ends a call after
the piece under way, and the other threads stop after theirs. Which instances form a piece changes no result.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from einfall.base.settings import thread_count
from einfall.plan.work import BREAK_EVEN, threads_for

__all__ = ["BREAK_EVEN", "PIECE", "in_parallel"]

PIECE = 5_000_000  # operations before the first look at signals: from 0.02 ms in lanes to 0.3 s of calls of libm
PIECE_S = 0.02  # seconds between later ones: threads that ask for Python's lock more often wait for each other
_POOLS: dict[int, ThreadPoolExecutor] = {}  # one, made on first use; a forked child has none of its parent's threads

if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_POOLS.clear)

Run = Callable[[int, int], None]


def in_parallel(start: Callable[[], Run], instances: int, operations: float) -> None:
    """All instances; with several threads where the work is worth it. Each thread makes its run(begin, end) by start().

    The caller's thread takes the first part. Machine code runs without Python's lock. When this returns, by an
    exception too, no thread runs an instance any more.
    """
    threads = threads_for(operations, instances, thread_count())
    step = max(1, int(instances * min(1.0, PIECE / max(operations, 1.0))))
    work = _Work(start, step)
    if threads <= 1:
        work.part(0, instances)
        return
    pool = _POOLS.setdefault(0, _POOLS.get(0) or ThreadPoolExecutor(thread_count(), thread_name_prefix="einfall"))
    cuts = [instances * part // threads for part in range(threads + 1)]
    waiting, left = [], []
    try:
        for begin, end in pairwise(cuts[1:]):
            try:
                waiting.append(pool.submit(work.counted_part, begin, end))
            except RuntimeError:  # the interpreter is about to exit and starts no threads any more
                left.append((begin, end))
        work.part(cuts[0], cuts[1])
        for begin, end in left:
            work.part(begin, end)
        for part in waiting:
            part.result()
    except BaseException:
        work.stop()
        raise


class _Work:
    """The parts of one call that several threads are at."""

    def __init__(self, start: Callable[[], Run], step: int):
        self.start, self.step, self.is_stopped = start, step, False
        self.begun, self.ended = [], []  # parts of the pool's threads

    def part(self, begin: int, end: int) -> None:
        """The instances from begin to end, in pieces."""
        run, step = self.start(), self.step
        while begin < end and not self.is_stopped:
            following, started_s = min(begin + step, end), time.perf_counter()
            run(begin, following)
            begin, took_s = following, time.perf_counter() - started_s
            step = max(1, int(step * min(16.0, PIECE_S / max(took_s, 1e-6))))

    def counted_part(self, begin: int, end: int) -> None:
        """A part in a thread of the pool, which `stop` waits for."""
        self.begun.append(begin)  # before the look at is_stopped: `stop` either sees this part or is seen by it
        try:
            if not self.is_stopped:
                self.part(begin, end)
        finally:
            self.ended.append(begin)

    def stop(self) -> None:
        """Ends all parts and waits for them, whatever signals arrive meanwhile; those not begun do nothing."""
        while not self.is_stopped or len(self.ended) < len(self.begun):
            try:
                self.is_stopped = True
                time.sleep(0.0002)
            except KeyboardInterrupt:
                continue  # one is on its way to the caller already

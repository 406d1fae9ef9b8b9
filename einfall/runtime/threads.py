"""Several threads at the instances of one grid: each takes a run of them, cut the same way every time."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from einfall.base.settings import thread_count
from einfall.plan.work import BREAK_EVEN, threads_for

__all__ = ["BREAK_EVEN", "in_parallel"]

_POOLS: dict[int, ThreadPoolExecutor] = {}  # one, made on first use; a forked child has none of its parent's threads

os.register_at_fork(after_in_child=_POOLS.clear)


def in_parallel(run: Callable[[int, int], None], instances: int, operations: float) -> None:
    """run(begin, end) over all instances; with several threads where the work is worth it.

    The caller's thread takes the first part. Machine code runs without Python's lock.
    """
    threads = threads_for(operations, instances, thread_count())
    if threads <= 1:
        run(0, instances)
        return
    pool = _POOLS.setdefault(0, _POOLS.get(0) or ThreadPoolExecutor(thread_count(), thread_name_prefix="einfall"))
    cuts = [instances * part // threads for part in range(threads + 1)]
    waiting = [pool.submit(run, begin, end) for begin, end in pairwise(cuts[1:])]
    run(cuts[0], cuts[1])
    for part in waiting:
        part.result()

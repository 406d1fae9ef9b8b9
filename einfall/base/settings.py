"""What the environment may say; nothing else reads it."""

import os

__all__ = ["thread_count"]


def thread_count() -> int:
    """EINFALL_THREADS, else as many as the processors that this process may run on."""
    given = os.environ.get("EINFALL_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""What the environment may say; nothing else reads it."""

import os

__all__ = ["cache_directory", "may_probe", "thread_count"]


def thread_count() -> int:
    """EINFALL_THREADS, else as many as the processors that this process may run on."""
    given = os.environ.get("EINFALL_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_directory() -> str | None:
    """EINFALL_CACHE: where measured numbers are kept; None for the user's own cache directory."""
    return os.environ.get("EINFALL_CACHE") or None


def may_probe() -> bool:
    """EINFALL_PROBE=0 forbids to measure the machine: its numbers are then estimated from its features."""
    return os.environ.get("EINFALL_PROBE", "1") != "0"

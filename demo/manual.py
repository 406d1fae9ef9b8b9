"""Real text that every Python holds: the manual that `help()` shows."""

import functools
import re
from pydoc_data.topics import topics

__all__ = ["pages", "text", "words"]


def pages() -> tuple[str, ...]:
    """The pages, in the order of their names."""
    return tuple(topics[name] for name in sorted(topics))


@functools.cache
def text() -> str:
    """The pages one after the other."""
    return "\n".join(pages())


@functools.cache
def words(shortest: int = 4, longest: int = 16) -> tuple[str, ...]:
    """The different words, in order, lower case."""
    found = set(re.findall(r"[a-z]+", text().lower()))
    return tuple(sorted(word for word in found if shortest <= len(word) <= longest))

"""Real text that every Python holds: the manual that `help()` shows."""

import functools
import re
from pydoc_data.topics import topics

__all__ = ["text", "words"]


@functools.cache
def text() -> str:
    """The pages one after the other, in the order of their names."""
    return "\n".join(topics[name] for name in sorted(topics))


@functools.cache
def words(shortest: int = 4, longest: int = 16) -> tuple[str, ...]:
    """The different words, in order, lower case."""
    found = set(re.findall(r"[a-z]+", text().lower()))
    return tuple(sorted(word for word in found if shortest <= len(word) <= longest))

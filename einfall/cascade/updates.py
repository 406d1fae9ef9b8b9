"""Results that are an input of which a part is replaced: where(p, new, C[i, j]), such as a cache with another row."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from einfall.base.node import Node, children
from einfall.cascade.nodes import Access, Cascade, Index, Input, Rank, Tensor
from einfall.cascade.scope import substitute
from einfall.scalar.nodes import Cast, Expr, Select

__all__ = ["Update", "can_be_in_place", "update_of"]


class Update(NamedTuple):
    """The input, where it is replaced, and by what, in its type."""

    source: Input
    condition: Expr
    new: Expr


def update_of(output: Tensor) -> Update | None:
    """A result as an update of an input at its own coordinates; None for another."""
    own = tuple(map(Index, output.ranks))
    match output.body:
        case Select(condition, new, Access(Input() as source, indices)) if indices == own:
            return Update(source, condition, new)
        case Cast(Select(condition, new, Cast(Access(Input() as source, indices))), to) if (
                indices == own and to is source.dtype and to.is_narrow):
            return Update(source, condition, Cast(new, to))
    return None


@lru_cache(64)  # asked in every call
def can_be_in_place(cascade: Cascade, place: int) -> bool:
    """Whether the memory of the input may become the result while the program runs: what is read of it is the element
    that is replaced, or one that stays as it is."""
    output = cascade.outputs[place]
    update = update_of(output)
    if update is None:
        return False
    own = Access(update.source, tuple(map(Index, output.ranks)), None)
    return all(read is own and number == place for number, other in enumerate(cascade.outputs)
               for read in _read(other, update, output.ranks))


def _read(output: Tensor, update: Update, ranks: tuple[Rank, ...]) -> Iterator[Access]:
    """The accesses to the input below an output, without those to elements that stay."""
    seen: set[Node] = set()
    stack: list[Node] = [output]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        match node:
            case Access(source) if source is update.source:
                yield node
            case Select(condition, yes, Access(source, indices) | Cast(Access(source, indices))) if (
                    source is update.source
                    and substitute(update.condition, dict(zip(ranks, indices))) is condition):
                stack += [condition, yes]
                continue
        stack += children(node)

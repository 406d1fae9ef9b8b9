"""Recurrences of a kernel in chunks, and the gates that are looked at before each call.

A product of gates may overflow where the state would not: chunks need gates of at most 1 in size. Where the text does
not say so, a program over all steps looks, and where there is one above 1 the program as written runs.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from einfall.base.node import Node, postorder
from einfall.cascade.domain import is_constant
from einfall.cascade.faults import NOWHERE, accesses_stay_inside
from einfall.cascade.nodes import Cascade, Index, Rank, Scan, Tensor
from einfall.cascade.run import run
from einfall.derive.chunks import chunked
from einfall.derive.families import extents_of_free_ranks
from einfall.derive.recurrence_text import text
from einfall.derive.recurrences import Recurrence, prepared, recurrences
from einfall.derive.unread import without_unread_states
from einfall.front.arguments import Arguments
from einfall.front.assumptions import positions
from einfall.front.trace import evaluate
from einfall.pipeline import Compiled
from einfall.plan.recurrences import Chunks, in_chunks
from einfall.runtime.launch import Plan
from einfall.scalar.nodes import Expr, Map

__all__ = ["Guard", "InChunks", "guard_of", "taken_in_chunks"]

REMEMBERED = 64


class Gates(NamedTuple):
    """The condition on the gates of a recurrence over a rank: a tensor of what it has to be true of."""

    over: Rank
    holds: Tensor


class InChunks(NamedTuple):
    """A program with recurrences in chunks.

    written: as it was; taken: which they are, in the order of the program; guards: of their gates, one for each step.
    """

    cascade: Cascade
    written: Cascade
    taken: tuple[Chunks, ...]
    guards: tuple[Gates, ...]

    def text(self, names: Mapping[Node, str]) -> str:
        """A page for each of the recurrences; `names` are the user's words for nodes."""
        return "\n".join(dict.fromkeys(text(one, self.written, size, names) for one, size in self.taken))


class Guard(NamedTuple):
    """A program that looks for gates that are too large: of each guard it gives the first position of one."""

    whole: Compiled
    plan: Plan
    guards: tuple[Gates, ...]

    def first(self, arguments: Arguments) -> tuple[Gates, int] | None:
        """A guard that does not hold, and its first position; None where all hold."""
        for gates, position in zip(self.guards, self.plan.run(arguments.arrays, arguments.scalars)):
            if position != NOWHERE:
                return gates, int(position)
        return None

    def told(self, gates: Gates, position: int, arguments: Arguments) -> str:
        """Why the program as written runs."""
        tensor = gates.holds
        shape = tuple(evaluate(extent, arguments.sizes) for extent in tensor.extents)
        at = dict(zip(tensor.ranks, map(int, np.unravel_index(position, shape))))
        gate = Tensor(tensor.ranks, tensor.extents, gate_in(tensor.body))
        chosen = {rank: np.asarray([place]) for rank, place in at.items()}
        (value,) = run((gate,), arguments.arrays, arguments.scalars, at=chosen)
        where = " at " * bool(at) + ", ".join(f"{rank.name}={place}" for rank, place in at.items())
        shown = gate.dtype.numpy.type(value.array.reshape(()))
        return (f"the recurrence over {gates.over.name} runs step by step in this call: a gate is {shown!s}"
                f"{where}, and products of gates above 1 in size may overflow")


def gate_in(guard: Expr) -> Expr:
    """The gate of which a guard says that its size is not above 1."""
    match guard:
        case Map(_, (Map(_, (Map(_, (gate,)), _)),)):
            return gate
    raise AssertionError(f"no guard: {guard}")


def taken_in_chunks(cascade: Cascade, sizes: Mapping[str, tuple[int, ...]]) -> InChunks | None:
    """The program with the recurrences in chunks for which these sizes are worth it; None where there is none.

    Nor where an access of chunks is not proved inside: they read at each step, also where the program does not.
    """
    found = known_recurrences(cascade)
    if not found:
        return None

    def size(extent: Expr) -> int:
        return evaluate(extent, sizes)

    free = extents_of_free_ranks(prepared(cascade))
    taken = in_chunks(found, size, free)
    if not taken:
        return None
    made = cascade
    for one, steps in taken:
        made = chunked(made, one, steps)
    made = without_unread_states(made)
    guards = tuple(dict.fromkeys(guards_of((one for one, _ in taken), free)))
    if None in guards or not all(accesses_stay_inside(program, size) for program in (
            made, cascade_of(cascade, guards))):
        return None
    return InChunks(made, cascade, tuple(sorted(taken, key=lambda one: found.index(one.recurrence))), guards)


def cascade_of(written: Cascade, guards: tuple[Gates, ...]) -> Cascade:
    """The conditions as a program."""
    return Cascade(f"{written.name}_gates", written.inputs, tuple(gates.holds for gates in guards))


@lru_cache(REMEMBERED)
def known_recurrences(cascade: Cascade) -> tuple[Recurrence, ...]:
    """Those that have a form in chunks, for all sizes; a gate that is always above 1 has none."""
    if not any(isinstance(node, Scan) for node in postorder(*cascade.outputs)):
        return ()
    return tuple(one for one in recurrences(cascade) if one.form == "chunks" and not (
        one.guard is not None and is_constant(one.guard)))


def guards_of(taken: Iterator[Recurrence], free: Mapping[tuple[Node, Node], set[Expr]]) -> Iterator[Gates | None]:
    """The conditions over all steps; None where a rank that one depends on has no extent, or several."""
    for one in taken:
        if one.guard is None:
            continue
        extents = {one.scan.rank: one.scan.extent, **dict(zip(one.axes, one.extents))}
        # in the order in which gates mostly lie in memory: one recurrence after the other, its steps, its axes
        ranks = sorted(one.guard.free, key=lambda rank: (
            rank in one.axes, rank is one.scan.rank, one.axes.index(rank) if rank in one.axes else 0, rank.name))
        for rank in ranks:
            if rank not in extents:
                known = free.get((one.scan, rank), set())
                if not isinstance(rank, Rank) or len(known) != 1:
                    yield None
                    return
                (extents[rank],) = known
        if any(node in ranks for rank in ranks for node in map(_rank_of, postorder(extents[rank]))):
            yield None
            return
        holds = Tensor(tuple(ranks), tuple(extents[rank] for rank in ranks), one.guard)
        yield Gates(one.scan.rank, holds)


def _rank_of(node: Node) -> Node | None:
    return node.rank if isinstance(node, Index) else None


def guard_of(made: InChunks, planned: Callable[[Cascade], tuple[Compiled, Plan]]) -> Guard | None:
    """What looks at the gates; None where they are known to be at most 1. `planned` compiles a program for a call."""
    if not made.guards:
        return None
    return Guard(*planned(positions(cascade_of(made.written, made.guards))), made.guards)

"""Blocks: loops in portions of a constant length whose iterations run at once, as the axes of tensors do."""

import itertools
from collections.abc import Mapping

from einfall.base.node import Node, postorder, rewrite
from einfall.base.refusal import Refusal
from einfall.nest.schedule import fresh
from einfall.scalar.dtypes import I64
from einfall.scalar.memory import Carried, Loop, Statement, Store, Value, Variable, Workspace, depends_on_sizes_only
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS

__all__ = ["at_once", "block", "block_grid", "legal_block", "legal_block_grid"]


def legal_block(loop: Loop) -> Refusal | None:
    """Whether the iterations of a loop may run at once, each with memory of its own and with loops inside."""
    if loop.kind == "vector":
        return Refusal(f"loop {loop.variable.name} is a vector loop already")
    if loop.kind == "parallel":
        return None
    if loop.monoid is None:
        return Refusal(f"a step of loop {loop.variable.name} needs the one before it")
    if not loop.monoid.commutative:
        return Refusal(f"the elements of loop {loop.variable.name} come together in order: {loop.monoid.name}")
    if any(isinstance(node, Store | Workspace) for node in postorder(*loop.body)):
        return Refusal(f"loop {loop.variable.name} stores what its next step overwrites")
    return None


def at_once(loop: Loop) -> Loop:
    """The loop as one block: all its iterations run at once.

    Raises: ValueError with the reason of `legal_block`.
    """
    refusal = legal_block(loop)
    if refusal is not None:
        raise ValueError(refusal.reason)
    return Loop(loop.variable, loop.extent, "vector", loop.monoid, loop.carried, loop.body)


def block(loop: Loop, by: int, taken: set[str]) -> Loop:
    """The loop in blocks of `by` iterations that run at once; `taken` are names, and learns those that are made.

                                                for k_block in sequential((n + 63) // 64, a=0.0):
    for k in sequential(n, a=0.0):                  for k in vector(minimum(n - k_block * 64, 64), a_block=a):
        fold(sum, a=x[k])             ->                fold(sum, a_block=x[k_block * 64 + k])
                                                    carry(a=a_block)

    Raises: ValueError with the reason of `legal_block`.
    """
    refusal = legal_block(loop)
    if refusal is not None:
        raise ValueError(refusal.reason)
    number, blocks, rest, place = _parts(loop, by, taken)
    inner = {item.value: Value(fresh(f"{item.value.name}_block", taken), item.value.type) for item in loop.carried}
    memo: dict[Node, Node] = {loop.variable: place}
    body = tuple(rewrite(statement, None, memo) for statement in loop.body)
    carried = tuple(Carried(inner[item.value], item.value, rewrite(item.update, None, memo)) for item in loop.carried)
    together = Loop(loop.variable, rest, "vector", loop.monoid, carried, body)
    outer = tuple(Carried(item.value, item.init, inner[item.value]) for item in loop.carried)
    return Loop(number, blocks, loop.kind, None, outer, (together,))


def legal_block_grid(chain: tuple[Loop, ...]) -> Refusal | None:
    """Whether loops, each all that the one before it holds, may become a grid of blocks."""
    for outer, inner in itertools.pairwise(chain):
        if outer.body != (inner,):
            return Refusal(f"loop {outer.variable.name} holds more than loop {inner.variable.name}")
    for loop in chain:
        if loop.kind != "parallel":
            return Refusal(f"the iterations of loop {loop.variable.name} are not independent")
        if not depends_on_sizes_only(loop.extent):
            return Refusal(f"the length of loop {loop.variable.name} is not known before anything runs")
    return None


def block_grid(chain: tuple[Loop, ...], by: Mapping[Variable, int], taken: set[str]) -> Statement:
    """Loops one in another, those in `by` in blocks: all blocks outside, what runs at once inside.

    for i in parallel(n):                for i_block in parallel((n + 63) // 64):
        for j in parallel(m):                for j_block in parallel((m + 63) // 64):
            out[i, j] = x[j]      ->             for i in vector(minimum(n - i_block * 64, 64)):
                                                     for j in vector(minimum(m - j_block * 64, 64)):
                                                         out[i_block * 64 + i, j_block * 64 + j] = ...

    Raises: ValueError with the reason of `legal_block_grid`.
    """
    refusal = legal_block_grid(chain)
    if refusal is not None:
        raise ValueError(refusal.reason)
    outer: list[tuple[Variable, Expr]] = []
    inner: list[tuple[Variable, Expr]] = []
    memo: dict[Node, Node] = {}
    for loop in chain:
        if loop.variable not in by:
            outer.append((loop.variable, loop.extent))
            continue
        number, blocks, rest, memo[loop.variable] = _parts(loop, by[loop.variable], taken)
        outer.append((number, blocks))
        inner.append((loop.variable, rest))
    body = tuple(rewrite(statement, None, memo) for statement in chain[-1].body)
    for kind, made in (("vector", inner), ("parallel", outer)):
        for variable, extent in reversed(made):
            body = (Loop(variable, extent, kind, None, (), body),)
    return body[0]


def _parts(loop: Loop, by: int, taken: set[str]) -> tuple[Variable, Expr, Expr, Expr]:
    """The index of a block, how many there are, how many iterations one has, and which the index inside stands for."""
    step, number = Const(by, I64), Variable(fresh(f"{loop.variable.name}_block", taken))
    blocks = Map(OPS["floor_divide"], (Map(OPS["add"], (loop.extent, Const(by - 1, I64))), step))
    begin = Map(OPS["multiply"], (number, step))
    rest = Map(OPS["minimum"], (Map(OPS["subtract"], (loop.extent, begin)), step))
    return number, blocks, rest, Map(OPS["add"], (begin, loop.variable))

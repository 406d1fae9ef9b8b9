"""Reductions that run over the same indices one after the other, brought into one loop: what they read is read once."""

from collections.abc import Iterable

from einfall.base.node import Node, postorder, rewrite
from einfall.base.refusal import Refusal
from einfall.nest.nodes import Nest
from einfall.scalar.memory import Loop, Statement, Store, Workspace
from einfall.scalar.monoids import product

__all__ = ["fuse", "legal_fuse"]


def legal_fuse(first: Loop, second: Loop) -> Refusal | None:
    """Whether two loops, one after the other, may make their steps together."""
    for loop in (first, second):
        if loop.kind != "sequential" or not loop.carried or (loop.monoid is not None and not loop.monoid.commutative):
            return Refusal(f"loop {loop.variable.name} is not a reduction whose order is free")
        if any(isinstance(node, Store | Workspace) for node in postorder(*loop.body)):
            return Refusal(f"loop {loop.variable.name} stores what others may read")
    if (first.monoid is None) is not (second.monoid is None):
        return Refusal(f"loops {first.variable.name} and {second.variable.name} hand on their values in different ways")
    if first.extent is not second.extent:
        return Refusal(f"loops {first.variable.name} and {second.variable.name} have different lengths")
    values = {item.value for item in first.carried}
    if any(node in values for node in postorder(*second.body, *second.carried)):
        return Refusal(f"loop {second.variable.name} reads what loop {first.variable.name} gives")
    return None


def fuse(nest: Nest, most: int) -> Nest:
    """The nest in which reductions that may go together do, as long as a loop carries at most `most` values.

    for k in sequential(n, a=0.0):           for k in sequential(n, a=0.0, b=0.0):
        fold(sum, a=x[k])              ->        fold(sum_x2, a=x[k], b=x[k] * x[k])
    for k_2 in sequential(n, b=0.0):
        fold(sum, b=x[k_2] * x[k_2])
    """
    return Nest(nest.name, nest.inputs, nest.outputs, _block(nest.body, most, is_top=True))


def _block(statements: tuple[Statement, ...], most: int, is_top: bool = False) -> tuple[Statement, ...]:
    made: list[Statement] = []
    for statement in statements:
        if isinstance(statement, Loop):
            statement = Loop(statement.variable, statement.extent, statement.kind, statement.monoid,
                             statement.carried, _block(statement.body, most))
            place = _place(made, statement, most, is_top)
            if place is not None:
                made[place] = _together(made[place], statement, most)
                continue
        made.append(statement)
    return tuple(made)


def _place(before: list[Statement], loop: Loop, most: int, is_top: bool) -> int | None:
    """The last loop that a loop may go together with, past statements of which it reads nothing; at the top not past
    loops that become grids: values do not go from one to the next."""
    read = set(postorder(loop))
    for place, statement in reversed(tuple(enumerate(before))):
        if isinstance(statement, Loop) and legal_fuse(statement, loop) is None and (
                len(statement.carried) + len(loop.carried) <= most):
            return place
        if (is_top and isinstance(statement, Loop) and not statement.carried) or not read.isdisjoint(
                _made_by(statement)):
            return None
    return None


def _made_by(statement: Statement) -> Iterable[Node]:
    """What later statements may read of one: values, and memory."""
    for node in postorder(statement):
        match node:
            case Loop(carried=carried):
                yield from (item.value for item in carried)
            case Store(buffer) | Workspace(buffer):
                yield buffer


def _together(first: Loop, second: Loop, most: int) -> Loop:
    memo = {second.variable: first.variable}
    body = tuple(rewrite(statement, None, memo) for statement in second.body)
    carried = tuple(rewrite(item, None, memo) for item in second.carried)
    monoid = None if first.monoid is None else product((first.monoid, second.monoid))
    return Loop(first.variable, first.extent, first.kind, monoid, first.carried + carried,
                _block(first.body + body, most))

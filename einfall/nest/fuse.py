"""Reductions that run over the same indices one after the other, brought into one loop."""

from einfall.base.node import postorder, rewrite
from einfall.base.refusal import Refusal
from einfall.nest.nodes import Nest
from einfall.scalar.memory import Loop, Statement, Store, Workspace
from einfall.scalar.monoids import product

__all__ = ["fuse", "legal_fuse"]


def legal_fuse(first: Loop, second: Loop) -> Refusal | None:
    """Whether two loops, one after the other, may make their steps together."""
    for loop in (first, second):
        if loop.kind != "sequential" or loop.monoid is None or not loop.monoid.commutative:
            return Refusal(f"loop {loop.variable.name} is not a reduction whose order is free")
        if any(isinstance(node, Store | Workspace) for node in postorder(*loop.body)):
            return Refusal(f"loop {loop.variable.name} stores what others may read")
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
    return Nest(nest.name, nest.inputs, nest.outputs, _block(nest.body, most))


def _block(statements: tuple[Statement, ...], most: int) -> tuple[Statement, ...]:
    made: list[Statement] = []
    for statement in statements:
        if isinstance(statement, Loop):
            statement = Loop(statement.variable, statement.extent, statement.kind, statement.monoid,
                             statement.carried, _block(statement.body, most))
            before = made[-1] if made else None
            if isinstance(before, Loop) and legal_fuse(before, statement) is None and (
                    len(before.carried) + len(statement.carried) <= most):
                made[-1] = _together(before, statement)
                continue
        made.append(statement)
    return tuple(made)


def _together(first: Loop, second: Loop) -> Loop:
    memo = {second.variable: first.variable}
    body = tuple(rewrite(statement, None, memo) for statement in second.body)
    carried = tuple(rewrite(item, None, memo) for item in second.carried)
    return Loop(first.variable, first.extent, first.kind, product((first.monoid, second.monoid)),
                first.carried + carried, first.body + body)

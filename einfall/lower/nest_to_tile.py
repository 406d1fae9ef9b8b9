"""Nest to tile programs: each parallel loop at the top is a grid, what stands between them runs as one instance."""

from collections import Counter

from einfall.base.node import postorder
from einfall.nest.nodes import Nest
from einfall.scalar.memory import Buffer, Loop, Number, Statement, Store, Workspace, depends_on_sizes_only
from einfall.tile.check import check
from einfall.tile.nodes import Axis, Program

__all__ = ["nest_to_tile"]


def nest_to_tile(nest: Nest) -> tuple[Program, ...]:
    """The programs of a nest, in order; workspaces at the top are memory that they share.

    Those that fill an output have the name of the nest, others that with the workspace they fill.
    """
    shared = [statement.buffer for statement in nest.body if isinstance(statement, Workspace)]
    groups: list[list[Statement]] = [[]]
    for statement in nest.body:
        if isinstance(statement, Workspace):
            continue
        if _is_parallel(statement):
            groups += [*([item] for item in _apart(statement)), []]
        else:
            groups[-1].append(statement)
    programs, names = [], Counter()
    for group in filter(None, groups):
        filled = [node.buffer for node in postorder(*group) if isinstance(node, Store)]
        kept = [buffer for buffer in filled if buffer in shared]
        wanted = nest.name if any(buffer in nest.outputs for buffer in filled) else f"{nest.name}_{kept[0].name}"
        names[wanted] += 1
        name = wanted if names[wanted] == 1 else f"{wanted}_{names[wanted]}"
        programs.append(_program(name, nest, (*nest.outputs, *shared), tuple(group)))
        check(programs[-1])
    return tuple(programs)


def _apart(loop: Loop) -> tuple[Statement, ...]:
    """A parallel loop that holds nothing but parallel loops, as one for each of them: a larger grid for each."""
    inner = [part for item in loop.body for part in (_apart(item) if _is_parallel(item) else (item,))]
    if len(inner) < 2 or not all(map(_is_parallel, inner)):
        return (loop,)
    return tuple(Loop(loop.variable, loop.extent, loop.kind, None, (), (item,)) for item in inner)


def _is_parallel(statement: Statement) -> bool:
    return isinstance(statement, Loop) and statement.kind == "parallel"


def _program(name: str, nest: Nest, memory: tuple[Buffer, ...], body: tuple[Statement, ...]) -> Program:
    grid = []
    while len(body) == 1 and isinstance(body[0], Loop) and body[0].kind == "parallel" and depends_on_sizes_only(
            body[0].extent):
        grid.append(Axis(body[0].variable, body[0].extent))
        body = body[0].body
    used = {node.name for node in postorder(*body, *grid) if isinstance(node, Buffer | Number)}
    sizes = {node.input for node in postorder(*body, *grid, *memory) if hasattr(node, "input")}
    inputs = tuple(item for item in nest.inputs if item.name in used | sizes)
    return Program(name, inputs, tuple(item for item in memory if item.name in used), tuple(grid),
                   tuple(map(_in_order, body)))


def _in_order(statement: Statement) -> Statement:
    """The statement with its parallel loops one after the other: an instance does one thing at a time."""
    if not isinstance(statement, Loop):
        return statement
    kind = "sequential" if statement.kind == "parallel" else statement.kind
    return Loop(statement.variable, statement.extent, kind, statement.monoid, statement.carried,
                tuple(map(_in_order, statement.body)))

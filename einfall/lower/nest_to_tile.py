"""Nest to tile programs: each parallel loop at the top is a grid, what stands between them runs as one instance."""

from einfall.base.node import postorder
from einfall.nest.nodes import Nest
from einfall.scalar.memory import Buffer, Loop, Number, Statement, Workspace, depends_on_sizes_only
from einfall.tile.check import check
from einfall.tile.nodes import Axis, Program

__all__ = ["nest_to_tile"]


def nest_to_tile(nest: Nest) -> tuple[Program, ...]:
    """The programs of a nest, in order; workspaces at the top are memory that they share."""
    shared = [statement.buffer for statement in nest.body if isinstance(statement, Workspace)]
    groups: list[list[Statement]] = [[]]
    for statement in nest.body:
        if isinstance(statement, Workspace):
            continue
        if isinstance(statement, Loop) and statement.kind == "parallel":
            groups += [[statement], []]
        else:
            groups[-1].append(statement)
    programs = []
    for group in filter(None, groups):
        name = nest.name if len(programs) == 0 else f"{nest.name}_{len(programs) + 1}"
        programs.append(_program(name, nest, (*nest.outputs, *shared), tuple(group)))
        check(programs[-1])
    return tuple(programs)


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

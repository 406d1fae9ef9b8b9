"""Which loops run in lanes: on each way through a nest the one that costs least.

The measure is counted, not measured: operations and accesses of one pass over a loop of `TYPICAL` iterations at every
level. Lanes side by side in memory, or one element for all of them, are one access; other lanes are one access each.
"""

from collections.abc import Callable

from einfall.base.node import postorder
from einfall.cascade.explicit import COSTLY
from einfall.nest.nodes import Nest
from einfall.nest.schedule import (
    legal_split_outside,
    legal_unroll_and_jam,
    legal_vectorise,
    loops,
    split_outside,
    unroll_and_jam,
    vectorise,
)
from einfall.scalar.memory import Buffer, Load, Loop, Statement, Store, Variable
from einfall.scalar.nodes import Const, Expr, Map

__all__ = ["choose_register_tiles", "choose_vector_loops"]

TYPICAL = 64.0
SPECIAL = 16.0  # operations of a special function
SPECIALS = COSTLY | {"divide", "sqrt", "rsqrt", "floor_divide", "remainder"}
LANES = 16.0
ROWS = 6  # iterations that share the loads of a reduction: with four registers a row, 24 of 32 hold results
PANEL = 64  # lanes of a panel: four registers of f32
STARTING = 8.0  # operations to begin a vector loop, and to bring its lanes together


def choose_vector_loops(nest: Nest, is_unit: Callable[[str, int], bool]) -> Nest:
    """The nest with vector loops; `is_unit` says whether the elements of an input lie side by side along an axis."""
    chosen: list[str] = []
    buffers = {node.name: node for node in postorder(nest) if isinstance(node, Buffer)}
    own = {name for name, buffer in buffers.items() if buffer not in nest.inputs}
    is_input_unit = is_unit

    def is_unit(name: str, axis: int) -> bool:  # outputs and workspaces are row-major
        return axis == len(buffers[name].extents) - 1 if name in own else is_input_unit(name, axis)

    def best(statement: Statement) -> tuple[float, list[str]]:
        scalar = cost(statement, None, is_unit)
        if not isinstance(statement, Loop):
            return scalar, []
        inner = [best(item) for item in statement.body]
        own = cost_of_exprs([item.update for item in statement.carried], None, is_unit) + len(statement.carried)
        price = typical(statement) * (own + sum(one for one, _ in inner))
        options = [(price, [name for _, names in inner for name in names])]
        if legal_vectorise(statement) is None:
            options.append((STARTING + cost(statement, statement.variable, is_unit), [statement.variable.name]))
        return min(options, key=lambda option: option[0])

    for statement in nest.body:
        chosen += best(statement)[1]
    for name in chosen:
        nest = vectorise(nest, name)
    return nest


def choose_register_tiles(nest: Nest) -> Nest:
    """The nest in which iterations that read the same lanes go through their reduction together.

    A parallel loop is unrolled and jammed where a vector loop directly inside it loads lanes that do not depend on it:
    each such load then serves `ROWS` iterations. If the vector loop is all there is inside, panels of its lanes come
    outermost, so that what the rows share stays in the cache from one group of rows to the next.
    """
    for name, loop in loops(nest).items():
        if _rows_share_lanes(loop) and legal_split_outside(loop) is None:
            nest = split_outside(nest, name, PANEL)
    for name, loop in loops(nest).items():
        if _rows_share_lanes(loop) and legal_unroll_and_jam(loop) is None:
            nest = unroll_and_jam(nest, name, ROWS)
    return nest


def _rows_share_lanes(loop: Loop) -> bool:
    """Whether a vector loop directly inside reduces over lanes that do not depend on this loop."""
    inner = loop.body[0] if loop.body and isinstance(loop.body[0], Loop) else None
    return inner is not None and inner.kind == "vector" and _reduces(inner) and any(
        isinstance(node, Load) and inner.variable in node.free and loop.variable not in node.free
        for node in postorder(*inner.body, *inner.carried))


def typical(loop: Loop) -> float:
    """How many iterations a loop is taken to have."""
    return float(loop.extent.value) if isinstance(loop.extent, Const) else TYPICAL


def _reduces(loop: Loop) -> bool:
    """Whether a loop brings elements together, itself or in a loop inside."""
    return any(isinstance(node, Loop) and node.carried for node in postorder(loop))


def cost(statement: Statement, lane: Variable | None, is_unit: Callable[[str, int], bool]) -> float:
    """Operations and accesses of a statement; in lanes where `lane` is the index of an open vector loop."""
    match statement:
        case Store(_, indices, value):
            price = cost_of_exprs([value], lane, is_unit)
            return price + access_cost(statement.buffer.name, indices, lane, is_unit)
        case Loop():
            body = sum(cost(item, lane, is_unit) for item in statement.body)
            body += cost_of_exprs([item.update for item in statement.carried], lane, is_unit) + len(statement.carried)
            return body * (max(typical(statement) / LANES, 1.0) if statement.variable is lane else typical(statement))
    return 0.0


def cost_of_exprs(exprs: list[Expr], lane: Variable | None, is_unit: Callable[[str, int], bool]) -> float:
    price = 0.0
    for node in postorder(*exprs):
        if isinstance(node, Map):
            price += SPECIAL if node.op.name in SPECIALS else 1.0
        elif isinstance(node, Load):
            price += access_cost(node.buffer.name, node.indices, lane, is_unit)
    return price


def access_cost(name: str, indices: tuple[Expr, ...], lane: Variable | None, is_unit: Callable[[str, int], bool]
                ) -> float:
    """One, or as many as there are lanes where they are not side by side."""
    if lane is None or all(lane not in index.free for index in indices):
        return 1.0
    moving = [axis for axis, index in enumerate(indices) if lane in index.free]
    side_by_side = len(moving) == 1 and is_unit(name, moving[0]) and _steps_by_one(indices[moving[0]], lane)
    return 1.0 if side_by_side else LANES


def _steps_by_one(index: Expr, lane: Variable) -> bool:
    if index is lane:
        return True
    match index:
        case Map(op, (left, right)) if op.name in ("add", "subtract"):
            if lane in left.free and lane not in right.free:
                return _steps_by_one(left, lane)
            return op.name == "add" and lane not in left.free and _steps_by_one(right, lane)
    return False

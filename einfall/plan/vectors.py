"""Which loops run in lanes: on each way through a nest the one that costs least.

The measure is counted, not measured: operations and accesses of one pass over a loop of `TYPICAL` iterations at every
level. Lanes side by side in memory, or one element for all of them, are one access; other lanes are one access each.
Then what follows from it: strips, panels, copies, and which rows share registers (decision 8).
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from einfall.base.node import postorder
from einfall.cascade.explicit import COSTLY
from einfall.nest.interchange import interchange, legal_interchange
from einfall.nest.nodes import Nest
from einfall.nest.schedule import (
    around,
    legal_split_outside,
    legal_strip,
    legal_unroll_and_jam,
    legal_vectorise,
    loops,
    loops_in,
    of_varying_length,
    split_outside,
    strip,
    unroll_and_jam,
    vectorise,
)
from einfall.nest.stage import bounds, legal_stage, most, stage
from einfall.scalar.dtypes import I64
from einfall.scalar.memory import Load, Loop, Statement, Store, Variable, Workspace
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS

__all__ = ["Copy", "are_worthwhile", "choose_copies", "choose_panels", "choose_register_tiles", "choose_vector_loops"]

TYPICAL = 64.0
SPECIAL = 16.0  # operations of a special function
SPECIALS = COSTLY | {"divide", "sqrt", "rsqrt", "floor_divide", "remainder"}
LANES = 16.0
ROWS = 6  # iterations that share the loads of a reduction: with four registers a row, 24 of 32 hold results
PANEL = 64  # lanes of a panel: four registers of f32
HELD_BY_A_LANE = 1024  # elements of workspaces: with a panel of lanes they still lie in the cache of a core
FEW = 4.0  # instances around a loop in lanes; it is cut into more where there are no more than these
ROW = 16384  # results that lie in the cache of a core; memory is read in its order where rows are read whole
STRIP = 4096  # lanes one after the other that are an instance where nothing else is one
OUTERMOST = 1.25  # lanes of the outermost of several loops lie far apart, and leave few instances for threads
STARTING = 8.0  # operations to begin a vector loop, and to bring its lanes together
LEAST_GATHERED = 12  # how often an element that lanes would gather has to be read for a copy of it to pay
LEAST_IN_PANELS = 256  # the same where it lies side by side for the lanes already
COPYING = 2.0  # operations to copy an element

Access = Load | Store
Price = Callable[[Access], float]  # one, or one a lane
IsUnit = Callable[[str, int], bool]


class Copy(NamedTuple):
    """An input that is staged, how often each of its elements is read, and from how many times on that pays."""

    buffer: str
    reuse: Expr
    least: int


def choose_vector_loops(nest: Nest, is_unit: IsUnit, is_staged: bool = True) -> Nest:
    """The nest with vector loops; `is_unit` says whether the elements of an input lie side by side along an axis.

    is_staged: whether `choose_copies` comes later, so that what many iterations read lies side by side for the lanes.
    """
    is_dense = _density(nest, is_unit)

    def best(statement: Statement, outer: tuple[Loop, ...]) -> tuple[float, list[str]]:
        if not isinstance(statement, Loop):
            return cost(statement, lambda access: 1.0, None), []
        inner = [best(item, (*outer, statement)) for item in statement.body]
        own = cost_of_exprs([item.update for item in statement.carried], lambda access: 1.0)
        price = typical(statement) * (own + len(statement.carried) + sum(one for one, _ in inner))
        options = [(price, [name for _, names in inner for name in names])]
        if legal_vectorise(statement) is None or _may_be_stripped(statement):
            lane = statement.variable
            copied = _gathered_again(nest, statement, outer, is_dense) if is_staged else {}
            price = STARTING + sum(copied.values()) + cost(
                statement, lambda access: 1.0 if access in copied or is_dense(access, lane) else LANES, lane)
            if not outer and any(isinstance(item, Loop) and item.kind == "parallel" for item in statement.body):
                price *= OUTERMOST
            options.append((price, [lane.name]))
        return min(options, key=lambda option: option[0])

    for name in [name for statement in nest.body for name in best(statement, ())[1]]:
        loop = loops(nest)[name]
        if _streams(loop, nest):
            nest = interchange(vectorise(strip(nest, name, ROW), name), name)
            continue
        if legal_vectorise(loop) is not None:
            nest = strip(nest, name, PANEL)
        elif loop.kind == "parallel" and _instances_around(nest, loop) <= FEW:  # strips are instances for threads
            by = PANEL if any(isinstance(item, Loop) for item in loop.body) else STRIP
            nest = strip(nest, name, by) if typical(loop) >= by or typical(loop) == TYPICAL else nest
        nest = vectorise(nest, name)
    return nest


def _streams(loop: Loop, nest: Nest) -> bool:
    """Whether reductions for each lane go through memory of which they read a little in each row, once.

    For a whole row at once the results do not fit into registers; but memory is read in its order. Rows that are looked
    up have none: one after the other they lie anywhere, and the results stay in registers.
    """
    if legal_interchange(loop) is not None or typical(loop) < TYPICAL:
        return False
    outer = around(nest)[loop.variable.name]
    for reduction in (item for item in loop.body if isinstance(item, Loop)):
        loads = [node for node in postorder(*reduction.carried)
                 if isinstance(node, Load) and loop.variable in node.free]
        needed = {reduction.variable, *(other.variable for other in outer)}
        if not loads or typical(reduction) < TYPICAL or not all(needed <= load.free for load in loads):
            return False
        if any(isinstance(node, Load) for load in loads for node in postorder(*load.indices)):
            return False
    return True


def _instances_around(nest: Nest, loop: Loop) -> float:
    """How many instances the loops around a loop make, at least; infinite where they hold more than it."""
    outer = around(nest)[loop.variable.name]
    if any(other.kind != "parallel" or len(other.body) > 1 for other in outer):
        return math.inf
    return math.prod(typical(other) for other in outer)


def _may_be_stripped(loop: Loop) -> bool:
    """Whether lanes may have workspaces of their own, and these are known to be small."""
    held = [node.buffer for node in postorder(*loop.body) if isinstance(node, Workspace)]
    sizes = [math.prod(extent.value if isinstance(extent, Const) else math.inf for extent in buffer.extents)
             for buffer in held]
    return legal_strip(loop) is None and sum(sizes) <= HELD_BY_A_LANE


def choose_panels(nest: Nest) -> tuple[Nest, tuple[str, ...]]:
    """The nest in which panels of lanes come outermost, and the loops over the lanes of a panel.

    Where a reduction in lanes is all there is inside a loop, and reads the same lanes in all of its iterations, what
    these share then stays in the cache from one group of them to the next.
    """
    panels = []
    for name, loop in loops(nest).items():
        inner = loop.body[0] if loop.body else None
        if isinstance(inner, Loop) and _share_lanes(loop, inner) and legal_split_outside(loop) is None:
            nest = split_outside(nest, name, PANEL)
            panels.append(inner.variable.name)
    return nest, tuple(panels)


def choose_copies(nest: Nest, is_unit: IsUnit, panels: tuple[str, ...]) -> tuple[Nest, tuple[Copy, ...]]:
    """The nest in which inputs are staged that lanes would gather again and again, and those that panels read.

    The copies are told, for whoever knows the sizes to say whether they pay.
    """
    copies, outer, is_dense = [], around(nest), _density(nest, is_unit)
    for name, loop in loops(nest).items():
        if loop.kind != "vector":
            continue
        gathered = _gathered_again(nest, loop, outer[name], is_dense)
        shared = [load for load in postorder(loop) if isinstance(load, Load) and loop.variable in load.free
                  and name in panels and legal_stage(nest, load, name) is None]
        for load in dict.fromkeys((*gathered, *shared)):
            least = LEAST_GATHERED if load in gathered else LEAST_IN_PANELS
            copies.append(Copy(load.buffer.name, _reuse(nest, load, name), least))
            nest = stage(nest, load, name)
    return nest, tuple(copies)


def _density(nest: Nest, is_unit: IsUnit) -> Callable[[Access, Variable], bool]:
    """Whether the elements of lanes lie side by side, or are one element: a function of the access and the lane."""
    inputs = {item.name for item in nest.inputs}

    def is_dense(access: Access, lane: Variable) -> bool:
        name, indices = access.buffer.name, access.indices
        moving = [axis for axis, index in enumerate(indices) if lane in index.free]
        if len(moving) != 1 or not _steps_by_one(indices[moving[0]], lane):
            return not moving
        # outputs and workspaces are row-major
        return moving[0] == len(indices) - 1 if name not in inputs else is_unit(name, moving[0])

    return is_dense


def _gathered_again(nest: Nest, statement: Loop, outer: tuple[Loop, ...],
                    is_dense: Callable[[Access, Variable], bool]) -> dict[Load, float]:
    """What lanes of a loop would gather and iterations around it read again, with the price of copying it once."""
    found = {}
    for load in postorder(statement):
        if isinstance(load, Load) and statement.variable in load.free and not is_dense(load, statement.variable):
            reuse = math.prod(typical(loop) for loop in outer if loop.variable not in load.free)
            if reuse >= LEAST_GATHERED and legal_stage(nest, load, statement.variable.name) is None:
                inside = loops_in((statement,))
                read = math.prod(typical(loop) for loop in inside if loop.variable in load.free)
                found[load] = COPYING * read / reuse
    return found


def _reuse(nest: Nest, load: Load, name: str) -> Expr:
    """How often each element of a load in loop `name` is read, in terms of sizes."""
    found: Expr = Const(1, I64)
    for loop in around(nest)[name]:
        length = most(loop.extent, frozenset())
        if loop.variable not in load.free and length is not None:
            found = Map(OPS["multiply"], (found, length))
    return found


def are_worthwhile(copies: Iterable[Copy], size: Callable[[Expr], int]) -> bool:
    """Whether all elements that would be copied are read often enough; `size` gives the value of an extent."""
    return all(size(copy.reuse) >= copy.least for copy in copies)


def choose_register_tiles(nest: Nest) -> Nest:
    """The nest in which iterations that read the same lanes go through their reductions together.

    A parallel loop is unrolled and jammed where a vector loop inside it reduces over lanes that do not depend on it:
    each load of such lanes then serves `ROWS` iterations.
    """
    jammed: set[str] = set()
    # each lane has a loop of work, or is one element of it; inner loops first: the innermost that share lanes is jammed
    for has_loop in (True, False):
        for name, loop in loops(nest).items():
            inside = loops_in(loop.body)
            sharing = [inner for inner in inside if _share_lanes(loop, inner) and has_loop is not bool(inner.carried)]
            varying = of_varying_length(loop)  # rows with ends of their own pay where each lane has a loop of work
            if not sharing or (varying and not has_loop) or typical(loop) < ROWS:
                continue
            if legal_unroll_and_jam(loop) is not None:
                continue
            outer = (other.variable.name for other in around(nest)[name])
            if jammed.isdisjoint({name, *outer, *(inner.variable.name for inner in inside)}):
                apart = frozenset(inner.variable.name for inner in varying if not _shared(loop, inner))
                nest = unroll_and_jam(nest, name, ROWS, apart)
                jammed.add(name)
    return nest


def _share_lanes(loop: Loop, inner: Loop) -> bool:
    """Whether a loop inside another reduces in lanes that read the same in all iterations of the outer one.

    Nothing but results may be stored on the way: registers hold no more than these.
    """
    below = [loop for loop in inner.body if isinstance(loop, Loop)]
    return inner.kind == "vector" and not any(isinstance(node, Store) for node in postorder(*below)) and (
        _reduces(inner) and any(inner.variable in load.free for load in _shared(loop, inner)))


def _shared(loop: Loop, inner: Loop) -> list[Load]:
    """What a loop inside another reads, step by step the same in all iterations of the outer one."""
    own = {node.buffer for node in postorder(*loop.body) if isinstance(node, Workspace)}
    changing = {loop.variable, *(item.value for node in loops_in(loop.body) for item in node.carried)}
    steps = {node.variable for node in loops_in((inner,))}
    return [node for node in postorder(inner) if isinstance(node, Load) and node.buffer not in own
            and changing.isdisjoint(node.free) and not steps.isdisjoint(node.free)]


def typical(loop: Loop) -> float:
    """How many iterations a loop is taken to have."""
    return min([float(node.value) for node in bounds(loop.extent)], default=TYPICAL)


def _reduces(loop: Loop) -> bool:
    """Whether a loop brings elements together, itself or in a loop inside."""
    return any(node.carried for node in loops_in((loop,)))


def cost(statement: Statement, price: Price, lane: Variable | None) -> float:
    """Operations and accesses of a statement; in lanes where `lane` is the index of an open vector loop."""
    match statement:
        case Store():
            return cost_of_exprs([statement.value], price) + price(statement)
        case Loop():
            body = sum(cost(item, price, lane) for item in statement.body)
            body += cost_of_exprs([item.update for item in statement.carried], price) + len(statement.carried)
            return body * (max(typical(statement) / LANES, 1.0) if statement.variable is lane else typical(statement))
    return 0.0


def cost_of_exprs(exprs: list[Expr], price: Price) -> float:
    total = 0.0
    for node in postorder(*exprs):
        if isinstance(node, Map):
            total += SPECIAL if node.op.name in SPECIALS else 1.0
        elif isinstance(node, Load):
            total += price(node)
    return total


def _steps_by_one(index: Expr, lane: Variable) -> bool:
    if index is lane:
        return True
    match index:
        case Map(op, (left, right)) if op.name in ("add", "subtract"):
            if lane in left.free and lane not in right.free:
                return _steps_by_one(left, lane)
            return op.name == "add" and lane not in left.free and _steps_by_one(right, lane)
    return False

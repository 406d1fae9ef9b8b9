"""Schedule primitives: nest to nest, the same values in another order. Each has a twin that says whether it may."""

from collections.abc import Callable

from einfall.base.node import Node, field_values, postorder, rewrite
from einfall.base.refusal import Refusal
from einfall.nest.nodes import Nest
from einfall.scalar.dtypes import I64
from einfall.scalar.memory import Buffer, Carried, Load, Loop, Size, Statement, Store, Value, Variable, Workspace
from einfall.scalar.monoids import product
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS
from einfall.scalar.run import INTEGERS

__all__ = ["around", "fresh", "legal_split_outside", "legal_strip", "legal_unroll_and_jam", "legal_vectorise",
           "loops", "loops_in", "of_varying_length", "replaced", "specialise", "split_outside", "strip",
           "unroll_and_jam", "vectorise", "with_nodes"]


def specialise(nest: Nest, small: frozenset[tuple[str, int, int]]) -> Nest:
    """The nest for inputs whose axes have these extents: (input, axis, extent). Indices are computed."""
    known = {Size(name, axis): Const(extent, I64) for name, axis, extent in small}
    memo: dict[Node, Node] = {item: item for item in nest.inputs}  # an input keeps its own sizes
    return rewrite(nest, lambda node: known.get(node) or _computed(node), memo)


def _computed(node: Node) -> Node | None:
    """An index that is simpler and the same."""
    match node:
        case Map(op, (Const() as left, Const() as right)) if node.dtype is I64 and op.name in INTEGERS:
            value = INTEGERS[op.name](left.value, right.value)
            return Const(value, I64) if I64.lowest <= value <= I64.highest else None
        case Map(op, (other, Const(0, dtype))) if dtype is I64 and op.name in ("add", "subtract"):
            return other
        case Map(op, (Const(0, dtype), other)) if dtype is I64 and op.name == "add":
            return other
        case Map(op, (Map(inner, (left, right)), other)) if node.dtype is I64 and (op.name, inner.name) == (
                "subtract", "add") and (left is other or right is other):
            return right if left is other else left
    return None


def loops(nest: Nest) -> dict[str, Loop]:
    """The loops of a nest by the names of their indices, inner ones first."""
    return {loop.variable.name: loop for loop in loops_in(nest.body)}


def loops_in(statements: tuple[Statement, ...]) -> list[Loop]:
    """The loops among statements and inside them, inner ones first."""
    found: list[Loop] = []
    for statement in statements:
        if isinstance(statement, Loop):
            found += loops_in(statement.body)
            found.append(statement)
    return found


def around(nest: Nest) -> dict[str, tuple[Loop, ...]]:
    """For each loop, by the name of its index, the loops around it, outermost first."""
    found: dict[str, tuple[Loop, ...]] = {}

    def block(statements: tuple[Statement, ...], outer: tuple[Loop, ...]) -> None:
        for statement in statements:
            if isinstance(statement, Loop):
                found[statement.variable.name] = outer
                block(statement.body, (*outer, statement))

    block(nest.body, ())
    return found


def legal_vectorise(loop: Loop) -> Refusal | None:
    """Whether several iterations of a loop may run at once as lanes."""
    for node in postorder(*loop.body):
        if isinstance(node, Workspace) and loop.kind == "parallel":
            return Refusal(f"loop {loop.variable.name} has a workspace, {node.buffer.name}, of its own")
    return _legal_lanes(loop)


def legal_strip(loop: Loop) -> Refusal | None:
    """Whether a loop may be cut into strips whose workspaces have an axis for its iterations, to run as lanes."""
    if loop.kind != "parallel":
        return Refusal(f"the iterations of loop {loop.variable.name} are not independent")
    return _legal_lanes(loop)


def _legal_lanes(loop: Loop) -> Refusal | None:
    """Whether iterations may run at once if each has workspaces of its own."""
    if loop.kind == "vector":
        return Refusal(f"loop {loop.variable.name} is a vector loop already")
    inner = list(postorder(*loop.body))
    if any(isinstance(node, Loop) and node.kind == "vector" for node in inner):
        return Refusal(f"loop {loop.variable.name} holds a vector loop")
    if loop.kind == "sequential":
        if of_varying_length(loop):
            return _of_other_lengths(loop)
        if loop.monoid is None:
            return Refusal(f"a step of loop {loop.variable.name} needs the one before it")
        if not loop.monoid.commutative:
            return Refusal(f"the elements of loop {loop.variable.name} come together in order: {loop.monoid.name}")
        if any(isinstance(node, Store | Workspace) for node in inner):
            return Refusal(f"loop {loop.variable.name} stores what its next step overwrites")
        return None
    own = {node.buffer for node in inner if isinstance(node, Workspace)}
    for node in inner:
        if isinstance(node, Store) and node.buffer not in own and all(
                loop.variable not in index.free for index in node.indices):
            return Refusal(f"the lanes of loop {loop.variable.name} would write one element of {node.buffer.name}")
    return None


def vectorise(nest: Nest, name: str) -> Nest:
    """The nest with a loop whose iterations run several at once; a target decides how many.

    for j in parallel(n):        for j in vector(n):
        out[j] = x[j]      ->        out[j] = x[j]

    Raises: ValueError with the reason of `legal_vectorise`.
    """
    chosen = loops(nest)[name]
    refusal = legal_vectorise(chosen)
    if refusal is not None:
        raise ValueError(refusal.reason)

    return replaced(nest, chosen, lambda loop: (Loop(loop.variable, loop.extent, "vector", loop.monoid, loop.carried,
                                                     loop.body),))


def strip(nest: Nest, name: str, by: int) -> Nest:
    """The nest with a loop in strips of `by` iterations, whose workspaces have one more axis for them.

    for i in parallel(n):                for i_strip in parallel((n + 63) // 64):
        w = workspace(f32, m)                w = workspace(f32, m, 64)
        for j in parallel(m):      ->        for i in parallel(minimum(n - i_strip * 64, 64)):
            w[j] = x[i, j]                       for j in parallel(m):
                                                     w[j, i] = x[i_strip * 64 + i, j]

    Raises: ValueError with the reason of `legal_strip`.
    """
    chosen = loops(nest)[name]
    refusal = legal_strip(chosen)
    if refusal is not None:
        raise ValueError(refusal.reason)
    taken = {node.name for node in postorder(nest) if hasattr(node, "name")}
    step, number = Const(by, I64), Variable(fresh(f"{name}_strip", taken))
    begin = Map(OPS["multiply"], (number, step))
    place = Map(OPS["add"], (begin, chosen.variable))
    wider = {node.buffer: Buffer(node.buffer.name, node.buffer.type, (*node.buffer.extents, step))
             for node in postorder(*chosen.body) if isinstance(node, Workspace)}

    def rule(node: Node) -> Node | None:
        if isinstance(node, Load) and node.buffer in wider:
            return Load(wider[node.buffer], (*node.indices, chosen.variable), node.outside)
        if isinstance(node, Store) and node.buffer in wider:
            return Store(wider[node.buffer], (*node.indices, chosen.variable), node.value)
        return None

    memo: dict[Node, Node] = {chosen.variable: place}
    body = _without_workspaces(tuple(rewrite(item, rule, memo) for item in chosen.body))
    rest = Map(OPS["minimum"], (Map(OPS["subtract"], (chosen.extent, begin)), step))
    whole = Map(OPS["floor_divide"], (Map(OPS["add"], (chosen.extent, Const(by - 1, I64))), step))
    return replaced(nest, chosen, lambda loop: (Loop(number, whole, "parallel", None, (), (
        *map(Workspace, wider.values()), Loop(loop.variable, rest, "parallel", None, (), body))),))


def _without_workspaces(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    return tuple(
        Loop(item.variable, item.extent, item.kind, item.monoid, item.carried, _without_workspaces(item.body))
        if isinstance(item, Loop) else item for item in statements if not isinstance(item, Workspace))


def replaced(nest: Nest, chosen: Loop, change: Callable[[Loop], tuple[Statement, ...]]) -> Nest:
    """The nest with one loop replaced by other statements."""

    def block(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        made: list[Statement] = []
        for statement in statements:
            if statement is chosen:
                made += change(statement)
            elif isinstance(statement, Loop):
                made.append(Loop(statement.variable, statement.extent, statement.kind, statement.monoid,
                                 statement.carried, block(statement.body)))
            else:
                made.append(statement)
        return tuple(made)

    return Nest(nest.name, nest.inputs, nest.outputs, block(nest.body))


def legal_split_outside(loop: Loop) -> Refusal | None:
    """Whether the loop directly inside may be cut into panels that are gone through outside this one."""
    if loop.kind != "parallel":
        return Refusal(f"the iterations of loop {loop.variable.name} are not independent")
    inner = loop.body[0] if len(loop.body) == 1 else None
    if not isinstance(inner, Loop) or inner.kind == "sequential" or inner.carried:
        return Refusal(f"loop {loop.variable.name} does not hold one loop of independent iterations")
    return _of_other_lengths(loop) if of_varying_length(loop) else None


def split_outside(nest: Nest, name: str, by: int) -> Nest:
    """The nest in which the inner of two loops runs in panels of `by` indices, and the panels are outermost.

    for i in parallel(n):                for j_panel in parallel(m // 64):
        for j in vector(m):                  for i in parallel(n):
            out[i, j] = x[j]       ->            for j in vector(64):
                                                     out[i, j_panel * 64 + j] = x[j_panel * 64 + j]
                                         for i_rest in parallel(n):
                                             for j_rest in vector(m - m // 64 * 64):
                                                 ...

    Raises: ValueError with the reason of `legal_split_outside`.
    """
    outer = loops(nest)[name]
    refusal = legal_split_outside(outer)
    if refusal is not None:
        raise ValueError(refusal.reason)
    inner, step = outer.body[0], Const(by, I64)
    taken = {node.name for node in postorder(nest) if hasattr(node, "name")}
    panels = Map(OPS["floor_divide"], (inner.extent, step))
    begin = Map(OPS["multiply"], (panels, step))
    panel = Variable(fresh(f"{inner.variable.name}_panel", taken))
    place = Map(OPS["add"], (Map(OPS["multiply"], (panel, step)), inner.variable))
    body = tuple(with_nodes(item, {inner.variable: place}) for item in inner.body)
    whole = Loop(panel, panels, "parallel", None, (), (
        Loop(outer.variable, outer.extent, outer.kind, None, (), (
            Loop(inner.variable, step, inner.kind, None, (), body),)),))
    row = Variable(fresh(f"{name}_rest", taken))
    left = Variable(fresh(f"{inner.variable.name}_rest", taken))
    tail = _copied(inner, Map(OPS["add"], (begin, left)), "_rest", taken, is_apart=True)
    tail = tuple(with_nodes(item, {outer.variable: row}) for item in tail)
    rest = Map(OPS["subtract"], (inner.extent, begin))
    return replaced(nest, outer, lambda loop: (
        whole, Loop(row, outer.extent, outer.kind, None, (), (Loop(left, rest, inner.kind, None, (), tail),))))


def legal_unroll_and_jam(loop: Loop) -> Refusal | None:
    """Whether several iterations of a loop may run through its inner loops together."""
    if loop.kind != "parallel":
        return Refusal(f"the iterations of loop {loop.variable.name} are not independent")
    varying = of_varying_length(loop)
    for inner in varying:
        if any(other in loops_in(inner.body) for other in varying):
            return Refusal(f"loops inside have other lengths in each iteration of loop {loop.variable.name}, one in "
                           "another")
    return None


def of_varying_length(loop: Loop) -> list[Loop]:
    """The loops inside that are of another length in each iteration, by the index or by a value computed inside."""
    inner = loops_in(loop.body)
    own = {loop.variable, *(item.value for one in inner for item in one.carried)}
    return [one for one in inner if not own.isdisjoint(one.extent.free)]


def _of_other_lengths(loop: Loop) -> Refusal:
    return Refusal(f"a loop inside has another length in each iteration of loop {loop.variable.name}")


def unroll_and_jam(nest: Nest, name: str, by: int, apart: frozenset[str] = frozenset()) -> Nest:
    """The nest in which `by` iterations of a loop go through its inner loops together, and the rest one by one.

    Each iteration has workspaces of its own; inner loops named in `apart` run one after the other. Loops of different
    lengths go together as far as the shortest.

    for i in parallel(n):                    for i in parallel(n // 2):
        for k in sequential(m, a=0.0):           for k in sequential(m, a_0=0.0, a_1=0.0):
            fold(sum, a=x[i, k])       ->            fold(sum_x2, a_0=x[2 * i, k], a_1=x[2 * i + 1, k])
        out[i] = a                               out[2 * i] = a_0
                                                 out[2 * i + 1] = a_1

    Raises: ValueError with the reason of `legal_unroll_and_jam`.
    """
    chosen = loops(nest)[name]
    refusal = legal_unroll_and_jam(chosen)
    if refusal is not None:
        raise ValueError(refusal.reason)
    step = Const(by, I64)
    groups = Map(OPS["floor_divide"], (chosen.extent, step))
    begin = Map(OPS["multiply"], (groups, step))
    rest = Map(OPS["subtract"], (chosen.extent, begin))
    first = Map(OPS["multiply"], (chosen.variable, step))
    places = [first, *(Map(OPS["add"], (first, Const(place, I64))) for place in range(1, by))]
    taken = {node.name for node in postorder(nest) if hasattr(node, "name")}
    copies = [_copied(chosen, place, f"_{number}", taken, is_apart=False) for number, place in enumerate(places)]
    left = Variable(fresh(f"{name}_rest", taken))
    tail = _copied(chosen, Map(OPS["add"], (begin, left)), "_rest", taken, is_apart=True)
    return replaced(nest, chosen, lambda loop: (
        Loop(loop.variable, groups, "parallel", None, (), _jammed(copies, apart, taken)),
        Loop(left, rest, "parallel", None, (), tail)))


def fresh(name: str, taken: set[str]) -> str:
    """A name that is not taken yet; now it is."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _copied(loop: Loop, index: Expr, suffix: str, taken: set[str], *, is_apart: bool) -> tuple[Statement, ...]:
    """The body at an index, with carried values and workspaces of its own; `is_apart`: with loops of its own too."""
    names = _renamed(loop.body, suffix, taken, Value, Buffer, *((Variable,) if is_apart else ()))
    memo: dict[Node, Node] = {loop.variable: index, **names}
    return tuple(rewrite(statement, None, memo) for statement in loop.body)


def _renamed(body: tuple[Statement, ...], suffix: str, taken: set[str], *kinds: type) -> dict[Node, Node]:
    """Other names for what statements bring into being: loop indices, carried values, workspaces."""
    names: dict[Node, Node] = {}
    for node in postorder(*body):
        made = [node.variable, *(item.value for item in node.carried)] if isinstance(node, Loop) else [
            node.buffer] if isinstance(node, Workspace) else []
        for old in made:
            if isinstance(old, kinds):
                _, *others = field_values(old)
                names[old] = type(old)(fresh(old.name + suffix, taken), *others)
    return names


def _jammed(copies: list[tuple[Statement, ...]], apart: frozenset[str], taken: set[str]) -> tuple[Statement, ...]:
    """The statements of the copies side by side: loops run once for all, or apart; others follow each other."""
    made: list[Statement] = []
    for alike in zip(*copies):
        first = alike[0]
        if not isinstance(first, Loop):
            made += alike
        elif first.variable.name in apart:
            made.append(first)
            for place, loop in enumerate(alike[1:], 1):
                made.append(with_nodes(loop, _renamed((loop,), f"_{place}", taken, Variable)))
        elif all(loop.extent is first.extent for loop in alike):
            made.append(_at_once(list(alike), first.extent, apart, taken))
        else:
            shortest = alike[0].extent
            for loop in alike[1:]:
                shortest = Map(OPS["minimum"], (shortest, loop.extent))
            before = [with_nodes(loop, _renamed((loop,), "_first", taken, Value)) for loop in alike]
            made.append(_at_once(before, shortest, apart, taken))
            made += [_continued(loop, begun, shortest, f"_{place}_last", taken)
                     for place, (loop, begun) in enumerate(zip(alike, before))]
    return tuple(made)


def _at_once(loops_: list[Loop], extent: Expr, apart: frozenset[str], taken: set[str]) -> Loop:
    """One loop for several over the same index."""
    first = loops_[0]
    monoid = None if first.monoid is None else product(tuple(item.monoid for item in loops_))
    carried = tuple(item for loop in loops_ for item in loop.carried)
    return Loop(first.variable, extent, first.kind, monoid, carried,
                _jammed([item.body for item in loops_], apart, taken))


def _continued(loop: Loop, begun: Loop, begin: Expr, suffix: str, taken: set[str]) -> Loop:
    """The rest of a loop, from the values that it has where it begins."""
    inner = with_nodes(loop, _renamed(loop.body, suffix, taken, Value, Buffer, Variable))
    variable = Variable(fresh(loop.variable.name + suffix, taken))
    place: dict[Node, Node] = {inner.variable: Map(OPS["add"], (begin, variable))}
    carried = tuple(Carried(item.value, before.value, with_nodes(item.update, place))
                    for item, before in zip(inner.carried, begun.carried))
    rest = Map(OPS["subtract"], (inner.extent, begin))
    return Loop(variable, rest, inner.kind, inner.monoid, carried,
                tuple(with_nodes(statement, place) for statement in inner.body))


def with_nodes(node: Node, names: dict[Node, Node]) -> Node:
    """The node with other nodes in place of these."""
    return rewrite(node, None, dict(names))

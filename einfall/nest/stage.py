"""Staging: a copy of what loops read, in the order in which they read it."""

from einfall.base.node import Node, postorder, rewrite
from einfall.base.refusal import Refusal
from einfall.nest.nodes import Nest
from einfall.nest.schedule import around, fresh, loops_in, with_nodes
from einfall.scalar.memory import Buffer, Load, Loop, Statement, Store, Variable, Workspace, is_never_negative
from einfall.scalar.nodes import Const, Expr, Map, const

__all__ = ["bounds", "legal_stage", "most", "stage"]


def legal_stage(nest: Nest, load: Load, name: str) -> Refusal | None:
    """Whether what a load reads may be copied before everything else, the elements of loop `name` side by side."""
    buffer = load.buffer.name
    if load.buffer not in nest.inputs:
        return Refusal(f"{buffer} is not an input")
    if any(isinstance(node, Load) for index in load.indices for node in postorder(index)):
        return Refusal(f"where {buffer} is read depends on what is read elsewhere")
    moving = _moving(nest, load)
    if load.free != {loop.variable for loop in moving}:
        return Refusal(f"where {buffer} is read depends on carried values")
    if all(loop.variable.name != name for loop in moving):
        return Refusal(f"all steps of loop {name} read the same element of {buffer}")
    for loop in moving:
        if most(loop.extent, frozenset()) is None:
            return Refusal(f"the length of loop {loop.variable.name} has no bound by sizes")
    if not all(_tells_apart(index, {loop.variable: loop.extent for loop in moving}) for index in load.indices):
        return Refusal(f"steps that differ may read one element of {buffer}, which a copy would hold several times")
    return None


def stage(nest: Nest, load: Load, name: str) -> Nest:
    """The nest that reads a copy: an axis a loop, in the order of the loops, that of loop `name` last.

                                           x_staged = workspace(f32, p, m)
                                           for k_staged in parallel(p):
                                               for j_staged in vector(m):
    for i in parallel(n):                          x_staged[k_staged, j_staged] = x[j_staged, k_staged]
        for j in vector(m):                for i in parallel(n):
            for k in sequential(p):   ->       for j in vector(m):
                ... x[j, k] ...                    for k in sequential(p):
                                                       ... x_staged[k, j] ...

    Raises: ValueError with the reason of `legal_stage`.
    """
    refusal = legal_stage(nest, load, name)
    if refusal is not None:
        raise ValueError(refusal.reason)
    moving = sorted(_moving(nest, load), key=lambda loop: loop.variable.name == name)
    taken = {node.name for node in postorder(nest) if hasattr(node, "name")}
    copy = Buffer(fresh(f"{load.buffer.name}_staged", taken), load.buffer.type,
                  tuple(most(loop.extent, frozenset()) for loop in moving))
    indices = {loop.variable: Variable(fresh(f"{loop.variable.name}_staged", taken)) for loop in moving}
    extents, is_exact, opened = [], True, set()
    for loop in moving:
        extent = most(loop.extent, frozenset(opened))
        is_exact &= extent is loop.extent
        extents.append(with_nodes(extent, indices))
        opened.add(loop.variable)
    # where loops are cut short by others, more is copied than is read, and some of it may not be there
    outside = load.outside if is_exact or load.outside is not None else const(0, load.buffer.type)
    source = Load(load.buffer, tuple(with_nodes(index, indices) for index in load.indices), outside)
    fill: Statement = Store(copy, tuple(indices.values()), source)
    for loop, extent in reversed(list(zip(moving, extents))):
        kind = "vector" if loop is moving[-1] else "parallel"
        fill = Loop(indices[loop.variable], extent, kind, None, (), (fill,))
    read = Load(copy, tuple(loop.variable for loop in moving), None)
    memo: dict[Node, Node] = {load: read}
    body = []
    for statement in nest.body:
        after = rewrite(statement, None, memo)
        if after is not statement and fill not in body:
            body += [Workspace(copy), fill]
        body.append(after)
    return Nest(nest.name, nest.inputs, nest.outputs, tuple(body))


def _moving(nest: Nest, load: Load) -> list[Loop]:
    """The loops whose index a load depends on, outermost first."""
    found = {loop.variable.name: loop for loop in loops_in(nest.body) if loop.variable in load.free}
    depths = around(nest)
    return sorted(found.values(), key=lambda loop: len(depths[loop.variable.name]))


def _tells_apart(index: Expr, lengths: dict[Node, Expr]) -> bool:
    """Whether an index differs where one of its variables does: a number in mixed radix, up to where it begins."""
    digits = _factors(index)
    reach = 0  # the largest difference that the variables so far make
    for place, (variable, factor) in enumerate(sorted((digits or {}).items(), key=lambda item: abs(item[1]))):
        length = min([bound.value for bound in bounds(lengths[variable])], default=None)
        if abs(factor) <= reach or (length is None and place < len(digits) - 1):
            return False
        reach += abs(factor) * max((length or 1) - 1, 0)
    return digits is not None


def _factors(index: Expr) -> dict[Node, int] | None:
    """The factors of variables in an index that is affine in them."""
    if not index.free:
        return {}
    if isinstance(index, Variable):
        return {index: 1}
    match index:
        case Map(op, (left, right)) if op.name in ("add", "subtract"):
            found, others = _factors(left), _factors(right)
            if found is None or others is None or not found.keys().isdisjoint(others):
                return None
            return found | {variable: factor if op.name == "add" else -factor for variable, factor in others.items()}
        case Map(op, (other, Const(value)) | (Const(value), other)) if op.name == "multiply":
            found = _factors(other)
            return None if found is None else {variable: factor * value for variable, factor in found.items()}
    return None


def bounds(length: Expr) -> list[Const]:
    """Numbers that a length does not exceed."""
    match length if isinstance(length, Const) else most(length, frozenset()):
        case Const() as bound:
            return [bound]
        case Map(op, args) if op.name == "minimum":
            return [bound for arg in args for bound in bounds(arg)]
    return []


def most(length: Expr, known: frozenset[Node]) -> Expr | None:
    """The length, or what it is at most, in terms of sizes and of these indices only; None where nothing says."""
    if length.free <= known and not any(isinstance(node, Load) for node in postorder(length)):
        return length
    match length:
        case Map(op, args) if op.name in ("minimum", "maximum"):
            found = [one for one in (most(arg, known) for arg in args) if one is not None]
            if len(found) == 2:
                one, other = found
                is_needless = op.name == "maximum" and isinstance(other, Const) and other.value <= 0 and (
                    is_never_negative(one))
                return one if is_needless else Map(op, (one, other))
            return found[0] if found and op.name == "minimum" else None
        case Map(op, (Map(inner, args), begin)) if op.name == "subtract" and inner.name == "minimum":
            return most(Map(inner, tuple(Map(op, (arg, begin)) for arg in args)), known)
        case Map(op, (Map(inner, (left, right)), begin)) if op.name == "subtract" and inner.name == "add" and (
                left is begin or right is begin):
            return most(right if left is begin else left, known)
        case Map(op, (end, begin)) if op.name == "subtract" and is_never_negative(begin):
            return most(end, known)
    return None

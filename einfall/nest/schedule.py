"""Schedule primitives: nest to nest, the same values in another order. Each has a twin that says whether it may."""

from einfall.base.node import postorder
from einfall.base.refusal import Refusal
from einfall.nest.nodes import Nest
from einfall.scalar.memory import Loop, Statement, Store, Workspace

__all__ = ["legal_vectorise", "loops", "vectorise"]


def loops(nest: Nest) -> dict[str, Loop]:
    """The loops of a nest by the names of their indices."""
    return {node.variable.name: node for node in postorder(*nest.body) if isinstance(node, Loop)}


def legal_vectorise(loop: Loop) -> Refusal | None:
    """Whether several iterations of a loop may run at once as lanes."""
    if loop.kind == "vector":
        return Refusal(f"loop {loop.variable.name} is a vector loop already")
    inner = list(postorder(*loop.body))
    if any(isinstance(node, Loop) and node.kind == "vector" for node in inner):
        return Refusal(f"loop {loop.variable.name} holds a vector loop")
    if loop.kind == "sequential":
        if loop.monoid is None:
            return Refusal(f"a step of loop {loop.variable.name} needs the one before it")
        if not loop.monoid.commutative:
            return Refusal(f"the elements of loop {loop.variable.name} come together in order: {loop.monoid.name}")
        if any(isinstance(node, Store | Workspace) for node in inner):
            return Refusal(f"loop {loop.variable.name} stores what its next step overwrites")
        return None
    for node in inner:
        if isinstance(node, Workspace):
            return Refusal(f"loop {loop.variable.name} has a workspace, {node.buffer.name}, of its own")
        if isinstance(node, Store) and all(loop.variable not in index.free for index in node.indices):
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

    def changed(statement: Statement) -> Statement:
        if not isinstance(statement, Loop):
            return statement
        kind = "vector" if statement is chosen else statement.kind
        return Loop(statement.variable, statement.extent, kind, statement.monoid, statement.carried,
                    tuple(map(changed, statement.body)))

    return Nest(nest.name, nest.inputs, nest.outputs, tuple(map(changed, nest.body)))

"""Interchange: reductions inside independent iterations become independent iterations inside their steps."""

import itertools

from einfall.base.node import Node, postorder, rewrite
from einfall.base.refusal import Refusal
from einfall.nest.nodes import Nest
from einfall.nest.schedule import fresh, loops, replaced
from einfall.nest.stage import most
from einfall.scalar.memory import Buffer, Load, Loop, Statement, Store, Variable, Workspace
from einfall.scalar.monoids import Side, combined

__all__ = ["interchange", "legal_interchange"]


def legal_interchange(loop: Loop) -> Refusal | None:
    """Whether a loop may run inside the reductions that its body is made of."""
    name = loop.variable.name
    if loop.kind == "sequential" or loop.carried:
        return Refusal(f"the iterations of loop {name} are not independent")
    inner = [item for item in loop.body if isinstance(item, Loop)]
    if not inner or any(item.monoid is None or item.body for item in inner) or not all(
            isinstance(item, Loop | Store) for item in loop.body):
        return Refusal(f"loop {name} does not hold reductions and what is stored of them")
    values = {item.value for one in inner for item in one.carried}
    for one in inner:
        if not one.extent.free.isdisjoint({loop.variable, *values}):
            return Refusal(f"loop {one.variable.name} has another length in each iteration of loop {name}")
        if any(isinstance(node, Side) and node.place != place for place, part in enumerate(one.monoid.combine)
               for node in postorder(part)):
            return Refusal(f"the components of {one.monoid.name} depend on each other")
    if most(loop.extent, frozenset()) is None:
        return Refusal(f"the length of loop {name} has no bound by sizes")
    return None


def interchange(nest: Nest, name: str) -> Nest:
    """The nest in which reductions go through their elements for all iterations of the loop around them at once.

                                                w = workspace(f32, m)
                                                for j in vector(m):
    for j in vector(m):                             w[j] = f32(0.0)
        for i in sequential(n, a=f32(0.0)):     for i in sequential(n):
            fold(sum, a=x[i, j])           ->       for j_ in vector(m):
        out[j] = a                                      w[j_] = w[j_] + x[i, j_]
                                                for j__ in vector(m):
                                                    out[j__] = w[j__]

    Raises: ValueError with the reason of `legal_interchange`.
    """
    chosen = loops(nest)[name]
    refusal = legal_interchange(chosen)
    if refusal is not None:
        raise ValueError(refusal.reason)
    taken = {node.name for node in postorder(nest) if hasattr(node, "name")} - {name}
    size, lane = (most(chosen.extent, frozenset()),), chosen.variable
    held: dict[Node, Node] = {}  # what was carried, in memory
    made: list[Statement] = []

    def each(body: list[Store]) -> Loop:
        """Stores for each iteration."""
        index = Variable(fresh(name, taken))
        memo: dict[Node, Node] = {lane: index}
        memo |= {value: Load(buffer, (index,), None) for value, buffer in held.items()}
        return Loop(index, chosen.extent, chosen.kind, None, (), tuple(
            rewrite(store, None, memo) for store in body))

    for is_store, items in itertools.groupby(chosen.body, lambda item: isinstance(item, Store)):
        if is_store:
            made.append(each(list(items)))
            continue
        for reduction in items:
            own = [Buffer(fresh("w", taken), item.value.type, size) for item in reduction.carried]
            now = tuple(Load(buffer, (lane,), None) for buffer in own)
            after = combined(reduction.monoid, now, tuple(item.update for item in reduction.carried))
            made += map(Workspace, own)
            made.append(each([Store(buffer, (lane,), item.init) for buffer, item in zip(own, reduction.carried)]))
            steps = each([Store(buffer, (lane,), value) for buffer, value in zip(own, after)])
            made.append(Loop(reduction.variable, reduction.extent, "sequential", None, (), (steps,)))
            held |= {item.value: buffer for item, buffer in zip(reduction.carried, own)}
    return replaced(nest, chosen, lambda loop: tuple(made))

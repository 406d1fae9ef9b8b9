"""Results that replace a part of an input in its memory: loops over that part only, and stores where it is."""

from einfall.cascade.bounds import Bounds, bounds_of, conjuncts
from einfall.cascade.nodes import Index, Rank, Tensor
from einfall.cascade.updates import update_of
from einfall.lower.limits import Limits
from einfall.lower.scatters import enter_where
from einfall.scalar import memory as mem
from einfall.scalar.dtypes import I64
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS

__all__ = ["update_into"]


def update_into(lowering, tensor: Tensor, buffer: mem.Buffer) -> None:
    """buffer[ranks] = new where the condition holds; nothing is stored elsewhere.

    Parts of the condition limit the loops; others are looked at as soon as all that they depend on is known.
    """
    update = update_of(tensor)
    extents = dict(zip(tensor.ranks, tensor.extents))
    waiting = conjuncts(update.condition)
    state = lowering.state()
    entered: list[Rank | None] = []  # None is a condition
    rest = list(tensor.ranks)
    while True:
        for condition in [item for item in waiting if item.free.isdisjoint(rest)]:
            waiting.remove(condition)
            enter_where(lowering, lowering.value(condition))
            entered.append(None)
        if not rest:
            break
        rank = next((rank for rank in rest if not _waits(rank, rest, waiting, extents[rank])), rest[0])
        rest.remove(rank)
        place = _place_of(rank, rest, waiting)
        if place is not None:
            condition, index = place
            waiting.remove(condition)
            at = lowering.value(index)
            inside = Map(OPS["bitwise_and"], (Map(OPS["less_equal"], (Const(0, I64), at)),
                                              Map(OPS["less"], (at, lowering.size(extents[rank])))))
            enter_where(lowering, inside, (at,))
            lowering.env = {**lowering.env, rank: at}
            lowering.extents = {**lowering.extents, rank: extents[rank]}
            entered.append(None)
            continue
        found: dict[Expr, Bounds] = {}
        for condition in waiting:
            bounds = bounds_of(condition, rank, extents[rank]) if condition.free.isdisjoint(rest) else None
            if bounds is not None and rank in condition.free:
                found[condition] = bounds
        waiting = [condition for condition in waiting if condition not in found]
        lowering.open(rank, extents[rank], Limits(tuple(found.values()), tuple(found)))
        entered.append(rank)
    lowering.emit(mem.Store(buffer, tuple(lowering.env[rank] for rank in tensor.ranks), lowering.value(update.new)))
    for rank in reversed(entered):
        if rank is None:
            lowering.leave("sequential")
        else:
            lowering.close(rank, "parallel")
    lowering.restore(state)


def _place_of(rank: Rank, rest: list[Rank], conditions: list[Expr]) -> tuple[Expr, Expr] | None:
    """The condition that says which one coordinate of a rank counts, and that coordinate."""
    for condition in conditions:
        match condition:
            case Map(op, (left, right)) if op.name == "equal" and condition.free.isdisjoint(rest):
                for one, other in ((left, right), (right, left)):
                    if isinstance(one, Index) and one.rank is rank and rank not in other.free:
                        return condition, other
    return None


def _waits(rank: Rank, rest: list[Rank], conditions: list[Expr], extent: Expr) -> bool:
    """Whether an equality says which coordinate of a rank counts, once other ranks are known."""
    return any(isinstance(condition, Map) and condition.op.name == "equal" and rank in condition.free
               and bounds_of(condition, rank, extent) is not None
               and not condition.free.isdisjoint(item for item in rest if item is not rank)
               for condition in conditions)

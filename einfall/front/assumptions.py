"""What a kernel assumes of its data: looked at before each call, and told to the derivation."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from einfall.base.errors import AssumptionError, Line, TraceError, user_line
from einfall.cascade import nodes as cas
from einfall.cascade.bounds import conjuncts
from einfall.cascade.faults import NOWHERE, first_position
from einfall.cascade.nodes import Access, Cascade, Domain, Index, Input, Tensor
from einfall.cascade.run import run
from einfall.cascade.scope import substitute
from einfall.front.arguments import Arguments
from einfall.front.definitions import Definition
from einfall.front.expression import Array, Rank, lift, of_this_call, ordered
from einfall.front.trace import current
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["Assumption", "assume", "domains", "positions", "refuse"]

COMPARISONS = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==",
               "not_equal": "!="}
TURNED = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}


class Assumption(NamedTuple):
    """A condition at each coordinate of its ranks, and the line that states it."""

    tensor: Tensor
    line: Line | None


def assume(condition) -> None:
    """States that a condition holds at every coordinate of its free ranks, such as `ef.assume(A[t] > 0)`.

    It is looked at before each call, unless the kernel is `unchecked`; points where it is absent are not. A derivation
    uses what comparisons of an argument's elements with a number say: alone, or joined by `&`.

    condition: an expression of booleans, or a tensor of them.
    Raises: AssumptionError (of the call) with the position and the values where it does not hold; TraceError for what
    is no condition, or depends on the state of a scan.
    """
    trace = current()
    array = condition.array if isinstance(condition, Definition) else condition
    if isinstance(array, Array) and array.ndim:
        ranks = tuple(cas.Rank(f"i{place}") for place in range(array.ndim))
        source, extents, dtype = of_this_call(array).source, array.extents, array.dtype
        if isinstance(source, Tensor):
            body = substitute(source.body, dict(zip(source.ranks, map(Index, ranks))))
        else:
            body = Access(source, tuple(map(Index, ranks)), None)
    else:
        expr = lift(condition)
        dtype = expr.dtype
        tensor = ordered(expr, tuple(map(Rank, expr.extents))).source if dtype is BOOL else None
        ranks, extents, body = (tensor.ranks, tensor.extents, tensor.body) if tensor else ((), (), None)
    if dtype is not BOOL:
        raise TraceError(f"ef.assume takes a condition, not {dtype}", known=trace.known,
                         repair="compare: ef.assume(x > 0)")
    made = Tensor(ranks, extents, body)
    if made.free:
        raise TraceError("ef.assume of the state of a scan, or of what is made of it", known=trace.known,
                         repair="assume something of what the scan reads, before it")
    trace.assumptions.append((made, user_line()))


def domains(assumptions: list[tuple[Tensor, Line | None]], same: Callable[[Expr, Expr], bool]) -> Mapping[str, Domain]:
    """Between which numbers the inputs are of which assumptions say so, by name; `same` says whether two extents are.

    What holds under a condition only says nothing of all elements.
    """
    found: dict[str, Domain] = {}
    for tensor, _ in assumptions:
        for fact in conjuncts(tensor.body):
            match fact:
                case Map(op, (Const(), other)) if op.name in TURNED:
                    fact = Map(OPS[TURNED[op.name]], (other, fact.args[0]))
            match fact:
                case Map(op, (left, Const(value))) if op.name in TURNED:
                    access = left.arg if isinstance(left, Cast) and left.dtype is left.arg.dtype.computed else left
                    if _is_whole_input(access, tensor, same):
                        item = access.source
                        found[item.name] = _narrowed(found.get(item.name), op.name, _bound(value, item))
    return {name: domain for name, domain in found.items() if domain is not None}


def _bound(value, item: Input) -> Const | None:
    """The number in the type of an input; None where that type does not hold it."""
    if not item.type.is_float and not item.type.lowest <= value <= item.type.highest:
        return None
    held = item.type.numpy.type(value).item()
    return Const(held, item.type) if float(held) == float(value) else None


def _is_whole_input(access: Expr, tensor: Tensor, same: Callable[[Expr, Expr], bool]) -> bool:
    """Whether it is an element of an input at the coordinates of a tensor, and these are all that the input has."""
    if not (isinstance(access, Access) and isinstance(access.source, Input)) or {*access.indices} != {
            *map(Index, tensor.ranks)} or len(access.indices) != len(tensor.ranks):
        return False
    extents = {Index(rank): extent for rank, extent in zip(tensor.ranks, tensor.extents)}
    return all(same(extents[index], cas.Size(access.source.name, axis)) for axis, index in enumerate(access.indices))


def _narrowed(domain: Domain | None, op: str, bound: Const | None) -> Domain | None:
    """The domain within a bound as well."""
    low, reaches_low, high, reaches_high = (None, False, None, False) if domain is None else (
        domain.low, domain.reaches_low, domain.high, domain.reaches_high)
    if bound is None:
        return domain
    reaches = op.endswith("equal")
    if op.startswith("greater"):
        if low is None or (bound.value, not reaches) > (low.value, not reaches_low):
            low, reaches_low = bound, reaches
    elif high is None or (bound.value, reaches) < (high.value, reaches_high):
        high, reaches_high = bound, reaches
    return Domain(low, reaches_low, high, reaches_high)


def positions(cascade: Cascade) -> Cascade:
    """The program of the first position at which each of these conditions does not hold, NOWHERE if there is none."""
    return Cascade(cascade.name, cascade.inputs, tuple(
        first_position(tensor, lambda position, holds=tensor.body: Select(holds, Const(NOWHERE, I64), position))
        for tensor in cascade.outputs))


def refuse(assumption: Assumption, at: Mapping[cas.Rank, int], arguments: Arguments) -> None:
    """Raises AssumptionError: it does not hold there."""
    tensor, (arrays, stored) = assumption.tensor, arguments.dense()
    for fact in _parts(tensor.body):
        sides = fact.args if isinstance(fact, Map) and fact.op.name in COMPARISONS else ()
        tensors = tuple(Tensor(tensor.ranks, tensor.extents, item) for item in (fact, *sides))
        chosen = {rank: np.asarray([place]) for rank, place in at.items()}
        holds, *values = run(tensors, arrays, arguments.scalars, at=chosen, stored=stored)
        if not holds.array.all():
            break
    shown = [str(item.dtype.numpy.type(value.array.reshape(()))) for item, value in zip(sides, values)]
    where = ", ".join(f"{rank.name}={place}" for rank, place in at.items())
    what = f" {COMPARISONS[fact.op.name]} ".join(shown) if shown else "it is false"
    raise AssumptionError(f"an assumption does not hold{' at ' + where if where else ''}: {what}",
                          where=assumption.line, known=arguments.known,
                          repair="pass data of which it is true, or leave the ef.assume out")


def _parts(condition: Expr) -> Iterator[Expr]:
    """The conditions that have to hold together for this one, where a part of it is absent under a mask too."""
    match condition:
        case Map(op, args) if op.name == "bitwise_and":
            for arg in args:
                yield from _parts(arg)
        case Select(_, yes, Const(True)):
            yield from _parts(yes)
        case _:
            yield condition

"""Loads and stores: one element, elements side by side, or elements wherever the lanes ask.

An index that is affine in the lane index has an address for lane 0 and a distance between lanes; where the distance
is the size of an element the lanes are one vector in memory, else they are gathered or scattered.
"""

from typing import NamedTuple

from einfall.base.node import rewrite
from einfall.scalar.memory import Buffer, Load, Store
from einfall.scalar.nodes import Const, Expr, Map
from einfall.target.llvm.builder import splat, vector_type
from einfall.target.llvm.conversions import llvm_type
from einfall.target.llvm.values import Register

__all__ = ["coefficient", "load", "store"]


class Place(NamedTuple):
    """Where an access goes: one address, lanes side by side from it, or an address for each lane."""

    kind: str  # one, dense, many
    address: str
    indices: tuple[Expr, ...]  # for one address, the indices of lane 0


def coefficient(expr: Expr, variable: Expr, varying: frozenset) -> int | None:
    """The constant factor of the lane index in an index; None if it is not affine in it."""
    if varying.isdisjoint(expr.free):
        return 0
    if expr is variable:
        return 1
    match expr:
        case Map(op, (left, right)) if op.name in ("add", "subtract"):
            one, other = coefficient(left, variable, varying), coefficient(right, variable, varying)
            return None if one is None or other is None else one + other if op.name == "add" else one - other
        case Map(op, (left, Const(value)) | (Const(value), left)) if op.name == "multiply":
            one = coefficient(left, variable, varying)
            return None if one is None else one * value
    return None


def load(emission, node: Load) -> Register:
    """The elements that a load reads."""
    buffer, builder = node.buffer, emission.builder
    place = _place(emission, buffer, node.indices)
    lanes = 1 if place.kind == "one" else emission.lanes
    inside = _inside(emission, node, place.indices, lanes)
    type = llvm_type(buffer.type)
    memory = "i8" if type == "i1" else type
    if lanes == 1:
        address = place.address
        if inside is not None:
            address = builder.emit(f"select i1 {inside}, ptr {address}, ptr @outside")
        made = builder.emit(f"load {memory}, ptr {address}, align 1")
    else:
        made = _vector(emission, place, memory, _and(emission, inside, emission.lane.mask))
    if type == "i1":
        made = builder.emit(f"icmp ne {vector_type('i8', lanes)} {made}, {splat(0, 'i8', lanes)}")
    if inside is not None:
        beyond = emission.operators(lanes).constant(node.outside.value, node.outside.dtype)
        made = emission.operators(lanes).select(inside, type, made, beyond)
    return Register(made, lanes)


def store(emission, statement: Store) -> None:
    """A value written; in a vector loop each lane writes its own element."""
    buffer, builder = statement.buffer, emission.builder
    value = emission.value(statement.value)
    place = _place(emission, buffer, statement.indices)
    type = llvm_type(buffer.type)
    lanes = 1 if place.kind == "one" else emission.lanes
    assert value.lanes <= lanes, f"lanes write one element of {buffer.name}"
    made = emission.widened(value, statement.value, lanes)
    if type == "i1":
        made, type = builder.emit(f"zext {vector_type('i1', lanes)} {made} to {vector_type('i8', lanes)}"), "i8"
    whole, mask = vector_type(type, lanes), None if emission.lane is None else emission.lane.mask
    if place.kind == "one" or (place.kind == "dense" and mask is None):
        builder.do(f"store {whole} {made}, ptr {place.address}, align 1")
        return
    name, pointers = ("store", "ptr") if place.kind == "dense" else ("scatter", vector_type("ptr", lanes))
    suffix = "p0" if place.kind == "dense" else f"v{lanes}p0"
    every = splat(1, "i1", lanes) if mask is None else mask
    builder.call("void", f"llvm.masked.{name}.v{lanes}{_kind(type)}.{suffix}", f"{whole} {made}",
                 f"{pointers} {place.address}", "i32 1", f"{vector_type('i1', lanes)} {every}")


def _vector(emission, place: Place, memory: str, mask: str | None) -> str:
    """The elements of all lanes, as they lie in memory."""
    builder, lanes = emission.builder, emission.lanes
    whole = vector_type(memory, lanes)
    if place.kind == "dense" and mask is None:
        return builder.emit(f"load {whole}, ptr {place.address}, align 1")
    every = splat(1, "i1", lanes) if mask is None else mask
    name, pointers = ("load", "ptr") if place.kind == "dense" else ("gather", vector_type("ptr", lanes))
    suffix = "p0" if place.kind == "dense" else f"v{lanes}p0"
    return builder.call(whole, f"llvm.masked.{name}.v{lanes}{_kind(memory)}.{suffix}", f"{pointers} {place.address}",
                        "i32 1", f"{vector_type('i1', lanes)} {every}", f"{whole} zeroinitializer")


def _kind(type: str) -> str:
    return {"float": "f32", "double": "f64"}.get(type, type)


def _place(emission, buffer: Buffer, indices: tuple[Expr, ...]) -> Place:
    builder, strides = emission.builder, emission.strides[buffer.name]
    base = emission.words.get(("base", buffer.name)) or emission.words["scratch", buffer.name]
    lane = emission.lane
    factors = [coefficient(index, lane.variable, emission.varying) if lane else 0 for index in indices]
    if None not in factors:
        known = {lane.variable: lane.first} if lane else {}
        starts = [rewrite(index, lambda node: known.get(node)) for index in indices]
        first = _offset(emission, base, [emission.scalar(start) for start in starts], strides)
        if not any(factors):
            return Place("one", first, tuple(starts))
        distance = _distance(emission, factors, strides)
        if distance == str(max(buffer.type.bits // 8, 1)):
            return Place("dense", first, indices)
        lanes = emission.lanes
        numbers = ", ".join(f"i64 {place}" for place in range(lanes))
        steps = builder.emit(f"mul {vector_type('i64', lanes)} <{numbers}>, {emission.spread(distance, 'i64', lanes)}")
        addresses = builder.emit(f"getelementptr i8, ptr {first}, {vector_type('i64', lanes)} {steps}")
        return Place("many", addresses, indices)
    total, whole = None, vector_type("i64", emission.lanes)
    for index, stride in zip(indices, strides):
        wide = emission.widened(emission.value(index), index, emission.lanes)
        step = builder.emit(f"mul {whole} {wide}, {emission.spread(stride, 'i64', emission.lanes)}")
        total = step if total is None else builder.emit(f"add {whole} {total}, {step}")
    return Place("many", builder.emit(f"getelementptr i8, ptr {base}, {whole} {total}"), indices)


def _offset(emission, base: str, places: list[str], strides: list[str]) -> str:
    builder, offset = emission.builder, None
    for place, stride in zip(places, strides):
        step = builder.emit(f"mul i64 {place}, {stride}")
        offset = step if offset is None else builder.emit(f"add i64 {offset}, {step}")
    return base if offset is None else builder.emit(f"getelementptr i8, ptr {base}, i64 {offset}")


def _distance(emission, factors: list[int], strides: list[str]) -> str:
    """The bytes from one lane to the next: a number where it is known."""
    moving = [(factor, stride) for factor, stride in zip(factors, strides) if factor]
    if all(stride.isdigit() for _, stride in moving):
        return str(sum(factor * int(stride) for factor, stride in moving))
    total = None
    for factor, stride in moving:
        step = stride if factor == 1 else emission.builder.emit(f"mul i64 {stride}, {factor}")
        total = step if total is None else emission.builder.emit(f"add i64 {total}, {step}")
    return total


def _inside(emission, node: Load, indices: tuple[Expr, ...], lanes: int) -> str | None:
    """Where every index is inside its axis; None where that is known."""
    if node.outside is None:
        return None
    inside, whole, o = None, vector_type("i64", lanes), emission.operators(lanes)
    for index, extent in zip(indices, node.buffer.extents):
        at, end = (emission.widened(emission.value(item), item, lanes) for item in (index, extent))
        within = emission.builder.emit(f"icmp ult {whole} {at}, {end}")
        inside = within if inside is None else o.binary("and", "i1", inside, within)
    return inside


def _and(emission, one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one or other
    return emission.operators(emission.lanes).binary("and", "i1", one, other)

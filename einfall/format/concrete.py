"""The rewrite that puts stored arrays in the place of dense ones: cascade to cascade, before anything is derived.

    sum[k](A[i, k] * X[k, j])   with A stored by rows   is
    sum[r](r < A_pos[i + 1] - A_pos[i] ? A_value[p] * X[A_crd[p], j] : 0)   with p = A_pos[i] + r

Where the elements of a reduction are its identity wherever A stores nothing, it goes through the positions of A under
the other coordinates: their number is a limit of a loop like any other (decision 7), and the coordinate is read. What
else is read of A is read from a dense copy, and which entries are stored from another. A decoded operand is its
decoding at the same coordinates. Everything after this pass meets ordinary inputs only.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from einfall.base.node import Node, postorder, rebuild, rewrite
from einfall.cascade.explicit import inline, is_heavy
from einfall.cascade.nodes import (
    Access,
    Cascade,
    Coordinate,
    Index,
    Input,
    Pattern,
    Rank,
    Reduce,
    Size,
    Tensor,
)
from einfall.cascade.scope import bound_here, fresh, substitute
from einfall.format.codecs import BLOCK, HALF, Lane, decoded, scale_at, unscaled
from einfall.format.format import DENSE, Layout
from einfall.format.unstored import is_identity_without, is_limited, reads_without
from einfall.scalar.dtypes import BOOL, I64, DType
from einfall.scalar.monoids import combined, is_named
from einfall.scalar.nodes import Const, Expr, Map, Select, cast, const
from einfall.scalar.ops import OPS

__all__ = ["Concrete", "Use", "concretised", "of_faults", "with_patterns"]


class Use(NamedTuple):
    """An input of a concrete cascade: an array of an operand in a form."""

    input: str
    operand: str
    form: tuple[int, ...]
    part: str


class Concrete(NamedTuple):
    """A cascade over stored arrays, where these come from, and what is to be told of it."""

    cascade: Cascade
    uses: tuple[Use, ...]
    notes: tuple[str, ...]


def with_patterns(cascade: Cascade, layouts: Mapping[str, Layout]) -> Cascade:
    """The program that says itself which elements are stored: A[i, k] is where(A.stored[i, k], A[i, k], fill).

    What stores everything is stored everywhere, and says nothing.
    """
    sparse = {name: layout for name, layout in layouts.items() if layout.format.is_sparse}

    def rule(node: Node) -> Node | None:
        match node:
            case Access(Input(name) as source, indices, outside) if name in sparse:
                # beyond its axes it is the access that decides: what lies there, or a fault
                is_bare = outside is None and all(isinstance(index, Index) for index in indices)
                beyond = None if is_bare else Const(True, BOOL)
                fill = const(sparse[name].format.fill, source.dtype)
                return Select(Access(Pattern(name, source.ndim), indices, beyond), node, fill)
            case Access(Pattern(name)) if name not in sparse:
                return Const(True, BOOL)
        return _decided(node)

    if not sparse and not any(isinstance(node, Pattern) for node in postorder(*cascade.outputs)):
        return cascade
    memo: dict = {}
    return Cascade(cascade.name, cascade.inputs, tuple(rewrite(output, rule, memo) for output in cascade.outputs))


def of_faults(finder: Cascade) -> Cascade:
    """The finder of faults of a program with patterns: an access leaves its axes or not, whatever is stored."""
    def rule(node: Node) -> Node | None:
        match node:
            case Select(Access(Pattern(), _, Const(True)), fault, Const(False)):
                return fault  # beyond the axes the pattern holds
        return None

    memo: dict = {}
    return Cascade(finder.name, finder.inputs, tuple(rewrite(output, rule, memo) for output in finder.outputs))


def concretised(cascade: Cascade, layouts: Mapping[str, Layout]) -> Concrete:
    """A program with patterns over the arrays in which operands of these layouts are stored."""
    if not layouts:
        return Concrete(cascade, (), ())
    rewriting = _Concretising(inline(cascade, only_bare=True, stays=_reread(cascade)), layouts)
    outputs = rewriting.outputs()
    used = {node.name if isinstance(node, Input) else node.input for node in postorder(*outputs)
            if isinstance(node, Input | Size)}
    inputs = [item for item in cascade.inputs if item.name not in layouts or item.name in used]
    made = Cascade(cascade.name, (*inputs, *rewriting.inputs.values()), outputs)
    return Concrete(made, tuple(rewriting.inputs), tuple(rewriting.notes))


def _reread(cascade: Cascade) -> Callable[[Access], bool]:
    """Which reads of tensors that cost more than their memory would be made again and again: those without all the
    ranks of some pattern, so that several entries share an element."""
    entries = {node.free for node in postorder(*cascade.outputs)
               if isinstance(node, Access) and isinstance(node.source, Pattern)}

    def stays(access: Access) -> bool:
        return is_heavy(access.source.body) and not any(ranks <= access.free for ranks in entries)

    return stays


def _kept(body: Expr, rank: Rank, extent: Expr, access: Access) -> Expr:
    """The body with reductions that several entries share as tensors over the rank: computed once, and read."""
    shared: dict[Node, Node] = {}
    stack: list[Node] = [body]
    seen: set[Node] = set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Reduce) and len(node.bodies) == 1 and rank in node.free and node.free <= body.free and not (
                access.free <= node.free):
            shared[node] = Access(Tensor((rank,), (extent,), node), (Index(rank),), None)
        else:
            stack += node.below
    return rewrite(body, None, shared) if shared else body


def _decided(node: Node) -> Node | None:
    """A selection whose condition is known."""
    match node:
        case Select(Const(value), yes, no):
            return yes if value else no
    return None


def _indexed(node: Node, coordinate: Expr) -> Node | None:
    """An access that was at a bare rank before a coordinate of its axis took the place of the rank."""
    match node:
        case Access(source, indices, None) if coordinate in indices:
            return Access(source, tuple(Coordinate(item) if item is coordinate else item for item in indices), None)
    return None


class _Concretising:
    """One rewriting: the inputs that it made, the ranks over positions, what it has to tell."""

    def __init__(self, cascade: Cascade, layouts: Mapping[str, Layout]):
        self.cascade, self.layouts = cascade, layouts
        self.taken = {item.name for item in cascade.inputs}
        nodes = list(postorder(*cascade.outputs))
        self.ranks_taken = {variable for node in nodes for variable in (*bound_here(node), *getattr(node, "free", ()))}
        self.inputs: dict[Use, Input] = {}
        self.by_use: dict[tuple, Input] = {}
        self.ranks: dict[tuple, Rank] = {}
        self.lanes: dict[Expr, Lane] = {}
        self.reasons: dict[str, str] = {}
        self.notes: dict[str, None] = {}

    def outputs(self) -> tuple[Tensor, ...]:
        done: dict[Node, Node] = {}
        for node in postorder(*self.cascade.outputs):
            made = rebuild(node, done.__getitem__)
            done[node] = self.reduction(made) if isinstance(made, Reduce) and len(made.bodies) == 1 else made
        memo: dict[Node, Node] = {}
        return tuple(rewrite(done[output], self.remaining, memo) for output in self.cascade.outputs)

    def input(self, operand: str, form: tuple[int, ...], part: str, type: DType, ndim: int) -> Input:
        """An array of an operand as an input."""
        key = operand, form, part
        if key not in self.by_use:
            plain = form in (DENSE, self.layouts[operand].format.order)
            wanted = "_".join((operand, part) if plain else (operand, "by", *map(str, form), part))
            name, number = wanted, 1
            while name in self.taken:
                name, number = f"{wanted}_{number}", number + 1
            self.taken.add(name)
            self.by_use[key] = self.inputs[Use(name, *key)] = Input(name, type, ndim, None)
        return self.by_use[key]

    def rank(self, wanted: str, *key) -> Rank:
        """A rank that no other part of the program has: the same for the same key, so that reductions meet."""
        if key not in self.ranks:
            taken = self.ranks_taken
            self.ranks[key] = rank = Rank(wanted) if Rank(wanted) not in taken else fresh(Rank(wanted), taken)
            self.ranks_taken.add(rank)
        return self.ranks[key]

    # Reductions

    def reduction(self, node: Reduce) -> Reduce:
        """The reduction over positions and over blocks where it can go through these."""
        limits: dict[Expr, Rank] = {}  # how many positions there are, and the rank that goes through them
        while True:
            made = self.over_positions(node, limits) or self.over_blocks(node)
            if made is None:
                return node
            node = made

    def over_positions(self, node: Reduce, limits: dict[Expr, Rank]) -> Reduce | None:
        """One of its ranks replaced by the positions of an operand; rather where it is stored in that order."""
        found = []
        for access in _patterns(node):
            axes = [axis for axis, index in enumerate(access.indices) if not index.free.isdisjoint(node.ranks)]
            for axis in axes:
                index = access.indices[axis]
                if isinstance(index, Index) and sum(index.rank in other.free for other in access.indices) == 1:
                    found.append((access, axis))
        order = [(access, axis) for access, axis in found
                 if self.layouts[access.source.name].format.order[-1] == axis]
        for access, axis in (*order, *(item for item in found if item not in order)):
            rank = access.indices[axis].rank
            is_next = node.monoid.commutative or node.ranks[-1] is rank
            if is_next and is_identity_without(node, access):
                return self.to_places(node, access, axis, limits) or self.positions(node, access, axis, limits)
            self.reasons[access.source.name] = (
                f"the elements of {node.monoid.name} over {rank.name} are not {node.monoid.identity[0].value!r} "
                f"where {access.source.name} stores nothing" if is_next else
                f"{node.monoid.name} needs its elements in the order of its ranks")
        return None

    def to_places(self, node: Reduce, access: Access, axis: int, limits: dict[Expr, Rank]) -> Reduce | None:
        """The reduction over all entries, each brought to the coordinate that is stored with it, which is a free rank
        of the result: for an operand whose last level is not what is reduced. None where that is no such rank."""
        name = access.source.name
        order = self.layouts[name].format.order
        last = access.indices[order[-1]]
        others = [index for at, index in enumerate(access.indices) if at != order[-1]]
        if axis == order[-1] or not isinstance(last, Index) or last.rank in node.ranks or any(
                last.rank in index.free for index in others) or node.free.isdisjoint((last.rank,)):
            return None
        old = self.rank(f"{last.rank.name}_to", name, "to", last.rank)
        moved = substitute(node.bodies[0], {last.rank: Index(old)})
        here = Map(OPS["equal"], (Index(old), last))
        wider = Reduce(node.monoid, (*node.ranks, old), (*node.extents, Size(name, order[-1])),
                       (Select(here, moved, node.monoid.identity[0]),))
        reduced = next(iter(access.indices[axis].free))
        return self.positions(wider, substitute(access, {last.rank: Index(old)}), order[-1], limits,
                              f"{reduced.name} go through the stored entries of {name}, each to its {last.rank.name}")

    def positions(self, node: Reduce, access: Access, axis: int, limits: dict[Expr, Rank], told: str = "") -> Reduce:
        """The reduction over the positions of an operand in the place of the rank that reads one of its axes."""
        name, layout = access.source.name, self.layouts[access.source.name]
        order = layout.format.order
        form = order if order[-1] == axis else (*(item for item in range(len(order)) if item != axis), axis)
        level = layout.format.levels[-1]

        is_inside = all(isinstance(access.indices[at], Index | Coordinate) for at in form[:-1])

        def read(part: str, place: Expr) -> Expr:
            """Of rows that are not there nothing is stored: that there are none is for others to tell."""
            source, is_pos = self.input(name, form, part, layout.index, 1), part == "pos"
            if is_pos and is_inside and not isinstance(place, Index):
                place = Coordinate(place)
            outside = const(0, source.dtype) if is_pos and not is_inside else None
            return cast(Access(source, (place,), outside), I64)

        parent = None
        for outer, at in zip(layout.format.levels, form[:-1]):
            parent = outer.locate(parent, access.indices[at], Size(name, at))
        first, behind = level.between(read, Const(0, I64) if parent is None else parent)
        old = access.indices[axis].rank
        rank = self.rank(f"{old.name}_{name}", name, form, old)
        position = Map(OPS["add"], (first, Index(rank)))
        coordinate = level.coordinate(read, position)
        value = Access(self.input(name, form, "value", layout.type, 1), (position,), None)
        # of operands that lead to this one: where these do not hold, there is no coordinate to go on from
        outer = [limit for limit, other in limits.items() if other in position.free]
        body = node.bodies[0]
        while isinstance(body, Select) and body.condition in outer:
            body = body.yes
        body = _kept(body, old, dict(zip(node.ranks, node.extents))[old], access)
        body = substitute(body, {old: coordinate})
        here = substitute(access, {old: coordinate}).indices

        inside = Map(OPS["less"], (Index(rank), Map(OPS["subtract"], (behind, first))))
        limits[inside] = rank

        def rule(item: Node) -> Node | None:
            match item:
                case Access(Pattern(other), indices) if other == name and indices == here:
                    return inside  # and not True, so that what was absent still is: derivation proves with it
                case Access(Input(other), indices, None) if other == name and indices == here:
                    return value
            return _indexed(item, coordinate)

        body, identity = rewrite(body, rule), node.monoid.identity[0]
        is_whole = is_limited(body, inside, identity) and not reads_without(body, inside, position)
        for condition in (*([] if is_whole else [inside]), *reversed(outer)):
            body = Select(condition, body, identity)
        span = self.input(name, form, "span", BOOL, 1)
        kept = [(one, extent) for one, extent in zip(node.ranks, node.extents) if one is not old]
        ranks, extents = zip(*kept, (rank, Size(span.name, 0)))  # last: its limits depend on the others
        self.tell(name, form, told or f"{old.name} go through the stored entries of {name}")
        return Reduce(node.monoid, ranks, extents, (body,))

    def tell(self, name: str, form: tuple[int, ...], what: str) -> None:
        layout = self.layouts[name]
        self.notes[f"reductions over {what} ({layout.format.name})"] = None
        if form != layout.format.order:
            self.notes[f"{name} is sorted anew in each call, as its axis {form[-1]} is reduced: it is stored in the "
                       f"order of axes {', '.join(map(str, layout.format.order))}"] = None

    def over_blocks(self, node: Reduce) -> Reduce | None:
        """One of its ranks split into blocks, halves and lanes, as the codes of an operand lie in memory."""
        if not node.monoid.commutative:
            return None
        for access in _in_scope(node):
            layout = self.layouts.get(access.source.name)
            if layout is None or not layout.is_decoded or layout.format.codec.code.bits != 4:
                continue
            axis = layout.format.codec.axis % access.source.ndim
            index = access.indices[axis]
            others = (other for at, other in enumerate(access.indices) if at != axis)
            if isinstance(index, Index) and index.rank in node.ranks and not any(
                    index.rank in other.free for other in others):
                return self.blocks(node, access, axis)
        return None

    def blocks(self, node: Reduce, access: Access, axis: int) -> Reduce:
        """A reduction for each lane, so that lanes go through blocks side by side; of groups where each has a scale."""
        name, old = access.source.name, access.indices[axis].rank
        codec, code = self.layouts[name].format.codec, self.codes(name)
        together, block, lane = (self.rank(f"{old.name}_{part}", part, codec.whole, old)
                                 for part in ("group", "block", "lane"))
        factored = codec.scales_sums and node.monoid.name == "sum" and is_named(node.monoid)
        scale, halves = None, []
        for half in range(BLOCK // HALF):
            at = Lane(Index(together), Index(block), Index(lane), half)
            coordinate = at.coordinate(codec)
            self.lanes[coordinate] = at
            body, here = (substitute(item, {old: coordinate}) for item in (node.bodies[0], access))
            if self.layouts[name].is_even:
                body, here = (rewrite(item, lambda node, at=coordinate: _indexed(node, at)) for item in (body, here))
            if factored:
                read, others = self.reader(name), (*here.indices[:axis], *here.indices[axis + 1:])
                body = _with_factor(body, here, unscaled(codec, read, others, coordinate, at, at.together)) or body
                scale = None if here in postorder(body) else scale_at(codec, read, others, at.together)
            if not self.layouts[name].is_even:
                within = Map(OPS["less"], (coordinate, Size(name, axis)))
                body = Select(within, body, node.monoid.identity[0])
            halves.append((body,))
        element, = functools.reduce(lambda one, other: combined(node.monoid, one, other), halves)
        element = Reduce(node.monoid, (block,), (Const(codec.blocks, I64),), (element,))
        element = element if scale is None else Map(OPS["multiply"], (scale, element))
        element = Reduce(node.monoid, (together,), (Size(code.name, code.ndim - 3),), (element,))
        kept = [(one, extent) for one, extent in zip(node.ranks, node.extents) if one is not old]
        ranks, extents = zip(*kept, (lane, Const(HALF, I64)))
        return Reduce(node.monoid, ranks, extents, (element,))

    def reader(self, name: str):
        """How the arrays of a decoded operand are read."""
        layout = self.layouts[name]

        def read(part: str, indices: tuple[Expr, ...]) -> Expr:
            type, axes = layout.format.codec.arrays[part]
            ndim = len(layout.format.order) - 1 + axes
            return Access(self.input(name, layout.format.order, part, type, ndim), indices, None)

        return read

    def codes(self, name: str) -> Input:
        layout = self.layouts[name]
        type, axes = layout.format.codec.arrays["code"]
        return self.input(name, layout.format.order, "code", type, len(layout.format.order) - 1 + axes)

    # What is left

    def remaining(self, node: Node) -> Node | None:
        """What is still read of operands: decoded, or from a dense copy."""
        match node:
            case Access(Input(name) | Pattern(name), indices, outside) if name in self.layouts:
                layout = self.layouts[name]
                if layout.is_decoded:
                    return self.decoding(node)
                self.tell_dense(name)
                if isinstance(node.source, Pattern):
                    return Access(self.input(name, DENSE, "stored", BOOL, len(indices)), indices, outside)
                return Access(self.input(name, DENSE, "dense", layout.type, len(indices)), indices, outside)
        return None

    def tell_dense(self, name: str) -> None:
        why = self.reasons.get(name, "it is read where no reduction over one of its axes goes through its entries")
        self.notes[f"{name} is made dense in each call: {why}"] = None

    def decoding(self, node: Access) -> Expr:
        name, layout = node.source.name, self.layouts[node.source.name]
        codec, ndim = layout.format.codec, node.source.ndim
        axis = codec.axis % ndim
        coordinate = node.indices[axis]
        others = (*node.indices[:axis], *node.indices[axis + 1:])
        coordinate = coordinate.arg if isinstance(coordinate, Coordinate) else coordinate
        value = decoded(codec, self.reader(name), others, coordinate, self.lanes.get(coordinate))
        if node.outside is None:
            return value
        inside: Expr = Const(True, BOOL)
        for at, index in enumerate(node.indices):
            for op, end in (("greater_equal", Const(0, I64)), ("less", Size(name, at))):
                condition = Map(OPS[op], (index, end))
                inside = condition if isinstance(inside, Const) else Map(OPS["bitwise_and"], (inside, condition))
        return Select(inside, value, node.outside)


def _patterns(node: Reduce) -> list[Access]:
    """The patterns in scope, but those of what is padded: beyond its axes it has elements that are not stored."""
    nodes = list(postorder(*node.bodies))
    accesses = [item for item in nodes if isinstance(item, Access)]
    read = {(item.source.name, item.indices, item.outside is None) for item in accesses
            if isinstance(item.source, Input)}
    return [item for item in accesses if isinstance(item.source, Pattern) and item.free <= node.bodies[0].free
            and (item.source.name, item.indices, False) not in read
            and (item.outside is None or (item.source.name, item.indices, True) in read)]


def _in_scope(node: Reduce) -> list[Access]:
    """The accesses to inputs that its element makes with the ranks that are free in it."""
    return [item for item in postorder(*node.bodies) if isinstance(item, Access) and isinstance(item.source, Input)
            and item.outside is None and item.free <= node.bodies[0].free]


def _with_factor(body: Expr, old: Expr, new: Expr) -> Expr | None:
    """A product with another factor in the place of one; None where that is no factor, or occurs again."""
    if body is old:
        return new
    match body:
        case Map(op, (left, right)) if op.name == "multiply":
            for place, (one, other) in enumerate(((left, right), (right, left))):
                made = None if old in postorder(other) else _with_factor(one, old, new)
                if made is not None:
                    return Map(op, (other, made) if place else (made, other))
    return None

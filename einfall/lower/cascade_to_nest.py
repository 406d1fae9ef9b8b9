"""Cascade to nest: a loop a rank, outputs outermost, what is reused kept at the loop where it is known.

Where a reduction (or a costly map) is computed is read off its free ranks. Inside the loops that its user runs in, it
belongs to the deepest loop such that all loops up to there run over ranks it depends on, and over ranks that no other
user binds anew; its other ranks become axes of a workspace. So a row's maximum is computed once a row, and what
several sweeps over a rank read is computed once for all of them.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from einfall.base.node import Node, children, postorder, rewrite
from einfall.cascade import nodes as cas
from einfall.cascade.bounds import conjuncts, guarded
from einfall.cascade.explicit import COSTLY, inline, make_absence_explicit
from einfall.cascade.scope import bound_here
from einfall.lower.limits import Limits, limits_of
from einfall.lower.scatters import scatter_into, scatter_of
from einfall.lower.updates import update_into
from einfall.nest.check import check
from einfall.nest.nodes import Nest
from einfall.scalar import memory as mem
from einfall.scalar.dtypes import I64
from einfall.scalar.monoids import Monoid
from einfall.scalar.nodes import Cast, Const, Expr, Map, Rounded, Select, const
from einfall.scalar.ops import OPS
from einfall.scalar.run import rounds

__all__ = ["cascade_to_nest"]


def cascade_to_nest(cascade: cas.Cascade, updates: frozenset[int] = frozenset(), *, has_scatters: bool = True) -> Nest:
    """The nest that computes a cascade.

    updates: the outputs that hold an input already, of which they replace a part;
    has_scatters: whether elements may be stored at computed indices, which takes them one after the other.
    """
    prepared = inline(make_absence_explicit(cascade))
    lowering = _Lowering(prepared, has_scatters)
    nest = lowering.program(updates)
    check(nest)
    return nest


LONG = 24  # operators
SHORT = 16  # a loop of so few steps is not cut shorter: lanes of the loops around it would have ends of their own


Place = mem.Buffer | mem.Value  # where a value is: in memory, or carried by a loop


class States:
    """What the label of a scan stands for inside its loop: where the states are."""

    def __init__(self, places: tuple[Place, ...]):
        self.places = places


class Level(NamedTuple):
    """A loop under construction: its index, what it gives free variables to stand for, and the statements so far."""

    variable: mem.Variable | None
    bound: tuple
    states: States | None
    statements: list[mem.Statement]
    count: Expr | None = None
    conditions: frozenset[tuple] = frozenset()  # what holds inside, since the loop ends where it does not
    is_place: bool = False  # what is bound is a place that an element goes to, and no coordinate of a loop


class Kept(NamedTuple):
    """Values that are kept: over which ranks, and for which coordinates of the loops around them.

    local: the ranks whose first index in memory is where the loop begins, not 0.
    """

    buffers: tuple[Place, ...]
    ranks: tuple[cas.Rank, ...]
    extents: tuple[Expr, ...]
    outer: tuple[tuple[Node, object], ...]
    local: frozenset[cas.Rank] = frozenset()


class _Lowering:
    """One lowering: loops open now, what their ranks are, what is known at which loop."""

    def __init__(self, cascade: cas.Cascade, has_scatters: bool):
        self.cascade, self.has_scatters = cascade, has_scatters
        self.names = Counter(item.name for item in cascade.inputs)
        self.inputs = {item: _input(item) for item in cascade.inputs}
        self.levels = [Level(None, (), None, [])]
        self.known: list[dict] = [{}]  # per level: what has been computed under it
        self.env: dict[Node, object] = {}  # what a free rank or label stands for here
        self.extents: dict[cas.Rank, Expr] = {}
        self.local: dict[cas.Rank, Expr] = {}  # coordinates from where the loop begins
        self.users = _binders(cascade)
        self.lengths = _lengths(cascade)
        self.histories: dict[cas.Scan, set[int]] = {}  # of each scan the states that are read after its steps
        for node in postorder(*cascade.outputs):
            if isinstance(node, cas.History):
                self.histories.setdefault(node.scan, set()).add(node.place)

    def program(self, updates: frozenset[int]) -> Nest:
        outputs = []
        for place, tensor in enumerate(self.cascade.outputs):
            name = self.fresh("out" if len(self.cascade.outputs) == 1 else f"out{place}")
            outputs.append(mem.Buffer(name, tensor.dtype, tuple(map(self.size, tensor.extents))))
        pairs = list(zip(self.cascade.outputs, outputs))
        self.outputs([pair for place, pair in enumerate(pairs) if place not in updates], 0)
        for place in sorted(updates):
            update_into(self, *pairs[place])
        inputs = tuple(self.inputs[item] for item in self.cascade.inputs)
        return Nest(self.cascade.name, inputs, tuple(outputs), tuple(self.levels[0].statements))

    def outputs(self, group: list[tuple[cas.Tensor, mem.Buffer]], depth: int) -> None:
        """Outputs that agree on their first ranks share the loops over them."""
        while group:
            tensor, buffer = group[0]
            if self.scattered_output(tensor, buffer, depth):
                group = group[1:]
                continue
            if len(tensor.ranks) == depth:
                places = tuple(self.env[rank] for rank in tensor.ranks)
                self.emit(mem.Store(buffer, places, self.value(tensor.body)))
                group = group[1:]
                continue
            rank, extent = tensor.ranks[depth], tensor.extents[depth]
            alike = [item for item in group if item[0].ranks[depth:depth + 1] == (rank,)
                     and item[0].extents[depth] is extent]
            state = self.state()
            self.open(rank, extent)
            self.outputs(alike, depth + 1)
            self.close(rank, "parallel")
            self.restore(state)
            group = [item for item in group if item not in alike]

    def scattered_output(self, tensor: cas.Tensor, buffer: mem.Buffer, depth: int) -> bool:
        """Fills an output whose elements are stored at computed indices, below the loops that these depend on; False
        for another, or where the loops are still to come."""
        scatter, rest = scatter_of(tensor.body) if self.has_scatters else None, tensor.ranks[depth:]
        if scatter is None or not rest or not {*scatter.targets} <= {*rest} or not {*rest} <= tensor.body.free or any(
                rest[0] in index.free for index in scatter.targets.values()):
            return False
        outer = tuple(self.env[rank] for rank in tensor.ranks[:depth])
        scatter_into(self, tensor.body, scatter, buffer, outer, dict(zip(rest, tensor.extents[depth:])),
                     depth == 0)
        return True

    # Names, loops, statements

    def fresh(self, wanted: str) -> str:
        """A name that nothing else has."""
        name, number = wanted, 1
        while name in self.names:
            number += 1
            name = f"{wanted}_{number}"
        self.names[name] += 1
        return name

    def emit(self, statement: mem.Statement) -> None:
        self.levels[-1].statements.append(statement)

    def size(self, extent: Expr) -> Expr:
        """An extent, in the language of nests."""
        return rewrite(extent, lambda node: mem.Size(node.input, node.axis) if isinstance(node, cas.Size) else None)

    def open(self, rank: cas.Rank, extent: Expr, limits: Limits | None = None) -> None:
        """A loop over a rank, from the largest lower limit to the smallest upper one."""
        limits = limits or Limits()
        lows = [self.value(low) for one in limits.bounds for low in one.lows]
        count = self.size(extent)
        for high in [self.value(high) for one in limits.bounds for high in one.highs]:
            count = Map(OPS["minimum"], (count, high))
        variable = mem.Variable(self.fresh(rank.name))
        place: Expr = variable
        if lows:
            begin, *more = sorted(lows, key=mem.is_never_negative, reverse=True)
            if not mem.is_never_negative(begin):
                more = [Const(0, I64), *more]
            for low in more:
                begin = Map(OPS["maximum"], (begin, low))
            count, place = Map(OPS["subtract"], (count, begin)), Map(OPS["add"], (begin, variable))
        if not mem.is_never_negative(count):
            count = Map(OPS["maximum"], (count, Const(0, I64)))
        self.env = {**self.env, rank: place}
        held = frozenset(map(self.here, limits.conditions))
        self.levels = [*self.levels, Level(variable, (place,), None, [], count, held)]
        self.known = [*self.known, {}]
        self.extents = {**self.extents, rank: extent}
        self.local = {**self.local, rank: variable}

    def close(self, rank: cas.Rank, kind: str, carried: tuple[mem.Carried, ...] = (), monoid: Monoid | None = None
              ) -> None:
        level = self.levels[-1]
        count = self.size(self.extents[rank]) if level.count is None else level.count
        self.levels, self.known = self.levels[:-1], self.known[:-1]
        self.emit(mem.Loop(level.variable, count, kind, monoid, carried, tuple(level.statements)))

    def enter(self, variable: mem.Variable, count: Expr, bound: tuple = ()) -> None:
        """A loop of so many steps, inside which these values are known."""
        self.levels = [*self.levels, Level(variable, bound, None, [], count, is_place=bool(bound))]
        self.known = [*self.known, {}]

    def leave(self, kind: str) -> None:
        """The end of what `enter` began."""
        level = self.levels[-1]
        self.levels, self.known = self.levels[:-1], self.known[:-1]
        self.emit(mem.Loop(level.variable, level.count, kind, None, (), tuple(level.statements)))

    def state(self) -> tuple:
        """What `restore` puts back: the loops open, and what names stand for."""
        return self.levels, self.known, self.env, self.extents, self.local

    def restore(self, state: tuple) -> None:
        self.levels, self.known, self.env, self.extents, self.local = state

    def workspace(self, dtype, extents: tuple[Expr, ...]) -> mem.Buffer:
        buffer = mem.Buffer(self.fresh("w"), dtype, tuple(map(self.size, extents)))
        self.emit(mem.Workspace(buffer))
        return buffer

    def fill(self, buffers: tuple[mem.Buffer, ...], outer: tuple[Expr, ...], ranks, extents,
             compute: Callable[[], tuple[Expr, ...]], limits: dict[cas.Rank, Limits] | None = None,
             local: frozenset[cas.Rank] = frozenset()) -> None:
        """buffers[outer, ranks] = compute(), for all coordinates of the ranks, or those within limits."""
        state = self.state()
        for rank, extent in zip(ranks, extents):
            self.open(rank, extent, (limits or {}).get(rank))
        places = (*outer, *(self.local[rank] if rank in local else self.env[rank] for rank in ranks))
        for buffer, value in zip(buffers, compute()):
            self.emit(mem.Store(buffer, places, value))
        for rank in reversed(ranks):
            self.close(rank, "parallel")
        self.restore(state)

    # Values

    def value(self, node: Expr) -> Expr:
        """An expression of a cascade as one of the nest, at the innermost loop; emits before it what it needs."""
        match node:
            case Const():
                return node
            case cas.Size():
                return self.size(node)
            case cas.Scalar():
                return self.inputs[node]
            case cas.Index(rank):
                return self.env[rank]
            case cas.Reduce():
                return self.obtained(node, node.monoid.dtypes, lambda: self.reduced(node))[0]
            case cas.Part(reduce, place):
                return self.obtained(reduce, reduce.monoid.dtypes, lambda: self.reduced(reduce))[place]
            case Map(op) if op.name in COSTLY or self.is_long(node):
                return self.obtained(node, (node.dtype,), lambda: (self.computed(node),))[0]
        key = self.key(node)
        for known in reversed(self.known):
            if key in known:
                return known[key]
        made = self.known[-1][key] = self.computed(node)
        return made

    def is_long(self, node: Expr) -> bool:
        """Whether a map is the end of a long chain, which others should read instead of repeating."""
        return self.lengths.get(node, 0) >= LONG

    def key(self, node: Node) -> tuple:
        """The node, and what its free variables stand for here."""
        return node, *(self.env[variable] for variable in sorted(node.free, key=lambda item: item.name))

    def computed(self, node: Expr) -> Expr:
        match node:
            case Map(op, args):
                return Map(op, tuple(map(self.value, args)))
            case Select(condition, yes, no):
                left = self.undecided(conjuncts(condition))
                if not left or not self.undecided(conjuncts(condition, holds=False)):
                    return self.value(no if left else yes)
                return Select(self.value(condition), self.value(yes), self.value(no))
            case Cast(arg, to):
                made = type(node)(self.value(arg), to)
                # what is kept in memory is not weak any more, and is rounded as it was before
                return Rounded(made.arg, to) if rounds(made) and not rounds(node) else made
            case cas.Coordinate(arg):
                return self.value(arg)
            case cas.Access():
                return self.access(node)
        raise TypeError(f"not an expression of a cascade: {node!r}")

    def undecided(self, conditions: list[Expr]) -> list[Expr]:
        """The conditions that the limits of the loops around do not already say."""
        return [item for item in conditions if not any(self.here(item) in level.conditions for level in self.levels)]

    def here(self, condition: Expr) -> tuple:
        """A condition with what its variables stand for here: the same words inside a binder may be about others."""
        return condition, *((variable, id(self.env[variable]))
                            for variable in sorted(condition.free, key=lambda item: item.name))

    def access(self, node: cas.Access) -> Expr:
        indices = tuple(map(self.value, node.indices))
        match node.source:
            case cas.Input():
                buffer = self.inputs[node.source]
            case cas.Tensor():
                kept = self.tensor(node.source)
                buffer = kept.buffers[0]
                indices = (*(self.env[rank] for rank in kept.ranks), *indices)
            case cas.State(label, place):
                buffer = self.env[label].places[place]
            case cas.History(scan, place):
                kept = self.scan(scan)
                buffer = kept.buffers[place]
                indices = (*(self.env[rank] for rank in kept.ranks), *indices)
            case _:
                raise TypeError(f"no memory: {node.source!r}")
        if isinstance(buffer, mem.Value):
            return buffer
        if all(isinstance(index, cas.Index | cas.Coordinate) for index in node.indices):
            return mem.Load(buffer, indices, None)  # a bare rank has the extent of its axis
        return mem.Load(buffer, indices, const(0, node.dtype) if node.outside is None else node.outside)

    def tensor(self, tensor: cas.Tensor) -> Kept:
        """A tensor that is read out of order, computed once for what it is free in: before everything else, or where
        the states of a scan are known that it reads."""
        found = self.found(tensor)
        if found is not None:
            return found
        depth = self.depth(tensor)
        ranks = self.inner_ranks(tensor, depth)
        state = self.state()
        self.levels, self.known = self.levels[:depth], self.known[:depth]
        sizes = tuple(self.extents[rank] for rank in ranks)
        buffer = self.workspace(tensor.dtype, (*sizes, *tensor.extents))
        self.fill((buffer,), (), (*ranks, *tensor.ranks), (*sizes, *tensor.extents), lambda: (self.value(tensor.body),))
        kept = self.keep(tensor, (buffer,), ranks)
        self.restore(state)
        return kept

    # Placement

    def depth(self, node: Node, also: frozenset = frozenset()) -> int:
        """Under how many levels a value belongs; `also` are variables that decide where it is needed."""
        free = node.free | also
        shared = {variable for variable in node.free if len(self.users.get((node, variable), ())) > 1}
        own = {id(self.env[variable]): variable for variable in free}
        count = 1
        for level in self.levels[1:]:
            found = [own[id(item)] for item in level.bound if id(item) in own]
            if not found or any(variable in shared for variable in found):
                break
            count += 1
        # states exist inside their scan only
        return max([count, *(place + 1 for place, level in enumerate(self.levels) if id(level.states) in own)])

    def inner_ranks(self, node: Node, depth: int) -> tuple[cas.Rank, ...]:
        """The ranks of a value whose loops are not around its place."""
        inner = {id(item) for level in self.levels[depth:] for item in level.bound}
        return tuple(sorted((variable for variable in node.free if id(self.env[variable]) in inner),
                            key=lambda rank: rank.name))

    def found(self, node: Node) -> Kept | None:
        """What is kept of a node for these coordinates."""
        for known in reversed(self.known):
            for kept in known.get(node, ()):
                if all(self.env.get(variable) is value for variable, value in kept.outer) and all(
                        self.extents.get(rank) is extent for rank, extent in zip(kept.ranks, kept.extents)):
                    return kept
        return None

    def keep(self, node: Node, buffers: tuple[Place, ...], ranks: tuple[cas.Rank, ...],
             local: frozenset[cas.Rank] = frozenset(), also: frozenset = frozenset()) -> Kept:
        """Remembers, at the innermost level, where the values of a node are; `also` are variables that limit them."""
        outer = tuple((variable, self.env[variable]) for variable in node.free | also if variable not in ranks)
        kept = Kept(buffers, ranks, tuple(self.extents[rank] for rank in ranks), outer, local)
        self.known[-1].setdefault(node, []).append(kept)
        return kept

    def obtained(self, node: Expr, dtypes: tuple, compute: Callable[[], tuple[Expr, ...]]) -> tuple[Expr, ...]:
        """The values of a reduction or a costly map, computed where they belong and at most once there."""
        key = self.key(node)
        for known in reversed(self.known):
            if key in known:
                return known[key]
        kept = self.found(node) or self.scattered(node)
        if kept is None and self.is_at_a_place(node):
            values = self.known[-1][key] = compute()  # kept, it would be computed for all elements at all places
            return values
        if kept is None:
            wanted = self.limits_of_users(node)
            deciding = frozenset().union(*(limits.free() for limits in wanted.values()))
            depth = self.depth(node, deciding - node.free)
            ranks = self.inner_ranks(node, depth)
            state = self.state()
            self.levels, self.known = self.levels[:depth], self.known[:depth]
            if not ranks and depth > 1:  # what no loop is around is kept in memory, for whole programs to read
                values = self.known[-1][key] = compute()
                self.restore(state)
                return values
            limits = {rank: wanted[rank] for place, rank in enumerate(ranks)
                      if rank in wanted and self.are_known_here(wanted[rank], set(ranks[place:]))}
            sizes = {rank: one.length() for rank, one in limits.items() if one.length() is not None}
            extents = tuple(self.extents[rank] for rank in ranks)
            buffers = tuple(self.workspace(dtype, tuple(sizes.get(rank, self.extents[rank]) for rank in ranks))
                            for dtype in dtypes)
            self.fill(buffers, (), ranks, extents, compute, limits, frozenset(sizes))
            kept = self.keep(node, buffers, ranks, frozenset(sizes), deciding)
            self.restore(state)
        places = tuple(self.local[rank] if rank in kept.local else self.env[rank] for rank in kept.ranks)
        values = tuple(mem.Load(buffer, places, None) for buffer in kept.buffers)
        self.known[-1][key] = values
        return values

    def is_at_a_place(self, node: Expr) -> bool:
        """Whether a value is one of an element and of the place that it goes to."""
        own = {id(self.env[variable]) for variable in node.free}
        is_of_loops = False
        for level in self.levels:
            is_bound = any(id(item) in own for item in level.bound)
            if is_bound and level.is_place:
                return is_of_loops
            is_of_loops |= is_bound
        return False

    # Reductions and scans

    def scattered(self, node: Expr) -> Kept | None:
        """A reduction whose elements are stored at computed indices, outside of the loops over these places; None for
        another, and where a state decides what is stored."""
        scatter = scatter_of(node) if self.has_scatters else None
        if scatter is None:
            return None
        of_targets = {id(self.env[rank]) for rank in scatter.targets}
        depth = min([self.depth(node), *(place for place, level in enumerate(self.levels)
                                         if any(id(item) in of_targets for item in level.bound))])
        ranks = self.inner_ranks(node, depth)
        if not {*scatter.targets} <= {*ranks} or not all(isinstance(rank, cas.Rank) for rank in ranks):
            return None
        state = self.state()
        self.levels, self.known = self.levels[:depth], self.known[:depth]
        extents = {rank: self.extents[rank] for rank in ranks}
        buffer = self.workspace(node.dtype, tuple(extents.values()))
        scatter_into(self, node, scatter, buffer, (), extents, depth == 1)
        kept = self.keep(node, (buffer,), ranks)
        self.restore(state)
        return kept

    def reduced(self, node: cas.Reduce) -> tuple[Expr, ...]:
        """A loop a rank, the elements brought together in carried values."""
        limits, bodies = restricted(node)
        state = self.state()
        chain: list[tuple[mem.Value, ...]] = []
        for rank, extent in zip(node.ranks, node.extents):
            self.open(rank, extent, limits[rank])
            chain.append(tuple(mem.Value(self.fresh("a"), dtype) for dtype in node.monoid.dtypes))
        if not chain:
            return tuple(map(self.value, bodies))
        elements = tuple(map(self.value, bodies))
        inits, updates, monoid = [node.monoid.identity, *chain[:-1]], elements, node.monoid
        for place in reversed(range(len(chain))):
            carried = tuple(map(mem.Carried, chain[place], inits[place], updates))
            self.close(node.ranks[place], "sequential", carried, monoid)
            updates, monoid = chain[place], None  # the loops around continue what the innermost one began
        self.restore(state)
        return chain[0]

    def limits_of_users(self, node: Node) -> dict[cas.Rank, Limits]:
        """The limits that all reductions that read a value put on a rank of it, where they put the same."""
        found = {}
        for rank in node.free:
            alike = {}
            for user in self.users.get((node, rank), ()):
                limits = restricted(user)[0].get(rank, Limits()) if isinstance(user, cas.Reduce) else Limits()
                alike[frozenset(limits.conditions)] = limits
            (only,) = alike.values() if len(alike) == 1 else (Limits(),)
            if only.bounds and only.free() <= set(self.env):
                found[rank] = only
        return found

    def are_known_here(self, limits: Limits, later: set[cas.Rank]) -> bool:
        """Whether limits depend on nothing but what the loops around give."""
        around = {id(item) for level in self.levels for item in level.bound}
        free = limits.free()
        return free.isdisjoint(later) and all(id(self.env.get(variable)) in around for variable in free)

    def scan(self, scan: cas.Scan) -> Kept:
        """The histories of the states of a scan (only the last states if that is all that is asked for)."""
        found = self.found(scan)
        if found is not None:
            return found
        depth = self.depth(scan)
        ranks = self.inner_ranks(scan, depth)
        state = self.state()
        self.levels, self.known = self.levels[:depth], self.known[:depth]
        sizes = tuple(self.extents[rank] for rank in ranks)
        inside = self.state()
        if scan.last and not ranks and depth > 1:
            kept = self.keep(scan, self.steps(scan), ranks)
        else:
            length = () if scan.last else (scan.extent,)
            histories = tuple(self.workspace(init.dtype, (*sizes, *length, *extents)) if place in self.histories[scan]
                              else None for place, (init, extents) in enumerate(zip(scan.inits, scan.extents)))
            for rank, size in zip(ranks, sizes):
                self.open(rank, size)
            outer = tuple(self.env[rank] for rank in ranks)
            last = self.steps(scan, None if scan.last else histories, outer)
            if scan.last:
                self.copy(scan, last, histories, outer)
            for rank in reversed(ranks):
                self.close(rank, "parallel")
            self.restore(inside)
            kept = self.keep(scan, histories, ranks)
        self.restore(state)
        return kept

    def steps(self, scan: cas.Scan, histories: tuple[mem.Buffer, ...] | None = None, outer: tuple[Expr, ...] = ()
              ) -> tuple[Place, ...]:
        """The states begin, and are updated along the rank; where the last ones are.

        A state without axes is carried by the loop. One with axes is in memory, and is updated in place where only its
        own step reads it, at the same coordinates; others are computed beside and copied.
        """
        now = tuple(self.workspace(init.dtype, extents) if axes else mem.Value(self.fresh("s"), init.dtype)
                    for init, axes, extents in zip(scan.inits, scan.axes, scan.extents))
        inits = [self.value(init) if not axes else None for init, axes in zip(scan.inits, scan.axes)]
        for place, init in enumerate(scan.inits):
            self.fill_state(scan, place, now[place], lambda init=init: (self.value(init),))
        order, in_place = _order_of_updates(scan)
        beside = {place: self.workspace(scan.inits[place].dtype, scan.extents[place]) for place in range(len(now))
                  if scan.axes[place] and place not in in_place}
        state = self.state()
        step = mem.Variable(self.fresh(scan.rank.name))
        place_now: Expr = step
        if scan.reverse:
            last = Map(OPS["subtract"], (self.size(scan.extent), Const(1, I64)))
            place_now = Map(OPS["subtract"], (last, step))
        states = States(now)
        self.levels = [*self.levels, Level(step, (place_now, states), states, [])]
        self.known = [*self.known, {}]
        self.env = {**self.env, scan.rank: place_now, scan.label: states}
        self.extents = {**self.extents, scan.rank: scan.extent}
        if scan.exclusive and histories:
            self.copy(scan, now, histories, (*outer, place_now))
        updates = [None if axes else self.before_stores(scan, after) for axes, after in zip(scan.axes, scan.steps)]
        for place in order:
            after = scan.steps[place]
            self.fill_state(scan, place, beside.get(place, now[place]), lambda after=after: (self.value(after),))
        for place, new in beside.items():
            self.fill_state(scan, place, now[place], lambda place=place, new=new: (
                mem.Load(new, tuple(self.env[rank] for rank in scan.axes[place]), None),))
        if not scan.exclusive and histories:
            after = tuple(place if update is None else update for place, update in zip(now, updates))
            self.copy(scan, after, histories, (*outer, place_now))
        carried = tuple(mem.Carried(value, init, update) for value, init, update in zip(now, inits, updates)
                        if update is not None)
        self.close(scan.rank, "sequential", carried)
        self.restore(state)
        return now

    def before_stores(self, scan: cas.Scan, step: Expr) -> Expr:
        """The step of a state that the loop carries; where it reads states in memory, before these are overwritten."""
        value = self.value(step)
        if not any(isinstance(node, cas.State) and node.label is scan.label and node.ndim for node in postorder(step)):
            return value
        held = self.workspace(step.dtype, ())
        self.emit(mem.Store(held, (), value))
        return mem.Load(held, (), None)

    def fill_state(self, scan: cas.Scan, place: int, buffer: Place, compute: Callable[[], tuple[Expr, ...]]) -> None:
        """The values of a state with axes, for all their coordinates; nothing for a state without."""
        if scan.axes[place]:
            self.fill((buffer,), (), scan.axes[place], scan.extents[place], compute)

    def copy(self, scan: cas.Scan, source: tuple[Expr | mem.Buffer, ...], target: tuple[mem.Buffer | None, ...],
             places: tuple[Expr, ...]) -> None:
        """The states, stored at these coordinates."""
        # what a loop carries first: a copy of memory may become a program of its own
        states = [item for item in zip(source, target, scan.axes, scan.extents) if item[1] is not None]
        for one, other, axes, extents in sorted(states, key=lambda state: isinstance(state[0], mem.Buffer)):
            self.fill((other,), places, axes, extents, lambda one=one, axes=axes: (
                mem.Load(one, tuple(self.env[rank] for rank in axes), None) if isinstance(one, mem.Buffer) else one,))


def _input(item: cas.Input | cas.Scalar) -> mem.Buffer | mem.Number:
    if isinstance(item, cas.Scalar):
        return mem.Number(item.name, item.type)
    return mem.input_buffer(item.name, item.type, item.ndim)


def _lengths(cascade: cas.Cascade) -> dict[Node, int]:
    """How many operators a map repeats wherever it is computed in place; what is kept counts as read."""
    lengths: dict[Node, int] = {}
    for node in postorder(*cascade.outputs):
        if isinstance(node, Map | Select | Cast):
            below = (lengths.get(child, 0) for child in children(node))
            lengths[node] = 1 + sum(0 if isinstance(child, Map) and length >= LONG else length
                                    for child, length in zip(children(node), below))
    return lengths


def _binders(cascade: cas.Cascade) -> dict[tuple[Node, Node], frozenset]:
    """For each node and each of its free variables, the binders that bind it for some use of the node."""
    around: dict[Node, dict[Node, frozenset]] = {}
    for node in reversed(list(postorder(*cascade.outputs))):
        own = around.setdefault(node, {})
        bound: dict[Node, object] = {}
        match node:
            case cas.Tensor(ranks, extents) if node in cascade.outputs:
                bound = {rank: (rank, extent) for rank, extent in zip(ranks, extents)}
            case cas.Tensor(ranks) | cas.Reduce(ranks=ranks):
                bound = dict.fromkeys(ranks, node)
            case cas.Scan():
                bound = dict.fromkeys((node.rank, node.label, *(axis for axes in node.axes for axis in axes)), node)
        for child in children(node):
            below = around.setdefault(child, {})
            for variable in getattr(child, "free", ()):
                here = frozenset((bound[variable],)) if variable in bound else own.get(variable, frozenset())
                below[variable] = below.get(variable, frozenset()) | here
    return {(node, variable): binders for node, found in around.items() for variable, binders in found.items()}


def restricted(node: cas.Reduce) -> tuple[dict[cas.Rank, Limits], tuple[Expr, ...]]:
    """The limits that the body's conditions put on each rank, and the body with the conditions that are left."""
    if len(node.bodies) > 1 or not node.ranks:
        return dict.fromkeys(node.ranks, Limits()), node.bodies
    conditions, body = guarded(node.bodies[0], node.monoid.identity[0])
    # in one order wherever they come from, so that loops over the same coordinates are written alike
    conditions = sorted(conditions, key=lambda item: sum(1 for _ in postorder(item)))
    limits, left = limits_of(conditions, node, SHORT)
    for condition in left:
        body = Select(condition, body, node.monoid.identity[0])
    return limits, (body,)


def _order_of_updates(scan: cas.Scan) -> tuple[list[int], set[int]]:
    """The states in an order in which they may be updated, and those that are updated in place.

    Those that are computed beside come first, then each state after those that read it.
    """
    with_axes = [place for place, axes in enumerate(scan.axes) if axes]  # others are computed before anything is stored
    readers = {place: {number for number in with_axes if number != place and any(
        isinstance(node, cas.State) and node.label is scan.label and node.place == place
        for node in postorder(scan.steps[number]))} for place in with_axes}
    left = {place for place in with_axes if _reads_itself_in_place(scan, place)}
    order, in_place = [place for place in with_axes if place not in left], set()
    while left:
        ready = [place for place in sorted(left) if readers[place] <= {*order}]
        if not ready:  # they read each other: one of them is computed beside
            ready = [min(left)]
            order.insert(0, ready[0])
        else:
            in_place.update(ready)
            order += ready
        left.difference_update(ready)
    return order, in_place


def _reads_itself_in_place(scan: cas.Scan, place: int) -> bool:
    """Whether the step of a state reads it only at the coordinates that the step is computed for."""
    own = tuple(map(cas.Index, scan.axes[place]))
    for node in postorder(scan.steps[place]):
        match node:
            case cas.Access(cas.State(label, where), indices) if label is scan.label and where == place:
                if indices != own:
                    return False
            case cas.Tensor() | cas.Reduce() | cas.Scan() if not bound_here(node).isdisjoint(scan.axes[place]):
                return False
    return True

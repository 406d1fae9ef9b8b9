"""A linear recurrence in chunks, as a cascade: what is sequential goes from chunk to chunk, all else is products.

    S[c + 1] = (gates of chunk c) * S[c] + sum over the steps of chunk c of (the gates behind it) * k * u
    o[c, i]  = q . (gates to i) * S[c] + sum over j <= i of (q . (gates of j+1..i) * k[j]) * u[j]

Feedback is one more source (a, x), where x[i] = b[i] . S before step i is linear in S[c] and in the x before it: a
triangular system, solved once with the columns of S[c] still open (x = W . S[c] + U), so that chunks stay independent.
"""

from collections.abc import Callable

from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.explicit import is_heavy, plus_0
from einfall.cascade.nodes import Access, Cascade, History, Index, Label, Rank, Scan, State, Tensor
from einfall.cascade.scope import fresh, substitute
from einfall.derive.decays import Decays, Labels, both, compare, integer, minus, plus
from einfall.derive.linear import added, multiplied, summed
from einfall.derive.recurrences import Read, ReadOut, Recurrence, prepared
from einfall.scalar.nodes import Expr, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["LEAF", "chunked"]

LEAF = 8  # steps of a block whose products of gates are written out

Factor = Callable[[Expr], Expr]  # of a step, at a row of the chunk


def chunked(cascade: Cascade, recurrence: Recurrence, chunk: int) -> Cascade:
    """The program with that recurrence in chunks of so many steps; for any number of steps.

    Raises: ValueError for a recurrence that has no such form or is none of this program, and for a chunk below 1.
    """
    if recurrence.form != "chunks" or chunk < 1:
        raise ValueError(f"chunks of {chunk} for a recurrence of the form {recurrence.form!r}: {recurrence.reason}")
    cascade = prepared(cascade)
    made = _Chunks(cascade, recurrence, chunk)
    memo: dict[Node, Node] = {}
    if recurrence.scan.last:
        for node in postorder(*cascade.outputs):
            match node:
                case Access(History(scan, place), indices) if scan is recurrence.scan and place == recurrence.place:
                    memo[node] = made.final(indices)
    for readout in recurrence.readouts:
        memo[readout.reduce] = made.readout(readout)
    if not memo or not memo.keys() <= set(postorder(*cascade.outputs)):
        raise ValueError("the recurrence is not one of this program")
    return Cascade(cascade.name, cascade.inputs, tuple(rewrite(output, None, memo) for output in cascade.outputs))


class _Chunks:
    """The parts of the chunked program. Ranks: c the chunk, i the row (a step in it), j the column (an earlier one)."""

    def __init__(self, cascade: Cascade, recurrence: Recurrence, size: int):
        self.recurrence, self.size, self.dtype = recurrence, size, recurrence.dtype
        taken = _ranks_of(recurrence)
        self.labels = Labels(node for node in postorder(*cascade.outputs) if isinstance(node, Scan))
        names = []
        for name in ("chunk", "row", "col", "other"):
            names.append(_unused(name, taken))
            taken.add(names[-1])
        self.chunk, self.row, self.column, self.third = names
        scan = recurrence.scan
        self.keys, self.axes = recurrence.keys, recurrence.axes
        self.extents = dict(zip(recurrence.axes, recurrence.extents))
        self.values = tuple(axis for axis in self.axes if axis not in self.keys)
        self.inner = {}  # the names of the keys where W meets the state
        for key in self.keys:
            self.inner[key] = fresh(key, taken)
            taken.add(self.inner[key])
        self.count = over(plus(scan.extent, size - 1), size)
        free = frozenset().union(*(gate.free for gate in recurrence.gates))
        gated = tuple(axis for axis in self.axes if axis in free)
        self.decays = None if not recurrence.gates else Decays(
            self.gate(Index(self.row)), self.row, self.column, gated, self.sizes(gated), size, self.labels)
        self.on_keys = recurrence.kind == "key-wise"
        self.on_values = recurrence.kind == "value-wise"
        self.sources = [(self.factor(source.k), self.factor(source.u)) for source in recurrence.sources]
        self.a = [self.factor(pair.a) for pair in recurrence.feedback]
        self.b = [self.factor(pair.b) for pair in recurrence.feedback]
        self.solved = self.solution() if recurrence.feedback else ()
        self.states = self.state_scan()

    def sizes(self, axes: tuple[Rank, ...]) -> tuple[Expr, ...]:
        return tuple(self.extents[axis] for axis in axes)

    # Steps of chunks

    def step(self, row: Expr) -> Expr:
        """How many steps of the recurrence are before that row."""
        return plus(Map(OPS["multiply"], (Index(self.chunk), integer(self.size))), row)

    def exists(self, row: Expr) -> Expr:
        """Whether there is such a step: the last chunk may have fewer."""
        return compare("less", self.step(row), self.recurrence.scan.extent)

    def when(self, step: Expr) -> Expr:
        """The coordinate of a step, and the step of a coordinate."""
        scan = self.recurrence.scan
        return minus(minus(scan.extent, integer(1)), step) if scan.reverse else step

    def at(self, expr: Expr, time: Rank, row: Expr) -> Expr:
        """What depends on the step, at a row of which there is one; what is costly is computed once for each step."""
        if time not in expr.free:
            return expr
        when = self.when(self.step(row))
        if not is_heavy(expr):
            return substitute(expr, {time: when})
        own = tuple(axis for axis in self.axes if axis in expr.free)
        tensor = Tensor((time, *own), (self.recurrence.scan.extent, *self.sizes(own)), expr)
        return Access(tensor, (when, *map(Index, own)), None)

    def factor(self, expr: Expr) -> Factor:
        return lambda row: self.at(expr, self.recurrence.scan.rank, row)

    def gate(self, row: Expr) -> Expr:
        """The gate at a row; 1 where there is no step."""
        gate = self.at(multiplied(self.recurrence.gates, self.dtype), self.recurrence.scan.rank, row)
        return Select(self.exists(row), gate, const(1, self.dtype))

    def since_start(self, row: Expr, *, strict: bool) -> Expr | None:
        """The gates of the chunk to that row; None for 1."""
        return self.decays and self.decays.since(self.size, row, strict=strict)

    def times(self, *factors: Expr | None) -> Expr:
        return multiplied([factor for factor in factors if factor is not None], self.dtype)

    def over_keys(self, body: Expr) -> Expr:
        return summed(self.keys, self.sizes(self.keys), body)

    def or_nothing(self, condition: Expr, value: Expr) -> Expr:
        """Absent where the condition does not hold."""
        return Select(condition, value, const(0, self.dtype))

    # Scores

    def scores(self, row_factor: Factor, column_factor: Factor, row: Expr, column: Expr, *, strict: bool) -> Expr:
        """sum over the keys of a factor of the row, the gates between, and a factor of the column; for earlier columns
        only (or the same)."""
        if self.on_keys:
            return self.halved_scores(row_factor, column_factor, row, column, strict=strict)
        score = self.over_keys(self.times(row_factor(row), column_factor(column)))
        if self.decays is None or self.on_values:
            return score
        return self.times(self.decays.between_all(row, column, strict=strict), score)

    def is_seen(self, row: Expr, column: Expr, *, strict: bool) -> Expr:
        """Whether a column is a step before a row, or that of the row."""
        return both(compare("less" if strict else "less_equal", column, row), self.exists(column))

    def over_earlier(self, rank: Rank, row: Expr, body: Expr, *, strict: bool) -> Expr:
        """The sum over the columns before a row, or up to it."""
        seen = self.or_nothing(self.is_seen(row, Index(rank), strict=strict), body)
        return summed((rank,), (integer(self.size),), seen)

    def square(self, scores: Expr) -> Tensor:
        """The scores of a read-out over chunks, rows and columns."""
        extents = (self.count, integer(self.size), integer(self.size))
        row, column = Index(self.row), Index(self.column)
        is_seen = both(self.is_seen(row, column, strict=self.strict), self.exists(row))
        return Tensor((self.chunk, self.row, self.column), extents, self.or_nothing(is_seen, scores))

    def levels(self) -> list[int]:
        """The sizes of the blocks that are brought together two by two."""
        sizes = []
        block = LEAF
        while block < self.size:
            sizes.append(block)
            block *= 2
        return sizes

    def halved_scores(self, row_factor: Factor, column_factor: Factor, row: Expr, column: Expr, *,
                      strict: bool) -> Expr:
        """Scores whose gates depend on keys: cut at a boundary between column and row, each side's product is a factor
        of its own, and both are products of some of the gates."""
        leaf = self.leaf_scores(row_factor, column_factor, strict=strict)
        found: Expr = Access(leaf, (Index(self.chunk), over(row, self.leaf), within(row, self.leaf),
                                    within(column, self.leaf)), None)
        for block in self.levels():  # the largest blocks that they are not both in come to stand outermost
            is_cut = compare("not_equal", over(row, block), over(column, block))
            pair = self.pair_scores(row_factor, column_factor, block, strict=strict)
            found = Select(is_cut, Access(pair, (Index(self.chunk), over(row, 2 * block), within(row, block),
                                                 within(column, block)), None), found)
        return found

    def pair(self, block: int) -> tuple[Expr, Expr, int]:
        """A row in the second of two blocks and a column in the first, both as rows of the chunk; how many pairs."""
        begin = Map(OPS["multiply"], (Index(self.third), integer(2 * block)))
        row, column = plus(begin, plus(Index(self.row), block)), plus(begin, Index(self.column))
        return row, column, -(-self.size // (2 * block))

    def exists_in_block(self, row: Expr, block: int) -> Expr:
        """Whether the chunk has such a row, and it is a step: the last block of a chunk may have fewer."""
        exists = self.exists(row)
        return both(compare("less", row, integer(self.size)), exists) if self.size % block else exists

    def pair_scores(self, row_factor: Factor, column_factor: Factor, block: int, *, strict: bool) -> Tensor:
        """The scores of the second of each two blocks with the first: over chunks, pairs, rows and columns of them."""
        row, column, pairs = self.pair(block)
        left = self.times(row_factor(row), self.decays.since(block, row, strict=strict))
        right = self.times(column_factor(column), self.decays.until(block, column))
        exist = both(self.exists_in_block(row, 2 * block), self.exists(column))
        body = self.or_nothing(exist, self.over_keys(self.times(left, right)))
        ranks = (self.chunk, self.third, self.row, self.column)
        return Tensor(ranks, (self.count, integer(pairs), integer(block), integer(block)), body)

    @property
    def leaf(self) -> int:
        """The size of the smallest blocks, whose products of gates are written out."""
        return min(LEAF, self.size)

    def in_leaf(self, rank: Rank) -> Expr:
        """A row in a smallest block, as a row of the chunk."""
        return plus(Map(OPS["multiply"], (Index(self.third), integer(self.leaf))), Index(rank))

    def leaf_decay(self, *, strict: bool) -> Expr:
        """The product of the gates behind the column of a smallest block to its row."""
        row = self.in_leaf(self.row)
        gate = self.gate(row)
        if self.size % self.leaf:
            gate = Select(compare("less", row, integer(self.size)), gate, const(1, self.dtype))
        return Decays(gate, self.row, self.column, self.decays.axes, self.decays.extents, self.leaf,
                      self.labels).between(strict=strict)

    def leaf_scores(self, row_factor: Factor, column_factor: Factor, *, strict: bool) -> Tensor:
        """The scores in the smallest blocks: over chunks, blocks, rows and columns of them."""
        row, column, leaf = self.in_leaf(self.row), self.in_leaf(self.column), integer(self.leaf)
        body = self.over_keys(self.times(row_factor(row), self.leaf_decay(strict=strict), column_factor(column)))
        is_seen = both(self.is_seen(row, column, strict=strict), self.exists_in_block(row, self.leaf))
        extents = (self.count, integer(-(-self.size // self.leaf)), leaf, leaf)
        return Tensor((self.chunk, self.third, self.row, self.column), extents, self.or_nothing(is_seen, body))

    # Feedback

    def solution(self) -> tuple[Scan, Scan]:
        """x = W . S[c] + U at each row, by substitution: once a row is known, it is taken to all rows behind it."""
        row, now, third = Index(self.column), Index(self.row), Index(self.third)
        known = [[self.scores(b, a, row, now, strict=True) for a in self.a] for b in self.b]
        exists = self.exists(row)
        weights = [self.or_nothing(exists, self.times(b(row), self.since_start(row, strict=True))) for b in self.b]
        rests = [self.or_nothing(exists, added((self.over_earlier(self.third, row, self.times(
            self.scores(b, k, row, third, strict=True), u(third)), strict=True) for k, u in self.sources), self.dtype))
            for b in self.b]
        return self.substitution("W", self.keys, weights, known), self.substitution("U", self.values, rests, known)

    def substitution(self, name: str, axes: tuple[Rank, ...], inits: list[Expr], known: list[list[Expr]]) -> Scan:
        """The scan over rows that are known, whose states are all rows: each row changes until it is known."""
        own, extents = (self.column, *axes), (integer(self.size), *self.sizes(axes))

        def build(label: Label) -> Scan:
            def state(place: int, row: Rank) -> Expr:
                return self.state(label, place, (row, *axes))

            changed, now = Index(self.column), Index(self.row)
            is_behind = both(self.is_seen(changed, now, strict=True), self.exists(changed))
            steps = [Select(is_behind, added([state(place, self.column), *(
                self.times(score, state(other, self.row)) for other, score in enumerate(row))], self.dtype),
                state(place, self.column)) for place, row in enumerate(known)]
            return Scan(self.row, integer(self.size), label, (own,) * len(inits), (extents,) * len(inits),
                        tuple(inits), tuple(steps), False, False, True)

        return self.labels.scan(name, build)

    def state(self, label: Label, place: int, axes: tuple[Rank, ...]) -> Expr:
        """A state of a scan as its steps read it."""
        return Access(State(label, place, self.dtype, len(axes), ()), tuple(map(Index, axes)), None)

    def fed_back(self, place: int, row: Expr, state: Callable[[tuple[Rank, ...]], Expr]) -> Expr:
        """x of one feedback term at a row, from the state at the start of the chunk."""
        w, u = self.solved
        inner = tuple(self.inner[key] for key in self.keys)
        weight = Access(History(w, place), (row, *map(Index, inner)), None)
        start = state(tuple(self.inner.get(axis, axis) for axis in self.axes))
        rest = Access(History(u, place), (row, *map(Index, self.values)), None)
        return added((summed(inner, self.sizes(self.keys), self.times(weight, start)), rest), self.dtype)

    def fed_back_from_start(self, place: int) -> Factor:
        """The same, of the states that are stored: kept for all rows, not computed again for each that reads it."""
        row = Index(self.column)
        body = self.or_nothing(self.exists(row), self.fed_back(place, row, self.at_start))
        ranks = (self.chunk, self.column, *self.values)
        whole = Tensor(ranks, (self.count, integer(self.size), *self.sizes(self.values)), body)
        return lambda row: kept(whole, self.chunk, row, *map(Index, self.values))

    def pairs(self, fed_back: Callable[[int], Factor]) -> list[tuple[Factor, Factor]]:
        """All that is added, as factors over keys and over values: sources, and feedback."""
        return self.sources + [(a, fed_back(place)) for place, a in enumerate(self.a)]

    # States

    def state_scan(self) -> Scan:
        """The states at the start of each chunk, or the last of all; the former as well where the program has them."""
        scan, place = self.recurrence.scan, self.recurrence.place

        def build(label: Label, is_last: bool) -> Scan:
            def state(axes: tuple[Rank, ...]) -> Expr:
                return self.state(label, 0, axes)

            step = self.after_chunk(state, lambda place: lambda row: self.fed_back(place, row, state))
            return Scan(self.chunk, self.count, label, (self.axes,), (self.sizes(self.axes),), (scan.inits[place],),
                        (step,), not is_last, False, is_last)

        starts = self.labels.known("states", lambda label: build(label, False))
        return starts or self.labels.scan("states", lambda label: build(label, scan.last))

    def after_chunk(self, state: Callable[[tuple[Rank, ...]], Expr], fed_back: Callable[[int], Factor]) -> Expr:
        """The state after a chunk, from that at its start."""
        row = Index(self.row)
        behind = self.decays and self.decays.until(self.size, row)
        total = [self.times(self.decays and self.decays.whole(), state(self.axes))]
        for k, u in self.pairs(fed_back):
            more = self.or_nothing(self.exists(row), self.times(behind, k(row), u(row)))
            total.append(summed((self.row,), (integer(self.size),), more))
        return added(total, self.dtype)

    def at_start(self, axes: tuple[Rank, ...]) -> Expr:
        """The state at the start of the chunk."""
        return Access(History(self.states, 0), tuple(map(Index, (self.chunk, *axes))), None)

    def final(self, indices: tuple[Expr, ...]) -> Expr:
        """The last state: that after the last chunk, computed once more where only those at starts are stored."""
        scan = self.recurrence.scan
        found = dict(zip(scan.axes[self.recurrence.place], indices))
        places = {axis: found.get(axis, Index(axis)) for axis in self.axes}
        if self.states.last:
            return Access(History(self.states, 0), tuple(places.values()), None)
        after = self.after_chunk(self.at_start, lambda place: lambda row: self.fed_back(place, row, self.at_start))
        at_last = substitute(after, {self.chunk: minus(self.count, integer(1)), **places})
        has_chunks = compare("greater", self.count, integer(0))
        return Select(has_chunks, at_last, substitute(self.states.inits[0], places))

    # Read-outs

    def readout(self, readout: ReadOut) -> Expr:
        """What a sum over the keys becomes."""
        parts = [self.read(one) for one in readout.reads]
        return added(parts if readout.rest is None else [*parts, readout.rest], self.dtype)

    def read(self, read: Read) -> Expr:
        """A tensor over chunks, rows and values, read at the chunk and the row of the step.

        It is one of its own, not written in place of the sum: what rows of a chunk share is then computed for them
        together.
        """
        scan, row = self.recurrence.scan, Index(self.row)

        def q(row: Expr) -> Expr:
            return self.at(read.q, read.time, row)

        total = [self.from_start(q, row), *(self.from_steps(q, k, u) for k, u in self.pairs(self.fed_back_from_start))]
        ranks = (self.chunk, self.row, *self.values)
        extents = (self.count, integer(self.size), *self.sizes(self.values))
        tensor = Tensor(ranks, extents, self.or_nothing(self.exists(row), added(total, self.dtype)))
        step = self.when(Index(read.time))
        own = [axis for axis in scan.axes[self.recurrence.place] if axis not in self.keys]
        places = dict(zip(own, read.values))
        return Access(tensor, (over(step, self.size), within(step, self.size),
                               *(places.get(axis, Index(axis)) for axis in self.values)), None)

    def from_start(self, q: Factor, row: Expr) -> Expr:
        """What the state at the start of the chunk is read as."""
        since = self.since_start(row, strict=self.strict)
        if self.on_keys:
            return self.over_keys(self.times(q(row), since, self.at_start(self.axes)))
        return self.times(since, self.over_keys(self.times(q(row), self.at_start(self.axes))))

    @property
    def strict(self) -> bool:
        """Whether states are read before their step."""
        return self.recurrence.scan.exclusive

    def from_steps(self, q: Factor, k: Factor, u: Factor) -> Expr:
        """What the steps of the chunk have added, as it is read."""
        column = Index(self.column)
        scores = self.scores(q, k, Index(self.row), column, strict=self.strict)
        if self.on_values:
            return self.halved_values(scores, u)
        return self.over_earlier(self.column, Index(self.row), self.times(scores, u(column)), strict=self.strict)

    def halved_values(self, scores: Expr, u: Factor) -> Expr:
        """What scores without gates and values with them make: cut as scores are whose gates depend on keys."""
        whole, row = self.square(scores), Index(self.row)
        found: Expr = self.block_values(self.leaf_values(whole, u), over(row, self.leaf), self.leaf)
        for block in self.levels():
            pair = self.block_values(self.pair_values(whole, u, block), over(row, 2 * block), block)
            is_second = compare("equal", within(over(row, block), 2), integer(1))
            found = added((found, self.or_nothing(is_second, pair)), self.dtype)
        return found

    def block_values(self, values: Tensor, place: Expr, block: int) -> Expr:
        """What values over chunks, blocks and rows of them are at a row."""
        indices = (Index(self.chunk), place, within(Index(self.row), block), *map(Index, self.values))
        return Access(values, indices, None)

    def pair_values(self, scores: Tensor, u: Factor, block: int) -> Tensor:
        """What the second of each two blocks has of the first: over chunks, pairs, rows of them and values."""
        row, column, pairs = self.pair(block)
        score = Access(scores, (Index(self.chunk), row, column), None)
        product = self.times(score, self.decays.until(block, column), u(column))
        since = self.decays.since(block, row, strict=self.strict)
        product = self.or_nothing(self.exists(column), product)
        body = self.times(since, summed((self.column,), (integer(block),), product))
        body = self.or_nothing(self.exists_in_block(row, 2 * block), body)
        extents = (self.count, integer(pairs), integer(block), *self.sizes(self.values))
        return Tensor((self.chunk, self.third, self.row, *self.values), extents, body)

    def leaf_values(self, scores: Tensor, u: Factor) -> Tensor:
        """What the smallest blocks have of themselves: over chunks, blocks, rows of them and values."""
        row, column, size = self.in_leaf(self.row), self.in_leaf(self.column), self.leaf
        score = Access(scores, (Index(self.chunk), row, column), None)
        body = self.times(score, self.leaf_decay(strict=self.strict), u(column))
        body = self.or_nothing(self.is_seen(row, column, strict=self.strict), body)
        body = summed((self.column,), (integer(size),), body)
        extents = (self.count, integer(-(-self.size // size)), integer(size), *self.sizes(self.values))
        return Tensor((self.chunk, self.third, self.row, *self.values), extents,
                      self.or_nothing(self.exists_in_block(row, size), body))


def kept(tensor: Tensor, chunk: Rank, row: Expr, *indices: Expr) -> Expr:
    """A tensor over chunks and more, which is kept in memory: at bare ranks it would be computed where it is read."""
    return Access(tensor, (plus_0(Index(chunk)), row, *indices), None)


def over(row: Expr, block: int) -> Expr:
    """The block of a row."""
    return Map(OPS["floor_divide"], (row, integer(block)))


def within(row: Expr, block: int) -> Expr:
    """The place of a row in its block."""
    return Map(OPS["remainder"], (row, integer(block)))


def _ranks_of(recurrence: Recurrence) -> set[Rank]:
    """The ranks that what a recurrence is made of is free in. Others may have the names of those of chunks: then what
    recurrences of the same steps have in common is the same for all of them."""
    scan = recurrence.scan
    reads = [read for readout in recurrence.readouts for read in readout.reads]
    free = scan.free.union(*(item.free for item in (*scan.steps, *scan.inits, *(read.q for read in reads))))
    return {item for item in free if isinstance(item, Rank)} | {scan.rank, *recurrence.axes, *(
        read.time for read in reads)}


def _unused(name: str, taken: set[Rank]) -> Rank:
    rank = Rank(name)
    return fresh(rank, taken) if rank in taken else rank

"""Which accesses of a program can leave their axis, as a program that finds the first result that depends on one.

The program with absence made explicit performs exactly the accesses that count, so a fault is an ordinary value: it
passes through the same selections and reductions as the value beside it. A program whose accesses cannot all be proved
inside for the sizes of a call is preceded by the program that `fault_finder` gives. The proof goes through the same
program with what conditions and binders say of integers: it claims nothing that the finder could refute.
"""

import math
from collections.abc import Callable, Iterable, Mapping

from einfall.base.node import Node, postorder
from einfall.cascade.explicit import make_absence_explicit
from einfall.cascade.nodes import (
    Access,
    Carried,
    Cascade,
    Domain,
    Extent,
    History,
    Index,
    Input,
    Label,
    Part,
    Pattern,
    Reduce,
    Scan,
    Size,
    Source,
    State,
    Tensor,
    extents_of,
)
from einfall.cascade.scope import carried, substitute
from einfall.scalar.dtypes import BOOL, I64, DType
from einfall.scalar.monoids import arg_extremum, named
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["NOWHERE", "accesses_stay_inside", "fault_finder", "first_position"]

NOWHERE = I64.highest  # the position of the first fault when there is none
CASES = 4  # under how many conditions a node is looked at one by one
STEPS = 10_000  # conditions and integers that one proof looks at
ROUNDS = 8  # looks at the integers of a scan: what still grows then is not bounded
RELATIONS = 16  # facts about several terms beyond these are not kept: each is tried with each sum
NEGATED = {"less": "greater_equal", "greater_equal": "less", "greater": "less_equal", "less_equal": "greater",
           "equal": "not_equal", "not_equal": "equal"}

Sum = frozenset[tuple[Expr, int]]  # terms with their factors, which have no divisor in common


def accesses_stay_inside(cascade: Cascade, extent_of) -> bool:
    """Whether every access that counts provably stays inside; `extent_of` gives an extent for the sizes of a call."""
    if all(isinstance(index, Index) for node in postorder(*cascade.outputs) if isinstance(node, Access)
           for index in node.indices):
        return True
    # conditions that make absence explicit read more than the program as written, and the finder looks at them too
    return _Proof(extent_of).holds(make_absence_explicit(cascade).outputs)


class _Call:
    """The extents of a call, what is known of it, and the steps that a proof may still take: it gives up after them."""

    def __init__(self, extent_of):
        self.extent_of, self.steps = extent_of, STEPS
        self.known: dict[Expr, int] = {}
        self.made: dict[frozenset, _Facts] = {}

    def extent(self, expr: Expr) -> int:
        if expr not in self.known:
            self.known[expr] = int(self.extent_of(expr))
        return self.known[expr]

    def facts(self, most: "dict[Sum, int]") -> "_Facts":
        """The same facts are one object, which remembers what follows from them."""
        key = frozenset(most.items())
        if key not in self.made:
            self.made[key] = _Facts(self, most)
        return self.made[key]

    def is_over(self) -> bool:
        """Whether no steps are left; takes one."""
        self.steps -= 1
        return self.steps < 0


class _Facts:
    """What holds wherever a node counts: the most that sums of integer terms can be, each term with a factor.

    A term is a rank's coordinate or what is no sum, and means the same wherever its free variables do.
    """

    __slots__ = ("call", "intervals", "most", "relations", "sums", "ways")

    def __init__(self, call: "_Call", most: Mapping[Sum, int]):
        self.call, self.most = call, most
        self.sums: dict[Expr, tuple[dict[Expr, int], int]] = {}
        self.intervals: dict[Expr, tuple[int, int]] = {}
        self.ways: dict[tuple[Expr, bool], _Facts | None] = {}
        self.relations = [(dict(known), value) for known, value in most.items() if len(known) > 1]

    def with_ranks(self, ranks, ends: Iterable[tuple[int, int]], free: frozenset | None = None) -> "_Facts | None":
        """What holds below a binder, of which `ends` are the first and last coordinates; None: it has none.

        Only facts about variables of `free` are taken along, and none about ranks of the same name.
        """
        most = {known: value for known, value in self.most.items() if all(
            term.free.isdisjoint(ranks) and (free is None or term.free <= free) for term, _ in known)}
        for rank, (first, last) in zip(ranks, ends):
            if first > last:
                return None
            most[frozenset(((Index(rank), 1),))], most[frozenset(((Index(rank), -1),))] = last, -first
        return self.call.facts(most)

    def with_extents(self, ranks, extents) -> "_Facts | None":
        """What holds below a binder."""
        return self.with_ranks(ranks, [(0, self.call.extent(extent) - 1) for extent in extents])

    def read_at(self, tensor: Tensor, indices: tuple[Expr, ...]) -> "_Facts | None":
        """What holds inside a tensor at the elements that an access reads: its ranks are the indices."""
        names = {index.rank: Index(rank) for rank, index in zip(tensor.ranks, indices) if isinstance(index, Index)}
        changed = {rank: name for rank, name in names.items() if name.rank is not rank}
        moved = {}
        for known, most in self.most.items():
            if all(term.free - names.keys() <= tensor.free for term, _ in known):
                moved[frozenset((substitute(term, changed), factor) for term, factor in known)] = most
        for rank, index, extent in zip(tensor.ranks, indices, tensor.extents):
            low, high = self.interval(index)
            first, last = max(low, 0), min(high, self.call.extent(extent) - 1)
            if first > last:
                return None
            moved[frozenset(((Index(rank), 1),))], moved[frozenset(((Index(rank), -1),))] = last, -first
        return self.call.facts(moved)

    # Conditions

    def where(self, condition: Expr, holds: bool) -> "_Facts | None":
        """What holds where a condition does, or does not; None: nowhere."""
        key = condition, holds
        if key not in self.ways:
            self.ways[key] = self  # until more is known: what is asked may be asked for on the way
            self.ways[key] = self.found_where(condition, holds)
        return self.ways[key]

    def found_where(self, condition: Expr, holds: bool) -> "_Facts | None":
        if self.call.is_over():
            return self
        match condition:
            case Const(value):
                return self if value is holds else None
            case Map(op, (arg,)) if op.name == "invert":
                return self.where(arg, not holds)
            case Map(op, (left, right)) if op.name in ("bitwise_and", "bitwise_or") and left.dtype is BOOL:
                one = self.where(left, holds)
                if (op.name == "bitwise_and") is holds:
                    return one and one.where(right, holds)
                return self.either(one, self.where(right, holds))
            case Select(chosen, yes, no):
                one, other = self.where(chosen, True), self.where(chosen, False)
                return self.either(one and one.where(yes, holds), other and other.where(no, holds))
            case Map(op, (left, right)) if op.name in NEGATED and left.dtype.is_int:
                return self.compared(op.name if holds else NEGATED[op.name], left, right)
        return self

    def compared(self, name: str, left: Expr, right: Expr) -> "_Facts | None":
        """What holds where a comparison of integers does."""
        if name in ("greater", "greater_equal"):
            return self.compared({"greater": "less", "greater_equal": "less_equal"}[name], right, left)
        (terms, number), (others, other) = self.sum_of(left), self.sum_of(right)
        terms, number = _added(terms, others, -1), number - other
        if name in ("less", "less_equal"):
            return self.with_most(terms, -number - (name == "less"))
        above = _times(terms, -1)
        if name == "equal":
            found = self.with_most(terms, -number)
            return found and found.with_most(above, number)
        low, high = self.ends(terms, number)
        found = self.with_most(above, number - 1) if low == 0 else self
        return found.with_most(terms, -number - 1) if found and high == 0 else found

    def with_most(self, terms: Mapping[Expr, int], most: int) -> "_Facts | None":
        """What holds where a sum is at most a number; None: nowhere."""
        if not terms:
            return self if most >= 0 else None
        if -self.most_of(_times(terms, -1)) > most:
            return None
        by = math.gcd(*terms.values())
        key = frozenset((term, factor // by) for term, factor in terms.items())
        if self.most.get(key, I64.highest) <= most // by or not all(map(_is_exact, terms)):
            return self
        if len(key) > 1 and len(self.relations) >= RELATIONS:
            return self
        return self.call.facts({**self.most, key: most // by})

    def either(self, *ways: "_Facts | None") -> "_Facts | None":
        """What holds in each of several cases, that are all there are."""
        found = [way for way in ways if way is not None]
        if len(found) < 2:
            return found[0] if found else None
        every = dict.fromkeys(known for way in found for known in way.most)
        most = {known: max(way.most_of(dict(known)) for way in found) for known in every}
        return self.call.facts(most)

    # Values

    def interval(self, expr: Expr) -> tuple[int, int]:
        """The least and the greatest value of an integer."""
        return self.ends(*self.sum_of(expr))

    def ends(self, terms: Mapping[Expr, int], number: int) -> tuple[int, int]:
        return number - self.most_of(_times(terms, -1)), number + self.most_of(terms)

    def most_of(self, terms: Mapping[Expr, int]) -> int:
        """The most that a sum can be, by its terms, or by one fact about several of them and the terms that remain."""
        by = math.gcd(*terms.values())
        if by > 1:
            terms = {term: factor // by for term, factor in terms.items()}
        found = self.by_terms(terms)
        for known, most in self.relations:
            if not known.keys().isdisjoint(terms):
                found = min(found, most + self.by_terms(_added(terms, known, -1)))
        return max(by, 1) * found

    def by_terms(self, terms: Mapping[Expr, int]) -> int:
        total = 0
        for term, factor in terms.items():
            sign = 1 if factor > 0 else -1
            most = self.most.get(frozenset(((term, sign),)))
            if not isinstance(term, Index) or most is None:
                low, high = self.of_term(term)
                found = high if sign > 0 else -low
                most = found if most is None else min(found, most)
            total += most * abs(factor)
        return total

    def sum_of(self, expr: Expr) -> tuple[dict[Expr, int], int]:
        """An integer as terms with factors, and a number; what may wrap around is a term."""
        if expr not in self.sums:
            self.sums[expr] = {expr: 1}, 0
            self.sums[expr] = self.found_sum(expr)
        return self.sums[expr]

    def found_sum(self, expr: Expr) -> tuple[dict[Expr, int], int]:
        match expr:
            case Const(value):
                return {}, value
            case Size() | Extent():
                return {}, self.call.extent(expr)
            case Cast(arg, to) if arg.dtype.is_int and to.holds(arg.dtype):
                return self.sum_of(arg)
            case Select(condition, yes, no):
                for only, holds in ((yes, False), (no, True)):
                    if self.where(condition, holds) is None:
                        return self.sum_of(only)
            case Map(op, args) if op.name in ("add", "subtract", "multiply", "negative"):
                made = _arithmetic(op.name, [self.sum_of(arg) for arg in args])
                if made is not None and _holds(expr.dtype, self.ends(*made)):
                    return made
        return {expr: 1}, 0

    def of_term(self, term: Expr) -> tuple[int, int]:
        """The least and the greatest value of what is no sum, by what it is."""
        if term not in self.intervals:
            every = int(term.dtype.lowest), int(term.dtype.highest)
            self.intervals[term] = every  # facts about a term and its parts ask for each other
            self.intervals[term] = self.found_interval(term, every)
        return self.intervals[term]

    def found_interval(self, term: Expr, every: tuple[int, int]) -> tuple[int, int]:
        if self.call.is_over():
            return every
        match term:
            case Select(Map(op, (Part(reduce, place), Const(nothing))), other, no) if (
                    op.name == "equal" and no is term.condition.args[0] and _selects(reduce, place, nothing)):
                return self.hull(self.interval(other), self.with_extents(reduce.ranks, reduce.extents),
                                 reduce.bodies[place])
            case Access(Input(domain=Domain() as domain), _, None):
                low = every[0] if domain.low is None else int(domain.low.value) + (not domain.reaches_low)
                high = every[1] if domain.high is None else int(domain.high.value) - (not domain.reaches_high)
                return (low, high) if low <= high else every
            case Access(Tensor(body=body) as tensor, indices, outside):
                beyond = None if outside is None else (outside.value, outside.value)
                return self.hull(beyond, self.read_at(tensor, indices), body) or every
            case Select(condition, yes, no):
                ways = [(self.where(condition, True), yes), (self.where(condition, False), no)]
                found = [way.interval(value) for way, value in ways if way is not None]
                return (min(low for low, _ in found), max(high for _, high in found)) if found else every
            case Cast(arg) if arg.dtype is BOOL:
                return 0, 1
            case Cast(arg) if arg.dtype.is_int:
                found = self.interval(arg)
                return found if _holds(term.dtype, found) else every
            case Map(op, args) if op.name in ("minimum", "maximum", "multiply", "floor_divide", "remainder", "abs"):
                found = _of_map(op.name, *map(self.interval, args))
                return found if found is not None and _holds(term.dtype, found) else every
        return every


    def hull(self, one: tuple[int, int] | None, way: "_Facts | None", other: Expr) -> tuple[int, int] | None:
        """An interval that holds one and what another integer is on a way; None of nothing."""
        found = [item for item in (one, None if way is None else way.interval(other)) if item is not None]
        return (min(low for low, _ in found), max(high for _, high in found)) if found else None

    def with_states(self, scan: Scan, inits: "list[_Facts | None]", steps: "list[_Facts | None]"
                    ) -> "list[_Facts | None]":
        """What holds in the steps of a scan, with the intervals in which its integers without axes stay: those of the
        inits and of what the steps make of them, where a second look finds no more."""
        kept: dict[int, tuple[int, int]] = {}
        for place, (axes, init, way) in enumerate(zip(scan.axes, scan.inits, inits)):
            if not axes and init.dtype.is_int and way is not None:
                kept[place] = way.interval(init)

        def held(way: "_Facts | None", step: Expr) -> "_Facts | None":
            for node in postorder(step) if way is not None else ():
                if isinstance(node, Access) and isinstance(node.source, State) and (
                        node.source.label is scan.label and node.source.place in kept):
                    low, high = kept[node.source.place]
                    way = way and way.with_most({node: 1}, high)
                    way = way and way.with_most({node: -1}, -low)
            return way

        for _ in range(ROUNDS):
            wider = {}
            for place, interval in kept.items():
                way = held(steps[place], scan.steps[place])
                wider[place] = self.hull(interval, way, scan.steps[place])
            if wider == kept:
                return [held(way, step) for way, step in zip(steps, scan.steps)]
            kept = wider
        return steps


def _selects(reduce: Reduce, place: int, nothing: int) -> bool:
    """Whether a component of a reduction is that of one of its elements, or `nothing` where there are none."""
    monoid = reduce.monoid
    return place > 0 and monoid.name in ("argmax", "argmin") and monoid.identity[place].value == nothing and (
        monoid is arg_extremum(monoid.name, monoid.dtypes[0], monoid.dtypes[2:]))


class _Proof:
    """Goes from the outputs to what they are made of with what holds at each use; the finder goes the same ways.

    A node that is used under many conditions is known by what all of them have in common.
    """

    def __init__(self, extent_of):
        self.call = _Call(extent_of)
        self.reads: set[Node] = set()
        self.facts: dict[Node, list[_Facts]] = {}
        self.states: dict[Label, tuple] = {}

    def holds(self, outputs: tuple[Tensor, ...]) -> bool:
        order = list(postorder(*outputs))
        for node in order:
            if _can_leave(node) or any(child in self.reads for child in node.below):
                self.reads.add(node)
        for tensor in outputs:
            self.give(tensor.body, self.call.facts({}).with_extents(tensor.ranks, tensor.extents))
        return all(self.visit(node, facts) for node in reversed(order) for facts in self.facts.pop(node, ()))

    def give(self, node: Node, facts: _Facts | None) -> None:
        if facts is None or node not in self.reads:
            return
        held = self.facts.setdefault(node, [])
        if facts not in held:
            held.append(facts)
        if len(held) > CASES:
            held[:] = [facts.either(*held)]

    def visit(self, node: Node, facts: _Facts) -> bool:
        """Hands on what holds to what a node is made of; False where an access may leave."""
        match node:
            case Select(condition, yes, no):
                self.give(condition, facts)
                for branch, holds in ((yes, True), (no, False)):
                    if branch in self.reads:
                        self.give(branch, facts.where(condition, holds))
            case Map() | Cast() | Part():
                for child in node.below:
                    self.give(child, facts)
            case Reduce(_, ranks, extents, bodies):
                inside = facts.with_extents(ranks, extents)
                for body in bodies:
                    self.give(body, inside)
            case Access():
                return self.access(node, facts)
            case Scan():
                return self.scan(node, facts)
        return True

    def access(self, node: Access, facts: _Facts) -> bool:
        for index in node.indices:
            self.give(index, facts)
        if _can_leave(node):
            source = node.source
            extents = self.states[source.label][source.place] if isinstance(source, State) else tuple(
                map(self.call.extent, extents_of(source)))
            for index, extent in zip(node.indices, extents):
                if not isinstance(index, Index):
                    low, high = facts.interval(index)
                    if low < 0 or high >= extent:
                        return False
        match node.source:
            case Tensor() as tensor if tensor.body in self.reads:
                self.give(tensor.body, facts.read_at(tensor, node.indices))
            case History(scan):
                self.give(scan, facts.with_ranks((), (), scan.free))
        return True

    def scan(self, scan: Scan, facts: _Facts) -> bool:
        """Every element of every step counts, and of what holds outside that which is about the scan's free ranks."""
        extents = tuple(tuple(map(self.call.extent, items)) for items in scan.extents)
        if self.states.setdefault(scan.label, extents) != extents:
            return False  # two scans of one label: which of them a state is of is not asked
        inits, steps = [], []
        for axes, items in zip(scan.axes, scan.extents):
            inits.append(facts.with_extents(axes, items))
            steps.append(facts.with_extents((*axes, scan.rank), (*items, scan.extent)))
        for ways, exprs in ((inits, scan.inits), (facts.with_states(scan, inits, steps), scan.steps)):
            for way, expr in zip(ways, exprs):
                self.give(expr, way)
        return True


def _can_leave(node: Node) -> bool:
    """Whether it is an access that has to stay inside: a bare rank is the whole axis."""
    return isinstance(node, Access) and node.outside is None and not all(
        isinstance(index, Index) for index in node.indices)


def _is_exact(term: Expr) -> bool:
    """Whether it has the same value wherever it is computed: machines need not round floats in one way."""
    return isinstance(term, Index) or not any(
        node.dtype.is_float for node in postorder(term) if isinstance(node, Expr | Source))


def _holds(dtype: DType, interval: tuple[int, int]) -> bool:
    """Whether an integer type has room for all of an interval."""
    return dtype.lowest <= interval[0] and interval[1] <= dtype.highest


def _added(terms: Mapping[Expr, int], others: Mapping[Expr, int], by: int) -> dict[Expr, int]:
    """terms + by * others, without terms that cancel."""
    made = dict(terms)
    for term, factor in others.items():
        made[term] = made.get(term, 0) + by * factor
    return {term: factor for term, factor in made.items() if factor} if others else made


def _times(terms: Mapping[Expr, int], by: int) -> dict[Expr, int]:
    return {term: by * factor for term, factor in terms.items() if by}


def _arithmetic(name: str, args: list[tuple[dict[Expr, int], int]]) -> tuple[dict[Expr, int], int] | None:
    """A sum, a difference or a multiple of sums; None where it is none."""
    match name, args:
        case "negative", ((terms, number),):
            return _times(terms, -1), -number
        case "add" | "subtract", ((terms, number), (others, other)):
            by = 1 if name == "add" else -1
            return _added(terms, others, by), number + by * other
        case "multiply", ((terms, number), (others, by)) if not others:
            return _times(terms, by), number * by
        case "multiply", ((others, by), (terms, number)) if not others:
            return _times(terms, by), number * by
    return None


def _of_map(name: str, one: tuple[int, int], other: tuple[int, int] = (0, 0)) -> tuple[int, int] | None:
    """The interval of an operator on intervals; None where it is not known."""
    (a, b), (c, d) = one, other
    match name:
        case "minimum":
            return min(a, c), min(b, d)
        case "maximum":
            return max(a, c), max(b, d)
        case "multiply":
            corners = a * c, a * d, b * c, b * d
            return min(corners), max(corners)
        case "abs":
            return max(a, -b, 0), max(-a, b)
        case "floor_divide" if c == d > 0:
            return a // c, b // c
        case "remainder" if c == d > 0:
            return (a, b) if a >= 0 and b < c else (0, c - 1)
    return None


def fault_finder(cascade: Cascade) -> Cascade:
    """The program that gives, for each output, the flat position of the first element that depends on a fault."""
    explicit = make_absence_explicit(cascade)
    finding = _Faults()
    outputs = []
    for tensor in explicit.outputs:
        fault = finding.of(tensor.body)
        outputs.append(first_position(tensor, lambda position, fault=fault: Const(NOWHERE, I64) if fault is None else (
            Select(fault, position, Const(NOWHERE, I64)))))
    return Cascade(f"{cascade.name}_faults", cascade.inputs, tuple(outputs))


def first_position(tensor: Tensor, element: Callable[[Expr], Expr]) -> Tensor:
    """The least of what `element` gives for the flat position of each element of a tensor: NOWHERE, or the position."""
    position: Expr = Const(0, I64)
    for rank, extent in zip(tensor.ranks, tensor.extents):
        position = Map(OPS["add"], (Map(OPS["multiply"], (position, extent)), Index(rank)))
    body = element(position)
    if tensor.ranks:
        body = Reduce(named("min", I64), tensor.ranks, tensor.extents, (body,))
    return Tensor((), (), body)


class _Faults:
    """For each node, the condition under which it depends on an access outside its axis; None where it never does."""

    def __init__(self):
        self.done: dict[Node, Expr | None] = {}
        self.scans: dict[Scan, Scan | None] = {}
        self.states: dict[Label, tuple[tuple[Expr, ...], ...]] = {}

    def of(self, node: Expr) -> Expr | None:
        if node not in self.done:
            self.done[node] = self.found(node)
        return self.done[node]

    def found(self, node: Expr) -> Expr | None:
        match node:
            case Select(condition, yes, no):
                inside, outside = self.of(yes), self.of(no)
                chosen = None
                if inside is not None or outside is not None:
                    chosen = Select(condition, _or_false(inside), _or_false(outside))
                return _either(self.of(condition), chosen)
            case Map(_, args):
                return _either(*map(self.of, args))
            case Cast(arg):
                return self.of(arg)
            case Access():
                return self.access(node)
            case Reduce(_, ranks, extents, bodies):
                return self.reduce(ranks, extents, _either(*map(self.of, bodies)))
            case Part(reduce):
                return self.of(reduce)
        return None

    def reduce(self, ranks, extents, fault: Expr | None) -> Expr | None:
        if fault is None:
            return None
        over = [(rank, extent) for rank, extent in zip(ranks, extents) if rank in fault.free]
        if over:
            over_ranks, over_extents = zip(*over)
            fault = Reduce(named("any", BOOL), over_ranks, over_extents, (fault,))
        for rank, extent in zip(ranks, extents):
            if (rank, extent) not in over:  # a fault of each element, if there is any element
                fault = Map(OPS["bitwise_and"], (fault, Map(OPS["greater"], (extent, Const(0, I64)))))
        return fault

    def access(self, node: Access) -> Expr | None:
        fault = _either(*map(self.of, node.indices))
        extents = self.states[node.source.label][node.source.place] if isinstance(node.source, State) else extents_of(
            node.source)
        if node.outside is None:
            for index, extent in zip(node.indices, extents):
                if not isinstance(index, Index):
                    below = Map(OPS["less"], (index, Const(0, I64)))
                    fault = _either(fault, below, Map(OPS["greater_equal"], (index, extent)))
        beyond = None if node.outside is None else Const(False, BOOL)
        match node.source:
            case Tensor(ranks, sizes, body):
                inside = self.of(body)
                if inside is not None:
                    fault = _either(fault, Access(Tensor(ranks, sizes, inside), node.indices, beyond))
            case State(label, place, _, ndim):
                ranks = node.source.ranks
                fault = _either(fault, Access(State(label, len(self.states[label]) + place, BOOL, ndim, ranks),
                                              node.indices, beyond))
            case History(scan, place):
                faulty = self.scan(scan)
                if faulty is not None:
                    fault = _either(fault, Access(History(faulty, len(scan.inits) + place), node.indices, beyond))
            case Input() | Pattern():
                pass
        return fault

    def scan(self, scan: Scan) -> Scan | None:
        """The scan with a second state beside each: whether it depends on a fault."""
        if scan not in self.scans:
            self.states[scan.label] = scan.extents
            inits, steps = [self.of(init) for init in scan.inits], [self.of(step) for step in scan.steps]
            reads = any(isinstance(node, Access) and not all(isinstance(index, Index) for index in node.indices)
                        for node in postorder(*scan.inits, *scan.steps))
            made = None
            if reads:
                faults = tuple(tuple(map(_or_false, items)) for items in (inits, steps))
                label = Label(f"{scan.label.name}_faults")
                made = Scan(scan.rank, scan.extent, scan.label, scan.axes * 2, scan.extents * 2, scan.inits + faults[0],
                            scan.steps + faults[1], scan.exclusive, scan.reverse, scan.last)
                renamed = tuple(substitute(step, {scan.label: Carried(label, ())}) for step in made.steps)
                made = carried(Scan(made.rank, made.extent, label, made.axes, made.extents, made.inits, renamed,
                                    made.exclusive, made.reverse, made.last))
            self.scans[scan] = made
        return self.scans[scan]


def _or_false(fault: Expr | None) -> Expr:
    return Const(False, BOOL) if fault is None else fault


def _either(*faults: Expr | None) -> Expr | None:
    found = None
    for fault in faults:
        if fault is not None:
            found = fault if found is None else Map(OPS["bitwise_or"], (found, fault))
    return found

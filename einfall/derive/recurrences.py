"""Linear recurrences: the class of a scan, read off the ranks that the parts of its step depend on.

    S[t, d, e] = gate[t] * S[t-1, d, e] + a[t, d] * sum[c](b[t, c] * S[t-1, c, e]) + k[t, d] * u[t, e]

Keys are the axes that sums over the state contract (d), values are axes on which no factor with keys depends (e): what
is computed of keys is shared among them. An axis of the state may be one of its own or a free rank of its scan.
"""

from collections.abc import Iterable
from typing import NamedTuple

from einfall.base.node import Node, postorder
from einfall.cascade.explicit import inline
from einfall.cascade.nodes import Access, Cascade, History, Index, Label, Rank, Reduce, Scan, State, Tensor
from einfall.cascade.project import histories_in
from einfall.cascade.scope import extents_here, substitute
from einfall.derive.gates import guard_of
from einfall.derive.linear import Expansion, NotLinear, Term, added, factors_of, multiplied, summed
from einfall.scalar.dtypes import DType
from einfall.scalar.monoids import is_named
from einfall.scalar.nodes import Expr, Map
from einfall.scalar.ops import OPS

__all__ = ["Feedback", "Read", "ReadOut", "Recurrence", "Source", "prepared", "recurrences"]


class Feedback(NamedTuple):
    """What a step adds of the state: a times the sum over the keys of b and the state before; both over the keys."""

    a: Expr
    b: Expr


class Source(NamedTuple):
    """What a step adds: a factor over keys, and one over values."""

    k: Expr
    u: Expr


class Read(NamedTuple):
    """One product in a read-out: what the state is multiplied with, and where it is read.

    q: over the keys and `time`; values: the coordinates on the axes of the state that are no keys, in their order.
    """

    q: Expr
    time: Rank
    values: tuple[Expr, ...]


class ReadOut(NamedTuple):
    """A sum over the keys of products with the history: what it reads, and what it adds without reading it."""

    reduce: Reduce
    reads: tuple[Read, ...]
    rest: Expr | None


class Recurrence(NamedTuple):
    """What a state of a scan is.

    kind: of the gate, "none", "scalar", "key-wise", "value-wise" or "full"; "dense" where the transition is a matrix,
    "not linear" where it is none.
    gates: factors, none for a gate of 1. axes: those of the state, its own and those that were free, keys first;
    extents: theirs.
    form: "chunks", "scan" (step by step, or as a scan of gates and sources) or "steps"; how: "mask", "halving" or
    "halving on values" for the gate in chunks; reason: why not in chunks.
    guard: the condition on each step under which products of gates cannot overflow; None where it is known to hold.
    """

    scan: Scan
    place: int
    kind: str
    form: str
    reason: str = ""
    how: str = ""
    keys: tuple[Rank, ...] = ()
    axes: tuple[Rank, ...] = ()
    extents: tuple[Expr, ...] = ()
    gates: tuple[Expr, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    sources: tuple[Source, ...] = ()
    readouts: tuple[ReadOut, ...] = ()
    guard: Expr | None = None

    @property
    def dtype(self) -> DType:
        return self.scan.inits[self.place].dtype

    @property
    def solve(self) -> bool:
        """Whether a chunk has a triangular system to solve."""
        return bool(self.feedback)


class _Step(NamedTuple):
    """A step taken apart: what multiplies the state, feedback, the products that are added, the keys of feedback."""

    gates: tuple[Expr, ...]
    feedback: tuple[Feedback, ...]
    added: tuple[Expr, ...]
    keys: tuple[Rank, ...]

    @property
    def free(self) -> frozenset[Node]:
        """What the step depends on: a state is said to be free in all that others of its scan depend on."""
        parts = (*self.gates, *(item for pair in self.feedback for item in pair), *self.added)
        return frozenset().union(*(part.free for part in parts))


class _Refused(Exception):
    """Why a recurrence has no form in chunks; with the kind of its gate where that is known, and the form it has."""

    def __init__(self, reason: str, kind: str = "not linear", form: str = "steps"):
        super().__init__(reason)
        self.kind, self.form = kind, form


def recurrences(cascade: Cascade) -> tuple[Recurrence, ...]:
    """Each state of each scan, in the order of the program."""
    whole = _Whole(prepared(cascade))
    return tuple(whole.read(scan, place) for scan in whole.scans for place in range(len(scan.inits)))


def prepared(cascade: Cascade) -> Cascade:
    """The program in which tensors at bare ranks are read in place: what reads a history reads it directly."""
    return inline(cascade, only_bare=True)


class _Whole:
    """A cascade, and what in it reads histories."""

    def __init__(self, cascade: Cascade):
        self.order = list(postorder(*cascade.outputs))
        self.scans = [node for node in self.order if isinstance(node, Scan)]
        self.ranks = {node for node in self.order if isinstance(node, Rank)}
        self.sizes: dict[Rank, set[Expr]] = {}
        for node in self.order:
            for rank, extent in extents_here(node).items():
                self.sizes.setdefault(rank, set()).add(extent)
        self.readers: dict[Access, set[Node]] = {}  # of each read of a history, the innermost binders around it
        for node in self.order:
            if isinstance(node, Reduce | Tensor | Scan):
                for body in _bodies(node):
                    for access in histories_in(body):
                        self.readers.setdefault(access, set()).add(node)

    def read(self, scan: Scan, place: int) -> Recurrence:
        """The class and the form of one state."""
        try:
            return self.chunks(scan, place)
        except _Refused as refused:
            return Recurrence(scan, place, refused.kind, refused.form, str(refused))

    def chunks(self, scan: Scan, place: int) -> Recurrence:
        """A recurrence in chunks. Raises: _Refused."""
        dtype = scan.inits[place].dtype
        if not dtype.is_float:
            raise _Refused(f"the state is {dtype}: only floats are taken in chunks")
        step = _step(scan, place, self.ranks)
        if any(isinstance(variable, Label) for variable in scan.free):
            raise _Refused("it depends on the states of a scan around it", "none", "scan")
        if any(_is_state(node, scan, place) for other, expr in enumerate(scan.steps) if other != place
               for node in postorder(expr)):
            raise _Refused("another state of its scan reads it in each step", "none", "scan")
        if not any(_is_read(node, scan, place) for node in self.order):
            raise _Refused("nothing reads its states", "none", "scan")
        readouts = () if scan.last else self.readouts(scan, place)
        keys = _keys(scan, place, step, readouts)
        others = tuple(rank for rank in scan.axes[place] if rank not in keys) + tuple(sorted(
            (rank for rank in step.free | scan.inits[place].free if rank in scan.free and rank not in keys
             and len(self.sizes.get(rank, ())) == 1),
            key=lambda rank: rank.name))
        sources = tuple(source for item in step.added for source in _sources(item, frozenset(keys),
                                                                              frozenset((*keys, *others)), dtype))
        of_keys = frozenset().union(*(source.k.free for source in sources),
                                    *(item.free for pair in step.feedback for item in pair))
        values = frozenset(others) - of_keys
        if not sources and not step.feedback:
            raise _Refused("nothing is added to it", "none", "scan")
        # a gate may depend on ranks on which nothing depends that is added: there is one recurrence for each of them
        carried = values.intersection(*[frozenset().union(*(source.u.free for source in sources))] if sources else [])
        kind = _kind(step.gates, frozenset(keys), carried)
        if not values:
            reason = ("what is added does not split into a factor over keys and one over values"
                      if others else "it has no values that could share what is computed of its keys")
            raise _Refused(reason, kind, "scan")
        if kind == "full":
            raise _Refused("the gate depends on keys and on values", kind, "scan")
        if kind == "value-wise" and step.feedback:
            raise _Refused("feedback with a gate that depends on values", kind, "scan")
        # batch ranks, on which keys depend as well, stay free
        axes = keys + tuple(rank for rank in others if rank in values or rank in scan.axes[place])
        how = {"scalar": "mask", "key-wise": "halving", "value-wise": "halving on values"}.get(kind, "")
        return Recurrence(scan, place, kind, "chunks", "", how, keys, axes,
                          tuple(self.extent(scan, place, rank, readouts) for rank in axes), step.gates, step.feedback,
                          sources, readouts, guard_of(step.gates) if step.gates else None)

    def extent(self, scan: Scan, place: int, rank: Rank, readouts: tuple[ReadOut, ...]) -> Expr:
        """The extent of an axis of the state. Raises: _Refused where a rank of that name has several."""
        if rank in scan.axes[place]:
            return scan.extents[place][scan.axes[place].index(rank)]
        for readout in readouts:
            if rank in readout.reduce.ranks:
                return readout.reduce.extents[readout.reduce.ranks.index(rank)]
        extents = self.sizes.get(rank, ())
        if len(extents) != 1:
            raise _Refused(f"{rank.name} has several extents in the program", "none", "scan")
        return next(iter(extents))

    def readouts(self, scan: Scan, place: int) -> tuple[ReadOut, ...]:
        """The sums that read the history. Raises: _Refused where something else reads it as well."""
        mine = [access for access in self.order if _is_read(access, scan, place)]
        readers: dict[Node, None] = {}
        for access in mine:
            readers |= dict.fromkeys(sorted(self.readers.get(access, ()), key=self.order.index))
        for reader in readers:
            if not (isinstance(reader, Reduce) and reader.monoid.name == "sum" and is_named(reader.monoid)):
                raise _Refused("its states are read themselves, not only sums over an axis of them",
                               *self.class_alone(scan, place))
        return tuple(_readout(scan, place, reader, self.ranks) for reader in readers)

    def class_alone(self, scan: Scan, place: int) -> tuple[str, str]:
        """The kind of the gate and the form of a scan that is read step by step."""
        step = _step(scan, place, self.ranks)
        of_gate = frozenset().union(*(gate.free for gate in step.gates)) & {*scan.axes[place], *scan.free}
        return "none" if not step.gates else "full" if of_gate else "scalar", "scan"


def _bodies(node: Node) -> tuple[Expr, ...]:
    """The expressions in which a node binds its ranks."""
    match node:
        case Reduce(bodies=bodies):
            return bodies
        case Scan():
            return (*node.inits, *node.steps)
    return (node.body,)


def _is_read(node: Node, scan: Scan, place: int) -> bool:
    match node:
        case Access(History(held, where)):
            return held is scan and where == place
    return False


def _is_state(node: Node, scan: Scan, place: int) -> bool:
    match node:
        case State(label, where):
            return label is scan.label and where == place
    return False


# Steps


def _step(scan: Scan, place: int, taken: Iterable[Rank]) -> _Step:
    """The step of a state. Raises: _Refused where it is not linear in the state, or reads others."""
    label, axes = scan.label, scan.axes[place]

    def is_read(node: Node) -> bool:
        return isinstance(node, Access) and isinstance(node.source, State) and node.source.label is label

    expansion = Expansion(lambda node: label in getattr(node, "free", ()), is_read, taken)
    try:
        terms = expansion.terms(scan.steps[place])
    except NotLinear as problem:
        raise _Refused(f"the step is not linear in its state: {problem}") from None
    dtype = scan.inits[place].dtype
    gates: list[tuple[Expr, ...]] = []
    feedback: dict[Expr, list[Expr]] = {}
    keys: tuple[Rank, ...] | None = None
    for term in terms:
        if term.read is None:
            continue
        if term.read.source.place != place:
            raise _Refused("its step reads another state of the scan")
        term, replaced = _placed(term, axes)
        if not replaced:
            gates.append(term.factors)
            continue
        if keys not in (None, tuple(replaced)):
            raise _Refused("feedback along different axes", "none")
        keys = tuple(replaced)
        a, b = _split(term, replaced, dtype)
        feedback.setdefault(b, []).append(a)
    together = gates[0] if len(gates) == 1 else (added(
        (multiplied(factors, dtype) for factors in gates), dtype),)
    pairs = tuple(Feedback(added(a, dtype), b) for b, a in feedback.items())
    return _Step(together, pairs, tuple(summed(*_unzipped(term.sums), multiplied(term.factors, dtype))
                                        for term in terms if term.read is None), keys or ())


def _unzipped(sums: tuple[tuple[Rank, Expr], ...]) -> tuple[tuple[Rank, ...], tuple[Expr, ...]]:
    return tuple(rank for rank, _ in sums), tuple(extent for _, extent in sums)


def _placed(term: Term, axes: tuple[Rank, ...]) -> tuple[Term, dict[Rank, Rank]]:
    """A term that reads the state at its own coordinates but for axes that are summed: which, by which rank. What is
    summed besides is a factor. Raises: _Refused."""
    sums = {rank for rank, _ in term.sums}
    replaced: dict[Rank, Rank] = {}
    for axis, index in zip(axes, term.read.indices):
        rank = index.rank if isinstance(index, Index) else None
        if rank is axis:
            continue
        if rank not in sums or rank in replaced.values():  # at a bare rank the whole axis is read
            raise _Refused("its step reads the state at other coordinates", "dense")
        replaced[axis] = rank
    rest = tuple((rank, extent) for rank, extent in term.sums if rank not in replaced.values())
    if rest:
        inner = frozenset(rank for rank, _ in rest)
        inside = [factor for factor in term.factors if factor.free & inner]
        factor = summed(*_unzipped(rest), multiplied(inside, term.read.dtype))
        term = term._replace(factors=(*(item for item in term.factors if item not in inside), factor))
    return term, replaced


def _split(term: Term, replaced: dict[Rank, Rank], dtype: DType) -> tuple[Expr, Expr]:
    """The factors of feedback over the new coordinates, and over the summed ones. Raises: _Refused."""
    summed_over = frozenset(replaced.values())
    every = frozenset(replaced) | summed_over
    a, b = [], []
    for factor in (part for whole in term.factors for part in factors_of(whole, every)):
        if factor.free & summed_over and factor.free & frozenset(replaced):
            raise _Refused("a factor over both coordinates: the transition is a matrix", "dense")
        (b if factor.free & summed_over else a).append(factor)
    own = {rank: Index(axis) for axis, rank in replaced.items()}
    return multiplied(a, dtype), substitute(multiplied(b, dtype), own)


def _kind(gates: tuple[Expr, ...], keys: frozenset[Rank], values: frozenset[Rank]) -> str:
    """The class of a gate."""
    if not gates:
        return "none"
    free = frozenset().union(*(gate.free for gate in gates))
    if free & keys:
        return "full" if free & values else "key-wise"
    return "value-wise" if free & values else "scalar"


# What is added


def _sources(expr: Expr, keys: frozenset[Rank], axes: frozenset[Rank], dtype: DType) -> list[Source]:
    """What a step adds as products of a factor over keys and one over values; a sum of such as several."""
    factors = factors_of(expr, axes)
    k = [factor for factor in factors if factor.free & keys]
    u = [factor for factor in factors if not factor.free & keys]
    made = Source(multiplied(k, dtype), multiplied(u, dtype))
    for place, factor in enumerate(k):
        match factor:
            case Map(op, (left, right)) if op.name in ("add", "subtract"):
                if op.name == "subtract":
                    right = Map(OPS["negative"], (right,))
                parts = [source for side in (left, right) for source in _sources(
                    multiplied([*k[:place], side, *k[place + 1:], *u], dtype), keys, axes, dtype)]
                if frozenset().union(*(part.k.free for part in parts)) & axes < made.k.free & axes:
                    return parts
    return [made]


# Read-outs


def _readout(scan: Scan, place: int, reduce: Reduce, taken: Iterable[Rank]) -> ReadOut:
    """A sum that reads the history. Raises: _Refused."""
    holding: set[Node] = set()
    for node in postorder(*reduce.bodies):
        if _is_read(node, scan, place) or any(child in holding for child in node.below):
            holding.add(node)
    expansion = Expansion(holding.__contains__, lambda node: _is_read(node, scan, place), taken)
    try:
        terms = expansion.terms(reduce.bodies[0])
    except NotLinear as problem:
        raise _Refused(f"a sum is not linear in the states that it reads: {problem}", "none", "scan") from None
    reads = tuple(_read(scan, place, reduce, term) for term in terms if term.read is not None)
    rest = [multiplied(term.factors, reduce.dtype) for term in terms if term.read is None]
    return ReadOut(reduce, reads, summed(reduce.ranks, reduce.extents, added(rest, reduce.dtype)) if rest else None)


def _read(scan: Scan, place: int, reduce: Reduce, term: Term) -> Read:
    """One read of the history, with the names that the scan has for its axes. Raises: _Refused."""
    axes, (time, *coordinates) = scan.axes[place], term.read.indices
    if not isinstance(time, Index) or time.rank in reduce.ranks or term.sums or time.rank in scan.free:
        raise _Refused("its states are read at other steps than those of what they make", "none", "scan")
    names: dict[Rank, Rank] = {}
    for axis, index in zip(axes, coordinates):
        if isinstance(index, Index):
            names.setdefault(index.rank, axis)
    keys = {names.get(rank, rank if rank in scan.free else None) for rank in reduce.ranks}
    values = tuple(index for axis, index in zip(axes, coordinates) if axis not in keys)
    if None in keys or any(index.free & frozenset(reduce.ranks) for index in values):
        raise _Refused("a sum over more than the axes of the state", "none", "scan")
    q = multiplied(term.factors, scan.inits[place].dtype)
    if any(rank in axes and names.get(rank) is not rank for rank in q.free - {time.rank}):
        raise _Refused("a rank means one axis of the state where it is read and another in its step", "none", "scan")
    return Read(substitute(q, {rank: Index(axis) for rank, axis in names.items()}), time.rank, values)


def _keys(scan: Scan, place: int, step: _Step, readouts: tuple[ReadOut, ...]) -> tuple[Rank, ...]:
    """The axes that sums over the state contract; of a state that is not read so, those of what its step depends on."""
    found = {frozenset(step.keys)} if step.keys else set()
    own = {axis for axis in scan.axes[place]}
    for readout in readouts:
        over = frozenset(_axis_of(scan, place, readout, rank) for rank in readout.reduce.ranks)
        found.add(over)
    if len(found) > 1:
        raise _Refused("sums over different axes of the state", "none", "scan")
    if found:
        (keys,) = found
        return tuple(rank for rank in scan.axes[place] if rank in keys) + tuple(sorted(
            keys - own, key=lambda rank: rank.name))
    return _keys_of_the_last(scan, place, step)


def _axis_of(scan: Scan, place: int, readout: ReadOut, rank: Rank) -> Rank:
    """The axis of the state that a rank of a read-out goes through."""
    for access in postorder(*readout.reduce.bodies):
        if _is_read(access, scan, place):
            for axis, index in zip(scan.axes[place], access.indices[1:]):
                if isinstance(index, Index) and index.rank is rank:
                    return axis
    return rank


def _keys_of_the_last(scan: Scan, place: int, step: _Step) -> tuple[Rank, ...]:
    """Keys where nothing but the last state is read: axes of the gate, or else of the first factor of what is added
    that does not have all axes. Raises: _Refused where none is found."""
    axes = (*scan.axes[place], *sorted((rank for rank in scan.free if isinstance(rank, Rank)),
                                       key=lambda rank: rank.name))
    every = frozenset(axes)
    gated = frozenset().union(*(gate.free for gate in step.gates)) & frozenset(scan.axes[place])
    for wanted in ([gated] if gated else []) + [factor.free & every for item in step.added
                                                for factor in factors_of(item, every)]:
        others = frozenset().union(*(factor.free for item in step.added for factor in factors_of(item, every)
                                     if factor.free & every != wanted)) & every
        keys = wanted - others if wanted - others and not gated else wanted
        if keys and keys < every:
            return tuple(rank for rank in axes if rank in keys)
    raise _Refused("nothing reads sums over an axis of its states", "none" if not step.gates else "full", "scan")


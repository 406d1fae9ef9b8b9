"""Which accesses of a program can leave their axis, as a program that finds the first result that depends on one.

The program with absence made explicit performs exactly the accesses that count, so a fault is an ordinary value: it
passes through the same selections and reductions as the value beside it. A program whose accesses cannot all be proved
inside for the sizes of a call is preceded by the program that `fault_finder` gives.
"""

from collections.abc import Mapping

from einfall.base.node import Node, postorder
from einfall.cascade.explicit import make_absence_explicit
from einfall.cascade.nodes import (
    Access,
    Carried,
    Cascade,
    Extent,
    History,
    Index,
    Input,
    Label,
    Part,
    Rank,
    Reduce,
    Scan,
    Size,
    State,
    Tensor,
    extents_of,
)
from einfall.cascade.scope import carried, substitute
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.monoids import named
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["NOWHERE", "accesses_stay_inside", "fault_finder"]

NOWHERE = I64.highest  # the position of the first fault when there is none


def accesses_stay_inside(cascade: Cascade, extent_of) -> bool:
    """Whether every access provably stays inside; `extent_of` gives the value of an extent for the sizes of a call."""
    largest: dict[Rank, int] = {}
    accesses = []
    for node in postorder(*cascade.outputs):
        match node:
            case Tensor() | Reduce():
                pairs = zip(node.ranks, node.extents)
            case Scan():
                pairs = [(node.rank, node.extent), *(pair for axes, extents in zip(node.axes, node.extents)
                                                     for pair in zip(axes, extents))]
            case Access(source, indices, None) if not all(isinstance(index, Index) for index in indices):
                accesses.append((source, indices))
                continue
            case _:
                continue
        for rank, extent in pairs:
            largest[rank] = max(largest.get(rank, 0), extent_of(extent))
    for source, indices in accesses:
        if isinstance(source, State):
            return False
        for index, extent in zip(indices, extents_of(source)):
            found = _interval(index, largest, extent_of)
            if found is None or found[0] < 0 or found[1] >= extent_of(extent):
                return False
    return True


def _interval(index: Expr, largest: Mapping[Rank, int], extent_of) -> tuple[int, int] | None:
    """The least and the greatest value of an index; None where it is not known."""
    match index:
        case Const(value):
            return value, value
        case Size() | Extent():
            return (extent_of(index),) * 2
        case Index(rank):
            return 0, max(largest[rank] - 1, 0)
        case Map(op, args) if op.name in ("add", "subtract", "multiply", "minimum", "maximum"):
            bounds = [_interval(arg, largest, extent_of) for arg in args]
            if None in bounds:
                return None
            (a, b), (c, d) = bounds
            corners = {"add": (a + c, b + d), "subtract": (a - d, b - c), "minimum": (min(a, c), min(b, d)),
                       "maximum": (max(a, c), max(b, d)), "multiply": (a * c, a * d, b * c, b * d)}[op.name]
            low, high = min(corners), max(corners)
            return (low, high) if I64.lowest <= low and high <= I64.highest else None  # it may wrap around
        case Map(op, (arg, Const(value))) if op.name in ("floor_divide", "remainder") and value > 0:
            bounds = _interval(arg, largest, extent_of)
            if bounds is None:
                return None
            return (bounds[0] // value, bounds[1] // value) if op.name == "floor_divide" else (0, value - 1)
    return None


def fault_finder(cascade: Cascade) -> Cascade:
    """The program that gives, for each output, the flat position of the first element that depends on a fault."""
    explicit = make_absence_explicit(cascade)
    finding = _Faults()
    outputs = []
    for tensor in explicit.outputs:
        fault = finding.of(tensor.body)
        position: Expr = Const(0, I64)
        for rank, extent in zip(tensor.ranks, tensor.extents):
            position = Map(OPS["add"], (Map(OPS["multiply"], (position, extent)), Index(rank)))
        body = Const(NOWHERE, I64) if fault is None else Select(fault, position, Const(NOWHERE, I64))
        if tensor.ranks:
            body = Reduce(named("min", I64), tensor.ranks, tensor.extents, (body,))
        outputs.append(Tensor((), (), body))
    return Cascade(f"{cascade.name}_faults", cascade.inputs, tuple(outputs))


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
            case Input():
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

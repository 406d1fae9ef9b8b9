"""Whenever every access is proved to stay inside, the program that looks for faults finds none, whatever the data."""

import numpy as np
import pytest

from einfall.cascade.check import check
from einfall.cascade.faults import NOWHERE, accesses_stay_inside, fault_finder
from einfall.cascade.nodes import (
    Access,
    Cascade,
    History,
    Index,
    Input,
    Label,
    Rank,
    Reduce,
    Scan,
    Size,
    State,
    Tensor,
)
from einfall.cascade.run import Fault, run
from einfall.cascade.scope import carried
from einfall.scalar.dtypes import BOOL, F64, I64
from einfall.scalar.monoids import named
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import OPS
from einfall.scalar.run import evaluate

X, Y, A = Input("X", F64, 1, None), Input("Y", F64, 2, None), Input("A", I64, 1, None)
N, M = Size("X", 0), Size("Y", 1)
AXES = {X: (N,), Y: (N, M), A: (N,)}
POOL = tuple(map(Rank, "ijr"))  # few names, so that binders shadow each other
ZERO = Const(0.0, F64)


def op(name: str, *args) -> Expr:
    return Map(OPS[name], tuple(arg if isinstance(arg, Expr) else Const(arg, I64) for arg in args))


class Drawn:
    """A random program: reads at computed places, most of them under the guard that they need, some under a wrong one.

    scope: the ranks that are bound, with their extents; states: the states that can be read, with theirs.
    """

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.wrong = self.rng.choice([0.0, 0.2])
        self.scans = 0

    def cascade(self) -> Cascade:
        ranks = POOL[:self.rng.integers(1, 3)]
        extents = tuple(self.one(N, M) for _ in ranks)
        body = self.value(dict(zip(ranks, extents)), (), 3)
        made = Cascade("drawn", (X, Y, A), (Tensor(ranks, extents, body),))
        check(made)
        return made

    def one(self, *options):
        return options[self.rng.integers(len(options))]

    def extent(self) -> Expr:
        return self.one(N, M, N, Const(3, I64), op("add", N, 1), op("subtract", M, 2))

    def index(self, scope: dict) -> Expr:
        here, there = (Index(self.one(*scope)) for _ in range(2))
        by = int(self.rng.integers(-2, 3))
        return self.one(
            lambda: op("add", here, by), lambda: op("add", here, by), lambda: op("subtract", here, there),
            lambda: op("subtract", op("add", here, there), 1), lambda: op("add", op("multiply", here, 2), by),
            lambda: op("subtract", op("subtract", N, 1), here), lambda: op("floor_divide", op("add", here, by), 2),
            lambda: op("remainder", op("add", here, by), self.one(N, M)), lambda: op("maximum", op("add", here, by), 0),
            lambda: op("minimum", here, op("subtract", there, by)), lambda: self.read(A, scope, (op("add", here, by),)),
            lambda: Select(op("greater", here, by), op("subtract", here, by), Const(0, I64)))()

    def compared(self, index: Expr, name: str, end: Expr) -> Expr:
        """index < end, or index >= end, in one of the ways to say it."""
        if self.rng.random() < self.wrong:
            end = op("add", end, self.one(-1, 1))
        less = name == "less"
        return self.one(
            lambda: op(name, index, end), lambda: op("greater" if less else "less_equal", end, index),
            lambda: op("less_equal", index, op("subtract", end, 1)) if less else op(
                "greater", index, op("subtract", end, 1)),
            lambda: op("invert", op("greater_equal" if less else "less", index, end)),
            lambda: op(name, op("subtract", index, end), 0),
            lambda: op(name, op("multiply", index, 3), op("multiply", end, 3)))()

    def guard(self, indices, extents) -> Expr:
        """What keeps indices inside: all of it, or now and then some of it or something else."""
        parts = [part for index, extent in zip(indices, extents) if not isinstance(index, Index)
                 for part in (self.compared(index, "greater_equal", Const(0, I64)),
                              self.compared(index, "less", extent))]
        self.rng.shuffle(parts)
        if parts and self.rng.random() < self.wrong:
            parts.pop()
        found: Expr = Const(True, BOOL)
        for part in parts:
            found = self.one(
                op("bitwise_and", found, part), op("invert", op("bitwise_or", op("invert", found), op("invert", part))),
                Select(found, part, Const(False, BOOL)))
        return found

    def condition(self, scope: dict) -> Expr:
        here = Index(self.one(*scope))
        return self.one(
            lambda: op(self.one("less", "equal", "not_equal", "greater"), here, int(self.rng.integers(0, 4))),
            lambda: op("less_equal", here, Index(self.one(*scope))),
            lambda: op("greater", Cast(here, F64), Const(1.0, F64)),
            lambda: op("bitwise_or", self.condition(scope), self.condition(scope)))()

    def chosen(self, condition: Expr, yes: Expr, no: Expr) -> Expr:
        if self.rng.random() < 0.3:
            condition, yes, no = op("invert", condition), no, yes
        if self.rng.random() < self.wrong:
            yes, no = no, yes
        return Select(condition, yes, no)

    def read(self, source, scope: dict, indices, extents=None, other=None) -> Expr:
        """An access under its guard, or without one."""
        found = Access(source, tuple(indices), None)
        if self.rng.random() < self.wrong:
            return found
        outside = Const(0, I64) if source.dtype is I64 else self.one(ZERO, Const(1.0, F64))
        return self.chosen(self.guard(indices, extents or AXES[source]), found, other or outside)

    def indices(self, scope: dict, extents) -> list[Expr]:
        """Computed, or a bare rank that is the whole axis."""
        made = []
        for extent in extents:
            bare = [Index(rank) for rank, known in scope.items() if known is extent and Index(rank) not in made]
            made.append(self.one(*bare) if bare and self.rng.random() < 0.4 else self.index(scope))
        return made

    def value(self, scope: dict, states: tuple, depth: int) -> Expr:
        below = depth - 1
        if depth == 0:
            source = self.one(X, Y)
            return self.read(source, scope, self.indices(scope, AXES[source]))
        return self.one(
            lambda: self.value(scope, states, 0),
            lambda: op("multiply", self.value(scope, states, below), self.value(scope, states, below)),
            lambda: self.chosen(self.condition(scope), self.value(scope, states, below), self.one(ZERO, self.value(
                scope, states, 0))),
            lambda: self.reduction(scope, states, below), lambda: self.tensor(scope, states, below),
            lambda: self.scan(scope, states, below), lambda: self.state(scope, states))()

    def reduction(self, scope: dict, states: tuple, depth: int) -> Expr:
        rank, extent = self.one(*POOL), self.extent()
        body = self.value({**scope, rank: extent}, states, depth)
        return Reduce(named(self.one("sum", "max"), F64), (rank,), (extent,), (body,))

    def tensor(self, scope: dict, states: tuple, depth: int) -> Expr:
        ranks = tuple(POOL[place] for place in self.rng.permutation(3)[:self.rng.integers(1, 3)])
        extents = tuple(self.extent() for _ in ranks)
        made = Tensor(ranks, extents, self.value({**scope, **dict(zip(ranks, extents))}, states, depth))
        indices = self.indices(scope, extents)
        if self.rng.random() < 0.3:
            return Access(made, tuple(indices), ZERO)
        return self.read(made, scope, indices, extents)

    def scan(self, scope: dict, states: tuple, depth: int) -> Expr:
        rank, axis = (POOL[place] for place in self.rng.permutation(3)[:2])
        extent, length = self.extent(), self.extent()
        self.scans += 1
        label = Label(f"s{self.scans}")
        own = State(label, 0, F64, 1, ())
        init = self.value({**scope, axis: extent}, states, 0) if rank not in scope else ZERO
        step = self.value({**scope, axis: extent, rank: length}, (*states, (own, (extent,))), depth)
        last = bool(self.rng.random() < 0.5)
        made = carried(Scan(rank, length, label, ((axis,),), ((extent,),), (init,), (step,), False, False, last))
        extents = (extent,) if last else (length, extent)
        return self.read(History(made, 0), scope, self.indices(scope, extents), extents)

    def state(self, scope: dict, states: tuple) -> Expr:
        if not states:
            return self.value(scope, states, 0)
        source, extents = self.one(*states)
        return self.read(source, scope, self.indices(scope, extents), extents)


def found(cascade: Cascade, inputs: dict) -> bool:
    """Whether the finder finds a fault; it may well depend on one itself, in the condition of another."""
    try:
        return any(result.array != NOWHERE for result in run(fault_finder(cascade).outputs, inputs))
    except Fault:
        return True


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in (1, 2, 3))])
def test_what_is_proved_has_no_fault(part):
    proved = clean = 0
    for seed in range(part * 100, part * 100 + 100):
        drawn = Drawn(seed)
        cascade, (n, m) = drawn.cascade(), (int(size) for size in drawn.rng.integers(2, 6, 2))
        sizes = {N: n, Size("Y", 0): n, Size("A", 0): n, M: m}
        inside = accesses_stay_inside(cascade, lambda extent, sizes=sizes: int(evaluate(extent, sizes.get)))
        draws = [{"X": drawn.rng.normal(size=n), "Y": drawn.rng.normal(size=(n, m)),
                  "A": drawn.rng.integers(-2, n + 2, n)} for _ in range(2)]
        faulty = any(found(cascade, inputs) for inputs in draws)
        assert not (inside and faulty), f"seed {seed}"
        proved, clean = proved + inside, clean + (not faulty)
    assert 40 < clean < 95 and proved > 0.75 * clean, f"{proved} of {clean} are proved"

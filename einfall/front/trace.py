"""What is known while a kernel is traced: sizes, which extents are equal, which ranks have which extent."""

import contextvars
from collections.abc import Mapping
from typing import NamedTuple

from einfall.base.errors import Line, RankError, TraceError, user_line
from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.nodes import Extent, Rank, Size
from einfall.scalar.dtypes import F32, F64, I64, DType
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS
from einfall.scalar.run import INTEGERS, too_wide, whole_number

__all__ = [
    "Again",
    "Constraint",
    "Trace",
    "agree",
    "arithmetic",
    "current",
    "evaluate",
    "is_tracing",
    "tracing",
    "under_way",
    "unresolved",
    "widest_float",
]

_CURRENT: contextvars.ContextVar["Trace | None"] = contextvars.ContextVar("einfall_trace", default=None)


class Again(BaseException):
    """The type of a definition that reads itself is another than thought: the tracing begins again.

    No Exception, so that user code does not catch it.
    """

    def __init__(self, place: int, dtype: DType):
        super().__init__(place, dtype)
        self.place, self.dtype, self.line = place, dtype, user_line()


class Constraint(NamedTuple):
    """Two extents of one rank that have to agree, and who says so."""

    rank: str
    left: Expr
    right: Expr
    left_owner: str
    right_owner: str
    line: Line | None


class Trace:
    """One tracing. `sizes` are those of the call that caused it; the program must not depend on them, except where
    Python code looks at a shape: such axes are in `fixed`."""

    def __init__(self, sizes: Mapping[str, tuple[int, ...]], default_float: DType, known: str,
                 guesses: Mapping[int, DType] | None = None):
        self.sizes, self.default_float, self.known = sizes, default_float, known
        self.accumulate: DType | None = None  # the type that the kernel under way asks reductions to be computed in
        self.constraints: list[Constraint] = []
        self.nonnegative: list[tuple[str, Expr, Line | None]] = []
        self.fixed: set[Size] = set()
        self.lines: dict[Node, Line | None] = {}
        self.alike: list[tuple[Expr, Expr]] = []  # that they have one size in this call decided how they are broadcast
        self.needed: list[tuple[str, Expr, Expr, Line | None]] = []
        self.told: dict[Node, tuple[str, str]] = {}  # accesses that stand for something else: its name, and a repair
        self.labels = 0
        self.early: list[tuple[object, Line | None]] = []  # definitions that were read before they were defined
        self.assumptions: list = []
        self.guesses = guesses or {}  # the types that they are thought to have, by their place in `early`
        self.scopes: list[dict[str, list[tuple[Expr, str]]]] = [{}]  # per kernel: rank -> its extents and who gave them
        self.scope = 0
        self.resolving: set[Extent] = set()
        self.parents: dict[Expr, Expr] = {}
        self.splits: list[tuple[dict[str, Expr], Expr]] = []  # axes read by several ranks of unknown extents

    # Extents

    def bind(self, rank: str, extent: Expr, owner: str) -> None:
        """Remembers that a rank has this extent somewhere in the kernel."""
        known = self.scopes[self.scope].setdefault(rank, [])
        if all(extent is not other for other, _ in known):
            known.append((extent, owner))

    def representative(self, extent: Expr) -> Expr:
        while extent in self.parents:
            extent = self.parents[extent]
        return extent

    def equate(self, rank: str, left: Expr, right: Expr, left_owner: str, right_owner: str) -> None:
        """Two extents of one rank meet; from now on they are the same.

        Raises: RankError where the sizes of this call differ.
        """
        one, other = self.representative(left), self.representative(right)
        if one is other:
            return
        constraint = Constraint(rank, left, right, left_owner, right_owner, user_line())
        if not _unresolved(left) and not _unresolved(right):
            agree(constraint, self.sizes, self.known)
        self.constraints.append(constraint)
        # a constant stands for its class; else the extent that was there first
        if isinstance(other, Const) or isinstance(one, Extent):
            one, other = other, one
        self.parents[other] = one

    def need_elements(self, what: str, extent: Expr, least: Expr = Const(1, I64)) -> None:  # noqa: B008  interned
        """Remembers that a call with fewer elements along this extent is an error."""
        self.needed.append((what, extent, least, user_line()))

    def enter(self) -> int:
        """Begins the ranks of another kernel; gives the scope to return to."""
        outer, self.scope = self.scope, len(self.scopes)
        self.scopes.append({})
        return outer

    def resolved(self, extent: Extent) -> Expr:
        """The one extent that a rank has in its kernel.

        Raises: RankError with none or two.
        """
        rank = extent.rank.name
        known = {}
        self.resolving.add(extent)
        for other, owner in self.scopes[extent.scope].get(rank, []):
            inner = {node for node in postorder(other) if isinstance(node, Extent)}
            if inner.isdisjoint(self.resolving):  # an extent may be computed from others that come later
                other = rewrite(other, lambda node: self.resolved(node) if isinstance(node, Extent) else None)
                known.setdefault(self.representative(other), (other, owner))
        self.resolving.discard(extent)
        if len({evaluate(other, self.sizes) for other, _ in known.values()}) == 1:
            (first, owner), *others = known.values()
            for other, other_owner in others:  # equal in this call, and asked to be in every other
                self.equate(rank, first, other, owner, other_owner)
            known = {self.representative(first): (first, owner)}
        if len(known) == 1:
            return next(iter(known))
        met = self.representative(extent)
        if not known and not isinstance(met, Extent):
            return met
        for extents, size in self.splits:
            others = [other for other in extents.values() if other is not extent]
            if not known and extents.get(rank) is extent and not any(map(self.is_open, others)):
                for other in others:
                    other = self.resolved(other) if isinstance(other, Extent) else other
                    size = arithmetic("floor_divide", size, other)
                return size
        if not known:
            raise RankError(f"rank {rank} is never bound: nothing gives it an extent", known=self.known,
                            repair=f"write {rank}.of(n) once, or index a whole axis with {rank}")
        owners = ", ".join(f"{evaluate(other, self.sizes)} in {owner}" for other, owner in known.values())
        raise RankError(f"rank {rank} has several extents in this kernel: {owners}", known=self.known,
                        repair=f"write {rank}.of(n) where nothing else binds it")

    def is_open(self, extent: Expr) -> bool:
        """Whether nothing but a split axis says the extent of a rank."""
        return isinstance(extent, Extent) and not self.scopes[extent.scope].get(extent.rank.name) and isinstance(
            self.representative(extent), Extent)

    def next_label(self) -> str:
        self.labels += 1
        return f"s{self.labels}"


def agree(constraint: Constraint, sizes: Mapping[str, tuple[int, ...]], known: str) -> None:
    """Raises RankError where two extents of a rank differ."""
    left, right = evaluate(constraint.left, sizes), evaluate(constraint.right, sizes)
    if left != right:
        rank = constraint.rank
        raise RankError(
            f"rank {rank} has extent {left} in {constraint.left_owner} and {right} in {constraint.right_owner}",
            known=known, where=constraint.line,
            repair="pass arrays whose axes agree, or give one of the two axes another rank")


def evaluate(extent: Expr, sizes: Mapping[str, tuple[int, ...]]) -> int:
    """The value of an extent for given sizes. Raises: ShapeError beyond 64 bits."""
    known = "  ".join(f"{name}: {list(shape)}" for name, shape in sizes.items())
    return whole_number(extent, lambda size: sizes[size.input][size.axis], known)


def arithmetic(op: str, left: Expr, right: Expr) -> Expr:
    """Integer arithmetic on extents, folded where both are constants."""
    if isinstance(left, Const) and isinstance(right, Const):
        value = INTEGERS[op](left.value, right.value)
        if not I64.lowest <= value <= I64.highest:
            raise too_wide(value, current().known)
        return Const(value, I64)
    if op == "multiply" and isinstance(left, Const) and left.value == 1:
        return right
    if isinstance(right, Const) and (op, right.value) in (("add", 0), ("subtract", 0), ("multiply", 1),
                                                          ("floor_divide", 1)):
        return left
    return Map(OPS[op], (left, right))


def _unresolved(extent: Expr) -> bool:
    return any(isinstance(node, Extent) for node in postorder(extent))


class tracing:
    """Makes a trace the current one: `with tracing(trace): ...`."""

    def __init__(self, trace: Trace):
        self.trace = trace

    def __enter__(self):
        self.token = _CURRENT.set(self.trace)
        return self.trace

    def __exit__(self, *exception):
        _CURRENT.reset(self.token)


def current() -> Trace:
    """The trace under way. Raises: TraceError outside a kernel."""
    trace = _CURRENT.get()
    if trace is None:
        raise TraceError("this is an expression of a kernel, and no kernel is being traced",
                         repair="write it inside a function decorated with @ef.kernel")
    return trace


def under_way() -> Trace | None:
    """The trace of this context, if there is one."""
    return _CURRENT.get()


def is_tracing() -> bool:
    """Whether a kernel is being traced in this context."""
    return _CURRENT.get() is not None


def unresolved(rank: str) -> Extent:
    """The extent of a rank that only the whole kernel knows."""
    return Extent(Rank(rank), current().scope)


def widest_float(dtypes) -> DType:
    """The default float: the widest among the arguments, f32 at least."""
    return F64 if F64 in dtypes else F32

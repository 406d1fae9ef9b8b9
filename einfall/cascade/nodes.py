"""The nodes of a cascade: expressions over named ranks, and the tensors that expressions are read from.

An expression has free ranks; `Reduce`, `Tensor` and `Scan` bind some of theirs, with an extent beside each.
A bound rank is local. An extent is an integer expression over `Size` leaves, constants and free of ranks.
"""

from einfall.base.node import Node
from einfall.scalar.dtypes import BOOL, I64, DType
from einfall.scalar.monoids import Monoid
from einfall.scalar.nodes import Const, Expr, Leaf

__all__ = ["Access", "Carried", "Cascade", "Coordinate", "Domain", "Extent", "History", "Index", "Input", "Label",
           "Part", "Pattern", "Rank", "Reduce", "Scalar", "Scan", "Size", "Source", "State", "Tensor", "extents_of"]


class Rank(Node):
    """A named axis of the mathematics."""

    name: str


class Label(Node):
    """The name of the states of one scan, as its step reads them."""

    name: str


class Index(Leaf):
    """The coordinate on a rank."""

    rank: Rank

    def type_of(self):
        return I64

    def free_variables(self):
        return frozenset((self.rank,))


class Coordinate(Expr):
    """An index that is read from memory or computed, and never leaves the axis that it indexes, as a bare rank."""

    arg: Expr

    def type_of(self):
        return I64


class Size(Leaf):
    """The extent of an axis of an input."""

    input: str
    axis: int

    def type_of(self):
        return I64


class Extent(Leaf):
    """The extent of a rank, while tracing: replaced by what its kernel says before the cascade is done.

    `scope` numbers the kernel, since a kernel called in a kernel has ranks of its own.
    """

    rank: Rank
    scope: int

    def type_of(self):
        return I64


class Scalar(Leaf):
    """A number that arrives with the call."""

    name: str
    type: DType

    def type_of(self):
        return self.type


class Source(Node):
    """What can be read at coordinates: it has a number type, axes and free variables."""

    derived = ("dtype", "free")


class Domain(Node):
    """Between which numbers all elements of an input are: as its kernel assumes, and checks before each call."""

    low: Const | None
    reaches_low: bool
    high: Const | None
    reaches_high: bool


class Input(Source):
    """An array that arrives with the call."""

    name: str
    type: DType
    ndim: int
    domain: Domain | None

    def derive(self):
        object.__setattr__(self, "dtype", self.type)
        object.__setattr__(self, "free", frozenset())


class Pattern(Source):
    """Where an input stores something: everywhere, as far as a program is concerned."""

    name: str
    ndim: int

    def derive(self):
        object.__setattr__(self, "dtype", BOOL)
        object.__setattr__(self, "free", frozenset())


class Tensor(Source):
    """An expression with an order of its ranks: a name for its values, not memory."""

    ranks: tuple[Rank, ...]
    extents: tuple[Expr, ...]
    body: Expr

    def derive(self):
        if len(set(self.ranks)) != len(self.ranks) or len(self.ranks) != len(self.extents):
            raise TypeError("a tensor binds each of its ranks once, with an extent each")
        object.__setattr__(self, "dtype", self.body.dtype)
        object.__setattr__(self, "free", self.body.free.difference(self.ranks))

    @property
    def ndim(self) -> int:
        return len(self.ranks)


class Carried(Node):
    """What a label stands for when states are substituted: a label, and the free ranks of the states."""

    derived = ("free",)
    label: Label
    ranks: tuple[Rank | Label, ...]

    def derive(self):
        object.__setattr__(self, "free", frozenset((self.label, *self.ranks)))


class State(Source):
    """A state of a scan as its step reads it: the value before the step, over the state's own axes.

    `ranks` are the free ranks of the scan: the state has a value for each of their coordinates.
    """

    label: Label
    place: int
    type: DType
    ndim: int
    ranks: tuple[Rank | Label, ...]

    def derive(self):
        object.__setattr__(self, "dtype", self.type)
        object.__setattr__(self, "free", frozenset((self.label, *self.ranks)))


class Scan(Node):
    """States that are updated along a rank, in order; all new states take effect together.

    axes[i], extents[i]: the ranks that are axes of state i, bound in its init and step. `rank` is bound in the steps.
    """

    derived = ("free",)
    rank: Rank
    extent: Expr
    label: Label
    axes: tuple[tuple[Rank, ...], ...]
    extents: tuple[tuple[Expr, ...], ...]
    inits: tuple[Expr, ...]
    steps: tuple[Expr, ...]
    exclusive: bool
    reverse: bool
    last: bool

    def derive(self):
        free: set[Node] = set()
        for axes, init, step in zip(self.axes, self.inits, self.steps):
            if init.dtype is not step.dtype:
                raise TypeError(f"a state begins as {init.dtype} and goes on as {step.dtype}")
            free |= (step.free - {self.rank, self.label} | init.free).difference(axes)
        object.__setattr__(self, "free", frozenset(free))


class History(Source):
    """The values of one state of a scan: an axis for the rank (none if only the last is kept), then the state's."""

    scan: Scan
    place: int

    def derive(self):
        object.__setattr__(self, "dtype", self.scan.inits[self.place].dtype)
        object.__setattr__(self, "free", self.scan.free)

    @property
    def ndim(self) -> int:
        return len(self.scan.axes[self.place]) + (not self.scan.last)


class Access(Expr):
    """A tensor read at coordinates; `outside` is the value beyond its axes, None where an index has to stay inside."""

    source: Source
    indices: tuple[Expr, ...]
    outside: Const | None

    def type_of(self):
        if len(self.indices) != self.source.ndim or any(index.dtype is not I64 for index in self.indices):
            raise TypeError(f"{self.source.ndim} i64 indices are needed")
        if self.outside is not None and self.outside.dtype is not self.source.dtype:
            raise TypeError(f"outside is {self.outside.dtype}, the tensor {self.source.dtype}")
        return self.source.dtype

    def weak(self):
        return False


class Reduce(Expr):
    """The elements of all coordinates of the bound ranks, brought together in row-major order. See Part for tuples."""

    monoid: Monoid
    ranks: tuple[Rank, ...]
    extents: tuple[Expr, ...]
    bodies: tuple[Expr, ...]

    def type_of(self):
        if tuple(body.dtype for body in self.bodies) != self.monoid.dtypes:
            raise TypeError(f"{self.monoid.name} of {[body.dtype for body in self.bodies]}")
        return self.bodies[0].dtype

    def free_variables(self):
        return frozenset().union(*(body.free for body in self.bodies)).difference(self.ranks)


class Part(Expr):
    """One component of a reduction whose monoid has several."""

    reduce: Reduce
    place: int

    def type_of(self):
        return self.reduce.bodies[self.place].dtype


class Cascade(Node):
    """A program: what arrives with the call, and what goes back, in order."""

    name: str
    inputs: tuple[Input | Scalar, ...]
    outputs: tuple[Tensor, ...]


def extents_of(source: Source) -> tuple[Expr, ...]:
    """The extents of a tensor's axes; a state's are known to its scan only."""
    match source:
        case Input() | Pattern():
            return tuple(Size(source.name, axis) for axis in range(source.ndim))
        case Tensor():
            return source.extents
        case History(scan, place):
            return scan.extents[place] if scan.last else (scan.extent, *scan.extents[place])
    raise TypeError(f"no extents: {source!r}")

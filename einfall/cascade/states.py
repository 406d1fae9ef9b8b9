"""Derived nodes: several reductions over the same ranks as one state that takes elements in any portions.

A `Fused` node holds components. Each has a monoid, what an element brings at the references as they are *after* the
portion, and what becomes of the value *before* when the references move. The two moments are two labels:

    for each component, in order:   new = combine(moved(before, new), fold of element(new) over the portion)
"""

from einfall.base.node import Node
from einfall.cascade.nodes import Access, Index, Label, Rank, Source, State
from einfall.scalar.monoids import Monoid
from einfall.scalar.nodes import Expr

__all__ = ["Component", "Fused", "Total", "component_value"]


class Component(Node):
    """One accumulator of a fused reduction, over axes of its own."""

    derived = ("free",)
    name: str
    monoid: Monoid
    axes: tuple[Rank, ...]
    extents: tuple[Expr, ...]
    element: Expr
    moved: Expr

    def derive(self):
        (identity,) = self.monoid.identity
        if not identity.dtype is self.element.dtype is self.moved.dtype:
            raise TypeError(f"{self.name}: {identity.dtype}, {self.element.dtype}, {self.moved.dtype}")
        object.__setattr__(self, "free", (self.element.free | self.moved.free).difference(self.axes))


class Fused(Node):
    """Reductions over the same ranks that go through their elements together."""

    derived = ("free",)
    ranks: tuple[Rank, ...]
    extents: tuple[Expr, ...]
    before: Label
    after: Label
    components: tuple[Component, ...]

    def derive(self):
        free = frozenset().union(*(component.free for component in self.components))
        object.__setattr__(self, "free", free.difference((*self.ranks, self.before, self.after)))


class Total(Source):
    """The value of one component when all elements have been taken, over the component's axes."""

    fused: Fused
    place: int

    def derive(self):
        object.__setattr__(self, "dtype", self.fused.components[self.place].monoid.dtypes[0])
        object.__setattr__(self, "free", self.fused.free)

    @property
    def ndim(self) -> int:
        return len(self.fused.components[self.place].axes)


def component_value(label: Label, place: int, monoid: Monoid, axes: tuple[Rank, ...]) -> Expr:
    """A component as the expressions of a fused reduction read it: its value at one of the two moments."""
    state = State(label, place, monoid.dtypes[0], len(axes), ())
    return Access(state, tuple(map(Index, axes)), None)

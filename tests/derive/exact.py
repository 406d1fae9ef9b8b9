"""States of fused reductions with fifty digits: of a set of elements, and of two states together."""

from collections.abc import Iterable, Mapping

import mpmath
import numpy as np

from einfall.base.node import Node
from einfall.cascade.nodes import Access, Index, Input, Rank, Reduce, Size, State, Tensor
from einfall.cascade.states import Component
from einfall.derive.fuse import Group
from einfall.scalar.monoids import Side
from einfall.scalar.nodes import Cast, Const, Map, Select

__all__ = ["DIGITS", "Exact"]

DIGITS = 50
Value = dict[tuple[int, ...], object]  # of a component, for each place along its axes

FUNCTIONS = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b if b else mpmath.nan, "negative": lambda a: -a, "abs": abs, "minimum": min,
    "logaddexp": lambda a, b: max(a, b) + mpmath.log1p(mpmath.exp(-abs(a - b))) if max(a, b) > -mpmath.inf else a,
    "maximum": max, "exp": mpmath.exp, "log": lambda a: mpmath.log(a) if a else -mpmath.inf, "sqrt": mpmath.sqrt,
    "pow": lambda a, b: a ** b, "less": lambda a, b: a < b, "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b, "greater_equal": lambda a, b: a >= b, "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b, "bitwise_and": lambda a, b: a and b, "bitwise_or": lambda a, b: a or b,
    "invert": lambda a: not a,
}


class Exact:
    """One group with its inputs; ranks outside of the state have one coordinate."""

    def __init__(self, group: Group, inputs: Mapping[str, np.ndarray], outside: Iterable[Rank]):
        self.group, self.inputs = group, inputs
        self.ranks = dict.fromkeys(outside, 0)

    def state(self, elements: Iterable[int]) -> list[Value]:
        """The state of a set of elements, each taken relative to the references of the whole set."""
        return self.folded(elements, None)

    def folded(self, elements: Iterable[int], after: list[Value] | None) -> list[Value]:
        """The elements relative to the references of a state; without one to their own."""
        made: list[Value] = []
        for component in self.group.components:
            made.append({place: self.fold(component, [
                self.value(component.element, {**here, self.group.ranks[0]: element}, [], after or made)
                for element in elements]) for place, here in self.places(component)})
        return made

    def identity(self) -> list[Value]:
        return [{place: self.constant(component.monoid.identity[0]) for place, _ in self.places(component)}
                for component in self.group.components]

    def moved(self, before: list[Value], after: list[Value], *, is_guarded: bool = True) -> list[Value]:
        """A state relative to the references of another."""
        plain = self.group.unguarded
        return [{place: self.value(component.moved if is_guarded else plain.get(component.moved, component.moved),
                                   here, before, after) for place, here in self.places(component)}
                for component in self.group.components]

    def combined(self, left: list[Value], right: list[Value]) -> list[Value]:
        """Each side moved to the references of both together, then brought together, component by component."""
        made: list[Value] = []
        for component in self.group.components:
            made.append({place: self.fold(component, [self.value(component.moved, here, side, made)
                                                      for side in (left, right)])
                         for place, here in self.places(component)})
        return made

    def places(self, component: Component) -> list[tuple[tuple[int, ...], dict[Rank, int]]]:
        sizes = [int(self.value(extent, self.ranks, [], [])) for extent in component.extents]
        return [(place, {**self.ranks, **dict(zip(component.axes, place))}) for place in np.ndindex(*sizes)]

    def fold(self, component: Component, values: list):
        monoid = component.monoid
        made = self.constant(monoid.identity[0])
        for value in values:
            made = self.value(monoid.combine[0], {}, [], [], sides=(made, value))
        return made

    def constant(self, node: Const):
        return node.value if isinstance(node.value, bool) else mpmath.mpf(node.value)

    def value(self, expr: Node, ranks: dict[Rank, int], before: list[Value], after: list[Value], sides=()):
        """An expression at coordinates, with the states that stand for the two moments."""

        def at(node: Node):
            return self.value(node, ranks, before, after, sides)

        match expr:
            case Const():
                return self.constant(expr)
            case Index(rank):
                return ranks[rank]
            case Side(is_right, _):
                return sides[is_right]
            case Size(name, axis):
                return self.inputs[name].shape[axis]
            case Cast(arg):
                return mpmath.mpf(at(arg))
            case Select(condition, yes, no):
                return at(yes) if at(condition) else at(no)
            case Map(op, args):
                return FUNCTIONS[op.name](*map(at, args))
            case Access(source, indices):
                return self.element(source, tuple(int(at(index)) for index in indices), ranks, before, after)
            case Reduce(monoid, (rank,), (extent,), (body,)):
                made = self.constant(monoid.identity[0])
                for place in range(int(at(extent))):
                    element = self.value(body, {**ranks, rank: place}, before, after)
                    made = self.value(monoid.combine[0], {}, [], [], sides=(made, element))
                return made
        raise TypeError(type(expr).__name__)

    def element(self, source: Node, place: tuple[int, ...], ranks: dict, before: list[Value], after: list[Value]):
        match source:
            case Input(name):
                return mpmath.mpf(float(self.inputs[name][place]))
            case State(label, number):
                return (before if label is self.group.before else after)[number][place]
            case Tensor(axes, _, body):
                return self.value(body, {**ranks, **dict(zip(axes, place))}, before, after)
        raise TypeError(type(source).__name__)

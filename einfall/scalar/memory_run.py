"""Statements run one by one in NumPy, floats in float64: slow, and obviously what the text says."""

from collections.abc import Callable, Mapping

import numpy as np

from einfall.scalar.memory import Load, Loop, Number, Size, Store, Value, Variable, Workspace
from einfall.scalar.monoids import combined
from einfall.scalar.nodes import Expr
from einfall.scalar.run import in_float64, operation

__all__ = ["Execution"]


class Execution:
    """Memory and values of one run."""

    def __init__(self, inputs: Mapping[str, np.ndarray], numbers: Mapping[str, float]):
        self.shapes = {name: array.shape for name, array in inputs.items()}
        self.arrays = {name: in_float64(array) for name, array in inputs.items()}
        self.values = {name: np.asarray(value) for name, value in numbers.items()}
        self.steps: dict[Expr, list[tuple[Callable, tuple[int, ...]]]] = {}
        self.updates: dict[Loop, tuple[Expr, ...]] = {}

    def memory(self, buffer) -> np.ndarray:
        shape = tuple(int(self.value(extent)) for extent in buffer.extents)
        dtype = np.float64 if buffer.type.is_float else buffer.type.numpy
        # what was never stored must not look like a result
        filler = np.nan if buffer.type.is_float else buffer.type.lowest
        self.arrays[buffer.name] = np.full(shape, filler, dtype)
        return self.arrays[buffer.name]

    def block(self, statements) -> None:
        for statement in statements:
            match statement:
                case Workspace(buffer):
                    self.memory(buffer)
                case Store(buffer, indices, value):
                    self.arrays[buffer.name][tuple(int(self.value(index)) for index in indices)] = self.value(value)
                case Loop(variable, extent, carried=carried, body=body):
                    for item in carried:
                        self.values[item.value.name] = self.value(item.init)
                    updates = self.updates_of(statement)
                    for index in range(int(self.value(extent))):
                        self.values[variable.name] = np.asarray(index, np.int64)
                        self.block(body)
                        after = [self.value(update) for update in updates]
                        self.values.update((item.value.name, value) for item, value in zip(carried, after))

    def updates_of(self, loop: Loop) -> tuple[Expr, ...]:
        """The values that a loop carries on, made once."""
        if loop not in self.updates:
            made = tuple(item.update for item in loop.carried)
            if loop.monoid is not None:
                made = combined(loop.monoid, tuple(item.value for item in loop.carried), made)
            self.updates[loop] = made
        return self.updates[loop]

    def value(self, expr: Expr) -> np.ndarray:
        """The value of an expression now: its nodes in order, children first, which are brought into order once."""
        if expr not in self.steps:
            self.steps[expr] = self.in_order(expr)
        values: list[np.ndarray] = []
        for function, below in self.steps[expr]:
            values.append(function(*[values[place] for place in below]))
        return values[-1]

    def in_order(self, expr: Expr) -> list[tuple[Callable, tuple[int, ...]]]:
        """What each node does, and the places of its arguments."""
        steps, places = [], {}

        def place(node: Expr) -> int:
            if node not in places:
                below = node.indices if isinstance(node, Load) else node.below
                step = operation(node) or self.leaf(node), tuple(map(place, below))
                places[node] = len(steps)
                steps.append(step)
            return places[node]

        place(expr)
        return steps

    def leaf(self, node: Expr) -> Callable[..., np.ndarray]:
        match node:
            case Variable(name) | Value(name) | Number(name):
                return lambda: self.values[name]
            case Size(name, axis):
                size = np.asarray(self.shapes[name][axis], np.int64)
                return lambda: size
            case Load(buffer, _, outside):
                return lambda *indices: self.load(buffer.name, tuple(map(int, indices)), outside)
        raise TypeError(f"not part of a nest: {node!r}")

    def load(self, name: str, place: tuple[int, ...], outside) -> np.ndarray:
        array = self.arrays[name]
        inside = all(0 <= at < extent for at, extent in zip(place, array.shape))
        if outside is not None and not inside:
            return np.asarray(outside.value, array.dtype)
        assert inside, f"{name}{place}"
        return array[place]

"""Statements run one by one in NumPy, floats in float64: slow, and obviously what the text says."""

from collections.abc import Mapping

import numpy as np

from einfall.scalar.memory import Load, Loop, Number, Size, Store, Value, Variable, Workspace
from einfall.scalar.monoids import combined
from einfall.scalar.nodes import Expr
from einfall.scalar.run import evaluate

__all__ = ["Execution"]


class Execution:
    """Memory and values of one run."""

    def __init__(self, inputs: Mapping[str, np.ndarray], numbers: Mapping[str, float]):
        self.shapes = {name: array.shape for name, array in inputs.items()}
        self.arrays = {name: array.astype(np.float64) if array.dtype.kind == "f" else array
                       for name, array in inputs.items()}
        self.values = {name: np.asarray(value) for name, value in numbers.items()}

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
                case Loop(variable, extent, _, monoid, carried, body):
                    for item in carried:
                        self.values[item.value.name] = self.value(item.init)
                    for index in range(int(self.value(extent))):
                        self.values[variable.name] = np.asarray(index, np.int64)
                        self.block(body)
                        updates = tuple(item.update for item in carried)
                        if monoid is not None:
                            updates = combined(monoid, tuple(item.value for item in carried), updates)
                        after = [self.value(update) for update in updates]
                        self.values.update((item.value.name, value) for item, value in zip(carried, after))

    def value(self, expr: Expr) -> np.ndarray:
        return evaluate(expr, self.leaf)

    def leaf(self, node: Expr) -> np.ndarray:
        match node:
            case Variable(name) | Value(name) | Number(name):
                return self.values[name]
            case Size(name, axis):
                return np.asarray(self.shapes[name][axis], np.int64)
            case Load(buffer, indices, outside):
                array = self.arrays[buffer.name]
                place = tuple(int(self.value(index)) for index in indices)
                if outside is not None and not all(0 <= at < extent for at, extent in zip(place, array.shape)):
                    return np.asarray(outside.value, array.dtype)
                assert all(0 <= at < extent for at, extent in zip(place, array.shape)), f"{buffer.name}{place}"
                return array[place]
        raise TypeError(f"not part of a nest: {node!r}")

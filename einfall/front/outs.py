"""`kernel(..., out=...)`: results written into arrays of the caller, as if all had been computed before.

Where an `out` may share memory with an argument, or does not lie row-major, its result is computed elsewhere and copied
at the end; else the kernel writes straight into it. Where it is an argument of which a part is replaced, as of a cache,
only that part is written.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from einfall.base.errors import ShapeError, TraceError
from einfall.cascade.nodes import Cascade
from einfall.cascade.updates import can_be_in_place, update_of
from einfall.front.arguments import Arguments
from einfall.front.operands import memory_of
from einfall.runtime.launch import Block
from einfall.scalar.dtypes import of_numpy

__all__ = ["Outs", "outs_of"]

OVERLAP_WORK = 10_000  # steps of the search for an element that two arrays share; ordinary views take a few


class Outs(NamedTuple):
    """Where the results of a call go: what was given for each, and as arrays."""

    given: tuple
    arrays: tuple[np.ndarray, ...]

    def updates(self, cascade: Cascade, arguments: Arguments) -> frozenset[int]:
        """The places of the results that are an argument of which a part is replaced, where they are given its memory
        and nothing else has any of it."""
        found = set()
        for place, array in enumerate(self.arrays):
            update = update_of(cascade.outputs[place])
            if update is None or not (array.flags.c_contiguous and array.flags.aligned):
                continue
            held = arguments.arrays.get(update.source.name)
            is_same = held is not None and (held.__array_interface__["data"], held.shape, held.strides) == (
                array.__array_interface__["data"], array.shape, array.strides)
            others = (other for name, other in arguments.arrays.items() if name != update.source.name)
            if is_same and not any(np.may_share_memory(array, other) for other in others) and (
                    can_be_in_place(cascade, place)):
                found.add(place)
        return frozenset(found)

    def directly(self, names: tuple[str, ...], arguments: Arguments, updates: frozenset[int]) -> dict[str, np.ndarray]:
        """Those that the kernel may write into while it still reads its arguments, by the name of the result."""
        found: dict[str, np.ndarray] = {}
        for place, (name, array) in enumerate(zip(names, self.arrays)):
            if place in updates:
                found[name] = array
                continue
            is_apart = not any(np.may_share_memory(array, other) for other in arguments.arrays.values())
            if is_apart and array.flags.c_contiguous and array.flags.aligned and name not in found:
                found[name] = array
        return found


def outs_of(out, structure, blocks: Sequence[Block], arguments: Arguments, name: str) -> Outs:
    """What was given as `out=`, checked against the results. Raises: TraceError or ShapeError where it does not fit."""
    given: dict[int, tuple[str, object]] = {}
    _place(out, structure, given, "out", arguments.known, name)
    arrays = []
    for place in range(len(given)):
        path, value = given[place]
        array = _as_array(path, value, arguments)
        _fit(path, array, blocks[place], arguments)
        for other, earlier in zip(range(place), arrays):
            if _share(array, earlier):
                raise TraceError(f"{given[other][0]} and {path} share memory", known=arguments.known,
                                 repair="give each result an array of its own")
        arrays.append(array)
    return Outs(tuple(value for _, value in (given[place] for place in range(len(given)))), tuple(arrays))


def _place(out, structure, given: dict, path: str, known: str, name: str) -> None:
    """Finds the array for each result, by its place."""
    match structure:
        case int():
            given[structure] = (path, out)
            return
        case tuple():
            if isinstance(out, tuple | list) and len(out) == len(structure):
                for number, (item, part) in enumerate(zip(out, structure)):
                    _place(item, part, given, f"{path}[{number}]", known, name)
                return
            wanted = f"a tuple of {len(structure)}"
        case _:
            if isinstance(out, dict) and set(out) == set(structure):
                for key, part in structure.items():
                    _place(out[key], part, given, f"{path}[{key!r}]", known, name)
                return
            wanted = f"a dict with the keys {', '.join(map(repr, structure))}"
    kind = f"a {type(out).__name__}"
    kind += f" of {len(out)}" if isinstance(out, tuple | list) else f" with {', '.join(map(repr, out))}" if isinstance(
        out, dict) else ""
    raise TraceError(f"{path} is {kind}, and kernel {name} returns {wanted}", known=known,
                     repair="give one array for each result, in the structure that the kernel returns")


def _as_array(path: str, value, arguments: Arguments) -> np.ndarray:
    """An out as NumPy sees it."""
    library = "torch" if arguments.is_torch else "NumPy"
    is_tensor = type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "numpy")
    is_array = isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)
    if not (is_tensor if arguments.is_torch else is_array):
        what = "a torch tensor" if is_tensor else "a NumPy array" if is_array else f"a {type(value).__name__}"
        made = "torch.empty(...)" if arguments.is_torch else "np.empty(...)"
        raise TraceError(f"{path} is {what}, and the results are in {library}", known=arguments.known,
                         repair=f"give an array of {library}, such as {made}")
    if is_array:
        return value
    if value.device.type != "cpu" or value.requires_grad:
        what = "requires grad" if value.device.type == "cpu" else f"is on {value.device}"
        raise TraceError(f"{path} {what}", known=arguments.known, repair="give a plain tensor on the CPU")
    try:
        return memory_of(value)
    except (TypeError, RuntimeError) as error:
        raise TraceError(f"{path} is a torch tensor that NumPy cannot see: {error}", known=arguments.known,
                         repair="give a dense tensor of the type of the result") from None


def _fit(path: str, array: np.ndarray, block: Block, arguments: Arguments) -> None:
    """Raises: ShapeError or TraceError where a result cannot be written into an array as it is."""
    if array.shape != block.shape:
        raise ShapeError(f"{path} has the shape {list(array.shape)}, and the result {list(block.shape)}",
                         known=arguments.known, repair="give an array of the shape of the result: nothing is broadcast")
    if array.dtype != block.type:
        dtype = of_numpy(array.dtype)
        cast = "" if dtype is None else f", or return the result with .astype(ef.{dtype})"
        raise TraceError(f"{path} has dtype {array.dtype}, and the result {block.type}", known=arguments.known,
                         repair=f"give an array of {block.type}{cast}")
    if not array.flags.writeable:
        raise TraceError(f"{path} is read-only", known=arguments.known, repair="give an array that may be written")
    if _reaches_an_element_twice(array):
        raise TraceError(f"{path} has strides by which two indices may reach one element: {list(array.strides)}",
                         known=arguments.known, repair="give an array that was not broadcast")


def _reaches_an_element_twice(array: np.ndarray) -> bool:
    """Whether the strides do not rule it out: each has to step over everything that smaller ones reach."""
    reach = array.itemsize
    for stride, extent in sorted((abs(stride), extent) for stride, extent in zip(array.strides, array.shape)):
        if extent > 1 and array.size:
            if stride < reach:
                return True
            reach += stride * (extent - 1)
    return False


def _share(array: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have an element in common; where that is too hard to say, yes."""
    try:
        return np.shares_memory(array, other, max_work=OVERLAP_WORK)
    except np.exceptions.TooHardError:
        return True

"""What a kernel is called with: arrays, numbers, tuples and dicts of them, and static values."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from einfall.base.errors import TraceError
from einfall.cascade.nodes import Input, Scalar
from einfall.format.concrete import Use
from einfall.format.format import Layout
from einfall.front.expression import Array, Expression, Rank
from einfall.front.operands import memory_of, operand_of
from einfall.runtime.storage import Stored
from einfall.scalar.dtypes import DTYPES, F64, I64, DType, of_numpy

__all__ = ["Arguments", "collect", "parameters"]


FEW = 16  # extents up to here are constants of the machine code


class Arguments(NamedTuple):
    """A call, taken apart: leaves by name, and the key of what a trace depends on."""

    inputs: dict[str, Input | Scalar]
    arrays: dict[str, np.ndarray]
    scalars: dict[str, int | float]
    structure: dict[str, Any]  # per parameter: the value, with names of leaves in place of arrays and numbers
    key: tuple
    is_torch: bool
    stored: dict[str, Stored]  # the arrays that lie in memory in a format; `arrays` has their shapes
    made: dict[Use, np.ndarray]  # what programs read of them, made once a call

    @property
    def known(self) -> str:
        """The arguments as errors show them."""
        shown = [f"{name}: {of_numpy(array.dtype)}{list(array.shape)}" for name, array in self.arrays.items()]
        return "  ".join(shown + [f"{name} = {value!r}" for name, value in self.scalars.items()])

    @property
    def layouts(self) -> dict[str, Layout]:
        """How the arrays that have a format are stored."""
        return {name: held.layout for name, held in self.stored.items()}

    @property
    def places(self) -> tuple:
        """What the plan of a call depends on: shapes and strides."""
        return (tuple((array.shape, array.strides) for array in self.arrays.values()),
                tuple(held.places for held in self.stored.values()))

    def with_memory(self, uses: Iterable[Use]) -> "Arguments":
        """The arguments with the arrays that a concrete program reads of operands."""
        for use in uses:
            if use not in self.made:
                self.made[use] = self.stored[use.operand].memory(use.form, use.part)
        return self._replace(arrays={**self.arrays, **{use.input: self.made[use] for use in uses}}) if uses else self

    def dense(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """All arrays dense, as the reference takes them, and of those stored in part where they are."""
        return ({**self.arrays, **{name: held.dense() for name, held in self.stored.items()}},
                {name: held.stored() for name, held in self.stored.items() if held.format.is_sparse})

    @property
    def units(self) -> frozenset[tuple[str, int]]:
        """The axes along which elements lie side by side: what machine code is made for."""
        return frozenset((name, axis) for name, array in self.arrays.items()
                         for axis, stride in enumerate(array.strides) if stride == array.itemsize)

    @property
    def small(self) -> frozenset[tuple[str, int, int]]:
        """The axes with few elements, (input, axis, extent): machine code is made for these extents."""
        return frozenset((name, axis, extent) for name, array in self.arrays.items()
                         for axis, extent in enumerate(array.shape) if extent <= FEW)

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays."""
        return {name: array.shape for name, array in self.arrays.items()}


class Leaf(NamedTuple):
    """The place of an array or a number in the structure of a parameter."""

    name: str


def parameters(function: Callable) -> inspect.Signature:
    """The signature of a kernel. Raises: TraceError for what a kernel cannot have."""
    if not inspect.isfunction(function):
        raise TraceError(f"a kernel is a Python function, not {function!r}", repair="write @ef.kernel above a def")
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TraceError(f"kernel {function.__name__} has the parameter *{parameter.name}",
                             repair="take a tuple or a dict of arrays as one parameter")
        if parameter.name in ("out", "machine"):
            raise TraceError(f"kernel {function.__name__} has a parameter called {parameter.name}",
                             repair="give it another name: out and machine are einfall's own")
    return signature


def collect(signature: inspect.Signature, name: str, args: tuple, options: dict) -> Arguments:
    """The arguments of a call. Raises: TraceError for what cannot be passed."""
    try:
        held = signature.bind(*args, **options)
    except TypeError as error:
        raise TraceError(f"{name}: {error}", repair=f"call {name}{signature}") from None
    held.apply_defaults()
    found = _Collection()
    structure = {}
    for parameter, value in held.arguments.items():
        is_static = signature.parameters[parameter].kind is inspect.Parameter.KEYWORD_ONLY
        structure[parameter] = found.static(parameter, value) if is_static else found.leaf(parameter, value)
    return Arguments(found.inputs, found.arrays, found.scalars, structure, tuple(found.key), found.is_torch,
                     found.stored, {})


def _exactly(value) -> tuple:
    """What tells static values apart: Python's equality takes 1, 1.0 and True for one, and 0.0 and -0.0."""
    match value:
        case Rank(name=name, size=size):
            return Rank, name, _exactly(size)
        case tuple() | frozenset():
            return type(value), tuple(map(_exactly, value))
        case float() | complex():
            return type(value), repr(value)
    return type(value), value


class _Collection:
    """The leaves met so far."""

    def __init__(self):
        self.inputs, self.arrays, self.scalars, self.stored, self.key = {}, {}, {}, {}, []
        self.is_torch = False

    def static(self, path: str, value):
        try:
            hash(value)
        except TypeError:
            raise TraceError(f"static argument {path} is a {type(value).__name__}, which has no hash",
                             repair="pass numbers, strings or tuples; arrays stand before the *") from None
        self.key.append((path, _exactly(value)))
        return value

    def leaf(self, path: str, value):
        match value:
            case tuple() | list():
                self.key.append((path, (tuple, len(value))))
                return tuple(self.leaf(f"{path}_{place}", item) for place, item in enumerate(value))
            case dict() if not hasattr(value, "tocsr"):  # one kind of sparse matrix is a dict
                self.key.append((path, (dict, tuple(map(_exactly, value)))))
                return {key: self.leaf(f"{path}_{key}", item) for key, item in value.items()}
            case bool() | str() | None | DType() | Rank():
                return self.static(path, value)
            case int() | float() if not isinstance(value, np.generic):
                return self.number(path, value)
        return self.array(path, value)

    def name(self, path: str) -> str:
        base = re.sub(r"\W", "_", path)
        name, number = base, 1
        while name in self.inputs:
            name, number = f"{base}_{number}", number + 1
        return name

    def number(self, path: str, value) -> Leaf:
        name = self.name(path)
        if isinstance(value, int) and not I64.lowest <= value <= I64.highest:
            raise TraceError(f"argument {path} does not fit into 64 bits: {value}", repair="pass a float")
        dtype = I64 if isinstance(value, int) else F64
        self.inputs[name] = Scalar(name, dtype)
        self.scalars[name] = value
        self.key.append((path, dtype))
        return Leaf(name)

    def array(self, path: str, value) -> Leaf:
        name = self.name(path)
        held = operand_of(value, what=path)
        if held is not None:
            self.is_torch |= held.is_torch
            self.inputs[name] = Input(name, held.layout.type, held.ndim, None)
            self.arrays[name], self.stored[name] = held.carrier(), held
            self.key.append((path, held.layout))
            return Leaf(name)
        array = self.as_numpy(path, value)
        dtype = of_numpy(array.dtype)
        if dtype is None:
            what = f"argument {path} has dtype {array.dtype}"
            if array.dtype.kind == "c":
                raise TraceError(what, repair=f"pass {path}.real and {path}.imag: einfall has no complex numbers")
            if not array.dtype.isnative:
                raise TraceError(what, repair=f"pass {path}.astype({path}.dtype.newbyteorder('='))")
            raise TraceError(what, repair=f"convert it to one of {', '.join(DTYPES)}")
        self.inputs[name] = Input(name, dtype, array.ndim, None)
        self.arrays[name] = array
        self.key.append((path, (dtype, array.ndim)))
        return Leaf(name)

    def as_numpy(self, path: str, value) -> np.ndarray:
        if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
            return value
        if isinstance(value, np.generic):
            return np.asarray(value)
        if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "numpy"):
            self.is_torch = True
            if value.device.type != "cpu":
                raise TraceError(f"argument {path} is on {value.device}", repair=f"pass {path}.cpu()")
            if value.requires_grad:
                raise TraceError(f"argument {path} requires grad, and einfall has no gradients yet",
                                 repair=f"pass {path}.detach()")
            try:
                return memory_of(value)
            except (TypeError, RuntimeError) as error:
                raise TraceError(f"argument {path} is a torch tensor that NumPy cannot see: {error}",
                                 repair=f"pass a dense tensor of a type of einfall: {path}.to_dense(), "
                                        f"{path}.to(torch.float32)") from None
        if isinstance(value, Array | Expression):
            raise TraceError(f"argument {path} is a symbol of a kernel, and no kernel is being traced",
                             repair="call the kernel on arrays")
        raise TraceError(f"argument {path} is a {type(value).__name__}",
                         repair="pass a NumPy array, a torch tensor on the CPU, or a number")



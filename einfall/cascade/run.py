"""The meaning of a cascade, computed directly in NumPy: the oracle of everything.

Floats are float64 throughout, integers stay integers, nothing is rewritten. Beside each value stand
  present  which points exist (LANGUAGE, absent points); None means all
  fault    0, or the number of the out-of-range access that the value came from; it counts where it reaches a result
  error    a bound of the rounding error, propagated to first order (asked for by `measure`)
"""

from collections.abc import Mapping
from typing import NamedTuple

import ml_dtypes
import numpy as np

from einfall.base.node import Node
from einfall.cascade.domain import is_constant, is_domain
from einfall.cascade.nodes import (
    Access,
    Coordinate,
    History,
    Index,
    Input,
    Part,
    Pattern,
    Rank,
    Reduce,
    Scalar,
    Scan,
    Size,
    State,
    Tensor,
)
from einfall.scalar.dtypes import DType
from einfall.scalar.monoids import Monoid, Side
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import convert
from einfall.scalar.run import in_float64, in_type, rounds

__all__ = ["Fault", "Result", "run"]


class Fault(Exception):
    """An access outside its axis that a result depends on."""

    def __init__(self, access: Access, axis: int, value: int, extent: int, coordinates: dict[Rank, int]):
        super().__init__(f"axis {axis}: {value} is not in 0..{extent - 1} at {coordinates}")
        self.access, self.axis, self.value, self.extent = access, axis, value, extent
        self.coordinates = coordinates


class Value(NamedTuple):
    """An array with an axis for each rank in `ranks`; the arrays beside it have as many axes, some of extent 1."""

    array: np.ndarray
    ranks: tuple[Rank, ...]
    present: np.ndarray | None = None
    fault: np.ndarray | None = None
    error: np.ndarray | None = None


class Result(NamedTuple):
    """A result, the error bound of each element before the result was rounded to a narrow float, the longest reduction
    that led to it, and how far that rounding may go the other way: one unit of the type, 0 where there was none."""

    array: np.ndarray
    error: np.ndarray | None
    reduced_elems: int
    unit: np.ndarray | float = 0.0


class Coordinates:
    """The coordinates on which a bound rank is evaluated; compared by identity, so that values can be remembered."""

    def __init__(self, array: np.ndarray, extent: int):
        self.array = array
        self.is_whole = len(array) == extent


def run(outputs: tuple[Tensor, ...], inputs: Mapping[str, np.ndarray], scalars: Mapping[str, float] | None = None, *,
        at: Mapping[Rank, np.ndarray] | None = None, measure: str = "", stored: Mapping[str, np.ndarray] | None = None
        ) -> tuple[Result, ...]:
    """The values of the outputs; `at` evaluates chosen coordinates of output ranks only.

    stored: for inputs that do not store all of their elements, where they do; the others are absent.
    measure: "nominal" bounds the rounding errors of a computation in the types of the program, "float64" those of one
    in float64, such as this.

    Raises: Fault when a result depends on an element outside its array.
    """
    evaluation = _Evaluation(inputs, scalars or {}, measure, stored or {})
    with np.errstate(all="ignore"):
        return tuple(evaluation.output(tensor, at or {}) for tensor in outputs)


class _Evaluation:
    """One run: inputs, what is known already, and the faults met."""

    def __init__(self, inputs: Mapping[str, np.ndarray], scalars: Mapping[str, float], measure: str,
                 stored: Mapping[str, np.ndarray]):
        self.stored = stored
        self.inputs = {name: in_float64(array) for name, array in inputs.items()}
        self.scalars, self.measure = scalars, measure
        self.memo: dict = {}
        self.local: list[tuple[frozenset, dict]] = []  # per running scan: what changes with a step, values of the step
        self.whole: dict[int, Coordinates] = {}
        self.faults: list[tuple[Access, int, np.ndarray, int, tuple, tuple]] = []
        self.fault_base = [1]
        self.longest = 1

    def output(self, tensor: Tensor, at: Mapping[Rank, np.ndarray]) -> Result:
        env = self.bind({}, tensor.ranks, tensor.extents)
        for rank in tensor.ranks:
            if rank in at:
                env[rank] = Coordinates(np.asarray(at[rank], np.int64), len(env[rank].array))
        self.longest = 1
        body, is_rounded = tensor.body, isinstance(tensor.body, Cast) and tensor.dtype.is_narrow
        value = self.spread(self.eval(body, env), tensor.ranks, env)
        if value.fault is not None and value.fault.any():
            raise self.explained(int(value.fault[value.fault > 0].min()))
        unit = _one_unit(value.array, tensor.dtype) if is_rounded else 0.0
        if is_rounded:  # this rounding is the last: no error grows from it
            value = value._replace(error=self.spread(self.eval(body.arg, env), tensor.ranks, env).error)
            value = value._replace(error=np.zeros(()) if value.error is None and self.measure else value.error)
        error = None if value.error is None else np.broadcast_to(value.error, value.array.shape)
        return Result(value.array, error, self.longest, unit)

    def explained(self, number: int) -> Fault:
        """The fault with that number: which access, where."""
        place = int(np.searchsorted(self.fault_base, number, side="right")) - 1
        access, axis, index, extent, ranks, coordinates = self.faults[place]
        position = np.unravel_index(number - self.fault_base[place], index.shape)
        where = {rank: int(held.array[at]) for rank, held, at in zip(ranks, coordinates, position)}
        return Fault(access, axis, int(index[position]), extent, where)

    # Scopes

    def extent(self, expr: Expr) -> int:
        return int(self.eval(expr, {}).array)

    def bind(self, env: dict, ranks: tuple[Rank, ...], extents: tuple[Expr, ...]) -> dict:
        inside = dict(env)
        for rank, extent in zip(ranks, map(self.extent, extents)):
            if extent not in self.whole:
                self.whole[extent] = Coordinates(np.arange(extent), extent)
            inside[rank] = self.whole[extent]
        return inside

    def eval(self, node: Node, env: dict) -> Value:
        """The value over the free ranks of a node; remembered by the coordinates and states that it depends on."""
        variables = sorted(node.free, key=lambda variable: variable.name)
        key = (node, *(id(env[variable]) for variable in variables))
        memo = self.memo_of(node)
        if key not in memo:
            memo[key] = self.computed(node, env)
        return memo[key]

    def memo_of(self, node: Node) -> dict:
        """What is known of nodes that change with the same steps as this one."""
        for changing, values in reversed(self.local):
            if not changing.isdisjoint(node.free):
                return values
        return self.memo

    def computed(self, node: Node, env: dict) -> Value:
        match node:
            case Const(value, dtype):
                leaf = self.leaf(np.array(value, np.float64 if dtype.is_float else dtype.numpy), dtype)
                return leaf._replace(error=leaf.error * 0) if leaf.error is not None and _is_exact(value) else leaf
            case Size(name, axis):
                return self.leaf(np.array(self.inputs[name].shape[axis], np.int64), node.dtype)
            case Scalar(name, dtype):
                return self.leaf(np.array(self.scalars[name], np.float64 if dtype.is_float else dtype.numpy), dtype)
            case Index(rank):
                return self.leaf(env[rank].array, node.dtype, (rank,))
            case Map():
                return self.map(node, env)
            case Select():
                return self.select(node, env)
            case Cast(arg, to):
                return self.cast(self.eval(arg, env), to, rounds(node))
            case Coordinate(arg):
                return self.eval(arg, env)
            case Access():
                return self.access(node, env)
            case Reduce() | Part():
                return self.reduce(node, env)
        raise TypeError(f"not an expression of a cascade: {node!r}")

    def leaf(self, array: np.ndarray, dtype: DType, ranks: tuple[Rank, ...] = ()) -> Value:
        return Value(array, ranks, error=self.rounding(array, dtype))

    def rounding(self, array: np.ndarray, dtype: DType) -> np.ndarray | None:
        """The error of rounding to a type; an infinite or missing value is exact: it agrees, or it does not."""
        if not self.measure or not dtype.is_float:
            return None
        limits = np.finfo(dtype.computed.numpy if self.measure == "nominal" else np.float64)
        size = np.abs(array)
        least = np.where((size > 0) & (size < limits.smallest_normal), limits.smallest_subnormal, 0.0)  # underflow
        return np.where(np.isfinite(array), size * limits.eps + least, 0.0)

    def aligned(self, values: list[Value]) -> tuple[list[Value], tuple[Rank, ...]]:
        """The values with one and the same rank order, axes of extent 1 where a value lacks the rank."""
        ranks = tuple(sorted(set().union(*(value.ranks for value in values)), key=lambda rank: rank.name))
        return [_reordered(value, ranks) for value in values], ranks

    def spread(self, value: Value, ranks: tuple[Rank, ...], env: dict) -> Value:
        """The value with exactly these axes, in this order, each as long as the coordinates."""
        value = _reordered(value, ranks)
        shape = tuple(len(env[rank].array) for rank in ranks)
        return value._replace(array=np.broadcast_to(value.array, shape))

    # Maps

    def map(self, node: Map, env: dict) -> Value:
        args, ranks = self.aligned([self.eval(arg, env) for arg in node.args])
        array = np.asarray(node.op.evaluate(*(arg.array for arg in args)))
        present = fault = None
        error = self.map_error(node, args, array)
        absent = [None if arg.present is None else ~arg.present for arg in args]
        if any(mask is not None for mask in absent):
            array, gone, decided = self.absence(node, args, absent, array)
            present = ~gone
            fault = _joined(*(_where(decided & ~_decides(node, place, arg, absent[place]), None, arg.fault)
                              for place, arg in enumerate(args)))
            error = None if error is None else np.where(decided, 0.0, error)  # that value is exact
        else:
            fault = _joined(*(arg.fault for arg in args))
        return Value(array, ranks, present, fault, error)

    def absence(self, node: Map, args: list[Value], absent: list, array: np.ndarray):
        """(values, where they are absent, where one absent argument decides alone)."""
        decided = np.zeros((1,) * array.ndim, bool)
        for place, arg in enumerate(args):
            decides = _decides(node, place, arg, absent[place])
            array = np.where(decides, arg.array, array) if decides.any() else array
            decided = decided | decides
        everything = np.ones((1,) * array.ndim, bool)
        for mask, arg in zip(absent, node.args):
            if not is_constant(arg):
                everything = everything & (False if mask is None else mask)
        return array, decided | everything, decided

    def map_error(self, node: Map, args: list[Value], array: np.ndarray) -> np.ndarray | None:
        error = self.rounding(array, node.dtype)
        if error is not None and node.op.slopes is not None:
            slopes = node.op.slopes(*(arg.array for arg in args), array)
            for arg, slope in zip(args, slopes):
                if arg.error is not None:
                    # a slope may be missing, or infinite where the argument carries no error: sqrt at 0
                    error = error + np.nan_to_num(np.abs(slope) * arg.error, nan=0.0, posinf=np.inf)
            if node.op.name == "multiply":  # a product of two differences that cancel has no error of first order
                error = error + np.nan_to_num(args[0].error * args[1].error, nan=0.0, posinf=np.inf)
        return error

    def select(self, node: Select, env: dict) -> Value:
        (condition, yes, no), ranks = self.aligned([self.eval(arg, env) for arg in (node.condition, node.yes, node.no)])
        chosen = condition.array
        if is_constant(node.no) and is_domain(node.condition):
            present = chosen if yes.present is None else chosen & yes.present
        elif yes.present is None and no.present is None:
            present = None
        else:
            present = np.where(chosen, _full(yes.present), _full(no.present))
        fault = _joined(condition.fault, _where(chosen, yes.fault, no.fault))
        error = None if yes.error is None else np.where(chosen, yes.error, no.error)
        return Value(np.where(chosen, yes.array, no.array), ranks, present, fault, error)

    def cast(self, value: Value, to: DType, is_rounded: bool) -> Value:
        if to.is_float:
            array = in_type(value.array, to) if is_rounded else value.array.astype(np.float64)
            # what is rounded to fewer digits may have been close to the middle of two of its numbers, at every height
            error = _one_unit(array, to) if is_rounded and self.measure else self.rounding(array, to)
            return value._replace(array=array, error=error if value.error is None else error + value.error)
        if to.kind == "bool":
            return value._replace(array=value.array != 0, error=None)
        return value._replace(array=convert(value.array, to.numpy), error=None)

    # Accesses

    def access(self, node: Access, env: dict) -> Value:
        source = self.source(node.source, env)
        bare = [index.rank if isinstance(index, Index) else None for index in node.indices]
        own = len(source.ranks) - len(bare)  # ranks that the source is still free in stand before its axes
        if None not in bare and len(set(bare)) == len(bare) and not set(bare) & set(source.ranks[:own]) and all(
                env[rank].is_whole and len(env[rank].array) == extent
                for rank, extent in zip(bare, source.array.shape[own:])):
            ranks = source.ranks[:own] + tuple(bare)
            return _reordered(source._replace(ranks=ranks), tuple(sorted(ranks, key=lambda rank: rank.name)))
        return self.gathered(node, source, own, env)

    def gathered(self, node: Access, source: Value, own: int, env: dict) -> Value:
        """Elements at computed coordinates; the source's own free ranks are indexed by their coordinates."""
        free = [Value(np.arange(len(env[rank].array)), (rank,)) for rank in source.ranks[:own]]
        indices, ranks = self.aligned(free + [self.eval(index, env) for index in node.indices])
        fault = _joined(*(index.fault for index in indices))
        shape = tuple(len(env[rank].array) for rank in ranks)
        inside, places = np.ones((), bool), []
        for axis, index in enumerate(indices):
            extent = source.array.shape[axis]
            out_of_range = (index.array < 0) | (index.array >= extent)
            if axis >= own and out_of_range.any() and node.outside is None:
                whole = np.broadcast_to(index.array, shape)
                number = self.fault_base[-1] + np.arange(whole.size).reshape(whole.shape)
                fault = _joined(fault, np.where(out_of_range, number, 0))
                self.faults.append((node, axis - own, whole, extent, ranks, tuple(env[rank] for rank in ranks)))
                self.fault_base.append(self.fault_base[-1] + whole.size)
            inside = inside & ~out_of_range
            places.append(np.clip(index.array, 0, max(extent - 1, 0)))

        def taken(array, outside):
            if array is None:
                return None
            array = np.broadcast_to(array, source.array.shape)
            if array.size == 0:
                return np.broadcast_to(np.asarray(outside, array.dtype), shape)
            return np.where(inside, array[tuple(places)], outside) if places else array

        beyond = 0 if node.outside is None else node.outside.value
        array = taken(source.array, beyond).astype(source.array.dtype)
        return Value(array, ranks, taken(source.present, True), _joined(fault, taken(source.fault, 0)),
                     taken(source.error, 0.0))

    def source(self, node: Node, env: dict) -> Value:
        """A tensor as an array: axes for the ranks it is still free in, then its own (named by place)."""
        match node:
            case Input(name, _, ndim):
                value = self.leaf(self.inputs[name], node.dtype, _places(ndim))
                return value._replace(present=self.stored[name]) if name in self.stored else value
            case Pattern(name, ndim):
                everywhere = np.broadcast_to(np.True_, self.inputs[name].shape)
                return Value(self.stored.get(name, everywhere), _places(ndim))
            case State(label, place):
                return env[label][place]
            case Tensor(ranks, extents, body):
                inside = self.bind(env, ranks, extents)
                value = self.eval(body, inside)
                others = tuple(rank for rank in value.ranks if rank not in ranks)
                value = self.spread(value, others + ranks, inside)
                return value._replace(ranks=others + _places(len(ranks)))
            case History(scan, place):
                return self.eval_scan(scan, env)[place]
        raise TypeError(f"not a tensor of a cascade: {node!r}")

    # Reductions and scans

    def reduce(self, node: Reduce | Part, env: dict) -> Value:
        reduction, place = (node, 0) if isinstance(node, Reduce) else (node.reduce, node.place)
        inside = self.bind(env, reduction.ranks, reduction.extents)
        values, ranks = self.aligned([self.eval(body, inside) for body in reduction.bodies])
        kept = tuple(rank for rank in ranks if rank not in reduction.ranks)
        values = [_reordered(value, kept + reduction.ranks) for value in values]
        lengths = tuple(len(inside[rank].array) for rank in reduction.ranks)
        outer = tuple(len(env[rank].array) for rank in kept)
        total = int(np.prod(lengths))
        self.longest = max(self.longest, total)

        def flat(array):
            return None if array is None else np.broadcast_to(array, outer + lengths).reshape((*outer, total))

        columns = [flat(value.array) for value in values]
        result = _folded(reduction.monoid, columns)[place]
        fault = _joined(*(flat(value.fault) for value in values))
        error = self.reduce_error(reduction.monoid, flat(values[place].error), columns[place], result)
        return Value(result, kept, None, None if fault is None else fault.max(axis=-1, initial=0), error)

    def reduce_error(self, monoid: Monoid, error, column, result):
        if error is None:
            return None
        if monoid.name.startswith(("max", "min", "argmax", "argmin")):  # one of the elements, and what it carries
            return error.max(axis=-1, initial=0)
        if monoid.name == "sum":  # an exact element is rounded too, when others are added to it
            return np.maximum(error, self.rounding(column, monoid.dtypes[0])).sum(axis=-1)
        if monoid.name == "logsumexp":
            weight = np.exp(column - result[..., None])
            own = self.rounding(np.abs(result) + 1, monoid.dtypes[0])
            return own + np.where(error == 0, 0, weight * error).sum(axis=-1)
        # products and monoids of the user: the error of each element, relative to it, reaches the result in full
        relative = np.where(column == 0, 0, error / np.abs(column)).sum(axis=-1)
        return np.abs(result) * relative + column.shape[-1] * self.rounding(result, monoid.dtypes[0])

    def eval_scan(self, scan: Scan, env: dict) -> tuple[Value, ...]:
        variables = sorted(scan.free, key=lambda variable: variable.name)
        key = (scan, *(id(env[variable]) for variable in variables))
        memo = self.memo_of(scan)
        if key not in memo:
            memo[key] = self.scanned(scan, env)
        return memo[key]

    def scanned(self, scan: Scan, env: dict) -> tuple[Value, ...]:
        batch = tuple(sorted((variable for variable in scan.free if isinstance(variable, Rank)),
                             key=lambda rank: rank.name))
        inside = dict(env)
        for axes, extents in zip(scan.axes, scan.extents):
            inside = self.bind(inside, axes, extents)
        length = self.extent(scan.extent)
        self.longest = max(self.longest, length)

        def state(expr: Expr, axes: tuple[Rank, ...], env: dict) -> Value:
            value = self.spread(self.eval(expr, env), batch + axes, env)
            shape = value.array.shape
            fault = None if value.fault is None else np.broadcast_to(value.fault, shape)
            error = None if value.error is None else np.broadcast_to(value.error, shape)
            return Value(value.array, batch + _places(len(axes)), None, fault, error)

        states = tuple(state(init, axes, inside) for init, axes in zip(scan.inits, scan.axes))
        seen = []
        for step in reversed(range(length)) if scan.reverse else range(length):
            here = {**inside, scan.rank: Coordinates(np.array([step]), length), scan.label: states}
            self.local.append((frozenset((scan.rank, scan.label)), {}))
            after = tuple(_without(state(expr, (*axes, scan.rank), here), len(axes) + len(batch))
                          for expr, axes in zip(scan.steps, scan.axes))
            self.local.pop()
            seen.append(states if scan.exclusive else after)
            states = after
        if scan.last:
            return states
        ordered = seen[::-1] if scan.reverse else seen
        return tuple(_stacked([entry[place] for entry in ordered], states[place], len(batch))
                     for place in range(len(states)))


def _places(count: int) -> tuple[Rank, ...]:
    """Names for the axes of an array that are not ranks."""
    return tuple(Rank(f"#{place}") for place in range(count))


def _reordered(value: Value, ranks: tuple[Rank, ...]) -> Value:
    """The same value over more ranks, in another order; missing ones get an axis of extent 1."""
    if value.ranks == ranks:
        return value
    held = [rank for rank in ranks if rank in value.ranks]
    order = [value.ranks.index(rank) for rank in held]
    where = tuple(slice(None) if rank in value.ranks else None for rank in ranks)

    def moved(array):
        return None if array is None else np.transpose(array, order)[where]

    return Value(moved(value.array), ranks, moved(value.present), moved(value.fault), moved(value.error))


def _without(value: Value, axis: int) -> Value:
    """The value at the only coordinate of its last axis."""

    def taken(array):
        return None if array is None else np.take(array, 0, axis=axis)

    return Value(taken(value.array), value.ranks[:-1], None, taken(value.fault), taken(value.error))


def _stacked(values: list[Value], empty: Value, axis: int) -> Value:
    """The history of a state: a new axis before the state's own."""

    def stack(arrays, one):
        if one is None and all(array is None for array in arrays):
            return None
        if not arrays:
            return np.empty((*one.shape[:axis], 0, *one.shape[axis:]), one.dtype)
        shape, dtype = empty.array.shape, next(array.dtype for array in (*arrays, one) if array is not None)
        return np.stack([np.zeros(shape, dtype) if array is None else array for array in arrays], axis=axis)

    return Value(stack([value.array for value in values], empty.array), empty.ranks[:axis] + _places(
        len(empty.ranks) - axis + 1), None, stack([value.fault for value in values], empty.fault),
        stack([value.error for value in values], empty.error))


def _one_unit(array: np.ndarray, dtype: DType) -> np.ndarray:
    """The distance to the next number of a narrow float, or somewhat more."""
    limits = ml_dtypes.finfo(dtype.numpy)
    least = float(limits.smallest_subnormal)
    return np.where(np.isfinite(array), np.abs(array) * float(limits.eps) + least, 0.0)


def _is_exact(value: float) -> bool:
    """Whether every float type holds the constant exactly enough to carry no error: a few bits, a small exponent."""
    return not np.isfinite(value) or float(np.float16(value)) == value


def _full(present):
    return True if present is None else present


def _decides(node: Map, place: int, arg: Value, absent) -> np.ndarray:
    """Where an absent argument has the value that annihilates the operator."""
    decides = np.zeros((), bool)
    if absent is not None:
        for where, zero in node.op.annihilators:
            if where == place and (zero is not True or arg.array.dtype.kind == "b"):
                decides = decides | (absent & (arg.array == zero))
    return decides


def _where(condition, yes, no):
    """A selection between faults, where None is no fault at all."""
    if yes is None and no is None:
        return None
    return np.where(condition, 0 if yes is None else yes, 0 if no is None else no)


def _joined(*faults):
    """One fault of each point, if there is any."""
    found = None
    for fault in faults:
        if fault is not None:
            found = fault if found is None else np.maximum(found, fault)
    return found


def _folded(monoid: Monoid, columns: list[np.ndarray]) -> list[np.ndarray]:
    """The elements along the last axis brought together: by NumPy where it has the monoid, else pairwise in order."""
    whole = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum, "any": np.logical_or,
             "all": np.logical_and, "xor": np.bitwise_xor, "or": np.bitwise_or, "and": np.bitwise_and,
             "logsumexp": np.logaddexp}.get(monoid.name)
    identities = [np.asarray(item.value, column.dtype) for item, column in zip(monoid.identity, columns)]
    if whole is not None and len(columns) == 1:
        initial = identities[0] if columns[0].shape[-1] == 0 or monoid.name in ("max", "min") else None
        if columns[0].shape[-1] == 0:
            return [np.broadcast_to(initial, columns[0].shape[:-1]).copy()]
        return [whole.reduce(columns[0], axis=-1).astype(columns[0].dtype)]
    if columns[0].shape[-1] == 0:
        return [np.broadcast_to(identity, column.shape[:-1]).copy() for identity, column in zip(identities, columns)]
    while columns[0].shape[-1] > 1:
        odd = [column[..., -1:] for column in columns] if columns[0].shape[-1] % 2 else None
        even = columns[0].shape[-1] // 2 * 2
        columns = _combined(monoid, [column[..., 0:even:2] for column in columns],
                            [column[..., 1:even:2] for column in columns])
        if odd is not None:
            columns = [np.concatenate([column, rest], axis=-1) for column, rest in zip(columns, odd)]
    first = [np.broadcast_to(identity, column.shape) for identity, column in zip(identities, columns)]
    return [column[..., 0] for column in _combined(monoid, first, columns)]  # a fold begins with the identity


def _combined(monoid: Monoid, left: list[np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
    """The scalar expressions of a monoid on arrays."""
    done: dict[Expr, np.ndarray] = {}

    def value(expr: Expr) -> np.ndarray:
        if expr not in done:
            match expr:
                case Side(is_right, place):
                    done[expr] = (right if is_right else left)[place]
                case Const(number, dtype):
                    done[expr] = np.array(number, np.float64 if dtype.is_float else dtype.numpy)
                case Map(op, args):
                    done[expr] = np.asarray(op.evaluate(*map(value, args)))
                case Select(condition, yes, no):
                    done[expr] = np.where(value(condition), value(yes), value(no))
                case Cast(arg, to):
                    done[expr] = value(arg).astype(np.float64) if to.is_float else convert(value(arg), to.numpy)
        return done[expr]

    shape = left[0].shape
    return [np.broadcast_to(value(expr), shape) for expr in monoid.combine]

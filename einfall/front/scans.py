"""Scans: states that are updated along a rank."""

from collections.abc import Callable

from einfall.base.errors import RankError, TraceError
from einfall.base.node import rewrite
from einfall.cascade import nodes as cas
from einfall.cascade.scope import carried
from einfall.front.arrays import with_axis
from einfall.front.expression import (
    Array,
    Binding,
    Expression,
    Rank,
    apply,
    bound,
    common,
    fitted,
    lift,
    met,
    narrowed,
    strong,
    without,
)
from einfall.front.functions import check_arity, operand
from einfall.front.trace import current, unresolved
from einfall.scalar.dtypes import I64, DType
from einfall.scalar.nodes import Cast, Expr, cast, const

__all__ = ["cumulative", "scan"]


class StateArray(Array):
    """A state with axes of its own: not indexed, it stands for its value at these axes."""

    by_position = False

    def __init__(self, source: cas.State, extents: tuple[Expr, ...], name: str, axes: tuple[Rank, ...], dtype: DType):
        super().__init__(source, extents, name, dtype=dtype)
        self.axes = axes

    def as_expression(self) -> Expression:
        return self[self.axes]


def scan(step: Callable, *, over: Rank, init, exclusive: bool = False, reverse: bool = False, last: bool = False,
         state=None):
    """The states after each step along a rank; `step` takes one argument per state and gives as many back.

    init: one number or expression, or a tuple; state: the ranks that are axes of the states, so that the step may
    read them at other coordinates (one tuple of ranks, or one per state).
    """
    if not isinstance(over, Rank):
        raise RankError(f"over= of a scan is one rank, not {over!r}", repair="ef.scan(step, over=t, init=0.0)")
    is_tuple = isinstance(init, tuple)
    inits = [lift(item) for item in (init if is_tuple else (init,))]
    axes = _axes(state, len(inits), is_tuple)
    label = cas.Label(current().next_label())
    for item in inits:
        if over.name in item.extents:
            raise TraceError(f"the init of a scan over {over.name} depends on {over.name}", known=current().known,
                             repair=f"index with a number, as in X[0], or with another rank than {over.name}")
    steps = _stable(step, label, inits, axes)
    for place, (init, made) in enumerate(zip(inits, steps)):
        dtype = _state_type(init, made)
        if init.weak and dtype.is_int and dtype is not I64:  # it wraps as integers of its type do, in the step as well
            inits[place] = Expression(fitted(init, dtype), init.extents, affine=init.affine, dtype=dtype)
            steps = []
    steps = steps or _stable(step, label, inits, axes)
    return _built(label, over, axes, inits, steps, (exclusive, reverse, last), is_tuple)


def _stable(step: Callable, label: cas.Label, inits: list[Expression], axes: list) -> list[Expression]:
    """The new states; one that becomes wider than its init is that wide in the step as well."""
    dtypes: list[DType] = []
    given = [item.dtype for item in inits]
    while given != dtypes:
        dtypes = given
        steps = _steps(step, [_argument(label, place, *of) for place, of in enumerate(zip(inits, axes, dtypes))])
        given = [dtype if init.weak else _state_type(init, made) for init, made, dtype in zip(inits, steps, dtypes)]
    return steps


def _steps(step: Callable, arguments: list) -> list[Expression]:
    """The new states, as many as arguments."""
    check_arity(step, arguments, "the step of a scan",
                "write a function of as many states as init= has, such as lambda s: s + X[t]")
    made = step(*arguments)
    made = made if isinstance(made, tuple) else (made,)
    if len(made) != len(arguments):
        raise TraceError(f"the step of a scan gives {len(made)} states back and takes {len(arguments)}",
                         known=current().known, repair="give back one new state per argument")
    return [lift(_plain(item)) for item in made]


def _axes(state, count: int, is_tuple: bool) -> list[tuple[Rank, ...]]:
    """The axes of each state."""
    if state is None:
        return [()] * count
    whole = state if isinstance(state, tuple) else (state,)
    if is_tuple and all(isinstance(item, tuple) for item in whole):
        if len(whole) != count:
            raise RankError(f"state= names axes for {len(whole)} states of {count}", repair="one tuple of ranks each")
        return list(whole)
    if not all(isinstance(rank, Rank) for rank in whole):
        raise RankError(f"state= takes ranks, not {state!r}", repair="state=(d, e)")
    return [whole] * count


def _argument(label: cas.Label, place: int, init: Expression, axes: tuple[Rank, ...], dtype: DType):
    """What the step sees of a state of this type, weak if its init is."""
    node = cas.State(label, place, dtype.computed, len(axes), ())
    if not axes:
        return Expression(cas.Access(node, (), None), {}, weak=init.weak, dtype=dtype)
    extents = []
    for rank in axes:
        known = init.extents.get(rank.name) or lift(rank).extents[rank.name]
        extents.append(known.extent if known else unresolved(rank.name))
    made = StateArray(node, tuple(extents), f"state {place}", axes, dtype)
    return _WeakState(made) if init.weak else made


class _WeakState(StateArray):
    """A state whose init is a plain number: it takes the type of what it meets."""

    def __init__(self, array: StateArray):
        super().__init__(array.source, array.extents, array.name, array.axes, array.dtype)

    def pad(self, value) -> Array:
        padded = _WeakState(self)
        padded.pads = self.padded(value)
        return padded

    def __getitem__(self, index) -> Expression:
        made = super().__getitem__(index)
        return made if isinstance(made, Array) else Expression(made.node, made.extents, weak=True, affine=made.affine)


def _plain(item):
    return item.as_expression() if isinstance(item, StateArray) else item


def _built(label, over: Rank, axes, inits, steps, flags, is_tuple: bool):
    """The scan's node and its states as expressions."""
    dtypes = [_state_type(init, step) for init, step in zip(inits, steps)]
    exclusive, reverse, last = flags
    extents, affine = met([*steps, *inits])
    together = Expression(steps[0].node, extents, affine=affine)
    together.extents.setdefault(over.name, None)
    length = bound(together, over)
    bound_axes = {rank.name: rank for own in axes for rank in own}
    sizes = {}
    for name, rank in bound_axes.items():
        together.extents.setdefault(name, None)
        sizes[name] = bound(together, rank)
    left = {name: binding for name, binding in extents.items() if name not in bound_axes and name != over.name}
    computed = [dtype.computed for dtype in dtypes]
    typed = [_retyped(step.node, label, computed) for step in steps]
    typed = [narrowed(node, dtype) if step.weak else cast(node, dtype)
             for node, step, dtype in zip(typed, steps, computed)]
    node = carried(cas.Scan(cas.Rank(over.name), length, label,
                    tuple(tuple(cas.Rank(rank.name) for rank in own) for own in axes),
                    tuple(tuple(sizes[rank.name] for rank in own) for own in axes),
                    tuple(fitted(init, dtype) if init.weak else cast(init.node, dtype)
                          for init, dtype in zip(inits, computed)), tuple(typed), exclusive, reverse, last))
    gone = {**sizes, over.name: length}
    for rank in sorted(variable.name for variable in node.free if isinstance(variable, cas.Rank)):
        if rank not in left:
            raise TraceError(f"rank {rank} is an axis of one state and free in another", known=current().known,
                             repair=f"make {rank} an axis of both, or use another rank in one of them")
    rest = without(Expression(node.steps[0], extents, affine=affine), gone, left)
    results = []
    for place, own in enumerate(axes):
        shown = [*([] if last else [over]), *own]
        bindings = {rank.name: Binding(gone[rank.name], f"the scan over {over.name}") for rank in shown}
        for name, binding in bindings.items():
            current().bind(name, *binding)
        read = cas.Access(cas.History(node, place), tuple(cas.Index(cas.Rank(rank.name)) for rank in shown), None)
        results.append(Expression(read, {**left, **bindings}, affine=rest, dtype=dtypes[place]))
    return tuple(results) if is_tuple else results[0]


def _state_type(init: Expression, step: Expression) -> DType:
    """The type of a state: what its init and its step have together."""
    if init.weak and step.weak:
        is_float = init.dtype.is_float or step.dtype.is_float
        return current().default_float if is_float else I64
    if init.weak and init.dtype.is_float and not step.dtype.is_float:
        return current().default_float
    if init.weak or step.weak:
        kept, other = (step, init) if init.weak else (init, step)
        return current().default_float if other.dtype.is_float and not kept.dtype.is_float else kept.dtype
    return common(init.dtype, step.dtype)


def _retyped(node: Expr, label: cas.Label, dtypes: list[DType]) -> Expr:
    """The step with its states in their final types; widening and rounding back is nothing."""

    def rule(found):
        match found:
            case cas.Access(cas.State(own, place, dtype, ndim, ranks), indices, outside) if own is label:
                if dtype is not dtypes[place]:
                    state = cas.State(own, place, dtypes[place], ndim, ranks)
                    beyond = None if outside is None else const(outside.value, dtypes[place])
                    return Cast(cas.Access(state, indices, beyond), dtype)
            case Cast(Cast(arg, wide), to) if arg.dtype is to and to.is_float and wide.is_float:
                if wide.bits >= to.bits:
                    return arg
        return None

    return rewrite(node, rule)


def cumulative(name: str, x, over: Rank, exclusive: bool, reverse: bool) -> Expression:
    """A scan with a monoid of the table."""
    part = operand(x, f"ef.cum{name}")
    if not isinstance(over, Rank) or over.name not in part.extents:
        raise RankError(f"ef.cum{name} over {over!r}, which is not free in its operand", known=current().known,
                        repair="accumulate over a free rank")
    op, start = {"sum": ("add", 0), "prod": ("multiply", 1), "max": ("maximum", None), "min": ("minimum", None)}[name]
    if start is not None and not part.dtype.is_float:
        part = Expression(cast(part.node, part.dtype.accumulated), part.extents, weak=part.weak, affine=part.affine)
    part = strong(part)
    if start is None:
        start = part.dtype.lowest if name == "max" else part.dtype.highest
    init = Expression(const(start, part.node.dtype), {}, dtype=part.dtype)
    return scan(lambda state: apply(op, state, part), over=over, init=init, exclusive=exclusive, reverse=reverse)


def _short(name: str):
    @with_axis(f"ef.cum{name}", keeps=True, single=True)
    def function(x, *, over, exclusive=False, reverse=False):
        return cumulative(name, x, over, exclusive, reverse)

    function.__name__ = function.__qualname__ = f"cum{name}"
    function.__doc__ = (f"The cumulative {name} along a rank or an axis: inclusive unless `exclusive`, from the end if "
                        "`reverse`.")
    return function


SHORT_FORMS = {f"cum{name}": _short(name) for name in ("sum", "prod", "max", "min")}


"""Kernels: Python functions that are traced once into cascades."""

import contextvars
import functools
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from einfall.base.errors import BoundsError, EinfallError, Line, ShapeError, TraceError
from einfall.base.node import Node, postorder, rewrite
from einfall.cascade.check import check
from einfall.cascade.contract import contracted
from einfall.cascade.faults import NOWHERE, accesses_stay_inside, fault_finder
from einfall.cascade.in_order import in_order
from einfall.cascade.nodes import Access, Cascade, Extent, Index, Input, Rank, Size, State, Tensor, extents_of
from einfall.cascade.parse import parse_named
from einfall.cascade.run import Fault, Result, run
from einfall.cascade.text import text
from einfall.derive.derive import Derivation, derive
from einfall.derive.text import text as derivation_text
from einfall.format.concrete import Concrete, concretised, of_faults, with_patterns
from einfall.front.arguments import Arguments, Leaf, collect, parameters
from einfall.front.assumptions import Assumption, domains, positions, refuse
from einfall.front.definitions import Definition
from einfall.front.expression import Array, Expression, of_this_call, ordered, rounded, strong
from einfall.front.guarded import Guard, InChunks, guard_of, taken_in_chunks
from einfall.front.observers import OBSERVERS, Call
from einfall.front.operands import tensor_of
from einfall.front.options import Options, options_of
from einfall.front.outs import outs_of
from einfall.front.trace import (
    Again,
    Constraint,
    Trace,
    agree,
    current,
    evaluate,
    is_tracing,
    tracing,
    widest_float,
)
from einfall.measure.probe import this_machine
from einfall.measure.timing import Timing, timed
from einfall.nest.text import text as nest_text
from einfall.pipeline import Compiled, compile_cascade
from einfall.plan.fusion import worthwhile
from einfall.plan.vectors import Copy, are_worthwhile
from einfall.report.explain import CallData, Explanation, explanation
from einfall.runtime.launch import Plan, refuse_what_no_memory_holds
from einfall.scalar.dtypes import BOOL, I64, DType
from einfall.scalar.nodes import Expr
from einfall.tile.text import text as tile_text

__all__ = ["Kernel", "Program", "kernel", "parse", "reference"]

DEFAULTS = Options()
RECURSION = 100_000
REMEMBERED = 1000  # sizes for which a kernel remembers that they fit


class Program(NamedTuple):
    """A traced kernel: the cascade, and what to check when other sizes arrive."""

    cascade: Cascade
    names: Mapping[Node, str]
    lines: Mapping[Node, Line | None]
    constraints: tuple[Constraint, ...]
    nonnegative: tuple[tuple[str, Expr, Line | None], ...]
    told: Mapping[Node, tuple[str, str]]
    needed: tuple[tuple[str, Expr, Expr, Line | None], ...]
    assumptions: tuple[Assumption, ...]
    fixed: Mapping[Size, int]
    alike: tuple[tuple[Expr, Expr], ...]
    structure: Any  # the results as the kernel returned them, with places of outputs

    def __str__(self):
        return text(self.cascade, self.names)

    def fits(self, sizes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether the sizes that Python code looked at are the same, and axes that met without ranks still meet so."""
        return all(sizes[size.input][size.axis] == value for size, value in self.fixed.items()) and all(
            evaluate(one, sizes) == evaluate(other, sizes) for one, other in self.alike)

    def admit(self, arguments: Arguments) -> None:
        """Raises RankError or ShapeError where extents of a call do not fit together."""
        sizes = arguments.sizes
        for constraint in self.constraints:
            agree(constraint, sizes, arguments.known)
        for rank, extent, line in self.nonnegative:
            value = evaluate(extent, sizes)
            if value < 0:
                raise ShapeError(f"rank {rank} has a negative extent: {value}", where=line, known=arguments.known,
                                 repair="pass larger arrays, or give the rank another extent")
        for what, extent, least, line in self.needed:
            count, wanted = evaluate(extent, sizes), evaluate(least, sizes)
            if count < wanted:
                few = f"{count} elements" if count else "nothing: the rank has extent 0"
                raise ShapeError(f"{what} of {few}", where=line, known=arguments.known,
                                 repair=f"pass at least {wanted if wanted > 1 else 'one'} element{'s' * (wanted > 1)}")


class Kernel:
    """A function of tensors, written as mathematics with named ranks.

    A call takes `out=`: an array for each result, in the structure of the results, any strides, possibly an argument.
    They are written as if everything had been computed before, and returned. A call that ends early (Ctrl-C) leaves
    those that may overlap an argument as they were; others may be written in part.
    """

    def __init__(self, function: Callable, options: Options = DEFAULTS):
        self.function, self.options = function, options
        self.signature = parameters(function)
        self.programs: dict[tuple, list[Program]] = {}
        self.derivations: dict[Cascade, Derivation] = {}
        self.machines: dict[tuple, dict[bool, Machine]] = {}
        self.ready: dict[tuple, Ready] = {}
        functools.update_wrapper(self, function)

    def __reduce__(self):
        return self.__qualname__

    def __repr__(self):
        return f"<kernel {self.__name__}{self.signature}{self.options}>"

    def __call__(self, *args, out=None, **options):
        if is_tracing():
            return inlined(self, args, options, out)
        if OBSERVERS:
            return observed(self, args, options, out)
        arguments = collect(self.signature, self.__name__, args, options)
        return results_of(self, self.prepared(arguments), arguments, out)

    def lower(self, *args, **options) -> "Lowered":
        """The program for arguments like these at every height, and what it costs at their sizes."""
        arguments = collect(self.signature, self.__name__, args, options)
        ready = self.prepared(arguments)
        return ready.machine.lowered(ready.program, ready.derivation, lambda: self.report(arguments, ready, 0.0, None))

    def explain(self, *args, **options) -> Explanation:
        """What the kernel does with these arguments and how long it takes, against what the machine allows; print it.

        The kernel is called several times, for about a second at most; the first time on a machine it is measured.
        """
        def entered() -> tuple[Arguments, Ready]:
            arguments = collect(self.signature, self.__name__, args, options)
            return arguments, self.prepared(arguments)

        arguments, ready = entered()
        this_machine()  # measured before anything else, as it may take a second
        ready = self.admitted(ready, arguments)
        return self.report(arguments, ready, timed(entered).fastest_s, timed(lambda: self(*args, **options)),
                           ready.derivation)

    def report(self, arguments: Arguments, ready: "Ready", entry_s: float, timing: Timing | None, derivation: str = ""
               ) -> Explanation:
        """The report for these arguments; without `timing` it predicts only."""
        known, arguments = arguments.known, arguments.with_memory(ready.machine.uses)
        fixed = {(size.input, size.axis): value for size, value in ready.program.fixed.items()}
        call = CallData(known, arguments.sizes, arguments.units, arguments.small, fixed, entry_s,
                        ready.machine.notes + ready.notes)
        checks = tuple((item.kind, item.machine.whole) for item in ready.checks)
        if ready.guard is not None:
            checks += ("gates", ready.guard.whole),
        return explanation(self.__name__, ready.machine.whole, checks, call, this_machine(), timing, derivation)

    def prepared(self, arguments: Arguments, updates: frozenset[int] = frozenset(), *, as_written: bool = False
                 ) -> "Ready":
        """What a call with these types, shapes and strides needs, checked and compiled the first time.

        updates: the results that are an argument of which a part is replaced, in its memory; as_written: whether no
        recurrence is taken in chunks, because a gate of this call is above 1.
        """
        key = arguments.key, arguments.places, updates, as_written
        found = self.ready.get(key)
        if found is None:
            allow_deep_recursion()
            program = self.program(arguments)
            cascade = with_patterns(program.cascade, arguments.layouts)
            checks = () if self.options.unchecked else tuple(self.checks(program, cascade, arguments))
            is_as_written = as_written or self.options.exact or bool(updates or arguments.stored)
            chunks = None if is_as_written else taken_in_chunks(cascade, arguments.sizes)
            guard = chunks and guard_of(chunks, lambda made: self.planned(made, arguments))
            machine = self.compiled(chunks.cascade if chunks else cascade, arguments, updates)
            found = Ready(program, machine, machine.plan(arguments), checks, chunks, guard)
            if len(self.ready) >= REMEMBERED:
                self.ready.clear()
            self.ready[key] = found
        return found

    def admitted(self, ready: "Ready", arguments: Arguments) -> "Ready":
        """What runs for the data of a call: the program as written where a gate is above 1."""
        broken = ready.guard and ready.guard.first(arguments)
        if not broken:
            return ready
        written = self.prepared(arguments, as_written=True)
        return written._replace(guard=ready.guard, notes=(ready.guard.told(*broken, arguments),))

    def checks(self, program: Program, cascade: Cascade, arguments: Arguments) -> Iterator["Check"]:
        """What is looked at before each call: accesses that are not proved inside, and what is assumed.

        cascade: that of the program, over what its operands store.
        """
        def check(made: Cascade, tensors: tuple[Tensor, ...], assumptions: tuple[Assumption, ...] = ()) -> Check:
            machine = self.compiled(made, arguments)
            return Check(machine, machine.plan(arguments), tensors, assumptions)

        def may_leave(one: Cascade) -> bool:
            return not accesses_stay_inside(one, lambda extent: evaluate(extent, arguments.sizes))

        tensors = tuple(assumption.tensor for assumption in program.assumptions)
        assumed = with_patterns(Cascade(f"{cascade.name}_assumptions", cascade.inputs, tensors), arguments.layouts)
        if may_leave(assumed):
            yield check(of_faults(fault_finder(assumed)), tensors)
        if tensors:
            yield check(positions(assumed), tensors, program.assumptions)
        if may_leave(cascade):
            yield check(of_faults(fault_finder(cascade)), program.cascade.outputs)

    def planned(self, cascade: Cascade, arguments: Arguments) -> tuple[Compiled, Plan]:
        """A program beside that of the kernel, and its calls."""
        machine = self.compiled(cascade, arguments)
        return machine.whole, machine.plan(arguments)

    def compiled(self, cascade: Cascade, arguments: Arguments, updates: frozenset[int] = frozenset()) -> "Machine":
        """The machine code of a cascade for arrays that lie in memory like these, made on first use."""
        cascade = in_order(cascade) if self.options.exact else contracted(
            cascade, lambda extent: evaluate(extent, arguments.sizes))
        concrete = concretised(cascade, arguments.layouts)
        cascade, arguments = concrete.cascade, arguments.with_memory(concrete.uses)
        key = cascade, arguments.units, arguments.small, self.wanted(cascade, arguments)

        def is_staged(copies: tuple[Copy, ...]) -> bool:
            return are_worthwhile(copies, lambda extent: evaluate(extent, arguments.sizes))

        found = self.machines.setdefault((*key, updates), {})  # by whether inputs are staged
        for machine in found.values():
            if machine.whole.is_staged == (bool(machine.whole.copies) and is_staged(machine.whole.copies)):
                return machine
        machine = Machine(compile_cascade(*key, self.derivations[cascade], is_staged, is_exact=self.options.exact,
                                          updates=updates), key[-1], concrete)
        found[machine.whole.is_staged] = machine
        return machine

    def wanted(self, cascade: Cascade, arguments: Arguments) -> frozenset[int]:
        """Which of the states that can be derived are worth their corrections at these sizes."""
        if cascade not in self.derivations:
            self.derivations[cascade] = Derivation(cascade, (), (), 0.0) if self.options.exact else derive(cascade)
        return worthwhile(self.derivations[cascade], cascade, lambda extent: evaluate(extent, arguments.sizes))

    def trace(self, *args, **options) -> Program:
        """The program for arguments like these; print it."""
        return self.program(collect(self.signature, self.__name__, args, options))

    def program(self, arguments: Arguments) -> Program:
        """The program for a call, traced if there is none yet."""
        for program in self.programs.get(arguments.key, ()):
            if program.fits(arguments.sizes):
                program.admit(arguments)
                return program
        program = traced(self, arguments)
        program.admit(arguments)
        self.programs.setdefault(arguments.key, []).append(program)
        return program


def observed(held: Kernel, args: tuple, options: dict, out=None):
    """The results of a call, and the observers told of it."""
    begin = time.perf_counter()
    arguments = collect(held.signature, held.__name__, args, options)
    ready = held.prepared(arguments)
    prepared = time.perf_counter()
    results = results_of(held, ready, arguments, out)
    call = Call(held, args, options, time.perf_counter() - begin, prepared - begin)
    for observer in tuple(OBSERVERS):
        observer(call)
    return results


def results_of(held: Kernel, ready: "Ready", arguments: Arguments, out=None):
    """What the kernel returns for these arguments, in their library; in the arrays of `out` if there are any."""
    plan, structure, given = ready.plan, ready.program.structure, arguments
    arguments = arguments.with_memory(ready.machine.uses)
    into, outs = None, None
    if out is not None:
        outs = outs_of(out, structure, [plan.blocks[name] for name in plan.outputs], arguments,
                       ready.program.cascade.name)
        updates = outs.updates(ready.program.cascade, arguments)
        if updates:
            plan = held.prepared(given, updates).plan
    for item in ready.checks:
        look(item, ready.program, given)
    if plan is ready.plan and ready.guard is not None and ready.guard.first(given) is not None:
        plan = held.prepared(given, as_written=True).plan
    if outs is not None:
        into = outs.directly(plan.outputs, arguments, updates)
    results = plan.run(arguments.arrays, arguments.scalars, into)
    if outs is None:
        return _rebuilt(structure, [as_given(result, arguments) for result in results])
    for array, result in zip(outs.arrays, results):
        if array is not result:
            np.copyto(array, result)
    return _rebuilt(structure, outs.given)


def allow_deep_recursion() -> None:
    """Programs of many statements are deep graphs; Python's frames for them live on the heap.

    The limit belongs to the process, so it is raised once and stays: putting it back would race with other threads.
    """
    if sys.getrecursionlimit() < RECURSION:
        sys.setrecursionlimit(RECURSION)


class Check(NamedTuple):
    """A program that is run before each call: of each tensor it gives the first position where something is wrong.

    With assumptions the tensors are theirs, and are to be true; without, no element may depend on a fault.
    """

    machine: "Machine"
    plan: Plan
    tensors: tuple[Tensor, ...]
    assumptions: tuple[Assumption, ...]

    @property
    def kind(self) -> str:
        """What is looked at."""
        return "assumptions" if self.assumptions else "indices"


class Ready(NamedTuple):
    """A program, its machine code, its calls, and what is looked at before them.

    chunks: its recurrences in chunks; guard: what looks at their gates; notes: what is told of a call.
    """

    program: Program
    machine: "Machine"
    plan: Plan
    checks: tuple[Check, ...]
    chunks: InChunks | None = None
    guard: Guard | None = None
    notes: tuple[str, ...] = ()

    @property
    def derivation(self) -> str:
        """What was derived, as text: recurrences in chunks, and reductions that depend on each other."""
        pages = [self.chunks.text(self.program.names)] if self.chunks else []
        return "\n".join(filter(None, [*pages, self.machine.derivation(self.program)]))


def look(check: Check, program: Program, arguments: Arguments) -> None:
    """Raises AssumptionError where an assumption does not hold; BoundsError or ShapeError where a result depends on an
    element outside its array."""
    memory = arguments.with_memory(check.machine.uses)
    for number, position in enumerate(check.plan.run(memory.arrays, memory.scalars)):
        if position != NOWHERE:
            tensor = check.tensors[number]
            shape = tuple(evaluate(extent, arguments.sizes) for extent in tensor.extents)
            at = dict(zip(tensor.ranks, map(int, np.unravel_index(int(position), shape))))
            if check.assumptions:
                refuse(check.assumptions[number], at, arguments)
            evaluated(program, arguments, {rank: [place] for rank, place in at.items()}, outputs=(tensor,))
            raise AssertionError(f"a fault at {at} that the reference does not find")


class Lowered:
    """A program at every height, as text, the seconds that each step took, and what it costs."""

    def __init__(self, cascade: str, derivation: str, schedule: str, tiles: str, source: str,
                 times: Mapping[str, float], cost: Callable[[], Explanation]):
        self.cascade, self.derivation, self.schedule = cascade, derivation, schedule
        self.tiles, self.source, self.times = tiles, source, times
        self._cost = cost

    @functools.cached_property
    def cost(self) -> str:
        """Operations, bytes and predicted time of each tile program; nothing is called, but the machine is measured if
        it was not yet."""
        return str(self._cost())


class Machine:
    """A compiled cascade."""

    def __init__(self, compiled: Compiled, wanted: frozenset[int], concrete: Concrete):
        self.whole, self.wanted, self.uses, self.notes = compiled, wanted, concrete.uses, concrete.notes

    def plan(self, arguments: Arguments) -> Plan:
        """Its calls for arrays of these shapes and strides."""
        return Plan(self.whole.steps, self.whole.nest.outputs, arguments.with_memory(self.uses).arrays)

    def derivation(self, program: Program) -> str:
        """What was derived, as text; empty where no reduction depends on another."""
        return derivation_text(self.whole.derivation, self.whole.cascade, program.names, self.wanted)

    def lowered(self, program: Program, derivation: str, cost: Callable[[], Explanation]) -> Lowered:
        """The texts; `cost` makes the report of what the program costs."""
        whole = self.whole
        return Lowered(str(program), derivation, nest_text(whole.nest),
                       "\n".join(map(tile_text, whole.tiles)),
                       "\n".join(step.code.text for step in whole.steps), whole.times_s, cost)


def as_given(result: np.ndarray, arguments: Arguments):
    """A result in the library of the arguments."""
    return tensor_of(result) if arguments.is_torch else result


def kernel(function: Callable | None = None, **options):
    """Makes a kernel of a function: `@ef.kernel`, or `@ef.kernel(exact=True)`.

    target: the processor, "cpu" (the default).
    accumulate: the type in which floats (ef.f32, ef.f64) or integers come together in sums, products and their kin;
    floats are rounded to their own type afterwards, integer results are of that type. Kernels called inside have it.
    exact: the elements of a reduction come together in the order of the text, one after the other in their type, and
    each product is rounded; no form is derived, no product ordered anew.
    relaxed: results may differ in their bits from call to call; nothing makes use of it yet.
    unchecked: calls do not look for indices out of range, which then read other memory, nor at `ef.assume`.

    Raises: TraceError for an option that there is not.
    """
    chosen = options_of(options)
    return functools.partial(kernel_of, options=chosen) if function is None else kernel_of(function, chosen)


def kernel_of(function: Callable, options: Options = DEFAULTS) -> Kernel:
    """The kernel of a function."""
    return Kernel(function, options)


def traced(held: Kernel, arguments: Arguments) -> Program:
    """Runs the function once on symbols.

    In a context of its own: whatever ends the tracing, and wherever (Ctrl-C), nothing is under way afterwards.
    """
    return contextvars.copy_context().run(_traced, held, arguments)


def _traced(held: Kernel, arguments: Arguments) -> Program:
    """Again with other types where a definition that reads itself turns out to be of another type than thought.

    It is thought of as an integer that takes the type of what it meets; where that gives i64 or an error, as a
    boolean; then as what its right side is, until that is what was thought.
    """
    allow_deep_recursion()
    guesses = Guesses()
    while True:
        trace = trace_of(arguments, guesses.dtypes)
        try:
            return _traced_as(held, arguments, trace)
        except Again as other:
            guesses.learn(other, trace)
        except TraceError as error:
            guesses.try_another(error, trace)


class Guesses:
    """What types definitions that read themselves are thought to have, by their place among such."""

    def __init__(self):
        self.dtypes: dict[int, DType] = {}
        self.tried: dict[int, set[DType]] = {}
        self.failed: dict[int, TraceError | None] = {}  # boolean for now: what went wrong before, if something did

    def learn(self, other: Again, trace: Trace) -> None:
        """The right side has that type. Raises: TraceError where there is none that it stays with."""
        place, tried = other.place, self.tried.setdefault(other.place, set())
        if place not in self.dtypes and other.dtype is I64:
            self.dtypes[place], self.failed[place] = BOOL, None
            return
        self.failed.pop(place, None)
        if other.dtype in tried:
            raise TraceError("a definition that reads itself is of no type: each reading of it makes another",
                             known=trace.known, where=other.line, repair="cast the right side: (...).astype(ef.f32)")
        tried.add(other.dtype)
        self.dtypes[place] = other.dtype

    def try_another(self, error: TraceError, trace: Trace) -> None:
        """Conditions do not go with integers, nor numbers with booleans. Raises: the error where neither helps."""
        for place in reversed(range(len(trace.early))):
            if place not in self.dtypes:
                self.dtypes[place], self.failed[place] = BOOL, error
                return
            if place in self.failed:
                before = self.failed.pop(place)
                if before is not None:
                    raise before
                self.dtypes[place] = I64
                self.tried.setdefault(place, set()).add(I64)
                return
        raise error


def trace_of(arguments: Arguments, guesses: Mapping[int, DType]) -> Trace:
    """A tracing that begins."""
    dtypes = {item.dtype for item in arguments.inputs.values() if isinstance(item, Input)}
    return Trace(arguments.sizes, widest_float(dtypes), arguments.known, guesses)


def _traced_as(held: Kernel, arguments: Arguments, trace: Trace) -> Program:
    trace.accumulate = held.options.accumulate
    with tracing(trace):
        values = {name: _symbols(value, arguments) for name, value in arguments.structure.items()}
        result, found = _called(held, values)
        outputs: list[Array] = []
        structure = _results(held, result, outputs)
        return _finished(held, arguments, trace, outputs, structure, found)


def _symbols(value, arguments: Arguments):
    match value:
        case Leaf(name):
            item = arguments.inputs[name]
            if isinstance(item, Input):
                held = arguments.layouts.get(name)
                return Array(item, extents_of(item), name, is_weak=held is not None and held.is_decoded)
            return Expression(item, {}, weak=True)
        case tuple():
            return tuple(_symbols(item, arguments) for item in value)
        case dict():
            return {key: _symbols(item, arguments) for key, item in value.items()}
    return value


def _called(held: Kernel, values: dict):
    """The result of the user's function, and its local names when it returned; none while a profiler is at work."""
    code, found = held.function.__code__, {}

    def watch(frame, event, value):
        if event == "return" and frame.f_code is code:
            found.update(frame.f_locals)

    bound = held.signature.bind_partial()
    bound.arguments.update(values)
    if sys.getprofile() is not None:  # there is one at a time, and one in C cannot be put back
        return held.function(*bound.args, **bound.kwargs), found
    try:
        sys.setprofile(watch)
        return held.function(*bound.args, **bound.kwargs), found
    finally:
        sys.setprofile(None)


def _results(held: Kernel, result, outputs: list[Array]):
    """The structure of the results, with the places of tensors in `outputs`."""
    match result:
        case tuple() | list():
            return tuple(_results(held, item, outputs) for item in result)
        case dict():
            return {key: _results(held, item, outputs) for key, item in result.items()}
        case Definition():
            return _results(held, result._defined(), outputs)
        case Array():
            outputs.append(of_this_call(result))
            return len(outputs) - 1
        case Expression() if not result.extents:
            outputs.append(ordered(strong(result), ()))
            return len(outputs) - 1
        case Expression():
            order = ", ".join(result.extents)
            raise TraceError(f"kernel {held.__name__} returns an expression with the free ranks {order}",
                             known=current().known, repair=f"order them: return ...[{order}]", where=_line(held))
    raise TraceError(f"kernel {held.__name__} returns {'nothing' if result is None else repr(result)}",
                     repair="return a tensor, such as O[i, j], or a tuple or a dict of tensors", where=_line(held))


def _line(held: Kernel) -> Line:
    return Line(held.function.__code__.co_filename, held.function.__code__.co_firstlineno)


def _tensor(array: Array) -> Tensor:
    """The output as a tensor of its own, rounded to its nominal type."""
    if isinstance(array.source, Tensor):
        return Tensor(array.source.ranks, array.source.extents, rounded(array.source.body, array.dtype))
    ranks = tuple(Rank(f"i{place}") for place in range(array.ndim))
    body = Access(array.source, tuple(map(Index, ranks)), None)
    return Tensor(ranks, array.extents, rounded(body, array.dtype))


def _finished(held: Kernel, arguments: Arguments, trace: Trace, outputs: list[Array], structure, found: dict
              ) -> Program:
    """Extents resolved, equal sizes written as one, names and lines carried over."""
    tensors = tuple(map(_tensor, outputs))
    for tensor in tensors:
        for early, line in trace.early:
            if early.label in tensor.free:
                raise TraceError("a tensor is read before it is defined", known=trace.known, where=line,
                                 repair="define it first, C[i, j] = ...; its own definition reads it at earlier points")
        if tensor.free:
            raise TraceError(f"kernel {held.__name__} returns the state of a scan from inside its step",
                             known=trace.known, repair="return the value of ef.scan(...)", where=_line(held))
    resolve, memo = _resolver(trace), {}
    def same(one: Expr, other: Expr) -> bool:
        resolved = (trace.representative(rewrite(item, _extents_only(trace))) for item in (one, other))
        return len(set(resolved)) == 1

    for name, domain in domains(trace.assumptions, same).items():
        if name in arguments.layouts:
            continue  # what is not stored need not be assumed of
        item = arguments.inputs[name]
        memo[item] = Input(name, item.type, item.ndim, domain)
    assumptions = tuple(Assumption(rewrite(tensor, resolve, memo), line) for tensor, line in trace.assumptions)
    name = held.__name__ if held.__name__.isidentifier() else "unnamed"  # a lambda has a name that no text can have
    cascade = Cascade(name, tuple(memo.get(item, item) for item in arguments.inputs.values()),
                      tuple(rewrite(tensor, resolve, memo) for tensor in tensors))
    check(cascade)
    names = {}
    for name, value in found.items():
        value = value.array if isinstance(value, Definition) else value
        found_nodes = (value.node,) if isinstance(value, Expression) else ()
        if isinstance(value, Array) and not isinstance(value.source, Input):
            found_nodes = value.source, *((_tensor(value),) if value.dtype.is_narrow else ())
        for node in found_nodes:
            names.setdefault(memo.get(node, node), name)
    lines = {memo.get(node, node): line for node, line in trace.lines.items()}
    constraints = tuple(constraint._replace(left=rewrite(constraint.left, _extents_only(trace)),
                                            right=rewrite(constraint.right, _extents_only(trace)))
                        for constraint in trace.constraints)
    needed = tuple((what, *(rewrite(item, _extents_only(trace)) for item in (extent, least)), line)
                   for what, extent, least, line in trace.needed)
    told = {memo.get(node, node): words for node, words in trace.told.items()}
    nonnegative = tuple((rank, rewrite(extent, _extents_only(trace)), line) for rank, extent, line in trace.nonnegative)
    fixed = {size: trace.sizes[size.input][size.axis] for size in trace.fixed}
    return Program(cascade, names, lines, constraints, nonnegative, told, needed, assumptions, fixed,
                   tuple(trace.alike), structure)


def _resolver(trace: Trace):
    """Replaces extents of ranks by what the kernel says, and equal sizes by one of them."""

    def rule(node):
        match node:
            case Extent():
                return trace.resolved(node)
            case Size():
                return trace.representative(node)
        return None

    return rule


def _extents_only(trace: Trace):
    """Replaces extents of ranks; sizes stay what they were, so that a constraint still compares two of them."""
    return lambda node: trace.resolved(node) if isinstance(node, Extent) else None


def inlined(held: Kernel, args: tuple, options: dict, out=None):
    """A kernel called in a kernel: its ranks are its own, its results are tensors of the caller."""
    trace = current()
    if out is not None:
        raise TraceError(f"kernel {held.__name__} is called with out= inside another kernel", known=trace.known,
                         repair="use what it returns: a tensor inside a kernel is no memory")
    try:
        bound = held.signature.bind(*args, **options)
    except TypeError as error:
        raise TraceError(f"{held.__name__}: {error}", repair=f"call {held.__name__}{held.signature}") from None
    bound.apply_defaults()
    for name, value in bound.arguments.items():
        if isinstance(value, Expression) and value.extents:
            order = ", ".join(value.extents)
            raise TraceError(f"argument {name} of kernel {held.__name__} is an expression over {order}",
                             known=trace.known, repair=f"order it, {name}=...[{order}]: kernels take tensors")
    outer, accumulate = trace.enter(), trace.accumulate
    trace.accumulate = held.options.accumulate or accumulate
    try:
        result = held.function(*bound.args, **bound.kwargs)
        outputs: list[Array] = []
        structure = _results(held, result, outputs)
    finally:
        trace.scope, trace.accumulate = outer, accumulate
    return _rebuilt(structure, [Array(array.source, array.extents, held.__name__, dtype=array.dtype)
                                for array in outputs])


def _rebuilt(structure, items: Sequence):
    match structure:
        case int():
            return items[structure]
        case tuple():
            return tuple(_rebuilt(item, items) for item in structure)
    return {key: _rebuilt(item, items) for key, item in structure.items()}


def parse(text: str) -> Program:
    """The program that prints as this text: what `str(kernel.trace(...))` gives. Raises: TraceError."""
    try:
        cascade, names = parse_named(text)
        check(cascade)
    except (SyntaxError, TypeError, KeyError, ValueError, AttributeError, AssertionError) as error:
        raise TraceError(f"this is not the text of a program: {error}",
                         repair="pass what str(kernel.trace(...)) gives") from None
    return Program(cascade, names, {}, (), (), {}, (), (), {}, (), tuple(range(len(cascade.outputs))))


def reference(held: Kernel, *args, at: Mapping | None = None, **options):
    """The results evaluated directly in float64 NumPy, nothing rewritten: the oracle.

    Integers stay integers. `at={q: rows}` evaluates chosen coordinates of ranks of the results, in bounded memory.
    """
    program, results = measured(held, args, options, at, measure="")
    return _rebuilt(program.structure, [np.array(result.array) for result in results])


def measured(held: Kernel, args: tuple, options: dict, at: Mapping | None = None, *, measure: str = "nominal"
             ) -> tuple[Program, tuple[Result, ...]]:
    """The program, and its results with bounds of the rounding error."""
    arguments = collect(held.signature, held.__name__, args, options)
    program = held.program(arguments)
    chosen = {Rank(rank.name): np.asarray(rows) for rank, rows in (at or {}).items()}
    for assumption in program.assumptions:
        (result,) = evaluated(program, arguments, {}, outputs=(assumption.tensor,))
        for place in np.argwhere(~result.array.astype(bool))[:1]:
            refuse(assumption, dict(zip(assumption.tensor.ranks, map(int, place))), arguments)
    return program, evaluated(program, arguments, chosen, measure)


def evaluated(program: Program, arguments: Arguments, at: Mapping, measure: str = "", outputs: tuple = ()
              ) -> tuple[Result, ...]:
    """The outputs of a program (all, or those named) by the reference, with errors as users see them."""
    allow_deep_recursion()
    for tensor in () if at else outputs or program.cascade.outputs:
        shape = tuple(evaluate(extent, arguments.sizes) for extent in tensor.extents)
        refuse_what_no_memory_holds(shape, tensor.dtype.numpy, arguments.known)
    try:
        arrays, stored = arguments.dense()
        return run(outputs or program.cascade.outputs, arrays, arguments.scalars, at=at, measure=measure, stored=stored)
    except Fault as fault:
        raise explained(fault, program, arguments) from None
    except (MemoryError, ValueError) as error:  # ValueError: NumPy has no arrays with so many elements
        if not isinstance(error, MemoryError) and not re.search("too big|Maximum allowed", str(error)):
            raise
        raise ShapeError(f"the reference makes an array that is too large: {error}", known=arguments.known,
                         repair="use smaller extents, or chosen coordinates: ef.reference(..., at={i: [0]})") from None


def explained(fault: Fault, program: Program, arguments: Arguments) -> EinfallError:
    """The error of an access outside its axis."""
    source = called = getattr(fault.access.source, "name", None)
    if source is None:  # the user's word for it is not known: one that stands for it
        called, source = ("a state", "s") if isinstance(fault.access.source, State) else ("a tensor made inside", "T")
    called, repair = program.told.get(fault.access, (called, (
        f"guard it with ef.where(condition, {source}[...], 0), or say what lies outside: {source}.pad(0.0)[...]")))
    where = ", ".join(f"{rank.name}={value}" for rank, value in fault.coordinates.items())
    index = fault.access.indices[fault.axis]
    what = (f"index {fault.value} is out of range for axis {fault.axis} of {called}, which has extent {fault.extent}"
            + (f", at {where}" if where else ""))
    line = program.lines.get(fault.access)
    is_gather = any(isinstance(node, Access) for node in postorder(index))
    kind = BoundsError if is_gather else ShapeError
    return kind(what, where=line, known=arguments.known, repair=repair)

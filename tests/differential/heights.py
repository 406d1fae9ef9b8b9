"""The heights at which a program can be run, and the comparison of each with the reference."""

from collections.abc import Collection
from functools import lru_cache

import numpy as np

from einfall.cascade import parse as cascade_text
from einfall.cascade.contract import contracted
from einfall.cascade.faults import accesses_stay_inside
from einfall.cascade.nodes import Cascade
from einfall.cascade.run import run as run_cascade
from einfall.cascade.text import text as cascade_as_text
from einfall.derive.chunks import chunked
from einfall.derive.recurrences import recurrences
from einfall.derive.unread import without_unread_states
from einfall.format.concrete import concretised, with_patterns
from einfall.front.arguments import Arguments, collect
from einfall.front.kernel import Kernel, Program, evaluated
from einfall.front.trace import evaluate
from einfall.nest import text as nest_text
from einfall.nest.run import run as run_nest
from einfall.pipeline import PORTION, Compiled, compile_cascade
from einfall.plan.fusion import worthwhile
from einfall.plan.vectors import are_worthwhile
from einfall.runtime.launch import launch
from einfall.target.llvm.compile import GENERIC, host_features
from einfall.tile import text as tile_text
from einfall.tile.run import run as run_tile
from tests.derive.once import derivation_of
from tests.tolerance import assert_agrees

__all__ = ["AVX2", "COMPILED_AGAIN", "HEIGHTS", "assert_agrees_at_every_height", "heights_of", "leaves",
           "over_memory"]


AVX2 = frozenset(name for name in host_features() if not name.startswith("avx512"))  # as far as this one has it


@lru_cache(32)
def compiled_of(cascade: Cascade, units: frozenset, small: frozenset, wanted: frozenset[int] | None = None, *,
                is_staged: bool = True, lanes: int | None = None, portion: int = PORTION,
                features: frozenset[str] | None = None) -> Compiled:
    """A program compiled: once for data of other extents, or in other places, that is compiled alike."""
    return compile_cascade(cascade, units, small, wanted, derivation_of(cascade), lambda copies: is_staged,
                           lanes=lanes, portion=portion, features=features)


def over_memory(cascade: Cascade, arguments: Arguments) -> tuple[Cascade, Arguments]:
    """The cascade over the arrays in which operands are stored, and these among the arguments; both as they are where
    nothing has a format."""
    concrete = concretised(with_patterns(cascade, arguments.layouts), arguments.layouts)
    return concrete.cascade, arguments.with_memory(concrete.uses)


def in_portions(program: Program, arguments: Arguments) -> Compiled:
    """The program with all its states, in portions so small that these data have several."""
    cascade, arguments = over_memory(program.cascade, arguments)
    return compiled_of(cascade, arguments.units, arguments.small, portion=5)


def at_text(program: Program, arguments: Arguments) -> None:
    """The cascade printed and read back: the very object that the reference evaluates; nothing is left to compare."""
    assert cascade_text.parse(str(program)) is program.cascade


def at_concrete(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """The cascade over stored arrays, evaluated directly; what has no format is the cascade itself."""
    cascade, stored = over_memory(program.cascade, arguments)
    if cascade is program.cascade:
        return []
    assert cascade_text.parse(cascade_as_text(cascade)) is cascade
    return [result.array for result in run_cascade(cascade.outputs, stored.arrays, stored.scalars)]


def at_derived(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """The cascade with its dependent reductions in one sweep, portion by portion."""
    chosen = in_portions(program, arguments).chosen
    assert cascade_text.parse(cascade_as_text(chosen)) is chosen
    _, stored = over_memory(program.cascade, arguments)
    return [result.array for result in run_cascade(chosen.outputs, stored.arrays, arguments.scalars)]


def at_nest(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """The nest, loop by loop."""
    nest = in_portions(program, arguments).nest
    assert nest_text.parse(nest_text.text(nest)) is nest
    return run_nest(nest, over_memory(program.cascade, arguments)[1].arrays, arguments.scalars)


def at_tile(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """The tile programs, instance by instance."""
    compiled, memory = in_portions(program, arguments), {}
    _, arguments = over_memory(program.cascade, arguments)
    for tile in compiled.tiles:
        assert tile_text.parse(tile_text.text(tile)) is tile
        run_tile(tile, arguments.arrays, arguments.scalars, memory)
    return [memory[buffer.name] for buffer in compiled.nest.outputs]


def at_machine(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """Machine code."""
    compiled = in_portions(program, arguments)
    _, arguments = over_memory(program.cascade, arguments)
    return launch(compiled.steps, compiled.nest.outputs, arguments.arrays, arguments.scalars)


def at_call(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """Machine code as a call has it: with products in order and the states and copies that are worth it."""
    def size(extent) -> int:
        return evaluate(extent, arguments.sizes)

    as_stored, _ = over_memory(program.cascade, arguments)
    ordered = contracted(with_patterns(program.cascade, arguments.layouts), size)
    cascade, arguments = over_memory(ordered, arguments)
    derivation, copies = derivation_of(cascade), in_portions(program, arguments).copies
    if cascade is as_stored and not derivation.states and are_worthwhile(copies, size):
        return at_machine(program, arguments)
    wanted = worthwhile(derivation, cascade, size)
    called = compiled_of(cascade, arguments.units, arguments.small, wanted, is_staged=are_worthwhile(copies, size))
    return launch(called.steps, called.nest.outputs, arguments.arrays, arguments.scalars)


def at_chunks(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """Machine code of the program with its linear recurrences in chunks of four steps, where it has any and
    a call might take them so."""
    found = [] if arguments.stored else [one for one in recurrences(program.cascade) if one.form == "chunks"]
    made = program.cascade
    for one in reversed(found):
        made = chunked(made, one, 4)
    if not found or not accesses_stay_inside(made, lambda extent: evaluate(extent, arguments.sizes)):
        return []
    made = without_unread_states(made)
    assert cascade_text.parse(cascade_as_text(made)) is made
    compiled = compiled_of(made, arguments.units, arguments.small, portion=5)
    return launch(compiled.steps, compiled.nest.outputs, arguments.arrays, arguments.scalars)


def at_avx2(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """Machine code from the same schedule, with eight lanes, for a processor without AVX-512."""
    cascade, arguments = over_memory(program.cascade, arguments)
    narrow = compiled_of(cascade, arguments.units, frozenset(), lanes=8, portion=4, features=AVX2)
    return launch(narrow.steps, narrow.nest.outputs, arguments.arrays, arguments.scalars)


def at_generic(program: Program, arguments: Arguments) -> list[np.ndarray]:
    """Machine code from the same schedule, with four lanes, for any processor of this kind."""
    cascade, arguments = over_memory(program.cascade, arguments)
    narrow = compiled_of(cascade, arguments.units, frozenset(), lanes=4, portion=3, features=GENERIC)
    return launch(narrow.steps, narrow.nest.outputs, arguments.arrays, arguments.scalars)


HEIGHTS = {"text": (at_text, "float64"), "concrete": (at_concrete, "float64"),
           "derived": (at_derived, "float64"), "nest": (at_nest, "float64"),
           "tile": (at_tile, "float64"), "machine": (at_machine, "nominal"), "call": (at_call, "nominal"),
           "chunks": (at_chunks, "nominal"), "avx2": (at_avx2, "nominal"), "generic": (at_generic, "nominal")}


COMPILED_AGAIN = ("call", "avx2", "generic")  # heights with machine code of their own


OF_THIS_PROCESSOR = tuple(name for name in HEIGHTS if name not in ("avx2", "generic"))


def heights_of(seed: int) -> tuple[str, ...]:
    """All heights, of the narrower processors one: they take turns."""
    return tuple(name for name in HEIGHTS if name != ("avx2", "generic")[seed % 2])


def assert_agrees_at_every_height(kernel: Kernel, args: tuple, kwargs: dict | None = None,
                                  heights: Collection[str] = OF_THIS_PROCESSOR) -> None:
    """Each height gives what the reference gives, within the rounding of the types it computes in."""
    arguments = collect(kernel.signature, kernel.__name__, args, kwargs or {})
    program = kernel.program(arguments)
    references = {measure: evaluated(program, arguments, {}, measure)
                  for measure in sorted({HEIGHTS[name][1] for name in heights})}
    for name, (height, measure) in ((name, HEIGHTS[name]) for name in heights):
        results = height(program, arguments)
        for place, (actual, expected) in enumerate(zip(results, references[measure], strict=True) if results else ()):
            assert_agrees(actual, expected, what=f"{kernel.__name__} at {name}, result {place}")


def leaves(structure) -> list:
    """The arrays of a result, in order."""
    if isinstance(structure, tuple | list):
        return [leaf for item in structure for leaf in leaves(item)]
    if isinstance(structure, dict):
        return [leaf for item in structure.values() for leaf in leaves(item)]
    return [structure]

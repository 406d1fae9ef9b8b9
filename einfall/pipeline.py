"""The passes in order, each with its reason."""

import time
from collections.abc import Callable
from typing import NamedTuple

from einfall.cascade.nodes import Cascade
from einfall.cascade.once import computed_once
from einfall.cascade.project import project
from einfall.cascade.unfold import unfold
from einfall.derive.derive import Derivation, derive
from einfall.lower.cascade_to_nest import cascade_to_nest
from einfall.lower.nest_to_tile import nest_to_tile
from einfall.nest.fuse import fuse
from einfall.nest.nodes import Nest
from einfall.nest.schedule import specialise
from einfall.plan.blocks import choose_blocks, portion_of
from einfall.plan.vectors import Copy, choose_copies, choose_panels, choose_register_tiles, choose_vector_loops
from einfall.runtime.launch import Step
from einfall.target.llvm.compile import compile_module, host_features
from einfall.target.llvm.emit import emit
from einfall.target.triton.emit import Source
from einfall.target.triton.emit import emit as emit_triton
from einfall.tile.nodes import Program

__all__ = ["PORTION", "Blocked", "Compiled", "compile_cascade", "in_blocks", "in_triton"]

PORTION = 1152  # elements: a few rows of them lie in the nearest cache, and it divides by lanes and by jammed rows
TOGETHER = 6  # reductions in one loop: with four partial results each, 24 of 32 registers hold them


class Compiled(NamedTuple):
    """A cascade at every height, and the seconds that each step took."""

    cascade: Cascade
    derivation: Derivation
    chosen: Cascade  # with the states that are used, as scans over portions
    nest: Nest
    copies: tuple[Copy, ...]  # inputs that can be staged
    is_staged: bool  # whether they are
    tiles: tuple[Program, ...]
    steps: tuple[Step, ...]
    times_s: dict[str, float]


def lanes_of(features: frozenset[str]) -> int:
    """How many iterations of a vector loop run at once: a register of f32."""
    return 16 if "avx512f" in features else 8 if "avx2" in features else 4


def compile_cascade(cascade: Cascade, units: frozenset[tuple[str, int]] = frozenset(),
                    small: frozenset[tuple[str, int, int]] = frozenset(), wanted: frozenset[int] | None = None,
                    derivation: Derivation | None = None, is_staged: Callable[[tuple[Copy, ...]], bool] = bool, *,
                    lanes: int | None = None, features: frozenset[str] | None = None, portion: int = PORTION,
                    is_exact: bool = False, updates: frozenset[int] = frozenset()) -> Compiled:
    """The machine code of a cascade, for inputs whose elements lie side by side along the axes in `units`.

    small: (input, axis, extent) of extents that become constants; wanted: the derived states that are used (all);
    derivation: with all states, where it is known already;
    is_staged: whether these inputs are copied in the order in which they are read (they are);
    features: what the processor has, in LLVM's words (this one); lanes: how many run at once (as many as it has);
    portion: how many elements a state takes at a time;
    is_exact: whether products are rounded before they are added;
    updates: the results that lie in the memory of the input of which they replace a part.

    derive           brings dependent reductions into one sweep; later nothing knows which reductions belong together
    unfold           writes states as scans over portions, which everything after it knows
    project          takes reductions of a scan's history into its steps, before loops are decided
    once             computes functions in steps once that do not need all ranks of their scan
    cascade_to_nest  decides loops and memory; nothing before it knows order or storage
    specialise       writes small extents as numbers, so that the next steps know which loops are short
    fuse             lets reductions over the same indices share their loads; lanes are easier to choose afterwards
    vectors          decides which loops run in lanes; it asks for memory that lies side by side, so it needs the nest
    copies           stages what many iterations read, so that it lies in the order in which lanes read it
    tiles            lets rows share the lanes that they read; which those are, vectors decided
    nest_to_tile     splits the nest where instances are independent
    emit             spells a tile program for LLVM, the first step that knows the processor
    compile_module   is LLVM
    """
    times_s: dict[str, float] = {}

    def timed(name: str, function, *args):
        begin = time.perf_counter()
        made = function(*args)
        times_s[name] = times_s.get(name, 0.0) + time.perf_counter() - begin
        return made

    features = host_features() if features is None else features
    lanes = lanes_of(features) if lanes is None else lanes
    derivation = derive(cascade) if derivation is None else derivation
    times_s["derive"] = derivation.seconds
    used = derivation.cascade
    if wanted is not None and len(wanted) < len(derivation.states):
        running = derivation.running
        used = timed("derive", derive, cascade, wanted).cascade if wanted else (
            cascade if running is None else running.cascade)
    chosen = timed("project", project, timed("unfold", unfold, used, portion))
    chosen = timed("once", computed_once, chosen)
    nest = timed("cascade_to_nest", cascade_to_nest, chosen, updates)
    nest = timed("specialise", specialise, nest, small)
    nest = timed("fuse", fuse, nest, TOGETHER)
    copies, staged = (), False
    if lanes > 1:
        def is_unit(name: str, axis: int) -> bool:
            return (name, axis) in units

        in_panels, panels = timed("vectors", lambda: choose_panels(choose_vector_loops(nest, is_unit)))
        in_order, copies = timed("copies", choose_copies, in_panels, is_unit, panels)
        staged = bool(copies) and is_staged(copies)
        if copies and not staged:
            in_order, _ = timed("vectors", lambda: choose_panels(choose_vector_loops(nest, is_unit, False)))
        nest = timed("tiles", choose_register_tiles, in_order)
    tiles = timed("nest_to_tile", nest_to_tile, nest)
    steps = []
    for program in tiles:
        module = timed("emit", emit, program, features, lanes, units, is_exact)
        steps.append(Step(program, timed("llvm", compile_module, module, features)))
    return Compiled(cascade, derivation, chosen, nest, copies, staged, tiles, tuple(steps), times_s)



class Blocked(NamedTuple):
    """A cascade in blocks, for targets whose values are tensors."""

    chosen: Cascade  # with the states that are used, as scans over portions
    nest: Nest
    tiles: tuple[Program, ...]


def in_blocks(cascade: Cascade, small: frozenset[tuple[str, int, int]] = frozenset(),
              derivation: Derivation | None = None) -> Blocked:
    """The tile programs of a cascade, in blocks.

    small: (input, axis, extent) of extents that become constants; derivation: with all states, where it is known.

    derive .. fuse  are those of `compile_cascade`; a state takes as many elements at a time as a block holds
    blocks          decides what an instance holds and takes at a time; no lanes, copies or register tiles: those of a
                    tensor are its compiler's
    nest_to_tile    splits the nest where instances are independent
    """
    derivation = derive(cascade) if derivation is None else derivation
    chosen = computed_once(project(unfold(derivation.cascade, portion_of(derivation))))
    nest = choose_blocks(fuse(specialise(cascade_to_nest(chosen, has_scatters=False), small), TOGETHER))
    return Blocked(chosen, nest, nest_to_tile(nest))


def in_triton(made: Blocked, units: frozenset[tuple[str, int]] = frozenset(), *, widen: bool = False
              ) -> tuple[Source, ...]:
    """The Triton source of tile programs in blocks, a kernel each.

    units: (input, axis) whose elements lie side by side; widen: whether narrow floats are multiplied as f32, which is
    what Triton's interpreter computes right.
    Raises: CompileError for what has no spelling in Triton.

    emit            spells a tile program, the first step that knows tensors; Triton itself is not needed
    """
    return tuple(emit_triton(program, units, widen=widen) for program in made.tiles)

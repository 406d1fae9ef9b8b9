"""Random programs at every height: `python -m tests.differential.fuzz FIRST END` prints disagreements and the reach.

Each is also called twenty times, and has to give the same bits. A disagreement is printed with its seed and its source;
the exit status is 1 if there was one, or if something that a program can hold, or a kind of refusal, was reached too
rarely in as many programs as `make fuzz` tries.
"""

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from rich.progress import Progress

from einfall.base.node import postorder
from einfall.cascade.nodes import Cascade
from einfall.cascade.states import Component, Fused, Total
from einfall.instruments.generate import Generated, generate, reached
from einfall.instruments.reach import DTYPES, FEATURES, MONOIDS, NODES, OPERATORS, told_rare
from einfall.scalar.nodes import Rounded
from tests.derive.bodies import bodies
from tests.derive.kinds import KINDS, kinds_of
from tests.derive.once import derivation_of
from tests.derive.random_linear import random_linear
from tests.derive.refused import refused
from tests.differential.heights import assert_agrees_at_every_height, heights_of, leaves

CALLS = 20  # of each program, which give the same bits
LINEAR = 10  # of so many seeds one is tried as a linear recurrence, too: most programs have none


def trial(seed: int) -> tuple[Counter, str]:
    """What a program reaches, and what went wrong with it."""
    program = generate(seed)
    try:
        cascade = program.kernel.trace(*program.arguments).cascade
    except Exception as failure:
        return Counter(), f"seed {seed}: {type(failure).__name__}: {failure}\n{program.source}"
    found = reached(cascade, program.arguments, program.source) + derived(cascade)
    for body in (bodies(seed), refused(seed)):  # compared by tests.derive.bodies
        found += derived(body.kernel.trace(*body.arguments).cascade)
    try:
        assert_agrees_at_every_height(program.kernel, program.arguments, heights=heights_of(seed))
        assert_the_same_bits(program)
    except Exception as failure:
        return found, f"seed {seed}: {type(failure).__name__}: {failure}\n{program.source}"
    if seed % LINEAR == 0:
        linear = random_linear(seed)
        try:
            assert_agrees_at_every_height(linear.kernel, linear.arguments, heights=("chunks",))
        except Exception as failure:
            return found, f"random_linear({seed}): {type(failure).__name__}: {failure}\n{linear.source}"
    return found, ""


def assert_the_same_bits(program: Generated) -> None:
    """The same call gives the same bits, always."""
    first, *others = ([np.asarray(leaf).tobytes() for leaf in leaves(program.kernel(*program.arguments))]
                      for _ in range(CALLS))
    assert all(other == first for other in others), "other bits in another call"


def derived(cascade: Cascade) -> Counter:
    """The derived nodes of a program, and the kinds of its refusals."""
    derivation = derivation_of(cascade)
    found = Counter(f"node:{type(node).__name__}" for node in postorder(*derivation.cascade.outputs)
                    if isinstance(node, Component | Fused | Rounded | Total))
    found.update(f"refused: {kind}" for kind in kinds_of(derivation))
    return found


def main(first: int, end: int) -> int:
    """Tries the programs of the seeds; the number that disagree, and 1 more where something is rare."""
    begin, found, failures = time.monotonic(), Counter(), 0
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool, Progress(transient=True) as progress:
        for reach, failure in progress.track(pool.map(trial, range(first, end), chunksize=4), total=end - first):
            found += reach
            if failure:
                failures += 1
                print(failure, flush=True)
    print("\n".join(f"{name:28} {count:7}" for name, count in sorted(found.items())))
    print(f"seeds {first}..{end - 1}: {end - first - failures} agree at every height, {failures} do not, "
          f"{time.monotonic() - begin:.0f} s")
    wanted = [*OPERATORS, *MONOIDS, *NODES, *DTYPES, *(f"feature:{name}" for name in FEATURES),
              *(f"refused: {kind}" for kind in KINDS)]
    return failures + told_rare(found, wanted, end - first)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))

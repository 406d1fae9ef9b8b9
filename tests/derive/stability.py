"""Errors of derived programs in float32 machine code, beside those of the programs as written: DERIVATION 6.6.

    python -m tests.derive.stability

prints the table. The bound is 16 errors of the program as written and 8 eps of the result: what the condition of the
program would allow besides is left out, as nothing needs it.
"""

from typing import NamedTuple

import numpy as np

from einfall.cascade.run import run
from einfall.front.arguments import collect
from einfall.front.kernel import Kernel
from einfall.pipeline import compile_cascade
from einfall.runtime.launch import launch
from tests.derive.cases import entropy, kurtosis, layer_norm_product, log_sum_exp, scaled_norm, slope, variance

__all__ = ["DATA", "PROGRAMS", "Errors", "errors"]

LENGTH = 1000
PORTION = 64  # many corrections
PROGRAMS = (variance, kurtosis, slope, entropy, log_sum_exp, scaled_norm, layer_norm_product)
MATRICES = {layer_norm_product}  # their second argument is (k, j)


class Errors(NamedTuple):
    """The errors of one result where the derived form is worst: as written, derived, and the bound of criterion 6.6."""

    written: float
    derived: float
    allowed: float


def _outlier(array: np.ndarray) -> np.ndarray:
    array[:, 700] = 1e4
    return array


DATA = {
    "normal": lambda array: array,
    "offset 1e4": lambda array: array + 1e4,
    "scale 1e3": lambda array: array * 1e3,
    "scale 1e-3": lambda array: array * 1e-3,
    "rising": lambda array: np.sort(array, axis=1),
    "falling": lambda array: np.sort(array, axis=1)[:, ::-1],
    "one outlier": _outlier,
}


def arguments(kernel: Kernel, data: str) -> list[np.ndarray]:
    """The arguments of a program: two rows of data, and another two or a matrix."""
    rng = np.random.default_rng(1)
    given = [DATA[data](rng.standard_normal((2, LENGTH)))]
    if len(kernel.signature.parameters) > 1:
        given.append(rng.standard_normal((LENGTH, 3)) if kernel in MATRICES else
                     DATA[data](rng.standard_normal((2, LENGTH))))
    return [np.ascontiguousarray(array, np.float32) for array in given]


def errors(kernel: Kernel) -> dict[str, list[Errors]]:
    """For each kind of data and each result the place where the derived form is farthest from its bound."""
    compiled: list = []
    made: dict[str, list[Errors]] = {}
    for data in DATA:
        collected = collect(kernel.signature, kernel.__name__, tuple(arguments(kernel, data)), {})
        cascade = kernel.program(collected).cascade
        for wanted in (frozenset(), None) if not compiled else ():
            compiled.append(compile_cascade(cascade, collected.units, frozenset(), wanted, portion=PORTION))
            assert compiled[-1].derivation.states
        found = [launch(program.steps, program.nest.outputs, collected.arrays, collected.scalars)
                 for program in compiled]
        made[data] = [worst(reference.array, written, derived) for reference, written, derived in
                      zip(run(cascade.outputs, collected.arrays), *found)]
    return made


def worst(expected: np.ndarray, written: np.ndarray, derived: np.ndarray) -> Errors:
    """The errors relative to the result, where the program as written gives a number.

    Where a probability underflows, p log p is 0 * -inf as written, and a number derived.
    """
    assert np.isfinite(derived[np.isfinite(written)]).all()
    before, after = np.abs(written - expected), np.abs(derived - expected)
    # the largest error of the program as written stands for it: at one place it may be small by chance
    largest = np.max(before, initial=0.0, where=np.isfinite(before))
    allowed = 16 * largest + 8 * np.finfo(np.float32).eps * np.abs(expected)
    share = np.where(np.isfinite(after), after / allowed, 0.0)
    place = np.unravel_index(np.argmax(share), share.shape)
    if not np.isfinite(after[place]):
        return Errors(0.0, 0.0, 0.0)
    return Errors(*(float(error / np.abs(expected[place])) for error in (largest, after[place], allowed[place])))


def main() -> None:
    print(f"{'program':20} {'data':12} {'as written':>11} {'derived':>11} {'allowed':>11}   relative to the result")
    for kernel in PROGRAMS:
        for data, rows in errors(kernel).items():
            for row in rows:
                mark = "" if row.derived <= row.allowed else "  <-- more than allowed"
                print(f"{kernel.__name__:20} {data:12} " + " ".join(f"{item:11.1e}" for item in row) + mark)


if __name__ == "__main__":
    main()

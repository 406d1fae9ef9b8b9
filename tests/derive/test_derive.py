"""Programs that can be brought into one sweep are, by the expected rule, and mean what they mean as written."""

import pathlib

import numpy as np
import pytest

import einfall as ef
from einfall.base.node import postorder
from einfall.cascade.run import run
from einfall.cascade.unfold import unfold
from einfall.derive.derive import derive
from einfall.derive.text import text
from tests.derive.cases import DERIVED, REFUSED, arguments, i, k, log_sum_exp
from tests.derive.once import derivation_of
from tests.tolerance import assert_agrees

NAMES = {"ids": lambda case: case.kernel.__name__}


@pytest.mark.parametrize("portion", [7, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 64))])
@pytest.mark.parametrize("case", DERIVED + REFUSED, **NAMES)
def test_derived_program_agrees_with_the_program_as_written(case, portion):
    given = arguments(case, portion)
    program = case.kernel.trace(*given)
    inputs = dict(zip((item.name for item in program.cascade.inputs), given))
    expected = run(program.cascade.outputs, inputs, measure="float64")
    unfolded = unfold(derivation_of(program.cascade).cascade, portion)
    for actual, wanted in zip(run(unfolded.outputs, inputs), expected):
        assert_agrees(actual.array, wanted, what=case.kernel.__name__)


@pytest.mark.parametrize("case", DERIVED + REFUSED, **NAMES)
def test_each_reduction_is_derived_by_the_expected_rule(case):
    derivation = derive(case.kernel.trace(*arguments(case, 0)).cascade)
    proofs = [(proof.rule, proof.rank, proof.kind) for state in derivation.states for proof in state.proofs]
    assert sorted(proofs) == sorted(case.proofs)
    assert len(derivation.refusals) == len(case.reasons)
    for refusal, reason in zip(derivation.refusals, case.reasons):
        assert reason in refusal.reason


GOLDENS = pathlib.Path(__file__).parent / "expected"


@pytest.mark.parametrize("name", ["attention", "variance", "entropy", "temperature_from_data", "ties", "scaled_norm",
                                  "softmax_mean_and_variance", "layer_norm_product", "divergence",
                                  "largest_deviation_and_weight"])
def test_the_text_of_a_derivation(name, request):
    (case,) = (case for case in DERIVED + REFUSED if case.kernel.__name__ == name)
    program = case.kernel.trace(*arguments(case, 0))
    shown = text(derive(program.cascade), program.cascade, program.names)
    golden = GOLDENS / f"{name}.txt"
    if request.config.getoption("--accept"):
        golden.write_text(shown)
    assert shown == golden.read_text()


def test_a_program_without_dependent_reductions_has_no_derivation():
    @ef.kernel
    def sums(X):
        return ef.sum(X[i, k], over=k)[i], ef.max(X[i, k], over=k)[i]

    assert sums.lower(np.ones((3, 40))).derivation == ""


def test_lower_tells_whether_a_state_is_used():
    few, many = np.ones((2, 100), np.float32), np.ones((2, 1_000_000), np.float32)
    assert "at these sizes it saves nothing" in log_sum_exp.lower(few).derivation
    assert "at these sizes it saves nothing" not in log_sum_exp.lower(many).derivation


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, 5.0]


@pytest.mark.parametrize("value", [value if place == 0 else pytest.param(value, marks=pytest.mark.slow)
                                   for place, value in enumerate(SPECIAL)])
@pytest.mark.parametrize("case", DERIVED, **NAMES)
def test_special_values_reach_what_they_reach_in_the_program_as_written(case, value):
    given = arguments(case, 7)
    given[0][..., -2] = value  # in the last portion of some cuts
    given[0][0, :] = value     # everywhere in a row: ties
    program = case.kernel.trace(*given)
    inputs = dict(zip((item.name for item in program.cascade.inputs), given))
    expected = run(program.cascade.outputs, inputs)
    for portion in (5, 61):
        unfolded = unfold(derivation_of(program.cascade).cascade, portion)
        for actual, wanted in zip(run(unfolded.outputs, inputs), expected):
            np.testing.assert_array_equal(np.isnan(actual.array), np.isnan(wanted.array))
            np.testing.assert_array_equal(np.isinf(actual.array), np.isinf(wanted.array))


@pytest.mark.parametrize("case", DERIVED, **NAMES)
def test_ranks_of_extent_0_and_1(case):
    for length in (0, 1):
        given = [array[tuple(slice(0, length) if extent == 61 else slice(None) for extent in array.shape)]
                 for array in arguments(case, 3)]
        program = case.kernel.trace(*given)
        inputs = dict(zip((item.name for item in program.cascade.inputs), given))
        unfolded = unfold(derivation_of(program.cascade).cascade, 4)
        expected = run(program.cascade.outputs, inputs, measure="float64")
        for actual, wanted in zip(run(unfolded.outputs, inputs), expected):
            assert_agrees(actual.array, wanted)


def test_derivations_are_quick():
    """Counted in nodes, not seconds: what is made for the largest of the programs stays small."""
    (case,) = (case for case in DERIVED if case.kernel.__name__ == "kurtosis")
    cascade = case.kernel.trace(*arguments(case, 0)).cascade
    assert sum(1 for _ in postorder(*derive(cascade).cascade.outputs)) < 400


def test_what_is_no_number_stays_where_nothing_counts_yet():
    """0 * -inf in a first portion that is -inf altogether, as in the program as written."""
    (case,) = (case for case in DERIVED if case.kernel.__name__ == "entropy")
    X = np.zeros((2, 12))
    X[0, :4] = -np.inf
    cascade = case.kernel.trace(X).cascade
    (written,), (derived,) = (run(one.outputs, {"X": X}) for one in (cascade, unfold(derive(cascade).cascade, 4)))
    np.testing.assert_array_equal(np.isnan(written.array), [True, False])
    np.testing.assert_array_equal(np.isnan(derived.array), [True, False])


def test_derivations_of_long_chains_end():
    """A sign of the last of 40 values asks for those of all before it, each once."""
    def program(X):
        x = X[i, k]
        for n in range(40):
            x = ef.sin(x) + ef.sum(x + float(n), over=k) * 1e-3
        return x[i, k]

    derivation = derive(ef.kernel(program).trace(np.ones((2, 40))).cascade)
    assert len(derivation.refusals) == 39

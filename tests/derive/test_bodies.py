"""Random bodies that depend on earlier reductions, and the smallest programs in which one once went wrong."""

import numpy as np
import pytest

import einfall as ef
from einfall.cascade.run import run
from einfall.cascade.unfold import unfold
from einfall.derive.derive import derive
from tests.derive.bodies import bodies, disagreement
from tests.derive.kinds import KINDS, kinds_of
from tests.derive.once import derivation_of
from tests.derive.refused import refused
from tests.tolerance import assert_agrees

SEEDS = range(200)
i, k, e = ef.ranks("i k e")
DRAW = np.random.default_rng(0)
X, Y = DRAW.standard_normal((2, 2, 40))
FIRST_NOTHING = np.where(np.arange(40) < 9, 0.0, Y * Y)          # weights
FIRST_MASKED = np.where(np.arange(40) < 9, -np.inf, X)           # scores
CANCELLING = np.where(np.arange(40) % 2, -np.roll(X, 1, axis=1), X)
FAR = X + 1e3
THROUGH_0 = np.concatenate([-1 - abs(X), 0 * X[:, :9], abs(X)], axis=1)


@pytest.mark.parametrize("first", [pytest.param(first, marks=pytest.mark.slow if first else ())
                                   for first in range(SEEDS.start, SEEDS.stop, 50)])
def test_random_bodies_agree(first):
    derived = 0
    for seed in range(first, first + 50):
        body = bodies(seed)
        derivation, problem = disagreement(body, (5, 64))
        derived += len(derivation.states)
        assert not problem, f"seed {seed}: {problem}\n{body.source}"
    assert derived >= 12


@pytest.mark.slow
def test_each_kind_of_refusal_is_reached():
    """In a tenth of the programs in which each is wanted twenty times."""
    found = set()
    for seed in SEEDS:
        for body in (bodies(seed), refused(seed)):
            found.update(kinds_of(derivation_of(body.kernel.trace(*body.arguments).cascade)))
    assert found == set(KINDS)


def sum_that_is_0_on_its_way(X):
    return ef.sum((X[i, k] - ef.sum(X[i, k], over=k)) ** 2, over=k)[i]


def mean_without_weights_at_first(X, W):
    mean = ef.sum(W[i, k] * X[i, k], over=k) / ef.sum(W[i, k] * 1.0, over=k)
    return ef.sum((X[i, k] - mean) ** 2, over=k)[i]


def square_weights_at_first_0(X, W):
    w = W[i, k] * W[i, k]
    mean = ef.sum(w * X[i, k], over=k) / ef.sum(w, over=k)
    return ef.sum((X[i, k] - mean) ** 2, over=k)[i]


def masked_term_beside_another(X, Y):
    return ef.sum(ef.exp(X[i, k] - ef.max(X[i, k], over=k)) + Y[i, k], over=k)[i]


def tie_about_a_mean(X, Y):
    return ef.sum(ef.where(X[i, k] == ef.max(X[i, k], over=k), Y[i, k] - ef.mean(Y[i, k], over=k), 0.0), over=k)[i]


def softmax_mean_without_the_softmax(X, Y):
    p = ef.exp(X[i, k] - ef.max(X[i, k], over=k))
    mean = ef.sum(p * Y[i, k], over=k) / ef.sum(p, over=k)
    return ef.sum((Y[i, k] - mean) ** 2, over=k)[i]


def minimum_about_a_sum_of_the_same_elements(X):
    late = ef.sum(ef.maximum(X[i, k] - ef.mean(X[i, k], over=k), 0.0), over=k)
    norm = ef.sqrt(ef.sum(X[i, k] * X[i, k], over=k) + 1.0)
    return late[i], ef.min((X[i, k] - late) * norm, over=k)[i]


def base_narrower_than_the_state(X, V):
    norm = ef.sqrt(ef.mean(X[i, k] * X[i, k], over=k) + 1.0)
    return norm[i], ef.sum(X[i, k] / norm * V[k, e], over=k)[i, e]


def mean_inside_a_sum_about_which_another_is(X, W):
    norm = ef.sqrt(ef.mean(X[i, k] * X[i, k], over=k) + 1.0)
    about = ef.sum(W[i, k] * (X[i, k] - ef.sum(W[i, k], over=k)) * norm, over=k)
    return ef.sum((X[i, k] - about) ** 2, over=k)[i]


def difference_of_two_hoisted_terms(X, W):
    total = ef.sum(X[i, k], over=k)
    return ef.sum(W[i, k] * total - X[i, k], over=k)[i]


def dispersion(X):
    mean = ef.mean(X[i, k], over=k)
    return ef.sum((X[i, k] - mean) ** 2 / mean, over=k)[i]


def product_with_a_reference_that_may_be_0(X, W):
    mean = ef.mean(X[i, k], over=k)
    late = ef.sum(W[i, k] * (X[i, k] - mean) ** 3, over=k)
    return ef.sum((X[i, k] - mean) * (W[i, k] + late), over=k)[i]


def maximum_that_is_0_on_its_way(X):
    return ef.sum((X[i, k] / ef.max(X[i, k], over=k)) ** 2, over=k)[i]


def root_of_a_product_of_two_negative_numbers(X):
    return ef.sum(ef.sqrt(X[i, k] * ef.max(X[i, k], over=k)), over=k)[i]


def mask_without_elements_about_a_maximum(X):
    m = ef.max(X[i, k], over=k)
    return ef.sum(ef.where(k > i + 99, (X[i, k] - m) ** 2, 0.0), over=k)[i]


SMALLEST = [
    (mask_without_elements_about_a_maximum, (np.full((2, 40), -np.inf),)),
    (root_of_a_product_of_two_negative_numbers, (-abs(X),)),
    (maximum_that_is_0_on_its_way, (THROUGH_0,)),
    (sum_that_is_0_on_its_way, (CANCELLING,)), (mean_without_weights_at_first, (X, FIRST_NOTHING)),
    (square_weights_at_first_0, (X, FIRST_NOTHING)), (masked_term_beside_another, (FIRST_MASKED, Y)),
    (tie_about_a_mean, (X, Y)), (tie_about_a_mean, (np.round(X), Y)),
    (softmax_mean_without_the_softmax, (FIRST_MASKED, Y)), (minimum_about_a_sum_of_the_same_elements, (X,)),
    (base_narrower_than_the_state, (X, Y.T)), (mean_inside_a_sum_about_which_another_is, (X, Y)),
    (difference_of_two_hoisted_terms, (FAR, X)), (dispersion, (FAR,)),
    (product_with_a_reference_that_may_be_0, (CANCELLING, Y)),
]


@pytest.mark.parametrize("portion", [1, 2, 7, 64])
@pytest.mark.parametrize("function, given", SMALLEST)
def test_what_once_went_wrong(function, given, portion):
    cascade = ef.kernel(function).trace(*given).cascade
    inputs = dict(zip((item.name for item in cascade.inputs), given))
    derivation = derivation_of(cascade)
    for actual, wanted in zip(run(unfold(derivation.cascade, portion).outputs, inputs),
                              run(cascade.outputs, inputs, measure="float64")):
        assert_agrees(actual.array, wanted, what=function.__name__)


def test_a_proof_about_an_absolute_value_inside_itself_ends():
    def program(X):
        m = ef.max(X[i, k], over=k)
        return ef.sum(ef.abs(X[i, k] - m) * ef.sqrt(ef.abs(ef.abs(X[i, k] - m) - m)), over=k)[i]

    assert derive(ef.kernel(program).trace(X).cascade).refusals


def test_a_mean_with_weights_of_both_signs_is_refused():
    derivation = derive(ef.kernel(mean_without_weights_at_first).trace(X, Y).cascade)
    assert "unknown sign" in derivation.refusals[0].reason


def test_a_maximum_that_may_be_0_does_not_divide():
    derivation = derive(ef.kernel(maximum_that_is_0_on_its_way).trace(X).cascade)
    assert "may be 0 divides" in derivation.refusals[0].reason


def test_powers_of_a_reference_with_which_no_element_moves_are_refused():
    def program(X):
        away = X[i, k] - ef.mean(X[i, k], over=k)
        return ef.sum(X[i, k] * away ** 2, over=k)[i]

    derivation = derive(ef.kernel(program).trace(FAR).cascade)
    assert "would cancel" in derivation.refusals[0].reason

"""The laws of derived states, with fifty digits: parts come together to the whole, in any order; nothing is nothing."""

import random

import mpmath
import pytest

from einfall.cascade.nodes import Rank
from einfall.derive.probe import probed_rank
from tests.derive.cases import DERIVED, REFUSED, arguments
from tests.derive.exact import DIGITS, Exact
from tests.derive.once import derivation_of

NAMES = {"ids": lambda case: case.kernel.__name__}
ELEMENTS = 12
NEAR = mpmath.mpf(10) ** (8 - DIGITS)


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(DIGITS):
        yield


def states_of(case):
    given = arguments(case, 5)
    cascade = case.kernel.trace(*given).cascade
    inputs = dict(zip((item.name for item in cascade.inputs), given))
    for derived in derivation_of(cascade).states:
        outside = [variable for variable in derived.fused.free if isinstance(variable, Rank)]
        yield Exact(derived.group, inputs, outside)


def assert_alike(left, right, what):
    for number, (one, other) in enumerate(zip(left, right)):
        scale = 1 + max((abs(value) for value in other.values() if mpmath.isfinite(value)), default=0)
        for place in other:
            same = one[place] == other[place] or abs(one[place] - other[place]) <= NEAR * scale
            assert same, f"{what}: component {number} at {place}: {one[place]}, not {other[place]}"


@pytest.mark.parametrize("case", DERIVED, **NAMES)
def test_parts_come_together_to_the_whole_in_any_order(case):
    draw = random.Random(case.kernel.__name__)
    for exact in states_of(case):
        whole = exact.state(range(ELEMENTS))
        cuts = sorted(draw.choices(range(ELEMENTS + 1), k=4))  # parts of 0 and 1 among them
        for order in ("in order", "in any order"):
            parts = [exact.state(range(*cut)) for cut in zip([0, *cuts], [*cuts, ELEMENTS])]
            if order == "in any order":
                draw.shuffle(parts)
            while len(parts) > 1:
                place = draw.randrange(len(parts) - 1)
                parts[place:place + 2] = [exact.combined(parts[place], parts[place + 1])]
            assert_alike(parts[0], whole, order)


@pytest.mark.parametrize("case", DERIVED, **NAMES)
def test_nothing_changes_nothing(case):
    for exact in states_of(case):
        nothing = exact.identity()
        assert exact.combined(nothing, nothing) == nothing == exact.state([])
        for elements in (range(1), range(5)):
            some = exact.state(elements)
            assert exact.combined(nothing, some) == some
            assert exact.combined(some, nothing) == some


@pytest.mark.parametrize("case", DERIVED, **NAMES)
def test_a_basis_moves_by_its_matrix(case):
    """C phi(x; b) = phi(x; b'), for elements that are in b and in b', and C(b, b) = 1."""
    for exact in states_of(case):
        some, more = range(8), range(ELEMENTS)
        here, there = exact.state(some), exact.state(more)
        moves = [place for place, component in enumerate(exact.group.components)
                 if component.moved is not exact.group.at(exact.group.before, place)]
        moved, wanted = exact.moved(here, there), exact.folded(some, there)
        unmoved = exact.moved(here, here, is_guarded=False)
        assert_alike([moved[place] for place in moves], [wanted[place] for place in moves], "C phi")
        assert_alike([unmoved[place] for place in moves], [here[place] for place in moves], "C(b, b)")


@pytest.mark.parametrize("case", DERIVED, **NAMES)
def test_a_correction_in_two_ways_is_one_correction(case):
    """The cocycle, as what it is for: three states come together alike from the left and from the right."""
    for exact in states_of(case):
        first, second, third = (exact.state(part) for part in (range(4), range(4, 5), range(5, ELEMENTS)))
        assert_alike(exact.combined(exact.combined(first, second), third),
                     exact.combined(first, exact.combined(second, third)), "from the left and from the right")


@pytest.mark.parametrize("case", DERIVED + REFUSED, **NAMES)
def test_the_rank_of_the_normal_form_is_that_of_probes(case):
    for derived in derivation_of(case.kernel.trace(*arguments(case, 0)).cascade).states:
        for proof in derived.proofs:
            if proof.rule == "sum":
                probed = probed_rank(derived.group.reader, proof.reduction.bodies[0])
                assert probed in (proof.rank, None)

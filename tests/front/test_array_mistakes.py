"""Each mistake in array style, and the whole message it gives; the messages stand in `expected/`, see tests/errors."""

import pathlib

import numpy as np
import pytest

import einfall as ef
from tests.front import array_mistakes

EXPECTED = pathlib.Path(__file__).parent / "expected"
MISTAKES = {name: value for name, value in vars(array_mistakes).items() if hasattr(value, "mistake")}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_its_message(name, request):
    with pytest.raises(ef.EinfallError) as caught:
        MISTAKES[name]()
    assert type(caught.value) is MISTAKES[name].mistake
    message = f"{type(caught.value).__name__}: {caught.value}\n"
    path = EXPECTED / f"{name}.txt"
    if request.config.getoption("--accept"):
        path.write_text(message)
    assert path.exists(), f"no expected message: look at this one, then run pytest --accept\n{message}"
    assert message == path.read_text()
    lines = message.splitlines()
    assert lines[1].startswith("  in     ") and lines[-1].startswith("  try    "), "four lines"


def test_every_expected_message_has_a_mistake():
    assert {path.stem for path in EXPECTED.glob("*.txt")} == set(MISTAKES)


def test_a_function_of_expressions_asks_for_its_ranks():
    i = ef.ranks("i")
    with pytest.raises(TypeError, match=r"^softmax\(\) missing 1 required keyword-only argument: 'over'$"):
        ef.kernel(lambda A: ef.softmax(A[i])[i])(np.zeros(2))

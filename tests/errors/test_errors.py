"""Each mistake, and the whole message it gives: what, where, what is known, what to write instead.

The messages stand in `expected/`, one file a mistake; a missing one fails and `--accept` writes it.
"""

import pathlib

import numpy as np
import pytest

import einfall as ef
from tests.errors import array_mistakes, mistakes, storage_mistakes

EXPECTED = pathlib.Path(__file__).parent / "expected"
MISTAKES = {name: value for written in (mistakes, array_mistakes, storage_mistakes)
            for name, value in vars(written).items()
            if hasattr(value, "mistake")}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_its_message(name, request):
    kind = MISTAKES[name].mistake
    with pytest.raises(ef.EinfallError) as caught:
        MISTAKES[name]()
    assert type(caught.value) is kind
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


def test_an_index_error_is_caught_as_one():
    i, n = ef.ranks("i n")

    @ef.kernel
    def f(X, at):
        return X[at[n]][n]

    with pytest.raises(IndexError):
        ef.reference(f, np.zeros(3), np.array([3]))
    assert i is not n


def test_messages_of_python_use_public_names():
    with pytest.raises(TypeError, match=r"^sum\(\) missing 1 required keyword-only argument: 'over'$"):
        ef.sum(1.0)
    with pytest.raises(TypeError, match=r"^max\(\) takes 1 positional argument"):
        ef.max(1.0, 2.0, over=None)


def test_a_function_of_expressions_asks_for_its_ranks():
    i = ef.ranks("i")
    with pytest.raises(TypeError, match=r"^softmax\(\) missing 1 required keyword-only argument: 'over'$"):
        ef.kernel(lambda A: ef.softmax(A[i])[i])(np.zeros(2))

"""ef.check and ef.parse."""

import numpy as np
import pytest

import einfall as ef
from tests.programs.program import load

i, k = ef.ranks("i k")


@ef.kernel
def softmax(X):
    return {"p": ef.softmax(X[i, k], over=k)[i, k], "rows": (ef.argmax(X[i, k], over=k)[i],)}


def test_a_kernel_agrees():
    rng = np.random.default_rng(0)
    agreement = ef.check(softmax, rng.standard_normal((5, 40), dtype=np.float32))
    assert len(agreement.shares) == 2
    assert 0 < max(agreement.shares) <= 1
    assert str(agreement).startswith("softmax agrees with the reference: the largest error is 0.")


def test_one_that_does_not_is_told(monkeypatch):
    X = np.random.default_rng(0).standard_normal((5, 40), dtype=np.float32)

    right = type(softmax).__call__

    def wrong(self, *args):
        found = right(self, *args)
        found["p"][3, 7] += 0.5
        return found

    monkeypatch.setattr(type(softmax), "__call__", wrong)
    with pytest.raises(ef.CompileError, match=r"result 0 of softmax is .* tolerances .* at \(3, 7\)") as caught:
        ef.check(softmax, X)
    assert [line[:8].strip() for line in str(caught.value).splitlines()[1:]] == ["in", "known", "try"]


@pytest.mark.parametrize("name", load())
def test_a_text_is_the_program(name):
    program = load()[name]
    args, kwargs = program.arguments(np.random.default_rng(0))
    traced = program.kernel.trace(*args, **kwargs)
    read = ef.parse(str(traced))
    assert read.cascade is traced.cascade
    assert str(read) == str(traced)


def test_numbers_below_the_range_of_a_type_are_as_far_as_its_least_one():
    @ef.kernel
    def powers(X):
        return ef.cumprod(X[i], over=i)[i], ef.exp(-20 * X[i] * i)[i]

    assert max(ef.check(powers, np.full(60, 0.17, np.float32)).shares) <= 1

"""Every program of the demo on small data, by the code that the demo runs."""

import importlib

import numpy as np
import pytest

from demo import comparison
from demo.comparison import PEERS, agreement, compare, peer_distance

MODULES = ["bandwidth", "bilateral", "digits", "induction", "mistyped", "palette", "smoothing", "spelling"]


@pytest.fixture(params=MODULES)
def program(request):
    return importlib.import_module(f"demo.{request.param}").PROGRAM


@pytest.mark.slow
def test_the_kernel_agrees_with_the_reference_and_with_numpy(program):
    arguments = program.tiny(np.random.default_rng(0))
    result = program.kernel(*arguments)
    _, share = agreement(program, arguments, result)
    assert share <= 1
    assert peer_distance(program, result, program.numpy(*arguments)) <= PEERS


@pytest.mark.slow
def test_the_whole_comparison_runs(program, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(comparison, "PAUSE_S", 0.0)
    told = []
    small = program._replace(load=lambda: program.tiny(np.random.default_rng(1)), see=lambda *_: "seen")
    outcome = compare(small, told.append, seconds=0.0)
    assert told == ["reading the data", "compiling", "comparing with the reference",
                    "comparing with NumPy and torch", "run 1", "run 2", "run 3"]
    assert list(outcome.times_s) == ["einfall", "NumPy", "torch"] and outcome.seen == "seen"


@pytest.mark.slow
def test_a_wrong_result_is_told(program):
    arguments = program.tiny(np.random.default_rng(0))
    result = program.kernel(*arguments)
    first, *rest = result if isinstance(result, tuple) else (result,)
    first = first + 1
    _, share = agreement(program, arguments, (first, *rest))
    assert share > 1

"""Every program of the demo on small data, by the code that the demo runs."""

import importlib

import numpy as np
import pytest
import scipy.sparse

from demo import comparison
from demo.comparison import PEERS, agreement, compare, peer_distance
from demo.program import as_torch

MODULES = ["bandwidth", "bilateral", "digits", "induction", "mistyped", "pages", "palette", "smoothing", "spelling",
           "vocabulary"]


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
    small = program._replace(load=lambda: program.tiny(np.random.default_rng(1)), see=lambda *_: "seen",
                             part=program.part and (lambda arguments: arguments))
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_sparse_arguments_reach_torch_as_csr(kind):
    torch = pytest.importorskip("torch")
    A = scipy.sparse.csr_array(np.float32([[0, 2, 0], [0, 0, 0], [1, 0, 3]])).asformat(kind)
    x = np.arange(3, dtype=np.float32)
    made, vector, number = as_torch((A, x, 2.5))
    assert made.layout is torch.sparse_csr and number == 2.5
    assert np.array_equal(made.to_dense().numpy(), A.toarray())
    assert np.array_equal((made @ vector).numpy(), A @ x) and np.shares_memory(vector.numpy(), x)


def test_a_program_with_a_part_is_checked_on_that_part(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(comparison, "PAUSE_S", 0.0)
    program, checked = importlib.import_module("demo.digits").PROGRAM, []
    small = program._replace(load=lambda: program.tiny(np.random.default_rng(1)), see=lambda *_: "seen",
                             part=lambda arguments: (arguments[0][:9], arguments[1][:9], arguments[2]))
    monkeypatch.setattr(comparison, "agreement", lambda _, arguments, result: checked.append(
        (len(arguments[0]), len(result))) or (0.0, 0.0))
    compare(small, lambda _: None, seconds=0.0)
    assert checked == [(9, 9)]

"""Kernels whose recurrences run in chunks: where that is faster, where gates allow it, and what is told of it."""

import math

import numpy as np
import pytest

import einfall as ef
from einfall.front.arguments import collect
from einfall.front.kernel import measured
from einfall.plan import recurrences as plan
from tests.tolerance import assert_agrees

h, t, d, e = ef.ranks("h t d e")
STEPS, KEYS, VALUES = 128, 64, 64
IN_CHUNKS = "in chunks of 32 steps"


def decaying(Q, K, V, A):
    S = ef.scan(lambda s: ef.exp(A[t]) * s + K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


def of_keys(Q, K, V, A):
    S = ef.scan(lambda s: ef.exp(A[t, d]) * s + K[t, d] * V[t, e], over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@pytest.fixture(autouse=True)
def chunks_where_they_are_possible(monkeypatch):
    """Sizes at which they are faster take long to compare: here they count for less, and gates of keys as well."""
    monkeypatch.setattr(plan, "GAIN", 0.8)
    monkeypatch.setattr(plan, "KINDS", (*plan.KINDS, "key-wise"))
    monkeypatch.setattr(plan, "PROGRAMS", 0.0)


held, held_of_keys = ef.kernel(decaying), ef.kernel(of_keys)


def data(steps=STEPS, keys=KEYS, values=VALUES, *, seed=0, gates=()):
    rng = np.random.default_rng(seed)
    q, k = (rng.standard_normal((steps, keys)) / math.sqrt(keys) for _ in range(2))
    return tuple(array.astype(np.float32) for array in (
        q, k, rng.standard_normal((steps, values)), -rng.random((steps, *gates))))


def ready_for(kernel, *given):
    arguments = collect(kernel.signature, kernel.__name__, given, {})
    ready = kernel.prepared(arguments)
    return ready, kernel.admitted(ready, arguments)


def assert_agrees_in_a_call(kernel, *given) -> list[np.ndarray]:
    """The results of a call are what the reference says; these."""
    program, expected = measured(kernel, given, {}, {})
    actual = kernel(*given)
    actual = actual if isinstance(program.structure, tuple) else (actual,)
    for one, wanted in zip(actual, expected, strict=True):
        assert_agrees(one, wanted, what=kernel.__name__)
    return list(actual)


def test_a_kernel_runs_in_chunks_and_says_so():
    given = data()
    assert_agrees_in_a_call(held, *given)
    lowered = held.lower(*given)
    assert IN_CHUNKS in lowered.derivation and "gate = exp(A[t])" in lowered.derivation
    assert "decaying_gates" in lowered.cost
    (first, running) = ready_for(held, *given)
    assert running is first and first.guard is not None
    assert "gates are looked at before each call" in lowered.cost


def test_a_gate_of_keys_runs_in_chunks():
    given = data(256, 32, 48, gates=(32,))
    assert_agrees_in_a_call(held_of_keys, *given)
    assert "in chunks of" in held_of_keys.lower(*given).derivation


def test_few_steps_small_states_feedback_and_exact_kernels_run_step_by_step():
    for kernel, given in ((held, data(40)), (held, data(STEPS, 8, 8)), (ef.kernel(decaying, exact=True), data())):
        ready, _ = ready_for(kernel, *given)
        assert ready.chunks is None and ready.guard is None

    @ef.kernel
    def fed_back(Q, K, V, A):
        S = ef.scan(lambda s: A[t] * s + K[t, d] * (V[t, e] - ef.sum(K[t, c] * s[c, e], over=c)), over=t, init=0.0,
                    state=(d, e))
        return ef.sum(Q[t, d] * S, over=d)[t, e]

    c = ef.ranks("c")
    assert ready_for(fed_back, *data(512, 128, 256))[0].chunks is None


def test_a_gate_above_one_runs_step_by_step():
    given = data()
    given[3][77] = math.log(1.5)
    assert_agrees_in_a_call(held, *given)
    first, running = ready_for(held, *given)
    assert first.chunks is not None and running.chunks is None
    report = held.explain(*given)
    (note,) = (note for note in report.notes if "step by step in this call" in note)
    assert note.startswith("the recurrence over t runs step by step in this call: a gate is 1.5") and "at t=77," in note
    assert "in chunks" not in report.derivation
    assert report.kernels[0].name == "decaying_gates"
    assert_agrees_in_a_call(held, *data())  # the next call is in chunks again


def test_gates_above_one_that_would_overflow():
    """Products of these gates are infinite, and the states they would multiply are 0."""
    queries, keys, values, gates = data()
    gates[:], keys[:-4] = 5.0, 0.0
    result, = assert_agrees_in_a_call(held, queries, keys, values, gates)
    assert np.isfinite(result).all()


def test_the_first_position_of_a_gate_with_keys():
    given = data(256, 32, 48, gates=(32,))
    given[3][100, 7] = 1.0
    assert_agrees_in_a_call(held_of_keys, *given)
    assert "a gate is 2.71828" in ready_for(held_of_keys, *given)[1].notes[0]
    assert "at t=100, d=7," in ready_for(held_of_keys, *given)[1].notes[0]


def test_a_gate_that_is_the_same_in_all_steps():
    @ef.kernel
    def numbered(Q, K, V, alpha):
        S = ef.scan(lambda s: ef.exp(alpha) * s + K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
        return ef.sum(Q[t, d] * S, over=d)[t, e]

    @ef.kernel
    def growing(Q, K, V, A):
        S = ef.scan(lambda s: 1.01 * s + K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
        return ef.sum(Q[t, d] * S, over=d)[t, e]

    given = data()
    for alpha, in_chunks in ((-0.5, True), (0.01, False)):
        _, running = ready_for(numbered, *given[:3], alpha)
        assert (running.chunks is not None) == in_chunks
        assert_agrees_in_a_call(numbered, *given[:3], alpha)
    assert "a gate is 1.01005, and" in running.notes[0].replace("1.0100502", "1.01005")
    assert ready_for(growing, *data(512, 128, 256))[0].chunks is None


def test_a_gate_that_is_no_number_stays_in_chunks():
    given = data()
    given[3][50] = np.nan
    result, = assert_agrees_in_a_call(held, *given)
    assert ready_for(held, *given)[1].chunks is not None
    assert np.isfinite(result[:50]).all() and np.isnan(result[50:]).all()


@ef.kernel
def decays_by_what_is_assumed(Q, K, V, A):
    ef.assume(A[t] <= 0)
    return decaying(Q, K, V, A)


@ef.kernel
def shrinks_by_what_is_assumed(Q, K, V, A):
    ef.assume((A[t] >= 0) & (A[t] <= 1))
    S = ef.scan(lambda s: A[t] * s + K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@pytest.mark.parametrize(("kernel", "sign"), [(decays_by_what_is_assumed, 1), (shrinks_by_what_is_assumed, -1)])
def test_what_is_assumed_needs_no_guard(kernel, sign):
    queries, keys, values, gates = data(256, 128, 128)
    given = (queries, keys, values, sign * gates)
    ready, _ = ready_for(kernel, *given)
    assert ready.chunks is not None and ready.guard is None
    assert [check.kind for check in ready.checks] == ["assumptions"]
    assert_agrees_in_a_call(kernel, *given)


@ef.kernel
def from_a_start(Q, K, V, A, start):
    def step(s):
        return ef.exp(A[t]) * s + K[t, d] * V[t, e]

    S = ef.scan(step, over=t, init=start[d, e], state=(d, e))
    final = ef.scan(step, over=t, init=start[d, e], state=(d, e), last=True)
    return ef.sum(Q[t, d] * S, over=d)[t, e], final[d, e]


@pytest.mark.slow
def test_two_halves_are_the_whole():
    given, start = data(256), np.random.default_rng(1).standard_normal((KEYS, VALUES)).astype(np.float32)
    assert from_a_start.lower(*given, start).derivation.count(IN_CHUNKS) == 2
    _, expected = measured(from_a_start, (*given, start), {}, {})
    first, middle = from_a_start(*(array[:128] for array in given), start)
    second, final = from_a_start(*(array[128:] for array in given), middle)
    assert_agrees(np.concatenate([first, second]), expected[0])
    assert_agrees(final, expected[1])


def test_no_memory_for_all_states():
    ready, _ = ready_for(held, *data())
    largest = max(math.prod(block.shape) for block in memory_of(ready.plan))
    assert largest <= STEPS * KEYS * VALUES // 16  # states at starts of chunks
    assert sum(math.prod(block.shape) for block in memory_of(ready.plan)) < STEPS * KEYS * VALUES / 4


def memory_of(plan):
    return [*plan.blocks.values(), *(block for run in plan.runs for _, block in run.scratch)]


def test_the_same_bits_each_time_and_with_any_number_of_threads(monkeypatch):
    given = data(512)
    expected = held(*given).tobytes()
    for threads in ("2", "1", "3"):
        monkeypatch.setenv("EINFALL_THREADS", threads)
        assert held(*given).tobytes() == expected


def test_results_in_arrays_of_the_caller():
    queries, keys, values, gates = data()
    expected = held(queries, keys, values, gates)
    assert held(queries, keys, values, gates, out=values) is values
    assert values.tobytes() == expected.tobytes()
    above = np.full(STEPS, 0.01, np.float32)
    queries, keys, values, _ = data()
    expected = held(queries, keys, values, above)
    out = np.empty_like(values)
    assert held(queries, keys, values, above, out=out) is out and out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_types(dtype):
    given = [array.astype(dtype) for array in data()]
    assert_agrees_in_a_call(held, *given)
    assert IN_CHUNKS in held.lower(*given).derivation


def test_sums_in_a_wider_type_run_step_by_step():
    kernel = ef.kernel(decaying, accumulate=ef.f64)
    assert ready_for(kernel, *data())[0].chunks is None
    assert_agrees_in_a_call(kernel, *data())

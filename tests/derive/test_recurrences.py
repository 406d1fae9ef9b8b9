"""Linear recurrences are seen as what they are, and mean the same in chunks."""

import pathlib

import numpy as np
import pytest

import einfall as ef
from einfall.base.node import postorder
from einfall.cascade import parse as cascade_text
from einfall.cascade.check import check
from einfall.cascade.faults import accesses_stay_inside
from einfall.cascade.nodes import Cascade, Scan
from einfall.cascade.run import run
from einfall.cascade.text import text
from einfall.derive.chunks import chunked
from einfall.derive.recurrence_text import text as told
from einfall.derive.recurrences import recurrences
from einfall.derive.unread import without_unread_states
from einfall.front.arguments import collect
from einfall.front.trace import evaluate
from einfall.nest.run import run as run_nest
from einfall.pipeline import compile_cascade
from einfall.runtime.launch import launch
from einfall.tile.run import run as run_tile
from tests.derive.linear import CASES, KEYS, STEPS, VALUES, c, d, e, qkv, t, unit_rows
from tests.tolerance import assert_agrees

NAMES = {"ids": lambda case: case.kernel.__name__}
IN_CHUNKS = [case for case in CASES if case.expected[1] == "chunks"]
QUICK = ("linear_attention", "mamba2")


def some_slow(items, quick, name=lambda item: item.__name__):
    """Parameters of which those that are not named are slow."""
    return [pytest.param(item, id=name(item), marks=() if name(item) in quick else pytest.mark.slow) for item in items]


def name_of(case) -> str:
    return case.kernel.__name__


SIZES = (1, 4, 16, 67)


def in_chunks(cascade: Cascade, size: int) -> Cascade:
    """The program with all its recurrences in chunks, those that depend on others first."""
    found = [recurrence for recurrence in recurrences(cascade) if recurrence.form == "chunks"]
    assert found
    for recurrence in reversed(found):
        cascade = chunked(cascade, recurrence, size)
    check(cascade)
    return cascade


def assert_same_in_chunks(kernel, given, sizes=SIZES) -> list[np.ndarray]:
    """The program in chunks of all sizes gives what it gives as written; these results."""
    arguments = collect(kernel.signature, kernel.__name__, tuple(given), {})
    cascade = kernel.program(arguments).cascade
    expected = run(cascade.outputs, arguments.arrays, arguments.scalars, measure="float64")
    for size in sizes:
        made = in_chunks(cascade, size)
        assert accesses_stay_inside(made, lambda extent: evaluate(extent, arguments.sizes))
        for actual, wanted in zip(run(made.outputs, arguments.arrays, arguments.scalars), expected, strict=True):
            assert_agrees(actual.array, wanted, what=f"{kernel.__name__} in chunks of {size}")
    return [result.array for result in expected]


@pytest.mark.parametrize("case", CASES, **NAMES)
def test_the_class_of_each(case):
    program = case.kernel.trace(*case.inputs(np.random.default_rng(0), STEPS, 0.1))
    (found,) = recurrences(program.cascade)
    assert (found.kind, found.form, found.how, len(found.feedback), len(found.sources)) == case.expected
    assert found.solve == bool(found.feedback)
    assert bool(found.reason) == (found.form != "chunks")


@pytest.mark.parametrize("strength", [0.1, 8.0])
@pytest.mark.parametrize("steps", [STEPS, 1, 0])
@pytest.mark.parametrize("case", some_slow(IN_CHUNKS, QUICK, name_of))
def test_chunks_agree_with_the_program_as_written(case, steps, strength):
    assert_same_in_chunks(case.kernel, case.inputs(np.random.default_rng(1), steps, strength))


@pytest.mark.parametrize("case", IN_CHUNKS, **NAMES)
def test_chunks_are_text(case):
    cascade = case.kernel.trace(*case.inputs(np.random.default_rng(1), STEPS, 0.1)).cascade
    made = in_chunks(cascade, 16)
    assert cascade_text.parse(text(made)) is made


# Gates of any kind


@ef.kernel
def scalar_gate(Q, K, V, A):
    S = ef.scan(lambda s: A[t] * s + K[t, d] * V[t, e], over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def gate_of_keys(Q, K, V, A):
    S = ef.scan(lambda s: A[t, d] * s + K[t, d] * V[t, e], over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def gate_of_values(Q, K, V, A):
    S = ef.scan(lambda s: A[t, e] * s + K[t, d] * V[t, e], over=t, init=0.0)
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def gate_and_feedback(Q, K, V, A):
    S = ef.scan(lambda s: A[t] * s + K[t, d] * (V[t, e] - ef.sum(K[t, c] * s[c, e], over=c)) / 4.0, over=t, init=0.0,
                state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


@ef.kernel
def gate_of_keys_and_feedback(Q, K, V, A):
    S = ef.scan(lambda s: A[t, d] * s + K[t, d] * (V[t, e] - ef.sum(K[t, c] * s[c, e], over=c)) / 4.0, over=t,
                init=0.0, state=(d, e))
    return ef.sum(Q[t, d] * S, over=d)[t, e]


GATED = ((scalar_gate, ()), (gate_of_keys, (KEYS,)), (gate_of_values, (VALUES,)), (gate_and_feedback, ()),
         (gate_of_keys_and_feedback, (KEYS,)))
GATED_NAMES = {"ids": [kernel.__name__ for kernel, _ in GATED]}
GATED_QUICK = [pytest.param(*one, id=one[0].__name__, marks=pytest.mark.slow if number else ())
               for number, one in enumerate(GATED)]


@pytest.mark.parametrize(("kernel", "axes"), GATED_QUICK)
def test_gates_of_zero_and_below(kernel, axes):
    rng = np.random.default_rng(2)
    gates = rng.uniform(-1, 1, (STEPS, *axes))
    gates[[0, 5, 16, 17, 40]] = 0.0
    result, = assert_same_in_chunks(kernel, (*qkv(rng, STEPS), gates))
    assert np.isfinite(result).all()


@pytest.mark.parametrize(("kernel", "axes"), GATED, **GATED_NAMES)
@pytest.mark.slow
def test_a_gate_that_is_no_number_spoils_what_comes_after_it_only(kernel, axes):
    rng = np.random.default_rng(3)
    for place in (0, 20, 32):
        gates = rng.uniform(0, 1, (STEPS, *axes))
        gates[place] = np.nan
        result, = assert_same_in_chunks(kernel, (*qkv(rng, STEPS), gates))
        assert np.isfinite(result[:place]).all()
        assert np.isnan(result[place:]).all()


@pytest.mark.parametrize(("kernel", "axes"), GATED, **GATED_NAMES)
@pytest.mark.slow
def test_a_source_that_is_no_number_spoils_what_comes_after_it_only(kernel, axes):
    rng = np.random.default_rng(4)
    queries, keys, values = qkv(rng, STEPS)
    keys[20] = np.nan
    result, = assert_same_in_chunks(kernel, (queries, keys, values, rng.uniform(0.1, 1, (STEPS, *axes))))
    assert np.isfinite(result[:20]).all()
    assert np.isnan(result[20:]).all()


@pytest.mark.slow
def test_products_of_gates_that_underflow_leave_what_comes_after():
    """A quotient of products up to two steps, or a difference of sums of logarithms, would be no number here."""
    rng = np.random.default_rng(5)
    gates = rng.uniform(0, 1, (STEPS, KEYS)) * 1e-40
    result, = assert_same_in_chunks(gate_of_keys, (*qkv(rng, STEPS), gates))
    assert np.abs(result).max(axis=-1).all()


# The guard of gates


def guard_of(function, *given):
    cascade = ef.kernel(function).trace(*given).cascade
    return recurrences(cascade)[0].guard


def test_gates_that_are_known_to_be_at_most_one_need_no_guard():
    rng = np.random.default_rng(6)
    given = (*qkv(rng, STEPS), rng.random(STEPS))

    def with_gate(gate):
        def program(Q, K, V, A):
            S = ef.scan(lambda s: gate(A) * s + K[t, d] * V[t, e], over=t, init=0.0)
            return ef.sum(Q[t, d] * S, over=d)[t, e]

        return program

    for gate in (lambda A: ef.sigmoid(A[t]), lambda A: ef.exp(-ef.abs(A[t])), lambda A: 0.5, lambda A: ef.tanh(A[t]),
                 lambda A: 1.0 - ef.sigmoid(A[t]), lambda A: -ef.sigmoid(A[t]) * ef.cos(A[t])):
        assert guard_of(with_gate(gate), *given) is None
    for gate in (lambda A: A[t], lambda A: ef.exp(A[t]), lambda A: 2.0 * ef.sigmoid(A[t]), lambda A: 1.0 - A[t]):
        assert guard_of(with_gate(gate), *given) is not None

    def stated(Q, K, V, A):
        ef.assume(A[t] >= 0)
        ef.assume(A[t] <= 1)
        S = ef.scan(lambda s: A[t] * s + K[t, d] * V[t, e], over=t, init=0.0)
        return ef.sum(Q[t, d] * S, over=d)[t, e]

    assert guard_of(stated, *given) is None


# Where states begin and end


@ef.kernel
def from_a_start(Q, K, V, B, A, start):
    def step(s):
        return A[t] * s + B[t] * K[t, d] * (V[t, e] - A[t] * ef.sum(K[t, c] * s[c, e], over=c))

    S = ef.scan(step, over=t, init=start[d, e], state=(d, e))
    final = ef.scan(step, over=t, init=start[d, e], state=(d, e), last=True)
    return ef.sum(Q[t, d] * S, over=d)[t, e], final[d, e]


@ef.kernel
def only_the_last(K, V, G, start):
    final = ef.scan(lambda s: G[t, d] * s + K[t, d] * V[t, e], over=t, init=start[d, e], state=(d, e), last=True)
    return final[d, e]


@ef.kernel
def last_of_free_ranks(K, V, G):
    final = ef.scan(lambda s: G[t] * s + K[t, d] * V[t, e], over=t, init=1.0, last=True)
    return final[e, d]


def starting(rng, steps):
    return (*qkv(rng, steps)[:1], unit_rows(rng, steps), rng.standard_normal((steps, VALUES)), rng.random(steps),
            rng.uniform(-1, 1, steps))


@pytest.mark.parametrize("steps", [*(pytest.param(steps, marks=pytest.mark.slow) for steps in (STEPS, 1)), 0])
def test_states_begin_and_end(steps):
    rng = np.random.default_rng(7)
    start = rng.standard_normal((KEYS, VALUES))
    assert_same_in_chunks(from_a_start, (*starting(rng, steps), start))
    _, keys, values = qkv(rng, steps)
    assert_same_in_chunks(only_the_last, (keys, values, rng.random((steps, KEYS)), start))
    assert_same_in_chunks(last_of_free_ranks, (keys, values, rng.random(steps)))


@pytest.mark.slow
def test_states_at_starts_are_computed_once_for_outputs_and_the_last():
    rng = np.random.default_rng(16)
    for steps in (STEPS, 1, 0):
        given = (*starting(rng, steps), rng.standard_normal((KEYS, VALUES)))
        arguments = collect(from_a_start.signature, "from_a_start", given, {})
        cascade = from_a_start.program(arguments).cascade
        expected = run(cascade.outputs, arguments.arrays, measure="float64")
        for size in (4, 67):
            made = cascade
            for recurrence in recurrences(cascade):  # the outputs first
                made = chunked(made, recurrence, size)
            scans = [node for node in postorder(*made.outputs) if isinstance(node, Scan)]
            assert not any(scan.last and scan.label.name.startswith("states") for scan in scans)
            for actual, wanted in zip(run(made.outputs, arguments.arrays), expected):
                assert_agrees(actual.array, wanted)
            compiled = compile_cascade(made, arguments.units, arguments.small)
            results = launch(compiled.steps, compiled.nest.outputs, arguments.arrays, arguments.scalars)
            for actual, wanted in zip(results, expected):
                assert_agrees(actual, wanted)


@pytest.mark.slow
def test_two_halves_are_the_whole():
    rng = np.random.default_rng(8)
    given, start = starting(rng, STEPS), rng.standard_normal((KEYS, VALUES))
    cascade = from_a_start.trace(*given, start).cascade
    names = [item.name for item in cascade.inputs]

    def of(part, start):
        inputs = dict(zip(names, (*(array[part] for array in given), start)))
        return [result.array for result in run(in_chunks(cascade, 16).outputs, inputs)]

    first, middle = of(slice(0, 30), start)
    second, final = of(slice(30, None), middle)
    expected = run(cascade.outputs, dict(zip(names, (*given, start))), measure="float64")
    assert_agrees(np.concatenate([first, second]), expected[0])
    assert_agrees(final, expected[1])


# How states are written and read

b, m = ef.ranks("b m")


@ef.kernel
def heads(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def heads_as_axes(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0, state=(b, d, e))
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def renamed(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0, state=(d, e))
    H = S[b, t, d, e]
    return ef.sum(Q[b, t, c] * H[b, t, c, m], over=c)[t, m, b]


@ef.kernel
def before_each_step(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.5, exclusive=True)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def backwards(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.5, reverse=True)
    R = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.5, reverse=True, exclusive=True)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e], ef.sum(Q[b, t, d] * R, over=d)[b, t, e]


@ef.kernel
def read_twice_with_a_bonus(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0, exclusive=True)
    bonus = ef.sum(Q[b, t, d] * (S + 0.5 * K[b, t, d] * V[b, t, e]), over=d)
    return bonus[b, t, e], ef.sum(S * K[b, t, d], over=d)[b, t, e]


@ef.kernel
def two_states(Q, K, V, A):
    S, n = ef.scan(lambda s, n: (A[b, t] * s + K[b, t, d] * V[b, t, e], A[b, t] * n + K[b, t, d]), over=t,
                   init=(0.0, 0.0))
    norm = ef.maximum(ef.abs(ef.sum(Q[b, t, d] * n, over=d)), 1.0)
    return (ef.sum(Q[b, t, d] * S, over=d) / norm)[b, t, e]


@ef.kernel
def two_sources(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + (K[b, t, d] * V[b, t, e] - Q[b, t, d] * V[b, t, e] / 2.0), over=t, init=0.0)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def reflections_one_after_the_other(Q, K, V, A):
    """Two Householder steps in one: the second reads what the first makes."""
    def step(s):
        def once(c):
            return ef.sum(K[b, t, c] * s[c, e], over=c)

        first = s[d, e] - A[b, t] * K[b, t, d] * once(c)
        again = ef.sum(Q[b, t, m] * (s[m, e] - A[b, t] * K[b, t, m] * once(c)), over=m)
        return first - 0.5 * Q[b, t, d] * again + K[b, t, d] * V[b, t, e]

    S = ef.scan(step, over=t, init=0.0, state=(d, e))
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def keys_made_on_the_way(Q, K, V, A):
    """Keys and gates that are costly: normed, and running sums."""
    k = K[b, t, d] / ef.sqrt(ef.sum(K[b, t, d] ** 2, over=d) + 1e-6)
    gate = ef.exp(-ef.cumsum(ef.abs(A[b, t]), over=t))
    S = ef.scan(lambda s: gate * s + k * V[b, t, e], over=t, init=0.0)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def two_layers(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)
    o = ef.sum(Q[b, t, d] * S, over=d)
    R = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * o, over=t, init=0.0)
    return ef.sum(Q[b, t, d] * R, over=d)[b, t, e]


row, col, chunk = ef.ranks("row col chunk")


@ef.kernel
def names_of_chunks(Q, K, V, A):
    """The ranks have the names that those of chunks would have."""
    S = ef.scan(lambda s: A[b, row] * s + K[b, row, col] * V[b, row, chunk], over=row, init=0.0)
    return ef.sum(Q[b, row, col] * S, over=col)[b, row, chunk]


@ef.kernel
def sources_at_some_steps_and_of_steps_before(Q, K, V, A):
    before = ef.where(t > 0, K[b, t - 1, d], 0.0)
    S = ef.scan(lambda s: A[b, t] * s + ef.where(t % 3 == 1, before * V[b, t, e], 0.0), over=t, init=0.0)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def read_at_other_steps_afterwards(Q, K, V, A):
    S = ef.scan(lambda s: A[b, t] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)
    o = ef.sum(Q[b, t, d] * S, over=d)[b, t, e]
    return ef.sum(ef.where(m <= t, o[b, m, e] * A[b, t], 0.0), over=m)[b, t, e]


WRITTEN = (heads, heads_as_axes, renamed, before_each_step, backwards, read_twice_with_a_bonus, two_sources,
           reflections_one_after_the_other, keys_made_on_the_way, two_layers, names_of_chunks,
           sources_at_some_steps_and_of_steps_before, read_at_other_steps_afterwards)


def in_heads(rng, steps):
    return (*(np.stack(items) for items in zip(qkv(rng, steps), qkv(rng, steps))), rng.uniform(-1, 1, (2, steps)))


@pytest.mark.parametrize("kernel", some_slow(WRITTEN, ("heads",)))
def test_ways_to_write_and_read_states(kernel):
    for steps in (STEPS, 1, 0):
        assert_same_in_chunks(kernel, in_heads(np.random.default_rng(9), steps), (4, 16))


def test_each_of_several_states_is_read_by_itself():
    given = in_heads(np.random.default_rng(10), STEPS)
    arguments = collect(two_states.signature, "two_states", given, {})
    cascade = two_states.program(arguments).cascade
    matrix, vector = recurrences(cascade)
    assert (matrix.form, vector.form) == ("chunks", "scan")
    made = chunked(cascade, matrix, 16)
    (wanted,) = run(cascade.outputs, arguments.arrays, measure="float64")
    for program in (made, without_unread_states(made)):
        check(program)
        (actual,) = run(program.outputs, arguments.arrays)
        assert_agrees(actual.array, wanted)
    left = [len(node.inits) for node in postorder(*without_unread_states(made).outputs) if isinstance(node, Scan)
            and node.label is matrix.scan.label]
    assert left == [1]
    assert without_unread_states(cascade) is cascade


def test_a_scan_that_reads_one_with_fewer_states_is_free_in_less():
    @ef.kernel
    def program(Q, K, V, A):
        _, n = ef.scan(lambda s, n: (A[b, t] * s + V[b, t, e], 0.5 * n + V[b, t, e]), over=t, init=(Q[b, 0, d], 0.0),
                       last=True)
        return ef.scan(lambda r: 0.5 * r + n, over=b, init=0.0)[b, d, e]

    left = without_unread_states(program.trace(*in_heads(np.random.default_rng(20), 3)).cascade)
    assert cascade_text.parse(text(left)) is left


# What is not taken in chunks


def refused(step, reading=None, **options):
    def program(Q, K, V, A):
        S = ef.scan(lambda s: step(s, K, V, A), over=t, init=0.0, **options)
        return ef.sum(Q[t, d] * S, over=d)[t, e] if reading is None else reading(S, Q)

    rng = np.random.default_rng(11)
    (found,) = recurrences(ef.kernel(program).trace(*qkv(rng, STEPS), rng.random((STEPS, KEYS))).cascade)
    assert found.form != "chunks"
    with pytest.raises(ValueError, match="chunks of 16"):
        chunked(ef.kernel(program).trace(*qkv(rng, STEPS), rng.random((STEPS, KEYS))).cascade, found, 16)
    return found.kind, found.form, found.reason


def added(s, K, V, A):
    return s + K[t, d] * V[t, e]


def test_refusals_say_why():
    state = {"state": (d, e)}
    kind, form, reason = refused(lambda s, K, V, A: ef.tanh(s + K[t, d] * V[t, e]))
    assert (kind, form) == ("not linear", "steps") and "tanh() of it is not linear" in reason
    kind, form, reason = refused(lambda s, K, V, A: s * s + K[t, d] * V[t, e])
    assert (kind, form) == ("not linear", "steps") and "multiplied with itself" in reason
    kind, form, reason = refused(lambda s, K, V, A: ef.where(A[t, 0] > 0.5, 0.0, s) + K[t, d] * V[t, e])
    assert form == "steps" and "a condition chooses" in reason
    kind, form, reason = refused(lambda s, K, V, A: A[t, d] * s + V[t, e] * s + K[t, d] * V[t, e])
    assert (kind, form) == ("full", "scan") and "keys and on values" in reason
    kind, form, reason = refused(lambda s, K, V, A: s + ef.tanh(K[t, d] * V[t, e]))
    assert (kind, form) == ("none", "scan") and "does not split" in reason
    kind, form, reason = refused(lambda s, K, V, A: s[d, e] + ef.tanh(K[t, d] * V[t, e]), **state)
    assert (kind, form) == ("none", "scan") and "does not split" in reason
    kind, form, reason = refused(lambda s, K, V, A: V[t, e] * s - A[t, d] * ef.sum(A[t, c] * s[c, e], over=c)
                                 + K[t, d] * V[t, e], **state)
    assert (kind, form) == ("value-wise", "scan") and "feedback" in reason
    kind, form, reason = refused(lambda s, K, V, A: s.pad(0.0)[d - 1, e] + K[t, d] * V[t, e], **state)
    assert (kind, form) == ("dense", "steps") and "other coordinates" in reason
    kind, form, reason = refused(added, lambda S, Q: S[t, d, e])
    assert form == "scan" and "read themselves" in reason
    kind, form, reason = refused(added, lambda S, Q: ef.sum(S, over=(t, d))[e])
    assert form == "scan" and "other steps" in reason
    kind, form, reason = refused(added, lambda S, Q: ef.max(S, over=d)[t, e])
    assert form == "scan" and "read themselves" in reason
    kind, form, reason = refused(added, lambda S, Q: ef.sum(S * S, over=d)[t, e])
    assert form == "scan" and "not linear" in reason
    kind, form, reason = refused(added, lambda S, Q: (ef.sum(S, over=d)[t, e], ef.sum(S, over=e)[t, d]))
    assert form == "scan" and "different axes" in reason


def test_a_rank_that_means_two_axes_is_refused():
    def program(Q, K, V, A):
        S = ef.scan(lambda s: A[t] * s + K[t, d] * V[t, e], over=t, init=0.0, state=(d, e))
        H = S[t, d, e]
        return ef.sum(Q[t, d] * V[t, e] * H[t, d, m], over=d)[t, e, m]

    rng = np.random.default_rng(17)
    (found,) = recurrences(ef.kernel(program).trace(*qkv(rng, STEPS), rng.random(STEPS)).cascade)
    assert found.form == "scan" and "one axis of the state where it is read" in found.reason


def test_a_state_that_others_of_its_scan_read_or_nothing_does():
    @ef.kernel
    def program(Q, K, V, A):
        S, n, _ = ef.scan(lambda s, n, r: (A[t] * s + K[t, d] * V[t, e], 0.5 * n + s, A[t] * r + K[t, d] * V[t, e]),
                          over=t, init=(0.0, 0.0, 0.0))
        return ef.sum(Q[t, d] * S, over=d)[t, e], ef.sum(Q[t, d] * n, over=d)[t, e]

    rng = np.random.default_rng(18)
    found = recurrences(program.trace(*qkv(rng, STEPS), rng.random(STEPS)).cascade)
    assert [one.form for one in found] == ["scan", "steps", "scan"]
    assert "another state of its scan reads it" in found[0].reason and "nothing reads" in found[2].reason


def test_free_ranks_that_have_several_extents():
    """Which of them is that of the state is not known."""
    @ef.kernel
    def program(K, V, A):
        final = ef.scan(lambda s: A[t] * s + K[t, d] * V[t, e], over=t, init=1.0, last=True)
        return final[d, e], ef.sum(V[d, e], over=d)[e]

    rng = np.random.default_rng(19)
    _, keys, values = qkv(rng, STEPS)
    (found,) = recurrences(program.trace(keys, values, rng.random(STEPS)).cascade)
    assert found.form == "scan" and "several extents" in found.reason


def test_a_recurrence_of_another_program_is_refused():
    first, second = (case.kernel.trace(*case.inputs(np.random.default_rng(0), STEPS, 0.1)).cascade
                     for case in CASES[:2])
    with pytest.raises(ValueError, match="not one of this program"):
        chunked(first, recurrences(second)[0], 16)
    (found,) = recurrences(first)
    with pytest.raises(ValueError, match="not one of this program"):
        chunked(chunked(first, found, 16), found, 16)


# Text

GOLDENS = pathlib.Path(__file__).parent / "expected"


@pytest.mark.parametrize("name", ["mamba2", "gated_delta_net", "diagonal_plus_low_rank", "value_gate"])
def test_the_text_of_chunks(name, request):
    (case,) = (case for case in CASES if case.kernel.__name__ == name)
    program = case.kernel.trace(*case.inputs(np.random.default_rng(0), STEPS, 0.1))
    (found,) = recurrences(program.cascade)
    shown = told(found, program.cascade, 64, program.names)
    golden = GOLDENS / f"{name}.txt"
    if request.config.getoption("--accept"):
        golden.write_text(shown)
    assert shown == golden.read_text()


def test_the_text_of_what_is_made_on_the_way():
    program = keys_made_on_the_way.trace(*in_heads(np.random.default_rng(21), STEPS))
    (found,) = (one for one in recurrences(program.cascade) if one.form == "chunks")
    shown = told(found, program.cascade, 64, program.names)
    assert "k[d] = K[b, t, d] / sqrt(sum[d < Q.shape[2]](" in shown
    assert "gate = exp(-scan[t < " in shown


def test_the_text_of_a_refusal():
    (case,) = (case for case in CASES if case.kernel.__name__ == "mamba1")
    program = case.kernel.trace(*case.inputs(np.random.default_rng(0), STEPS, 0.1))
    assert told(recurrences(program.cascade)[0], program.cascade, 64) == (
        "the recurrence over t < C.shape[0], step by step: the gate depends on keys and on values\n")


# Through the compiler


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", some_slow(IN_CHUNKS, QUICK[1:], name_of))
def test_chunks_through_the_compiler(case, dtype):
    for steps in (STEPS, 1, 0):
        given = case.inputs(np.random.default_rng(12), steps, 2.0)
        assert_compiles(case.kernel, [array.astype(dtype) for array in given])


@pytest.mark.parametrize("case", some_slow(IN_CHUNKS, QUICK, name_of))
def test_chunks_as_nests_and_tiles(case):
    given = [array.astype(np.float32) for array in case.inputs(np.random.default_rng(18), 11, 2.0)]
    arguments = collect(case.kernel.signature, case.kernel.__name__, tuple(given), {})
    cascade = case.kernel.program(arguments).cascade
    expected = run(cascade.outputs, arguments.arrays, arguments.scalars, measure="float64")
    compiled, memory = compile_cascade(in_chunks(cascade, 4), arguments.units, arguments.small), {}
    for tile in compiled.tiles:
        run_tile(tile, arguments.arrays, arguments.scalars, memory)
    for buffer, one, wanted in zip(compiled.nest.outputs, run_nest(compiled.nest, arguments.arrays, arguments.scalars),
                                   expected, strict=True):
        assert_agrees(one, wanted, what=f"{case.kernel.__name__} as a nest")
        assert_agrees(memory[buffer.name], wanted, what=f"{case.kernel.__name__} as tile programs")


def assert_compiles(kernel, given, size=16):
    arguments = collect(kernel.signature, kernel.__name__, tuple(given), {})
    cascade = kernel.program(arguments).cascade
    expected = run(cascade.outputs, arguments.arrays, arguments.scalars, measure="nominal")
    compiled = compile_cascade(in_chunks(cascade, size), arguments.units, arguments.small)
    results = launch(compiled.steps, compiled.nest.outputs, arguments.arrays, arguments.scalars)
    for actual, wanted in zip(results, expected, strict=True):
        assert_agrees(actual, wanted, what=f"{kernel.__name__} in chunks of {size}")


@pytest.mark.parametrize("kernel", some_slow(WRITTEN, ("heads",)))
def test_ways_to_write_and_read_states_through_the_compiler(kernel):
    assert_compiles(kernel, [array.astype(np.float32) for array in in_heads(np.random.default_rng(13), STEPS)])


@pytest.mark.slow
def test_special_gates_through_the_compiler():
    for kernel, axes in GATED:
        rng = np.random.default_rng(14)
        gates = rng.uniform(-1, 1, (STEPS, *axes))
        gates[[0, 5, 17]], gates[40] = 0.0, np.nan
        assert_compiles(kernel, [array.astype(np.float32) for array in (*qkv(rng, STEPS), gates)])


@pytest.mark.slow
def test_starts_and_ends_through_the_compiler():
    rng = np.random.default_rng(15)
    for steps in (STEPS, 0):
        given = (*starting(rng, steps), rng.standard_normal((KEYS, VALUES)))
        assert_compiles(from_a_start, [array.astype(np.float32) for array in given])


def test_logarithms_are_not_taken():
    for case in IN_CHUNKS:
        shown = text(in_chunks(case.kernel.trace(*case.inputs(np.random.default_rng(1), STEPS, 0.1)).cascade, 16))
        assert "log" not in shown and "cumsum" not in shown



"""Reductions of histories are taken into the steps of their scan, where that leaves less than it reads."""

import numpy as np
import pytest

import einfall as ef
from einfall.base.node import postorder
from einfall.cascade.nodes import Access, History, Reduce
from einfall.cascade.project import project
from einfall.cascade.run import run
from einfall.front.arguments import collect
from tests.differential.heights import assert_agrees_at_every_height
from tests.tolerance import assert_agrees

b, t, d, e, c, j = ef.ranks("b t d e c j")
RNG = np.random.default_rng(0)
T, D, E = 7, 3, 4
Q, K = (RNG.standard_normal((2, T, D)) for _ in range(2))
V, G = RNG.standard_normal((2, T, E)), RNG.uniform(0.5, 1, (2, T, D))


@ef.kernel
def gated(Q, K, V, G):
    S = ef.scan(lambda s: G[b, t, d] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


def gated_by_hand():
    out, S = np.zeros((2, T, E)), np.zeros((2, D, E))
    for t in range(T):
        S = G[:, t, :, None] * S + K[:, t, :, None] * V[:, t, None]
        out[:, t] = (Q[:, t, :, None] * S).sum(1)
    return out


@ef.kernel
def delta_rule(Q, K, V):
    """The step reduces the state itself, and the state has axes of its own."""
    S = ef.scan(lambda s: s + K[b, t, d] * (V[b, t, e] - ef.sum(K[b, t, c] * s[c, e], over=c)) / 4, over=t, init=0.0,
                state=(d, e))
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


def delta_by_hand():
    out, S = np.zeros((2, T, E)), np.zeros((2, D, E))
    for t in range(T):
        S = S + K[:, t, :, None] * (V[:, t] - (K[:, t, :, None] * S).sum(1))[:, None] / 4
        out[:, t] = (Q[:, t, :, None] * S).sum(1)
    return out


@ef.kernel
def before_each_step(Q, K, V, G):
    S = ef.scan(lambda s: G[b, t, d] * s + K[b, t, d] * V[b, t, e], over=t, init=1.0, exclusive=True)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e]


@ef.kernel
def from_the_end(Q, K, V, G):
    S = ef.scan(lambda s: G[b, t, d] * s + K[b, t, d] * V[b, t, e], over=t, init=0.5, reverse=True)
    return ef.sum(Q[b, t, d] * S, over=(d, e))[t, b]


@ef.kernel
def normalised(Q, K, V, G):
    """Two states, each with a reduction of its own, and their ratio."""
    S, n = ef.scan(lambda s, n: (G[b, t, d] * s + K[b, t, d] * V[b, t, e], G[b, t, d] * n + abs(K[b, t, d])),
                   over=t, init=(0.0, 1.0))
    return (ef.sum(Q[b, t, d] * S, over=d) / ef.sum(abs(Q[b, t, d]) * n, over=d))[b, t, e]


@ef.kernel
def softmax_of_the_state(Q, K, V, G):
    """Reductions that depend on each other."""
    S = ef.scan(lambda s: G[b, t, d] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)
    return ef.sum(ef.softmax(S, over=d) * Q[b, t, d], over=d)[b, e, t]


@ef.kernel
def masked(Q, K, V, G):
    S = ef.scan(lambda s: G[b, t, d] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)
    return ef.sum(ef.where(d <= t, Q[b, t, d] * S, 0.0), over=d)[b, t, e], ef.max(ef.where(e < 2, S, -ef.inf),
                                                                                 over=(d, e))[b, t]


@ef.kernel
def axes_of_other_names(Q, K, V):
    """The state's axes have the names that the reduction binds, the other way round."""
    S = ef.scan(lambda s: 0.5 * s[d, e] + K[b, t, d] * V[b, t, e], over=t, init=0.0, state=(d, e))
    W = S[b, t, d, e]
    return ef.sum(ef.sum(W[b, t, d, e] * Q[b, t, d], over=d) * V[b, t, e], over=e)[b, t]


@ef.kernel
def also_returned(Q, K, V, G):
    S = ef.scan(lambda s: G[b, t, d] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)
    return ef.sum(Q[b, t, d] * S, over=d)[b, t, e], S[b, t, d, e]


@ef.kernel
def of_the_step_before(Q, K, V, G):
    S = ef.scan(lambda s: G[b, t, d] * s + K[b, t, d] * V[b, t, e], over=t, init=0.0)[b, t, d, e]
    return ef.sum(Q[b, t, d] * S.pad(0.0)[b, t - 1, d, e], over=d)[b, t, e]


@ef.kernel
def times_a_matrix(K, W):
    H = ef.scan(lambda s: 0.5 * s + K[b, t, d], over=t, init=0.0)
    return ef.sum(W[j, d] * H, over=d)[b, t, j]


@ef.kernel
def over_time(Q, K):
    H = ef.scan(lambda s: 0.5 * s + K[b, t, d], over=t, init=0.0)
    return ef.sum(Q[b, t, d] * H, over=t)[b, d]


PULLED = [(gated, (Q, K, V, G)), (delta_rule, (Q, K, V)), (before_each_step, (Q, K, V, G)),
          (from_the_end, (Q, K, V, G)), (normalised, (Q, K, V, G)), (masked, (Q, K, V, G)),
          (axes_of_other_names, (Q, K, V))]
STORED = [(also_returned, (Q, K, V, G)), (of_the_step_before, (Q, K, V, G)), (over_time, (Q, K)),
          (times_a_matrix, (K, RNG.standard_normal((5, D))))]
NAMES = {"ids": lambda value: getattr(value, "__name__", "")}


def reads(cascade) -> list[tuple]:
    """The histories that reductions read."""
    return [node for reduce in postorder(*cascade.outputs) if isinstance(reduce, Reduce)
            for body in reduce.bodies for node in postorder(body)
            if isinstance(node, Access) and isinstance(node.source, History)]


@pytest.mark.parametrize(("kernel", "args"), PULLED, **NAMES)
def test_what_is_pulled(kernel, args):
    cascade = kernel.trace(*args).cascade
    assert reads(cascade)
    assert not reads(project(cascade))


@pytest.mark.parametrize(("kernel", "args"), STORED, **NAMES)
def test_what_is_stored(kernel, args):
    assert reads(project(kernel.trace(*args).cascade))


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "args"), [*PULLED, *STORED, (softmax_of_the_state, (Q, K, V, G))], **NAMES)
def test_every_height_agrees(kernel, args):
    assert_agrees_at_every_height(kernel, args)
    assert_agrees_at_every_height(kernel, tuple(array.astype(np.float32)[:1] for array in args))


@pytest.mark.parametrize(("kernel", "args"), [*PULLED, *STORED, (softmax_of_the_state, (Q, K, V, G))], **NAMES)
def test_the_program_means_the_same(kernel, args):
    arguments = collect(kernel.signature, kernel.__name__, args, {})
    cascade = kernel.program(arguments).cascade
    wanted = run(cascade.outputs, arguments.arrays, {}, measure="float64")
    for actual, expected in zip(run(project(cascade).outputs, arguments.arrays, {}), wanted):
        assert_agrees(actual.array, expected)


@pytest.mark.parametrize(("kernel", "args", "by_hand"), [
    (gated, (Q, K, V, G), gated_by_hand), (delta_rule, (Q, K, V), delta_by_hand)], **NAMES)
def test_by_hand(kernel, args, by_hand):
    arguments = collect(kernel.signature, kernel.__name__, args, {})
    (wanted,) = run(kernel.program(arguments).cascade.outputs, arguments.arrays, {}, measure="float64")
    assert_agrees(by_hand(), wanted)


def test_a_history_is_no_memory():
    """No workspace has the steps and both axes of the state."""
    args = [np.zeros((2, 50, 20), np.float32)] * 4
    for kernel, given in ((gated, args), (delta_rule, args[:3])):
        for line in kernel.lower(*given).schedule.splitlines():
            if "workspace(" in line:
                shape = line.split("workspace(")[1]
                assert shape.count(".shape[") + shape.count(" 20") <= 2, line

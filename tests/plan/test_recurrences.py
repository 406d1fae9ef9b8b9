"""Chunks are chosen where they were measured to be faster, and nowhere else."""

import numpy as np
import pytest

import einfall as ef
from einfall.cascade.nodes import Cascade
from einfall.derive.families import extents_of_free_ranks
from einfall.derive.recurrences import prepared, recurrences
from einfall.front.arguments import collect
from einfall.front.trace import evaluate
from einfall.plan.recurrences import in_chunks

h, t, d, e, c = ef.ranks("h t d e c")


@ef.kernel
def without_gate(Q, K, V):
    S = ef.scan(lambda s: s + K[h, t, d] * V[h, t, e], over=t, init=0.0)
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


@ef.kernel
def scalar(Q, K, V, A):
    S = ef.scan(lambda s: A[h, t] * s + K[h, t, d] * V[h, t, e], over=t, init=0.0)
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


@ef.kernel
def costly(Q, K, V, A):
    S = ef.scan(lambda s: ef.exp(A[h, t]) * s + K[h, t, d] * V[h, t, e], over=t, init=0.0, state=(d, e))
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


@ef.kernel
def key_wise(Q, K, V, A):
    S = ef.scan(lambda s: A[h, t, d] * s + K[h, t, d] * V[h, t, e], over=t, init=0.0)
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


@ef.kernel
def costly_key_wise(Q, K, V, A):
    S = ef.scan(lambda s: ef.exp(A[h, t, d]) * s + K[h, t, d] * V[h, t, e], over=t, init=0.0)
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


@ef.kernel
def value_wise(Q, K, V, A):
    S = ef.scan(lambda s: A[h, t, e] * s + K[h, t, d] * V[h, t, e], over=t, init=0.0)
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


@ef.kernel
def fed_back(Q, K, V, A):
    S = ef.scan(lambda s: A[h, t] * s + K[h, t, d] * (V[h, t, e] - ef.sum(K[h, t, c] * s[c, e], over=c)), over=t,
                init=0.0, state=(d, e))
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


GATES = {scalar: (), costly: (), fed_back: (), key_wise: ("d",), costly_key_wise: ("d",), value_wise: ("e",)}


def chosen(kernel, steps, keys, values, heads=1):
    """The sizes of chunks of what is taken; nothing is computed."""
    shape = {"d": keys, "e": values}
    shapes = [(heads, steps, keys)] * 2 + [(heads, steps, values)]
    if kernel in GATES:
        shapes.append((heads, steps, *(shape[axis] for axis in GATES[kernel])))
    given = tuple(np.broadcast_to(np.float32(0), shape) for shape in shapes)
    arguments = collect(kernel.signature, kernel.__name__, given, {})
    cascade: Cascade = kernel.program(arguments).cascade
    return [one.size for one in in_chunks(recurrences(cascade), lambda extent: evaluate(extent, arguments.sizes),
                                          extents_of_free_ranks(prepared(cascade)))]


@pytest.mark.parametrize(("kernel", "steps", "keys", "values"), [
    (scalar, 2048, 256, 256), (scalar, 2048, 128, 512), (without_gate, 2048, 256, 256), (costly, 2048, 256, 256),
    (costly, 512, 256, 256)], ids=lambda value: getattr(value, "__name__", value))
def test_where_chunks_are_faster(kernel, steps, keys, values):
    (size,) = chosen(kernel, steps, keys, values)
    assert size in (16, 32, 64)


@pytest.mark.parametrize(("kernel", "steps", "keys", "values"), [
    (scalar, 2048, 32, 32), (scalar, 2048, 64, 64), (scalar, 2048, 128, 32), (scalar, 2048, 256, 32),
    (scalar, 2048, 128, 128), (without_gate, 2048, 32, 32), (costly, 2048, 64, 64), (key_wise, 2048, 128, 128),
    (key_wise, 2048, 256, 256), (costly_key_wise, 2048, 256, 256), (costly, 60, 256, 256), (costly, 0, 128, 128),
    (value_wise, 2048, 128, 128), (fed_back, 4096, 256, 256), (costly, 2048, 0, 128), (costly, 2048, 128, 0)],
    ids=lambda value: getattr(value, "__name__", value))
def test_where_step_by_step_is_as_fast(kernel, steps, keys, values):
    assert chosen(kernel, steps, keys, values) == []


def test_heads_share_what_programs_cost():
    assert chosen(costly, 128, 128, 128) == [] != chosen(costly, 128, 128, 128, heads=16)


def test_a_rank_that_only_gates_have():
    """The products are the same for all its coordinates, and chunks would compute them for each."""
    @ef.kernel
    def by_heads(Q, K, V, A):
        S = ef.scan(lambda s: A[h] * s + K[c, t, d] * V[c, t, e], over=t, init=0.0)
        return ef.sum(Q[c, t, d] * S, over=d)[c, h, t, e]

    given = [np.broadcast_to(np.float32(0), shape) for shape in ((1, 2048, 256),) * 3 + ((4,),)]
    arguments = collect(by_heads.signature, "by_heads", given, {})
    cascade = by_heads.program(arguments).cascade
    assert not in_chunks(recurrences(cascade), lambda extent: evaluate(extent, arguments.sizes),
                         extents_of_free_ranks(prepared(cascade)))

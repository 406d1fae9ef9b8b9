"""Conditions become limits of loops that leave exactly the coordinates at which they hold."""

import itertools

import numpy as np
import pytest

import einfall as ef
from einfall.cascade.bounds import bounds_of, conjuncts, guarded
from einfall.cascade.nodes import Index, Rank, Scalar
from einfall.scalar.dtypes import I64
from einfall.scalar.nodes import Const, Expr, Map, const
from einfall.scalar.ops import OPS
from einfall.scalar.run import evaluate

K, Q = Rank("k"), Rank("q")
k, q = Index(K), Index(Q)


def op(name: str, *args) -> Expr:
    return Map(OPS[name], tuple(arg if isinstance(arg, Expr) else Const(arg, I64) for arg in args))


CONDITIONS = [
    op(name, left, right)
    for name in ("less", "less_equal", "greater", "greater_equal", "equal")
    for left, right in (
        (k, q), (q, k), (op("multiply", k, 3), q), (op("add", k, op("multiply", q, 2)), 5),
        (op("subtract", q, op("multiply", 2, k)), op("negative", k)), (op("negative", k), op("subtract", q, 7)),
        (op("multiply", -4, k), op("subtract", -3, q)), (k, op("add", k, q)))]


@pytest.mark.parametrize("condition", CONDITIONS, ids=range(len(CONDITIONS)))
def test_limits_leave_the_coordinates_at_which_the_condition_holds(condition):
    found = bounds_of(condition, K, Const(100, I64))
    solvable = condition.args[1] is not op("add", k, q)
    assert (found is not None) == solvable
    for at_k, at_q in itertools.product(range(-12, 13), range(-6, 7)) if found else ():
        def value(expr, at_k=at_k, at_q=at_q):
            return evaluate(expr, lambda leaf: np.asarray({k: at_k, q: at_q}[leaf], np.int64))

        inside = all(at_k >= value(low) for low in found.lows) and all(at_k < value(high) for high in found.highs)
        assert inside == bool(value(condition))


def test_negations_and_conjunctions_are_taken_apart():
    one, other = op("less", k, q), op("less_equal", q, 3)
    assert conjuncts(op("bitwise_and", one, other)) == [one, other]
    assert conjuncts(op("bitwise_or", one, other), holds=False) == [op("greater_equal", k, q), op("greater", q, 3)]
    assert conjuncts(op("invert", op("invert", one))) == [one]
    assert conjuncts(op("bitwise_or", one, other)) == [op("bitwise_or", one, other)]


def test_a_comparison_of_floats_is_not_negated():
    x = Scalar("x", ef.f32)
    condition = Map(OPS["less"], (x, const(1.0, ef.f32)))
    assert conjuncts(condition, holds=False) == [Map(OPS["invert"], (condition,))]


def test_selections_of_the_identity_are_guards():
    from einfall.scalar.nodes import Select

    zero, x = const(0.0, ef.f32), Scalar("x", ef.f32)
    body = Select(op("less", k, q), Select(op("less", q, k), zero, x), zero)
    assert guarded(body, zero) == ([op("less", k, q), op("greater_equal", q, k)], x)
    assert guarded(body, const(-0.0, ef.f32)) == ([], body)  # 0.0 is not -0.0


i, j, n = ef.ranks("i j n")


@ef.kernel
def windowed(X):
    return ef.sum(ef.where((j <= 2 * i) & (j > i - 3), X[i, j], 0.0), over=j)[i]


@ef.kernel
def ragged(X, lengths):
    return ef.max(ef.where(j < lengths[i], X[i, j], -ef.inf), over=j)[i]


@ef.kernel
def softmax_of_a_triangle(X):
    s = ef.where(j <= i, X[i, j], -ef.inf)
    p = ef.exp(s - ef.max(s, over=j))
    return (ef.sum(p * X[i, j], over=j) / ef.sum(p, over=j))[i]


@pytest.mark.parametrize(("kernel", "args"), [
    (windowed, (np.float32,)), (ragged, (np.float32, np.int64)), (softmax_of_a_triangle, (np.float32,))])
def test_loops_end_where_a_condition_ends(kernel, args):
    """Nothing outside is computed, so no condition on the rank of a loop is left in it."""
    given = [np.ones((20, 20), args[0])] + [np.arange(20) for _ in args[1:]]
    schedule = kernel.lower(*given).schedule
    assert "minimum(" in schedule
    for line in schedule.splitlines():
        assert not ("fold(" in line and "where(" in line), line

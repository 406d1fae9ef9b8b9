"""Accesses that a condition keeps inside need no program that looks for faults; all others have one."""

import numpy as np
import pytest

import einfall as ef
from demo import bilateral, mistyped, spelling
from einfall.front.kernel import measured
from tests.differential.heights import leaves
from tests.tolerance import assert_agrees

i, j, k, n, t, r, s, a, b = ef.ranks("i j k n t r s a b")
X, Y = np.arange(12.0), np.arange(12.0).reshape(3, 4)


@ef.kernel
def shifted(X):
    return ef.where(i > 0, X[i - 1], 0.0)[i.of(X.shape[0])]


@ef.kernel
def shifted_elsewhere(X):
    return ef.where(i == 0, 0.0, X[i - 1])[i.of(X.shape[0])]


@ef.kernel
def both_ways(X):
    first = ef.where((i < 1) | (i >= X.shape[0] - 1), X[i], X[i - 1] + X[i + 1])
    return first[i], ef.where(~((i >= 1) & (i + 1 < X.shape[0])), X[i], X[i - 1] + X[i + 1])[i]


@ef.kernel
def guarded_by_a_part(X):
    return ef.where((X[i] > 3) & (i > 1), X[i - 2], X[i])[i]


@ef.kernel
def annihilated(X):
    return (ef.where(i > 0, 1.0, 0.0) * X[i - 1])[i.of(X.shape[0])]


@ef.kernel
def stencil(Y):
    row, column = i.of(Y.shape[0]) + r.of(3) - 1, j.of(Y.shape[1]) + s.of(3) - 1
    inside = (row >= 0) & (row < Y.shape[0]) & (column >= 0) & (column < Y.shape[1])
    return ef.sum(ef.where(inside, Y[row, column], 0.0), over=(r, s))[i, j]


@ef.kernel
def around_a_reduction(Y):
    return ef.where(i > 0, ef.sum(Y[i - 1, j], over=j), 0.0)[i.of(Y.shape[0])]


@ef.kernel
def around_a_tensor(X):
    T = (X[i] + ef.where(j > 1, X[j - 1], 0.0) * X[j - 1])[i, j.of(X.shape[0])]
    return ef.where(k > 0, T[k - 1, k], 0.0)[k.of(X.shape[0])]


@ef.kernel
def in_a_tensor(X):
    T = X[i - 1][i.of(X.shape[0])]  # read above 0 only
    return ef.where(n > 0, T[n], 0.0)[n.of(X.shape[0])], ef.where(n > 1, T[n - 1] + T[n], 0.0)[n.of(X.shape[0])]


@ef.kernel
def causal(X):
    return ef.sum(ef.where(j <= i, X[i - j] * X[j], 0.0), over=j)[i.of(X.shape[0])]


@ef.kernel
def gathered(X, at):
    return ef.where((at[n] >= 0) & (at[n] < X.shape[0]), X[at[n]], -1.0)[n]


@ef.kernel
def around(X):
    return (X[ef.where(i + 1 < X.shape[0], i + 1, 0)] + X[(i + 5) % X.shape[0]] + X[ef.maximum(i - 1, 0)])[
        i.of(X.shape[0])]


@ef.kernel
def shifted_state(X):
    def step(s):
        return X[t] + ef.where(b > 0, s[b - 1], s[b])

    return ef.scan(step, over=t, init=b.of(5) * 1.0, state=(b,), last=True)[b]


@ef.kernel
def shifted_history(X):
    H = ef.scan(lambda s: s + X[t], over=t, init=0.0)[t]
    return ef.where(i > 1, H[i] - H[i - 2], H[i])[i.of(X.shape[0])]


@ef.kernel
def by_a_term_beside_its_own_part(X):
    near = ef.minimum(i, j + 2)
    return ef.where(near < i, X[near + 1], 0.0)[i.of(X.shape[0]), j.of(3)]


@ef.kernel
def only_at_these_sizes(X):
    return ef.where(X.shape[0] > 9, X[9], 0.0)[()]


@ef.kernel
def along_a_path(X):
    """An index that a scan carries: it begins inside, and each step takes one of a table that is inside, or stays."""
    return ef.scan(lambda s, total: (ef.where(t % 2 == 0, (s + 3) % X.shape[0], ef.maximum(s - 1, 0)), total + X[s]),
                   over=t.of(7), init=(2, 0.0))[1][t]


@ef.kernel
def at_the_largest(X):
    """Where the largest is, is a place; of each part, too."""
    best = ef.argmax(ef.where(j <= i, X[j], -ef.inf), over=j)[i.of(X.shape[0])]
    return (X[best[i]] + X[ef.argmin(X[j], over=j)])[i.of(X.shape[0])]


@ef.kernel
def of_assumed_indices(X, at):
    ef.assume((at[n] >= 0) & (at[n] < 12))
    return X[at[n]][n]


PROVED = [(of_assumed_indices, X, np.array([3, 11, 0])), (along_a_path, X), (at_the_largest, X),
          (mistyped.path, *mistyped.tiny(np.random.default_rng(0))),
          (shifted, X), (shifted_elsewhere, X), (both_ways, X), (guarded_by_a_part, X), (annihilated, X), (stencil, Y),
          (around_a_reduction, Y), (around_a_tensor, X), (in_a_tensor, X), (causal, X),
          (gathered, X, np.array([3, -1, 99])), (around, X), (shifted_state, X), (shifted_history, X),
          (by_a_term_beside_its_own_part, X), (only_at_these_sizes, X), (only_at_these_sizes, X[:9]),
          (spelling.nearest, *spelling.tiny(np.random.default_rng(0))),
          (bilateral.bilateral, *bilateral.tiny(np.random.default_rng(0)))]


@pytest.mark.parametrize(("kernel", "arguments"), [(kernel, arguments) for kernel, *arguments in PROVED],
                         ids=[kernel.__name__ for kernel, *_ in PROVED])
def test_what_a_condition_keeps_inside_needs_no_finder(kernel, arguments):
    for result, right in zip(leaves(kernel(*arguments)), measured(kernel, tuple(arguments), {})[1]):
        assert_agrees(result, right)
    assert not any(check.kind == "indices" for ready in kernel.ready.values() for check in ready.checks)


@ef.kernel
def off_by_one(X):
    return ef.where(i > 0, X[i - 2], 0.0)[i.of(X.shape[0])]


@ef.kernel
def off_at_the_end(Y):
    row = i.of(Y.shape[0]) + r.of(3) - 1
    return ef.sum(ef.where((row >= 0) & (row <= Y.shape[0]), Y[row, j], 0.0), over=r)[i, j]


@ef.kernel
def in_the_other_branch(X):
    return ef.where(i > 0, 0.0, X[i - 1])[i.of(X.shape[0])]


@ef.kernel
def either_of_two(X):
    return ef.where((i > 0) | (X[i] > 5), X[i - 1], 0.0)[i]


@ef.kernel
def shadowed(X, W):
    return ef.where(i > 0, ef.sum(X[i - 1] * W[i], over=i), 0.0)[i.of(3)]


@ef.kernel
def of_floats(X):
    return ef.where(X[i] > 1, X[i - 2], 0.0)[i]


@ef.kernel
def not_a_selection(X):
    return ((i > 0) & (X[i - 1] > 3))[i.of(X.shape[0])]


@ef.kernel
def off_in_a_state(X):
    def step(s):
        return X[t] + ef.where(b > 0, s[b - 2], s[b])

    return ef.scan(step, over=t, init=b.of(5) * 1.0, state=(b,), last=True)[b]


@ef.kernel
def off_in_a_tensor(X):
    T = X[i - 1][i.of(X.shape[0])]
    return ef.where(n >= 1, T[n], 0.0)[n.of(X.shape[0])], ef.where(n >= 1, T[n - 1], 0.0)[n.of(X.shape[0])]


@ef.kernel
def shadowed_beside_another(X):
    return ef.where(j <= i, ef.sum(X[i - j] * X[i], over=i), 0.0)[i.of(3), j.of(3)]


@ef.kernel
def read_the_other_way(X):
    T = X[i - j][i.of(3), j.of(3)]
    return ef.where(j <= i, T[i, j], 0.0)[i.of(3), j.of(3)], ef.where(j <= i, T[j, i], 0.0)[i.of(3), j.of(3)]


@ef.kernel
def read_at_another_place(X):
    T = X[i - j][i.of(3), j.of(3)]
    return ef.where(j <= i, T[i // 2, j], 0.0)[i.of(3), j.of(3)]


@ef.kernel
def under_many_conditions(X):
    x, total = X[i - 1], 0.0
    for least in (6, 5, 4, 0, 3, 2):
        total = total + ef.where(i >= least, x, 1.0)
    return total[i.of(X.shape[0])]


@ef.kernel
def in_the_condition(X, at):
    return ef.where(at[i - 1] > 3, X[i], 0.0)[i]


@ef.kernel
def in_the_index(X, at):
    return X[ef.minimum(ef.maximum(at[i + 1], 0), X.shape[0] - 1)][i.of(at.shape[0])]


@ef.kernel
def by_a_sum_that_wraps_around(X):
    return ef.where(i + (2**63 - 1) < 0, X[i + 2], 0.0)[i.of(X.shape[0])]


FAULTY = [
    (off_by_one, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=1"),
    (off_at_the_end, [Y], "index 3 is out of range for axis 0 of Y, which has extent 3, at i=2, j=0, r=2"),
    (in_the_other_branch, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0"),
    (either_of_two, [X[::-1].copy()], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0"),
    (shadowed, [X, X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0"),
    (of_floats, [X[::-1].copy()], "index -2 is out of range for axis 0 of X, which has extent 12, at i=0"),
    (not_a_selection, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0"),
    (off_in_a_state, [X], "index -1 is out of range for axis 0 of .*, which has extent 5, at b=1"),
    (off_in_a_tensor, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0"),
    (shadowed_beside_another, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0, j=1"),
    (read_the_other_way, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0, j=1"),
    (read_at_another_place, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0, j=1"),
    (under_many_conditions, [X], "index -1 is out of range for axis 0 of X, which has extent 12, at i=0"),
    (in_the_condition, [X, np.arange(12)], "index -1 is out of range for axis 0 of at, .* extent 12, at i=0"),
    (in_the_index, [X, np.arange(12)], "index 12 is out of range for axis 0 of at, .* extent 12, at i=11"),
    (by_a_sum_that_wraps_around, [X], "index 12 is out of range for axis 0 of X, which has extent 12, at i=10"),
]


@pytest.mark.parametrize(("kernel", "arguments", "message"), FAULTY, ids=[kernel.__name__ for kernel, *_ in FAULTY])
def test_what_a_condition_does_not_keep_inside_is_found(kernel, arguments, message):
    with pytest.raises((ef.BoundsError, ef.ShapeError), match=message):
        kernel(*arguments)
    assert all(ready.checks for ready in kernel.ready.values())


def test_a_guard_of_floats_that_holds_is_looked_at_by_the_finder():
    assert of_floats(X).tolist() == [0, 0, *X[:-2]]
    assert len(of_floats.machines) == 2


def test_what_says_that_a_value_is_there_is_read_where_it_counts_only():
    """An absent value annihilates a product; the condition under which it is absent reads inside its own guard."""
    at, x, y = np.array([1, 0, 2, 1]), np.arange(1.0, 5.0), np.arange(5.0) + 1

    @ef.kernel
    def beyond(at, x, y):
        T = ef.where(at[i] > 0, x[i], 0.0)[i]
        return (T.pad(0.0)[j + 1] * y[j])[j]

    @ef.kernel
    def within(at, x, z):
        return (ef.where(i > 0, ef.where(at[i - 1] > 0, x[i], 0.0), 5.0) * z[i])[i]

    kept = np.where(at > 0, x, 0.0)
    assert np.array_equal(beyond(at, x, y), np.append(kept[1:], [0.0, 0.0]) * y)
    assert np.array_equal(within(at, x, y[:4]), np.append(5.0, np.where(at[:3] > 0, x[1:], 0.0)) * y[:4])

"""Reductions under an equality with a computed index: stores at that index, once through the elements."""

import re

import numpy as np
import pytest

import einfall as ef
from tests.differential.heights import assert_agrees_at_every_height

b, m, n, p, f, g = ef.ranks("b m n p f g")
RNG = np.random.default_rng(3)
SENT, NODES, WIDTH = 23, 7, 5
X = RNG.standard_normal((9, WIDTH)).astype(np.float32)
SRC, DST = RNG.integers(0, 9, SENT), RNG.integers(0, NODES, SENT).astype(np.int32)
W = RNG.standard_normal(SENT).astype(np.float32)


@ef.kernel
def messages(X, src, dst, w):
    """Weighted rows brought to where they go."""
    return ef.sum(ef.where(dst[m] == n.of(NODES), w[m] * X[src[m], f], 0), over=m)[n, f]


@ef.kernel
def moved_places(dst, w):
    """Places that differ from the index by numbers and by another rank: the diagonals of a table."""
    return (ef.sum(ef.where(dst[m] == n.of(NODES) + 2, w[m], 0), over=m)[n],
            ef.sum(ef.where(p.of(3) + n - 1 == dst[m], w[m], 0), over=m)[n, p])


@ef.kernel
def histogram(dst):
    return ef.sum(ef.where(dst[m] == n.of(NODES), 1, 0), over=m)[n]


@ef.kernel
def table_of_pairs(dst, other):
    """Two computed indices, and a condition on the element."""
    return ef.sum(ef.where((dst[m] == n.of(NODES)) & (p.of(3) == other[m] % 4) & (m % 3 != 0), m, 0), over=m)[p, n]


@ef.kernel
def extremes(X, dst):
    rows = ef.where(dst[m] == n.of(NODES), X[m, f], -ef.inf)
    return ef.max(rows, over=m)[f, n], ef.min(ef.where(n.of(NODES) == dst[m], X[m, f], ef.inf), over=m)[n, f]


@ef.kernel
def in_order(dst, w):
    """The last element of each place: a monoid that is not commutative."""
    last = ef.Monoid(lambda x, y: ef.where(ef.isnan(y), x, y), float("nan"))
    return ef.reduce(ef.where(dst[m] == n.of(NODES), w[m], ef.nan), over=m, by=last)[n]


@ef.kernel
def in_each_batch(X, dst):
    return ef.sum(ef.where(dst[b, m] == n.of(NODES), X[b, m], 0), over=m)[b, n]


@ef.kernel
def batch_after_place(X, dst):
    """The places come before the batch in the result; and what is stored has both."""
    return ef.sum(ef.where(dst[b, m] == n.of(NODES), X[b, m] + f, 0), over=m)[f.of(3), n, b]


@ef.kernel
def softmax_of_what_arrives(dst, w):
    """Attention of each node over what is sent to it."""
    here = ef.where(dst[m] == n.of(NODES), w[m], -ef.inf)
    top = ef.max(here, over=m)
    total = ef.sum(ef.exp(here - top), over=m)
    back = (total * 1.0)[n]
    return (ef.exp(w[m] - (top * 1.0)[n][dst[m]]) / back[dst[m]])[m]


@ef.kernel
def read_again(X, src, dst):
    """What was brought together is read at other places, and reduced."""
    at = (ef.sum(ef.where(dst[m] == n.of(NODES), X[src[m], f], 0), over=m))[n, f]
    return ef.sum(at[n, f] * at[n, g], over=n)[f, g]


@ef.kernel
def any_and_all(dst, w):
    here = dst[m] == n.of(NODES)
    return ef.any(here & (w[m] > 0.5), over=m)[n], ef.all(~here | (w[m] > -1), over=m)[n]


@ef.kernel
def of_a_part(dst, w, lens):
    """Elements up to an end of each batch, which limits their loop."""
    here = (dst[b, m] == n.of(NODES)) & (m < lens[b]) & (m >= 1)
    return ef.sum(ef.where(here, w[m], 0.0), over=m)[b, n], ef.sum(ef.where(here, w[m], 0.0), over=(b, m))[n]


@ef.kernel
def softmax_over_segments(dst, w):
    """What is stored reads another reduction of the same segment."""
    here = ef.where(dst[m] == n.of(NODES), w[m], -ef.inf)
    weight = ef.softmax(here, over=m)
    return ef.sum(weight * m, over=m)[n], ef.sum(ef.where(dst[m] == n, weight * weight, 0.0), over=m)[n]


@ef.kernel
def shares(dst, w):
    count = ef.sum(ef.where(dst[m] == n.of(NODES), 1, 0), over=m)
    mean = ef.sum(ef.where(dst[m] == n, w[m] / count, 0.0), over=m)
    return ef.sum(ef.where(dst[m] == n, (w[m] - mean) ** 2, 0.0), over=m)[n]


@ef.kernel
def mass(Q, K, dst, C):
    """The mass of a softmax that falls on each place: stores in the sweep of another state."""
    P = ef.softmax(ef.sum(Q[f, b] * K[m, b], over=b), over=m)
    return ef.sum(P * ef.where(dst[m] == n.of(NODES), C[n], 0.0), over=m)[f, n]


@ef.kernel
def of_all_pairs(A, row, column):
    """An index that depends on two ranks, and elements that are left out under a mask of the result's rank."""
    here = row[m] + column[p] == n.of(2 * NODES)
    return ef.sum(ef.where(here & (f <= n), A[m, p] * f, 0.0), over=(m, p))[n, f.of(4)]


PROGRAMS = {
    messages: (X, SRC, DST, W), moved_places: (DST, W), histogram: (DST,), table_of_pairs: (DST, SRC), extremes: (
        RNG.standard_normal((SENT, 4)), DST), in_order: (DST, W),
    in_each_batch: (RNG.standard_normal((3, SENT)).astype(np.float32), RNG.integers(-1, NODES + 1, (3, SENT))),
    batch_after_place: (RNG.standard_normal((3, SENT)), RNG.integers(-1, NODES + 1, (3, SENT))),
    softmax_of_what_arrives: (DST, W), read_again: (X, SRC, DST), any_and_all: (DST, W),
    softmax_over_segments: (DST, W), shares: (DST, W),
    mass: (X[:4], RNG.standard_normal((SENT, WIDTH)).astype(np.float32), DST, W[:NODES]),
    of_a_part: (RNG.integers(0, NODES, (3, SENT)), W, np.array([0, 5, 100])),
    of_all_pairs: (RNG.standard_normal((6, 5)), RNG.integers(0, NODES, 6), RNG.integers(0, NODES, 5)),
}


@pytest.mark.parametrize("kernel", PROGRAMS, ids=lambda kernel: kernel.__name__)
def test_scatters_agree_at_every_height(kernel):
    assert_agrees_at_every_height(kernel, PROGRAMS[kernel])


@pytest.mark.parametrize("kernel", PROGRAMS, ids=lambda kernel: kernel.__name__)
def test_elements_are_gone_through_once(kernel):
    """No loop over elements stands inside a loop over the places that they go to, or the other way round."""
    schedule = kernel.lower(*PROGRAMS[kernel]).schedule
    depths = [(len(line) - len(line.lstrip()), re.sub(r"_\d+$", "", line.split()[1])) for line in schedule.splitlines()
              if line.lstrip().startswith("for ")]
    stack: list[tuple[int, str]] = []
    for indent, rank in depths:
        while stack and stack[-1][0] >= indent:
            stack.pop()
        stack.append((indent, rank))
        around = {name for _, name in stack}
        assert not {"m", "n"} <= around, schedule


def test_mass_of_a_long_softmax():
    """Long enough for the softmax to go in portions."""
    Q, K = (RNG.standard_normal((rows, WIDTH)).astype(np.float32) for rows in (4, 20_000))
    dst, C = RNG.integers(0, NODES, 20_000), np.ones(NODES, np.float32)
    found = mass(Q, K, dst, C)
    scores = Q.astype(float) @ K.T
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    assert np.allclose(found, np.stack([weights[:, dst == place].sum(1) for place in range(NODES)], 1), rtol=1e-4)


def test_thousands_of_elements_and_places_take_no_time_of_their_product():
    """10^5 elements and places: the product would be 10^10 steps."""
    places = 100_000
    dst, values = RNG.integers(0, places, places), RNG.standard_normal((places, 4)).astype(np.float32)

    @ef.kernel
    def gathered(values, dst):
        return ef.scatter(values[m, f], to={n.of(values.shape[0]): dst[m]}, over=m)[n, f]

    wanted = np.zeros((places, 4), np.float32)
    np.add.at(wanted, dst, values)
    assert np.array_equal(gathered(values, dst), wanted)  # in the order of the elements, on any number of threads


def test_what_goes_nowhere_and_what_is_out_of_range():
    @ef.kernel
    def checked(w, dst):
        return ef.scatter(w[m], to={n.of(NODES): dst[m]}, over=m)[n]

    @ef.kernel
    def dropped(w, dst):
        return ef.scatter(w[m], to={n.of(NODES): dst[m]}, over=m, outside="drop")[n]

    far = DST.copy()
    far[4], far[9] = NODES, -1
    inside = np.ones(SENT, bool)
    inside[[4, 9]] = False
    wanted = np.zeros(NODES, np.float32)
    np.add.at(wanted, DST[inside], W[inside])
    assert np.array_equal(dropped(W, far), wanted)
    with pytest.raises(ef.BoundsError, match="is out of range"):
        checked(W, far)


def test_garbage_that_goes_nowhere_is_never_seen():
    far = DST.copy()
    far[4] = NODES
    data, clean = W.copy(), W.copy()
    data[4] = np.nan
    arguments = X, np.where(np.arange(SENT) == 4, 10**9, SRC), far
    assert np.array_equal(messages(*arguments, data), messages(X, SRC, far, clean))

"""Random elements of reductions over sparse operands: what drops out is never more than what is absent.

Each program is compared over stored arrays with the reference, which goes through all elements.
"""

import numpy as np
import pytest
import scipy.sparse

import einfall as ef
from tests.differential.heights import assert_agrees_at_every_height

i, k, n = ef.ranks("i k n")
MAPS = [
    lambda x, y: x * y, lambda x, y: x * y, lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x / (abs(y) + 1),
    ef.maximum, ef.minimum,
    lambda x, y: ef.where(k <= i, x, y), lambda x, y: ef.where(k < 3, x, 0.0), lambda x, y: ef.where(x > y, x, 0.0),
    lambda x, y: abs(x), lambda x, y: ef.exp(-abs(x)), lambda x, y: x * 0.5, lambda x, y: -x,
]
REDUCTIONS = [ef.sum, ef.sum, ef.sum, ef.max, ef.min, ef.prod]


def element(rng, leaves, depth):
    """A random expression of the leaves."""
    if depth == 0 or rng.random() < 0.15:
        return leaves[rng.integers(len(leaves))]
    return MAPS[rng.integers(len(MAPS))](element(rng, leaves, depth - 1), element(rng, leaves, depth - 1))


def program(seed):
    """A kernel of three reductions of random elements."""
    @ef.kernel
    def f(A, B, x, y):
        rng = np.random.default_rng(seed)
        held = ef.stored(A[i, k])
        leaves = [A[i, k], A[i, k], A[i, k], B[k, i], x[k], y[i], ef.where(held, x[k], 0.0),
                  ef.where(held, y[i] * x[k], -ef.inf), ef.where(held & (k > 1), 2.0, 0.0),
                  ef.where(ef.stored(B[k, i]), 1, 0),
                  ef.sum(A[i, n] * x[n], over=n), k * 0.25]
        made = []
        for _ in range(3):
            over, left = [(k, i), (i, k)][rng.integers(2)]
            both = MAPS[rng.integers(7)](element(rng, leaves, int(rng.integers(5))), leaves[rng.integers(4)])
            value = REDUCTIONS[rng.integers(len(REDUCTIONS))](both, over=over)
            made.append(value[left])
        return tuple(made)

    return f


def operands(rng):
    def sparse(rows, columns):
        x = rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < 0.4)
        x[rng.integers(rows)] = 0
        made = scipy.sparse.csr_array(x)
        made.data[::4] = 0
        return made

    return sparse(6, 7), sparse(7, 6).asformat("csc"), rng.standard_normal(7), rng.standard_normal(6)


@pytest.mark.parametrize("seed", [*range(40), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(40, 400))])
def test_what_drops_out_is_absent(seed):
    A, B, x, y = operands(np.random.default_rng(seed))
    if seed % 2:  # what only absent points read is not seen, and what others read is
        x[2], x[4], y[1] = np.nan, -np.inf, np.inf
        assert_agrees_at_every_height(program(seed), (A, B, x, y), heights=("concrete",))
        return
    heights = ("text", "concrete") if seed % 10 else ("text", "concrete", "derived", "nest", "machine")
    assert_agrees_at_every_height(program(seed), (A, B, x, y), heights=heights)

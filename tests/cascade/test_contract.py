"""Products of several factors in a good order: the same values, fewer operations, and none where that is not safe."""

import itertools
import math

import numpy as np
import pytest

import einfall as ef
from einfall.base.node import postorder
from einfall.cascade.contract import contracted
from einfall.cascade.nodes import Reduce
from einfall.cascade.run import run
from einfall.front.arguments import collect
from einfall.front.trace import evaluate
from tests.differential.heights import assert_agrees_at_every_height
from tests.tolerance import assert_agrees

i, j, k, l, m, n = ef.ranks("i j k l m n")


def both(kernel, args):
    """The cascade of a call, and the one in order."""
    arguments = collect(kernel.signature, kernel.__name__, args, {})
    program = kernel.program(arguments)
    return arguments, program.cascade, contracted(program.cascade, lambda extent: evaluate(extent, arguments.sizes))


def operations(cascade, arguments) -> int:
    """Elements of all reductions, each reduction over its own ranks and those that it is free in."""
    extents = {}
    for node in postorder(*cascade.outputs):
        if hasattr(node, "ranks") and hasattr(node, "extents"):
            extents.update(zip(node.ranks, node.extents))
    return sum(math.prod(evaluate(extents[rank], arguments.sizes) for rank in {*node.free, *node.ranks})
               for node in postorder(*cascade.outputs) if isinstance(node, Reduce))


@pytest.mark.parametrize("seed", range(40))
def test_random_products(seed):
    rng = np.random.default_rng(seed)
    sizes = dict(zip("abcdef", map(int, rng.integers(3, 9, 6))))
    groups = ["".join(rng.permutation(list("abcdef"))[:rng.integers(1, 4)]) for _ in range(rng.integers(3, 7))]
    used = sorted(set("".join(groups)))
    result = "".join(rng.permutation(used)[:rng.integers(0, 3)])
    subscripts = f"{','.join(groups)}->{result}"
    arrays = [rng.integers(-3, 4, [sizes[letter] for letter in group]) for group in groups]
    kernel = ef.kernel(lambda A: ef.einsum(subscripts, *A))
    arguments, cascade, ordered = both(kernel, (tuple(arrays),))
    (value,) = run(ordered.outputs, arguments.arrays, arguments.scalars)
    np.testing.assert_array_equal(value.array, np.einsum(subscripts, *arrays))
    if ordered is not cascade:
        assert 2 * operations(ordered, arguments) <= operations(cascade, arguments) * len(groups)


def chain(rng, *sizes):
    return [rng.standard_normal((rows, columns)) for rows, columns in itertools.pairwise(sizes)]


def test_a_chain_is_ordered_by_the_sizes_of_the_call():
    rng = np.random.default_rng(0)
    kernel = ef.kernel(lambda A, B, C, D, E: ef.einsum("ij,jk,kl,lm,mn->in", A, B, C, D, E))
    for sizes in [(30, 5, 40, 6, 35, 4), (4, 35, 6, 40, 5, 30)]:
        arrays = chain(rng, *sizes)
        arguments, _cascade, ordered = both(kernel, arrays)
        assert operations(ordered, arguments) == cheapest(sizes)
        (reference,) = run(ordered.outputs, arguments.arrays, arguments.scalars, measure="float64")
        assert_agrees(np.linalg.multi_dot(arrays), reference, what=f"a chain of {sizes}")
        assert_agrees(kernel(*arrays), run(ordered.outputs, arguments.arrays, measure="nominal")[0], what="machine")


@pytest.mark.slow
def test_a_chain_at_every_height():
    kernel = ef.kernel(lambda A, B, C, D, E: ef.einsum("ij,jk,kl,lm,mn->in", A, B, C, D, E))
    arrays = chain(np.random.default_rng(0), 6, 2, 7, 3, 8, 3)
    _arguments, cascade, ordered = both(kernel, arrays)
    assert ordered is not cascade
    assert_agrees_at_every_height(kernel, arrays)


def cheapest(sizes) -> int:
    """The operations of the best order of a chain, by trying all."""
    if len(sizes) < 3:
        return 0
    return min(cheapest(sizes[:at + 1]) + cheapest(sizes[at:]) + sizes[0] * sizes[at] * sizes[-1]
               for at in range(1, len(sizes) - 1))


X, Y, Z = (np.random.default_rng(seed).standard_normal((20, 20)) for seed in range(3))


def is_ordered(function, *args) -> bool:
    _, cascade, ordered = both(ef.kernel(function), args)
    return ordered is not cascade


def test_what_may_be_absent_out_of_range_or_another_at_each_step_stays():
    assert is_ordered(lambda A, B, C: ef.sum(A[i, j] * B[j, k] * C[k, l], over=(j, k))[i, l], X, Y, Z)
    def masked(A, B, C):
        return (ef.sum(ef.where(j < i, A[i, j], 0.0) * B[j, k] * C[k, l], over=(j, k))[i, l])
    assert not is_ordered(masked, X, Y, Z)
    def gathered(A, B, C, at):
        return (ef.sum(A[at[i], j] * B[j, k] * C[k, l], over=(j, k))[i, l])
    assert not is_ordered(gathered, X, Y, Z, np.arange(20))
    def padded(A, B, C):
        return (ef.sum(A.pad(0.0)[i - 3, j] * B[j, k] * C[k, l], over=(j, k))[i.of(20), l])
    assert is_ordered(padded, X, Y, Z)

    def in_a_scan(A, B):
        return ef.scan(lambda s: ef.sum(s[j] * A[j, k] * B[k, l] * A[l, i], over=(j, k, l)) / 400, over=n.of(3),
                       init=1.0, state=i, last=True)[i]

    assert not is_ordered(in_a_scan, X, Y)


def test_small_products_and_pairs_stay():
    assert not is_ordered(lambda A, B: ef.sum(A[i, j] * B[j, k], over=j)[i, k], X, Y)
    assert not is_ordered(lambda A, B, C: ef.einsum("ij,jk,kl->il", A, B, C), X[:4, :4], Y[:4, :4], Z[:4, :4])
    empty = np.zeros((20, 0))
    assert not is_ordered(lambda A, B, C: ef.einsum("ij,jk,kl->il", A, B, C), X, empty, empty.T)


def test_a_factor_for_all_changes_nothing():
    """Where it stands saves no operation: nothing keeps a product without a sum."""
    assert not is_ordered(lambda A, B: ef.sum(0.5 * A[i, j] * B[k, j], over=j)[i, k], X, Y)
    assert not is_ordered(lambda A, B, s: ef.sum(A[i, j] * B[k, j] * s[i], over=j)[i, k], X, Y, X[0])


def test_what_is_free_of_a_rank_leaves_its_sum():
    """A rank that only one factor has is summed before it meets the others."""
    @ef.kernel
    def f(A, u, v):
        return ef.sum(A[i, j] * u[j] * v[k], over=(j, k))[i]

    u, v = X[0], Y[0]
    arguments, _cascade, ordered = both(f, (X, u, v))
    assert operations(ordered, arguments) <= 20 * 20 + 20 + 20
    assert_agrees_at_every_height(f, (X, u, v))

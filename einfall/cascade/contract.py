"""The order of products: a sum over several ranks of three factors or more, as sums over fewer ranks of two at a time.

    sum[j, k, l](A[i, j] * B[j, k] * C[k, l] * v[l])  ->  sum[j](A[i, j] * t[j]), t[j] = sum[k](B[j, k] * u[k]), ...

A sum is taken apart where that saves at least half of its operations at the sizes of a call. The path is NumPy's
(einsum_path: all orders of up to 6 factors, greedy beyond). As in every library that orders products, an infinity that
one factor multiplied with another's 0 may stay an infinity.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from einfall.base.node import Node, postorder, rebuild
from einfall.cascade.explicit import is_heavy
from einfall.cascade.nodes import Access, Cascade, Index, Label, Rank, Reduce, Tensor
from einfall.cascade.presence import absence
from einfall.cascade.scope import extents_here
from einfall.scalar.monoids import is_named
from einfall.scalar.nodes import Expr, Map
from einfall.scalar.ops import OPS

__all__ = ["contracted"]

LEAST = 4096  # operations below which no order matters
FACTORS = 26  # more are left as they are
OPTIMAL = 6  # factors whose orders are all tried
LARGEST = 4  # how many times the largest of factors and result an intermediate may be


def contracted(cascade: Cascade, extent_of: Callable[[Expr], int]) -> Cascade:
    """The program with its products in a good order for the sizes that `extent_of` gives."""
    if not any(isinstance(node, Reduce) and len(_factors(node)) > 2 for node in postorder(*cascade.outputs)):
        return cascade
    ordering = _Ordering(extent_of)
    return Cascade(cascade.name, cascade.inputs, tuple(ordering(output, {}) for output in cascade.outputs))


def _factors(reduce: Reduce) -> list[Expr]:
    """The factors of a sum's element; none where it is no plain sum."""
    if len(reduce.bodies) != 1 or reduce.monoid.name != "sum" or not is_named(reduce.monoid):
        return []
    factors, stack = [], [reduce.bodies[0]]
    while stack:
        item = stack.pop()
        if isinstance(item, Map) and item.op.name == "multiply":
            stack += reversed(item.args)
        else:
            factors.append(item)
    return factors


class _Ordering:
    """Goes down a program with the extents of the ranks that are bound on the way."""

    def __init__(self, extent_of: Callable[[Expr], int]):
        self.extent_of = extent_of
        self.done: dict[tuple, Node] = {}
        self.absent: dict = {}

    def __call__(self, node: Node, bound: Mapping[Rank, Expr]) -> Node:
        free = getattr(node, "free", frozenset())
        key = node, frozenset((rank, extent) for rank, extent in bound.items() if rank in free)
        if key not in self.done:
            self.done[key] = self.made(node, bound)
        return self.done[key]

    def made(self, node: Node, bound: Mapping[Rank, Expr]) -> Node:
        bound = {**bound, **extents_here(node)}
        made = rebuild(node, lambda child: self(child, bound))
        return self.ordered(made, bound) if isinstance(made, Reduce) else made

    def ordered(self, reduce: Reduce, bound: Mapping[Rank, Expr]) -> Expr:
        factors = _factors(reduce)
        if not 2 < len(factors) <= FACTORS or not all(map(self.may_move, factors)):
            return reduce
        ranks = list(dict.fromkeys((*sorted(reduce.free, key=lambda rank: rank.name), *reduce.ranks)))
        if not all(rank in bound for rank in ranks) or len(ranks) > 52:
            return reduce
        sizes = {rank: self.extent_of(bound[rank]) for rank in ranks}
        operations = math.prod(sizes.values())
        if operations < LEAST:
            return reduce
        def remaining(place: int) -> frozenset:
            """What a factor is free in once it was summed over the ranks that it has alone."""
            others = reduce.free.union(*(factor.free for at, factor in enumerate(factors) if at != place))
            return factors[place].free & others

        free = [remaining(place) for place in range(len(factors))]
        # each factor by itself first, as far as it has a rank alone: paths are of pairs
        alone = [(place,) for place, factor in enumerate(factors) if factor.free != free[place]]
        first = [(place - before,) for before, (place,) in enumerate(alone)]
        order = [place for place in range(len(factors)) if (place,) not in alone] + [place for place, in alone]
        path = first + _path([[rank for rank in ranks if rank in free[place]] for place in order],
                             [rank for rank in ranks if rank in reduce.free], sizes)
        made, needed = self.along(path, factors, reduce, bound, sizes)
        return made if 2 * needed <= operations * len(factors) else reduce

    def may_move(self, factor: Expr) -> bool:
        """Whether a factor may be read at points at which the sum as written does not read it: it never is absent,
        reads inside its axes wherever it is read, and does not change from step to step."""
        if any(isinstance(variable, Label) for variable in factor.free) or absence(factor, self.absent):
            return False
        return all(isinstance(index, Index) for node in postorder(factor)
                   if isinstance(node, Access) and node.outside is None for index in node.indices)

    def along(self, path: list[tuple[int, ...]], factors: list[Expr], reduce: Reduce, bound: Mapping[Rank, Expr],
              sizes: Mapping[Rank, int]) -> tuple[Expr, int]:
        """The sum in this order, and its operations: products that no sum keeps are done wherever they are read."""
        left, needed, repeated = list(factors), 0, [0] * len(factors)
        for step in path:
            chosen = [left[place] for place in sorted(step)]
            each = sum(repeated[place] for place in step) + len(chosen) - 1
            left = [factor for place, factor in enumerate(left) if place not in step]
            repeated = [count for place, count in enumerate(repeated) if place not in step]
            here = frozenset().union(*(factor.free for factor in chosen))
            later = reduce.free.union(*(factor.free for factor in left))
            gone = tuple(rank for rank in reduce.ranks if rank in here and rank not in later)
            element = chosen[0]
            for factor in chosen[1:]:
                element = Map(OPS["multiply"], (element, factor))
            if not left:
                # a rank that no factor has multiplies by its extent: it stays in the last sum
                gone += tuple(rank for rank in reduce.ranks if not any(rank in factor.free for factor in factors))
            is_kept = bool(gone) or not left
            needed += math.prod(sizes[rank] for rank in here.union(gone)) * (each + bool(gone)) * is_kept
            repeated.append(0 if is_kept else each)
            if gone:
                element = Reduce(reduce.monoid, gone, tuple(bound[rank] for rank in gone), (element,))
            if left and is_heavy(element):
                axes = tuple(rank for rank in sorted(element.free, key=lambda rank: rank.name))
                whole = Tensor(axes, tuple(bound[rank] for rank in axes), element)
                element = Access(whole, tuple(map(Index, axes)), None)
            left.append(element)
        return left[0], needed


def _path(factors: list[list[Rank]], result: list[Rank], sizes: Mapping[Rank, int]) -> list[tuple[int, ...]]:
    """Which factors come together, step by step: their places among those that are left, the newest last."""
    letters = {rank: place for place, rank in enumerate(sizes)}
    # einsum_path looks at shapes only: arrays of one element in memory
    operands = [item for ranks in factors for item in (
        np.broadcast_to(np.float32(0), [sizes[rank] for rank in ranks]), [letters[rank] for rank in ranks])]
    largest = max(math.prod(sizes[rank] for rank in ranks) for ranks in (*factors, result))
    how = "optimal" if len(factors) <= OPTIMAL else "greedy"
    path, _ = np.einsum_path(*operands, [letters[rank] for rank in result], optimize=(how, LARGEST * largest))
    return path[1:]

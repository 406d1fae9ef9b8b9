"""The loops of three derivations, written by hand from their texts in `expected/`, and from nothing else.

Names and order are those of the texts; a prime is an underscore. Where a text adds to the old sum as it is, nothing is
multiplied, so that a factor that is no number does no harm.
"""

from collections.abc import Iterator

import numpy as np

__all__ = ["attention", "entropy", "variance"]


def portions(extent: int, size: int) -> Iterator[slice]:
    """The places of a rank, a portion after the other; the last may be short."""
    for start in range(0, extent, size):
        yield slice(start, min(start + size, extent))


def taken_along(empty, unmoved, old, moved):
    """What comes from the old state."""
    return np.where(empty | unmoved, old, moved)


@np.errstate(all="ignore")
def attention(Q, K, V, portion: int):
    """attention.txt"""
    top = np.full(len(Q), -np.inf)
    total = np.zeros((V.shape[1], len(Q)))
    total_2 = np.zeros(len(Q))
    for k in portions(len(K), portion):
        s = K[k] @ Q.T / np.sqrt(Q.shape[1])
        top_ = np.maximum(top, s.max(axis=0))
        empty, unmoved, factor = top == -np.inf, top == top_, np.exp(top - top_)
        weight = np.exp(s - np.where(top_ == -np.inf, 0.0, top_))
        total_ = taken_along(empty, unmoved, total, factor * total) + V[k].T @ weight
        total_2_ = taken_along(empty, unmoved, total_2, factor * total_2) + weight.sum(axis=0)
        top, total, total_2 = top_, total_, total_2_
    t3, t4 = total + (top - top), total_2 + (top - top)
    return (t3 / t4).T


@np.errstate(all="ignore")
def variance(X, portion: int):
    """variance.txt"""
    total, total_2, total_3 = np.zeros((3, len(X)))
    n = 0
    for k in portions(X.shape[1], portion):
        x = X[:, k]
        total_ = total + x.sum(axis=1)
        n_ = n + x.shape[1]
        mu, mu_ = total / n, total_ / n_
        empty, unmoved, distance = n == 0, mu == mu_, mu - mu_
        y = x - mu_[:, None]
        moved_2 = total_2 + 2.0 * (total_3 * distance) + n * (distance * distance)
        moved_3 = total_3 + n * distance
        total_2_ = taken_along(empty, unmoved, total_2, moved_2) + (y * y).sum(axis=1)
        total_3_ = taken_along(empty, unmoved, total_3, moved_3) + y.sum(axis=1)
        total, n, total_2, total_3 = total_, n_, total_2_, total_3_
    return total_2 / n


@np.errstate(all="ignore")
def entropy(X, portion: int):
    """entropy.txt"""
    top, (total, total_2) = np.full(len(X), -np.inf), np.zeros((2, len(X)))
    for k in portions(X.shape[1], portion):
        x = X[:, k]
        top_ = np.maximum(top, x.max(axis=1))
        empty, unmoved, factor = top == -np.inf, top == top_, np.exp(top - top_)
        y = x - np.where(top_ == -np.inf, 0.0, top_)[:, None]
        moved_2 = factor * (total_2 + (top - top_) * total)
        total_ = taken_along(empty, unmoved, total, factor * total) + np.exp(y).sum(axis=1)
        total_2_ = taken_along(empty, unmoved, total_2, moved_2) + (np.exp(y) * y).sum(axis=1)
        top, total, total_2 = top_, total_, total_2_
    t3 = total + (top - top)
    t4 = total_2 / t3 - np.log(t3) + (top - top)
    return -t4

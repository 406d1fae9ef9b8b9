"""Functions that are defined by others: the compiler never hears of them.

They go over ranks of an expression, `over=`, or along an axis of a tensor, `axis=`.
"""

import math

from einfall.front.arrays import with_axis
from einfall.front.expression import apply, lift
from einfall.front.functions import in_float, largest, logsumexp, mean, total, var, where

__all__ = ["cross_entropy", "layer_norm", "log_softmax", "rms_norm", "softmax"]


@with_axis("ef.softmax", keeps=True)
def softmax(x, *, over, empty=None):
    """exp(x) / sum(exp(x)), shifted by the maximum; over nothing (all -inf) NaN, or `empty`."""
    x = in_float(x)
    top = largest(x, over=over)
    p = apply("exp", x - top)
    result = p / total(p, over=over)
    return result if empty is None else where(top == -math.inf, empty, result)


@with_axis("ef.log_softmax", keeps=True)
def log_softmax(x, *, over):
    """x - log(sum(exp(x)))."""
    return lift(x) - logsumexp(x, over=over)


@with_axis("ef.layer_norm", keeps=True)
def layer_norm(x, *, over, eps=1e-5):
    """(x - mean) / sqrt(var + eps)."""
    return (lift(x) - mean(x, over=over)) / apply("sqrt", var(x, over=over) + eps)


@with_axis("ef.rms_norm", keeps=True)
def rms_norm(x, *, over, eps=1e-6):
    """x / sqrt(mean(x²) + eps)."""
    part = in_float(x)
    return part / apply("sqrt", mean(part * part, over=over) + eps)


@with_axis("ef.cross_entropy")
def cross_entropy(logits, target, *, over):
    """-sum(target * log_softmax(logits)), for targets that are probabilities."""
    return -total(lift(target) * log_softmax(logits, over=over), over=over)

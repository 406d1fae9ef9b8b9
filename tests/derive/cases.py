"""Programs with dependent reductions, and what has to come of each: rule, rank and kind, or the reason of a refusal."""

from typing import NamedTuple

import numpy as np

import einfall as ef
from einfall.front.kernel import Kernel

__all__ = ["DERIVED", "REFUSED", "Case"]

i, j, k, e, d, q = ef.ranks("i j k e d q")


class Case(NamedTuple):
    """A kernel, the shapes of its inputs, and (rule, rank, kind) of each reduction that depends on others."""

    kernel: Kernel
    shapes: tuple[tuple[int, ...], ...]
    proofs: tuple[tuple[str, int, str], ...]
    reasons: tuple[str, ...] = ()
    offset: float = 0.0


@ef.kernel
def log_sum_exp(X):
    m = ef.max(X[i, k], over=k)
    return (m + ef.log(ef.sum(ef.exp(X[i, k] - m), over=k)))[i]


@ef.kernel
def softmax(X):
    p = ef.exp(X[i, k] - ef.max(X[i, k], over=k))
    return (p / ef.sum(p, over=k))[i, k]


def scores(Q, K):
    return ef.sum(Q[q, d] * K[k, d], over=d) / ef.sqrt(d.extent)


@ef.kernel
def attention(Q, K, V):
    s = scores(Q, K)
    p = ef.exp(s - ef.max(s, over=k))
    return (ef.sum(p * V[k, e], over=k) / ef.sum(p, over=k))[q, e]


@ef.kernel
def masked_attention(Q, K, V):
    s = ef.where((k <= 2 * q) & (k >= q), scores(Q, K), -ef.inf)
    p = ef.exp(s - ef.max(s, over=k))
    return (ef.sum(p * V[k, e], over=k) / ef.sum(p, over=k))[q, e]


@ef.kernel
def attention_divided_inside(Q, K, V):
    s = scores(Q, K)
    p = ef.exp(s - ef.max(s, over=k))
    p = p / ef.sum(p, over=k)
    return ef.sum(p * V[k, e], over=k)[q, e]


@ef.kernel
def masked_attention_divided_inside(Q, K, V):
    s = ef.where((k <= 2 * q) & (k >= q) & (q != 3), scores(Q, K), -ef.inf)
    return ef.sum(ef.softmax(s, over=k) * V[k, e], over=k)[q, e]


@ef.kernel
def variance(X):
    mu = ef.mean(X[i, k], over=k)
    return ef.mean((X[i, k] - mu) ** 2, over=k)[i]


@ef.kernel
def weighted_variance(X, W):
    w = W[i, k] * W[i, k]
    total = ef.sum(w, over=k)
    mu = ef.sum(w * X[i, k], over=k) / total
    return (ef.sum(w * (X[i, k] - mu) ** 2, over=k) / total)[i]


@ef.kernel
def kurtosis(X):
    away = X[i, k] - ef.mean(X[i, k], over=k)
    second, third, fourth = (ef.mean(away ** power, over=k) for power in (2, 3, 4))
    return (third / second ** 1.5)[i], (fourth / second ** 2)[i]


@ef.kernel
def slope(X, Y):
    x = X[i, k] - ef.mean(X[i, k], over=k)
    y = Y[i, k] - ef.mean(Y[i, k], over=k)
    return (ef.sum(x * y, over=k) / ef.sum(x * x, over=k))[i], ef.mean(x * y, over=k)[i]


@ef.kernel
def autocovariance(X, Y):
    mu = ef.mean(X[i, k], over=k)
    return ef.mean((X[i, k] - mu) * (Y[i, k] - mu), over=k)[i]


@ef.kernel
def rms_norm_product(X, W):
    rms = ef.sqrt(ef.mean(X[i, k] * X[i, k], over=k) + 1e-6)
    return ef.sum(X[i, k] / rms * W[k, j], over=k)[i, j]


@ef.kernel
def layer_norm_product(X, W):
    away = X[i, k] - ef.mean(X[i, k], over=k)
    sigma = ef.sqrt(ef.mean(away * away, over=k) + 1e-5)
    return ef.sum(away / sigma * W[k, j], over=k)[i, j]


@ef.kernel
def cosine(X, Y):
    a = ef.sqrt(ef.sum(X[i, k] * X[i, k], over=k))
    b = ef.sqrt(ef.sum(Y[i, k] * Y[i, k], over=k))
    return ef.sum(X[i, k] / a * (Y[i, k] / b), over=k)[i]


@ef.kernel
def scaled_norm(X):
    r = ef.max(ef.abs(X[i, k]), over=k)
    return (r * ef.sqrt(ef.sum((X[i, k] / r) ** 2, over=k)))[i]


@ef.kernel
def entropy(X):
    p = ef.exp(X[i, k] - ef.max(X[i, k], over=k))
    p = p / ef.sum(p, over=k)
    return (-ef.sum(p * ef.log(p), over=k))[i]


@ef.kernel
def divergence(X, Y):
    p = ef.exp(X[i, k] - ef.max(X[i, k], over=k))
    p = p / ef.sum(p, over=k)
    r = ef.exp(Y[i, k] - ef.max(Y[i, k], over=k))
    r = r / ef.sum(r, over=k)
    return ef.sum(p * (ef.log(p) - ef.log(r)), over=k)[i]


@ef.kernel
def soft_cross_entropy(X, T):
    m = ef.max(X[i, k], over=k)
    total = ef.sum(ef.exp(X[i, k] - m), over=k)
    return (-ef.sum(T[i, k] * (X[i, k] - m - ef.log(total)), over=k))[i]


@ef.kernel
def softmax_mean_and_variance(S, V):
    p = ef.exp(S[i, k] - ef.max(S[i, k], over=k))
    total = ef.sum(p, over=k)
    mu = ef.sum(p * V[k, e], over=k) / total
    return mu[i, e], (ef.sum(p * (V[k, e] - mu) ** 2, over=k) / total)[i, e]


@ef.kernel
def ties(X, V):
    m = ef.max(X[i, k], over=k)
    return (ef.sum(ef.where(X[i, k] == m, V[i, k], 0.0), over=k)[i],
            ef.sum(ef.where(X[i, k] == m, 1, 0), over=k)[i])


@ef.kernel
def distance_to_maximum(X):
    return ef.sum(ef.abs(X[i, k] - ef.max(X[i, k], over=k)), over=k)[i]


@ef.kernel
def largest_probability(X):
    p = ef.exp(X[i, k] - ef.max(X[i, k], over=k))
    return ef.max(p / ef.sum(p, over=k), over=k)[i]


@ef.kernel
def sum_of_probabilities(X):
    p = ef.exp(X[i, k] - ef.max(X[i, k], over=k))
    return ef.sum(p / ef.sum(p, over=k), over=k)[i]


@ef.kernel
def best_weighted_log_probability(X, W):
    return ef.max(X[i, k] - ef.logsumexp(X[i, k], over=k) + W[i, k], over=k)[i]


@ef.kernel
def largest_deviation(X):
    return ef.max(ef.abs(X[i, k] - ef.mean(X[i, k], over=k)), over=k)[i]


@ef.kernel
def largest_deviation_and_weight(X, W):
    """A maximum to which an element is added, and a minimum of it with its sign turned."""
    m = ef.mean(X[i, k], over=k)
    away = ef.maximum(X[i, k] - m, m - 2 * X[i, k])
    return (ef.max(away + W[i, k], over=k) + ef.min(W[i, k] - away, over=k))[i]


@ef.kernel
def scaled_by_the_largest(X, W):
    return ef.sum(X[i, k] / ef.max(ef.abs(X[i, k]), over=k) * W[k, e], over=k)[i, e]


ONE = ("sum", 1, "contraction")
@ef.kernel
def exponentials_under_a_condition(X, W):
    """What counts in the sum counts in the maximum."""
    highest = ef.max(ef.where(W[i, k] > 0, X[i, k], -ef.inf), over=k)
    some = (W[i, k] > 0) & (X[i, k] < 1)
    return ef.sum(ef.where(some, W[i, k] * ef.exp(X[i, k] - highest), 0), over=k)[i]


@ef.kernel
def condition_and_mean_of_all(X, W):
    """What a condition leaves out counts in the mean."""
    some, mean = W[i, k] > 0, ef.mean(X[i, k], over=k)
    top = ef.max(ef.where(some, X[i, k], -ef.inf), over=k)
    return ef.sum(ef.where(some, ef.exp(X[i, k] - top) * mean, 0), over=k)[i]


DERIVED = (
    Case(condition_and_mean_of_all, ((3, 61), (3, 61)), (ONE,)),
    Case(exponentials_under_a_condition, ((3, 61), (3, 61)), (ONE,)),
    Case(log_sum_exp, ((3, 61),), (ONE,)),
    Case(softmax, ((3, 61),), (ONE,)),
    Case(attention, ((5, 7), (61, 7), (61, 3)), (ONE, ONE)),
    Case(masked_attention, ((41, 7), (61, 7), (61, 3)), (ONE, ONE)),
    Case(attention_divided_inside, ((5, 7), (61, 7), (61, 3)), (ONE, ONE)),
    Case(masked_attention_divided_inside, ((41, 7), (61, 7), (61, 3)), (ONE, ONE)),
    Case(variance, ((3, 61),), (("sum", 3, "unipotent"),), offset=1e4),
    Case(weighted_variance, ((3, 61), (3, 61)), (("sum", 3, "unipotent"),)),
    Case(kurtosis, ((3, 61),), (("sum", 3, "unipotent"), ("sum", 4, "unipotent"), ("sum", 5, "unipotent"))),
    Case(slope, ((3, 61), (3, 61)), (("sum", 4, "unipotent"), ("sum", 3, "unipotent"))),
    Case(autocovariance, ((3, 61), (3, 61)), (("sum", 3, "unipotent"),), offset=1e4),
    Case(rms_norm_product, ((3, 61), (61, 4)), (("sum", 1, "fixed"),)),
    Case(layer_norm_product, ((3, 61), (61, 4)), (("sum", 3, "unipotent"), ("sum", 2, "unipotent"))),
    Case(cosine, ((3, 61), (3, 61)), (("sum", 1, "fixed"),)),
    Case(scaled_norm, ((3, 61),), (("sum", 1, "contraction"),)),
    Case(entropy, ((3, 61),), (ONE, ("sum", 2, "contraction times unipotent"))),
    Case(divergence, ((3, 61), (3, 61)), (ONE, ONE, ("sum", 2, "contraction times unipotent"))),
    Case(soft_cross_entropy, ((3, 61), (3, 61)), (ONE, ("sum", 2, "unipotent"))),
    Case(softmax_mean_and_variance, ((3, 61), (61, 4)),
         (ONE, ONE, ("sum", 3, "contraction times unipotent"))),
    Case(ties, ((3, 61), (3, 61)), (("selector", 1, "selector"), ("selector", 1, "selector"))),
    Case(distance_to_maximum, ((3, 61),), (("sum", 2, "unipotent"),)),
    Case(sum_of_probabilities, ((3, 61),), (ONE, ONE)),
    Case(largest_probability, ((3, 61),), (ONE, ("monotone", 1, "fixed"))),
    Case(best_weighted_log_probability, ((3, 61), (3, 61)), (("monotone", 1, "fixed"),)),
    Case(largest_deviation, ((3, 61),), (("tropical", 2, "fixed"),)),
    Case(largest_deviation_and_weight, ((3, 61), (3, 61)), (("tropical", 2, "fixed"), ("tropical", 2, "fixed"))),
    Case(scaled_by_the_largest, ((3, 61), (61, 4)), (("sum", 1, "contraction"),)),
)


@ef.kernel
def mean_absolute_deviation(X):
    return ef.mean(ef.abs(X[i, k] - ef.mean(X[i, k], over=k)), over=k)[i]


@ef.kernel
def rounded_product(X, W):
    r = ef.max(ef.abs(X[i, k]), over=k)
    return (r * ef.sum(ef.round(X[i, k] / r * 127.0) * W[k, j], over=k))[i, j]


@ef.kernel
def one_over_distance(X):
    return ef.sum(1.0 / (X[i, k] + 10.0 + ef.max(X[i, k], over=k)), over=k)[i]


@ef.kernel
def above_mean(X):
    return ef.sum(ef.maximum(X[i, k] - ef.mean(X[i, k], over=k), 0.0), over=k)[i]


@ef.kernel
def temperature_from_data(X, V):
    t = ef.sqrt(ef.mean(X[i, k] * X[i, k], over=k) + 1e-6)
    s = X[i, k] / t
    p = ef.exp(s - ef.max(s, over=k))
    return (ef.sum(p * V[k, e], over=k) / ef.sum(p, over=k))[i, e]


@ef.kernel
def equal_to_mean(X):
    return ef.sum(ef.where(X[i, k] == ef.mean(X[i, k], over=k), 1.0, 0.0), over=k)[i]


@ef.kernel
def away_and_back(X):
    m = ef.max(X[i, k], over=k)
    return ef.sum(X[i, k] - m + m, over=k)[i]


@ef.kernel
def exponential_about_mean(X):
    return ef.sum(ef.exp(X[i, k] - ef.mean(X[i, k], over=k)), over=k)[i]


@ef.kernel
def exponential_without_a_bound(X, Y):
    return ef.sum(ef.exp(X[i, k] - ef.max(X[i, k], over=k) + Y[i, k]), over=k)[i]


@ef.kernel
def standardised_fourth_power(X):
    away = X[i, k] - ef.mean(X[i, k], over=k)
    return ef.mean((away / ef.sqrt(ef.mean(away * away, over=k))) ** 4, over=k)[i]


@ef.kernel
def product_with_a_difference(X):
    return ef.mean(X[i, k] * (X[i, k] - ef.mean(X[i, k], over=k)), over=k)[i]


@ef.kernel
def cubes_about_another_mean(X, W):
    far = ef.mean(X[i, k] ** 2 * W[i, k], over=k)
    return ef.sum((X[i, k] - far) ** 3, over=k)[i]


@ef.kernel
def squares_about_a_third_of_the_sum(X):
    return ef.sum((X[i, k] - ef.sum(X[i, k], over=k) / 3.0) ** 2, over=k)[i]


@ef.kernel
def squares_about_half_a_product(X):
    return ef.sum((X[i, k] - ef.prod(X[i, k], over=k) / 2.0) ** 2, over=k)[i]


@ef.kernel
def least_deviation(X):
    """No minimum of a maximum: that is no function of extrema."""
    return ef.min(ef.abs(X[i, k] - ef.mean(X[i, k], over=k)), over=k)[i]


@ef.kernel
def integers_that_wrap(X):
    """Of integers a difference may wrap around, and then it does not rise."""
    whole = X[i, k].astype(ef.i32)
    return (ef.max(whole - ef.max(whole, over=k), over=k) + ef.min(-whole + ef.min(whole, over=k), over=k))[i]


@ef.kernel
def exponentials_under_another_condition(X, W):
    highest = ef.max(ef.where(W[i, k] > 0, X[i, k], -ef.inf), over=k)
    return ef.sum(ef.where(W[i, k] < 0, ef.exp(X[i, k] - highest), 0), over=k)[i]


@ef.kernel
def two_maxima(X, W):
    """What a condition leaves out may be the other maximum."""
    some, highest = W[i, k] > 0, ef.max(X[i, k], over=k)
    top = ef.max(ef.where(some, X[i, k], -ef.inf), over=k)
    return ef.sum(ef.where(some, ef.exp(X[i, k] - top) * ef.exp(X[i, k] - highest), 0), over=k)[i]


REFUSED = (
    Case(two_maxima, ((3, 61), (3, 61)), (), ("every exponent is provably 0 or less",)),
    Case(exponentials_under_another_condition, ((3, 61), (3, 61)), (), ("every exponent is provably 0 or less",)),
    Case(integers_that_wrap, ((3, 61),), (), ("not seen to rise or fall", "not seen to rise or fall")),
    Case(least_deviation, ((3, 61),), (), ("not seen to rise or fall",)),
    Case(exponential_about_mean, ((3, 61),), (), ("exponent",)),
    Case(exponential_without_a_bound, ((3, 61), (3, 61)), (), ("every exponent is provably 0 or less",)),
    Case(standardised_fourth_power, ((3, 61),), (("sum", 3, "unipotent"),), ("high power",)),
    Case(product_with_a_difference, ((3, 61),), (), ("would cancel",)),
    Case(away_and_back, ((3, 61),), (), ("an operand cancels",)),
    Case(mean_absolute_deviation, ((3, 61),), (), ("more than 8 products",)),
    Case(rounded_product, ((3, 61), (61, 4)), (), ("more than 8 products",)),
    Case(one_over_distance, ((3, 61),), (), ("more than 8 products",)),
    Case(above_mean, ((3, 61),), (), ("more than 8 products",)),
    Case(temperature_from_data, ((3, 61), (61, 4)), (("monotone", 1, "fixed"),),
         ("more than 8 products", "more than 8 products")),
    Case(equal_to_mean, ((3, 61),), (), ("not their extremum",)),
    Case(squares_about_a_third_of_the_sum, ((3, 61),), (), ("no mean and no extremum of the elements",)),
    Case(squares_about_half_a_product, ((3, 61),), (), ("no mean and no extremum of the elements",)),
    Case(cubes_about_another_mean, ((3, 61), (3, 61)), (), ("no mean and no extremum of the elements",)),
)


def arguments(case: Case, seed: int) -> list[np.ndarray]:
    """Random inputs of a case."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) + case.offset for shape in case.shapes]

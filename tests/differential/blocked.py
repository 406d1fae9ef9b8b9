"""Programs for targets with tensors: kernels, and their arguments for any extents."""

from collections.abc import Callable

import numpy as np

import einfall as ef
from einfall.front.arguments import Arguments, collect
from einfall.front.kernel import Kernel, Program

__all__ = ["BLOCKED", "entered"]

b, h, q, k, d, e, i, j, m, n = ef.ranks("b h q k d e i j m n")


def normal(*shape: int) -> np.ndarray:
    """Numbers that are the same in every run."""
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


@ef.kernel
def product(A, B):
    return ef.sum(A[i, k] * B[k, j], over=k)[i, j]


@ef.kernel
def layer(A, B, bias):
    return ef.maximum(ef.sum(A[b, i, k] * B[j, k], over=k) + bias[j], 0.0)[b, j, i]


@ef.kernel
def softmax(X):
    top = ef.max(X[i, j], over=j)
    total = ef.sum(ef.exp(X[i, j] - top), over=j)
    return (ef.exp(X[i, j] - top) / total)[i, j]


@ef.kernel
def layer_norm(X, scale, shift):
    mean = ef.mean(X[i, j], over=j)
    variance = ef.mean((X[i, j] - mean) ** 2, over=j)
    return ((X[i, j] - mean) / ef.sqrt(variance + 1e-5) * scale[j] + shift[j])[i, j]


def weighted(S, V):
    """The values of a head, weighted by scores."""
    return ef.sum(ef.softmax(S, over=k) * V[h, k, e], over=k)[h, q, e]


@ef.kernel
def attention(Q, K, V):
    return weighted(ef.sum(Q[h, q, d] * K[h, k, d], over=d) / ef.sqrt(d.extent), V)


@ef.kernel
def attention_causal(Q, K, V):
    S = ef.sum(Q[h, q, d] * K[h, k, d], over=d) / ef.sqrt(d.extent)
    return weighted(ef.where(k <= q, S, -ef.inf), V)


@ef.kernel
def attention_short(Q, K, V, lengths):
    S = ef.sum(Q[h, q, d] * K[h, k, d], over=d) / ef.sqrt(d.extent)
    return weighted(ef.where(k < lengths[h], S, -ef.inf), V)


@ef.kernel
def attention_masked(Q, K, V, mask):
    S = ef.sum(Q[h, q, d] * K[h, k, d], over=d) / ef.sqrt(d.extent)
    return weighted(ef.where(mask[q, k], S, -ef.inf), V)


@ef.kernel
def nearest(X, Y):
    return ef.argmin(ef.sum((X[i, k] - Y[j, k]) ** 2, over=k), over=j)[i]


@ef.kernel
def integers(X, Y):
    x, y = X[i, j], Y[j]
    return (x // y)[i, j], (x % y)[i, j], (x << y)[i, j], (x >> y)[i, j], ef.sum(x * y, over=j)[i]


@ef.kernel
def rows_of(table, rows):
    return (table[rows[i], j] * 2.0)[i, j]


@ef.kernel
def sparse_product(begins, ends, columns, values, X):
    inside = (k >= begins[i]) & (k < ends[i])
    return ef.sum(ef.where(inside, values[k] * X[columns[k], n], 0.0), over=k)[i, n]


def heads(rows: int, columns: int, deep: int, wide: int) -> tuple:
    """Queries, keys and values of two heads."""
    return normal(2, rows, deep), normal(2, columns, deep), normal(2, columns, wide)


def with_lengths(rows: int, columns: int, deep: int, wide: int) -> tuple:
    """The same with NaN and infinities beyond lengths, one of which is 0."""
    Q, K, V = heads(rows, columns, deep, wide)
    lengths = np.array([columns // 2, 0])
    K[0, lengths[0]:], V[0, lengths[0]:], V[1] = np.nan, np.inf, np.nan
    return Q, K, V, lengths


def with_unknown(rows: int, columns: int, deep: int, wide: int) -> tuple:
    """Keys and values that are no numbers; a causal mask hides them from the rows before them."""
    Q, K, V = heads(rows, columns, deep, wide)
    V[0, rows // 2, 1], V[0, rows - 1, 0], V[1, 3, 2] = np.nan, np.inf, -np.inf
    K[1, rows // 2, 0] = np.nan
    return Q, K, V


def with_mask(rows: int, columns: int, deep: int, wide: int) -> tuple:
    """The same under a mask, which leaves nothing of row 1."""
    mask = np.random.default_rng(rows).random((rows, columns)) < 0.6
    mask[1] = False
    return *heads(rows, columns, deep, wide), mask


def compressed(rows: int, deep: int, columns: int) -> tuple:
    """A sparse matrix by rows, one of them empty and one longer than a block, and a dense one."""
    rng = np.random.default_rng(rows)
    lengths = rng.integers(0, 5, rows)
    lengths[:2] = (0, 70)[:rows]
    ends = np.cumsum(lengths)
    return ends - lengths, ends, rng.integers(0, deep, ends[-1]), normal(ends[-1]), normal(deep, columns)


def whole_numbers(rows: int, columns: int) -> tuple:
    """Among the divisors and shifts are 0, negative ones and one past the width."""
    rng = np.random.default_rng(rows)
    divisors = rng.integers(-5, 6, columns, np.int32)
    divisors[:3] = (0, -1, 40)[:columns]
    return rng.integers(-100, 100, (rows, columns), np.int32), divisors


def chosen_rows(rows: int, columns: int) -> tuple:
    """A table of 7 rows, and which of them are read."""
    return normal(7, columns), np.random.default_rng(1).integers(0, 7, rows)


# name -> the kernel, its arguments for some extents, and extents: odd ones first, then 1, then 0
BLOCKED: dict[str, tuple[Kernel, Callable[..., tuple], tuple[tuple[int, ...], ...]]] = {
    "product": (product, lambda m, k, n: (normal(m, k), normal(k, n)), ((66, 19, 67), (1, 17, 1), (5, 0, 3))),
    "layer": (layer, lambda m, k, n: (normal(2, m, k), normal(n, k), normal(n)), ((17, 33, 66), (1, 1, 1), (0, 2, 3))),
    "softmax": (softmax, lambda m, n: (3 * normal(m, n),), ((5, 1030), (3, 17), (1, 1), (2, 0))),
    "layer_norm": (layer_norm, lambda m, n: (1 + normal(m, n), normal(n), normal(n)), ((3, 1030), (2, 1), (3, 0))),
    "attention": (attention, heads, ((17, 35, 17, 18), (1, 1, 1, 1), (3, 0, 2, 2))),
    "attention_causal": (attention_causal, heads, ((35, 34, 17, 3), (3, 40, 5, 17), (2, 1, 1, 1))),
    "attention_unknown": (attention_causal, with_unknown, ((35, 70, 17, 18),)),
    "attention_masked": (attention_masked, with_mask, ((17, 70, 4, 18), (2, 40, 17, 1))),
    "attention_short": (attention_short, with_lengths, ((17, 70, 4, 3), (17, 70, 17, 18))),
    "nearest": (nearest, lambda m, n, k: (normal(m, k), normal(n, k)), ((66, 20, 3), (17, 70, 18))),
    "sparse_product": (sparse_product, compressed, ((17, 9, 66), (2, 100, 3), (1, 3, 2))),
    "integers": (integers, whole_numbers, ((5, 70), (66, 3))),
    "rows_of": (rows_of, chosen_rows, ((70, 66), (3, 1))),
}


def entered(kernel: Kernel, args: tuple) -> tuple[Program, Arguments]:
    """The program of a call, and its arguments."""
    arguments = collect(kernel.signature, kernel.__name__, args, {})
    return kernel.program(arguments), arguments

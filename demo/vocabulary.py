"""The next word of a text, guessed by a linear layer over the whole vocabulary, with weights of four bits.

The layer is trained on the text before, by least squares: two words, mixed at random, tell the next one. Like the last
layer of a language model it is wide, and all of it is read for the next word of a text; four texts are continued at
once here. The kernel is that of plain weights, and reads an eighth of their bytes. The peers multiply with the decoded
weights, kept ready in float32: to decode them anew would cost more than the product. The more rows, the less it matters
what is read: from some sixteen rows on, a product of float32 is faster; for a single one both are alike.
"""

import functools
import re

import numpy as np
import scipy.sparse

import einfall as ef
from demo import manual
from demo.program import Program

i, k, n = ef.ranks("i k n")
TEXTS, TESTED, WIDTH, GROUP = 4, 1024, 2048, 64
MEMORY = 1.0, 0.7  # how much the last words weigh, the nearest one first
RIDGE = 30.0


@ef.kernel
def layer(x, W, bias):
    return (ef.sum(x[i, k] * W[n, k], over=k) + bias[n])[i, n]


@functools.cache
def decoded(W) -> np.ndarray:
    """The numbers behind the codes, as they stand ready in a layer of NumPy or torch."""
    return W.dense().astype(np.float32)


def with_numpy(x, W, bias):
    return x @ decoded(W).T + bias


@functools.cache
def decoded_in_torch(W):
    import torch

    return torch.from_numpy(decoded(W))


def with_torch(x, W, bias):
    import torch

    return torch.nn.functional.linear(x, decoded_in_torch(W), bias)


@functools.cache
def text() -> tuple[np.ndarray, tuple[str, ...]]:
    """The words of the manual as numbers, and what these numbers stand for."""
    found = re.findall("[a-z]+", manual.text().lower())
    words, codes = np.unique(found, return_inverse=True)
    return codes, tuple(words.tolist())


def features(contexts: np.ndarray, words: int) -> np.ndarray:
    """The last words (columns, the nearest one first) as a vector: random ones of each, added and bent."""
    rng = np.random.default_rng(0)
    tables = [rng.standard_normal((words, WIDTH), dtype=np.float32) for _ in MEMORY]
    return np.tanh(sum(weight * table[column] for weight, table, column in zip(MEMORY, tables, contexts.T)))


def trained(contexts: np.ndarray, following: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and a bias that send a context to 1 at the word that follows it and to 0 at all others, or nearly so."""
    different, which = np.unique(contexts, axis=0, return_inverse=True)
    counts = scipy.sparse.csr_array((np.ones(len(which), np.float32), (following, which)),
                                   shape=(words, len(different)))
    x, bias = features(different, words), counts.sum(axis=1) / len(which)
    often = counts.sum(axis=0)
    weighted = np.sqrt(often)[:, None] * x
    inner = weighted.T @ weighted + np.float32(RIDGE) * np.eye(WIDTH, dtype=np.float32)
    outer = counts @ x - np.outer(bias, often @ x)
    return np.linalg.solve(inner, outer.T).T.copy(), bias


@functools.cache
def full() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The layer before it is packed, rows of a part of the text that it was not trained on, and the words there."""
    codes, words = text()
    back = len(MEMORY)
    contexts = np.stack([codes[back - 1 - place:len(codes) - 1 - place] for place in range(back)], axis=1)
    following = codes[back:]
    W, bias = trained(contexts[:-TESTED], following[:-TESTED], len(words))
    return W, bias, features(contexts[-TESTED:], len(words)), following[-TESTED:]


def packed(W: np.ndarray):
    """The weights in four bits each, and a scale of 16 bits for a group of them."""
    return ef.pack(W, ef.Format([ef.Dense(), ef.Dense()], codec=ef.Scaled(ef.Int(4), group=GROUP)))


def load():
    W, bias, x, _ = full()
    return x[::TESTED // TEXTS].copy(), packed(W), bias


def tiny(rng):
    return (rng.standard_normal((5, 96), dtype=np.float32), packed(rng.standard_normal((13, 96))),
            rng.standard_normal(13, dtype=np.float32))


def see(result, arguments):
    W, bias, x, following = full()
    before = ((x @ W.T + bias).argmax(1) == following).mean()
    after = (layer(x, *arguments[1:]).argmax(1) == following).mean()
    common = (following == bias.argmax()).mean()
    return (f"{after:.1%} of {len(x)} next words guessed right with weights of four bits, {before:.1%} with those of "
            f"32 (always “{text()[1][bias.argmax()]}”: {common:.1%})")


PROGRAM = Program("four-bit layer", f"{TEXTS} rows of {WIDTH}", load, tiny, layer, with_numpy, with_torch, i, see)

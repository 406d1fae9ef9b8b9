"""Handwritten digits read by attention over all other digits.

Every image asks all others; who is alike answers louder. The label of an image takes no part in its own vote.
"""

import numpy as np

import einfall as ef
from demo.program import Program

i, j, p, c = ef.ranks("i j p c")
SHARPNESS = 3.0


@ef.kernel
def votes(X, label, beta):
    alike = -beta * ef.sum((X[i, p] - X[j, p]) ** 2, over=p)
    attention = ef.softmax(ef.where(i != j, alike, -ef.inf), over=j)
    return ef.sum(ef.where(label[j] == c.of(10), attention, 0.0), over=j)[i, c]


def with_numpy(X, label, beta):
    squares = (X * X).sum(1)
    alike = -beta * (squares[:, None] + squares - 2 * X @ X.T)
    np.fill_diagonal(alike, -np.inf)
    alike -= alike.max(1, keepdims=True)
    attention = np.exp(alike, out=alike)
    attention /= attention.sum(1, keepdims=True)
    return attention @ np.eye(10, dtype=X.dtype)[label]


def with_torch(X, label, beta):
    import torch

    alike = -beta * torch.cdist(X, X) ** 2
    alike.fill_diagonal_(-torch.inf)
    return torch.softmax(alike, 1) @ torch.nn.functional.one_hot(label, 10).to(X.dtype)


def load():
    from sklearn.datasets import load_digits

    images = load_digits()
    return (images.data / 16).astype(np.float32), images.target.astype(np.int64), SHARPNESS


def tiny(rng):
    return rng.random((37, 8), dtype=np.float32), rng.integers(0, 10, 37), SHARPNESS


def see(result, arguments):
    right = int((result.argmax(1) == arguments[1]).sum())
    return f"{right} of {len(result)} digits read right ({right / len(result):.1%}), none by its own label"


PROGRAM = Program("digits by attention", "1797 images of 8 × 8", load, tiny, votes, with_numpy, with_torch, i, see)

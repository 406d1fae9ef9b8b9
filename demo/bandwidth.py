"""How smooth should a kernel regression be? Every bandwidth is tried, each patient guessed from all others.

Nadaraya and Watson's mean, weighted by nearness; the share of the variance that it explains, for each bandwidth.
"""

import numpy as np

import einfall as ef
from demo.program import Program

i, j, p, h = ef.ranks("i j p h")
WIDTHS = 64


@ef.kernel
def explained(X, y, width):
    distance = ef.sum((X[i, p] - X[j, p]) ** 2, over=p)[i, j]
    weight = ef.where(i != j, ef.exp(-distance[i, j] / (2 * width[h] ** 2)), 0.0)
    guess = ef.sum(weight * y[j], over=j) / ef.sum(weight, over=j)
    return (1 - ef.mean((y[i] - guess) ** 2, over=i) / ef.var(y[i], over=i))[h]


def with_numpy(X, y, width):
    squares = (X * X).sum(1)
    distance = squares[:, None] + squares - 2 * X @ X.T
    np.fill_diagonal(distance, np.inf)
    both, shares = np.stack([y, np.ones_like(y)], axis=1), []
    for one in width:  # one table of weights at a time stays in the cache
        weight = distance * (-1 / (2 * one**2))
        above, total = (np.exp(weight, out=weight) @ both).T
        shares.append(1 - ((y - above / total) ** 2).mean() / y.var())
    return np.array(shares, X.dtype)


def with_torch(X, y, width):
    import torch

    distance = torch.cdist(X, X) ** 2
    distance.fill_diagonal_(torch.inf)
    both, shares = torch.stack([y, torch.ones_like(y)], 1), []
    for one in width:
        above, total = ((distance * (-1 / (2 * one**2))).exp_() @ both).T
        shares.append(1 - ((y - above / total) ** 2).mean() / y.var(correction=0))
    return torch.stack(shares)


def load():
    from sklearn.datasets import load_diabetes

    patients = load_diabetes()
    X = patients.data / patients.data.std(0)
    widths = np.geomspace(0.7, 7.0, WIDTHS)
    return X.astype(np.float32), patients.target.astype(np.float32), widths.astype(np.float32)


def tiny(rng):
    X = rng.standard_normal((21, 4), dtype=np.float32)
    return X, X[:, 0] + np.float32(0.1), np.array([0.7, 1.0, 2.0], np.float32)


def see(result, arguments):
    best = int(result.argmax())
    return f"best of {len(result)} bandwidths: {arguments[2][best]:.2f}, R² = {result[best]:.3f} on patients left out"


PROGRAM = Program("choice of a bandwidth", "442 patients, 64 bandwidths", load, tiny, explained, with_numpy, with_torch,
                  h, see)

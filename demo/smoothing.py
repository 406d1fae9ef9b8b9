"""Rows of a photograph as series, smoothed by a state that forgets where the picture changes.

A state space with one state a colour: what it keeps of the pixel before shrinks with the distance between the two
pixels in place and in colour (Gastal and Oliveira's recursive filter). A scan to the right, and one back to the left.
"""

import math

import numpy as np

import einfall as ef
from demo import pictures
from demo.program import Program

y, t, c, e = ef.ranks("y t c e")
REACH, TONAL, NOISE = 12.0, 120.0, 20.0


@ef.kernel
def smoothed(X, reach, tonal):
    before = X.pad("edge")
    change = ef.sum(ef.abs(X[y, t, e] - before[y, t - 1, e]), over=e)
    kept = ef.exp(-(1 + reach / tonal * change) * math.sqrt(2) / reach)[y, t]
    right = ef.scan(lambda s: kept[y, t] * s + (1 - kept[y, t]) * X[y, t, c], over=t, init=X[y, 0, c])[y, t, c]
    after = kept.pad(0.0)[y, t + 1]
    last = X.shape[1] - 1
    left = ef.scan(lambda s: after * s + (1 - after) * right[y, t, c], over=t, init=right[y, last, c], reverse=True)
    return left[y, t, c]


def with_numpy(X, reach, tonal):
    change = np.abs(np.diff(X, axis=1, prepend=X[:, :1])).sum(2)
    kept = np.exp(-(1 + np.float32(reach / tonal) * change) * np.float32(math.sqrt(2) / reach))[..., None]
    made = X.copy()
    for place in range(1, X.shape[1]):
        made[:, place] += kept[:, place] * (made[:, place - 1] - made[:, place])
    for place in range(X.shape[1] - 2, -1, -1):
        made[:, place] += kept[:, place + 1] * (made[:, place + 1] - made[:, place])
    return made


def with_torch(X, reach, tonal):
    import torch

    change = torch.diff(X, dim=1, prepend=X[:, :1]).abs().sum(2)
    kept = torch.exp(-(1 + reach / tonal * change) * (math.sqrt(2) / reach))[..., None]
    made = X.clone()
    for place in range(1, X.shape[1]):
        made[:, place] += kept[:, place] * (made[:, place - 1] - made[:, place])
    for place in range(X.shape[1] - 2, -1, -1):
        made[:, place] += kept[:, place + 1] * (made[:, place + 1] - made[:, place])
    return made


def load():
    return pictures.noisy("flower.jpg", NOISE), REACH, TONAL


def tiny(rng):
    return rng.uniform(0, 255, (5, 13, 3)).astype(np.float32), REACH, TONAL


def see(result, arguments):
    return pictures.told("flower.jpg", arguments[0], result, "smoothing.png")


PROGRAM = Program("recursive smoothing", "427 series of 640 steps", load, tiny, smoothed, with_numpy, with_torch, y,
                  see)

"""A photograph in sixteen colours: k-means over its pixels.

One step gives every pixel its nearest colour, and every colour the mean of its pixels. Colours are bytes.
"""

import numpy as np

import einfall as ef
from demo import pictures
from demo.program import Program

i, d, c = ef.ranks("i d c")
COLOURS, STEPS = 16, 12


@ef.kernel
def step(X, C):
    nearest = ef.argmin(ef.sum((X[i, d] - C[c, d]) ** 2, over=d), over=c)[i]
    total = ef.sum(ef.where(nearest[i] == c, X[i, d], 0.0), over=i)
    count = ef.sum(ef.where(nearest[i] == c, 1.0, 0.0), over=i)
    return ef.where(count > 0, total / count, C[c, d])[c, d], nearest


def with_numpy(X, C):
    nearest = (X @ (-2 * C.T) + (C * C).sum(1)).argmin(1)
    count = np.bincount(nearest, minlength=len(C))[:, None]
    total = np.stack([np.bincount(nearest, X[:, d], len(C)) for d in range(X.shape[1])], axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), C).astype(X.dtype), nearest


def with_torch(X, C):
    import torch

    nearest = torch.addmm((C * C).sum(1), X, C.T, alpha=-2).argmin(1)
    count = torch.bincount(nearest, minlength=len(C))[:, None]
    total = torch.zeros_like(C).index_add_(0, nearest, X)
    return torch.where(count > 0, total / count, C), nearest


def load():
    pixels = pictures.photograph("flower.jpg").reshape(-1, 3)
    colours = np.random.default_rng(0).choice(pixels, COLOURS, replace=False)
    for _ in range(STEPS):  # the step that is timed is the one after these
        colours = np.rint(step(pixels, colours)[0])
    return pixels, colours


def tiny(rng):
    pixels = rng.integers(0, 256, (101, 3)).astype(np.float32)
    return pixels, pixels[:COLOURS].copy()


def see(result, arguments):
    colours, nearest = result
    pixels = arguments[0]
    picture = colours[nearest]
    path = pictures.write("palette.png", np.concatenate([pixels.reshape(427, 640, 3), picture.reshape(427, 640, 3)], 1))
    return f"{COLOURS} colours, {pictures.noise_ratio(picture, pixels):.1f} dB: {path}"


PROGRAM = Program("k-means palette", "273,280 pixels, 16 colours", load, tiny, step, with_numpy, with_torch, None, see)

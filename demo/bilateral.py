"""A noisy photograph smoothed where it is smooth: the bilateral filter.

Every pixel becomes the mean of a 7 × 7 window, weighted by nearness in place and in colour, so that edges stay.
"""

import numpy as np

import einfall as ef
from demo import pictures
from demo.program import Program

y, x, c, r, s = ef.ranks("y x c r s")
SPATIAL, TONAL, NOISE = 2.0, 45.0, 15.0


@ef.kernel
def bilateral(X, spatial, tonal):
    row, column = y.of(X.shape[0]) + r.of(7) - 3, x.of(X.shape[1]) + s.of(7) - 3
    near = X.pad(0.0)[row, column, c]
    inside = (row >= 0) & (row < X.shape[0]) & (column >= 0) & (column < X.shape[1])
    place = ((r - 3) ** 2 + (s - 3) ** 2) / (2 * spatial**2)
    colour = ef.sum((near - X[y, x, c]) ** 2, over=c) / (2 * tonal**2)
    weight = ef.where(inside, ef.exp(-place - colour), 0.0)
    return (ef.sum(weight * near, over=(r, s)) / ef.sum(weight, over=(r, s)))[y, x, c]


def with_numpy(X, spatial, tonal):
    X = np.ascontiguousarray(X.transpose(2, 0, 1))  # planes: three times as fast as three colours side by side
    _, height, width = X.shape
    above, total = np.zeros_like(X), np.zeros_like(X[0])
    for r in range(-3, 4):
        for s in range(-3, 4):
            here = ..., slice(max(0, -r), height - max(0, r)), slice(max(0, -s), width - max(0, s))
            there = ..., slice(max(0, r), height + min(0, r)), slice(max(0, s), width + min(0, s))
            near = X[there]
            weight = np.square(near - X[here]).sum(0)
            weight *= np.float32(-1 / (2 * tonal**2))
            weight -= np.float32((r * r + s * s) / (2 * spatial**2))
            np.exp(weight, out=weight)
            above[here] += weight * near
            total[here] += weight
    return (above / total).transpose(1, 2, 0)


def with_torch(X, spatial, tonal):
    import torch

    X = X.permute(2, 0, 1).contiguous()
    _, height, width = X.shape
    above, total = torch.zeros_like(X), torch.zeros_like(X[0])
    for r in range(-3, 4):
        for s in range(-3, 4):
            here = ..., slice(max(0, -r), height - max(0, r)), slice(max(0, -s), width - max(0, s))
            there = ..., slice(max(0, r), height + min(0, r)), slice(max(0, s), width + min(0, s))
            near = X[there]
            weight = (near - X[here]).square_().sum(0)
            weight.mul_(-1 / (2 * tonal**2)).sub_((r * r + s * s) / (2 * spatial**2)).exp_()
            above[here] += weight * near
            total[here] += weight
    return (above / total).permute(1, 2, 0)


def load():
    return pictures.noisy("china.jpg", NOISE), SPATIAL, TONAL


def tiny(rng):
    return rng.uniform(0, 255, (9, 11, 3)).astype(np.float32), SPATIAL, TONAL


def see(result, arguments):
    return pictures.told("china.jpg", arguments[0], result, "bilateral.png")


PROGRAM = Program("bilateral filter", "a photograph of 427 × 640", load, tiny, bilateral, with_numpy, with_torch, y,
                  see)

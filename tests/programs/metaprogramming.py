"""What Python does at trace time: loops over layers, plain functions, kernels in kernels, options, dictionaries."""

from itertools import pairwise

import numpy as np

import einfall as ef
from tests.programs.program import program

i, j, k, n, d, h = ef.ranks("i j k n d h")


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def layers(rng, *widths):
    return tuple({"W": normal(rng, a, b) / 2, "bias": normal(rng, b)} for a, b in pairwise(widths))


@program(lambda rng: (normal(rng, 3, 5), layers(rng, 5, 7, 1, 4)))
@ef.kernel
def perceptron(X, layers):
    Y = X
    for depth, layer in enumerate(layers):
        y = ef.sum(Y[n, i] * layer["W"][i, j], over=i) + layer["bias"][j]
        Y = (y if depth == len(layers) - 1 else ef.tanh(y))[n, j]
    return Y


@ef.kernel
def linear(X, W, scale=1.0):
    """The ranks of this kernel are its own."""
    return (scale * ef.sum(X[i, n] * W[n, j], over=n))[i, j]


@ef.kernel
def gated(x, gate):
    return {"open": (x[n] * ef.sigmoid(gate))[n], "shut": (x[n] * ef.sigmoid(-gate))[n]}


@program(lambda rng: (normal(rng, 5, 3), normal(rng, 3, 4), normal(rng, 4, 2), 0.7))
@ef.kernel
def kernels_in_kernels(X, A, B, gate):
    hidden = linear(X, A, 2.0)
    double = (2 * hidden[n, i])[n, i]
    Y = linear(double, B, scale=gate)
    column = ef.sum(Y[n, j], over=j)[n]
    parts = gated(column, gate * 2)
    return Y, (parts["open"][n] - parts["shut"][n])[n], linear(linear(X, A), B)


def standardise(x, over, eps=1e-5):
    return (x - ef.mean(x, over=over)) * ef.rsqrt(ef.var(x, over=over) + eps)


def residual(block, depth):
    def repeated(x):
        for _ in range(depth):
            x = x + block(x)
        return x

    return repeated


@program(lambda rng: ((rng.standard_normal((4, 6)),), {"power": 3, "mode": "columns", "centred": False}))
@ef.kernel
def options(X, *, power=2, mode="rows", centred=True, names=("first", "second")):
    along, kept = (j, i) if mode == "rows" else (i, j)
    x = standardise(X[i, j], along) if centred else X[i, j]
    norm = ef.sum(ef.abs(x) ** power, over=along) ** (1 / power)
    wave = residual(ef.sin, 3)(x)
    return {names[0]: norm[kept], names[1]: (standardise(wave, along, eps=0.1) + standardise(wave, (i, j)))[i, j]}


@program(lambda rng: (
    normal(rng, 2, 3),
    {"W": {gate: normal(rng, 3, 4) for gate in "rzn"}, "U": {gate: normal(rng, 4, 4) for gate in "rzn"}},
    (normal(rng, 4, 2).T, (normal(rng, 4), normal(rng, 4))),
    0.5,
))
@ef.kernel
def gated_unit(X, weights, state, step):
    hidden, biases = state

    def affine(gate, value):
        from_input = ef.sum(X[n, d] * weights["W"][gate][d, h], over=d)
        return from_input + ef.sum(value[n, k] * weights["U"][gate][k, h], over=k)

    r = ef.sigmoid(affine("r", hidden) + biases[0][h])
    z = ef.sigmoid(affine("z", hidden) + biases[1][h])
    candidate = ef.tanh(affine("n", (r * hidden[n, h])[n, h]))
    new = hidden[n, h] + step * z * (candidate - hidden[n, h])
    return {"state": new[n, h], "reset": r[n, h], "update": z[h, n]}


@program(lambda rng: (rng.standard_normal((4, 4)), rng.standard_normal(4)))
@ef.kernel
def captures(A, x):
    S = ef.sum(A[i, k], over=k)[i]
    R = (S[k] * A[i, k] + S[i])[i, k]
    skew = R[i, k] - R[k, i]
    nested = ef.sum(x[i] * ef.sum(x[i] * A[j, i], over=i), over=i)
    shadow = ef.max(A[i, k] + ef.max(A[k, i], over=i), over=k)
    shifted = ef.where(i + k < 4, R[i + k, k], -x[i])
    T = ef.sum(ef.where(k <= i, A[i, k], 0.0), over=k)[i]
    for _ in range(2):
        T = ef.sum(A[k, i] * T[i], over=i)[k]
    return skew[k, i], nested[j], (x[i] * shadow)[i], shifted[i, k], T, ef.sum(R[k, k] * T[k], over=k)[()]

"""What Python does at trace time: loops over layers, plain functions, kernels in kernels, options, dictionaries."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def perceptron(X, layers):
    Y = X.astype(np.float64)
    for depth, layer in enumerate(layers):
        Y = Y @ layer["W"].astype(np.float64) + layer["bias"]
        if depth < len(layers) - 1:
            Y = np.tanh(Y)
    return Y


def kernels_in_kernels(X, A, B, gate):
    X, A, B = (array.astype(np.float64) for array in (X, A, B))
    Y = gate * (2 * (2 * (X @ A))) @ B
    column = Y.sum(1)
    return Y, column * sigmoid(2 * gate) - column * sigmoid(-2 * gate), X @ A @ B


def standardised(x, eps):
    return (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + eps)


def options(X, *, power, mode, centred):
    """Written for the options that its inputs have: the norm of order three of each column."""
    assert (power, mode, centred) == (3, "columns", False)
    norm = np.array([(np.abs(column) ** 3).sum() ** (1 / 3) for column in X.T])
    wave = X
    for _ in range(3):
        wave = wave + np.sin(wave)
    columns = np.stack([standardised(column, 0.1) for column in wave.T], axis=1)
    return {"first": norm, "second": columns + standardised(wave, 1e-5)}


def gated_unit(X, weights, state, step):
    X, hidden = X.astype(np.float64), state[0].astype(np.float64)
    W = {gate: weights["W"][gate].astype(np.float64) for gate in "rzn"}
    U = {gate: weights["U"][gate].astype(np.float64) for gate in "rzn"}
    r = sigmoid(X @ W["r"] + hidden @ U["r"] + state[1][0])
    z = sigmoid(X @ W["z"] + hidden @ U["z"] + state[1][1])
    candidate = np.tanh(X @ W["n"] + (r * hidden) @ U["n"])
    new = hidden + step * z * (candidate - hidden)
    return {"state": new, "reset": r, "update": z.T}


def captures(A, x):
    S = A.sum(1)
    R = np.array([[S[k] * A[i, k] + S[i] for k in range(4)] for i in range(4)])
    skew = np.array([[R[i, k] - R[k, i] for i in range(4)] for k in range(4)])
    nested = np.array([x.sum() * sum(x[i] * A[j, i] for i in range(4)) for j in range(4)])
    shadow = np.array([x[i] * max(A[i, k] + max(A[k]) for k in range(4)) for i in range(4)])
    shifted = np.array([[R[i + k, k] if i + k < 4 else -x[i] for k in range(4)] for i in range(4)])
    T = np.array([sum(A[i, k] for k in range(i + 1)) for i in range(4)])
    T = A @ (A @ T)
    return skew, nested, shadow, shifted, T, np.array(sum(R[k, k] * T[k] for k in range(4)))

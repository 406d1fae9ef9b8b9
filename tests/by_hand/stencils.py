"""Stencils and convolutions: affine accesses, padding, guards, extents given and solved."""

import numpy as np


def convolution_1d(X, W, bias, Z):
    X, W, bias, Z = (array.astype(np.float64) for array in (X, W, bias, Z))
    valid, dilated, flipped = np.zeros((2, 4, 11 - 4 + 1)), np.zeros((2, 4, 1)), np.zeros((2, 3, 4))
    for n, o in np.ndindex(2, 4):
        for t in range(valid.shape[2]):
            valid[n, o, t] = bias[o] + sum(X[n, c, t + r] * W[o, c, r] for c in range(3) for r in range(4))
        dilated[n, o, 0] = sum(X[n, c, 3 * r] * W[o, c, r] for c in range(3) for r in range(4))
        for t in range(3):
            flipped[n, t, o] = sum(Z[n, c, t + 3 - r] * W[o, c, r] for c in range(3) for r in range(4))
    return valid, dilated, flipped


def at(X, y, x, outside=0.0):
    """X[y, x], or the value outside."""
    return float(X[y, x]) if 0 <= y < X.shape[0] and 0 <= x < X.shape[1] else outside


def convolution_2d(X, W, Z):
    strided, blurred = np.zeros((2, 2, 4, 9)), np.zeros((7, 9))
    for n, o, y, x, c, r, s in np.ndindex(2, 2, 4, 9, 3, 3, 3):
        strided[n, o, y, x] += at(X[n, c], 2 * y + r - 1, x + 2 * s - 2) * float(W[o, c, r, s])
    for y, x, r in np.ndindex(7, 9, 3):
        blurred[y, x] += at(Z, x + r - 1, y, -1.0) * float(Z[x, y])
    return strided, blurred


def transposed_convolution(X, W, a, b):
    spread = np.zeros((2, 3, 12))
    for n, o, i, r in np.ndindex(2, 3, 5, 4):
        spread[n, o, 2 * i + r] += float(X[n, i]) * float(W[o, r])
    return spread, np.convolve(a, b)


def pooling(X, N):
    X = X.astype(np.float64)
    largest, mean = np.zeros((2, 3, 3)), np.zeros((2, 3, 3))
    for n, y, x in np.ndindex(2, 3, 3):
        window = X[n, 2 * y : 2 * y + 3, 3 * x : 3 * x + 2]
        largest[n, y, x], mean[n, y, x] = window.max(), window.sum() / 6
    whole = np.array([[N[2 * y : 2 * y + 2, x : x + 2].max() for x in range(4)] for y in range(3)])
    average = np.stack([X[:, :4].sum(1) / 4, X[:, 4:].sum(1) / 4], axis=1)
    upsampled = np.array([[[X[n, y // 2, x // 3] for x in range(4)] for y in range(3)] for n in range(2)])
    return largest, mean, whole, average, upsampled


def bilateral_filter(X, spatial, tonal):
    result = np.zeros((5, 3))
    for y, x in np.ndindex(5, 3):
        above = below = 0.0
        for r, s in np.ndindex(5, 5):
            weight = np.exp(-((r - 2) ** 2 + (s - 2) ** 2) / (2 * spatial**2))
            weight *= np.exp(-((X[y + r, x + s] - X[y + 2, x + 2]) ** 2) / (2 * tonal**2))
            above, below = above + weight * X[y + r, x + s], below + weight
        result[y, x] = above / below
    return result


def heat_equation(U, alpha, *, steps):
    for _ in range(steps):
        new = np.zeros(U.shape)
        for y, x in np.ndindex(U.shape):
            neighbours = at(U, y - 1, x) + at(U, y + 1, x) + at(U, y, x - 1) + at(U, y, x + 1)
            new[y, x] = U[y, x] + alpha * (neighbours - 4 * U[y, x])
        U = new
    return U


def game_of_life(board, *, steps):
    for _ in range(steps):
        new = np.zeros_like(board)
        for y, x in np.ndindex(board.shape):
            alive = sum(at(board, y + r, x + s) for r in (-1, 0, 1) for s in (-1, 0, 1) if (r, s) != (0, 0))
            new[y, x] = alive == 3 or (alive == 2 and board[y, x] == 1)
        board = new
    return board


def finite_differences(u, v, M):
    I, J = len(u), len(v)
    forward = np.array([u[i + 1] - u[i] for i in range(I - 1)])
    second = np.array([u[i - 1] - 2 * u[i] + u[i + 1] if 0 < i < I - 1 else 0.0 for i in range(I)])
    before = np.array([v[i - 1] if i >= 1 and M[i] else v[i] for i in range(J)])
    far = np.array([v[i + 4] if i + 4 < J else -v[i] for i in range(J)])
    return forward, second, before, far, np.array([u[2 * i] * u[I - 4 + i] for i in range(4)])


def morphology(X, W, E):
    opened = np.zeros(9)
    for t in range(9):
        if X[t] > 0:
            opened[t] = max(X[t + r - 1] + W[r] for r in range(3) if 0 <= t + r - 1 < 9)
        else:
            opened[t] = min(X[t - r + 1] - W[r] for r in range(3) if 0 <= t - r + 1 < 9)
    return opened, np.zeros((0, 3)), np.full(3, -np.inf)

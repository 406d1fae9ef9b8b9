"""Stencils and convolutions: affine accesses, padding, guards, extents given and solved."""

import numpy as np

import einfall as ef
from tests.programs.program import program

n, c, o, r, s, t, i, x, y = ef.ranks("n c o r s t i x y")


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


@program(lambda rng: (normal(rng, 2, 3, 11), normal(rng, 4, 3, 4), normal(rng, 4), normal(rng, 2, 3, 12)[:, :, ::-2]))
@ef.kernel
def convolution_1d(X, W, bias, Z):
    valid = ef.sum(X[n, c, t + r] * W[o, c, r], over=(c, r)) + bias[o]
    dilated = ef.sum(X[n, c, 2 * t + 3 * r] * W[o, c, r], over=(c, r))
    flipped = ef.sum(Z[n, c, t + 3 - r] * W[o, c, r], over=(c, r))
    return valid[n, o, t], dilated[n, o, t], flipped[n, t, o]


@program(lambda rng: (normal(rng, 2, 3, 7, 9), normal(rng, 2, 3, 3, 3), normal(rng, 7, 9).T))
@ef.kernel
def convolution_2d(X, W, Z):
    row, column = y.of((X.shape[2] + 1) // 2), x.of(X.shape[3])
    strided = ef.sum(X.pad(0.0)[n, c, 2 * row + r - 1, column + 2 * s - 2] * W[o, c, r, s], over=(c, r, s))
    blurred = ef.sum(Z.pad(-1.0)[x + r.of(3) - 1, y] * Z[x, y], over=r)
    return strided[n, o, y, x], blurred[y, x]


@program(lambda rng: (normal(rng, 2, 5), normal(rng, 3, 4), rng.standard_normal(6), rng.standard_normal(4)))
@ef.kernel
def transposed_convolution(X, W, a, b):
    spread = ef.where(t.of(12) == 2 * i + r, X[n, i] * W[o, r], 0)
    polynomial = ef.where(t.of(9) == i + r, a[i] * b[r], 0.0)
    return ef.sum(spread, over=(i, r))[n, o, t], ef.sum(polynomial, over=(r, i))[t]


@program(lambda rng: (normal(rng, 2, 8, 9), rng.integers(-99, 99, (6, 5), dtype=np.int32)))
@ef.kernel
def pooling(X, N):
    window = X[n, 2 * y + r.of(3), 3 * x + s.of(2)]
    largest = ef.max(N[2 * y + r.of(2), x + s.of(2)], over=(r, s))
    average = ef.mean(X[n, (y, r.of(4)), x], over=r)
    upsampled = X[n, y.of(3) // 2, x.of(4) // 3]
    maximum, mean = ef.max(window, over=(r, s)), ef.mean(window, over=(r, s))
    return maximum[n, y, x], mean[n, y, x], largest[y, x], average[n, y, x], upsampled[n, y, x]


@program(lambda rng: (rng.random((9, 7)), 1.5, 0.3))
@ef.kernel
def bilateral_filter(X, spatial, tonal):
    near, centre = X[y.of(5) + r.of(5), x.of(3) + s.of(5)], X[y.of(5) + 2, x.of(3) + 2]
    distance = ((r - 2) ** 2 + (s - 2) ** 2) / (2 * spatial**2) + (near - centre) ** 2 / (2 * tonal**2)
    weight = ef.exp(-distance)
    return (ef.sum(weight * near, over=(r, s)) / ef.sum(weight, over=(r, s)))[y, x]


@program(lambda rng: ((rng.standard_normal((6, 5)), 0.2), {"steps": 3}))
@ef.kernel
def heat_equation(U, alpha, *, steps):
    for _ in range(steps):
        P = U.pad(0.0)
        neighbours = P[y - 1, x] + P[y + 1, x] + P[y, x - 1] + P[y, x + 1]
        U = (U[y, x] + alpha * (neighbours - 4 * U[y, x]))[y, x]
    return U


@program(lambda rng: ((rng.integers(0, 2, (7, 6), dtype=np.int32),), {"steps": 2}))
@ef.kernel
def game_of_life(board, *, steps):
    for _ in range(steps):
        alive = ef.sum(board.pad(0)[y + r.of(3) - 1, x + s.of(3) - 1], over=(r, s)) - board[y, x]
        board = ef.where((alive == 3) | ((alive == 2) & (board[y, x] == 1)), 1, 0).astype(ef.i32)[y, x]
    return board


@program(lambda rng: (rng.standard_normal((3, 8)).T[:, 1], rng.standard_normal(6), rng.random(6) < 0.5))
@ef.kernel
def finite_differences(u, v, M):
    forward = u[1:][t] - u[:-1][t]
    inside = (i > 0) & (i < i.extent - 1)
    second = ef.where(inside, u[i - 1] - 2 * u[i] + u[i + 1], 0.0)
    before = ef.where((x >= 1) & M[x], v[x - 1], v[x])
    far = ef.where(x + 4 < x.extent, v[x + 4], -v[x])
    return forward[t], second[i], before[x], far[x], (u[::2][s] * u[-4:][s])[s]


@program(lambda rng: (rng.standard_normal(9), rng.uniform(-1, 0, 3), np.zeros((0, 5))))
@ef.kernel
def morphology(X, W, E):
    dilation = ef.max(X.pad(-ef.inf)[t + r - 1] + W[r], over=r)
    erosion = ef.min(X.pad(ef.inf)[t - r + 1] - W[r], over=r)
    nothing = ef.sum(E[n, x + s.of(3)], over=s)
    opened = ef.where(X[t] > 0, dilation, erosion)
    return opened[t], nothing[n, x], ef.max(nothing, over=n)[x]

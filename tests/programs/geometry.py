"""Kernels between points: distances, neighbours, clusters, transport."""

import numpy as np

import einfall as ef
from tests.programs.program import program

i, j, k, d, c = ef.ranks("i j k d c")


@program(lambda rng: (rng.standard_normal((7, 3)), rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), 0.8))
@ef.kernel
def gaussian_matvec(X, Y, B, sigma):
    distance = ef.sum((X[i, d] - Y[j, d]) ** 2, over=d)
    K = ef.exp(-distance / (2 * sigma**2))
    smooth = ef.sum(K * B[j, c], over=j)
    return smooth[i, c], (smooth / ef.sum(K, over=j))[i, c]


@program(lambda rng: (
    rng.standard_normal((3, 6), dtype=np.float32).T,
    rng.standard_normal((1, 3), dtype=np.float32),
    rng.random((2, 5, 2)),
))
@ef.kernel
def pairwise_distances(X, Y, polygon):
    D = ef.sqrt(ef.sum((X[i, d] - Y[j, d]) ** 2, over=d))[i, j]
    chamfer = ef.mean(ef.min(D[i, j], over=j), over=i) + ef.mean(ef.min(D[i, j], over=i), over=j)
    manhattan = ef.sum(ef.abs(X[i, d] - X[j, d]), over=d)
    cosine = ef.sum(X[i, d] * X[j, d], over=d) / ef.sqrt(ef.sum(X[i, d] ** 2, over=d) * ef.sum(X[j, d] ** 2, over=d))
    following = (k + 1) % k.extent
    area = ef.sum(polygon[c, k, 0] * polygon[c, following, 1] - polygon[c, following, 0] * polygon[c, k, 1], over=k) / 2
    return D, chamfer[()], manhattan[i, j], cosine[j, i], area[c]


@program(lambda rng: (
    rng.standard_normal((9, 2), dtype=np.float32),
    rng.standard_normal((6, 2), dtype=np.float32),
    rng.integers(0, 99, 6),
))
@ef.kernel
def nearest_label(X, Y, label):
    nearest = ef.argmax(-ef.sum((X[i, d] - Y[j, d]) ** 2, over=d), over=j)
    return label[nearest][i], nearest[i], (X[i, d] - Y[nearest, d])[i, d]


def clusters(rng):
    """Points, and centroids of which the last is far from all of them."""
    centroids = rng.standard_normal((4, 2))
    centroids[3] = 100.0
    return rng.standard_normal((11, 2)), centroids


@program(clusters)
@ef.kernel
def kmeans_step(X, C):
    nearest = ef.argmax(-ef.sum((X[i, d] - C[c, d]) ** 2, over=d), over=c)
    total = ef.sum(ef.where(nearest == c, X[i, d], 0), over=i)
    count = ef.sum(ef.where(nearest == c, 1, 0), over=i)
    return ef.where(count > 0, total / count, C[c, d])[c, d], count[c], nearest[i]


@program(lambda rng: ((rng.random((5, 7)), np.full(5, 1 / 5), rng.dirichlet(np.ones(7)), 0.3), {"steps": 4}))
@ef.kernel
def sinkhorn(cost, a, b, epsilon, *, steps):
    K = ef.exp(-cost[i, j] / epsilon)[i, j]
    u = (a[i] / ef.sum(K[i, j], over=j))[i]
    for _ in range(steps):
        v = (b[j] / ef.sum(K[i, j] * u[i], over=i))[j]
        u = (a[i] / ef.sum(K[i, j] * v[j], over=j))[i]
    plan = u[i] * K[i, j] * v[j]
    return plan[i, j], ef.sum(plan * cost[i, j], over=(i, j))[()]

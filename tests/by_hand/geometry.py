"""Kernels between points: distances, neighbours, clusters, transport."""

import numpy as np


def squares(X, Y):
    """Squared Euclidean distances."""
    X, Y = X.astype(np.float64), Y.astype(np.float64)
    return np.array([[sum((x - y) ** 2) for y in Y] for x in X])


def gaussian_matvec(X, Y, B, sigma):
    K = np.exp(-squares(X, Y) / (2 * sigma**2))
    return K @ B, (K @ B) / K.sum(1)[:, None]


def pairwise_distances(X, Y, polygon):
    D = np.sqrt(squares(X, Y))
    X = X.astype(np.float64)
    manhattan = np.array([[sum(abs(x - y)) for y in X] for x in X])
    cosine = np.array([[x @ y / np.sqrt(x @ x) / np.sqrt(y @ y) for y in X] for x in X])
    area = np.zeros(2)
    for c, k in np.ndindex(2, 5):
        (x, y), (x_next, y_next) = polygon[c, k], polygon[c, (k + 1) % 5]
        area[c] += (x * y_next - x_next * y) / 2
    return D, np.array(D.min(1).mean() + D.min(0).mean()), manhattan, cosine, area


def nearest_label(X, Y, label):
    nearest = np.array([min(range(len(row)), key=row.__getitem__) for row in squares(X, Y)])
    return label[nearest], nearest, X.astype(np.float64) - Y.astype(np.float64)[nearest]


def kmeans_step(X, C):
    nearest = np.array([min(range(len(row)), key=row.__getitem__) for row in squares(X, C)])
    new, count = C.copy(), np.zeros(len(C), dtype=np.int64)
    for c in range(len(C)):
        members = X[nearest == c]
        count[c] = len(members)
        if len(members):
            new[c] = members.sum(0) / len(members)
    return new, count, nearest


def sinkhorn(cost, a, b, epsilon, *, steps):
    K = np.exp(-cost / epsilon)
    u = a / K.sum(1)
    for _ in range(steps):
        v = b / (K.T @ u)
        u = a / (K @ v)
    plan = np.diag(u) @ K @ np.diag(v)
    return plan, np.array((plan * cost).sum())

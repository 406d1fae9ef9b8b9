"""Normalisations and losses."""

import numpy as np


def standardised(x, eps):
    return (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + eps)


def layer_norm(X, weight, bias):
    X = X.astype(np.float64)
    rows, planes = np.zeros(X.shape), np.zeros(X.shape)
    for n in range(X.shape[0]):
        planes[n] = standardised(X[n], 1e-3)
        for m in range(X.shape[1]):
            rows[n, m] = standardised(X[n, m], 1e-5) * weight + bias
    return rows, planes


def rms_norm(X, weight, eps):
    X = X.astype(np.float64)
    result = np.stack([x / np.sqrt((x**2).mean() + eps) * weight for x in X])
    return result, result.T


def group_norm(X, weight, bias):
    """Six channels in three groups of two neighbours."""
    X = X.astype(np.float64)
    normed, mean, var = np.zeros(X.shape), np.zeros((2, 3)), np.zeros((3, 2))
    for n, g in np.ndindex(2, 3):
        group = X[n, 2 * g : 2 * g + 2]
        mean[n, g], var[g, n] = group.mean(), ((group - group.mean()) ** 2).mean()
        for c in (2 * g, 2 * g + 1):
            normed[n, c] = (X[n, c] - mean[n, g]) / np.sqrt(var[g, n] + 1e-5) * float(weight[c]) + float(bias[c])
    return normed, mean, var


def cross_entropy(logits, target):
    logits = logits.astype(np.float64)
    loss, correct = np.zeros(len(target)), 0
    for n, label in enumerate(target):
        if label >= 0:
            loss[n] = -np.log(np.exp(logits[n, label]) / np.exp(logits[n]).sum())
            correct += int(logits[n, label] == logits[n].max())
    return loss, np.array(loss.sum() / (target >= 0).sum()), np.int64(correct)


def divergences(P, Q):
    kullback_leibler, entropy, jensen_shannon = np.zeros(len(P)), np.zeros(len(P)), np.zeros(len(P))
    for n, v in np.ndindex(P.shape):
        p, q = P[n, v], Q[n, v]
        jensen_shannon[n] += 0.5 * q * np.log(2 * q / (p + q))
        if p > 0:
            kullback_leibler[n] += p * np.log(p / q)
            entropy[n] -= p * np.log(p)
            jensen_shannon[n] += 0.5 * p * np.log(2 * p / (p + q))
    return kullback_leibler, entropy, jensen_shannon, np.array(kullback_leibler.mean())


def focal_and_smoothed(logits, target, gamma, smoothing):
    logits = logits.astype(np.float64)
    focal, smoothed = np.zeros(len(target)), 0.0
    for n, label in enumerate(target):
        p = np.exp(logits[n]) / np.exp(logits[n]).sum()
        focal[n] = -((1 - p[label]) ** gamma) * np.log(p[label])
        wanted = np.full(len(p), smoothing / len(p))
        wanted[label] += 1 - smoothing
        smoothed -= (wanted * np.log(p)).sum() / len(target)
    return focal, np.array(smoothed)


def contrastive_loss(X, Y, temperature):
    X, Y = X.astype(np.float64), Y.astype(np.float64)
    S = np.zeros((len(X), len(Y)))
    for n, m in np.ndindex(S.shape):
        S[n, m] = X[n] @ Y[m] / np.sqrt(X[n] @ X[n]) / np.sqrt(Y[m] @ Y[m]) / temperature
    rows = [np.log(np.exp(S[n]).sum()) - S[n, n] for n in range(len(S))]
    columns = [np.log(np.exp(S[:, n]).sum()) - S[n, n] for n in range(len(S))]
    return np.array((np.mean(rows) + np.mean(columns)) / 2), S

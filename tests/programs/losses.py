"""Normalisations and losses."""

import numpy as np

import einfall as ef
from tests.programs.program import program

n, m, c, d, g, v, x, y = ef.ranks("n m c d g v x y")


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


@program(lambda rng: (normal(rng, 3, 4, 7).transpose(1, 0, 2), normal(rng, 7), normal(rng, 7)))
@ef.kernel
def layer_norm(X, weight, bias):
    normed = ef.layer_norm(X[n, m, d], over=d, eps=1e-5) * weight[d] + bias[d]
    return normed[n, m, d], ef.layer_norm(X[n, m, d], over=(m, d), eps=1e-3)[n, m, d]


@program(lambda rng: (normal(rng, 5, 9), normal(rng, 18)[::2], 1e-6))
@ef.kernel
def rms_norm(X, weight, eps):
    scale = ef.rsqrt(ef.mean(X[n, d] ** 2, over=d) + eps)
    return (ef.rms_norm(X[n, d], over=d, eps=1e-6) * weight[d])[n, d], (X[n, d] * scale * weight[d])[d, n]


@program(lambda rng: (normal(rng, 2, 6, 5, 3), normal(rng, 6), normal(rng, 6)))
@ef.kernel
def group_norm(X, weight, bias):
    G = X[n, (g.of(3), c), y, x]
    mean, var = ef.mean(G, over=(c, y, x)), ef.var(G, over=(c, y, x))
    normed = (G - mean) / ef.sqrt(var + 1e-5) * weight[(g.of(3), c),] + bias[(g.of(3), c),]
    return normed[n, (g, c), y, x], mean[n, g], var[g, n]


def labelled(rng):
    """Logits and labels, of which -1 says that there is none."""
    targets = rng.integers(0, 7, 9)
    targets[[2, 5]] = -1
    return normal(rng, 9, 7), targets


@program(labelled)
@ef.kernel
def cross_entropy(logits, target):
    valid = target[n] >= 0
    loss = ef.where(valid, ef.logsumexp(logits[n, v], over=v) - logits[n, target[n]], 0.0)
    count = ef.sum(ef.where(valid, 1, 0), over=n)
    correct = ef.where(ef.argmax(logits[n, v], over=v) == target[n], 1, 0)
    return loss[n], (ef.sum(loss, over=n) / count)[()], ef.sum(correct, over=n)[()]


def distributions(rng):
    P, Q = rng.dirichlet(np.ones(6), 4), rng.dirichlet(np.ones(6), 4)
    P[1, :5], P[1, 5] = 0.0, 1.0
    return P, Q


@program(distributions)
@ef.kernel
def divergences(P, Q):
    p, q = P[n, v], Q[n, v]
    kullback_leibler = ef.sum(ef.where(p > 0, p * ef.log(p / q), 0.0), over=v)
    entropy = -ef.sum(ef.where(p > 0, p * ef.log(p), 0.0), over=v)
    middle = (p + q) / 2
    jensen_shannon = 0.5 * ef.sum(ef.where(p > 0, p * ef.log(p / middle), 0.0) + q * ef.log(q / middle), over=v)
    return kullback_leibler[n], entropy[n], jensen_shannon[n], ef.mean(kullback_leibler, over=n)[()]


@program(lambda rng: (normal(rng, 6, 5), rng.integers(0, 5, 6, dtype=np.int32), 2.0, 0.1))
@ef.kernel
def focal_and_smoothed(logits, target, gamma, smoothing):
    logp = ef.log_softmax(logits[n, v], over=v)[n, v]
    true = logp[n, target[n]]
    focal = -((1 - ef.exp(true)) ** gamma) * true
    wanted = ef.where(v == target[n], 1 - smoothing, 0.0) + smoothing / v.extent
    return focal[n], ef.mean(-ef.sum(wanted * logp[n, v], over=v), over=n)[()]


@program(lambda rng: (normal(rng, 5, 8), normal(rng, 5, 8), 0.2))
@ef.kernel
def contrastive_loss(X, Y, temperature):
    U = (X[n, d] / ef.sqrt(ef.sum(X[n, d] ** 2, over=d)))[n, d]
    W = (Y[n, d] / ef.sqrt(ef.sum(Y[n, d] ** 2, over=d)))[n, d]
    S = (ef.sum(U[n, d] * W[m, d], over=d) / temperature)[n, m]
    rows = ef.mean(ef.logsumexp(S[n, m], over=m) - S[n, n], over=n)
    columns = ef.mean(ef.logsumexp(S[m, n], over=m) - S[n, n], over=n)
    return ((rows + columns) / 2)[()], S

"""Text typed carelessly, and the likeliest text behind it: Viterbi's path through pairs of letters.

Each letter is what was meant, or one beside it; which letters follow which, the manual says. The best score of each
letter at each place is a definition that reads itself one place earlier; the path follows its pointers backwards.
"""

import functools
import itertools
import re

import numpy as np

import einfall as ef
from demo import manual
from demo.program import Program

b, t, s, r = ef.ranks("b t s r")
LETTERS = " abcdefghijklmnopqrstuvwxyz"
ROWS = "qwertyuiop", "asdfghjkl", "zxcvbnm"
LINES, LENGTH, WRONG = 400, 120, 0.15
CHECKED = 3  # lines; the reference takes half a second for each


@ef.kernel
def path(typed, follows, slips):
    """The letters behind each line, from log-probabilities: follows[s, r] of r after s, slips[r, c] of typing c."""
    ef.assume((typed[b, t] >= 0) & (typed[b, t] < len(LETTERS)))  # so that no index is looked at again
    L = slips[r, typed[b, t]][b, t, r]
    V = ef.tensor()
    V[b, t, r] = ef.where(t == 0, 0.0, ef.max(V[b, t - 1, s] + follows[s, r], over=s)) + L[b, t, r]
    length = typed.shape[1]
    last = ef.argmax(V[b, length - 1, s], over=s)[b]
    back = ef.argmax(V.pad(0.0)[b, t, s] + follows[s, r], over=s)[b, t, r]  # of a letter at t + 1 the one at t
    letter = ef.scan(lambda here: ef.where(t == length - 1, last[b], back[b, t, here]), over=t, init=0, reverse=True)
    return letter[b, t], ef.max(V[b, length - 1, s], over=s)[b]


def with_numpy(typed, follows, slips):
    emitted = slips[:, typed].transpose(1, 2, 0)
    best, backs = emitted[:, 0], []
    for place in range(1, typed.shape[1]):
        ways = best[:, :, None] + follows
        backs.append(ways.argmax(1))
        best = ways.max(1) + emitted[:, place]
    letters = [best.argmax(1)]
    for back in reversed(backs):
        letters.append(np.take_along_axis(back, letters[-1][:, None], axis=1)[:, 0])
    return np.stack(letters[::-1], axis=1), best.max(1)


def with_torch(typed, follows, slips):
    import torch

    emitted = slips[:, typed].permute(1, 2, 0)
    best, backs = emitted[:, 0], []
    for place in range(1, typed.shape[1]):
        high, back = (best[:, :, None] + follows).max(1)
        backs.append(back)
        best = high + emitted[:, place]
    score, last = best.max(1)
    letters = [last]
    for back in reversed(backs):
        letters.append(back.gather(1, letters[-1][:, None])[:, 0])
    return torch.stack(letters[::-1], 1), score


@functools.cache
def codes() -> np.ndarray:
    """The manual in small letters and blanks, as numbers."""
    text = re.sub("[^a-z]+", " ", manual.text().lower())
    return np.array([LETTERS.index(letter) for letter in text])


@functools.cache
def beside() -> list[list[int]]:
    """The letters beside each one on the keys; a blank has none."""
    found = [[] for _ in LETTERS]
    for row in ROWS:
        for one, other in itertools.pairwise(row):
            found[LETTERS.index(one)].append(LETTERS.index(other))
            found[LETTERS.index(other)].append(LETTERS.index(one))
    return found


def slips() -> np.ndarray:
    """The logarithm of how often a letter (row) is typed as another (column)."""
    made = np.full((len(LETTERS), len(LETTERS)), 1e-6)
    for letter, others in enumerate(beside()):
        made[letter, letter] = 1 - (WRONG if others else 0)
        made[letter, others] = WRONG / max(len(others), 1)
    return np.log(made).astype(np.float32)


def pairs(text: np.ndarray) -> np.ndarray:
    """The logarithm of how often one letter follows another."""
    counts = np.ones((len(LETTERS), len(LETTERS)))
    np.add.at(counts, (text[:-1], text[1:]), 1)
    return np.log(counts / counts.sum(1, keepdims=True)).astype(np.float32)


@functools.cache
def meant() -> np.ndarray:
    """The last lines of the manual; the pairs are counted in what stands before them."""
    return codes()[-LINES * LENGTH:].reshape(LINES, LENGTH)


def mistyped(lines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The lines with some letters replaced by one beside them."""
    typed = lines.copy()
    for place in np.argwhere(rng.random(lines.shape) < WRONG):
        others = beside()[lines[tuple(place)]]
        if others:
            typed[tuple(place)] = others[rng.integers(len(others))]
    return typed


def load():
    return mistyped(meant(), np.random.default_rng(0)), pairs(codes()[:-LINES * LENGTH]), slips()


def tiny(rng):
    return rng.integers(0, len(LETTERS), (3, 11)), pairs(rng.integers(0, len(LETTERS), 300)), slips()


def see(result, arguments):
    typed, right = arguments[0], meant()
    line = "".join(LETTERS[code] for code in typed[0][:32])
    found = "".join(LETTERS[code] for code in result[0][0][:32])
    return (f"{(typed == right).mean():.1%} of the letters right before, {(result[0] == right).mean():.1%} after: "
            f"“{line}” → “{found}”")


PROGRAM = Program("mistyped text", f"{LINES} lines, 27 letters", load, tiny, path, with_numpy, with_torch, CHECKED,
                  see)

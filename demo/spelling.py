"""Misspelt words, and the words of a dictionary that are nearest: Levenshtein's distance in one kernel.

A scan goes along the letters of the misspelt word and carries a row of the table; within a row the cheapest way from
the left is a running minimum.
"""

import functools

import numpy as np

import einfall as ef
from demo import manual
from demo.program import Program

w, v, a, b = ef.ranks("w v a b")
WORDS, LONGEST, LETTERS = 64, 16, "abcdefghijklmnopqrstuvwxyz"


@ef.kernel
def nearest(A, a_length, B, b_length):
    def row(s):
        kept = ef.where(b > 0, s[b - 1] + ef.where(A[w, a] == B[v, b - 1], 0, 1), a + 1)
        changed = ef.minimum(s[b] + 1, kept)
        return ef.where(a < a_length[w], b + ef.cummin(changed - b, over=b), s[b])

    last = ef.scan(row, over=a, init=b.of(B.shape[1] + 1) + 0, state=(b,), last=True)
    distance = ef.sum(ef.where(b == b_length[v], last, 0), over=b)[w, v]
    best = ef.argmin(distance[w, v], over=v)
    return best[w], ef.min(distance[w, v], over=v)[w]


def with_numpy(A, a_length, B, b_length):
    row = [np.full((len(A), len(B)), b, np.int16) for b in range(B.shape[1] + 1)]
    for a in range(A.shape[1]):
        new = [np.full_like(row[0], a + 1)]
        for b in range(B.shape[1]):
            kept = row[b] + (A[:, a, None] != B[:, b])
            new.append(np.minimum(np.minimum(row[b + 1], new[b]) + np.int16(1), kept))
        reads = (a < a_length)[:, None]
        row = [np.where(reads, after, before) for after, before in zip(new, row)]
    distance = np.take_along_axis(np.stack(row), b_length[None, None].astype(np.int64), axis=0)[0]
    return distance.argmin(1), distance.min(1).astype(np.int64)


def with_torch(A, a_length, B, b_length):
    import torch

    row = [torch.full((len(A), len(B)), b, dtype=torch.int16) for b in range(B.shape[1] + 1)]
    for a in range(A.shape[1]):
        new = [torch.full_like(row[0], a + 1)]
        for b in range(B.shape[1]):
            kept = row[b] + (A[:, a, None] != B[:, b])
            new.append(torch.minimum(torch.minimum(row[b + 1], new[b]) + 1, kept))
        reads = (a < a_length)[:, None]
        row = [torch.where(reads, after, before) for after, before in zip(new, row)]
    places = b_length.long().expand(1, len(A), -1)
    distance = torch.stack(row).gather(0, places)[0]
    return distance.argmin(1), distance.amin(1).long()


def coded(words) -> tuple[np.ndarray, np.ndarray]:
    """The letters of words as numbers, 0 after the end, and the lengths."""
    codes = np.zeros((len(words), LONGEST), np.int32)
    for place, word in enumerate(words):
        codes[place, :len(word)] = np.frombuffer(word.encode(), np.uint8)
    return codes, np.array([len(word) for word in words], np.int32)


def misspelt(word: str, rng: np.random.Generator) -> str:
    """A letter dropped, doubled, or replaced, or two exchanged."""
    at = int(rng.integers(len(word) - 1))
    head, one, two, tail = word[:at], word[at], word[at + 1], word[at + 2:]
    wrong = LETTERS[rng.integers(26)]
    return (head + [two, one + one + two, wrong + two, two + one][rng.integers(4)] + tail)[:LONGEST]


@functools.cache
def drawn() -> tuple[tuple[str, str], ...]:
    """Words of the manual, and what became of them."""
    rng = np.random.default_rng(0)
    words = [word for word in manual.words() if len(word) > 5]
    return tuple((word, misspelt(word, rng)) for word in rng.choice(words, WORDS, replace=False).tolist())


def load():
    return *coded([wrong for _, wrong in drawn()]), *coded(manual.words())


def tiny(rng):
    words = ["kitten", "sitting", "rank", "extent", "tensor", "monoid", "scan"]
    return *coded([misspelt(word, rng) for word in words[:4]]), *coded(words)


def see(result, arguments):
    found = [manual.words()[place] for place in result[0]]
    right = sum(word == meant for word, (meant, _) in zip(found, drawn()))
    examples = ", ".join(f"{wrong} → {word}" for (_, wrong), word in list(zip(drawn(), found))[:3])
    return f"{right} of {len(found)} misspelt words found again: {examples}"


PROGRAM = Program("nearest words", f"{WORDS} misspelt words", load, tiny, nearest, with_numpy, with_torch, w, see)

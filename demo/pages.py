"""Paragraphs put back on the pages of a manual they come from, over a graph of paragraphs and words.

A paragraph and a word that it holds are neighbours. Of half the paragraphs the page is told; it spreads along the
edges, to words and on to other paragraphs, and some of it always starts anew (PageRank, personalised by each page). The
graph is a sparse operand: the program is written for a dense matrix, and goes through the stored entries only.
"""

import functools
import re

import numpy as np
import scipy.sparse

import einfall as ef
from demo import manual
from demo.program import Program

i, k, c, t = ef.ranks("i k c t")
STEPS, ANEW = 12, 0.4
FEWEST, CHECKED = 8, 40  # paragraphs: pages with fewer are left out; the reference, over a dense matrix, takes so many


@ef.kernel
def spread(M, known, share, anew):
    """How much of each page is at each node; known[i] is the page of node i, or -1, share[c] what each of c gives."""
    told = ef.where(known[i] == c.of(share.shape[0]), share[c], 0.0)[i, c]
    at = ef.scan(lambda s: anew * told[i, c] + (1 - anew) * ef.sum(M[i, k] * s[k, c], over=k), over=t.of(STEPS),
                 init=told[i, c], state=(i, c), last=True)
    return at[i, c]


def with_numpy(M, known, share, anew):
    told = np.where(known[:, None] == np.arange(len(share)), share, np.float32(0))
    at, new, M = told, np.float32(anew) * told, np.float32(1 - anew) * M
    for _ in range(STEPS):
        at = M @ at
        at += new
    return at


def with_torch(M, known, share, anew):
    import torch

    told = torch.where(known[:, None] == torch.arange(len(share)), share, 0.0)
    at, new = told, anew * told
    for _ in range(STEPS):
        at = torch.addmm(new, M, at, alpha=1 - anew)
    return at


@functools.cache
def paragraphs() -> tuple[tuple[frozenset[str], ...], np.ndarray]:
    """The words of each paragraph of the manual, and its page; what stands on several pages counts on the first."""
    found = {}
    for page, text in enumerate(manual.pages()):
        for paragraph in re.split(r"\n\s*\n", text):
            held = frozenset(re.findall(r"[a-z_]{2,}", paragraph.lower()))
            if len(held) > 4:
                found.setdefault(held, page)
    pages, counts = np.unique(list(found.values()), return_counts=True)
    names = {page: number for number, page in enumerate(pages[counts >= FEWEST])}
    kept = [(held, names[page]) for held, page in found.items() if page in names]
    return tuple(held for held, _ in kept), np.array([page for _, page in kept])


def graph(held) -> scipy.sparse.csr_array:
    """Paragraphs first, then words; an edge counts more if the word is rare, and less at nodes with many edges."""
    words = {word: number for number, word in enumerate(sorted(set().union(*held)))}
    rows = np.repeat(np.arange(len(held)), [len(one) for one in held])
    columns = np.array([words[word] for one in held for word in sorted(one)])
    rarity = np.log(len(held) / np.bincount(columns)) + 1
    both = scipy.sparse.csr_array((rarity[columns], (rows, columns)), shape=(len(held), len(words)))
    whole = scipy.sparse.block_array([[None, both], [both.T, None]]).tocsr()
    scale = scipy.sparse.diags_array(1 / np.sqrt(whole.sum(axis=1)))
    return scipy.sparse.csr_array(scale @ whole @ scale).astype(np.float32)


def given(held, pages: np.ndarray) -> tuple:
    """The arguments: of every second paragraph, drawn, the page is told."""
    M = graph(held)
    M.sort_indices()
    known = np.full(M.shape[0], -1)
    told = np.random.default_rng(0).permutation(len(pages))[::2]
    known[told] = pages[told]
    sizes = np.bincount(pages[told], minlength=pages.max() + 1)
    return M, known, (1 / np.maximum(sizes, 1)).astype(np.float32), ANEW


def load():
    return given(*paragraphs())


def tiny(rng):
    words = np.array(manual.words()[:60])
    held = [frozenset(rng.choice(words, rng.integers(3, 9), replace=False).tolist()) for _ in range(20)]
    return given(held, np.arange(20) % 3)


def part(arguments):
    held, pages = paragraphs()
    chosen = np.linspace(0, len(held) - 1, CHECKED).astype(int)
    return given([held[place] for place in chosen], pages[chosen])


def see(result, arguments):
    pages, known = paragraphs()[1], arguments[1]
    asked = known[:len(pages)] < 0
    right = (result[:len(pages)].argmax(1) == pages)[asked].mean()
    common = (pages[asked] == np.bincount(pages[~asked]).argmax()).mean()
    return (f"{right:.0%} of {asked.sum()} paragraphs put on the right one of {len(arguments[2])} pages (always the "
            f"longest page: {common:.0%})")


PROGRAM = Program("pages over a graph", "paragraphs and words", load, tiny, spread, with_numpy, with_torch, c, see,
                  part)

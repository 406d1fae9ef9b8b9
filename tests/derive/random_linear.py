"""Random linear recurrences: gates, sources, feedback, starts and read-outs put together, for what chunks may meet."""

import linecache
from typing import NamedTuple

import numpy as np

import einfall as ef
from einfall.front.kernel import Kernel

__all__ = ["Random", "random_linear"]

GATES = ("", "ef.exp(-ef.abs(A[h, t])) * ", "ef.sigmoid(G[h, t, d]) * ", "ef.cos(A[h, t]) * A[h, 0] * ",
         "ef.tanh(U[h, t, e]) * ", "ef.exp(-ef.abs(A[0, t])) * ef.sigmoid(G[h, t, d]) * ", "0.75 * ",
         "ef.where(t % 3 == 1, 0.0, ef.sigmoid(A[h, t])) * ", "ef.sigmoid(A[h, 0]) * ")
SOURCES = ("K[h, t, d] * V[h, t, e]", "A[h, t] * K[h, t, d] * V[h, t, e]", "(K[h, t, d] - Q[0, t, d]) * V[h, t, e]",
           "ef.where(t > 1, K[h, t - 1, d], 0.0) * V[h, t, e]",
           "K[h, t, d] * V[h, t, e] / 2.0 - Q[h, t, d] * U[h, t, e]", "K[0, t, d] * ef.tanh(V[h, t, e])",
           "K[h, t, d] * ef.sum(V[h, t, e], over=h)")
FEEDBACK = ("", "", " - 0.5 * K[h, t, d] * ef.sum(K[h, t, c] * s[c, e], over=c)",
            " + 0.25 * A[h, t] * Q[h, t, d] * ef.sum(K[h, t, c] * s[c, e], over=c)")
STARTS = ("0.0", "0.5", "start[h, d, e]", "start[0, d, e]")
READS = ("ef.sum(Q[h, t, d] * S, over=d)[h, t, e]", "ef.sum(S, over=d)[t, h, e]",
         "(ef.sum(Q[h, t, d] * S, over=d) + V[h, t, e])[h, t, e]",
         "ef.sum(A[h, t] * Q[h, t, d] * S - K[h, t, d], over=d)[h, t, e]",
         "ef.sum(ef.where(m <= t, ef.sum(Q[h, t, d] * S, over=d)[h, t, e][h, m, e], 0.0), over=m)[h, t, e]")


class Random(NamedTuple):
    """A program with its source, and what it is called with."""

    kernel: Kernel
    source: str
    arguments: tuple


def random_linear(seed: int) -> Random:
    """The program of a seed."""
    rng = np.random.default_rng(seed)

    def pick(items):
        return items[rng.integers(len(items))]

    feedback = pick(FEEDBACK)
    gate, source = pick(GATES), pick(SOURCES)
    state = "s[d, e]" if feedback else "s"
    axes = ", state=(d, e)" if feedback or rng.random() < 0.5 else ""
    way = "".join(f", {name}=True" for name in ("exclusive", "reverse") if rng.random() < 0.3)
    start, reads = pick(STARTS), [pick(READS) for _ in range(rng.integers(1, 3))]
    scan = f"ef.scan(step, over=t, init={start}{axes}{way}"
    lines = ["@ef.kernel", "def program(Q, K, V, U, A, G, start):", "    def step(s):",
             f"        return {gate}{state} + {source}{feedback}", f"    S = {scan})"]
    if rng.random() < 0.3:
        lines.append(f"    last = {scan.replace(', exclusive=True', '')}, last=True)")
        reads.append("last[h, d, e]")
    source = "\n".join((*lines, f"    return {', '.join(reads)},")) + "\n"
    space = {"ef": ef, **dict(zip("htdecm", ef.ranks("h t d e c m")))}
    name = f"<random linear {seed}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), space)
    heads, steps, keys, values = rng.integers((1, 0, 1, 1), (4, 20, 6, 20))
    dtype = pick((np.float32, np.float64))
    shapes = [(heads, steps, keys)] * 2 + [(heads, steps, values)] * 2 + [
        (heads, max(steps, 1)), (heads, steps, keys), (heads, keys, values)]
    given = [rng.standard_normal(shape).astype(dtype) / 2 for shape in shapes]
    given[4] = given[4][:, :steps]
    return Random(space["program"], source, tuple(given))

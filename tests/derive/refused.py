"""Random programs with a reduction that is refused, in each of the ways in which the derivation refuses."""

import linecache
import random
import re
from typing import NamedTuple

import numpy as np

from einfall.front.kernel import Kernel

__all__ = ["Body", "made", "refused"]

SUMMANDS = [  # each refused in another way; in the order of the files of einfall/derive
    "x * {sign}ef.sqrt(y * m)", "x / ef.where(w > {share}, m, 0.0)", "ef.log(ef.abs(y) + t)", "ef.log(y * m)",
    "w * ef.sqrt({root} * ef.exp(x - top))", "(x * top / t) ** {high} - (m / t) ** {high} + (x * w / t - m) ** 5",
    "ef.where(x > m, y, 0.0)", "ef.where(x == top, y, {share})", "ef.exp({share} * y * m)",
    "ef.exp(ef.where(x == top, y, 0.0))", "ef.exp(ef.where(x == top, w, 0.0)) * y",
    "ef.where(x == top, y, 0.0) + w", "y - top + top",
    "w * ef.sqrt(ef.abs(x - top))", "y * ef.exp(x - m)", "(x - top) ** 9", "((x - m) / s) ** 4", "y * (x - m)",
    "ef.exp(x - top) + ef.exp(w - a) + ef.exp(x * w - b) + ef.exp(ef.tanh(x) - c) + ef.exp(ef.abs(x) - d)",
    "y * ef.exp(ef.sum(ef.exp(x * V[k, e] - ef.max(x * V[k, e], over=k)), over=e))",
    "(x - top / top) / top", "y / low", "(x - ef.sum(v * x, over=k) / ef.sum(v, over=k)) ** 2",
    "y * y / (m - top)", "y / top", "ef.where(y > m, w, 0.0)", "ef.where(w * x > m, w, y)",
    "ef.abs(x - top) * ef.exp(ef.abs(V[0, 0]) * (x - top)) * ef.exp(x - top) - (x - top)",
]
ENDS = ["return ef.sum({0}, over=k)[i]"] * 8 + [
    "return ef.sum({0}, over=k)[i], ef.sum(y * (x - top), over=k)[i]",
    "return ef.prod({sign}y - {share} * m, over=k)[i]",
    "return ef.any(y > m, over=k)[i]", "return ef.{extremum}(ef.tanh(y * m), over=k)[i]",
    "z = ef.sum((x - top) ** 2 * (w + ef.sqrt(e + {root})), over=k)\n"
    "return ef.sum(z, over=e.of(3))[i], ef.sum(z, over=e.of(4))[i], ef.sum(ef.exp(x - top), over=k)[i]"]
SHARED = {  # what a program takes of these is what it names
    "v": "w - 0.5", "m": "ef.mean(x, over=k)", "t": "ef.sqrt(ef.sum(x * x, over=k))", "top": "ef.max(x, over=k)",
    "low": "ef.min(x, over=k)", "s": "ef.sqrt(ef.mean((x - m) ** 2, over=k))", "a": "ef.max(w, over=k)",
    "b": "ef.max(x * w, over=k)", "c": "ef.max(ef.tanh(x), over=k)", "d": "ef.max(ef.abs(x), over=k)"}


class Body(NamedTuple):
    """A program of one seed, and what to call it with."""

    source: str
    kernel: Kernel
    arguments: tuple[np.ndarray, ...]


def made(source: str, filename: str) -> Kernel:
    """The kernel called `program` of a source; errors show its lines."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names: dict = {"__name__": "generated"}
    exec(compile(source, filename, "exec"), names)
    return names["program"]


def refused(seed: int) -> Body:
    """The program of a seed."""
    draw = random.Random(f"refused {seed}")
    words = {"sign": draw.choice(["", "-"]), "share": draw.choice(["0.25", "0.5", "2.0"]),
             "root": draw.choice(["2.0", "3.0", "5.0"]), "high": draw.choice(["3", "4"]),
             "extremum": draw.choice(["max", "min"])}
    end = draw.choice(ENDS).replace("{0}", draw.choice(SUMMANDS)).format(**words)
    lines = ["x = X[i, k]", "w = W[i, k]", f"y = {draw.choice(['x', 'w', 'x * w', '0.5 * x + w'])}"]
    text = "\n".join([*lines, end])
    shared = [f"{name} = {value}" for name, value in SHARED.items()
              if re.search(rf"\b{name}\b", text) or (name == "m" and re.search(r"\bs\b", text))]
    body = "\n    ".join([*lines, *shared, *end.split("\n")])
    parameters = ["X", "W"] + ["V"] * ("V[" in text)
    source = ("import einfall as ef\n\ni, k, e = ef.ranks('i k e')\n\n\n@ef.kernel\n"
              f"def program({', '.join(parameters)}):\n    {body}\n")
    rng = np.random.default_rng(seed)
    length = draw.choice([1, 2, 17, 61])
    given = [rng.standard_normal((2, length)), np.abs(rng.standard_normal((2, length))) + 0.1,
             rng.standard_normal((length, 2))]
    return Body(source, made(source, f"<refused {seed}>"), tuple(given[:len(parameters)]))

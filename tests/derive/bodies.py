"""Random dependent bodies: reductions over one rank whose bodies use earlier ones, each compared with the oracle.

    python -m tests.derive.bodies FIRST END

prints every program whose derived form disagrees with it as written, and counts of what was derived and refused.
"""

import random
import re
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from einfall.cascade.run import Fault, run
from einfall.cascade.unfold import unfold
from einfall.derive.derive import Derivation
from einfall.instruments.reach import told_rare
from tests.derive.kinds import KINDS, kinds_of
from tests.derive.once import derivation_of
from tests.derive.refused import Body, made, refused
from tests.tolerance import assert_agrees

__all__ = ["Body", "bodies", "disagreement"]

PORTIONS = (1, 3, 64)
LENGTHS = (0, 1, 2, 17, 61, 70)
STYLES = ("normal",) * 6 + ("offset", "positive", "whole", "quarters", "zeros first", "cancelling", "masked", "wide")


class _Drawer:
    """One program being drawn: what its values are called, and what is known of them."""

    def __init__(self, seed: int):
        self.draw = random.Random(seed)
        self.lines: list[str] = []
        self.late: list[tuple[str, str]] = []  # (name, kind) of values without k: any, max, min, positive
        self.extrema: list[tuple[str, str, str]] = []  # (name, element, which)
        self.has_payload = self.two = False
        self.elements = ["x"]

    def pick(self, *items):
        return self.draw.choice(items)

    def chance(self, share: float) -> bool:
        return self.draw.random() < share

    def let(self, text: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def over(self) -> str:
        return "(k, j)" if self.two else "k"

    # Bodies

    def element(self) -> str:
        return self.pick(*self.elements)

    def factor(self) -> str:
        """A factor of a body; most of them use an earlier value."""
        if not self.late or self.chance(0.15):
            x = self.element()
            return self.pick(x, f"{x} * {x}", f"ef.abs({x})", "w", "2.5", f"ef.exp(-ef.abs({x}))", "1.0")
        name, kind = self.pick(*self.late)
        if kind in ("max", "min"):
            element = next(item for other, item, _ in self.extrema if other == name)
            return self.about_extremum(name, element, kind)
        x = self.element()
        choices = [f"({x} - {name})", f"({x} - {name}) ** 2", f"({x} - {name})", name, f"({x} - {name}) ** 3",
                   f"({x} + {name})", f"(w * {name} - {x})", f"ef.abs({x} - {name})", f"ef.tanh({x} - {name})",
                   f"1.0 / (3.0 + ef.abs({x} - {name}))", f"ef.maximum({x} - {name}, 0.0)", f"({x} * {name} + 1.0)"]
        if kind == "positive":
            choices += [f"{x} / {name}", f"({x} / {name}) ** 2", f"ef.log({name})", f"({x} - ef.log({name}))",
                        f"ef.sqrt({name})", f"w / {name}", f"{x} / {name}"] * 2
        return self.pick(*choices)

    def about_extremum(self, name: str, element: str, kind: str) -> str:
        below = f"({element} - {name})" if kind == "max" else f"({name} - {element})"
        scale = self.pick("", "", "", "0.5 * ", "2.0 * ", "ef.exp(c) * ", "ef.abs(c) * ")
        other = self.element()
        return self.pick(f"ef.exp({scale}{below})", f"ef.exp({scale}{below})", f"ef.exp({scale}{below})",
                         f"ef.exp({below}) * {below}", f"({element} - {name})", f"({element} - {name}) ** 2",
                         f"ef.abs({element} - {name})", f"ef.where({element} == {name}, {other}, 0.0)",
                         f"ef.where({element} == {name}, 1.0, 0.0)", f"ef.exp2({below})",
                         f"ef.maximum({element}, {name})",
                         f"ef.expm1({below})", f"(1.0 + ef.exp({below}))", f"({other} - {name})", name,
                         f"ef.where({element} == {name}, {other} - {name}, 0.0)", f"({element} * {name})",
                         f"ef.sqrt(ef.abs({element} - {name}))", f"ef.exp({name} - {element})")

    def term(self) -> str:
        made = " * ".join(self.factor() for _ in range(self.pick(1, 1, 2, 2, 3)))
        if self.has_payload and self.chance(0.2):
            made += " * V[k, e]"
        if self.chance(0.1) and self.late:
            made = f"{made} / {self.positive()}"
        return made

    def positive(self) -> str:
        names = [name for name, kind in self.late if kind == "positive"]
        return self.pick(*names) if names else "2.0"

    def body(self) -> str:
        made = self.term()
        while self.chance(0.25):
            made += self.pick(" + ", " - ") + self.term()
        if not re.search(rf"\b(w|x|{'|'.join(self.elements)})\b", made):
            made = f"({made}) * w"
        if self.chance(0.12):
            made = f"ef.where({self.condition()}, {made}, 0.0)"
        return made

    def condition(self) -> str:
        return self.pick("k <= 2 * i + 20", "k > i", "(k >= i) & (k < i + 30)", "k % 3 == 1", "w > 0.5")

    # Reductions

    def base(self) -> None:
        """A reduction that depends on none, or a mean made of two."""
        x, over = self.element(), self.over()
        kind = self.pick("mean", "mean", "max", "max", "max", "min", "sum", "weighted", "norm", "largest", "rms",
                         "count")
        if kind in ("max", "min"):
            name = self.let(f"ef.{kind}({x}, over={over})")
            self.late.append((name, kind))
            self.extrema.append((name, x, kind))
        elif kind == "largest":
            self.late.append((self.let(f"ef.max(ef.abs({x}), over={over})"), "positive"))
        elif kind == "norm":
            self.late.append((self.let(f"ef.sqrt(ef.sum({x} * {x}, over={over}))"), "positive"))
        elif kind == "rms":
            self.late.append((self.let(f"ef.sqrt(ef.mean({x} * {x}, over={over}) + 1e-3)"), "positive"))
        elif kind == "weighted":
            self.late.append((self.let(f"ef.sum(w * {x}, over={over}) / ef.sum(w, over={over})"), "any"))
        elif kind == "count":
            self.late.append((self.let(f"ef.sum(ef.where({x} > 0.0, 1.0, 0.0), over={over})"), "any"))
        else:
            self.late.append((self.let(f"ef.{kind}({x}, over={over})"), "any"))

    def dependent(self) -> None:
        over = self.over()
        kind = self.pick("sum", "sum", "sum", "sum", "mean", "max", "min", "weighted", "ties")
        if kind == "ties" and self.extrema:
            name, x, _ = self.pick(*self.extrema)
            ties = f"ef.sum(ef.where({x} == {name}, 1, 0), over={over})"
            self.late.append((self.let(f"{ties}.astype({self.float})"), "any"))
            return
        body = self.body()
        if kind == "weighted" and self.extrema:
            name, x, which = self.pick(*self.extrema)
            p = self.let(f"ef.exp({x} - {name})" if which == "max" else f"ef.exp({name} - {x})")
            total = self.let(f"ef.sum({p}, over={over})")
            self.late.append((total, "positive"))
            self.late.append((self.let(f"ef.sum({p} * {self.element()}, over={over}) / {total}"), "any"))
            return
        kind = "sum" if kind in ("weighted", "ties") else kind
        name = self.let(f"ef.{kind}({body}, over={over})")
        positive = re.fullmatch(r"ef\.exp2?\([^*]*\)", body)
        self.late.append((name, "positive" if positive else "any"))

    def source(self) -> tuple[str, dict]:
        """The program, and the styles of its inputs."""
        self.float = self.pick("ef.f64", "ef.f64", "ef.f32")
        self.has_payload, self.two = self.chance(0.25), self.chance(0.1)
        axes = "i, k, j" if self.two else "i, k"
        x = f"ef.where(k <= 2 * i + 20, X[{axes}], -ef.inf)" if self.chance(0.08) else f"X[{axes}]"
        self.lines += [f"x = {x}", f"w = W[{axes}]"]
        if self.chance(0.2):
            self.elements.append(self.let("x * 0.5 + w"))
        if self.chance(0.3):
            self.elements.append("w")
        for _ in range(self.pick(1, 1, 1, 2, 2, 3)):
            self.base()
        for _ in range(self.pick(1, 1, 2, 2, 3)):
            self.dependent()
        results = [name for name, _ in self.late[-self.pick(1, 2, 3):]]
        used = "\n".join(self.lines)
        outputs = []
        for name in results:
            has_e = self.has_payload and "e" in _ranks(name, self.lines)
            outputs.append(f"{name}[i, e]" if has_e else f"{name}[i]")
        if self.chance(0.15) and not self.two:
            name, _ = self.late[-1]
            has_e = self.has_payload and "e" in _ranks(name, self.lines)
            outputs.append(f"(x - {name})[i, k{', e' if has_e else ''}]")
        parameters = ["X", "W"] + (["V"] if "V[" in used else []) + (["c"] if re.search(r"\bc\b", used) else [])
        body = "\n    ".join([*(["c = c[i]"] if "c" in parameters else []), *self.lines,
                              "return " + ", ".join(outputs)])
        text = ("import einfall as ef\n\ni, j, k, e = ef.ranks('i j k e')\n\n\n@ef.kernel\n"
                f"def program({', '.join(parameters)}):\n    {body}\n")
        return text, {"parameters": parameters}


def _ranks(name: str, lines: list[str]) -> set[str]:
    """Whether a value has the rank of the payload: through the lines that it is made of."""
    texts = dict(line.split(" = ", 1) for line in lines)
    seen, stack = set(), [name]
    while stack:
        item = stack.pop()
        if item in seen or item not in texts:
            continue
        seen.add(item)
        if "V[" in texts[item]:
            return {"e"}
        stack.extend(re.findall(r"\b(?:v\d+|x|w)\b", texts[item]))
    return set()


def _array(rng: np.random.Generator, style: str, shape: tuple[int, ...], dtype) -> np.ndarray:
    array = rng.standard_normal(shape)
    match style:
        case "offset":
            array += 1e3
        case "positive":
            array = np.abs(array) + 0.1
        case "whole":
            array = np.round(2 * array)
        case "quarters":
            array = np.round(4 * array) / 4
        case "zeros first":
            array[:, :rng.integers(1, 40)] = 0
        case "cancelling":
            array = np.round(2 * array) + 0.0
            array[:, 1::2] = -array[:, 0::2][:, :array[:, 1::2].shape[1]]
        case "masked":
            array[:, :rng.integers(1, 40)] = -np.inf
        case "wide":
            array *= 30
    return array.astype(dtype)


def bodies(seed: int) -> Body:
    """The program of a seed."""
    drawer = _Drawer(seed)
    source, known = drawer.source()
    rng = np.random.default_rng(seed)
    length, dtype = drawer.pick(*LENGTHS, 61, 70), np.float32 if drawer.float == "ef.f32" else np.float64
    shape = (3, length, 2) if drawer.two else (3, length)
    weights = drawer.pick("positive", "positive", "positive", *STYLES)
    given = {"X": _array(rng, drawer.pick(*STYLES), shape, dtype), "c": rng.standard_normal(3).astype(dtype),
             "W": _array(rng, "positive" if weights == "masked" else weights, shape, dtype),
             "V": rng.standard_normal((length, 2)).astype(dtype)}
    return Body(source, made(source, f"<body {seed}>"), tuple(given[name] for name in known["parameters"]))


def disagreement(body: Body, portions: tuple[int, ...] = PORTIONS) -> tuple[Derivation, str]:
    """What was derived, and where its results differ from the program as written; nothing where they agree."""
    cascade = body.kernel.trace(*body.arguments).cascade
    derivation = derivation_of(cascade)
    if not derivation.states:
        return derivation, ""
    inputs = dict(zip((item.name for item in cascade.inputs), body.arguments))
    expected = run(cascade.outputs, inputs, measure="float64")
    largest = 1 + max(np.max(np.abs(array), initial=0.0) for array in body.arguments)
    is_finite = all(np.isfinite(array).all() for array in body.arguments) and "-ef.inf" not in body.source
    for portion in portions:
        try:
            found = run(unfold(derivation.cascade, portion).outputs, inputs)
            for place, (actual, wanted) in enumerate(zip(found, expected)):
                # what is not finite stays so; whether it is infinite or no number is a matter of the order
                alike = ~np.isfinite(wanted.array) & ~np.isfinite(actual.array)
                # a bound of first order says nothing of 0 * 0, such as (x - mean)^2 of one element
                alike |= (wanted.array == 0) & (wanted.error == 0) & (np.abs(actual.array) < 1e-12 * largest)
                if not is_finite:
                    alike = ~np.isfinite(wanted.array) | ~np.isfinite(wanted.error)
                seen = np.where(alike, wanted.array, actual.array)
                assert_agrees(seen, wanted, what=f"result {place} in portions of {portion}")
        except (AssertionError, Fault) as problem:
            return derivation, str(problem)
    return derivation, ""


def _trial(seed: int) -> tuple[Counter, str]:
    """What is derived and refused of both programs of a seed, and what went wrong with them."""
    found, problems = Counter(), []
    for make in (bodies, refused):
        try:
            body = make(seed)
            derivation, problem = disagreement(body)
        except Exception as failure:
            found["exceptions"] += 1
            problems.append(f"{make.__name__}({seed}): {type(failure).__name__}: {failure}")
            continue
        for state in derivation.states:
            found.update(f"derived: {proof.rule}, rank {proof.rank}, {proof.kind}" for proof in state.proofs)
            found["derived"] += len(state.proofs)
        found.update(f"refused: {kind}" for kind in kinds_of(derivation))
        found["refused"] += len(derivation.refusals)
        found["programs with a state"] += bool(derivation.states)
        found["disagreements"] += bool(problem)
        if problem:
            problems.append(f"{make.__name__}({seed}): {problem}\n{body.source}")
    return found, "\n".join(problems)


def main(first: int, end: int) -> int:
    """Tries the programs of the seeds; the number that disagree, and 1 more where a kind of refusal is rare."""
    begin, found = time.monotonic(), Counter()
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for counts, problem in pool.map(_trial, range(first, end), chunksize=20):
            found += counts
            if problem:
                print(problem, flush=True)
    print("\n".join(f"{count:7}  {name}" for name, count in sorted(found.items())))
    failures = found["disagreements"] + found["exceptions"]
    print(f"seeds {first}..{end - 1}: {failures} disagree, {time.monotonic() - begin:.0f} s")
    return failures + told_rare(found, [f"refused: {kind}" for kind in KINDS], end - first)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))

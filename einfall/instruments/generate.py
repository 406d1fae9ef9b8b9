"""Random programs, to compare every stage of the compiler with the reference: each is its seed, and is a text."""

import ast
import linecache
from typing import NamedTuple

import numpy as np

from einfall.front.kernel import Kernel
from einfall.instruments.accesses import garbage, natural
from einfall.instruments.arrays import ARRAYS
from einfall.instruments.moves import MOVES
from einfall.instruments.reach import reached
from einfall.instruments.recurrences import RECURRENCES
from einfall.instruments.running import RUNNING
from einfall.instruments.selections import SELECTIONS
from einfall.instruments.writer import Argument, Value, Writer, subscript

__all__ = ["Generated", "generate", "reached", "with_other_garbage"]

RESULTS = 6  # more values than these that nothing reads go unseen
STATEMENTS = [*MOVES, *SELECTIONS, *RECURRENCES, *RUNNING, *ARRAYS]  # (weight, move)


class Generated(NamedTuple):
    """A program with what to call it with; printing the source and keeping the seed reproduces it."""

    seed: int
    source: str
    kernel: Kernel
    arguments: tuple
    poisoned: tuple[np.ndarray | None, ...]  # per argument: elements that only absent points read; None without any


def generate(seed: int) -> Generated:
    """The program of a seed."""
    rng = np.random.default_rng(seed)
    w = Writer(rng)
    begin(w)
    wanted = len(w.lines) + int(rng.integers(3, 18))
    weights = np.array([weight for weight, _ in STATEMENTS])
    weights /= weights.sum()
    for _ in range(60):
        if len(w.lines) >= wanted:
            break
        _, move = STATEMENTS[int(rng.choice(len(STATEMENTS), p=weights))]
        made = move(w)
        if made is not None and not made.is_number and made.text not in w.names and w.fit_together(made.ranks):
            w.let(made)
    source = written(w)
    return Generated(seed, source, executed(source, f"<program {seed}>"),
                     tuple(argument.value for argument in w.arguments),
                     tuple(argument.poisoned for argument in w.arguments))


def with_other_garbage(program: Generated, seed: int) -> tuple:
    """The arguments, with something else in the elements that only absent points read."""
    rng = np.random.default_rng(seed)
    changed = []
    for value, poisoned in zip(program.arguments, program.poisoned):
        if poisoned is not None:
            value = value.copy(order="K")  # sums of NumPy round by the order in memory
            value[poisoned] = garbage(rng, value.dtype, int(poisoned.sum()))
        changed.append(value)
    return tuple(changed)


def begin(w: Writer) -> None:
    """The first arguments, each read once at its own ranks."""
    styles = [("f", "normal")] * 6 + [("f", "positive"), ("f", "whole"), ("f", "quarters"), ("i", "small"),
                                      ("i", "index"), ("i", "index"), ("i", "target"), ("i", "wide"), ("b", "mask")]
    count = w.pick((1, 2, 2, 3, 3, 4))
    for place in range(count):
        kind, style = ("f", "normal") if place == 0 and (w.float == "f64" or w.chance(0.6)) else w.pick(styles)
        ranks = tuple(w.shuffled(w.extents)[:w.pick((0, 1, 1, 2, 2, 2, 2, 3, 3) if place else (1, 2, 2, 3))])
        while not w.fit_together(ranks):
            ranks = ranks[1:]
        dtype, computed = types(w, kind, style, place)
        table, _ = w.declare(ranks, dtype, style, w.pick(w.extents.values()))
        value = natural(w, table)
        if computed:
            value = value._replace(text=f"{value.text}.astype(ef.{computed})")
        else:
            w.tables.append(table)
        w.let(value)
        if style == "normal" and w.chance(0.06):
            plant(w)
    while w.chance(0.25) and len(w.arguments) < 5:
        w.hold(w.scalar())


def types(w: Writer, kind: str, style: str, place: int) -> tuple[str, str]:
    """(the type of an argument, the type that it is brought to at once; empty where it is computed with as it is)."""
    if kind == "f" and w.float == "f64" and place > 0 and w.chance(0.25):
        # what is computed in f32 may not enter a result in f64: the tolerance is that of the result
        return w.pick(("f32", "f32", "f16", "bf16")), "f64"
    if kind == "f":
        return (w.pick(("f16", "bf16")) if w.float == "f32" and w.chance(0.15) else w.float), ""
    if kind == "i" and style != "wide" and w.chance(0.6):  # others would wrap where they are computed with
        return w.pick(("u8", "u16", "u32", "u64") if style == "index" else ("i8", "i16")), w.pick(("i32", "i64"))
    return (w.pick(("i32", "i64")) if kind == "i" else "bool"), ""


def plant(w: Writer) -> None:
    """NaN in the open: it reaches every result that it reaches in direct evaluation."""
    argument = w.arguments[-1]
    if argument.value.size:
        array = argument.value.copy()
        array.flat[int(w.rng.integers(array.size))] = np.nan
        w.arguments[-1] = Argument(argument.name, array)


def ordered(w: Writer, value: Value) -> str:
    """A value as a result: its ranks in an order, two of them sometimes as one axis."""
    ranks = w.shuffled(value.ranks)
    if len(ranks) > 1 and w.chance(0.15):
        ranks = [f"({w.sized_rank(ranks[0])}, {w.sized_rank(ranks[1])})", *ranks[2:]]
    return f"{value.text}{subscript(ranks)}"


def written(w: Writer) -> str:
    """The program as a person would write it."""
    shown = [value for value in w.values if value.text in w.unread and not w.is_argument(value)][-RESULTS:]
    shown = shown or [value for value in w.values if not w.is_argument(value)][-1:]
    results = [ordered(w, value) for value in shown]
    if len(results) > 1 and w.chance(0.2):
        returned = "{" + ", ".join(f'"{value.text}": {text}' for value, text in zip(shown, results)) + "}"
    else:
        returned = ", ".join(results)
    body = "\n    ".join([*facts(w), *w.lines, f"return {returned}"])
    named, read = names_in(body), ranks_read(w, body)
    free = [rank for rank in w.extents if rank in named and rank in read and rank not in w.sized]
    sized = [rank for rank in w.extents if rank in named and rank not in free]
    declared = []
    if free:
        declared.append(f"{', '.join(free)} = ef.ranks({' '.join(free)!r})")
    if sized:
        sizes = ", ".join(f"{rank}={w.extents[rank]}" for rank in sized)
        declared.append(f"{', '.join(sized)} = ef.ranks({sizes})")
    parameters = ", ".join(argument.name for argument in w.arguments)
    options = "(accumulate=ef.f64)" if w.chance(0.05) else ""
    source = "\n".join(["import einfall as ef", *declared, *w.above, f"@ef.kernel{options}",
                        f"def program({parameters}):", f"    {body}"])
    # without the parentheses that nobody needs, and a blank line before each function
    return ast.unparse(ast.parse(source)).replace("import einfall as ef\n", "import einfall as ef\n\n", 1) + "\n"


def facts(w: Writer) -> list[str]:
    """What is true of some of the arguments, as assumptions."""
    lines = []
    for name, array, poisoned in w.arguments:
        if not isinstance(array, np.ndarray) or not array.size or poisoned is not None or array.dtype == bool:
            continue
        numbers = array.astype(float)
        if not np.abs(numbers).max() < 2**20 or not w.chance(0.15):  # NaN is not below either
            continue
        low, high = int(np.floor(numbers.min())), int(np.ceil(numbers.max()))
        fact = w.pick((f"{name} > {low - 1}", f"{high + 1} > {name}", f"({name} >= {low - 1}) & ({name} < {high + 1})"))
        if array.dtype.kind == "u" and low < 1:  # -1 is not one of its numbers
            fact = f"{high + 1} > {name}"
        lines.append(f"ef.assume({fact})")
    return lines


def parsed(body: str) -> ast.Module:
    return ast.parse(f"def program():\n    {body}")


def names_in(body: str) -> set[str]:
    return {node.id for node in ast.walk(parsed(body)) if isinstance(node, ast.Name)}


def ranks_read(w: Writer, body: str) -> set[str]:
    """The ranks that an access of an argument binds: they need not carry their extent."""
    arguments = {argument.name for argument in w.arguments}
    found = set()
    for node in ast.walk(parsed(body)):
        match node:
            case ast.Subscript(ast.Name(name), index) if name in arguments:
                parts = index.elts if isinstance(index, ast.Tuple) else [index]
                found |= {part.id for part in parts if isinstance(part, ast.Name) and part.id in w.extents}
    return found


def executed(source: str, filename: str) -> Kernel:
    """The kernel called `program` of a source; errors show its lines."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names: dict = {"__name__": "generated"}
    exec(compile(source, filename, "exec"), names)
    return names["program"]

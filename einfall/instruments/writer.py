"""What a random program is written with: its ranks, arguments and values, and what is known of each value.

A value carries bounds and a grain, so that every operator gets operands of its proper domain: nothing overflows, and
what jumps (floor, comparisons, argmax) sees only floats that are exact at every precision.
"""

import ast
import math
from typing import NamedTuple

import numpy as np

from einfall.scalar.dtypes import DTYPES
from einfall.scalar.ops import OPS

__all__ = ["Argument", "Table", "Value", "Writer", "spread", "subscript"]

LIMIT = 4000  # points of an expression; the reference is quick below it
ENDLESS = 2.0**63  # the bounds of an integer of which nothing is known
EXACT = 2.0**20  # so many grains are exact in f32, with room for sums
RANKS = ["b", "h", "q", "k", "d", "e", "i", "j", "c", "t", "m", "n"]
EXTENTS = (0, 1, 2, 3, 5, 7, 8, 16, 17, 33)
WORDS = {"f": ["score", "weight", "level", "gate", "mixed", "part", "drift", "blend", "trace", "field"],
         "i": ["count", "place", "step", "code", "bucket", "number"], "b": ["mask", "keep", "known", "inside"]}


class Value(NamedTuple):
    """An expression as it is written, and what is known of its elements."""

    text: str
    ranks: tuple[str, ...]
    kind: str  # f, i or b
    low: float = 0.0  # bounds of the finite elements
    high: float = 1.0
    grain: float | None = None  # floats are multiples of it at every precision; 0: as given; None: rounded
    infinite: bool = False
    is_number: bool = False  # a Python number: no operator may see two of them


class Table(NamedTuple):
    """A tensor as it is written: sizes of its axes, and what is known of its elements."""

    text: str
    sizes: tuple[int, ...]
    element: Value
    ranks: tuple[str, ...]  # one for each axis that one rank covers, "" elsewhere


class Argument(NamedTuple):
    """What the program is called with; `poisoned` marks elements that only absent points read."""

    name: str
    value: object
    poisoned: np.ndarray | None = None


class Writer:
    """A program under way: statements so far, and what they may speak of."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        few = [int(size) for size in rng.choice(EXTENTS, 3, p=[.04, .07, .14, .2, .2, .12, .11, .05, .04, .03])]
        self.extents = {name: self.pick(few) for name in self.shuffled(RANKS)[:6]}
        self.spare = [name for name in RANKS if name not in self.extents] + ["u", "v", "w", "x", "y", "z"]
        self.sized: set[str] = set()  # ranks that carry their extent; arrays bind the others
        self.bound: set[str] = set()
        self.arguments: list[Argument] = []
        self.lines: list[str] = []
        self.above: list[str] = []  # functions of monoids
        self.values: list[Value] = []
        self.tables: list[Table] = []
        self.unread: set[str] = set()
        self.names: set[str] = set()
        self.firm: set[str] = set()  # names of what is not weak
        self.defined: set[str] = set()  # names of definitions and what is made of them: sizes that the end only knows
        self.float = "f64" if self.chance(0.3) else "f32"

    # Drawing

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, items):
        items = list(items)
        return items[int(self.rng.integers(len(items)))]

    def shuffled(self, items) -> list:
        items = list(items)
        return [items[int(place)] for place in self.rng.permutation(len(items))]

    # Ranks

    def points(self, ranks) -> int:
        """How many points an expression over ranks has; extents of 0 count as 1, since inner tensors may be larger."""
        return math.prod(max(self.extents[rank], 1) for rank in set(ranks))

    def fit_together(self, *groups) -> bool:
        return self.points([rank for group in groups for rank in group]) <= LIMIT

    def rank_with(self, extent: int, without=()) -> str:
        """A rank with this extent, new if need be."""
        found = [rank for rank, size in self.extents.items() if size == extent and rank not in without]
        if found and self.chance(0.9):
            return self.pick(found)
        if not self.spare:
            return self.pick(found) if found else self.pick([r for r in self.extents if r not in without])
        rank = self.spare.pop(0)
        self.extents[rank] = extent
        self.sized.add(rank)
        return rank

    def sized_rank(self, rank: str) -> str:
        """The rank as it is written where nothing else binds it."""
        return rank if rank in self.sized else f"{rank}.of({self.extents[rank]})"

    def usable(self) -> list[str]:
        """The ranks that have an extent wherever they stand, in one order: sets of names have none."""
        return [rank for rank in self.extents if rank in self.bound or rank in self.sized]

    def coordinate(self, rank: str) -> Value:
        return Value(rank, (rank,), "i", 0, max(self.extents[rank] - 1, 0))

    # Names and statements

    def name(self, kind: str) -> str:
        word = self.pick(WORDS[kind])
        name, number = word, 1
        while name in self.names:
            number += 1
            name = f"{word}{number}"
        self.names.add(name)
        return name

    def say(self, names: str, text: str) -> None:
        """A statement; its names are firm where something in it is."""
        self.lines.append(f"{names} = {text}")
        if self.is_firm(text):
            self.firm.update(names.split(", "))
        if self.is_defined(text):
            self.defined.update(names.split(", "))

    def let(self, value: Value) -> Value:
        """A statement that names a value."""
        value = self.calm(value)
        name = self.name(value.kind)
        self.say(name, value.text)
        return self.hold(value._replace(text=name))

    def hold(self, value: Value) -> Value:
        """Makes a value one that later statements may use."""
        self.values.append(value)
        self.unread.add(value.text)
        return value

    def calm(self, value: Value) -> Value:
        """Divided, where it has become so large that products of it might overflow."""
        bound = max(abs(value.low), abs(value.high))
        if value.kind != "f" or bound <= 1000:
            return value
        by = 2.0 ** math.ceil(math.log2(bound / 100))
        return self.exact_enough(value._replace(
            text=f"({value.text} / {by})", low=value.low / by, high=value.high / by,
            grain=value.grain / by if value.grain else None))

    def exact_enough(self, value: Value) -> Value:
        bound = max(abs(value.low), abs(value.high))
        if value.grain and bound > value.grain * EXACT:
            return value._replace(grain=None)
        return value

    def is_firm(self, text: str) -> bool:
        """Whether something in an expression has a type of its own: an array, or a value made of one."""
        return not self.firm.isdisjoint(_names_of(text))

    def is_defined(self, text: str) -> bool:
        """Whether a definition is in an expression."""
        return not self.defined.isdisjoint(_names_of(text))

    def tensor(self, value: Value) -> Table:
        """A statement that orders a value; sometimes two ranks become one axis."""
        ranks = self.shuffled(value.ranks)
        name = self.name(value.kind).capitalize()
        self.names.add(name)
        text, sizes, axes = [], [], []
        while ranks:
            rank = ranks.pop()
            if ranks and self.chance(0.2):
                other = ranks.pop()
                text.append(f"({self.sized_rank(rank)}, {self.sized_rank(other)})")
                sizes.append(self.extents[rank] * self.extents[other])
                axes.append("")
            else:
                text.append(rank)
                sizes.append(self.extents[rank])
                axes.append(rank)
        self.say(name, f"{value.text}{subscript(text)}")
        self.unread.discard(value.text)
        table = Table(name, tuple(sizes), value, tuple(axes))
        self.tables.append(table)
        return table

    # Operands

    def choose(self, kind: str, ranks=(), test=None) -> Value:
        """A value of a kind that fits beside ranks, rather one that nothing has read yet; else a number."""
        found = [value for value in self.values if value.kind == kind and self.fit_together(value.ranks, ranks)
                 and (test is None or test(value))]
        fresh = [value for value in found if value.text in self.unread]
        if fresh and self.chance(0.7):
            found = fresh
        if kind == "i" and (not found or self.chance(0.25)):
            near = [self.coordinate(rank) for rank in self.usable() if self.fit_together((rank,), ranks)]
            found = [value for value in near if test is None or test(value)] or found
        if not found:
            return self.number(kind)
        value = self.pick(found)
        self.unread.discard(value.text)
        return value

    def symbol(self, kind: str, ranks=(), test=None) -> Value | None:
        """As choose, but never a plain number."""
        for _ in range(4):
            value = self.choose(kind, ranks, test)
            if not value.is_number:
                return value
        return None

    def number(self, kind: str) -> Value:
        if kind == "b":
            return Value(self.pick(("True", "False")), (), "b", is_number=True)
        if kind == "i":
            number = int(self.rng.integers(-4, 8))
            return Value(f"({number})", (), "i", number, number, is_number=True)
        if self.chance(0.5):
            number = int(self.rng.integers(-8, 9)) / 4
            return Value(f"({number})", (), "f", number, number, 0.25, is_number=True)
        if self.chance(0.1):
            return Value("ef.pi", (), "f", 3.1, 3.2, is_number=True)
        number = round(float(self.rng.uniform(-2, 2)), 2)
        return Value(f"({number})", (), "f", number, number, is_number=True)

    def exact(self, ranks=()) -> Value | None:
        """A float value that is the same at every precision; an integer as a float if there is none."""
        value = self.symbol("f", ranks, lambda value: value.grain is not None)
        if value is not None and self.chance(0.8):
            return value
        whole = self.symbol("i", ranks)
        if whole is None:
            return value
        small = whole if max(abs(whole.low), abs(whole.high)) < 100 else self.modulo(whole, 9)
        if self.chance(0.5):
            return Value(f"{small.text}.astype(ef.{self.float})" if small.text not in self.extents else
                         f"({small.text} * 1.0)", small.ranks, "f", small.low, small.high, 1.0)
        return Value(f"({small.text} * 0.5)", small.ranks, "f", small.low / 2, small.high / 2, 0.5)

    def modulo(self, value: Value, by: int) -> Value:
        return Value(f"({value.text} % {by})", value.ranks, "i", 0, by - 1)

    def fitted(self, value: Value, low: float, high: float, infinite: bool = False) -> Value:
        """The value brought between bounds, by scaling or by a function that saturates."""
        if low <= value.low and value.high <= high and (infinite or not value.infinite):
            return value
        if value.is_number:
            number = round(float(self.rng.uniform(max(low, -9), min(high, 9))), 3)
            return Value(f"({number})", (), "f", number, number, is_number=True)
        middle, half = round((low + high) / 2, 6), round((high - low) / 2, 6)
        bound = max(abs(value.low), abs(value.high))
        if value.kind == "f" and not value.infinite and 0 < bound < 20 * half and self.chance(0.5):
            by = round(0.99 * half / bound, 4)
            text = f"({value.text} * {by} + {middle!r})" if middle else f"({value.text} * {by})"
        elif self.chance(0.5):
            text = f"({low!r} + {round(2 * half, 6)!r} * ef.sigmoid({value.text}))"
        else:
            text = f"({half!r} * ef.tanh({value.text}))"
            text = f"({middle!r} + {text})" if middle else text
        return Value(text, value.ranks, "f", low, high, None)

    def tame(self, value: Value) -> Value:
        """Without infinities."""
        if not value.infinite:
            return value
        text = self.pick((f"ef.tanh({value.text})", f"ef.clip({value.text}, -1.0, 1.0)",
                          f"ef.where(ef.isinf({value.text}), 0.5, ef.tanh({value.text}))"))
        grain = 0.25 if "clip" in text and value.grain is not None else None
        return Value(text, value.ranks, "f", -1, 1, grain if value.grain else None)

    # Arguments

    def declare(self, ranks: tuple[str, ...], dtype: str, style: str, size: int = 0, *, whole: bool = False
                ) -> tuple[Table, np.ndarray]:
        """A parameter with an axis for each rank, and its array; `whole`: each element in a place of its own."""
        shape = tuple(self.extents[rank] for rank in ranks)
        kind = DTYPES[dtype].letter
        array, element = self.drawn(shape, style, size)
        array = self.laid_out(array.astype(DTYPES[dtype].numpy), whole)
        taken = {argument.name for argument in self.arguments}
        name = next(name for name in [*"XYAQKVWUBNMPRST", *(f"X{n}" for n in range(2, 40))] if name not in taken)
        self.arguments.append(Argument(name, array))
        self.firm.add(name)
        self.bound.update(ranks)
        return Table(name, shape, element._replace(ranks=ranks, kind=kind), ranks), array

    def drawn(self, shape: tuple[int, ...], style: str, size: int) -> tuple[np.ndarray, Value]:
        """Elements in a style, and what is known of them."""
        rng = self.rng
        match style:
            case "normal":
                return np.clip(rng.standard_normal(shape), -3, 3), Value("", (), "f", -3, 3, 0.0)
            case "whole":
                return rng.integers(-4, 5, shape), Value("", (), "f", -4, 4, 1.0)
            case "quarters":
                return rng.integers(-9, 10, shape) / 4, Value("", (), "f", -2.25, 2.25, 0.25)
            case "positive":
                return rng.uniform(0.1, 2, shape), Value("", (), "f", 0.09, 2.01, 0.0)
            case "index":
                return rng.integers(0, max(size, 1), shape), Value("", (), "i", 0, max(size - 1, 0))
            case "target":  # some of them are no coordinate
                return rng.integers(-2, size + 3, shape), Value("", (), "i", -2, size + 2)
            case "small":
                return rng.integers(-6, 7, shape), Value("", (), "i", -6, 6)
            case "wide":
                ends = np.array([-2**31, 2**31 - 1, -1, 0, 1, 33, -70])
                array = np.where(rng.random(shape) < 0.4, rng.choice(ends, shape), rng.integers(-2**31, 2**31, shape))
                return array, Value("", (), "i", -ENDLESS, ENDLESS)
        return rng.random(shape) < rng.choice([0.3, 0.6, 0.9]), Value("", (), "b")

    def laid_out(self, array: np.ndarray, whole: bool) -> np.ndarray:
        """The array with other strides; a broadcast axis repeats its first element."""
        ways = ["contiguous"] * 3 + ["transposed", "sliced", "reversed"] + ([] if whole else ["broadcast"])
        way = self.pick(ways)
        if array.ndim == 0 or way == "contiguous":
            return array.copy()
        axis = int(self.rng.integers(array.ndim))
        if way == "transposed":
            return np.ascontiguousarray(array.transpose()).transpose()
        if way == "sliced":
            room = np.zeros((*array.shape[:axis], 2 * array.shape[axis] + 1, *array.shape[axis + 1:]), array.dtype)
            view = np.moveaxis(np.moveaxis(room, axis, 0)[1::2], 0, axis)
            view[...] = array
            return view
        if way == "reversed":
            return np.flip(np.ascontiguousarray(np.flip(array, axis)), axis)
        if array.shape[axis] == 0:
            return array
        return np.broadcast_to(np.take(array, [0], axis), array.shape)

    def is_argument(self, value: Value) -> bool:
        return any(argument.name == value.text for argument in self.arguments)

    def scalar(self) -> Value:
        """A Python number that arrives with the call."""
        name = self.pick([name for name in ("alpha", "beta", "gamma", "limit") if name not in self.names])
        self.names.add(name)
        if self.chance(0.6):
            number = round(float(self.rng.uniform(0.1, 1.5)), 3)
            value = Value(name, (), "f", 0.05, 2)
        else:
            number = int(self.rng.integers(-3, 6))
            value = Value(name, (), "i", -3, 6)
        self.arguments.append(Argument(name, number))
        return value


def subscript(indices: list[str]) -> str:
    """Indices in brackets; a tuple alone needs its comma, or Python takes it apart."""
    lonely = len(indices) == 1 and isinstance(ast.parse(indices[0]).body[0].value, ast.Tuple)
    return f"[{', '.join(indices) or '()'}{',' * lonely}]"


def spread(op: str, values: list[Value]) -> tuple[float, float, bool]:
    """(least, largest, whether infinities) that an operator gives on values between their bounds, by trying it."""
    grids = []
    for place, value in enumerate(values):
        count = 65 if len(values) == 1 else 17
        grid = np.linspace(value.low, value.high, count)
        if value.infinite:
            grid = np.concatenate([grid, [-np.inf, np.inf]])
        grids.append(grid.reshape([-1 if axis == place else 1 for axis in range(len(values))]))
    with np.errstate(all="ignore"):
        tried = np.asarray(OPS[op].evaluate(*np.broadcast_arrays(*grids)), float).ravel()
    finite = tried[np.isfinite(tried)]
    if not len(finite):
        return 0.0, 0.0, True
    low, high = float(finite.min()), float(finite.max())
    room = 0 if op in MONOTONE else 0.05 * (high - low)
    return low - room, high + room, bool(np.isinf(tried).any())


MONOTONE = {"add", "subtract", "multiply", "minimum", "maximum", "negative", "abs", "tanh", "sigmoid", "erf", "exp"}


def _names_of(text: str) -> list[str]:
    """The names in an expression."""
    return [node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]

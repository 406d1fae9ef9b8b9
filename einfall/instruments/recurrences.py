"""The definitions of random programs that read themselves at earlier points."""

from einfall.instruments.accesses import read
from einfall.instruments.writer import ENDLESS, Table, Value, Writer

__all__ = ["RECURRENCES"]

BOUND = 90.0  # of what begins within 8 and grows by 8, where a step keeps nine tenths of what was


def recurrences(w: Writer) -> Value | None:
    """A tensor that reads itself at earlier points, along one axis or two."""
    kind = w.pick("ffffiib")
    value = w.symbol(kind, (), lambda value: bool(value.ranks))
    if value is None:
        return None
    if kind == "f":
        value = w.fitted(value, -8.0, 8.0)
    if kind == "i" and not -100 < value.low <= value.high < 100:
        value = w.modulo(value, 7)
    name = w.name(kind).capitalize()
    w.names.add(name)
    two = len(value.ranks) > 1 and w.chance(0.45)
    order = w.shuffled(value.ranks)
    made, order = (along_two if two else along_one)(w, name, value, order)
    w.lines.append(f"{name} = ef.tensor()")
    w.lines.append(f"{name}[{', '.join(order)}] = {made.text}")
    w.firm.add(name)
    w.defined.add(name)
    table = Table(name, tuple(w.extents[rank] for rank in order), made._replace(text="", ranks=()), tuple(order))
    w.tables.append(table)
    if w.chance(0.4):
        return read(w, table)
    return made._replace(text=f"{name}[{', '.join(order)}]", ranks=tuple(order))


class Past:
    """A tensor as its own definition reads it, at some coordinates in place of its own."""

    def __init__(self, name: str, order: list[str], nothing: str):
        self.name, self.order, self.nothing = name, order, nothing

    def at(self, **places: str) -> str:
        """An element that is read under a guard."""
        return f"{self.name}[{', '.join(places.get(rank, rank) for rank in self.order)}]"

    def padded(self, **places: str) -> str:
        """An element, or a number where there is none."""
        return f"{self.name}.pad({self.nothing}){self.at(**places).removeprefix(self.name)}"

    def back(self, w: Writer, rank: str, by: int = 1) -> str:
        """The element so many steps before, read one way or the other."""
        earlier = {rank: f"{rank} - {by}"}
        if w.chance(0.5):
            return self.padded(**earlier)
        return f"ef.where({rank} < {by}, {self.nothing}, {self.at(**earlier)})"


def nothing_of(w: Writer, kind: str) -> str:
    return w.pick({"f": ("0.0", "0.0", "1.0", "-0.5"), "i": ("0", "1"), "b": ("False", "True")}[kind])


def along_one(w: Writer, name: str, value: Value, order: list[str]) -> tuple[Value, list[str]]:
    """(the right side, the axes) of a definition that looks back along one axis."""
    t, x = w.pick(order), value.text
    factor = w.fitted(w.choose("f", value.ranks), -0.9, 0.9) if value.kind == "f" else value
    ranks = [*order, *(rank for rank in factor.ranks if rank not in order)]
    past = Past(name, ranks, nothing_of(w, value.kind))
    old = past.back(w, t)
    if value.kind == "i":
        text, low, high = w.pick(((f"({old} * 3 + {x}) % 17", 0, 16), (f"{old} ^ {x}", -ENDLESS, ENDLESS),
                                  (f"ef.maximum({old} - 1, {x})", -ENDLESS, ENDLESS),
                                  (f"ef.where({x} > 1, 0, {old} + 1)", 0, w.extents[t] + 2)))
        return Value(text, (), "i", low, high), ranks
    if value.kind == "b":
        return Value(w.pick((f"{old} ^ {x}", f"{old} | {x}", f"ef.where({x}, ~{old}, {old})")), (), "b"), ranks
    older, a = past.back(w, t, w.pick((2, 2, 3))), factor.text
    guarded = past.at(**{t: f"{t} - 1"})
    forms = [f"{old} * {a} + {x}", f"{x} - {old} * {a}", f"ef.tanh({old} * {a} + {x})", f"0.6 * {older} + {x} * {a}",
             f"ef.where({t} == 0, {x}, 0.5 * ({guarded} + {x}) * {a})"]
    if len(ranks) == len(order):
        forms += [f"0.5 * {old} - 0.4 * {older} + {x}", f"ef.maximum({old} * 0.9, {x})", *moved(w, past, t, x)]
    return Value(w.pick(forms), (), "f", -BOUND, BOUND), ranks


def moved(w: Writer, past: Past, t: str, x: str) -> list[str]:
    """Forms that read an axis behind the first at other coordinates, or all of them."""
    behind = [rank for rank in past.order[past.order.index(t) + 1:] if w.extents[rank]]
    if not behind:
        return []
    d = w.pick(behind)
    forms = [f"0.9 * {past.padded(**{t: f'{t} - 1', d: f'{d} - 1'})} + {x}",
             f"0.4 * ({past.padded(**{t: f'{t} - 1', d: f'{d} + 1'})} + {past.padded(**{t: f'{t} - 2'})}) + {x}",
             f"ef.where({t} == 0, 0.0, 0.8 * {past.at(**{t: f'{t} - 1', d: f'{d}.extent - 1 - {d}'})}) + {x}"]
    like = [rank for rank in w.extents if w.extents[rank] == w.extents[d] and rank not in past.order
            and rank in w.usable() and w.fit_together(past.order, (rank,))]
    if like:
        inner = w.pick(like)
        every = past.at(**{t: f"{t} - 1", d: inner})
        forms += [f"ef.where({t} == 0, 0.0, 0.9 * ef.sum({every}, over={inner}) / {d}.extent) + {x}",
                  f"ef.where({t} == 0, 0.0, 0.9 * ef.max({every} - ef.abs({inner} - {d}), over={inner})) + {x}"]
    return forms


def along_two(w: Writer, name: str, value: Value, order: list[str]) -> tuple[Value, list[str]]:
    """(the right side, the axes) of a definition that looks back along two axes."""
    i, j = sorted(w.shuffled(order)[:2], key=order.index)
    past = Past(name, order, nothing_of(w, value.kind))
    above, left, both = (past.at(**places) for places in (
        {i: f"{i} - 1"}, {j: f"{j} - 1"}, {i: f"{i} - 1", j: f"{j} - 1"}))
    before, beside = past.back(w, i), past.back(w, j)
    edge, x = f"({i} == 0) | ({j} == 0)", value.text
    if value.kind == "i":
        text = w.pick((
            f"ef.where({edge}, {i} + {j}, ef.minimum(ef.minimum({above}, {left}) + 1, {both} + ({x} > 0)))",
            f"({before} + {beside} + {x}) % 23", f"ef.where({x} > 1, 0, {before} ^ {beside})",
            f"ef.where({edge}, {x} % 5, ef.maximum({above}, {left}) + {x} % 3)"))
        return Value(text, (), "i", -ENDLESS, ENDLESS), order
    if value.kind == "b":
        text = w.pick((f"({before} | {beside}) & {x}", f"{before} ^ {beside} ^ {x}",
                       f"ef.where({edge}, {x}, {both} ^ {above})"))
        return Value(text, (), "b"), order
    text = w.pick((
        f"0.5 * {before} + 0.4 * {beside} + {x}", f"ef.tanh({before} - {beside} + {x})",
        f"ef.where({edge}, {x}, ef.maximum(0.9 * ef.maximum({above}, {left}), 0.5 * {both} + {x}))",
        f"{x} + 0.4 * {past.padded(**{i: f'{i} - 1', j: f'{j} + 1'})} - 0.3 * {beside}",
        f"{x} + 0.3 * {past.back(w, j, 2)} - 0.3 * {before} + 0.2 * {past.padded(**{i: f'{i} - 1', j: f'{j} - 1'})}"))
    return Value(text, (), "f", -BOUND, BOUND), order


RECURRENCES = [(1.1, recurrences)]

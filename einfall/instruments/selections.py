"""The statements of random programs that choose elements, bring them together or draw them."""

from einfall.instruments.accesses import join
from einfall.instruments.moves import length, over_of, rest_of, written
from einfall.instruments.writer import ENDLESS, Table, Value, Writer, subscript
from einfall.scalar.monoids import NAMED

__all__ = ["SELECTIONS"]


def new_ranks(w: Writer, taken: tuple[str, ...], most: int = 9) -> list[str]:
    """Ranks for a result, of which none is free in its operands."""
    return [rank for rank in w.usable() if rank not in taken and w.extents[rank] <= most
            and w.fit_together(taken, (rank,))]


def largest(w: Writer) -> Value | None:
    """The largest elements in order, and where they are: of what is exact, since places jump."""
    value = w.symbol(w.pick("fiib"), (), lambda value: bool(value.ranks) and (
        value.kind != "f" or value.grain is not None))
    if value is None:
        return None
    rank = w.pick(value.ranks)
    found = new_ranks(w, value.ranks, w.extents[rank])
    if found and w.chance(0.5):
        to = w.pick(found)
    else:
        to = w.rank_with(min(w.extents[rank], w.pick((1, 2, 3))), value.ranks)
        if w.extents[to] > w.extents[rank] or not w.fit_together(value.ranks, (to,)):
            return None
    values, places = w.name(value.kind), w.name("i")
    w.say(f"{values}, {places}", f"ef.topk({value.text}, over={rank}, to={w.sized_rank(to)})")
    w.firm.update((values, places))
    ranks = (*rest_of(value, (rank,)), to)
    w.hold(value._replace(text=values, ranks=ranks))
    w.hold(Value(places, ranks, "i", 0, max(w.extents[rank] - 1, 0)))
    return w.values[-1]


def carried(w: Writer) -> Value | None:
    """The values that stand where the extremum is."""
    value = w.symbol(w.pick("fiib"), (), lambda value: bool(value.ranks) and (
        value.kind != "f" or value.grain is not None))
    if value is None or not (over := over_of(w, value, nonempty=True)):
        return None
    others = [w.symbol(w.pick("ffib"), value.ranks) for _ in range(w.pick((1, 1, 2)))]
    others = [other for other in others if other is not None and w.fit_together(value.ranks, other.ranks)]
    ranks = join(value, *others)
    if not others or not w.fit_together(ranks):
        return None
    is_single = len(over) == 1
    places = [w.name("i") for _ in over]
    names = [w.name(other.kind) for other in others]
    texts = [other.text for other in others]
    carry = texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
    left = places[0] if is_single else f"({', '.join(places)})"
    w.lines.append(f"{left}, {', '.join(names)} = ef.{w.pick(('argmax', 'argmin'))}({value.text}, "
                   f"over={written(over)}, carry={carry})")
    w.firm.update((*places, *names))
    rest = tuple(rank for rank in ranks if rank not in over)
    for name, rank in zip(places, over):
        w.hold(Value(name, rest, "i", 0, w.extents[rank] - 1))
    for name, other in zip(names, others):
        w.hold(other._replace(text=name, ranks=rest))
    return w.values[-1]


def scattered(w: Writer) -> Value | None:
    """Elements brought together at computed coordinates; what lies outside goes nowhere, or nothing does."""
    place = w.symbol("i", (), lambda value: bool(value.ranks) and abs(value.low) < 100 and value.high < 100)
    if place is None or place.text in w.extents:
        return None
    value = w.choose(w.pick("fffib"), place.ranks)
    by = w.pick([name for name in NAMED if value.kind in NAMED[name][2]])
    if value.kind == "f":
        value = w.fitted(value, *{"prod": (0.6, 1.4), "logsumexp": (-20.0, 20.0)}.get(by, (-60.0, 60.0)),
                         infinite=by in ("max", "min", "logsumexp"))
    over = tuple(w.shuffled(place.ranks)[:w.pick((1, 1, 2))])
    every = join(value, place)
    found = new_ranks(w, every)
    if not found or not w.fit_together(every):
        return None
    to = w.pick(found)
    size = w.extents[to]
    if w.chance(0.3) and size:
        place = w.modulo(place, size)
    target, ranks, leaves = f"{w.sized_rank(to)}: {place.text}", [to], place.low < 0 or place.high >= size
    second = w.choose("i", every, lambda value: set(value.ranks) <= set(every))
    if len(found) > 1 and w.chance(0.3) and not second.is_number:
        other = w.pick([rank for rank in found if rank != to])
        if w.fit_together(every, (to, other)):
            target += f", {w.sized_rank(other)}: {second.text}"
            ranks.append(other)
            leaves |= second.low < 0 or second.high >= w.extents[other]
    outside = ', outside="drop"' if leaves or w.chance(0.3) else w.pick(("", "", ', outside="error"'))
    name = f', by="{by}"' if by != "sum" or w.chance(0.2) else ""
    text = f"ef.scatter({value.text}, to={{{target}}}, over={written(over)}{name}{outside})"
    return brought_together(w, Value(text, (*(rank for rank in every if rank not in over), *ranks), value.kind,
                                     value.low, value.high, value.grain, value.infinite), by, length(w, over))


def brought_together(w: Writer, made: Value, by: str, count: int) -> Value | None:
    """What is known of a result of a monoid of the table of at most so many elements."""
    if made.kind != "f":
        if by == "sum" and max(abs(made.low), abs(made.high)) < 2**20:
            return made._replace(low=min(count * made.low, 0), high=max(count * made.high, 0))
        return made._replace(low=0, high=1) if made.kind == "b" else made._replace(low=-ENDLESS, high=ENDLESS)
    if by == "sum":
        return w.exact_enough(made._replace(low=min(count * made.low, 0), high=max(count * made.high, 0),
                                            grain=made.grain or None))
    if by == "prod":
        high = 1.4**count
        return made._replace(low=0.6**count, high=high, grain=None) if high < 1e6 else None
    if by == "logsumexp":
        return made._replace(high=made.high + 9, grain=None, infinite=True)
    return made._replace(infinite=True)


def draws(w: Writer) -> Value | None:
    """Random numbers: the same wherever they are computed."""
    seed = w.choose("i") if w.chance(0.3) else Value(str(int(w.rng.integers(-3, 2**31))), (), "i")
    parts = [seed]
    for _ in range(w.pick((1, 1, 2, 3))):
        part = w.symbol("i", join(*parts))
        if part is not None and w.fit_together(join(*parts, part)):
            parts.append(part)
    ranks = join(*parts)
    if not ranks:
        return None
    made = Value(f"ef.uniform({', '.join(part.text for part in parts)})", ranks, "f", 0, 1, 0.0)
    if w.chance(0.4):
        kept = f"({made.text} < {w.pick((0.25, 0.5, 0.75))})"
        return Value(kept, ranks, "b")
    return made


# Einstein sums of one tensor, two or three, with products or other factors


def einsums(w: Writer) -> Value | None:
    """Sums of products of tensors by a string; a semiring says what is a sum and what a product."""
    semiring = w.pick(("plus_times", "plus_times", "max_plus", "max_plus", "min_plus", "or_and", "log_plus"))
    kind = "b" if semiring == "or_and" else "f"
    found = [table for table in w.tables if table.element.kind == kind and table.sizes and all(table.ranks)
             and len(set(table.ranks)) == len(table.ranks) and not table.element.infinite
             and max(abs(table.element.low), abs(table.element.high)) <= 20]
    if not found:
        return None
    tables = [w.pick(found) for _ in range(w.pick((1, 2, 2, 3, 3)))]
    every = tuple(dict.fromkeys(rank for table in tables for rank in table.ranks))
    if not w.fit_together(every):
        return None
    kept = tuple(rank for rank in w.shuffled(every) if w.chance(0.5))
    gone = [rank for rank in every if rank not in kept]
    low, high, endless = einsum_bounds(w, semiring, tables, gone)
    if max(abs(low), abs(high)) > 1000:
        return None
    groups = ",".join("".join(table.ranks) for table in tables)
    option = "" if semiring == "plus_times" else f", semiring=ef.{semiring}"
    name = w.name(kind).capitalize()
    w.names.add(name)
    w.say(name, f'ef.einsum("{groups}->{"".join(kept)}", {", ".join(table.text for table in tables)}{option})')
    element = Value("", kept, kind, low, high, None, endless)
    w.tables.append(Table(name, tuple(w.extents[rank] for rank in kept), element, kept))
    return element._replace(text=f"{name}{subscript(list(kept))}")


def einsum_bounds(w: Writer, semiring: str, tables: list[Table], gone: list[str]) -> tuple[float, float, bool]:
    """(least, largest, whether infinities): sums over nothing are infinite but in the usual semiring."""
    ends = [max(abs(table.element.low), abs(table.element.high)) for table in tables]
    if semiring == "or_and":
        return 0, 1, False
    if semiring == "plus_times":
        bound = max(length(w, gone), 1) * 1.0
        for end in ends:
            bound *= end
        return -bound, bound, False
    is_empty = any(not w.extents[rank] for rank in gone)
    return -sum(ends), sum(ends) + 9 * (semiring == "log_plus"), is_empty


SELECTIONS = [(0.9, largest), (0.7, carried), (0.9, scattered), (0.8, draws), (0.9, einsums)]

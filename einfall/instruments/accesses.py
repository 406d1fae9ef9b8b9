"""How random programs read tensors: indices of every kind, predicates, and elements that only absent points read."""

import numpy as np

from einfall.instruments.writer import Table, Value, Writer, subscript

__all__ = ["absent_places", "bounds", "garbage", "guarded", "join", "natural", "poison", "predicate", "read", "widened"]


def natural(w: Writer, table: Table) -> Value:
    """The tensor at its own ranks."""
    return table.element._replace(text=f"{table.text}[{', '.join(table.ranks) or '()'}]", ranks=table.ranks)


def read(w: Writer, table: Table, beside: tuple[str, ...] = ()) -> Value | None:
    """The tensor at drawn indices, guarded or padded where they may leave it."""
    texts, ranks, conditions, is_bare, beyond = [], list(beside), [], [], []
    for axis, size in enumerate(table.sizes):
        for _ in range(4):
            text, own, leaves = index(w, table, axis, size)
            if w.fit_together(ranks, own):
                break
        else:
            return None
        texts.append(text)
        ranks += own
        is_bare.append(text in own)
        if leaves:
            beyond.append(axis)
            conditions.append(f"({text} >= 0) & ({text} < {table.text}.shape[{axis}])")
    used = tuple(dict.fromkeys(ranks[len(beside):]))
    element = table.element._replace(ranks=used, is_number=False)
    access = subscript(texts)
    if not conditions:
        if not all(is_bare) and w.chance(0.1):  # a pad that nothing needs
            return padded(w, table, access, element, [])
        return element._replace(text=f"{table.text}{access}")
    if w.chance(0.6):
        return padded(w, table, access, element, beyond)
    filler = fill(w, element)
    inside = " & ".join(conditions)
    if w.chance(0.2):
        return widened(element, filler, f"ef.where(~({inside}), {filler.text}, {table.text}{access})")
    return widened(element, filler, f"ef.where({inside}, {table.text}{access}, {filler.text})")


def padded(w: Writer, table: Table, access: str, element: Value, beyond: list[int]) -> Value:
    """The access with something outside: the same on every axis, or on each of those that it may leave."""
    fillers: list[Value] = []

    def outside(*axes: int) -> str:
        if all(table.sizes[axis] for axis in axes) and w.chance(0.45):  # nothing is near an axis of size 0
            return w.pick(('"edge"', '"wrap"'))
        fillers.append(fill(w, element))
        return fillers[-1].text

    if beyond and w.chance(0.3):
        more = [axis for axis in range(len(table.sizes)) if axis in beyond or w.chance(0.2)]
        pads = [(w.pick((axis, axis, axis - len(table.sizes))), outside(axis)) for axis in w.shuffled(more)]
        pad = "{" + ", ".join(f"{axis}: {text}" for axis, text in pads) + "}"
    else:
        pad = outside(*range(len(table.sizes)))
    for filler in fillers:
        element = widened(element, filler, "")
    return element._replace(text=f"{table.text}.pad({pad}){access}")


def fill(w: Writer, element: Value) -> Value:
    """A constant that may stand in place of an element."""
    if element.kind == "b":
        return w.number("b")
    if element.kind == "i":
        number = w.pick((0, 0, 1, -1, 3))
        return Value(str(number), (), "i", number, number)
    number = w.pick((0.0, 0.0, 0.0, 1.0, -1.0, 0.5, float("-inf")))
    if number == float("-inf"):
        return Value("-ef.inf", (), "f", 0, 0, 1.0, infinite=True)
    return Value(repr(number), (), "f", number, number, 0.5)


def widened(value: Value, other: Value, text: str) -> Value:
    """What is known where either of two values may stand."""
    grain = None
    if value.grain is not None and other.grain is not None:
        grain = min(value.grain, other.grain)
    return value._replace(text=text, low=min(value.low, other.low), high=max(value.high, other.high), grain=grain,
                          infinite=value.infinite or other.infinite, is_number=False,
                          ranks=tuple(dict.fromkeys((*value.ranks, *other.ranks))))


def index(w: Writer, table: Table, axis: int, size: int) -> tuple[str, tuple[str, ...], bool]:
    """(an index as it is written, its ranks, whether it may leave the axis)."""
    kind = w.pick(("bare",) * 8 + ("shift",) * 3 + ("stride", "mirror", "two", "two", "window", "number", "gather",
                                                    "gather", "beyond", "wrapped", "split", "split"))
    if not table.ranks[axis] and w.chance(0.6):
        kind = "split"
    rank = w.pick(w.usable())
    extent, name = w.extents[rank], w.sized_rank(rank)
    match kind:
        case "shift":
            by = int(w.rng.integers(-2, 3)) or 1
            return f"({name} + {by})" if by > 0 else f"({name} - {-by})", (rank,), not 0 <= by <= size - extent
        case "stride":
            factor, by = w.pick((2, 3)), w.pick((0, 0, 1))
            text = f"({factor} * {name} + {by})" if by else f"({factor} * {name})"
            return text, (rank,), extent > 0 and factor * (extent - 1) + by >= size
        case "mirror":
            return f"({table.text}.shape[{axis}] - 1 - {name})", (rank,), extent > size
        case "two":
            other = w.pick(w.usable())
            if other != rank:
                leaves = extent + w.extents[other] - 1 > size or size == 0
                return f"({name} + {w.sized_rank(other)})", (rank, other), leaves
        case "window" if size >= 3:  # the other rank takes the largest extent that stays inside
            small = w.rank_with(w.pick((2, 3)))
            large = w.rank_with(size - w.extents[small] + 1, (small,))
            if w.extents[large] + w.extents[small] - 1 == size:
                w.bound.add(large)
                return f"({large} + {w.sized_rank(small)})", (large, small), False
        case "number" if size:
            return str(int(w.rng.integers(size))), (), False
        case "gather":
            value = w.symbol("i")
            if value is not None and value.text not in w.extents:
                inside = value.low >= 0 and value.high < size
                if inside or w.chance(0.4) or not size:
                    return value.text, value.ranks, not inside
                return f"({value.text} % {size})", value.ranks, False
        case "beyond":
            return f"({name} * {w.pick((2, -1, 1))} - {w.pick((1, 2))})", (rank,), True
        case "wrapped" if size:
            return f"(({name} + {w.pick((1, 2, 5))}) % {table.text}.shape[{axis}])", (rank,), False
        case "split":
            pairs = [(one, two) for one in w.extents for two in w.extents
                     if one != two and w.extents[one] * w.extents[two] == size]
            if pairs:
                one, two = w.pick(pairs)
                return f"({w.sized_rank(one)}, {w.sized_rank(two)})", (one, two), False
    rank = w.rank_with(size)
    if w.extents[rank] == size:
        w.bound.add(rank)
        return rank, (rank,), False
    return f"({w.sized_rank(rank)})", (rank,), True


# Predicates


def predicate(w: Writer, ranks=()) -> Value:
    """A condition of ranks, integers and booleans; rather of the ranks given."""
    parts = [comparison(w, ranks)]
    while w.chance(0.3) and len(parts) < 3:
        parts.append(comparison(w, ranks))
    text = parts[0].text
    for part in parts[1:]:
        text = f"({text} {w.pick('&&|^')} {part.text})"
    if w.chance(0.15):
        text = f"(~{text})"
    return Value(text, tuple(dict.fromkeys(rank for part in parts for rank in part.ranks)), "b")


def comparison(w: Writer, ranks) -> Value:
    near = [rank for rank in ranks if rank in w.usable()] or w.usable()
    one, two = w.pick(near), w.pick(near)
    value = w.choose("i", ranks)
    mask = w.choose("b", ranks)
    limit = int(w.rng.integers(0, w.extents[one] + 2))
    forms = [(f"({one} < {limit})", (one,)), (f"({one} % {w.pick((2, 3))} == {w.pick((0, 1))})", (one,)),
             (f"({one} < {value.text})", (one, *value.ranks)), (f"({value.text} == {one})", (one, *value.ranks)),
             (f"({value.text} > {int(w.rng.integers(-2, 4))})", value.ranks)]
    if one != two and w.fit_together((one, two), ranks):
        forms += [(f"({two} <= {one})", (one, two)), (f"(ef.abs({one} - {two}) <= {w.pick((1, 2))})", (one, two)),
                  (f"(({one} + {two}) % 3 != 1)", (one, two)), (f"({two} // 2 < {one})", (one, two)),
                  (f"({two} - {one} < {limit})", (one, two)), (f"(ef.minimum({one}, {two}) < {limit})", (one, two))]
    if not mask.is_number:
        forms += [(mask.text, mask.ranks)] * 3
    if value.is_number:
        forms = forms[:4]
    text, used = w.pick(forms)
    if not w.fit_together(used, ranks):
        text, used = forms[0]
    return Value(text, tuple(dict.fromkeys(used)), "b")


# Garbage


def guarded(w: Writer) -> Value | None:
    """A new argument with garbage wherever only absent points read it."""
    ranks = tuple(w.shuffled(w.extents)[: w.pick((1, 2, 2, 3))])
    others = tuple(w.shuffled([rank for rank in w.extents if rank not in ranks])[:1])
    if not w.fit_together(ranks, others):
        return None
    guard, used, poisoned = absent_places(w, ranks, others)
    shape = tuple(w.extents[rank] for rank in ranks)
    if w.chance(0.3) and any(size > 0 for size in shape):
        return guarded_gather(w, ranks, guard, used, poisoned)
    table, _ = w.declare(ranks, w.float, w.pick(("normal", "normal", "whole")), whole=True)
    poison(w, poisoned)
    value = natural(w, table)
    beside = w.choose("f", (*ranks, *used), lambda value: not value.infinite)
    if w.chance(0.4):
        value = Value(f"({value.text} * {beside.text})", join(value, beside), "f",
                      *bounds([a * b for a in (-4, 4) for b in (beside.low, beside.high)]))
    elif w.chance(0.5):
        value = Value(f"ef.{w.pick(('tanh', 'sin', 'cos'))}({value.text})", value.ranks, "f", -1, 1)
    free = [rank for rank in value.ranks if rank not in used]
    if free and w.chance(0.5):
        rank = w.pick(free)
        bound = w.extents[rank] * max(abs(value.low), abs(value.high), 1)
        value = Value(f"ef.sum({value.text}, over={rank})", tuple(r for r in value.ranks if r != rank), "f",
                      -bound, bound)
    return closed(w, value, guard, used)


def absent_places(w: Writer, ranks: tuple[str, ...], others: tuple[str, ...]
                  ) -> tuple[str, tuple[str, ...], np.ndarray]:
    """(a condition, its ranks, where on `ranks` it holds at no coordinate of the others)."""
    guard, used, holds = guard_of(w, ranks, others)
    shape = tuple(w.extents[rank] for rank in ranks)
    outside = tuple(range(len(ranks), len(ranks) + len(others)))
    sizes = [w.extents[rank] if rank in used else 1 for rank in others]  # a rank that is not read may have extent 0
    somewhere = np.broadcast_to(holds, (*shape, *sizes)).any(axis=outside)
    return guard, used, np.broadcast_to(~somewhere, shape)


def closed(w: Writer, value: Value, guard: str, used: tuple[str, ...]) -> Value:
    """The value where the guard holds; elsewhere a constant, another value, or what an absent factor makes of it."""
    if w.chance(0.3):
        factor = w.choose("f", (*value.ranks, *used), lambda value: not value.infinite)
        bound = max(abs(value.low), abs(value.high)) * max(abs(factor.low), abs(factor.high), 1)
        ranks = tuple(dict.fromkeys((*value.ranks, *used, *factor.ranks)))
        if w.chance(0.3):  # -inf decides a sum as 0 decides a product
            return Value(f"(ef.where({guard}, {factor.text}, -ef.inf) + {value.text})", ranks, "f", -bound - 4,
                         bound + 4, infinite=True)
        text = f"ef.where({guard}, {factor.text}, 0.0)"
        text = f"({text} * {value.text})" if w.chance(0.6) else f"({value.text} * {text})"
        return Value(text, ranks, "f", -bound, bound)
    if w.chance(0.3):
        more = predicate(w, (*value.ranks, *used))
        guard, used = f"({guard} & {more.text})", (*used, *more.ranks)
    filler = fill(w, value) if w.chance(0.8) else w.choose("f", (*value.ranks, *used))
    value = value._replace(ranks=tuple(dict.fromkeys((*value.ranks, *used))))
    if w.chance(0.2):
        return widened(value, filler, f"ef.where(~{guard}, {filler.text}, {value.text})")
    return widened(value, filler, f"ef.where({guard}, {value.text}, {filler.text})")


def guarded_gather(w: Writer, ranks, guard: str, used, poisoned: np.ndarray) -> Value | None:
    """Indices of which some are no coordinate, and are never read."""
    found = [table for table in w.tables if table.sizes and table.sizes[0] and table.element.kind == "f"]
    if not found:
        return None
    source = w.pick(found)
    table, _ = w.declare(ranks, w.pick(("i32", "i64")), "index", source.sizes[0], whole=True)
    poison(w, poisoned)
    rest = [w.rank_with(size) for size in source.sizes[1:]]
    if any(w.extents[rank] != size for rank, size in zip(rest, source.sizes[1:])) or not w.fit_together(
            ranks, used, rest):
        return None
    w.bound.update(rest)
    inner = source.element._replace(text=f"{source.text}[{', '.join((natural(w, table).text, *rest))}]",
                                    ranks=tuple(dict.fromkeys((*ranks, *rest))))
    return closed(w, inner, guard, used)


def poison(w: Writer, poisoned: np.ndarray) -> None:
    """Puts garbage into the newest argument."""
    argument = w.arguments[-1]
    argument.value[poisoned] = garbage(w.rng, argument.value.dtype, int(poisoned.sum()))
    if poisoned.any():
        w.arguments[-1] = argument._replace(poisoned=poisoned.copy())


def garbage(rng: np.random.Generator, dtype: np.dtype, count: int) -> np.ndarray:
    """What nobody may see: no number, infinite, huge, far outside."""
    bad = (np.nan, np.inf, -np.inf, 1e30, -7.0) if dtype.kind == "f" else (-1, 2**31 - 1, -(2**31), 1000, -7)
    return rng.choice(np.array(bad, dtype), count)


def guard_of(w: Writer, ranks, others) -> tuple[str, tuple[str, ...], np.ndarray]:
    """(condition, its ranks, whether it holds at the coordinates of `ranks` and `others`)."""
    every = (*ranks, *others)
    w.bound.update(ranks)
    one = w.pick(ranks)
    two = w.pick(every)
    where = {rank: np.arange(w.extents[rank]).reshape([-1 if rank == other else 1 for other in every])
             for rank in every}
    kind = w.pick(("lengths", "lengths", "mask", "causal", "causal", "band", "modulo", "few"))
    names = {rank: w.sized_rank(rank) if rank in others else rank for rank in every}
    if kind == "lengths":
        axis = w.pick([rank for rank in every if rank != one] or [one])
        dtype = w.pick(("i32", "i64", "i32", "i64", "u8", "i8", "u16", "i16", "u32", "u64"))
        table, _ = w.declare((axis,), dtype, "index", w.extents[one] + 2)
        if dtype in ("i32", "i64"):  # others would wrap where they are computed with
            w.tables.append(table)
        text, used = f"({names[one]} < {{0}}[{names[axis]}])", (one, axis)
    elif kind == "mask":
        own = tuple(rank for rank in ranks if w.chance(0.7)) or (one,)
        table, _ = w.declare(own, "bool", "mask")
        w.tables.append(table)
        text, used = f"{{0}}[{', '.join(own)}]", own
    else:
        table, used = None, (one, two)
        text = {"causal": f"({names[one]} <= {names[two]})" if one != two else f"({one} <= 2)",
                "band": f"(({names[two]} - {names[one]} < 2) & ({names[one]} <= {names[two]}))",
                "modulo": f"(({names[one]} + {names[two]}) % 3 != 1)", "few": f"({one} < {w.extents[one] // 2})"}[kind]
        used = (one,) if kind == "few" else used
    text = text.format(table.text if table else "")
    arrays = {argument.name: argument.value for argument in w.arguments}
    plain = text
    for rank in others:
        plain = plain.replace(w.sized_rank(rank), rank)
    holds = eval(plain, {}, {**arrays, **where})  # the guard is Python, and NumPy reads it too
    return text, tuple(dict.fromkeys(used)), np.asarray(holds)


def join(*values: Value) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rank for value in values for rank in value.ranks))


def bounds(corners) -> tuple[float, float]:
    return min(corners), max(corners)

"""The statements of random programs in array style: tensors without indices, whose axes are told by position."""

import math

from einfall.instruments.accesses import bounds, read
from einfall.instruments.writer import LIMIT, Table, Value, Writer

__all__ = ["ARRAYS"]


def arrays(w: Writer) -> Value | None:
    """A tensor taken through some functions of tensors, and read at ranks again."""
    found = [table for table in w.tables if table.sizes]
    if not found:
        return None
    table = first = w.pick(found)
    for _ in range(w.pick((1, 1, 2, 2, 3))):
        made = w.pick(STEPS)(w, table)
        if made is not None and 0 < len(made.sizes) <= 4 and points(made.sizes) <= LIMIT:
            table = made._replace(element=w.exact_enough(made.element))
            if w.chance(0.6):
                table = called(w, table)
    if table is first:
        return None
    table = called(w, table)
    high = max(abs(table.element.low), abs(table.element.high))
    if table.element.kind != "f" or high <= 1000:
        w.tables.append(table)
    return read(w, table)


def points(sizes) -> int:
    return math.prod(max(size, 1) for size in sizes)


def called(w: Writer, table: Table) -> Table:
    """The tensor under a name of its own."""
    if table.text.isidentifier():
        return table
    name = w.name(table.element.kind).capitalize()
    w.names.add(name)
    w.say(name, table.text)
    w.firm.add(name)
    return table._replace(text=name)


def computed(table: Table, text: str, sizes=None, **known) -> Table:
    """What a step makes of a tensor: its text, its sizes, and what is known of its elements where that is new."""
    sizes = table.sizes if sizes is None else tuple(sizes)
    return Table(text, sizes, table.element._replace(**known), ("",) * len(sizes))


def an_axis(w: Writer, table: Table) -> tuple[int, int]:
    """(an axis, counted from the front or from the end; its place)."""
    place = int(w.rng.integers(len(table.sizes)))
    return (place if w.chance(0.5) else place - len(table.sizes)), place


def fitted(w: Writer, table: Table, low: float, high: float, *, infinite: bool = False) -> Table:
    """The tensor brought between bounds: scaling and what saturates is written the same by position."""
    made = w.fitted(table.element._replace(text=table.text), low, high, infinite)
    return table._replace(text=made.text, element=made._replace(text=""))


def without(sizes: tuple[int, ...], place: int) -> tuple[int, ...]:
    return (*sizes[:place], *sizes[place + 1:])


def others(w: Writer, table: Table) -> list[Table]:
    """Tensors of the same kind."""
    return [other for other in w.tables if other.element.kind == table.element.kind and other.sizes]


def chosen(w: Writer, table: Table, kind: str) -> Table | None:
    """The tensor itself where it is of a kind, or made so."""
    if table.element.kind == kind:
        return table
    if kind == "f" and table.element.kind == "b":
        return computed(table, f"({table.text} * 1.0)", kind="f", low=0, high=1, grain=1.0)
    if kind == "f":
        return computed(table, f"({table.text} % 7 * 0.5)", kind="f", low=0, high=3, grain=0.5)
    return None


def among(one: Value, *more: Value) -> dict:
    """What is known where any of several elements may stand."""
    values = (one, *more)
    grains = [value.grain for value in values]
    return {"low": min(value.low for value in values), "high": max(value.high for value in values),
            "grain": None if None in grains else min(grains), "infinite": any(value.infinite for value in values)}


# Axes in another order, more of them or fewer


def turned(w: Writer, table: Table) -> Table | None:
    count = len(table.sizes)
    if count < 2:
        return None
    last = (*range(count - 2), count - 1, count - 2)
    order = tuple(w.shuffled(range(count))) if w.chance(0.4) else last
    forms = [f"ef.permute_dims({table.text}, {order})"]
    if order == last:
        forms = [f"{table.text}.mT", f"ef.matrix_transpose({table.text})"] + [f"{table.text}.T"] * (count == 2)
    return computed(table, w.pick(forms), [table.sizes[axis] for axis in order])


def with_one_more(w: Writer, table: Table) -> Table:
    """An axis of size 1; sometimes another one is dropped, or it becomes longer."""
    place = int(w.rng.integers(len(table.sizes) + 1))
    sizes = (*table.sizes[:place], 1, *table.sizes[place:])
    forms = [f"ef.expand_dims({table.text}, axis={place if w.chance(0.6) else place - len(sizes)})"]
    if place == 0:
        forms.append(f"{table.text}[None]")
    if place == len(table.sizes):
        forms.append(f"{table.text}[..., None]")
    made = computed(table, w.pick(forms), sizes)
    if w.chance(0.3):
        gone = w.pick([axis for axis, size in enumerate(sizes) if size == 1])
        return computed(made, f"ef.squeeze({made.text}, {gone})", without(sizes, gone))
    if w.chance(0.4):
        return repeated(w, made)
    return made


def squeezed(w: Writer, table: Table) -> Table | None:
    """An axis of size 1 dropped; one is cut to that first."""
    axis, place = an_axis(w, table)
    if len(table.sizes) < 2 or not table.sizes[place]:
        return None
    cuts = ", ".join(":" for _ in range(place))
    text = table.text if table.sizes[place] == 1 else f"{table.text}[{cuts + ', ' if cuts else ''}:1]"
    return computed(table, f"ef.squeeze({text}, {axis})", without(table.sizes, place))


def repeated(w: Writer, table: Table) -> Table:
    sizes = [w.pick((2, 3, 4)) if size == 1 else size for size in table.sizes]
    if w.is_defined(table.text):
        sizes = list(table.sizes)
    if w.chance(0.4) or tuple(sizes) == table.sizes:
        sizes = [w.pick((1, 2, 3)), *sizes]
    return computed(table, f"ef.broadcast_to({table.text}, ({', '.join(map(str, sizes))},))", sizes)


def reshaped(w: Writer, table: Table) -> Table:
    """The same elements in another shape, or in one row."""
    total = math.prod(table.sizes)
    if total and w.chance(0.3):
        return computed(table, f"{table.text}.reshape(-1)", (total,))
    pairs = [(one, total // one) for one in range(1, total + 1) if total % one == 0] or [(0, 3), (2, 0)]
    sizes = w.pick(pairs)
    if len(table.sizes) > 1 and w.chance(0.4):
        sizes = (table.sizes[0] * table.sizes[1], *table.sizes[2:])
    shown = list(map(str, sizes))
    if total and w.chance(0.4):
        shown[w.pick(range(len(shown)))] = "-1"
    shape = f"({', '.join(shown)},)"
    return computed(table, w.pick((f"ef.reshape({table.text}, {shape})", f"{table.text}.reshape{shape}")), sizes)


def flipped(w: Writer, table: Table) -> Table:
    axis, _ = an_axis(w, table)
    return computed(table, f"ef.flip({table.text}" + (")" if w.chance(0.3) else f", axis={axis})"))


def part(w: Writer, table: Table) -> Table:
    """Slices of some axes; a number drops one."""
    cuts, sizes = [], []
    for size in table.sizes:
        kind = w.pick((":", ":", "1:", ":-1", "::-1", "::2", "1:4", "number", "None"))
        if kind == "number" and size and len(table.sizes) > 1:
            cuts.append(str(int(w.rng.integers(-size, size))))
        elif kind == "None":
            cuts += ["None", ":"]
            sizes += [1, size]
        else:
            cut = kind if ":" in kind else ":"
            cuts.append(cut)
            sizes.append(len(range(size)[slice(*(int(number) if number else None for number in cut.split(":")))]))
    if cuts[-1] == ":" and w.chance(0.3):
        cuts[-1] = "..."
    return computed(table, f"{table.text}[{', '.join(cuts)}]", sizes)


# Several tensors as one


def joined(w: Writer, table: Table) -> Table:
    """Tensors one after the other, along an axis of theirs or a new one."""
    table = called(w, table)
    axis, place = an_axis(w, table)
    along_new = w.chance(0.4)
    found = [other for other in others(w, table) if len(other.sizes) == len(table.sizes) and (
        other.sizes == table.sizes if along_new else without(other.sizes, place) == without(table.sizes, place))]
    parts = [table, *(w.pick([*found, table]) for _ in range(w.pick((1, 1, 2))))]
    if table.element.kind == "f" and w.chance(0.3):
        parts[-1] = computed(parts[-1], f"({parts[-1].text} * 0.5)", low=min(parts[-1].element.low, 0),
                             high=max(parts[-1].element.high, 0), grain=None)
    texts = ", ".join(part.text for part in w.shuffled(parts))
    known = among(*(part.element for part in parts))
    if along_new:
        place = int(w.rng.integers(len(table.sizes) + 1))
        return computed(table, f"ef.stack([{texts}], axis={place})",
                        (*table.sizes[:place], len(parts), *table.sizes[place:]), **known)
    if w.chance(0.15):
        return computed(table, f"ef.concat([{texts}], axis=None)", (sum(math.prod(item.sizes) for item in parts),),
                        **known)
    sizes = list(table.sizes)
    sizes[place] = sum(item.sizes[place] for item in parts)
    return computed(table, f"ef.concat([{texts}], axis={axis})", sizes, **known)


def taken(w: Writer, table: Table) -> Table | None:
    """The elements at computed indices along an axis."""
    axis, place = an_axis(w, table)
    size = table.sizes[place]
    if not size:
        return None
    found = [item for item in w.tables if item.element.kind == "i" and 0 < len(item.sizes) < 3]
    if found and w.chance(0.6):
        at = w.pick(found)
        inside = at.element.low >= 0 and at.element.high < size
        at = at if inside else computed(at, f"({at.text} % {size})")
    else:
        at = numbers(w, size)
    return computed(table, f"ef.take({table.text}, {at.text}, axis={axis})",
                    (*table.sizes[:place], *at.sizes, *table.sizes[place + 1:]))


def numbers(w: Writer, size: int) -> Table:
    """Coordinates of an axis with so many of them."""
    start, stop, step = w.pick(((0, size, 1), (0, size, 2), (size - 1, -1, -1), (size // 2, size, 1), (0, 2 * size, 1)))
    text = f"ef.arange({stop})" if (start, step) == (0, 1) else f"ef.arange({start}, {stop}, {step})"
    text = f"({text} % {size})" if stop > size else text
    return Table(text, (len(range(start, stop, step)),), Value("", (), "i", 0, size - 1), ("",))


def triangle(w: Writer, table: Table) -> Table | None:
    if len(table.sizes) < 2:
        return None
    k = w.pick(("", "", ", k=1", ", k=-1"))
    return computed(table, f"ef.{w.pick(('tril', 'triu'))}({table.text}{k})", low=min(table.element.low, 0),
                    high=max(table.element.high, 0))


# Elements


def mapped(w: Writer, table: Table) -> Table | None:
    """An operator of a tensor and another one, a number, or one tensor alone."""
    kind = table.element.kind
    if kind == "b":
        return computed(table, f"(~{table.text})")
    table = called(w, table)
    x = table.text
    if kind == "i":
        form, low, high = w.pick(((f"({x} % 5)", 0, 4), (f"({x} % 7 + ef.arange({table.sizes[-1]}) % 3)", 0, 8),
                                  (f"ef.minimum({x}, 3)", table.element.low, 3), (f"({x} ^ 5)", -2.0**63, 2.0**63)))
        return computed(table, form, low=min(low, high), high=high)
    if w.chance(0.3):
        return computed(table, f"ef.{w.pick(('tanh', 'sin', 'cos'))}({x})", low=-1, high=1, grain=None,
                        infinite=False) if not table.element.infinite else computed(
                            table, f"ef.tanh({x})", low=-1, high=1, grain=None, infinite=False)
    if w.chance(0.4):
        mask = f"(ef.arange({table.sizes[-1]}) % {w.pick((2, 3))} == {w.pick((0, 1))})"
        return computed(table, f"ef.where({mask}, {x}, {w.pick(('0.0', '1.0'))})",
                        **among(table.element, Value("", (), "f", 0, 1, 1.0)))
    found = [other for other in others(w, table) if meet(other.sizes, table.sizes) is not None]
    other = w.pick(found) if found and w.chance(0.7) else filled(w, table)
    left, right = fitted(w, table, -60.0, 60.0), fitted(w, other, -30.0, 30.0)
    symbol, low, high = w.pick((("+", left.element.low + right.element.low, left.element.high + right.element.high),
                                ("-", left.element.low - right.element.high, left.element.high - right.element.low),
                                ("*", *products(left, right))))
    sizes = meet(table.sizes, other.sizes)
    return computed(table, f"({left.text} {symbol} {right.text})", sizes, low=low, high=high, grain=None,
                    infinite=False)


def products(left: Table, right: Table) -> tuple[float, float]:
    return bounds([a * b for a in (left.element.low, left.element.high)
                   for b in (right.element.low, right.element.high)])


def meet(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    """The sizes that two shapes broadcast to; None where they do not."""
    count = max(len(one), len(other))
    pairs = list(zip((1,) * (count - len(one)) + one, (1,) * (count - len(other)) + other))
    if any(1 not in pair and pair[0] != pair[1] for pair in pairs):
        return None
    return tuple(right if left == 1 else left for left, right in pairs)


def filled(w: Writer, table: Table) -> Table:
    """A tensor of numbers that broadcasts with another one, of its own type."""
    sizes = table.sizes[int(w.rng.integers(len(table.sizes))):]
    sizes = tuple(w.pick((size, size, 1)) for size in sizes)
    shape = f"({', '.join(map(str, sizes))},)"
    text, number = w.pick(((f"ef.zeros({shape})", 0.0), (f"ef.zeros({shape})", 0.0), (f"ef.ones({shape})", 1.0),
                           (f"ef.full({shape}, 0.5)", 0.5), (f"ef.full({shape}, -1.25)", -1.25)))
    return Table(text, sizes, Value("", (), "f", number, number, 0.25), ("",) * len(sizes))


# Products and sums


def multiplied(w: Writer, table: Table) -> Table | None:
    """A product of matrices, or of a matrix and a row; sometimes of three."""
    made = chosen(w, table, "f")
    left = made and called(w, fitted(w, made, -20.0, 20.0))
    if left is None:
        return None
    found = [other for other in others(w, left) if sizes_of_product(left.sizes, other.sizes) is not None]
    if found and w.chance(0.6):
        right = fitted(w, w.pick(found), -3.0, 3.0)
    elif len(left.sizes) > 1 and w.chance(0.6):
        right = computed(left, f"{left.text}.mT", (*left.sizes[:-2], left.sizes[-1], left.sizes[-2]))
    else:
        sizes = (left.sizes[-1], w.pick((1, 2, 3)))
        right = Table(f"ef.ones({sizes})", sizes, Value("", (), "f", 1, 1, 1.0), ("", ""))
    made = product(w, left, right)
    if made is not None and 1 < len(left.sizes) < 4 and w.chance(0.3):
        third = computed(right, f"{right.text}.mT" if len(right.sizes) > 1 else right.text,
                         (*right.sizes[:-2], right.sizes[-1], right.sizes[-2]) if len(right.sizes) > 1 else right.sizes)
        return product(w, made, third) or made
    return made


def product(w: Writer, left: Table, right: Table) -> Table | None:
    sizes = sizes_of_product(left.sizes, right.sizes)
    if not sizes or points((*sizes, left.sizes[-1])) > LIMIT:
        return None
    low, high = products(left, right)
    bound = max(abs(low), abs(high)) * max(left.sizes[-1], 1)
    text = w.pick((f"({left.text} @ {right.text})", f"ef.matmul({left.text}, {right.text})"))
    by = 2.0**math.ceil(math.log2(bound / 100)) if bound > 1000 else 1.0
    return computed(left, f"({text} / {by})" if by > 1 else text, sizes, low=-bound / by, high=bound / by, grain=None)


def sizes_of_product(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    if one[-1] != (other[-2] if len(other) > 1 else other[-1]):
        return None
    outer = meet(one[:-2], other[:-2])
    return None if outer is None else (*outer, *one[-2:-1], *other[-1:] * (len(other) > 1))


def reduced(w: Writer, table: Table) -> Table | None:
    """A reduction along an axis, or all of them, which then stay with size 1."""
    axis, place = an_axis(w, table)
    kind, count = table.element.kind, table.sizes[place]
    kept = len(table.sizes) == 1 or w.chance(0.5)
    sizes = [1 if at == place else size for at, size in enumerate(table.sizes)] if kept else \
        without(table.sizes, place)
    option = f", axis={axis}" + ", keepdims=True" * kept
    if kind == "b":
        name = w.pick(("any", "all"))
        return computed(table, f"ef.{name}({table.text}{option})", sizes)
    if count and table.element.grain is not None and w.chance(0.3):
        return computed(table, f"ef.{w.pick(('argmax', 'argmin'))}({table.text}{option})", sizes, kind="i", low=0,
                        high=count - 1, grain=None, infinite=False)
    name = w.pick(("sum", "sum", "max", "min"))
    if kind == "i":
        known = {"low": -2.0**63, "high": 2.0**63} if name == "sum" or not count else {}
        return computed(table, f"ef.{name}({table.text}{option})", sizes, **known)
    name = w.pick(("sum", "max", "min", "mean", "logsumexp"))
    table = fitted(w, table, -20.0, 20.0, infinite=name in ("max", "min", "logsumexp"))
    low, high, grain, infinite = *(table.element[3:6]), table.element.infinite
    if name == "sum":
        low, high, grain = min(count * low, 0), max(count * high, 0), None
    if name in ("mean", "logsumexp"):
        high, grain = high + 9 * (name == "logsumexp"), None
    return computed(table, f"ef.{name}({table.text}{option})", sizes, low=low, high=high, grain=grain,
                    infinite=name != "sum" and name != "mean" and (infinite or not count))


def along(w: Writer, table: Table) -> Table | None:
    """What keeps its axes: cumulative sums, softmax and its kin."""
    made = chosen(w, table, "f")
    if made is None:
        return None
    axis, place = an_axis(w, table)
    table = fitted(w, made, -8.0, 8.0)
    name = w.pick(("softmax", "log_softmax", "rms_norm", "cumsum", "cummax", "softmax"))
    bound = {"softmax": 1, "log_softmax": 40, "rms_norm": 40, "cumsum": 8 * max(table.sizes[place], 1), "cummax": 8}
    reverse = ", reverse=True" if name.startswith("cum") and w.chance(0.4) else ""
    return computed(table, f"ef.{name}({table.text}, axis={axis}{reverse})", low=-bound[name], high=bound[name],
                    grain=None)


STEPS = [turned, turned, with_one_more, squeezed, repeated, reshaped, flipped, part, part, joined, joined, taken,
         triangle, mapped, mapped, multiplied, multiplied, reduced, reduced, along]
ARRAYS = [(2.6, arrays)]

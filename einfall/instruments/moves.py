"""The statements of random programs, drawn from the tables of operators, monoids and functions."""

import itertools

from einfall.front.functions import MAPS
from einfall.front.scans import SHORT_FORMS
from einfall.front.sugar import __all__ as SUGAR
from einfall.instruments.accesses import absent_places, bounds, guarded, join, natural, poison, predicate, read, widened
from einfall.instruments.writer import ENDLESS, Table, Value, Writer, spread
from einfall.scalar.monoids import NAMED
from einfall.scalar.ops import OPS

__all__ = ["MOVES"]


ANY = (-60.0, 60.0)
DOMAINS = {  # bounds of the operands of smooth operators; an operator that is not here gets NARROW
    "add": (ANY, ANY), "subtract": (ANY, ANY), "multiply": (ANY, ANY), "divide": (ANY, (0.3, 20.0)),
    "pow": ((0.4, 3.0), (-2.0, 2.0)), "negative": (ANY,), "abs": (ANY,), "minimum": (ANY, ANY), "maximum": (ANY, ANY),
    "exp": ((-20.0, 4.0),), "exp2": ((-20.0, 5.0),), "expm1": ((-4.0, 4.0),), "log": ((0.2, 50.0),),
    "log2": ((0.2, 50.0),), "log10": ((0.2, 50.0),), "log1p": ((-0.7, 50.0),), "logaddexp": (ANY, ANY),
    "sqrt": ((0.1, 100.0),), "rsqrt": ((0.1, 100.0),), "sin": ((-20.0, 20.0),), "cos": ((-20.0, 20.0),),
    "tan": ((-1.2, 1.2),), "sinh": ((-4.0, 4.0),), "cosh": ((-4.0, 4.0),), "tanh": (ANY,), "asin": ((-0.9, 0.9),),
    "acos": ((-0.9, 0.9),), "atan": (ANY,), "atan2": ((0.2, 5.0), (-5.0, 5.0)), "asinh": (ANY,),
    "acosh": ((1.2, 50.0),), "atanh": ((-0.9, 0.9),), "erf": (ANY,), "sigmoid": (ANY,), "lgamma": ((0.3, 20.0),),
}
NARROW = (0.1, 0.9)
# defined at infinities, and without a jump there
ENDURE = {"exp", "exp2", "tanh", "sigmoid", "erf", "atan", "logaddexp", "minimum", "maximum", "negative", "abs"}
TESTS = {"isnan", "isfinite", "isinf"}  # jump where every precision agrees
AWAY = {"signbit": (0,), "copysign": (1,), "floor_divide": (1,), "remainder": (1,)}  # operands that are not 0
GRAINS = {"add": min, "subtract": min, "multiply": lambda a, b: a * b, "minimum": min, "maximum": min,
          "negative": min, "abs": min, "floor": 1.0, "ceil": 1.0, "trunc": 1.0, "round": 1.0, "sign": 1.0,
          "floor_divide": 1.0, "remainder": min, "copysign": lambda a, b: a}
BOUNDED = {"add", "subtract", "multiply", "negative", "abs", "minimum", "maximum", "sign"}  # integers: by their corners


# Maps


def maps(w: Writer) -> Value | None:
    """An operator of the table."""
    op = OPS[w.pick(OPS)]
    kind = w.pick(op.takes)
    made = {"f": of_floats, "i": of_integers, "b": of_booleans}[kind](w, op)
    if made is None or not op.to_bool:
        return made
    return made._replace(kind="b", low=0, high=1, grain=None, infinite=False)


def spelled(w: Writer, op, values: list[Value]) -> str:
    """The operator as a person writes it: its symbol, or a function of its name or of another one."""
    texts = [value.text for value in values]
    if op.symbol is not None and w.chance(0.5):
        if op.arity == 2:
            return f"({texts[0]} {op.symbol} {texts[1]})"
        return f"({'~' if op.name == 'invert' else op.symbol}{texts[0]})"
    names = [name for name, function in MAPS.items() if function.__name__ == op.name
             and (not name.startswith("logical") or values[0].kind == "b")]
    if op.name == "abs" and w.chance(0.3):
        return f"abs({texts[0]})"
    return f"ef.{w.pick(names)}({', '.join(texts)})"


def operands(w: Writer, kind: str, arity: int, test=None) -> list[Value] | None:
    """Values that fit beside each other; not all of them numbers."""
    first = w.symbol(kind, (), test)
    if first is None:
        return None
    values = [first]
    while len(values) < arity:
        values.append(nested(w, w.choose(kind, join(*values), test)))
    return w.shuffled(values)


def nested(w: Writer, value: Value) -> Value:
    """Sometimes a small expression of a value in its place."""
    if value.kind != "f" or value.is_number or value.infinite or not w.chance(0.3):
        return value
    number = w.number("f")
    low, high = value.low + number.low, value.high + number.low
    grain = min(value.grain, number.grain) if value.grain and number.grain else None
    return w.exact_enough(Value(f"({value.text} + {number.text})", value.ranks, "f", low, high, grain))


def of_floats(w: Writer, op) -> Value | None:
    jumps = op.to_bool or op.slopes is None or op.name in AWAY
    if op.name in TESTS:
        value = w.symbol("f")
        return value and value._replace(text=spelled(w, op, [value]))
    if jumps:
        first = w.exact()
        if first is None:
            return None
        values = [first]
        while len(values) < op.arity:
            other = w.exact(join(first)) if w.chance(0.6) else Value(w.pick(("(0.75)", "1.0", "2.0")), (), "f", .75, 2,
                                                                     .25, is_number=True)
            values.append(other or first)
        values = [away(w, value) if place in AWAY.get(op.name, ()) else value for place, value in enumerate(values)]
        if not all(w.fit_together(join(*values)) and value.grain is not None for value in values):
            return None
    else:
        values = operands(w, "f", op.arity)
        if op.takes == "f" and w.chance(0.2):
            values = operands(w, "i", op.arity)
        if values is None:
            return None
        domains = DOMAINS.get(op.name, (NARROW,) * op.arity)
        values = [w.fitted(value, *domain, infinite=op.name in ENDURE or (
            op.name == "add" and w.chance(0.3) and value.grain is None)) for value, domain in zip(values, domains)]
    if all(value.is_number for value in values):
        return None
    low, high, infinite = spread(op.name, values)
    grain = None
    if all(value.kind == "f" and value.grain is not None for value in values) and op.name in GRAINS:
        rule = GRAINS[op.name]
        grain = rule if isinstance(rule, float) else rule(*(value.grain for value in values)) if op.arity == 2 else \
            values[0].grain
        if grain == 0 and op.name not in ("minimum", "maximum", "negative", "abs", "copysign"):
            grain = None
        if op.name == "copysign":
            grain = values[0].grain
    return w.exact_enough(Value(spelled(w, op, values), join(*values), "f", low, high, grain, infinite))


def away(w: Writer, value: Value) -> Value:
    """An exact float that is never 0: between the grains, or made positive."""
    if value.is_number:
        return value
    if value.grain:
        step = value.grain / 2
        return Value(f"({value.text} + {step!r})", value.ranks, "f", value.low + step, value.high + step, step)
    number = w.pick((0.5, 2.0, -0.75))
    return Value(f"({number})", (), "f", number, number, 0.25, is_number=True)


def of_integers(w: Writer, op) -> Value | None:
    values = operands(w, "i", op.arity)
    if values is None:
        return None
    low, high = -ENDLESS, ENDLESS
    if op.name in BOUNDED:
        corners = [op.evaluate(*map(float_array, corner))
                   for corner in itertools.product(*((value.low, value.high) for value in values))]
        low, high = bounds([float(corner) for corner in corners] + ([0.0] if op.name in ("abs", "sign") else []))
    elif op.name == "remainder":
        divisor = max(abs(values[1].low), abs(values[1].high))
        low, high = -divisor, divisor
    if max(abs(low), abs(high)) >= 2.0**31:
        low, high = -ENDLESS, ENDLESS
    return Value(spelled(w, op, values), join(*values), "i", low, high)


def float_array(number: float):
    return OPS["negative"].evaluate(-number * 1.0)


def of_booleans(w: Writer, op) -> Value | None:
    values = operands(w, "b", op.arity)
    return values and Value(spelled(w, op, values), join(*values), "b")


def functions(w: Writer) -> Value | None:
    """A function that is made of operators."""
    value = w.symbol("f")
    if value is None:
        return None
    value = w.fitted(value, -20.0, 20.0)
    x, bound = value.text, max(abs(value.low), abs(value.high), 1)
    name = w.pick(("relu", "silu", "gelu", "softplus", "square", "reciprocal", "hypot", "clip"))
    match name:
        case "square":
            return value._replace(text=f"ef.square({x})", low=0, high=bound**2, grain=None)
        case "reciprocal":
            return Value(f"ef.reciprocal({w.fitted(value, 0.3, 20.0).text})", value.ranks, "f", 0.04, 4)
        case "hypot":
            other = w.fitted(w.choose("f", value.ranks), 0.2, 20.0)
            return Value(f"ef.hypot({x}, {other.text})", join(value, other), "f", 0, bound + 20)
        case "clip":
            return value._replace(text=f"ef.clip({x}, -1.5, 0.5)", low=-1.5, high=0.5, grain=value.grain and min(
                value.grain, 0.5))
        case "relu":
            return value._replace(text=f"ef.relu({x})", low=0, high=bound)
    return Value(f"ef.{name}({x})", value.ranks, "f", -1, bound + 1)


def casts(w: Writer) -> Value | None:
    """A value in another type; floats become integers only where they are exact."""
    kind = w.pick("fib")
    if kind == "f":
        value = w.exact()
        if value is None or value.infinite or value.is_number:
            return None
        if value.grain and w.float == "f32" and max(abs(value.low), abs(value.high)) <= 100 * value.grain and w.chance(
                0.2):  # few bits: rounding changes nothing
            return value._replace(text=f"{value.text}.astype(ef.{w.pick(('f16', 'bf16'))})")
        if w.chance(0.5):
            low, high = min(value.low, 0), max(value.high, 0)  # NaN gives 0
            to = w.pick(("i32", "i64"))
            text = f"{value.text}.astype(ef.{to})" if w.chance(0.5) else f"ef.cast({value.text}, ef.{to})"
            return Value(text, value.ranks, "i", int(low) - 1, int(high) + 1)
        return value._replace(text=f"({value.text} != 0).astype(ef.{w.float})", low=0, high=1, grain=1.0)
    value = w.symbol(kind)
    if value is None or value.text in w.extents:
        return None
    if kind == "b":
        to = w.pick(("i32", "i64", w.float))
        return Value(f"{value.text}.astype(ef.{to})", value.ranks, to[0], 0, 1, 1.0)
    to = w.pick(("i32", "i64", "bool_", w.float))
    if to[0] == "b":
        return Value(f"{value.text}.astype(ef.bool_)", value.ranks, "b")
    if to[0] == "i":
        return value._replace(text=f"{value.text}.astype(ef.{to})")
    small = value if max(abs(value.low), abs(value.high)) < 100 else w.modulo(value, 11)
    return Value(f"{small.text}.astype(ef.{to})", value.ranks, "f", small.low, small.high, 1.0)


def selections(w: Writer) -> Value | None:
    """A choice between values, or a value and a constant: absent points."""
    value = w.symbol(w.pick("fffib"))
    if value is None:
        return None
    if w.chance(0.2):
        left, right = w.exact(value.ranks), w.number("f")
        if left is None or right.grain is None:
            return None
        sign = w.pick(("<", "<=", ">", ">=", "==", "!="))
        chosen = Value(f"({left.text} {sign} {right.text})", left.ranks, "b")
    else:
        chosen = predicate(w, value.ranks)
    if not w.fit_together(chosen.ranks, value.ranks):
        return None
    if w.chance(0.3):
        other = w.choose(value.kind, join(value, chosen))
    elif value.kind == "f":
        number = w.pick(("-ef.inf", "-ef.inf", "0.0", "0.0", "0.0", "1.0", "ef.inf", "ef.nan"))
        endless = number.startswith(("ef", "-"))
        other = Value(number, (), "f", 0, 0 if endless else float(number), 1.0, endless)
    else:
        other = w.number(value.kind)
    made = widened(value, other, f"ef.where({chosen.text}, {value.text}, {other.text})")
    return made._replace(ranks=join(chosen, made))


# Reductions


def over_of(w: Writer, value: Value, nonempty: bool = False) -> tuple[str, ...]:
    ranks = [rank for rank in value.ranks if w.extents[rank] or not nonempty]
    count = min(len(ranks), w.pick((1, 1, 1, 2, 2, 3)))
    return tuple(w.shuffled(ranks)[:count])


def written(over: tuple[str, ...]) -> str:
    return over[0] if len(over) == 1 else f"({', '.join(over)})"


def rest_of(value: Value, over: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(rank for rank in value.ranks if rank not in over)


def length(w: Writer, over) -> int:
    count = 1
    for rank in over:
        count *= w.extents[rank]
    return count


def reductions(w: Writer) -> Value | None:
    """A monoid of the table, by its function or by its name."""
    name = w.pick(list(NAMED))
    kind = w.pick(NAMED[name][2] if name not in ("any", "all") or w.chance(0.8) else "i")
    value = w.symbol(kind, (), lambda value: bool(value.ranks))
    if value is None or not (over := over_of(w, value)):
        return None
    if kind == "f" and name == "prod":
        value = w.fitted(value, 0.6, 1.4)
    elif kind == "f" and name == "logsumexp":
        value = w.fitted(value, -20.0, 20.0, infinite=True)
    elif kind == "f" and w.chance(0.3):
        value = nested(w, value)
    count = length(w, over)
    by_name = name not in ("sum", "prod", "max", "min", "any", "all", "logsumexp") or w.chance(0.15)
    text = f'ef.reduce({value.text}, over={written(over)}, by="{name}")' if by_name else \
        f"ef.{name}({value.text}, over={written(over)})"
    result = Value(text, rest_of(value, over), "b" if name in ("any", "all") else kind, value.low, value.high,
                   value.grain, True)
    if kind == "i":
        if name == "sum" and max(abs(value.low), abs(value.high)) < 2**20:
            return result._replace(low=min(count * value.low, 0), high=max(count * value.high, 0))
        return result._replace(low=-ENDLESS, high=ENDLESS)
    if kind == "b":
        return result._replace(kind="i" if name in ("sum", "prod") else "b", low=0, high=max(count, 1))
    if name == "sum":
        return w.exact_enough(result._replace(low=min(count * value.low, 0), high=max(count * value.high, 0),
                                              grain=value.grain or None, infinite=value.infinite))
    if name == "prod":
        high = max(value.high, 1.0) ** count
        return result._replace(low=0.6**count if high < 1e6 else 0, high=high, grain=None, infinite=False) \
            if high < 1e6 else None
    if name == "logsumexp":
        return result._replace(high=value.high + 9, grain=None)
    return result


def statistics(w: Writer) -> Value | None:
    """mean and var."""
    value = w.symbol(w.pick("ffi"), (), lambda value: bool(value.ranks))
    if value is None or not (over := over_of(w, value)):
        return None
    value = w.tame(value) if value.kind == "f" else w.modulo(value, 7)
    name, bound = w.pick(("mean", "var")), max(abs(value.low), abs(value.high))
    text = f"ef.{name}({value.text}, over={written(over)})"
    if name == "mean":
        return Value(text, rest_of(value, over), "f", -bound, bound)
    # the error of a quotient of two variances of one value is not bounded to first order
    return Value(f"({text} + 0.5)", rest_of(value, over), "f", 0.5, 4 * bound**2 + 0.5)


def contractions(w: Writer) -> Value | None:
    """A sum of products."""
    first = w.symbol("f", (), lambda value: bool(value.ranks))
    if first is None:
        return None
    second = w.choose("f", first.ranks)
    first, second = w.fitted(first, *ANY), w.fitted(second, *ANY)
    if w.chance(0.3):
        first = nested(w, first)
    product = Value(f"({first.text} * {second.text})", join(first, second), "f")
    shared = [rank for rank in product.ranks if rank in first.ranks and rank in second.ranks]
    over = tuple(w.shuffled(shared)[:w.pick((1, 1, 2))]) if shared else over_of(w, product)
    if not over:
        return None
    corners = [a * b * max(length(w, over), 1) for a in (first.low, first.high) for b in (second.low, second.high)]
    text = f"ef.sum({product.text}, over={written(over)})"
    low, high = bounds([*corners, 0])
    if w.chance(0.3):
        scale = w.pick((f"ef.sqrt(1 + {over[0]}.extent)", "4.0", f"(2 + {over[0]}.extent)"))
        text = f"({text} / {scale})"
    grain = first.grain * second.grain if first.grain and second.grain and "/" not in text else None
    return w.exact_enough(Value(text, rest_of(product, over), "f", low, high, grain))


def sugar(w: Writer) -> Value | None:
    """A function that is defined by others."""
    value = w.symbol("f", (), lambda value: bool(value.ranks))
    if value is None:
        return None
    name = w.pick(SUGAR)
    value = w.fitted(value, -20.0, 20.0, infinite=name == "softmax")
    over = over_of(w, value)
    if name == "cross_entropy":
        target = w.fitted(w.choose("f", value.ranks), 0.0, 1.0)
        if not (over := over_of(w, value)):
            return None
        text = f"ef.cross_entropy({value.text}, {target.text}, over={written(over)})"
        return Value(text, tuple(rank for rank in join(value, target) if rank not in over), "f", -900, 900)
    option = ""
    if name == "softmax" and w.chance(0.3):
        option = ", empty=0.0"
    if name == "layer_norm":  # the default epsilon makes the condition of a constant row very large
        option = ", eps=0.1"
    bound = {"softmax": 1.0, "log_softmax": 60.0}.get(name, 40.0)
    return Value(f"ef.{name}({value.text}, over={written(over)}{option})", value.ranks, "f",
                 0 if name == "softmax" else -bound, bound)


def arguments(w: Writer) -> Value | None:
    """argmax and argmin, over one rank or several."""
    value = w.symbol(w.pick("fiib"), (), lambda value: bool(value.ranks) and (
        value.kind != "f" or value.grain is not None))
    if value is None or not (over := over_of(w, value, nonempty=True)):
        return None
    name = w.pick(("argmax", "argmin"))
    rest = rest_of(value, over)
    if len(over) == 1 and w.chance(0.8):
        return Value(f"ef.{name}({value.text}, over={over[0]})", rest, "i", 0, w.extents[over[0]] - 1)
    names = [w.name("i") for _ in over]
    comma = "," * (len(over) == 1)
    w.lines.append(f"{', '.join(names)}{comma} = ef.{name}({value.text}, over=({', '.join(over)}{comma}))")
    w.firm.update(names)
    for made, rank in zip(names, over):
        w.hold(Value(made, rest, "i", 0, w.extents[rank] - 1))
    return w.values[-1]


BY_HAND = {  # name -> (definition, kinds of the components, their bounds, identity, bounds of the results)
    "times": ("def times(a, b):\n    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]",
              "ff", ((0.7, 1.0), (0.001, 0.01)), "(1.0, 0.0)", (-1, 2)),
    "after": ("def after(a, b):\n    return a[0] * b[0], b[0] * a[1] + b[1]",
              "ff", ((0.2, 0.9), (0.2, 1.0)), "(1.0, 0.0)", (0, 40)),
    "welford": ("def welford(a, b):\n    total = a[0] + b[0]\n    share = ef.where(total > 0, b[0] / total, 0.0)\n"
                "    delta = b[1] - a[1]\n    return total, a[1] + delta * share, "
                "a[2] + b[2] + delta * delta * a[0] * share",
                "eff", (None, (0.5, 3.0), (0.5, 2.0)), "(0.0, 0.0, 0.0)", (0, 4000)),
    "most": ("def most(a, b):\n    more, same = b[0] > a[0], b[0] == a[0]\n"
             "    return ef.where(more, b[0], a[0]), ef.where(more, b[1], ef.where(same, a[1] + b[1], a[1]))",
             "ii", (None, None), "(-2147483648, 0)", (-2**31, 2**31)),
    "compound": ("def compound(a, b):\n    return a + b + a * b", "f", ((0.01, 0.1),), "0.0", (0, 60)),
}


def monoids(w: Writer) -> Value | None:
    """A reduction by a monoid of one's own; some of them do not commute."""
    name = w.pick(BY_HAND)
    definition, kinds, domains, identity, (low, high) = BY_HAND[name]
    value = w.symbol("f", (), lambda value: bool(value.ranks))
    if value is None or not (over := over_of(w, value)) or length(w, over) > 33:
        return None
    parts = []
    for kind, domain in zip(kinds, domains):
        if kind == "i":
            first = w.symbol("i", value.ranks)
            parts.append(w.modulo(first, 5) if first else Value("1", (), "i"))
        elif kind == "e":  # exact: the definition compares it
            parts.append(Value("(1.0)", (), "f"))
        else:
            parts.append(w.fitted(w.choose("f", value.ranks), *domain))
    free = join(*parts)
    if not set(over) <= set(free):
        parts[0] = Value(f"ef.where({over[0]} >= 0, {parts[0].text}, {parts[0].text})",
                         tuple(dict.fromkeys((*parts[0].ranks, over[0]))), parts[0].kind)
        over = over[:1]
        w.lines and w.bound.add(over[0])
    if definition not in w.above:
        w.above.append(definition)
    commutes = ", commutative=True" if name in ("times", "welford", "most", "compound") and w.chance(0.5) else ""
    by = f"ef.Monoid({name}, {identity}{commutes})"
    rest = tuple(rank for rank in join(*parts) if rank not in over)
    if len(kinds) == 1:
        return Value(f"ef.reduce({parts[0].text}, over={written(over)}, by={by})", rest, "f", low, high)
    names = [w.name("i" if kind == "i" else "f") for kind in kinds]
    elements = ", ".join(part.text for part in parts)
    w.say(", ".join(names), f"ef.reduce(({elements}), over={written(over)}, by={by})")
    w.firm.update(names)
    for made, kind in zip(names, kinds):
        w.hold(Value(made, rest, "i" if kind == "i" else "f", low, high))
    return w.values[-1]


def scatters(w: Writer) -> Value | None:
    """A reduction under an equality."""
    where = w.symbol("i", (), lambda value: bool(value.ranks) and abs(value.low) < 100 and value.high < 100)
    if where is None or where.text in w.extents:
        return None
    value = w.choose("f", where.ranks, lambda value: not value.infinite)
    source = w.pick(where.ranks)
    free = [rank for rank in w.usable() if rank not in join(where, value)
            and w.fit_together((rank,), join(where, value))]
    if not free:
        return None
    target = w.pick(free)
    name, nothing = w.pick((("sum", "0.0"), ("sum", "0.0"), ("max", "-ef.inf"), ("min", "ef.inf"), ("sum", "0")))
    chosen = f"{where.text} == {w.sized_rank(target)}"
    text = f"ef.{name}(ef.where({chosen}, {value.text}, {nothing}), over={source})"
    count = max(w.extents[source], 1)
    low, high = (min(count * value.low, 0), max(count * value.high, 0)) if name == "sum" else (value.low, value.high)
    ranks = tuple(dict.fromkeys((*rest_of(where, (source,)), *rest_of(value, (source,)), target)))
    grain = value.grain or (0.0 if name != "sum" and value.grain == 0 else None)
    return w.exact_enough(Value(text, ranks, "f", low, high, grain, name != "sum"))


def attentions(w: Writer) -> Value | None:
    """Masked scores, normalised one way or another, and what they weigh: garbage where all of them are absent."""
    scores = w.symbol("f", (), lambda value: len(value.ranks) > 1)
    if scores is None:
        return None
    key, query = w.shuffled(scores.ranks)[:2]
    free = [rank for rank in w.usable() if rank not in scores.ranks and w.fit_together(scores.ranks, (rank,))]
    ranks = (key, *(w.pick(free) for _ in range(bool(free) and w.chance(0.7))))
    guard, used, poisoned = absent_places(w, ranks, (query,))
    if not w.fit_together(scores.ranks, used, ranks):
        return None
    scores = w.fitted(scores, -20.0, 4.0)
    masked = w.let(Value(f"ef.where({guard}, {scores.text}, -ef.inf)", tuple(dict.fromkeys((*scores.ranks, *used))),
                         "f", -20, 4, None, True))
    weights = w.let(masked._replace(low=0, high=60, infinite=False, text=w.pick(
        (f"ef.softmax({masked.text}, over={key})", f"ef.exp({masked.text} - ef.max({masked.text}, over={key}))",
         f"ef.exp({masked.text} - ef.logsumexp({masked.text}, over={key}))", f"ef.exp({masked.text})"))))
    table, _ = w.declare(ranks, w.float, "normal", whole=True)
    poison(w, poisoned)
    w.unread -= {masked.text, weights.text}
    text = f"ef.sum({weights.text} * {natural(w, table).text}, over={key})"
    if w.chance(0.5):
        text = f"({text} / ef.sum({weights.text}, over={key}))"
    every = tuple(dict.fromkeys((*weights.ranks, *ranks)))
    bound = 180.0 * max(w.extents[key], 1)
    return Value(text, rest_of(Value("", every, "f"), (key,)), "f", -bound, bound)


# Tensors


def tensors(w: Writer) -> Value | None:
    """An expression ordered, and read again at other coordinates."""
    value = w.symbol(w.pick("ffib"), (), lambda value: bool(value.ranks))
    if value is None:
        return None
    return read(w, w.tensor(value))


def accesses(w: Writer) -> Value | None:
    """A tensor or an argument at drawn coordinates."""
    if not w.tables:
        return None
    table = w.pick(w.tables)
    if table.sizes and w.chance(0.3):
        return read(w, sliced(w, table))
    return read(w, table)


def sliced(w: Writer, table: Table) -> Table:
    cuts, sizes = [], []
    for size in table.sizes:
        cut = w.pick((slice(None), slice(None), slice(1, None), slice(None, -1), slice(None, None, -1),
                      slice(None, None, 2), slice(1, 4)))
        text = "".join("" if part is None else str(part) for part in (cut.start,)) + ":" + (
            "" if cut.stop is None else str(cut.stop)) + ("" if cut.step is None else f":{cut.step}")
        cuts.append(text)
        sizes.append(len(range(size)[cut]))
    name = w.name("f").capitalize()
    w.names.add(name)
    w.say(name, f"{table.text}[{', '.join(cuts)}]")
    made = Table(name, tuple(sizes), table.element, ("",) * len(sizes))
    w.tables.append(made)
    return made


def definitions(w: Writer) -> Value | None:
    """A product by Einstein's convention, as a string or as a definition."""
    found = [table for table in w.tables if table.element.kind == "f" and all(table.ranks)
             and len(set(table.ranks)) == len(table.ranks) and not table.element.infinite]
    if not found:
        return None
    first, second = w.pick(found), w.pick(found)
    if not w.fit_together(first.ranks, second.ranks) or max(abs(first.element.high * second.element.high), abs(
            first.element.low * second.element.low)) > 500:
        return None
    every = tuple(dict.fromkeys((*first.ranks, *second.ranks)))
    kept = tuple(rank for rank in w.shuffled(every) if w.chance(0.6))
    bound = max(abs(first.element.low), first.element.high) * max(abs(second.element.low), second.element.high)
    gone = [rank for rank in every if rank not in kept]
    bound *= max(length(w, [rank for rank in gone if w.extents[rank]]), 1)
    grain = first.element.grain * second.element.grain if first.element.grain and second.element.grain else None
    element = w.exact_enough(Value("", kept, "f", -bound, bound, grain))
    name = w.name("f").capitalize()
    w.names.add(name)
    if w.chance(0.5):
        letters = f"{''.join(first.ranks)},{''.join(second.ranks)}->{''.join(kept)}"
        w.say(name, f'ef.einsum("{letters}", {first.text}, {second.text})')
    else:
        w.lines.append(f"{name} = ef.tensor()")
        w.firm.add(name)
        w.lines.append(f"{name}[{', '.join(kept) or '()'}] = {first.text}[{', '.join(first.ranks) or '()'}] * "
                       f"{second.text}[{', '.join(second.ranks) or '()'}]")
    table = Table(name, tuple(w.extents[rank] for rank in kept), element, kept)
    if bound < 1000:
        w.tables.append(table)
    return element._replace(text=f"{name}[{', '.join(kept) or '()'}]")


# Scans


def flags_of(w: Writer) -> tuple[str, bool]:
    """(the options of a scan, whether only the last state is kept)."""
    kind = w.pick(("", "", "", ", exclusive=True", ", last=True", ", last=True"))
    return kind + (", reverse=True" if w.chance(0.3) else ""), "last" in kind


def cumulatives(w: Writer) -> Value | None:
    """A short form: the cumulative sum and its kin."""
    value = w.symbol(w.pick("ffi"), (), lambda value: bool(value.ranks))
    if value is None:
        return None
    name, rank = w.pick(SHORT_FORMS), w.pick(value.ranks)
    count, endless = max(w.extents[rank], 1), False
    if value.kind == "f" and name == "cumprod":
        value = w.fitted(value, 0.6, 1.2)
    elif value.kind == "f":
        value, endless = w.tame(value), name in ("cummax", "cummin")
    flags = w.pick(("", "", ", exclusive=True", ", reverse=True", ", exclusive=True, reverse=True"))
    text = f"ef.{name}({value.text}, over={rank}{flags})"
    if value.kind == "i":
        return Value(text, value.ranks, "i", -ENDLESS, ENDLESS)
    if name == "cumprod":
        high = 1.2**count + 1
        return Value(text, value.ranks, "f", 0, high) if high < 1e6 else None
    if name == "cumsum":
        return w.exact_enough(Value(text, value.ranks, "f", min(count * value.low, 0), max(count * value.high, 0),
                                    value.grain or None))
    return value._replace(text=text, infinite=endless)


def scans(w: Writer) -> Value | None:
    """States along a rank: one or several, of any kind."""
    kind = w.pick("fffffiibb")
    value = w.symbol(kind, (), lambda value: bool(value.ranks))
    if value is None:
        return None
    rank = w.pick(value.ranks)
    flags, last = flags_of(w)
    if kind != "f":
        ranks = value.ranks if not last else rest_of(value, (rank,))
        steps = {"i": (f"s + {value.text}", f"s ^ {value.text}", f"(s * 3 + {value.text}) % 17",
                       f"ef.where({value.text} > 1, 0, s + 1)", f"ef.maximum(s, {value.text})"),
                 "b": (f"s ^ {value.text}", f"s | {value.text}", f"ef.where({value.text}, ~s, s)")}[kind]
        init = {"i": w.pick(("0", "1")), "b": w.pick(("True", "False"))}[kind]
        return Value(f"ef.scan(lambda s: {w.pick(steps)}, over={rank}, init={init}{flags})", ranks, kind,
                     -ENDLESS, ENDLESS)
    value = w.fitted(value, -8.0, 8.0)
    factor = w.fitted(w.choose("f", value.ranks), -0.95, 0.95)
    init = w.choose("f", join(value, factor), lambda value: rank not in value.ranks)
    init = w.fitted(init, -8.0, 8.0) if w.chance(0.5) else Value(w.pick(("0.0", "1.0")), (), "f", 0, 1)
    form = w.pick((one_state, one_state, one_state, several_states, state_with_axes, state_with_axes))
    return form(w, rank, value, factor, init, flags, last)


def result(w: Writer, rank: str, parts: list[Value], last: bool) -> Value:
    """What is known of states that add up these parts, the initial one last."""
    ranks = tuple(dict.fromkeys((*join(*parts), rank)))
    bound = 9 + (w.extents[rank] + 1) * 10.0
    return Value("", rest(ranks, rank) if last else ranks, "f", -bound, bound)


def rest(ranks, rank: str) -> tuple[str, ...]:
    return tuple(other for other in ranks if other != rank)


def one_state(w: Writer, rank: str, value: Value, factor: Value, init: Value, flags: str, last: bool) -> Value:
    x, a = value.text, factor.text
    with_factor = (f"{a} * s + {x}", f"{x} - s * {a}", f"ef.tanh(s * {a} + {x})", f"{a} * (s - {x}) + {x}")
    without = (f"ef.maximum(s * 0.9, {x})", f"ef.where({rank} % 3 == 1, 0.0, s) * 0.8 + {x}", f"0.7 * s + 0.3 * {x}",
               f"ef.where({rank} < 2, s, {x})")
    is_with = w.chance(0.6)
    made = result(w, rank, [value, factor, init] if is_with else [value, init], last)
    step = w.pick(with_factor if is_with else without)
    return made._replace(text=f"ef.scan(lambda s: {step}, over={rank}, init={init.text}{flags})")


def several_states(w: Writer, rank: str, value: Value, factor: Value, init: Value, flags: str, last: bool) -> Value:
    """Two or three states that read each other."""
    x, a, count = value.text, factor.text, w.pick((2, 2, 3))
    forms = [f"{a} * s0 + {x}"]
    for place in range(1, count):
        own, other = f"s{place}", f"s{w.pick(range(count))}"
        forms.append(w.pick((f"0.5 * {own} + 0.4 * {other}", f"ef.tanh({own} * 0.5 + {other} * {a})",
                             f"ef.maximum({own} * 0.9, {other})", f"{own} * 0.3 - {other} * 0.6 + {x}")))
    inits = [init.text] + [w.pick(("0.0", "1.0", "-0.5")) for _ in forms[1:]]
    names = [w.name("f") for _ in forms]
    states = ", ".join(f"s{place}" for place in range(count))
    w.say(", ".join(names), f"ef.scan(lambda {states}: ({', '.join(forms)}), over={rank}, "
                            f"init=({', '.join(inits)}){flags})")
    w.firm.update(names)
    made = result(w, rank, [value, factor, init], last)
    for name in names:
        w.hold(made._replace(text=name))
    return w.values[-1]


def state_with_axes(w: Writer, rank: str, value: Value, factor: Value, init: Value, flags: str, last: bool
                    ) -> Value | None:
    """A state with an axis that the step reads at other coordinates."""
    axes = [other for other in value.ranks if other != rank and other not in init.ranks and w.extents[other]]
    if not axes:
        return None
    axis = w.pick(axes)
    every = join(value, init)
    forms = [f"0.9 * s[{axis}.extent - 1 - {axis}]", f"0.9 * ef.where({axis} > 0, s[{axis} - 1], 0.0)",
             f"(0.5 * s + 0.4 * s[({axis} + 1) % {axis}.extent])", f"0.8 * s[{axis}]"]
    forms += [f"0.9 * s.pad(0.0)[{axis} - 1]"] * 3
    like = [other for other in w.extents if w.extents[other] == w.extents[axis] and other not in every
            and other in w.usable() and w.fit_together(every, (other,))]
    if like:
        inner = w.pick(like)
        forms += [f"0.9 * ef.sum(s[{inner}], over={inner}) / {axis}.extent",
                  f"ef.max(0.9 * s[{inner}] - ef.abs({inner} - {axis}), over={inner})"] * 2
    text = (f"ef.scan(lambda s: {w.pick(forms)} + {value.text}, over={rank}, init={init.text}, "
            f"state=({w.sized_rank(axis)},){flags})")
    return result(w, rank, [value, init], last)._replace(text=text)


MOVES = [(10, maps), (1.5, functions), (1.5, casts), (2.5, selections), (3.5, reductions), (0.8, statistics),
         (2.0, contractions), (1.2, sugar), (0.9, arguments), (0.8, monoids), (0.8, scatters), (1.5, tensors),
         (2.5, accesses), (0.7, definitions), (0.8, cumulatives), (1.8, scans), (1.3, guarded), (0.8, attentions)]

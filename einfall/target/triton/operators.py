"""The operator table in Triton's words: a spelling for each operator, by the kind of its numbers.

Quotients, roots and products round as IEEE 754 says; integers divide downwards, shifts past the width give what the
table says, and NaN stays NaN in extrema. A spelling is a template, or a function that gives its lines.
"""

from collections.abc import Callable

from einfall.base.errors import CompileError
from einfall.scalar.dtypes import BOOL, F32, DType
from einfall.target.triton.values import Tensor

__all__ = ["EXTREMUM", "TYPES", "any_power", "convert", "power", "refused", "spell"]

TYPES = {"bool": "tl.int1", "u8": "tl.uint8", "i8": "tl.int8", "u16": "tl.uint16", "i16": "tl.int16",
         "u32": "tl.uint32", "i32": "tl.int32", "u64": "tl.uint64", "i64": "tl.int64", "f16": "tl.float16",
         "bf16": "tl.bfloat16", "f32": "tl.float32", "f64": "tl.float64"}

EXTREMUM = "tl.{}({{}}, {{}}, propagate_nan=tl.PropagateNan.ALL)"  # NaN wins

Line = Callable[..., Tensor]  # line(template, *tensors): the tensor that a line of text makes
Rule = Callable[[Line, DType, tuple[Tensor, ...]], Tensor]


def refused(what: str, repair: str) -> CompileError:
    """The error of what has no spelling here."""
    return CompileError(f"{what} on this target", known="target: triton", repair=repair)


def spell(line: Line, op: str, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    """An operator of the table. Raises: CompileError for one without a spelling."""
    rule = RULES.get((op, dtype.letter))
    if rule is None:
        raise refused(f"{op} of {dtype} has no spelling", "compute it by other operators, or compile for the processor")
    return line(rule, *args) if isinstance(rule, str) else rule(line, dtype, args)


def convert(line: Line, value: Tensor, source: DType, to: DType) -> Tensor:
    """A number in another type: float to integer truncates and saturates, NaN gives 0; integers wrap."""
    if to is BOOL:
        return line("{} != 0", value)
    if not (source.is_float and to.is_int):
        return line(f"tl.cast({{}}, {TYPES[to.name]})", value)
    low, high = f"{float(to.lowest)!r}", f"{float(to.highest)!r}"
    inside = line(f"({{}} > {low}) & ({{}} < {high})", value, value)  # false for NaN
    whole = line(f"tl.cast(tl.where({{}}, {{}}, 0.0), {TYPES[to.name]})", inside, value)
    ends = line(f"tl.where({{}} >= {high}, {to.highest}, tl.where({{}} <= {low}, {to.lowest}, 0))", value, value)
    return line(f"tl.where({{}}, {{}}, tl.cast({{}}, {TYPES[to.name]}))", inside, whole, ends)


def power(line: Line, dtype: DType, base: Tensor, exponent: float) -> Tensor:
    """A power whose exponent is written in the program, a few halves: products and roots."""
    if exponent < 0:
        return _inverse(line, dtype, power(line, dtype, base, -exponent))
    made = None
    for _ in range(int(exponent)):
        made = base if made is None else line("{} * {}", made, base)
    if exponent == int(exponent):
        return line(f"tl.full([], 1.0, {TYPES[dtype.name]})") if made is None else made
    root = _root(line, dtype, (base,))
    return root if made is None else line("{} * {}", made, root)


def any_power(line: Line, dtype: DType, base: Tensor, exponent: Tensor) -> Tensor:
    """A power of f32 by logarithm and exponential of f64, which lose less than f32 holds.

    Raises: CompileError for f64, which would need more.
    """
    if dtype is not F32:
        raise refused(f"pow of {dtype} has no spelling", "write a whole exponent, or compute it in f32")
    size = line("tl.cast(tl.abs({}), tl.float64)", base)
    grown = line("tl.where({} == 1.0, 0.0, tl.cast({}, tl.float64) * tl.log({}))", size, exponent, size)
    made = line("tl.cast(tl.exp({}), tl.float32)", grown)
    is_odd = line("{} != 2.0 * tl.floor(0.5 * {})", exponent, exponent)
    of_negative = line('tl.where(tl.floor({}) == {}, tl.where({}, -{}, {}), tl.where({} == float("-inf"), {}, '
                       'float("nan")))', exponent, exponent, is_odd, made, made, base, made)
    made = line("tl.where({} < 0.0, {}, {})", base, of_negative, made)
    return line("tl.where({} == 0.0, 1.0, tl.where({} == 1.0, 1.0, {}))", exponent, base, made)


def _divide(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    return line("tl.div_rn({}, {})" if dtype is F32 else "{} / {}", *args)


def _root(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    return line("tl.sqrt_rn({})" if dtype is F32 else "tl.sqrt({})", *args)


def _rsqrt(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    return _inverse(line, dtype, _root(line, dtype, args))


def _inverse(line: Line, dtype: DType, value: Tensor) -> Tensor:
    return line("tl.div_rn(1.0, {})" if dtype is F32 else "1.0 / {}", value)


def _divided(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The quotient rounded down and the remainder; by zero both are 0, and the least integer by -1 wraps."""
    left, right = args
    if dtype.kind == "u":
        safe = line("tl.where({} == 0, 1, {})", right, right)
        return (line("tl.where({} == 0, 0, {} // {})", right, left, safe),
                line("tl.where({} == 0, 0, {} % {})", right, left, safe))
    special = line("({} == 0) | ({} == -1)", right, right)
    safe = line("tl.where({}, 1, {})", special, right)
    quotient, rest = line("{} // {}", left, safe), line("{} % {}", left, safe)
    moved = line("({} != 0) & (({} < 0) != ({} < 0))", rest, rest, safe)
    down = line("tl.where({}, {} - 1, {})", moved, quotient, quotient)
    quotient = line("tl.where({} == -1, -{}, tl.where({} == 0, 0, {}))", right, left, right, down)
    return quotient, line("tl.where({}, 0, tl.where({}, {} + {}, {}))", special, moved, rest, safe, rest)


def _shift(sign: str) -> Rule:
    def rule(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
        value, by = args
        inside = line(f"({{}} >= 0) & ({{}} < {dtype.bits})", by, by)
        if sign == ">>" and dtype.kind == "i":
            return line(f"{{}} >> tl.where({{}}, {{}}, {dtype.bits - 1})", value, inside, by)
        return line(f"tl.where({{}}, {{}} {sign} tl.where({{}}, {{}}, 0), 0)", inside, value, inside, by)

    return rule


def _sigmoid(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    small = line("tl.exp(-tl.abs({}))", *args)
    top = line("tl.where({} >= 0, 1.0, {})", *args, small)
    return _divide(line, dtype, (top, line("1.0 + {}", small)))


def _log1p(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    """What 1 + x loses is known: the logarithm is scaled by x over what is left of it."""
    more = line("1.0 + {}", *args)
    scaled = line("tl.log({}) * {}", more, _divide(line, dtype, (*args, line("{} - 1.0", more))))
    return line('tl.where({} == 1.0, {}, tl.where({} == float("inf"), {}, {}))', more, *args, *args, *args, scaled)


def _expm1(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    """As for log1p, the other way round."""
    power = line("tl.exp({})", *args)
    less = line("{} - 1.0", power)
    scaled = line("{} * {}", less, _divide(line, dtype, (*args, line("tl.log({})", power))))
    plain = line('tl.where(({} == -1.0) | ({} == float("inf")), {}, {})', less, less, less, scaled)
    return line("tl.where({} == 1.0, {}, {})", power, *args, plain)


def _tanh(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    power = _expm1(line, dtype, (line("-2.0 * tl.abs({})", *args),))
    size = _divide(line, dtype, (line("-{}", power), line("2.0 + {}", power)))
    return line("tl.where({} < 0, -{}, {})", *args, size, size)


def _logaddexp(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    larger = line(EXTREMUM.format("maximum"), *args)
    away = line("tl.abs({} - {})", *args)
    more = _log1p(line, dtype, (line("tl.exp(-{})", away),))
    same = line("{} == {}", *args)  # infinities of one sign have no distance
    return line("tl.where({}, {} + 0.6931471805599453, {} + {})", same, larger, larger, more)


def _round(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    """To the nearest whole number, of two to the even one."""
    down = line("tl.floor({})", *args)
    away = line("{} - {}", *args, down)
    is_odd = line("{} != 2.0 * tl.floor(0.5 * {})", down, down)
    return line("tl.where(({} > 0.5) | (({} == 0.5) & {}), {} + 1.0, {})", away, away, is_odd, down, down)


def _sign(line: Line, dtype: DType, args: tuple[Tensor, ...]) -> Tensor:
    one, minus, zero = ("1.0", "-1.0", "{}") if dtype.is_float else ("1", "-1", "{}")
    if dtype.kind == "u":
        return line("tl.where({} > 0, 1, {})", *args, *args)
    return line(f"tl.where({{}} > 0, {one}, tl.where({{}} < 0, {minus}, {zero}))", *args, *args, *args)


_COMPARED = (("less", "<"), ("less_equal", "<="), ("greater", ">"), ("greater_equal", ">="), ("equal", "=="),
             ("not_equal", "!="))
RULES: dict[tuple[str, str], str | Rule] = {
    **{(name, kind): f"{{}} {sign} {{}}" for kind in "fi" for name, sign in (
        ("add", "+"), ("subtract", "-"), ("multiply", "*"))},
    **{(name, kind): f"{{}} {sign} {{}}" for kind in "fib" for name, sign in _COMPARED},
    **{(name, kind): f"{{}} {sign} {{}}" for kind in "ib" for name, sign in (
        ("bitwise_and", "&"), ("bitwise_or", "|"), ("bitwise_xor", "^"))},
    **{(name, "f"): f"tl.{name}({{}})" for name in ("exp", "exp2", "log", "log2", "sin", "cos", "erf", "floor",
                                                    "ceil")},
    **{(name, "f"): EXTREMUM.format(name) for name in ("minimum", "maximum")},
    **{(name, "i"): f"tl.{name}({{}}, {{}})" for name in ("minimum", "maximum")},
    **{("sign", kind): _sign for kind in "fi"},
    **{("negative", kind): "-{}" for kind in "fi"},
    **{("abs", kind): "tl.abs({})" for kind in "fi"},
    ("minimum", "b"): "{} & {}", ("maximum", "b"): "{} | {}", ("invert", "i"): "~{}", ("invert", "b"): "{} == 0",
    ("divide", "f"): _divide, ("sqrt", "f"): _root, ("rsqrt", "f"): _rsqrt,
    ("floor_divide", "i"): lambda line, dtype, args: _divided(line, dtype, args)[0],
    ("remainder", "i"): lambda line, dtype, args: _divided(line, dtype, args)[1],
    ("left_shift", "i"): _shift("<<"), ("right_shift", "i"): _shift(">>"),
    ("sigmoid", "f"): _sigmoid, ("log1p", "f"): _log1p, ("expm1", "f"): _expm1, ("tanh", "f"): _tanh,
    ("logaddexp", "f"): _logaddexp,
    ("round", "f"): _round, ("tan", "f"): lambda line, dtype, args: _divide(line, dtype, (
        line("tl.sin({})", *args), line("tl.cos({})", *args))),
    ("log10", "f"): "tl.log({}) * 0.4342944819032518",
    ("isnan", "f"): lambda line, dtype, args: line("{} != {}", *args, *args),
    ("isfinite", "f"): 'tl.abs({}) < float("inf")', ("isinf", "f"): 'tl.abs({}) == float("inf")',
    ("trunc", "f"): lambda line, dtype, args: line("tl.where({} < 0, tl.ceil({}), tl.floor({}))", *args, *args, *args),
}

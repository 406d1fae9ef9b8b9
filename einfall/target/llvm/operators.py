"""The operators of the table as LLVM instructions, one spelling each, for any number of lanes.

Floats follow IEEE; a product may be added without being rounded (contract) unless the program is exact, and nothing
else is relaxed;
integers give the documented values and never trap or become poison.
"""

import functools
import re
from collections.abc import Callable

from einfall.scalar.dtypes import BOOL, F32, F64, DType
from einfall.scalar.ops import OPS
from einfall.target.llvm import mathematics
from einfall.target.llvm.builder import Builder, intrinsic, splat, vector_type
from einfall.target.llvm.conversions import convert, llvm_type, number_in

__all__ = ["LIBRARY", "POWER", "Operators", "library_functions"]

LIBRARY = frozenset((
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin",
    "acos", "atan", "atan2", "asinh", "acosh", "atanh", "erf", "lgamma", "pow", "fmod"))  # of libm, one lane at a time
COMPARISONS = {"less": ("olt", "slt", "ult"), "less_equal": ("ole", "sle", "ule"), "greater": ("ogt", "sgt", "ugt"),
               "greater_equal": ("oge", "sge", "uge"), "equal": ("oeq", "eq", "eq"), "not_equal": ("une", "ne", "ne")}
ROUNDING = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "roundeven"}
FAR = 1e6  # beyond, the three-term reduction of an f32 argument loses digits
POWER = """
define internal {type} @power.{type}({type} %base, {type} %exponent) alwaysinline {{
entry:
  br label %head
head:
  %b = phi {type} [ %base, %entry ], [ %square, %head ]
  %e = phi {type} [ %exponent, %entry ], [ %half, %head ]
  %r = phi {type} [ 1, %entry ], [ %next, %head ]
  %odd = trunc {type} %e to i1
  %times = mul {type} %r, %b
  %next = select i1 %odd, {type} %times, {type} %r
  %square = mul {type} %b, %b
  %half = lshr {type} %e, 1
  %more = icmp ne {type} %half, 0
  br i1 %more, label %head, label %exit
exit:
  ret {type} %next
}}
"""


class Operators:
    """Emits operators into one function; `functions` collects definitions that the module needs besides.

    is_exact: whether products are rounded before they are added.
    """

    def __init__(self, builder: Builder, lanes: int, features: frozenset[str], functions: set[str],
                 is_exact: bool = False):
        self.builder, self.lanes, self.features, self.functions = builder, lanes, features, functions
        self.contract = "" if is_exact else " contract"

    def vector(self, type: str) -> str:
        return vector_type(type, self.lanes)

    def constant(self, value, dtype: DType) -> str:
        """A number in every lane."""
        return splat(number_in(value, dtype), llvm_type(dtype), self.lanes)

    def binary(self, instruction: str, type: str, left: str, right: str) -> str:
        return self.builder.emit(f"{instruction} {self.vector(type)} {left}, {right}")

    def select(self, condition: str, type: str, yes: str, no: str) -> str:
        whole = self.vector(type)
        return self.builder.emit(f"select {self.vector('i1')} {condition}, {whole} {yes}, {whole} {no}")

    def intrinsic(self, name: str, type: str, *args: str) -> str:
        whole = self.vector(type)
        return self.builder.call(whole, intrinsic(name, type, self.lanes), *(f"{whole} {arg}" for arg in args))

    def apply(self, op: str, dtype: DType, args: tuple[str, ...]) -> str:
        """An operator on arguments of one type."""
        if op in COMPARISONS:
            place = {"f": 0, "i": 1}.get(dtype.kind, 2)
            compare = f"{'fcmp' if place == 0 else 'icmp'} {COMPARISONS[op][place]}"
            return self.binary(compare, llvm_type(dtype), *args)
        if dtype is BOOL:
            return self.boolean(op, args)
        rules = FLOAT_RULES if dtype.is_float else INT_RULES if dtype.kind == "i" else UNSIGNED_RULES
        if op in rules:
            return rules[op](self, llvm_type(dtype), *args)
        if dtype.is_float:
            return self.special(op, dtype, args)
        raise NotImplementedError(f"{op} of {dtype} on this target")

    def boolean(self, op: str, args: tuple[str, ...]) -> str:
        if op == "invert":
            return self.binary("xor", "i1", args[0], splat(1, "i1", self.lanes))
        name = {"bitwise_and": "and", "minimum": "and", "bitwise_or": "or", "maximum": "or", "bitwise_xor": "xor"}[op]
        return self.binary(name, "i1", *args)

    def special(self, op: str, dtype: DType, args: tuple[str, ...]) -> str:
        """A special function: our own in f32 where there is one, else libm in double, a lane at a time."""
        if dtype.name == "f32" and op in ("sin", "cos"):
            return self.circular(op, args[0])
        if dtype.name == "f32" and op in mathematics.SUPPORTED:
            return mathematics.expand(self.builder, op, self.lanes, args, self.features)
        if op not in LIBRARY:
            raise NotImplementedError(f"{op} of {dtype} on this target")
        return self.lanewise(dtype, args, lambda *one: self.builder.call("double", op, *(f"double {x}" for x in one)))

    def circular(self, op: str, x: str) -> str:
        """sin or cos: our own where the reduction of the argument is exact enough, else libm for all lanes."""
        whole, name = self.vector("float"), f"{op}.own.{self.lanes}"
        body = Builder()
        inner = Operators(body, self.lanes, self.features, self.functions)
        near = mathematics.expand(body, op, self.lanes, ("%x",), self.features)
        limit = splat(FAR, "float", self.lanes)
        far = inner.binary("fcmp ogt", "float", inner.intrinsic("fabs", "float", "%x"), limit)
        if self.lanes > 1:
            bits = body.emit(f"bitcast {self.vector('i1')} {far} to i{self.lanes}")
            far = body.emit(f"icmp ne i{self.lanes} {bits}, 0")
        body.do(f"br i1 {far}, label %far, label %near")
        body.label("near")
        body.do(f"ret {whole} {near}")
        body.label("far")
        slow = inner.lanewise(F32, ("%x",), lambda one: body.call("double", op, f"double {one}"))
        body.do(f"ret {whole} {slow}")
        lines = "\n".join(body.lines)
        self.functions.add(f"define internal {whole} @{name}({whole} %x) {{\nentry:\n{lines}\n}}\n")
        self.builder.declarations.update(body.declarations)
        return self.builder.emit(f"call {whole} @{name}({whole} {x})")

    def lanewise(self, dtype: DType, args: tuple[str, ...], call: Callable[..., str]) -> str:
        """A scalar function of doubles on every lane."""
        type, emit = llvm_type(dtype), self.builder.emit
        whole, made = self.vector(type), "poison"
        for lane in range(self.lanes):
            one = [arg if self.lanes == 1 else emit(f"extractelement {whole} {arg}, i32 {lane}") for arg in args]
            wide = [emit(f"fpext float {x} to double") for x in one] if type == "float" else one
            value = call(*wide)
            value = emit(f"fptrunc double {value} to float") if type == "float" else value
            if self.lanes == 1:
                return value
            made = emit(f"insertelement {whole} {made}, {type} {value}, i32 {lane}")
        return made

    def cast(self, value: str, source: DType, to: DType) -> str:
        """A number in another type."""
        return convert(self.builder, self.lanes, self.features, value, source, to)


@functools.cache
def library_functions(op: str, dtype: DType) -> frozenset[str]:
    """The functions of libm that an operator on this type calls for every element, a lane at a time.

    The code is written and looked at, so the answer is what happens. A function of our own that calls libm only for
    arguments out of its range has its definition apart and does not count.
    """
    builder, arity = Builder(), OPS[op].arity
    Operators(builder, 1, frozenset(), set()).apply(op, dtype, tuple(f"%x{place}" for place in range(arity)))
    called = {word for line in builder.lines for word in re.findall(r"= call [^@]*@(\w+)\(", line)}
    return frozenset(called & LIBRARY) | ({"fmod"} if any("= frem " in line for line in builder.lines) else set())


def _float_extremum(compare: str):
    def rule(o: Operators, type: str, a: str, b: str) -> str:
        first = o.binary("or", "i1", o.binary(f"fcmp {compare}", type, a, b), o.binary("fcmp uno", type, a, a))
        return o.select(first, type, a, b)  # NaN on either side comes through

    return rule


def _float_sign(o: Operators, type: str, x: str) -> str:
    zero, one, minus = (splat(value, type, o.lanes) for value in (0, 1, -1))
    below = o.select(o.binary("fcmp olt", type, x, zero), type, minus, x)
    return o.select(o.binary("fcmp ogt", type, x, zero), type, one, below)


def _float_divmod(o: Operators, type: str, a: str, b: str) -> tuple[str, str]:
    """Python's // and % of floats, by the exact remainder."""
    zero = splat(0, type, o.lanes)
    rest = o.binary("frem", type, a, b)
    quotient = o.binary("fdiv", type, o.binary("fsub", type, a, rest), b)
    differs = o.binary("xor", "i1", o.binary("fcmp olt", type, b, zero), o.binary("fcmp olt", type, rest, zero))
    moved = o.binary("and", "i1", o.binary("fcmp une", type, rest, zero), differs)
    rest = o.select(moved, type, o.binary("fadd", type, rest, b), rest)
    quotient = o.select(moved, type, o.binary("fsub", type, quotient, splat(1, type, o.lanes)), quotient)
    down = o.intrinsic("floor", type, quotient)
    up = o.binary("fcmp ogt", type, o.binary("fsub", type, quotient, down), splat(0.5, type, o.lanes))
    whole = o.select(up, type, o.binary("fadd", type, down, splat(1, type, o.lanes)), down)
    by_zero = o.binary("fcmp oeq", type, b, zero)
    return o.select(by_zero, type, o.binary("fdiv", type, a, b), whole), rest


def _logaddexp(o: Operators, type: str, a: str, b: str) -> str:
    dtype = F32 if type == "float" else F64
    top = FLOAT_RULES["maximum"](o, type, a, b)
    away = o.intrinsic("fabs", type, o.binary("fsub", type, a, b))
    rest = o.special("log1p", dtype, (o.special("exp", dtype, (o.builder.emit(f"fneg {o.vector(type)} {away}"),)),))
    # equal sides, infinite ones among them: the difference is 0, not NaN
    same = o.binary("fcmp oeq", type, a, b)
    return o.binary("fadd", type, top, o.select(same, type, splat(0.6931471805599453, type, o.lanes), rest))


def _sigmoid(o: Operators, type: str, x: str) -> str:
    dtype = F32 if type == "float" else F64
    if type == "float":
        return o.special("sigmoid", dtype, (x,))
    negative = o.builder.emit(f"fneg {o.vector(type)} {o.intrinsic('fabs', type, x)}")
    e = o.special("exp", dtype, (negative,))
    below = o.binary("fdiv", type, e, o.binary("fadd", type, splat(1, type, o.lanes), e))
    above = o.binary("fdiv", type, splat(1, type, o.lanes), o.binary("fadd", type, splat(1, type, o.lanes), e))
    made = o.select(o.binary("fcmp oge", type, x, splat(0, type, o.lanes)), type, above, below)
    return made


def _signbit(o: Operators, type: str, x: str) -> str:
    bits = "i32" if type == "float" else "i64"
    raw = o.builder.emit(f"bitcast {o.vector(type)} {x} to {o.vector(bits)}")
    return o.binary("icmp slt", bits, raw, splat(0, bits, o.lanes))


def _not_infinite(compare: str):
    return lambda o, type, x: o.binary(f"fcmp {compare}", type, o.intrinsic("fabs", type, x),
                                       splat(float("inf"), type, o.lanes))


FLOAT_RULES: dict[str, Callable[..., str]] = {
    **{name: lambda o, type, a, b, code=code: o.binary(code + o.contract, type, a, b) for name, code in (
        ("add", "fadd"), ("subtract", "fsub"), ("multiply", "fmul"))},
    "divide": lambda o, type, a, b: o.binary("fdiv", type, a, b),
    **{name: lambda o, type, x, code=code: o.intrinsic(code, type, x) for name, code in (
        *ROUNDING.items(), ("abs", "fabs"), ("sqrt", "sqrt"))},
    "floor_divide": lambda o, type, a, b: _float_divmod(o, type, a, b)[0],
    "remainder": lambda o, type, a, b: _float_divmod(o, type, a, b)[1],
    "negative": lambda o, type, x: o.builder.emit(f"fneg {o.vector(type)} {x}"),
    "copysign": lambda o, type, a, b: o.intrinsic("copysign", type, a, b),
    "rsqrt": lambda o, type, x: o.binary("fdiv", type, splat(1, type, o.lanes), o.intrinsic("sqrt", type, x)),
    "minimum": _float_extremum("ole"), "maximum": _float_extremum("oge"), "sign": _float_sign,
    "isnan": lambda o, type, x: o.binary("fcmp uno", type, x, x), "isfinite": _not_infinite("one"),
    "isinf": _not_infinite("oeq"), "signbit": _signbit, "logaddexp": _logaddexp, "sigmoid": _sigmoid,
}


def _int_divmod(o: Operators, type: str, a: str, b: str) -> tuple[str, str]:
    """Floor division and its remainder; by zero 0, and the least integer by -1 wraps."""
    zero, one, minus = (splat(value, type, o.lanes) for value in (0, 1, -1))
    by_zero, by_minus = o.binary("icmp eq", type, b, zero), o.binary("icmp eq", type, b, minus)
    special = o.binary("or", "i1", by_zero, by_minus)
    safe = o.select(special, type, one, b)
    quotient, rest = o.binary("sdiv", type, a, safe), o.binary("srem", type, a, safe)
    opposite = o.binary("icmp slt", type, o.binary("xor", type, rest, safe), zero)
    moved = o.binary("and", "i1", o.binary("icmp ne", type, rest, zero), opposite)
    quotient = o.select(moved, type, o.binary("sub", type, quotient, one), quotient)
    quotient = o.select(by_minus, type, o.binary("sub", type, zero, a), quotient)
    rest = o.select(moved, type, o.binary("add", type, rest, safe), rest)
    return o.select(by_zero, type, zero, quotient), o.select(special, type, zero, rest)


def _lanewise_power(o: Operators, type: str, a: str, exponent: str) -> str:
    """By squaring, a lane at a time; the exponent is read without a sign."""
    o.functions.add(POWER.format(type=type))
    emit, made = o.builder.emit, "poison"
    if o.lanes == 1:
        return emit(f"call {type} @power.{type}({type} {a}, {type} {exponent})")
    for lane in range(o.lanes):
        base, to = (emit(f"extractelement {o.vector(type)} {x}, i32 {lane}") for x in (a, exponent))
        value = emit(f"call {type} @power.{type}({type} {base}, {type} {to})")
        made = emit(f"insertelement {o.vector(type)} {made}, {type} {value}, i32 {lane}")
    return made


def _int_power(o: Operators, type: str, a: str, b: str) -> str:
    """By squaring; a negative exponent gives what truncation leaves of the fraction."""
    zero, one, minus = (splat(value, type, o.lanes) for value in (0, 1, -1))
    negative = o.binary("icmp slt", type, b, zero)
    made = _lanewise_power(o, type, a, o.select(negative, type, zero, b))
    odd = o.binary("icmp ne", type, o.binary("and", type, b, one), zero)
    sign = o.select(odd, type, minus, one)
    inverse = o.select(o.binary("icmp eq", type, a, minus), type, sign, zero)
    inverse = o.select(o.binary("icmp eq", type, a, one), type, one, inverse)
    return o.select(negative, type, inverse, made)


def _unsigned_divmod(code: str):
    """Division without a sign; by zero 0."""

    def rule(o: Operators, type: str, a: str, b: str) -> str:
        zero = splat(0, type, o.lanes)
        by_zero = o.binary("icmp eq", type, b, zero)
        safe = o.select(by_zero, type, splat(1, type, o.lanes), b)
        return o.select(by_zero, type, zero, o.binary(code, type, a, safe))

    return rule


def _shift(code: str):
    def rule(o: Operators, type: str, a: str, b: str) -> str:
        zero = splat(0, type, o.lanes)
        inside = o.binary("icmp ult", type, b, splat(int(type[1:]), type, o.lanes))
        made = o.binary(code, type, a, o.select(inside, type, b, zero))
        beyond = zero if code != "ashr" else o.binary("ashr", type, a, splat(int(type[1:]) - 1, type, o.lanes))
        return o.select(inside, type, made, beyond)

    return rule


def _int_sign(o: Operators, type: str, x: str) -> str:
    zero, one, minus = (splat(value, type, o.lanes) for value in (0, 1, -1))
    below = o.select(o.binary("icmp slt", type, x, zero), type, minus, zero)
    return o.select(o.binary("icmp sgt", type, x, zero), type, one, below)


def _int_abs(o: Operators, type: str, x: str) -> str:
    zero = splat(0, type, o.lanes)
    return o.select(o.binary("icmp slt", type, x, zero), type, o.binary("sub", type, zero, x), x)


INT_RULES: dict[str, Callable[..., str]] = {
    **{name: lambda o, type, a, b, code=code: o.binary(code, type, a, b) for name, code in (
        ("add", "add"), ("subtract", "sub"), ("multiply", "mul"), ("bitwise_and", "and"), ("bitwise_or", "or"),
        ("bitwise_xor", "xor"))},
    "floor_divide": lambda o, type, a, b: _int_divmod(o, type, a, b)[0],
    "remainder": lambda o, type, a, b: _int_divmod(o, type, a, b)[1],
    "negative": lambda o, type, x: o.binary("sub", type, splat(0, type, o.lanes), x),
    "invert": lambda o, type, x: o.binary("xor", type, x, splat(-1, type, o.lanes)),
    "minimum": lambda o, type, a, b: o.select(o.binary("icmp slt", type, a, b), type, a, b),
    "maximum": lambda o, type, a, b: o.select(o.binary("icmp sgt", type, a, b), type, a, b),
    "pow": _int_power, "left_shift": _shift("shl"), "right_shift": _shift("ashr"), "sign": _int_sign, "abs": _int_abs,
}
UNSIGNED_RULES: dict[str, Callable[..., str]] = {
    **INT_RULES,
    "floor_divide": _unsigned_divmod("udiv"), "remainder": _unsigned_divmod("urem"), "pow": _lanewise_power,
    "minimum": lambda o, type, a, b: o.select(o.binary("icmp ult", type, a, b), type, a, b),
    "maximum": lambda o, type, a, b: o.select(o.binary("icmp ugt", type, a, b), type, a, b),
    "right_shift": _shift("lshr"), "abs": lambda o, type, x: x,
    "sign": lambda o, type, x: o.select(o.binary("icmp ne", type, x, splat(0, type, o.lanes)), type,
                                        splat(1, type, o.lanes), splat(0, type, o.lanes)),
}

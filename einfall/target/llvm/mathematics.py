"""Elementary functions of f32 vectors, as LLVM IR."""

# Every formula is one straight line of code for any number of lanes: argument reduction, a polynomial, and selects for
# the special points. Only the steps that scale a number by a power of two or take it apart have a second form, for 16
# lanes of AVX-512: it gives the same bits, and on a Zen 4 gains 13 % (sigmoid), 22 % (exp, exp2) and 28 % (log, log2).
#
# NaN comes through: a clamp is `select (x < bound), bound, x`, which keeps a NaN x (llvm.minnum would drop it). Nothing
# converts a float to an integer; integers are read from the bits of a float, which is defined for every value.
#
# The coefficients are weighted minimax fits (Lawson's iteration), rounded to f32 one after the other, each time with
# the rest fitted anew. The errors given are those of the rounded polynomial in exact arithmetic, relative to the
# function unless it says otherwise.

from collections.abc import Callable, Sequence

from einfall.target.llvm.builder import Builder, intrinsic, splat, vector_type

# (exp(r) - 1 - r) / r^2 on |r| <= 0.3473, degree 4: error 1.4e-8 of exp(r) - 1, 3.2e-9 of exp(r).
EXP = (0.49999997, 0.16666545, 0.0416674614, 0.00836643204, 0.00138684351)
# (2^r - 1) / r on |r| <= 0.501, degree 5: error 3.0e-9 of 2^r.
EXP2 = (0.693147182, 0.240226477, 0.0555035956, 0.0096185049, 0.00133910251, 0.000153271962)
# (log(1 + f) - f + f^2 / 2) / f^3 on -0.25 <= f <= 0.5, degree 7: error 4.9e-9 of log(1 + f).
LOG = (0.333334506, -0.250001043, 0.199908152, -0.166469738, 0.144783646, -0.131643459, 0.104697637, -0.0451169051)
# (log2(1 + f) - f / log(2)) / f^2 on the same interval, degree 8: error 5.0e-9 of log2(1 + f).
LOG2 = (-0.721347511, 0.48089996, -0.360675663, 0.288409948, -0.240162954, 0.208835945, -0.189881176, 0.15116033,
        -0.0652474016)
# (sin(r) - r) / r^3 in r^2 on |r| <= 0.786, degree 2: error 4.0e-9 of sin(r).
SIN = (-0.166666552, 0.00833218731, -0.000195179076)
# (cos(r) - 1 + r^2 / 2) / r^4 in r^2 on |r| <= 0.786, degree 2: error 1.2e-10 of cos(r).
COS = (0.0416666456, -0.00138873095, 2.4432331e-05)
# erf(x) / x - 1 in x^2 on |x| <= 1, degree 6: error 1.4e-9 of erf(x).
ERF = (0.128379166, -0.37612626, 0.112835787, -0.0268533472, 0.0051871622, -0.00079978531, 7.80690316e-05)
# 1 - erf(x) in x - 2.375 on 1 <= x <= 3.9, degree 12: absolute error 2.9e-8, and at 3.9 the value is 6e-9.
ERFC = (0.000782911142, -0.00400658883, 0.0095166564, -0.0137289036, 0.0131233335, -0.00836367905, 0.00314329891,
        -0.000114392853, -0.000635899312, 0.00033425726, -2.35475727e-05, -3.47276182e-05, 9.12477299e-06)

# Constants in parts, each part the f32 nearest to what is left (Cody and Waite).
LN2 = (0.693147182, -1.90465421e-09)
LOG2E = (1.44269502, 1.92596303e-08)
HALF_PI = (1.57079637, -4.37113883e-08, -1.71512451e-15)

ROUND = 12582912.0  # 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits of the sum
INF, NAN = float("inf"), float("nan")
THREE_QUARTERS = 0x3F400000  # the bits of 0.75
MANTISSA_BITS, EXPONENT_BITS, SIGN_BIT = 23, -1 << 23, -1 << 31


class Lanes:
    """Operations on f32 and i32 values of one width; a Python number as operand stands for a constant."""

    def __init__(self, builder: Builder, lanes: int, features: frozenset[str]) -> None:
        self.builder, self.lanes = builder, lanes
        self.avx512 = lanes == 16 and "avx512f" in features
        self.real, self.whole = vector_type("float", lanes), vector_type("i32", lanes)

    def operand(self, value: str | float, type: str) -> str:
        return value if isinstance(value, str) else splat(value, type, self.lanes)

    def floating(self, operation: str, a: str | float, b: str | float) -> str:
        return self.builder.emit(f"{operation} {self.real} {self.operand(a, 'float')}, {self.operand(b, 'float')}")

    def integer(self, operation: str, a: str | int, b: str | int) -> str:
        return self.builder.emit(f"{operation} {self.whole} {self.operand(a, 'i32')}, {self.operand(b, 'i32')}")

    def add(self, a: str | float, b: str | float) -> str:
        return self.floating("fadd", a, b)

    def subtract(self, a: str | float, b: str | float) -> str:
        return self.floating("fsub", a, b)

    def multiply(self, a: str | float, b: str | float) -> str:
        return self.floating("fmul", a, b)

    def divide(self, a: str | float, b: str | float) -> str:
        return self.floating("fdiv", a, b)

    def call(self, name: str, *args: str | float) -> str:
        operands = [f"{self.real} {self.operand(arg, 'float')}" for arg in args]
        return self.builder.call(self.real, intrinsic(name, "float", self.lanes), *operands)

    def fma(self, a: str | float, b: str | float, c: str | float) -> str:
        return self.call("fma", a, b, c)

    def bits(self, x: str) -> str:
        return self.builder.emit(f"bitcast {self.real} {x} to {self.whole}")

    def from_bits(self, x: str) -> str:
        return self.builder.emit(f"bitcast {self.whole} {x} to {self.real}")

    def to_float(self, x: str) -> str:
        return self.builder.emit(f"sitofp {self.whole} {x} to {self.real}")

    def select(self, condition: str, a: str | float, b: str | float) -> str:
        flags = vector_type("i1", self.lanes)
        a, b = self.operand(a, "float"), self.operand(b, "float")
        return self.builder.emit(f"select {flags} {condition}, {self.real} {a}, {self.real} {b}")

    def at_least(self, x: str, bound: float) -> str:
        """max(x, bound) that keeps NaN."""
        return self.select(self.floating("fcmp olt", x, bound), bound, x)

    def at_most(self, x: str, bound: float) -> str:
        """min(x, bound) that keeps NaN."""
        return self.select(self.floating("fcmp ogt", x, bound), bound, x)

    def polynomial(self, coefficients: Sequence[float], x: str) -> str:
        """Horner's scheme; the lowest coefficient comes first."""
        value: str | float = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            value = self.fma(value, x, coefficient)
        return value


def avx512(v: Lanes, name: str, *args: str) -> str:
    """An AVX-512 operation on all 16 lanes, rounding as the thread does."""
    operands = [*args, f"{v.real} zeroinitializer", "i16 -1", "i32 4"]
    return v.builder.call(v.real, f"llvm.x86.avx512.mask.{name}.ps.512", *operands)


def power_times(v: Lanes, value: str, rounded: str, k: str) -> str:
    """2^k value, rounded once, from k and from k + 254 in the low bits of `rounded`. In the generic form 2^k is two
    factors: each is a normal number, and the first product is exact."""
    if v.avx512:
        return avx512(v, "scalef", f"{v.real} {value}", f"{v.real} {k}")
    both = v.bits(rounded)
    first = v.integer("lshr", both, 1)
    for part in (first, v.integer("sub", both, first)):
        value = v.multiply(value, v.from_bits(v.integer("shl", part, MANTISSA_BITS)))
    return value


def reduce_exp(v: Lanes, x: str, offset: float) -> tuple[str, str, str]:
    """x = k log(2) + r, |r| <= log(2) / 2: ROUND + offset + k, k and r. Cody and Waite: the first step is exact."""
    rounded = v.fma(x, LOG2E[0], ROUND + offset)
    k = v.subtract(rounded, ROUND + offset)
    return rounded, k, v.fma(k, -LN2[1], v.fma(k, -LN2[0], x))


def bounded_exp(v: Lanes, x: str) -> str:
    """exp of x between -104 (where it is 0) and 89 (where it is inf), or of NaN."""
    rounded, k, r = reduce_exp(v, x, 254.0)
    value = v.add(v.fma(v.multiply(r, r), v.polynomial(EXP, r), r), 1.0)
    return power_times(v, value, rounded, k)


def exp(v: Lanes, x: str) -> str:
    return bounded_exp(v, v.at_most(v.at_least(x, -104.0), 89.0))


def exp2(v: Lanes, x: str) -> str:
    x = v.at_most(v.at_least(x, -151.0), 128.0)
    rounded = v.add(x, ROUND + 254.0)
    k = v.subtract(rounded, ROUND + 254.0)
    r = v.subtract(x, k)
    return power_times(v, v.fma(v.polynomial(EXP2, r), r, 1.0), rounded, k)


def scaled_expm1(v: Lanes, r: str, scale: str) -> str:
    """scale exp(r) - 1: the large terms r scale + (scale - 1) meet first, in one rounding."""
    large = v.fma(r, scale, v.subtract(scale, 1.0))
    return v.fma(v.multiply(v.multiply(r, r), scale), v.polynomial(EXP, r), large)


def expm1(v: Lanes, x: str) -> str:
    """2^k would overflow at k = 128: there the scale is 2^127 and a factor of 2 comes last."""
    rounded, _, r = reduce_exp(v, v.at_most(v.at_least(x, -20.0), 89.0), 127.0)
    exponent = v.at_most(rounded, ROUND + 254.0)
    scale = v.from_bits(v.integer("shl", v.bits(exponent), MANTISSA_BITS))
    last = v.select(v.floating("fcmp ogt", rounded, ROUND + 254.0), 2.0, 1.0)
    return v.call("copysign", v.multiply(scaled_expm1(v, r, scale), last), x)


def tanh(v: Lanes, x: str) -> str:
    """With t = exp(2 |x|) - 1 it is t / (t + 2), whatever the size of x, and 1 from 2 |x| = 20 on."""
    double = v.at_most(v.multiply(v.call("fabs", x), 2.0), 20.0)
    rounded, _, r = reduce_exp(v, double, 127.0)
    t = scaled_expm1(v, r, v.from_bits(v.integer("shl", v.bits(rounded), MANTISSA_BITS)))
    return v.call("copysign", v.divide(t, v.add(t, 2.0)), x)


def sigmoid(v: Lanes, x: str) -> str:
    """With e = exp(-|x|) it is e / (1 + e) for negative x and 1 / (1 + e) else: nothing overflows."""
    e = bounded_exp(v, v.at_least(v.call("copysign", x, -1.0), -104.0))
    return v.divide(v.select(v.floating("fcmp ogt", x, 0.0), 1.0, e), v.add(e, 1.0))


def split(v: Lanes, x: str) -> tuple[str, str]:
    """x = 2^k m, m in [0.75, 1.5): -k 2^23 and -k, integers. Of -k because -0.0 must survive in log1p."""
    minus = v.integer("sub", THREE_QUARTERS + (1 << MANTISSA_BITS) - 1, v.bits(x))
    return v.integer("and", minus, EXPONENT_BITS), v.integer("ashr", minus, MANTISSA_BITS)


def normal(v: Lanes, x: str) -> tuple[str, str]:
    """f and -k with x = 2^k (1 + f). Denormal x is scaled by 2^23 first; x <= 0 gives any number."""
    if v.avx512:
        mantissa = avx512(v, "getmant", f"{v.real} {x}", "i32 3")  # in [0.75, 1.5)
        exponents = [avx512(v, "getexp", f"{v.real} {number}") for number in (mantissa, x)]
        return v.subtract(mantissa, 1.0), v.subtract(*exponents)
    denormal = v.floating("fcmp olt", x, 2.0**-126)
    scaled = v.select(denormal, v.multiply(x, 2.0**23), x)
    shift, minus_k = split(v, scaled)
    f = v.subtract(v.from_bits(v.integer("add", v.bits(scaled), shift)), 1.0)
    return f, v.add(v.to_float(minus_k), v.select(denormal, 23.0, 0.0))


def log_edges(v: Lanes, value: str, x: str, pole: float) -> str:
    """Inf and NaN stand for themselves, the pole gives -inf, and what lies below it NaN."""
    value = v.select(v.floating("fcmp olt", x, INF), value, x)
    value = v.select(v.floating("fcmp oeq", x, pole), -INF, value)
    return v.select(v.floating("fcmp olt", x, pole), NAN, value)


def log_sum(v: Lanes, f: str, minus_k: str) -> str:
    """log(1 + f) + k log(2). One part of log(2) is enough: its error is 0.05 ULP of the result."""
    square = v.multiply(f, f)
    value = v.fma(square, v.fma(v.polynomial(LOG, f), f, -0.5), f)
    return v.fma(minus_k, -LN2[0], value)


def log(v: Lanes, x: str) -> str:
    return log_edges(v, log_sum(v, *normal(v, x)), x, 0.0)


def log2(v: Lanes, x: str) -> str:
    f, minus_k = normal(v, x)
    small = v.fma(v.multiply(f, f), v.polynomial(LOG2, f), v.multiply(f, LOG2E[1]))
    return log_edges(v, v.subtract(v.fma(f, LOG2E[0], small), minus_k), x, 0.0)


def log1p(v: Lanes, x: str) -> str:
    """k is that of 1 + x, but f = 2^-k x - (1 - 2^-k) comes from x itself and is rounded once. The scaling of x is
    a step of its exponent; from k = 127 on 2^-k would not be normal, and 0 serves as well."""
    shift, minus_k = split(v, v.add(x, 1.0))
    scaled = v.from_bits(v.integer("add", v.bits(x), shift))
    scale = v.at_least(v.from_bits(v.integer("add", 0x3F800000, shift)), 0.0)
    f = v.subtract(scaled, v.subtract(1.0, scale))
    return log_edges(v, log_sum(v, f, v.to_float(minus_k)), x, -1.0)


def circular(v: Lanes, magnitude: str, sign: str | int, turn: float) -> str:
    """sin(|x| + turn pi / 2) with the sign bit `sign` flipped in. Cody and Waite in three steps: 2 ULP to
    |x| = 1e4, an absolute error of 1e-6 to 1e6. Far out r is clamped: the value is within [-1, 1] and means nothing."""
    rounded = v.fma(magnitude, 2 / 3.141592653589793, ROUND + turn)
    k = v.subtract(rounded, ROUND + turn)
    r = magnitude
    for part in HALF_PI:
        r = v.fma(k, -part, r)
    r = v.at_most(v.at_least(r, -1.0), 1.0)
    square = v.multiply(r, r)
    sine = v.fma(v.multiply(r, square), v.polynomial(SIN, square), r)
    cosine = v.fma(v.multiply(square, square), v.polynomial(COS, square), v.fma(square, -0.5, 1.0))
    quadrant = v.bits(rounded)
    odd = v.integer("icmp ne", v.integer("and", quadrant, 1), 0)
    flip = v.integer("and", v.integer("shl", quadrant, 30), SIGN_BIT)
    value = v.bits(v.select(odd, cosine, sine))
    return v.from_bits(v.integer("xor", v.integer("xor", value, flip), sign))


def sin(v: Lanes, x: str) -> str:
    """Of |x|, with the sign of x put back: so -0.0 survives."""
    return circular(v, v.call("fabs", x), v.integer("and", v.bits(x), SIGN_BIT), 0.0)


def cos(v: Lanes, x: str) -> str:
    return circular(v, v.call("fabs", x), 0, 1.0)


def erf(v: Lanes, x: str) -> str:
    """An odd polynomial up to 1, then 1 minus a polynomial, which is 1 in f32 from 3.9 on."""
    magnitude = v.at_most(v.call("fabs", x), 3.9)
    near = v.fma(v.polynomial(ERF, v.multiply(x, x)), x, x)
    far = v.subtract(1.0, v.polynomial(ERFC, v.subtract(magnitude, 2.375)))
    return v.select(v.floating("fcmp olt", magnitude, 1.0), near, v.call("copysign", far, x))


FUNCTIONS: dict[str, Callable[[Lanes, str], str]] = {
    "exp": exp, "exp2": exp2, "expm1": expm1, "log": log, "log2": log2, "log1p": log1p,
    "tanh": tanh, "sigmoid": sigmoid, "erf": erf, "sin": sin, "cos": cos,
}
SUPPORTED: frozenset[str] = frozenset(FUNCTIONS)


def expand(builder: Builder, op: str, lanes: int, args: tuple[str, ...], features: frozenset[str]) -> str:
    """Emits the f32 code of a function on values of `lanes` lanes and returns the name of its value. The bits of the
    result depend neither on the lanes nor on the features."""
    return FUNCTIONS[op](Lanes(builder, lanes, features), *args)

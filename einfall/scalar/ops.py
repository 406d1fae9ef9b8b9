"""The operator table: what each operator means, which types it takes, what annihilates it, how errors pass through it.

`evaluate` works on NumPy arrays of one type and never raises or warns: the documented values for division by zero,
shifts past the width and conversions are computed here, and every target must give the same.
`slopes` are the absolute partial derivatives, from which the reference bounds rounding errors.
"""

import math
from collections.abc import Callable

import numpy as np

from einfall.scalar.dtypes import BOOL, DType

__all__ = ["OPS", "Op", "convert"]


class Op:
    """An operator. `takes` says which kinds of numbers: f floats, i integers with a sign or without, b booleans."""

    __slots__ = ("annihilators", "arity", "evaluate", "name", "slopes", "symbol", "takes", "to_bool")

    def __init__(self, name: str, arity: int, takes: str, evaluate: Callable, *, symbol: str | None = None,
                 to_bool: bool = False, annihilators: tuple = (), slopes: Callable | None = None):
        self.name, self.arity, self.takes, self.evaluate = name, arity, takes, evaluate
        self.symbol, self.to_bool, self.annihilators, self.slopes = symbol, to_bool, annihilators, slopes

    def __repr__(self):
        return self.name

    def __reduce__(self):
        return _named, (self.name,)

    def accepts(self, dtype: DType) -> bool:
        """Whether the operator is defined on numbers of this type."""
        return dtype.letter in self.takes

    def result(self, dtypes: tuple[DType, ...]) -> DType:
        """The type of the result; the arguments have one type already."""
        if len(dtypes) != self.arity or len(set(dtypes)) != 1 or not self.accepts(dtypes[0]):
            raise TypeError(f"{self.name}{dtypes}")
        return BOOL if self.to_bool else dtypes[0]

    def annihilated(self, place: int, value) -> bool:
        """Whether this value of this argument decides the result, whatever the others are; the result is the value."""
        # True == 1 in Python, but only the boolean True decides `|`
        return any(place == where and value == zero and (zero is not True or value is True)
                   for where, zero in self.annihilators)


def _named(name: str) -> Op:
    return OPS[name]


def _floor_divide(a, b):
    if a.dtype.kind == "f":
        return np.floor_divide(a, b)
    zero = b == 0
    return np.where(zero, 0, np.floor_divide(a, np.where(zero, 1, b))).astype(a.dtype)


def _modulo(a, b):
    if a.dtype.kind == "f":
        return np.mod(a, b)
    zero = b == 0
    return np.where(zero, 0, np.mod(a, np.where(zero, 1, b))).astype(a.dtype)


def _power(a, b):
    if a.dtype.kind in "fu":
        return np.power(a, b)
    # a negative exponent: what exact arithmetic truncated towards zero gives, and 0 for 0 ** -n
    negative = b < 0
    inverse = np.where(a == 1, 1, np.where(a == -1, np.where(b % 2 == 0, 1, -1), 0))
    return np.where(negative, inverse, np.power(a, np.where(negative, 0, b))).astype(a.dtype)


def _shift_left(a, b):
    inside = (b >= 0) & (b < 8 * a.dtype.itemsize)
    return np.where(inside, np.left_shift(a, np.where(inside, b, 0)), 0).astype(a.dtype)


def _shift_right(a, b):
    inside = (b >= 0) & (b < 8 * a.dtype.itemsize)
    beyond = np.where(a < 0, -1, 0).astype(a.dtype)
    return np.where(inside, np.right_shift(a, np.where(inside, b, 0)), beyond)


def _erf(x):
    return _each(math.erf)(x)


def _lgamma(x):
    def one(v):
        if math.isinf(v) or (v <= 0 and v == math.floor(v)):
            return math.inf
        return math.lgamma(v)

    return _each(one)(x)


def _each(function):
    """A function of one Python float over an array."""

    def over(x):
        x = np.asarray(x, dtype=float)
        return np.fromiter(map(function, x.ravel()), float, x.size).reshape(x.shape)

    return over


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _chosen(pick):
    return lambda a, b, r: (np.where(pick(a, b), 1.0, 0.0), np.where(pick(a, b), 0.0, 1.0))


def convert(x: np.ndarray, to: np.dtype) -> np.ndarray:
    """`x` in another type: float to integer truncates and saturates, NaN gives 0; integers wrap."""
    if x.dtype.kind == "f" and to.kind in "iu":
        limits = np.iinfo(to)
        whole = np.trunc(np.where(np.isnan(x), 0, x))
        # the largest integer may round up to a float outside the range: clip by comparison, not by value
        above, below = whole >= float(limits.max), whole <= float(limits.min)
        inside = np.where(above | below, 0, whole).astype(to)
        return np.where(above, limits.max, np.where(below, limits.min, inside)).astype(to)
    return x.astype(to)


_INF = float("inf")
_ROWS = [
    Op("add", 2, "if", np.add, symbol="+", annihilators=((0, -_INF), (1, -_INF)), slopes=lambda a, b, r: (1, 1)),
    Op("subtract", 2, "if", np.subtract, symbol="-", annihilators=((0, -_INF),), slopes=lambda a, b, r: (1, 1)),
    Op("multiply", 2, "if", np.multiply, symbol="*", annihilators=((0, 0), (1, 0)), slopes=lambda a, b, r: (b, a)),
    Op("divide", 2, "f", np.divide, symbol="/", annihilators=((0, 0),), slopes=lambda a, b, r: (1 / b, r / b)),
    Op("floor_divide", 2, "if", _floor_divide, symbol="//"),
    Op("remainder", 2, "if", _modulo, symbol="%", slopes=lambda a, b, r: (1, np.floor(a / b))),
    Op("pow", 2, "if", _power, symbol="**", slopes=lambda a, b, r: (r * b / a, r * np.log(np.abs(a)))),
    Op("negative", 1, "if", np.negative, symbol="-", slopes=lambda a, r: (1,)),
    Op("abs", 1, "if", np.abs, slopes=lambda a, r: (1,)),
    Op("sign", 1, "if", np.sign),
    Op("minimum", 2, "ifb", np.minimum, slopes=_chosen(np.less_equal)),
    Op("maximum", 2, "ifb", np.maximum, slopes=_chosen(np.greater_equal)),
    Op("less", 2, "ifb", np.less, symbol="<", to_bool=True),
    Op("less_equal", 2, "ifb", np.less_equal, symbol="<=", to_bool=True),
    Op("greater", 2, "ifb", np.greater, symbol=">", to_bool=True),
    Op("greater_equal", 2, "ifb", np.greater_equal, symbol=">=", to_bool=True),
    Op("equal", 2, "ifb", np.equal, symbol="==", to_bool=True),
    Op("not_equal", 2, "ifb", np.not_equal, symbol="!=", to_bool=True),
    Op("bitwise_and", 2, "ib", np.bitwise_and, symbol="&", annihilators=((0, False), (1, False))),
    Op("bitwise_or", 2, "ib", np.bitwise_or, symbol="|", annihilators=((0, True), (1, True))),
    Op("bitwise_xor", 2, "ib", np.bitwise_xor, symbol="^"),
    Op("invert", 1, "ib", np.invert, symbol="~"),
    Op("left_shift", 2, "i", _shift_left, symbol="<<"),
    Op("right_shift", 2, "i", _shift_right, symbol=">>"),
    Op("exp", 1, "f", np.exp, slopes=lambda a, r: (r,)),
    Op("exp2", 1, "f", np.exp2, slopes=lambda a, r: (r * math.log(2),)),
    Op("expm1", 1, "f", np.expm1, slopes=lambda a, r: (r + 1,)),
    Op("log", 1, "f", np.log, slopes=lambda a, r: (1 / a,)),
    Op("log2", 1, "f", np.log2, slopes=lambda a, r: (1 / (a * math.log(2)),)),
    Op("log10", 1, "f", np.log10, slopes=lambda a, r: (1 / (a * math.log(10)),)),
    Op("log1p", 1, "f", np.log1p, slopes=lambda a, r: (1 / (1 + a),)),
    Op("logaddexp", 2, "f", np.logaddexp, slopes=lambda a, b, r: (np.exp(a - r), np.exp(b - r))),
    Op("sqrt", 1, "f", np.sqrt, slopes=lambda a, r: (0.5 / r,)),
    Op("rsqrt", 1, "f", lambda x: 1 / np.sqrt(x), slopes=lambda a, r: (0.5 * r / a,)),
    Op("sin", 1, "f", np.sin, slopes=lambda a, r: (np.cos(a),)),
    Op("cos", 1, "f", np.cos, slopes=lambda a, r: (np.sin(a),)),
    Op("tan", 1, "f", np.tan, slopes=lambda a, r: (1 + r * r,)),
    Op("sinh", 1, "f", np.sinh, slopes=lambda a, r: (np.cosh(a),)),
    Op("cosh", 1, "f", np.cosh, slopes=lambda a, r: (np.sinh(a),)),
    Op("tanh", 1, "f", np.tanh, slopes=lambda a, r: (1 - r * r,)),
    Op("asin", 1, "f", np.arcsin, slopes=lambda a, r: (1 / np.sqrt(1 - a * a),)),
    Op("acos", 1, "f", np.arccos, slopes=lambda a, r: (1 / np.sqrt(1 - a * a),)),
    Op("atan", 1, "f", np.arctan, slopes=lambda a, r: (1 / (1 + a * a),)),
    Op("atan2", 2, "f", np.arctan2, slopes=lambda a, b, r: (b / (a * a + b * b), a / (a * a + b * b))),
    Op("asinh", 1, "f", np.arcsinh, slopes=lambda a, r: (1 / np.sqrt(a * a + 1),)),
    Op("acosh", 1, "f", np.arccosh, slopes=lambda a, r: (1 / np.sqrt(a * a - 1),)),
    Op("atanh", 1, "f", np.arctanh, slopes=lambda a, r: (1 / (1 - a * a),)),
    Op("erf", 1, "f", _erf, slopes=lambda a, r: (2 / math.sqrt(math.pi) * np.exp(-a * a),)),
    Op("sigmoid", 1, "f", _sigmoid, slopes=lambda a, r: (r * (1 - r),)),
    Op("lgamma", 1, "f", _lgamma, slopes=lambda a, r: (np.log(np.abs(a)) + 1 / a,)),
    Op("floor", 1, "f", np.floor),
    Op("ceil", 1, "f", np.ceil),
    Op("trunc", 1, "f", np.trunc),
    Op("round", 1, "f", np.rint),
    Op("isnan", 1, "f", np.isnan, to_bool=True),
    Op("isfinite", 1, "f", np.isfinite, to_bool=True),
    Op("isinf", 1, "f", np.isinf, to_bool=True),
    Op("signbit", 1, "f", np.signbit, to_bool=True),
    Op("copysign", 2, "f", np.copysign, slopes=lambda a, b, r: (1, 0)),
]
OPS = {row.name: row for row in _ROWS}

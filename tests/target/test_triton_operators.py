"""Triton's spelling of the operator table means what the table says: its lines are run with NumPy for Triton."""

import types

import numpy as np
import pytest

from einfall.base.errors import CompileError
from einfall.scalar.dtypes import DTYPES, I64
from einfall.scalar.memory import Number
from einfall.scalar.nodes import Cast, Const, Map
from einfall.scalar.ops import OPS, convert
from einfall.target.triton.expressions import Expressions
from einfall.target.triton.operators import RULES, TYPES
from einfall.target.triton.values import Tensor


class Numbers(np.ndarray):
    """An array whose integers divide as those of Triton do: towards zero."""

    def __floordiv__(self, other):
        quotient = np.asarray(self) // np.asarray(other)
        rest = np.asarray(self) - quotient * np.asarray(other)
        return (quotient + ((rest != 0) & (quotient < 0))).astype(self.dtype).view(Numbers)

    def __mod__(self, other):
        return (self - (self // other) * other).view(Numbers)


def triton() -> types.SimpleNamespace:
    """The functions of `triton.language` that spellings use, on arrays."""
    def cast(x, to):
        return np.asarray(x).astype(to).view(Numbers)

    plain = {"abs": np.abs, "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2, "sin": np.sin,
             "cos": np.cos, "floor": np.floor, "ceil": np.ceil, "sqrt": np.sqrt, "sqrt_rn": np.sqrt,
             "div_rn": np.divide, "erf": OPS["erf"].evaluate}
    names = {name: DTYPES[kind].numpy for kind, name in ((kind, name[3:]) for kind, name in TYPES.items())
             if kind != "bf16"}
    return types.SimpleNamespace(
        cast=cast, **plain, **names, PropagateNan=types.SimpleNamespace(ALL=None),
        where=lambda c, x, y: np.where(c, x, y).astype(np.result_type(x, y)).view(Numbers),
        full=lambda shape, value, to: np.full(shape, value, to).view(Numbers),
        minimum=lambda x, y, propagate_nan=None: np.minimum(x, y), maximum=lambda x, y, propagate_nan=None:
        np.maximum(x, y))


def computed(expr, arrays: list[np.ndarray]) -> np.ndarray:
    """The value of an expression of the numbers x0, x1, by its lines."""
    text = Expressions(set())
    held = {"tl": triton()}
    for place, array in enumerate(arrays):
        text.remember(Number(f"x{place}", expr_type(array)), Tensor(f"x{place}"))
        held[f"x{place}"] = array.view(Numbers)
    result = text.value(expr).text
    with np.errstate(all="ignore"):
        exec("\n".join(text.scopes[0].lines), held)
    return np.asarray(held[result])


def expr_type(array: np.ndarray):
    """The number type of an array."""
    return next(dtype for dtype in DTYPES.values() if dtype.numpy == array.dtype)


def operands(name: str, count: int) -> list[np.ndarray]:
    """Numbers of a type, all pairs of them for two arguments."""
    dtype = DTYPES[name]
    if dtype.is_float:
        some = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 3.7, 1e-9, -1e-9, 20.0, -20.0, np.inf, -np.inf, np.nan]
    elif dtype.is_int:
        some = [0, 1, 2, 7, 31, 40, dtype.highest, *((-1, -2, -8, dtype.lowest) if dtype.kind == "i" else ())]
    else:
        some = [False, True]
    return [np.asarray(grid.ravel(), dtype.numpy) for grid in np.meshgrid(*[some] * count)]


SPELLED = sorted((op, name) for op, letter in RULES for name in ("f64", "i32", "i64", "u8", "bool")
                 if DTYPES[name].letter == letter and OPS[op].accepts(DTYPES[name]))


@pytest.mark.parametrize("op, name", SPELLED)
def test_an_operator_means_what_the_table_says(op, name):
    arrays = operands(name, OPS[op].arity)
    numbers = tuple(Number(f"x{place}", DTYPES[name]) for place in range(len(arrays)))
    actual = computed(Map(OPS[op], numbers), arrays)
    with np.errstate(all="ignore"):
        expected = OPS[op].evaluate(*arrays)
    if DTYPES[name].is_float:
        np.testing.assert_allclose(np.asarray(actual, float), np.asarray(expected, float), rtol=1e-12, atol=1e-300)
    else:
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("exponent", [-2.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_powers_that_are_written_are_products_and_roots(exponent):
    (x,) = operands("f64", 1)
    actual = computed(Map(OPS["pow"], (Number("x0", DTYPES["f64"]), Const(exponent, DTYPES["f64"]))), [x])
    with np.errstate(all="ignore"):
        usual = (np.abs(x) > 0) & (x > -np.inf)
        np.testing.assert_allclose(np.broadcast_to(actual, x.shape)[usual], np.power(x[usual], exponent), rtol=1e-12)


def test_powers_of_f32_are_computed_in_f64():
    arrays = [array.astype(np.float32) for array in operands("f64", 2)]
    numbers = tuple(Number(f"x{place}", DTYPES["f32"]) for place in range(2))
    actual = computed(Map(OPS["pow"], numbers), arrays)
    with np.errstate(all="ignore"):
        expected = np.power(*(array.astype(float) for array in arrays)).astype(np.float32)
    np.testing.assert_allclose(np.abs(actual), np.abs(expected), rtol=1e-6)  # zeros without a sign
    some = (expected != 0) & np.isfinite(expected)
    np.testing.assert_array_equal(np.sign(actual[some]), np.sign(expected[some]))


@pytest.mark.parametrize("to", ["i32", "i64", "u8", "bool", "f32"])
@pytest.mark.parametrize("source", ["f64", "i64"])
def test_conversions(source, to):
    (x,) = operands(source, 1)
    x = np.append(x, x.dtype.type(3e18) if source == "f64" else 300)
    with np.errstate(all="ignore"):
        expected = convert(x, DTYPES[to].numpy)
    np.testing.assert_array_equal(computed(Cast(Number("x0", DTYPES[source]), DTYPES[to]), [x]), expected)


def test_indices_that_are_never_negative_are_divided_plainly():
    text = Expressions(set())
    text.value(Map(OPS["floor_divide"], (Map(OPS["maximum"], (Const(5, I64), Const(0, I64))), Const(4, I64))))
    assert text.scopes[0].lines[-1] == "v4 = v3 // 4"


@pytest.mark.parametrize("op", ["floor_divide", "remainder"])
@pytest.mark.parametrize("by", [1, 7, 64])
def test_indices_are_divided_downwards(op, by):
    (x,) = operands("i64", 1)
    actual = computed(Map(OPS[op], (Number("x0", I64), Const(by, I64))), [x])
    np.testing.assert_array_equal(actual, OPS[op].evaluate(x, np.full_like(x, by)))


@pytest.mark.parametrize("op, exponent", [("lgamma", None), ("pow", 0.3)])
def test_what_has_no_spelling_says_so(op, exponent):
    x = Number("x0", DTYPES["f64"])
    args = (x,) if exponent is None else (x, Const(exponent, DTYPES["f64"]))
    with pytest.raises(CompileError, match="has no spelling on this target"):
        Expressions(set()).value(Map(OPS[op], args))

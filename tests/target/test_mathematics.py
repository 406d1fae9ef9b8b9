"""The accuracy of the elementary functions, their special points, and that one form serves every target."""

import ctypes
import functools
import math

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest

from einfall.target.llvm.builder import Builder, vector_type
from einfall.target.llvm.mathematics import SUPPORTED, expand

BOUNDS = {"exp": 2, "exp2": 2, "expm1": 2, "log": 2, "log2": 2, "log1p": 2, "tanh": 4, "sigmoid": 4, "erf": 4,
          "sin": 8, "cos": 8}  # max error in ULP
ODD = ("expm1", "log1p", "tanh", "erf", "sin")  # -0.0 goes to -0.0
CIRCULAR = 1e4  # sin and cos are accurate up to here
BLOCK = 1 << 18
FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
llvm.initialize_native_asmparser()
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
HOST_FEATURES = llvm.get_host_cpu_features()
HOST = frozenset(name for name, present in HOST_FEATURES.items() if present)


def source(op: str, lanes: int, features: frozenset[str]) -> str:
    """The module of a function that applies op to n values; n is a multiple of the lanes."""
    builder, type = Builder(), vector_type("float", lanes)
    builder.label("entry")
    builder.do("br label %body")
    builder.label("body")
    builder.do("%i = phi i64 [ 0, %entry ], [ %next, %body ]")
    read = builder.emit("getelementptr float, ptr %in, i64 %i")
    x = builder.emit(f"load {type}, ptr {read}, align 4")
    y = expand(builder, op, lanes, (x,), features)
    write = builder.emit("getelementptr float, ptr %out, i64 %i")
    builder.do(f"store {type} {y}, ptr {write}, align 4")
    builder.do(f"%next = add i64 %i, {lanes}")
    more = builder.emit("icmp slt i64 %next, %n")
    builder.do(f"br i1 {more}, label %body, label %exit")
    builder.label("exit")
    builder.do("ret void")
    head = "define void @f(ptr noalias %in, ptr noalias %out, i64 %n) {"
    return "\n".join([*sorted(builder.declarations), head, *builder.lines, "}\n"])


@functools.cache
def compiled(op: str, lanes: int, features: frozenset[str] = HOST):
    """The function as a map of float32 arrays. The engine stays alive in it."""
    module = llvm.parse_assembly(source(op, lanes, features))
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(features=HOST_FEATURES.flatten(), opt=2)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    call = FUNCTION(engine.get_function_address("f"))

    def apply(x: np.ndarray, engine=engine) -> np.ndarray:
        assert x.dtype == np.float32 and x.flags.c_contiguous and len(x) % lanes == 0
        out = np.empty_like(x)
        call(x.ctypes.data, out.ctypes.data, len(x))
        return out

    return apply


ERF_STEP = 1 / 64
ERF_TABLE = np.array([math.erf(i * ERF_STEP) for i in range(7 * 64)])


def erf(x: np.ndarray) -> np.ndarray:
    """erf in float64: Taylor's series about the nearest point of a table of math.erf."""
    magnitude = np.fmin(np.abs(x), 6.0)  # NaN comes back at the end
    at = np.rint(magnitude / ERF_STEP)
    a, b = at * ERF_STEP, ERF_TABLE[at.astype(np.int32)]
    h, q = magnitude - a, a * a
    series = (1 + h * (-a + h * ((2 * q - 1) / 3 + h * ((3 - 2 * q) * a / 6 + h * (
        ((4 * q - 12) * q + 3) / 30 + h * (((20 - 4 * q) * q - 15) * a / 90))))))
    value = b + 2 / math.sqrt(math.pi) * np.exp(-q) * h * series
    return np.where(np.isnan(x), x, np.copysign(value, x))


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x > 0, 1.0, e) / (1 + e)


TRUE = {name: getattr(np, name) for name in ("exp", "exp2", "expm1", "log", "log2", "log1p", "tanh", "sin", "cos")}
TRUE |= {"erf": erf, "sigmoid": sigmoid}

# Around these the functions change form, overflow, underflow, or the last digits of the reduction count.
TURNS = [i * math.pi / 2 for i in range(1, 6400)]
POINTS = [0.0, 2.0**-126, 0.25, 0.5, 0.75, 0.3465736, 1.0397207, 1.0, 1.5, 2.0, 3.9, 9.01, 10.0, 17.33, 20.0, 24.0,
          25.0, 87.33655, 88.029, 88.37626, 88.72284, 103.2789, 103.97208, 126.0, 127.0, 128.0, 149.0, 150.0,
          2.0**24, 2.0**125, 2.0**126, 2.0**127, 3.4028235e38]
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1.0, -1.0], np.float32)


def neighbours(points: list[float], reach: int) -> np.ndarray:
    """Each point and the `reach` float32 numbers on either side, of both signs."""
    bits = np.array(points, np.float32).view(np.int32)[:, None] + np.arange(-reach, reach + 1, dtype=np.int32)
    near = np.maximum(bits, 0).ravel().view(np.float32)
    return np.concatenate([near, -near])


def edges() -> np.ndarray:
    """The special values and the neighbours of the special points, a multiple of 16 numbers."""
    values = np.concatenate([SPECIAL, neighbours(POINTS, 64), neighbours(TURNS, 2)])
    return np.concatenate([values, np.zeros(-len(values) % 16, np.float32)])


def everywhere(random: np.random.Generator, count: int) -> np.ndarray:
    """Random mantissas under all exponents, half of them from 2^-30 to 2^15 where most happens, and both signs."""
    bits = random.integers(0, 1 << 32, count, np.uint32)
    middle = bits[::2]
    middle &= np.uint32(0x807FFFFF)
    middle |= random.integers(97, 143, len(middle), np.uint32) << np.uint32(23)
    return bits.view(np.float32)


def ulps(got: np.ndarray, true: np.ndarray) -> np.ndarray:
    """|got - true| over the spacing of float32 at true; infinite where only one is finite in float32, or NaN."""
    magnitude = np.abs(true)
    exponent = ((magnitude.view(np.int64) >> 52) - (1023 + 23)).astype(np.int32)
    spacing = ((np.maximum(exponent, -149).astype(np.int64) + 1023) << 52).view(np.float64)
    error = np.abs(got - true) / spacing
    fixed = ~(magnitude < 2.0**128 - 2.0**103) | ~np.isfinite(got)  # the true value rounds to inf, or one is NaN
    with np.errstate(over="ignore"):
        rounded = true[fixed].astype(np.float32)
    same = (rounded == got[fixed]) | (np.isnan(rounded) & np.isnan(got[fixed]))
    error[fixed] = np.where(same, 0.0, np.inf)
    return error


def worst(op: str, x: np.ndarray) -> tuple[float, float]:
    """The largest error in ULP and where."""
    if op in ("sin", "cos"):
        x = np.where(np.abs(x) <= CIRCULAR, x, np.float32(0.5))
    got = compiled(op, 16)(x)
    with np.errstate(all="ignore"):
        error = ulps(got, TRUE[op](x.astype(np.float64)))
    at = int(np.argmax(error))
    return float(error[at]), float(x[at])


def check(op: str, count: int) -> None:
    random = np.random.default_rng(7)
    error, x = max([worst(op, edges()), *(worst(op, everywhere(random, BLOCK)) for _ in range(count // BLOCK))])
    assert error <= BOUNDS[op], f"{op}({x!r}) is {error:.2f} ULP off"


@pytest.mark.parametrize("op", sorted(SUPPORTED))
def test_accuracy(op):
    check(op, 1 << 18)


@pytest.mark.slow
@pytest.mark.parametrize("op", sorted(SUPPORTED))
def test_accuracy_at_many_points(op):
    check(op, 1 << 24)


def test_every_function_has_a_bound():
    assert set(BOUNDS) == SUPPORTED


@pytest.mark.parametrize("op", sorted(SUPPORTED))
def test_the_reference_is_right(op):
    """The float64 reference against mpmath at some points."""
    random = np.random.default_rng(11)
    sample = random.permutation(np.concatenate([edges(), everywhere(random, 1 << 16)]))
    low, high = {"log": (0, np.inf), "log2": (0, np.inf), "log1p": (-1, np.inf), "sin": (-CIRCULAR, CIRCULAR),
                 "cos": (-CIRCULAR, CIRCULAR)}.get(op, (-200, 200))
    x = sample[(sample > low) & (sample < high)][:400].astype(np.float64)
    formulas = {"exp2": lambda t: mpmath.power(2, t), "sigmoid": lambda t: 1 / (1 + mpmath.exp(-t)),
                "log2": lambda t: mpmath.log(t, 2), "log1p": lambda t: mpmath.log(1 + t)}
    formula = formulas.get(op) or getattr(mpmath, op)
    got = TRUE[op](x)
    with mpmath.workdps(400):
        off = [abs(mpmath.mpf(float(g)) - formula(mpmath.mpf(float(t)))) for t, g in zip(x, got)]
    allowed = np.maximum(np.abs(got) * 1e-13, 2.0**-149 * 1e-3)
    assert len(x) == 400 and np.all(np.array(off, np.float64) <= allowed)


@pytest.mark.parametrize("op", sorted(SUPPORTED))
def test_every_form_gives_the_same_bits(op):
    """One, four, eight and sixteen lanes, and sixteen without the forms of the host's instruction set."""
    x = np.concatenate([edges(), everywhere(np.random.default_rng(3), 1 << 16)])
    wide = compiled(op, 16)(x)
    nan = np.isnan(wide)
    for lanes, features in [(1, HOST), (4, HOST), (8, HOST), (16, frozenset())]:
        other = compiled(op, lanes, features)(x)
        assert np.array_equal(nan, np.isnan(other))
        assert np.array_equal(wide[~nan].view(np.int32), other[~nan].view(np.int32))


INF, NAN = math.inf, math.nan
VALUES = {  # at -inf, -1, 0, inf
    "exp": (0.0, None, 1.0, INF), "exp2": (0.0, 0.5, 1.0, INF), "expm1": (-1.0, None, 0.0, INF),
    "log": (NAN, NAN, -INF, INF), "log2": (NAN, NAN, -INF, INF), "log1p": (NAN, -INF, 0.0, INF),
    "tanh": (-1.0, None, 0.0, 1.0), "sigmoid": (0.0, None, 0.5, 1.0), "erf": (-1.0, None, 0.0, 1.0),
    "sin": (NAN, None, 0.0, NAN), "cos": (NAN, None, 1.0, NAN),
}


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("op", sorted(SUPPORTED))
def test_special_points(op, lanes):
    x = np.full(16, NAN, np.float32)
    x[:4], x[4] = (-INF, -1.0, 0.0, INF), -0.0
    got = compiled(op, lanes)(x)
    for value, wanted in zip(got, VALUES[op]):
        assert wanted is None or value == wanted or (math.isnan(wanted) and math.isnan(value))
    assert np.isnan(got[5:]).all()
    assert got[4] == got[2]
    assert not np.signbit(got[2]) or op in ("log", "log2")
    assert np.signbit(got[4]) == (op in ODD or op in ("log", "log2"))


@pytest.mark.parametrize("op", sorted(ODD))
def test_odd_functions_keep_the_smallest_numbers(op):
    x = np.arange(1, 4097, dtype=np.int32).view(np.float32)
    got = compiled(op, 16)(np.concatenate([x, -x]))
    wanted = x * np.float32(2 / math.sqrt(math.pi)) if op == "erf" else x
    assert np.array_equal(got, np.concatenate([wanted, -wanted]))


@pytest.mark.parametrize("op", ["tanh", "erf", "sin", "cos", "sigmoid"])
def test_bounded_functions_stay_in_their_bounds(op):
    x = np.concatenate([edges(), everywhere(np.random.default_rng(5), 1 << 20)])
    got = compiled(op, 16)(x)
    finite = np.isfinite(x)
    assert np.all(np.abs(got[finite]) <= 1)
    assert op != "sigmoid" or np.all(got[finite] >= 0)


@pytest.mark.parametrize("op", ["sin", "cos"])
def test_circular_functions_far_out(op):
    """Beyond the range of the bound the absolute error stays small up to 1e6, and the symmetry holds everywhere."""
    x = np.random.default_rng(9).uniform(0, 1e6, 1 << 18).astype(np.float32)
    assert np.abs(compiled(op, 16)(x) - TRUE[op](x.astype(np.float64))).max() < 1e-6
    x = everywhere(np.random.default_rng(9), 1 << 16)
    mirrored = compiled(op, 16)(-x) * np.float32(-1 if op == "sin" else 1)
    assert np.array_equal(compiled(op, 16)(x), mirrored, equal_nan=True)


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"])
@pytest.mark.parametrize("op", sorted(SUPPORTED))
def test_the_generic_form_compiles_anywhere(op, triple):
    text = source(op, 16, frozenset())
    assert "llvm.x86" not in text and "llvm.aarch64" not in text
    module = llvm.parse_assembly(text)
    module.triple = triple
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=2)
    assert machine.emit_object(module)

"""Every number type at every height: memory, arithmetic, reductions, gathers, scans, conversions; and torch."""

import functools

import ml_dtypes
import numpy as np
import pytest

import einfall as ef
from einfall.front.arguments import collect
from einfall.front.kernel import measured
from einfall.pipeline import compile_cascade
from einfall.runtime.launch import launch
from einfall.scalar.dtypes import DTYPES
from einfall.target.llvm.compile import GENERIC, host_features
from tests.differential.heights import AVX2, assert_agrees_at_every_height
from tests.tolerance import assert_agrees

NAMES = [name for name in DTYPES if name != "bool"]
FLOATS = [name for name in NAMES if DTYPES[name].is_float]
INTEGERS = [name for name in NAMES if DTYPES[name].is_int]
NARROW = ("f16", "bf16")
ALONE = ("bf16", "u8")  # of the new types, those that every run tries
SOME = [name if name in ALONE else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
TARGETS = {  # lanes and features of other processors, as far as this one has them
    "sixteen": (16, host_features()), "eight": (8, AVX2), "four": (4, GENERIC),
    "one": (1, GENERIC)}
i, j, k, t = ef.ranks("i j k t")


def values(name: str, *shape: int, seed: int = 0) -> np.ndarray:
    """Numbers of a type: a few units around 1 of a float, the whole range of an integer."""
    random, dtype = np.random.default_rng(seed), DTYPES[name]
    if dtype.is_float:
        return random.standard_normal(shape).astype(dtype.numpy)
    if dtype.is_int:
        return random.integers(dtype.lowest, dtype.highest, shape, dtype.numpy, endpoint=True)
    return random.random(shape) < 0.5


def small(name: str, *shape: int, seed: int = 0) -> np.ndarray:
    """Numbers of a type, 0 to 6."""
    return np.random.default_rng(seed).integers(0, 7, shape).astype(DTYPES[name].numpy)


@functools.cache
def elementwise():
    @ef.kernel
    def f(x, y):
        return (x[i, j] + y[i, j])[i, j], (x[i, j] * y[i, j] - 3)[i, j], ef.where(x[i, j] < y[i, j], x[i, j], 1)[i, j]

    return f


@functools.cache
def integer_operators():
    @ef.kernel
    def f(x, y):
        a, b = x[i], y[j]
        return ((a // b)[i, j], (a % b)[i, j], (a << b)[i, j], (a >> b)[i, j], (a ** b)[i, j], (a & b)[i, j],
                ef.minimum(a, b)[i, j], ef.maximum(a, b)[i, j], (a <= b)[i, j], ef.sign(a)[i], abs(a)[i], (-a)[i],
                (~a)[i], (a > 1)[i])

    return f


@functools.cache
def reductions():
    @ef.kernel
    def f(x):
        return (ef.max(x[i, j], over=j)[i], ef.min(x[i, j], over=(i, j)), ef.sum(x[i, j], over=j)[i],
                ef.prod(x[i, j], over=i)[j], ef.argmax(x[i, j], over=j)[i], ef.argmin(x[i, j], over=i)[j],
                ef.mean(x[i, j], over=j)[i], ef.any(x[i, j], over=j)[i])

    return f


@functools.cache
def product():
    @ef.kernel
    def f(A, B):
        return ef.sum(A[i, k] * B[k, j], over=k)[i, j]

    return f


@functools.cache
def scanned():
    @ef.kernel
    def f(x):
        return (ef.cumsum(x[t, i], over=t)[t, i], ef.cummax(x[t, i], over=t)[t, i],
                ef.scan(lambda s: ef.where(s > x[t, i], s, x[t, i]) + 1, over=t, init=x[0, i], last=True)[i])

    return f


@functools.cache
def converted(to: str):
    @ef.kernel
    def f(x):
        return x[i].astype(DTYPES[to])[i]

    return f


def ends(name: str) -> np.ndarray:
    """The ends of a type and what lies around zero; of a float what is special too."""
    dtype = DTYPES[name]
    if name == "bool":
        return np.array([False, True])
    if dtype.is_float:
        numbers = [np.nan, np.inf, -np.inf, 1e30, -1e30, 2.7, -2.7, -0.5, 0.0, 254.9, 65519.0, 65520.0, 1e-7, 6e-8,
                   3e-41, 2.0**31, 2.0**63, 2.0**64, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11]
        with np.errstate(over="ignore"):
            return np.array(numbers).astype(dtype.numpy)
    around = [value for value in (-129, -2, -1, 1, 2, 3, 7, 255, 2049, 65519, 65520, 2**24 + 1)
              if dtype.lowest <= value <= dtype.highest]
    return np.array([dtype.lowest, *around, dtype.highest], dtype.numpy)


@pytest.mark.parametrize("name", SOME)
def test_elementwise(name):
    f = elementwise()
    assert_agrees_at_every_height(f, (values(name, 3, 37), values(name, 3, 37, seed=1)))
    assert_agrees_at_every_height(f, (values(name, 37, 6)[::-3, ::2].T, values(name, 3, 26, seed=1)[:, ::2]))
    for shape in ((0, 5), (5, 0), (1, 1)):
        args = values(name, *shape), values(name, *shape, seed=1)
        assert_agrees_at_every_height(f, args, heights=("machine", "tile"))
    x = values(name, 3, 37)
    assert [made.dtype for made in f(x, x)] == [x.dtype] * 3


@pytest.mark.parametrize("name", ["u8", "i16", *(
    pytest.param(name, marks=pytest.mark.slow) for name in INTEGERS if name not in ("u8", "i16"))])
def test_operators_at_the_ends(name):
    assert_agrees_at_every_height(integer_operators(), (ends(name), ends(name)))
    assert {made.dtype for made in integer_operators()(ends(name), ends(name))} == {np.dtype(bool), DTYPES[name].numpy}


@pytest.mark.parametrize("name", SOME)
def test_reductions(name):
    x = values(name, 5, 37)
    assert_agrees_at_every_height(reductions(), (x,))
    assert_agrees_at_every_height(reductions(), (x[:1, :1],), heights=("machine", "nest"))
    own, wide, default = DTYPES[name].numpy, DTYPES[name].accumulated.numpy, DTYPES[name].numpy
    default = default if DTYPES[name].is_float else np.dtype("f4")
    index = np.dtype("i8")
    assert [made.dtype for made in reductions()(x)] == [own, own, wide, wide, index, index, default, np.dtype(bool)]


@pytest.mark.parametrize("name", SOME)
def test_nothing_has_the_extreme_of_the_type(name):
    @ef.kernel
    def f(x):
        return ef.max(x[i, j], over=j)[i], ef.min(x[i, j], over=j)[i], ef.sum(x[i, j], over=j)[i]

    x = values(name, 3, 0)
    assert_agrees_at_every_height(f, (x,))
    assert [float(made[0]) for made in f(x)] == [float(DTYPES[name].lowest), float(DTYPES[name].highest), 0.0]


@pytest.mark.parametrize("name", SOME)
def test_matrix_product(name):
    assert_agrees_at_every_height(product(), (values(name, 7, 5), values(name, 5, 19, seed=1)))
    assert_agrees_at_every_height(product(), (values(name, 13, 9).T, values(name, 37, 13, seed=1).T), heights=("call",))


@pytest.mark.parametrize("name", FLOATS)
def test_softmax(name):
    @ef.kernel
    def f(x):
        return ef.softmax(x[i, j], over=j)[i, j]

    x = values(name, 5, 37)
    assert_agrees_at_every_height(f, (x,))
    assert f(x).dtype == x.dtype


@pytest.mark.parametrize("name, of", [
    pytest.param(name, of, marks=() if (name, of) in (("u8", "bf16"), ("i16", "f32")) else pytest.mark.slow)
    for name in INTEGERS for of in ("u8", "f32", "bf16", "bool")])
def test_gathers(name, of):
    @ef.kernel
    def f(table, index):
        return table[index[i], j][i, j], ef.sum(table.pad(1)[index[i] - 2, j], over=j)[i]

    assert_agrees_at_every_height(f, (values(of, 7, 19), small(name, 21)))
    if name == "u8":
        with pytest.raises(ef.BoundsError, match="index 200 is out of range"):
            f(values(of, 7, 19), np.array([3, 200], np.uint8))


@pytest.mark.parametrize("name", SOME)
def test_scans(name):
    x = values(name, 11, 21)
    assert_agrees_at_every_height(scanned(), (x,))
    assert [made.dtype for made in scanned()(x)] == [DTYPES[name].accumulated.numpy, x.dtype, x.dtype]


@functools.cache
def converted_to_all():
    @ef.kernel
    def f(x):
        return tuple(x[i].astype(dtype)[i] for dtype in DTYPES.values())

    return f


@pytest.mark.parametrize("source", [*ALONE, "f32", *(
    pytest.param(name, marks=pytest.mark.slow) for name in DTYPES if name not in (*ALONE, "f32"))])
def test_conversions(source):
    x = np.concatenate([ends(source)] * 2)
    assert_agrees_at_every_height(converted_to_all(), (x,), heights=("text", "nest", "machine", "generic"))
    for dtype, made in zip(DTYPES.values(), converted_to_all()(x)):
        assert made.dtype == dtype.numpy
        with np.errstate(all="ignore"):
            if dtype.is_float:
                assert np.array_equal(made.astype(float), x.astype(dtype.numpy).astype(float), equal_nan=True)
                assert np.array_equal(np.signbit(made.astype(float)), np.signbit(x.astype(float))) or source == "bool"


@pytest.mark.parametrize("name", NARROW)
def test_narrow_floats_are_f32_rounded_once(name):
    @ef.kernel
    def f(x, y):
        return ((x[i] * y[i] + 0.1) / (abs(y[i]) + 1.5) - x[i])[i]

    x, y = values(name, 1000), values(name, 1000, seed=1)
    a, b = x.astype(np.float32), y.astype(np.float32)
    exact = [(a * b + np.float32(0.1)) / (np.abs(b) + np.float32(1.5)) - a]  # and with the product not rounded
    fused = (a.astype(float) * b + np.float32(0.1)).astype(np.float32)
    exact.append(fused / (np.abs(b) + np.float32(1.5)) - a)
    made = f(x, y)
    assert made.dtype == x.dtype
    assert any(np.array_equal(made, item.astype(x.dtype)) for item in exact)


@pytest.mark.parametrize("name", NARROW)
def test_all_narrow_floats_and_what_lies_between(name):
    @ef.kernel
    def wider(x):
        return x[i].astype(ef.f32)[i]

    every = np.arange(65536, dtype=np.uint16).view(DTYPES[name].numpy)
    with np.errstate(all="ignore"):
        numbers = every.astype(np.float32)
        middle = (numbers[:-1].astype(float) + numbers[1:]) / 2
        around = np.concatenate([middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)])
        for exact in (around.astype(np.float32), around):
            expected = exact.astype(DTYPES[name].numpy) if name == "f16" or exact.dtype == np.float32 else None
            for lanes, features in TARGETS.values():
                assert np.array_equal(compiled(wider, (every,), lanes, features)[0], numbers, equal_nan=True)
                made = compiled(converted(name), (exact,), lanes, features)[0]
                if expected is not None:
                    assert np.array_equal(made.astype(float), expected.astype(float), equal_nan=True)
                else:  # ml_dtypes rounds twice
                    low = np.abs(made.astype(float) - exact) <= np.abs(exact.astype(made.dtype).astype(float) - exact)
                    assert (low | ~np.isfinite(exact) | ~np.isfinite(made.astype(float))).all()


def compiled(kernel, args, lanes, features) -> list[np.ndarray]:
    """The results by machine code with these lanes, of what these features have."""
    arguments = collect(kernel.signature, kernel.__name__, args, {})
    made = compile_cascade(kernel.program(arguments).cascade, arguments.units, lanes=lanes, features=features)
    return launch(made.steps, made.nest.outputs, arguments.arrays, arguments.scalars)


QUICK = {("f16", "four")}
OTHERS = [*((name, "eight" if place % 2 else "four") for place, name in enumerate(NAMES)), ("u8", "eight"),
          ("f16", "four"), ("f16", "eight"), ("bf16", "one"), ("i16", "one"), ("u64", "one")]
OTHERS = list(dict.fromkeys(OTHERS))


@pytest.mark.parametrize("name, target", [
    pytest.param(*other, marks=() if other in QUICK else pytest.mark.slow) for other in OTHERS])
def test_other_processors_agree(name, target):
    x, y = values(name, 37, 19), values(name, 19, 33, seed=1)
    programs = [(elementwise(), (x, x[::-1])), (reductions(), (x,)), (scanned(), (x,)), (product(), (x, y))]
    programs += [(integer_operators(), (ends(name), ends(name)))] if DTYPES[name].is_int else []
    for kernel, args in programs:
        program, expected = measured(kernel, args, {})
        for place, made in enumerate(compiled(kernel, args, *TARGETS[target])):
            assert made.dtype == program.cascade.outputs[place].dtype.numpy
            assert_agrees(made, expected[place], what=f"{kernel.__name__} for {target}, result {place}")


def test_nominal_types_of_results():
    @ef.kernel
    def f(h, b, s, u, w):
        T = (h[i] + 1)[i]
        return ((h[i] * b[i])[i], (h[i] * 2.5)[i], (h[i] + u[i])[i], (u[i] + s[i])[i], (u[i] / 2)[i], (w[i] + u[i])[i],
                ef.mean(u[i], over=i), T[::-1], h.pad(0.1)[i + 1].astype(ef.f32)[i], T, h, ef.exp(b[i])[i])

    args = [values(name, 8) for name in ("f16", "bf16", "i8", "u8", "u64")]
    expected = ["f4", "f2", "f2", "i2", "f4", "u8", "f4", "f2", "f4", "f2", "f2", ml_dtypes.bfloat16]
    made = f(*args)
    assert [item.dtype for item in made] == [np.dtype(item) for item in expected]
    assert made[8][-1] == np.float32(np.float16(0.1))
    assert np.array_equal(made[7], made[9][::-1]) and np.array_equal(made[10], args[0])
    assert_agrees_at_every_height(f, tuple(args))


def test_a_cast_to_a_narrow_float_rounds_and_nothing_else_does():
    @ef.kernel
    def f(x):
        T = (x[i] + 0.001)[i]
        return (T[i] - x[i])[i], (T[i].astype(ef.f16) - x[i])[i], (ef.cast(1.1, ef.f16) + 0 * x[i]).astype(ef.f32)[i]

    kept, rounded, number = f(np.ones(3, np.float16))
    assert abs(float(kept[0]) - 0.001) < 1e-6 and float(rounded[0]) == float(np.float16(1.001)) - 1
    assert number[0] == np.float32(np.float16(1.1))


def test_tensors_made_inside_keep_the_nominal_type():
    @ef.kernel
    def inner(x):
        return (x[i] + 1)[i]

    @ef.kernel
    def f(x):
        T = inner(x)
        return T.pad(0.1)[i.of(5) + 1][i], T[1:], (T[i] * np.float16(2))[i]

    x = values("f16", 4)
    assert_agrees_at_every_height(f, (x,))
    made = f(x)
    assert {item.dtype for item in made} == {x.dtype} and made[0][-1] == np.float16(0.1)


def test_an_index_without_a_sign_is_looked_at():
    @ef.kernel
    def f(x, s):
        return ef.where(s[i] < 0, x[s[i].astype(ef.u8).astype(ef.i64) + 128], 0)[i]

    with pytest.raises(ef.BoundsError, match="index 383 is out of range"):
        f(values("f32", 128), np.array([3, -1], np.int8))
    assert f(values("f32", 384), np.array([3, -1], np.int8))[1] == values("f32", 384)[383]


def test_monoids_and_states_keep_the_nominal_type():
    longest = ef.Monoid(lambda a, b: ef.where(abs(a) > abs(b), a, b), 0.0)

    @ef.kernel
    def f(x):
        return (ef.reduce(x[t, i], over=t, by=longest)[i],
                ef.scan(lambda s: s * 0.5 + x[t, i], over=t, init=0.0)[t, i],
                ef.scan(lambda s: s + ef.sum(x[t, i], over=i), over=t, init=x[0, 0], exclusive=True)[t],
                ef.logsumexp(x[t, i], over=i)[t])

    x = values("bf16", 9, 21)
    assert_agrees_at_every_height(f, (x,))
    assert {made.dtype for made in f(x)} == {x.dtype}


def test_no_type_holds_u64_and_signed_integers():
    with pytest.raises(ef.TraceError, match="u64 meets i32"):
        elementwise()(values("u64", 2, 2), values("i32", 2, 2))


def test_large_numbers_of_u64():
    @ef.kernel
    def f(x):
        return ((x[i] & (2**64 - 1))[i], (x[i] > 2**63)[i], ef.sum(x[i], over=i), ef.prod(x[i], over=i),
                ef.cumsum(x[i], over=i)[i])

    x = values("u64", 21)
    same, large, total, times, running = f(x)
    assert np.array_equal(same, x) and np.array_equal(large, x > 2**63) and total == x.sum() and times == x.prod()
    assert np.array_equal(running, x.cumsum()) and total.dtype == running.dtype == np.uint64
    assert_agrees_at_every_height(f, (x,))


@pytest.mark.parametrize("name", [*(
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("bfloat16", "uint8", "float16", "int8", "int16", "uint16", "uint32", "uint64"))])
def test_torch(name):
    torch = pytest.importorskip("torch")

    @ef.kernel
    def f(x):
        return x[i, j][j, i], (x[i, j] + 1)[i, j]

    dtype = getattr(torch, name)
    x = torch.arange(12, dtype=torch.float32).to(dtype).reshape(3, 4)
    for given in (x, x[:, ::2], torch.as_strided(x, (3, 2), (1, 4)), x[:0]):
        held = collect(f.signature, "f", (given,), {}).arrays["x"]
        assert held.__array_interface__["data"][0] == given.data_ptr() or not given.numel()
        turned, more = f(given)
        assert turned.dtype == more.dtype == dtype
        assert turned.tolist() == given.T.tolist()
        assert more.tolist() == [[value + 1 for value in row] for row in given.tolist()]
    into = torch.empty(4, 3, dtype=dtype), torch.empty(3, 4, dtype=dtype)
    assert f(x, out=into)[0] is into[0] and into[0].tolist() == x.T.tolist()


def test_out_of_numpy():
    x = values("bf16", 5, 7)
    into = [np.empty((5, 7), x.dtype) for _ in range(3)]
    expected = elementwise()(x, x)
    elementwise()(x, x, out=tuple(into))
    assert all(np.array_equal(one, other) for one, other in zip(into, expected))
    elementwise()(x, x, out=(x, into[1], into[2]))
    assert np.array_equal(x, expected[0])


@pytest.mark.parametrize("dtype", [np.longdouble, ml_dtypes.float8_e5m2])
def test_other_types_are_refused(dtype):
    with pytest.raises(ef.TraceError, match="convert it to one of"):
        converted("f32")(np.ones(3).astype(dtype))

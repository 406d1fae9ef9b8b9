"""Triton kernels: their text, what they compute in Triton's interpreter, what they need of a processor.

The last two need an environment with Triton, whose Python EINFALL_TRITON_PYTHON names; `make gpu` makes one.
"""

import pathlib

import numpy as np
import pytest

import einfall as ef
from einfall.front.arguments import Arguments, collect
from einfall.front.kernel import Kernel, evaluated
from einfall.pipeline import in_blocks, in_triton
from einfall.scalar.dtypes import DTYPES
from einfall.target.triton.emit import emit
from einfall.tile.text import parse
from tests.differential.blocked import BLOCKED, entered
from tests.differential.in_blocks import blocked_of
from tests.programs.program import load
from tests.target.triton_jobs import TRITON, compiled, results_of
from tests.tolerance import assert_agrees

GOLDENS = pathlib.Path(__file__).parent / "expected"
PROGRAMS = load()
SIZES = [(name, extents) for name, (_, _, sizes) in BLOCKED.items() for extents in sizes]
ALIGNED = [("product", (64, 32, 128)), ("layer", (64, 64, 64)), ("softmax", (4, 1024)), ("product", (130, 70, 66)),
           ("attention", (64, 64, 64, 64)), ("attention_causal", (128, 128, 32, 32)),
           ("attention_causal", (70, 130, 33, 40))]
# programs by hand with functions that have no spelling
REFUSED = {"activations", "elementary", "horner", "linear_attention", "options", "rounding"}
needs_triton = pytest.mark.skipif(TRITON is None, reason="EINFALL_TRITON_PYTHON names no environment with Triton")


def contiguous(arguments: Arguments) -> Arguments:
    """The arguments with their elements in order: files hold no others."""
    return arguments._replace(arrays={name: np.ascontiguousarray(array).reshape(array.shape)
                                      for name, array in arguments.arrays.items()})


def assert_agrees_in_triton(kernel: Kernel, args: tuple, kwargs: dict, folder: pathlib.Path, *, widen: bool = True,
                            has_units: bool = True) -> None:
    """What Triton's interpreter computes is what the reference gives."""
    arguments = contiguous(collect(kernel.signature, kernel.__name__, args, kwargs))
    program = kernel.program(arguments)
    made, memory = blocked_of(program, arguments)
    memory = contiguous(memory)
    sources = in_triton(made, memory.units if has_units else frozenset(), widen=widen)
    expected = evaluated(program, arguments, {}, "nominal")
    for place, (actual, wanted) in enumerate(zip(results_of(made, sources, memory, folder), expected, strict=True)):
        assert_agrees(actual, wanted, what=f"{kernel.__name__} in Triton, result {place}")


@pytest.mark.parametrize("name, dtype", [("product", "f16"), ("softmax", "f32"), ("attention_causal", "f16")])
def test_the_text_of_a_kernel(name, dtype, request):
    kernel, arguments, _ = BLOCKED[name]
    args = arguments(*(100, 2000) if name == "softmax" else (100, 100, 100, 100)[:3 + ("attention" in name)])
    program, call = entered(kernel, tuple(array.astype(DTYPES[dtype].numpy) for array in args))
    sources = in_triton(blocked_of(program, call)[0], call.units)
    assert sources == in_triton(in_blocks(program.cascade, call.small), call.units), "the same text every time"
    shown, golden = "\n".join(source.text for source in sources), GOLDENS / f"triton_{name}.txt"
    if request.config.getoption("--accept"):
        golden.write_text(shown)
    assert shown == golden.read_text()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_has_no_spelling_is_refused(name):
    args, kwargs = PROGRAMS[name].arguments(np.random.default_rng(3))
    call = collect(PROGRAMS[name].kernel.signature, name, args, kwargs)
    with pytest.raises(ef.CompileError) as caught:
        in_triton(blocked_of(PROGRAMS[name].kernel.program(call), call)[0], call.units)
    what, where, known, repair = str(caught.value).splitlines()
    assert what.endswith("has no spelling on this target") and where.startswith("  in     ")
    assert known == "  known  target: triton" and repair.startswith("  try    ")


CHOSEN = """\
def chosen(x: f32[2], at: i64[2]):
    out = output(f32, x.shape[0], 32, 32)
    i = grid(x.shape[0])
    w = workspace(f32, 32)
    for j in vector(32):
        w[j] = x[i, j]
    for k in vector(32):
        for m in vector(32):
            out[i, k, m] = w[at[k, m]]
"""
UNKNOWN = """\
def unknown(x: f32[2], n: i64[1]):
    out = output(f32, x.shape[0])
    i = grid(x.shape[0])
    for j in vector(n[i], a=f32(0.0)):
        fold(sum, a=x[i, j])
    out[i] = a
"""


@pytest.mark.parametrize("text, what", [
    (CHOSEN, "workspace w is accessed at places that differ between the elements of a tensor"),
    (UNKNOWN, "a loop of a length that only its instance knows is a block")], ids=["chosen", "unknown"])
def test_programs_that_are_no_tensors_are_refused(text, what):
    with pytest.raises(ef.CompileError) as caught:
        emit(parse(text))
    assert str(caught.value).startswith(f"{what} on this target\n")


def test_names_of_the_text_are_refused():
    i = ef.ranks("i")

    @ef.kernel
    def doubled(tl):
        return (2 * tl[i])[i]

    program, call = entered(doubled, (np.ones(3, np.float32),))
    with pytest.raises(ef.CompileError, match="the name tl means something else on this target"):
        in_triton(blocked_of(program, call)[0])


@needs_triton
@pytest.mark.parametrize("name, extents", SIZES + ALIGNED, ids=str)
def test_kernels_agree(name, extents, tmp_path):
    kernel, arguments, _ = BLOCKED[name]
    assert_agrees_in_triton(kernel, arguments(*extents), {}, tmp_path)


@needs_triton
@pytest.mark.parametrize("dtype, widen", [("f16", True), ("f16", False), ("bf16", True)])
@pytest.mark.parametrize("name", ["product", "attention_causal"])
def test_narrow_kernels_agree(name, dtype, widen, tmp_path):
    kernel, arguments, (extents, *_) = BLOCKED[name]
    args = tuple(array.astype(DTYPES[dtype].numpy) for array in arguments(*extents))
    if dtype == "bf16":  # the interpreter truncates where it rounds to bf16: results of f32 only
        args = (args[0].astype(np.float32), *args[1:])
    assert_agrees_in_triton(kernel, args, {}, tmp_path, widen=widen)


@needs_triton
@pytest.mark.parametrize("name", ["product", "layer_norm", "attention"])
def test_kernels_for_any_strides_agree(name, tmp_path):
    kernel, arguments, (extents, *_) = BLOCKED[name]
    assert_agrees_in_triton(kernel, arguments(*extents), {}, tmp_path, has_units=False)


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - REFUSED))
def test_programs_by_hand_agree(name, tmp_path):
    args, kwargs = PROGRAMS[name].arguments(np.random.default_rng(3))
    assert_agrees_in_triton(PROGRAMS[name].kernel, args, kwargs, tmp_path)


REGISTERS, SHARED_BYTES = 65536, 232448  # of a multiprocessor with compute capability 9.0
SPILLED = 64  # bytes a thread, at most, where nothing is known of addresses: each element has one of its own


@needs_triton
@pytest.mark.parametrize("divisible", [True, False], ids=["divisible", "any"])
@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize("name", ["product", "layer", "softmax", "layer_norm", "attention", "attention_causal",
                                  "sparse_product"])
def test_kernels_fit_into_a_processor(name, dtype, divisible, tmp_path):
    kernel, arguments, (extents, *_) = BLOCKED[name]
    extents = (100, 100, 64, 64)[:len(extents)]
    program, call = entered(kernel, tuple(
        array.astype(DTYPES[dtype].numpy) if array.dtype.kind == "f" else array for array in arguments(*extents)))
    heads = frozenset((name, 2, 64) for name, array in call.arrays.items() if array.shape[1:] == (100, 64))
    for small in {call.small, call.small | heads}:
        made = in_blocks(program.cascade, small)
        needs = compiled(made, in_triton(made, call.units), tmp_path, 64, divisible=divisible)
        for kernel_needs in needs:
            assert kernel_needs["registers"] * kernel_needs["threads"] <= REGISTERS
            assert kernel_needs["shared_bytes"] <= SHARED_BYTES
            assert kernel_needs["stack_bytes"] <= (0 if divisible else SPILLED)
        assert divisible is False or needs[-1]["LDL"] == needs[-1]["STL"] == 0
        if dtype == "f16" and name in ("product", "layer", "attention", "attention_causal"):
            assert needs[-1]["HGMMA"] > 0 and needs[-1]["HMMA"] == 0, "the units that multiply blocks are used"

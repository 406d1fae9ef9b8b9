"""Counts are exact; the model answers as it should when one number of the machine changes."""

import math

import numpy as np
import pytest

import einfall as ef
from einfall.front.arguments import collect
from einfall.lower.cascade_to_nest import cascade_to_nest
from einfall.lower.nest_to_tile import nest_to_tile
from einfall.plan.cost import predict, quantity
from einfall.plan.machine import Cache, described
from einfall.plan.traffic import least_bytes, traffic_bytes
from einfall.plan.vectors import choose_panels, choose_register_tiles, choose_vector_loops
from einfall.plan.work import BREAK_EVEN, operations, threads_for, work
from einfall.report.explain import CallData, predicted
from einfall.scalar.run import evaluate
from einfall.tile.text import parse
from tests.differential.heights import over_memory
from tests.programs.program import load

PROGRAMS = load()
MACHINE = described("a machine", 2, 16)
ADD = """
def add(A: f32[1], B: f32[1]):
    out = output(f32, A.shape[0])
    for i in vector(A.shape[0]):
        out[i] = A[i] + B[i]
"""
PRODUCT = """
def product(A: f32[2], B: f32[2]):
    out = output(f32, A.shape[0], B.shape[1])
    i = grid(A.shape[0])
    for j in vector(B.shape[1]):
        for k in sequential(A.shape[1], a=f32(0.0)):
            fold(sum, a=A[i, k] * B[k, j])
        out[i, j] = a
"""
SOFTMAX = """
def softmax(A: f32[2]):
    out = output(f32, A.shape[0], A.shape[1])
    i = grid(A.shape[0])
    w = workspace(f32, A.shape[1])
    for j_3 in vector(A.shape[1], a=f32(-inf)):
        fold(max, a=A[i, j_3])
    for j_2 in vector(A.shape[1]):
        w[j_2] = exp(A[i, j_2] - a)
    for j_4 in vector(A.shape[1], a_2=f32(0.0)):
        fold(sum, a_2=w[j_4])
    for j in vector(A.shape[1]):
        out[i, j] = w[j] / a_2
"""


def sized(**shapes):
    return lambda expr: int(evaluate(expr, lambda leaf: np.asarray(shapes[leaf.input][leaf.axis])))


def counts(source: str, **shapes):
    found = work(parse(source), sized(**shapes))
    return found.operations, found.specials, found.loads, found.stores


def test_what_is_counted_by_hand():
    assert counts(ADD, A=(1000,), B=(1000,)) == (1000, 0, 2000, 1000)
    # a product and a sum for each of m n k; a[i, k] is read in every step of j as it is written
    assert counts(PRODUCT, A=(5, 7), B=(7, 3)) == (2 * 5 * 7 * 3, 0, 2 * 5 * 7 * 3, 5 * 3)
    # maximum, difference, sum, division; one exponential; A twice, w twice
    assert counts(SOFTMAX, A=(4, 10)) == (4 * 40, 40, 4 * 40, 2 * 40)


def test_what_a_loop_does_not_change_is_counted_outside_of_it():
    source = ADD.replace("A[i] + B[i]", "A[i] * (B[0] * 2.0)")
    assert counts(source, A=(1000,), B=(1,)) == (1001, 0, 1001, 1000)


def test_indices_and_sizes_are_not_operations():
    source = ADD.replace("A[i] + B[i]", "A[A.shape[0] - 1 - i] / cast(A.shape[0] + 1, f32)")
    assert counts(source, A=(10,), B=(1,))[0] == 10


def test_a_special_function_has_its_type():
    assert work(parse(SOFTMAX), sized(A=(4, 10))).special == {("exp", "f32"): 40.0}
    assert work(parse(PRODUCT.replace("f32", "f64")), sized(A=(5, 7), B=(7, 3))).arithmetic == {64: 210.0}


def test_the_launch_weighs_the_same_program():
    assert operations(parse(PRODUCT), sized(A=(5, 7), B=(7, 3))) == 5 * 3 * (7 * 4 + 1)
    assert threads_for(BREAK_EVEN, 8, 4) == 4
    assert threads_for(BREAK_EVEN, 3, 4) == 3
    assert threads_for(BREAK_EVEN - 1, 8, 4) == 1


def test_bytes_at_least():
    program, size = parse(PRODUCT), sized(A=(50, 70), B=(70, 30))
    assert least_bytes([program], size, program.inputs, program.outputs) == 4 * (50 * 70 + 70 * 30 + 50 * 30)
    program = parse(ADD.replace("B[i]", "A[i]"))
    assert least_bytes([program], sized(A=(64,), B=(9,)), program.inputs, program.outputs) == 4 * 128


def test_bytes_through_a_cache():
    program, size = parse(PRODUCT), sized(A=(64, 512), B=(512, 64))
    whole = 4 * (64 * 512 + 512 * 64 + 64 * 64)
    large, small = traffic_bytes(program, size, [1e9, 16 << 10])
    assert large == (whole, 0)
    assert small.bytes >= 64 * 4 * 512 * 64  # B again for every row
    assert traffic_bytes(parse(ADD), sized(A=(10**6,), B=(10**6,)), [16 << 10]) == [(12e6, 0)]
    (wide,) = traffic_bytes(program, sized(A=(64, 512), B=(512, 2000)), [16 << 10])
    assert 0.9 * wide.bytes < wide.jumping_bytes < wide.bytes  # the rows of B are on other pages


@ef.kernel
def softmax(A):
    i, j = ef.ranks("i j")
    return ef.softmax(A[i, j], over=j)[i, j]


def prediction(kernel, *args, machine=MACHINE):
    arguments = collect(kernel.signature, kernel.__name__, args, {})
    whole = kernel.prepared(arguments).machine.whole
    call = CallData(arguments.known, arguments.sizes, arguments.units, arguments.small, {}, 0.0)
    return predicted(whole, call, machine)


def test_what_binds():
    A = np.ones((2000, 2000), np.float32)
    assert prediction(softmax, A).binds == "memory"
    slow = MACHINE._replace(special_s=1e-7)
    assert prediction(softmax, A, machine=slow).binds == "special functions"
    assert prediction(softmax, A, machine=slow).seconds > prediction(softmax, A).seconds
    assert prediction(softmax, A, machine=MACHINE._replace(peak_f32_per_s=1e6)).binds == "arithmetic"
    assert prediction(softmax, A[:2, :2]).binds == "calls"
    assert "calls of libm" in prediction(softmax, A.astype(float)).limit.formula


def test_the_limit_is_the_largest_term():
    A = np.ones((2000, 2000), np.float32)
    machine = MACHINE._replace(bandwidth_bytes_per_s=1e9, caches=(Cache("L1", 1024, 1e9),))
    found = prediction(softmax, A, machine=machine)
    assert math.isclose(found.limit.seconds, 2 * A.nbytes / 1e9)
    assert found.limit.formula.startswith("max(32 MB / 1 GB/s of memory, 16 Mop / ")
    assert prediction(softmax, A[:0]).limit.seconds == 0


def test_quantities_have_three_digits():
    assert [quantity(value, "B") for value in (0.0, 12.0, 999.7, 1048576.0, 999999.0)] == [
        "0 B", "12 B", "1 kB", "1.05 MB", "1 MB"]


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if place % 4 else ())
                                  for place, name in enumerate(PROGRAMS)])
def test_every_program_has_a_cost(name):
    args, kwargs = PROGRAMS[name].arguments(np.random.default_rng(3))
    kernel = PROGRAMS[name].kernel
    arguments = collect(kernel.signature, kernel.__name__, args, kwargs)
    cascade, arguments = over_memory(kernel.program(arguments).cascade, arguments)
    nest = cascade_to_nest(cascade)
    nest, _ = choose_panels(choose_vector_loops(nest, lambda *axis: axis in arguments.units, is_staged=False))
    nest = choose_register_tiles(nest)
    found = predict(nest_to_tile(nest), nest.inputs, nest.outputs, sized(**arguments.sizes), MACHINE,
                    lambda *axis: axis in arguments.units, lambda *function: True)
    assert 0 <= found.limit.seconds <= found.seconds < 1
    assert found.least_bytes >= sum(buffer.type.bits // 8 for buffer in nest.outputs if buffer.extents == ())

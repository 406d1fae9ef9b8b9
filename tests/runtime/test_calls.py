"""Threads, forks, many calls: the same bits, and nothing lost."""

import cProfile
import gc
import os
import pstats
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

import einfall as ef
from einfall.runtime.threads import BREAK_EVEN
from tests.differential.heights import assert_agrees_at_every_height
from tests.lower.test_line import attention, normal, product, softmax

i, j = ef.ranks("i j")


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_any_number_of_threads_gives_the_same_bits(threads, monkeypatch):
    monkeypatch.setenv("EINFALL_THREADS", "1")
    A = normal(230, 77)
    assert A.size * 77 > BREAK_EVEN
    alone = [product(A, A.T.copy()), softmax(A)]
    monkeypatch.setenv("EINFALL_THREADS", threads)
    for _ in range(5):
        assert np.array_equal(product(A, A.T.copy()), alone[0])
        assert np.array_equal(softmax(A), alone[1])


def test_calls_from_several_python_threads():
    A, results = normal(60, 50), {}

    def call(name):
        @ef.kernel
        def f(A, B):
            return ef.sum(A[i, j] * B[i, j], over=j)[i]

        results[name] = [f(A, A * name) for _ in range(3)]

    workers = [threading.Thread(target=call, args=(name,)) for name in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for name, found in results.items():
        assert np.array_equal(found[0], found[2])
        assert np.array_equal(np.isfinite(found[0]), np.ones(60, bool)) and len(found) == 3 and name in range(6)


SCRIPT = """
import os, numpy as np, einfall as ef
i, j, k = ef.ranks("i j k")
@ef.kernel
def product(A, B):
    return ef.sum(A[i, k] * B[k, j], over=k)[i, j]
A = np.random.default_rng(0).standard_normal((120, 120), dtype=np.float32)
before = product(A, A)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(product(A, A), before) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert np.array_equal(product(A, A), before)
"""


def test_a_fork_after_use_and_a_clean_exit():
    for _ in range(3):
        environment = {**os.environ, "EINFALL_THREADS": "2"}
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], env=environment, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_compilations_are_forgotten():
    def resident_bytes() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def compile_one(number: int) -> None:
        @ef.kernel
        def f(A):
            p = ef.exp(A[i] - ef.max(A[i], over=i))
            return ef.sum(p * float(number), over=i) / ef.sum(p, over=i)

        assert f(np.ones(30, np.float32)) == number

    sizes = []
    for number in range(90):
        compile_one(number)
        if number % 30 == 29:
            gc.collect()
            sizes.append(resident_bytes())
    # 20 MB for a thousand; memory that is kept of each grows always, that of LLVM's allocator in steps
    assert min(after - before for before, after in pairwise(sizes)) < 30 * 20e3


def test_arguments_are_not_changed_and_results_do_not_alias():
    A = normal(5, 5)
    kept = A.copy()

    @ef.kernel
    def f(A):
        return A[i, j][i, j], A[i, j][j, i]

    same, turned = f(A)
    same[:] = 0
    turned[:] = 0
    assert np.array_equal(A, kept)


def test_read_only_inputs():
    Q = normal(3, 1, 1, 4, 3)
    Q.setflags(write=False)
    assert_agrees_at_every_height(attention, tuple(Q))


def test_static_values_that_python_calls_equal_are_told_apart():
    A = normal(3, 3)

    @ef.kernel
    def signed(A, *, z):
        return ef.copysign(A[i, j], z)[i, j]

    @ef.kernel
    def typed(A, *, z):
        return (A[i, j] * (2.0 if isinstance(z[0], float) else 3.0))[i, j]

    @ef.kernel
    def sized(A, *, r):
        return (A[i, j] * (r + 0.0))[i, j, r]

    assert (signed(A, z=0.0) >= 0).all() and (signed(A, z=-0.0) <= 0).all()
    assert np.array_equal(typed(A, z=(1,)), A * 3) and np.array_equal(typed(A, z=(1.0,)), A * 2)
    k = ef.ranks("k")
    assert sized(A, r=k.of(4)).shape == (3, 3, 4) and sized(A, r=k.of(7)).shape == (3, 3, 7)


def test_any_name_compiles():
    f = ef.kernel(lambda A: (A[i, j] * 2)[i, j])

    @ef.kernel
    def größe(ä):
        return (ä["a.é"][i, j] * 2)[i, j]

    A = normal(2, 2)
    assert np.array_equal(f(A), A * 2) and np.array_equal(größe({"a.é": A}), A * 2)


def test_a_scan_inside_a_step_reads_the_outer_state_shifted():
    """The rows of a Smith-Waterman score."""

    @ef.kernel
    def rows(A):
        def step(H):
            return ef.cumsum(ef.where(j > 0, H[j - 1], 0.0) + H[j] * 0.5 + A[i, j], over=j)

        return ef.scan(step, over=i, init=0.0, state=(j,))[i, j]

    assert_agrees_at_every_height(rows, (normal(4, 5),))
    rows(normal(4, 5))


def test_an_index_that_wraps_around_is_checked():
    @ef.kernel
    def wrapped(A):
        return A[(i.of(4) * 2**62) // 2**61][i]

    with pytest.raises(ef.ShapeError, match="index -4 is out of range"):
        wrapped(np.arange(10.0))


def test_a_tensor_made_inside_a_step_is_made_again_in_every_step():
    t, d, c = ef.ranks("t d c")

    @ef.kernel
    def shifted(X):
        def step(s):
            T = ef.exp(s[d] * 0.1)[d]
            return ef.where(d > 0, T[d - 1], 0.0) * 0.5 + X[t, d]

        return ef.scan(step, over=t, init=0.0, state=(d,))[t, d]

    @ef.kernel
    def mixed(X, Y):
        def step(s):
            T = (ef.softmax(s[d], over=d) * Y[i])[i, d]
            return ef.where(d > 0, T[i, d - 1], 0.0) + ef.sum(T[i, c] * X[t, c], over=c) * 0.5 + X[t, d]

        return ef.scan(step, over=t, init=0.0, state=(d,))[i, t, d]

    assert_agrees_at_every_height(shifted, (normal(6, 5),))
    assert_agrees_at_every_height(mixed, (normal(4, 5), normal(3)))


def test_a_kernel_is_traced_while_a_profiler_is_at_work():
    @ef.kernel
    def total(A):
        doubled = A[i, j] * 2.0
        return ef.sum(doubled, over=j)[i]

    profile = cProfile.Profile()
    profile.enable()
    try:
        result = total(np.ones((3, 4)))
    finally:
        profile.disable()
    assert np.array_equal(result, np.full(3, 8.0))
    assert any(name == "total" for _, _, name in pstats.Stats(profile).stats)


def test_modules_that_are_alike_are_compiled_once():
    def made():
        @ef.kernel
        def twice(A):
            return (2.0 * A[i])[i]

        return twice

    A = np.ones(5)
    kernels = [made(), made()]
    for kernel in kernels:
        kernel(A)
    codes = {step.code for kernel in kernels for ready in kernel.ready.values() for step in ready.machine.whole.steps}
    assert len(codes) == 1

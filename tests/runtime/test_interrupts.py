"""Ctrl-C: a call ends long before the kernel would, nothing is half done, and the next call is right."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import einfall as ef
from einfall.front.kernel import measured
from einfall.runtime import threads
from tests.lower.test_line import normal, product
from tests.tolerance import assert_agrees

i, j, k = ef.ranks("i j k")

LONG_RUN = """
import sys, time, numpy as np, einfall as ef
i, j, k = ef.ranks("i j k")
@ef.kernel
def f(A, B):
    return ef.sum(ef.tan(A[i, k] * B[k, j]), over=k)[i, j]
small = np.full((100, 20), 0.5), np.full((20, 6400), 0.5)
expected = f(*small)
large = np.full((100, 4000), 0.5), np.full((4000, 6400), 0.5)  # 2.6e9 tangents, in 100 panels of columns
print("ready", flush=True)
begin = time.perf_counter()
try:
    f(*large)
except KeyboardInterrupt:
    print("interrupted after", time.perf_counter() - begin, flush=True)
begin = time.perf_counter()
assert np.array_equal(f(*small), expected)
"""

LONG_COMPILATION = """
import sys, time, numpy as np, einfall as ef
i, j = ef.ranks("i j")
@ef.kernel
def f(A):
    x = A[i, j]
    for n in range(int(sys.argv[1])):
        x = ef.sin(x) + ef.sum(x + float(n), over=j) * 1e-3
    return x[i, j]
A = np.full((40, 30), 0.01)
print("ready", flush=True)
begin = time.perf_counter()
try:
    f(A)
except KeyboardInterrupt:
    print("interrupted after", time.perf_counter() - begin, flush=True)
    assert not f.programs.values() or all(f.programs.values())
    assert not f.ready
print("again", flush=True)
result = f(A)
assert result.shape == A.shape and len(f.ready) == 1 and np.isfinite(result).all()
g = ef.kernel(lambda A: (A[i, j] * 2)[i, j])
assert (g(A) == A * 2).all()
"""


def interrupted(script: str, *arguments: str, after_s: float, threads: int) -> float:
    """Runs a script, sends it one SIGINT after it said that it is ready; the seconds until it noticed."""
    environment = {**os.environ, "EINFALL_THREADS": str(threads)}
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.communicate()
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("interrupted after "), out
    return float(out.split()[2]) - after_s


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process")
@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_long_run_ends_soon(threads):
    assert interrupted(LONG_RUN, after_s=0.4, threads=threads) < 2.0  # the run itself takes 20 s and more


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process")
@pytest.mark.parametrize("after_s, statements", [(0.2, 30), pytest.param(0.01, 80, marks=pytest.mark.slow),
                                                 pytest.param(1.0, 80, marks=pytest.mark.slow)])
def test_a_compilation_ends_soon(after_s, statements):
    interrupted(LONG_COMPILATION, str(statements), after_s=after_s, threads=1)


@pytest.mark.parametrize("count", ["1", "2", "3"])
def test_pieces_change_no_bit(count, monkeypatch):
    A = normal(130, 90)
    expected = product(A, A.T.copy())
    monkeypatch.setenv("EINFALL_THREADS", count)
    for piece in (1, 7_000, 1e6):
        monkeypatch.setattr(threads, "PIECE", piece)
        monkeypatch.setattr(threads, "PIECE_S", piece / 1e9)
        assert np.array_equal(product(A, A.T.copy()), expected)


@pytest.mark.parametrize("count", ["1", "2", "4"])
@pytest.mark.parametrize("fails_at", [0, 37, 99])
def test_after_an_exception_no_thread_goes_on(count, fails_at, monkeypatch):
    """What Ctrl-C does, at a chosen place: the exception leaves when all threads have stopped."""
    monkeypatch.setenv("EINFALL_THREADS", count)
    monkeypatch.setattr(threads, "PIECE", 1)
    monkeypatch.setattr(threads, "PIECE_S", 0.0)
    seen = []

    def run(begin: int, end: int) -> None:
        time.sleep(0.001)
        seen.append(begin)
        if begin == fails_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.in_parallel(lambda: run, 100, float(threads.BREAK_EVEN))
    after = len(seen)
    time.sleep(0.02)
    assert len(seen) == after and fails_at in seen
    threads.in_parallel(lambda: lambda begin, end: seen.append(begin), 100, float(threads.BREAK_EVEN))
    assert sorted(seen[after:]) == list(range(100))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that raises a signal")
def test_a_compilation_ended_anywhere_leaves_nothing_behind():
    """Interrupts at many moments of tracing, lowering and LLVM; the same kernel then gives the same result."""

    @ef.kernel
    def f(A, *, number):
        x = A[i, j]
        for step in range(8):
            x = ef.sin(x) + ef.sum(x + float(step + number), over=j) * 1e-3
        return x[i, j]

    A = normal(20, 17)
    begin = time.perf_counter()
    f(A, number=-1)
    duration_s, ended = time.perf_counter() - begin, 0

    def ring(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    try:
        for number in range(25):
            known = len(f.ready)
            try:
                signal.setitimer(signal.ITIMER_REAL, duration_s * (number + 0.5) / 25)
                f(A, number=number)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                ended += 1
            assert len(f.ready) - known in (0, 1) and all(f.programs.values())
            assert_agrees(f(A, number=number), measured(f, (A,), {"number": number})[1][0])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ended > 5

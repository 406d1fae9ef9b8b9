"""A hundred interpreters end, in several ways, and none crashes or says a word."""

import subprocess
import sys

import pytest

KERNEL = """
import atexit, os, sys, threading, numpy as np, einfall as ef
i, j, k = ef.ranks("i j k")
@ef.kernel
def f(A):
    return ef.sum(A[i, k] * A[j, k], over=k)[i, j]
def call(size):
    assert (f(np.ones((size, 20), np.float32)) == 20).all()
def start(daemon=False):
    thread = threading.Thread(target=lambda: [call(300) for _ in range(20)], daemon=daemon)
    thread.start()
    return thread

# Each interpreter forks from one that has imported all, and goes on to its end as any other; this one waits for them.
for number in range({count}):
    os.environ["EINFALL_THREADS"] = str(1 + number % 3)
    if os.fork() == 0:
        break
    if number % 2:  # two at a time
        assert [os.wait()[1], os.wait()[1]] == [0, 0]
else:
    sys.exit()
"""

ENDS = {
    "plain": "call(30)",
    "threads": "call(400); start().join(); call(30)",
    "exit in the middle": "call(30); start(); sys.exit()",
    "daemon": "call(400); start(daemon=True)",
    "at exit": "atexit.register(call, 400); call(400)",
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_interpreters_end(end):
    script = KERNEL.replace("{count}", str(100 // len(ENDS))) + ENDS[end]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")

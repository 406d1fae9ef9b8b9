"""A hundred interpreters end, in several ways, and none crashes or says a word."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

KERNEL = """
import atexit, sys, threading, numpy as np, einfall as ef
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
    def run(number: int):
        environment = {**os.environ, "EINFALL_THREADS": str(1 + number % 3)}
        return subprocess.run([sys.executable, "-c", KERNEL + ENDS[end]], env=environment, capture_output=True,
                              timeout=120)

    with ThreadPoolExecutor(4) as pool:
        for done in pool.map(run, range(100 // len(ENDS))):
            assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")

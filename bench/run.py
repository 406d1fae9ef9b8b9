"""The floors: each program against what its user would call instead, interleaved in one process.

`make bench` prints the table and writes bench/RESULTS.md. Every result is compared with the reference before it is
timed (on drawn rows where the whole would not fit); times are medians of interleaved runs with the same threads.
"""

import itertools
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

THREADS = int(os.environ.get("EINFALL_THREADS", "2"))
os.environ["EINFALL_THREADS"] = str(THREADS)

import llvmlite  # noqa: E402
import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402
import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402

import einfall as ef  # noqa: E402
from einfall.front.kernel import measured  # noqa: E402
from tests.tolerance import assert_agrees  # noqa: E402

b, h, i, j, k, l, q, d, e, n, m, t = ef.ranks("b h i j k l q d e n m t")
REPEATS = 9
PAUSE_S = 0.12  # before each run: threads that wait for work in a loop would take a core from the next library


@ef.kernel
def attention(Q, K, V):
    S = ef.sum(Q[b, h, q, d] * K[b, h, k, d], over=d) / ef.sqrt(d.extent)
    P = ef.exp(S - ef.max(S, over=k))
    return (ef.sum(P * V[b, h, k, e], over=k) / ef.sum(P, over=k))[b, h, q, e]


@ef.kernel
def causal_attention(Q, K, V):
    S = ef.where(k <= q, ef.sum(Q[b, h, q, d] * K[b, h, k, d], over=d) / ef.sqrt(d.extent), -ef.inf)
    P = ef.exp(S - ef.max(S, over=k))
    return (ef.sum(P * V[b, h, k, e], over=k) / ef.sum(P, over=k))[b, h, q, e]


@ef.kernel
def entropy(A):
    p = ef.softmax(A[i, j], over=j)
    return (-ef.sum(p * ef.log(p), over=j))[i]


@ef.kernel
def variance(A):
    return ef.var(A[i, j], over=j)[i]


@ef.kernel
def log_cumulative_sum_exp(A):
    x = ef.where(k <= t.of(k.extent), A[i, k], -ef.inf)
    top = ef.max(x, over=k)
    return (top + ef.log(ef.sum(ef.exp(x - top), over=k)))[i, t]


@ef.kernel
def running_variance(A):
    count = t.of(k.extent) + 1
    mean = ef.sum(ef.where(k < count, A[i, k], 0), over=k) / count
    return (ef.sum(ef.where(k < count, (A[i, k] - mean) ** 2, 0), over=k) / count)[i, t]


def running_variance_in_torch(A):
    """Of moments in float64: in float32 they cancel."""
    wide, count = A.double(), torch.arange(1, A.shape[1] + 1)
    mean = wide.cumsum(1) / count
    return ((wide * wide).cumsum(1) / count - mean * mean).float()


@ef.kernel
def layer_norm(A):
    return ef.layer_norm(A[i, j], over=j)[i, j]


@ef.kernel
def softmax(A):
    return ef.softmax(A[i, j], over=j)[i, j]


@ef.kernel
def product(A, B):
    return ef.sum(A[i, k] * B[k, j], over=k)[i, j]


@ef.kernel
def gaussian(X, Y, w):
    distance = ef.sum((X[n, d] - Y[m, d]) ** 2, over=d)
    return ef.sum(ef.exp(-0.5 * distance) * w[m], over=m)[n]


@ef.kernel
def gated_linear_attention(Q, K, V, G):
    S = ef.scan(lambda s: G[h, t, d] * s + K[h, t, d] * V[h, t, e], over=t, init=0.0)
    return ef.sum(Q[h, t, d] * S, over=d)[h, t, e]


def gated_linear_attention_in_steps(Q, K, V, G):
    state, out = torch.zeros(Q.shape[0], Q.shape[2], V.shape[2]), torch.empty(V.shape)
    for step in range(Q.shape[1]):
        state = G[:, step, :, None] * state + K[:, step, :, None] * V[:, step, None]
        out[:, step] = (Q[:, step, None] @ state)[:, 0]
    return out


@ef.kernel
def state_space(X, dt, A, B, C):
    S = ef.scan(lambda s: ef.exp(dt[t, d] * A[d, n]) * s + dt[t, d] * B[t, n] * X[t, d], over=t, init=0.0)
    return ef.sum(C[t, n] * S, over=n)[t, d]


def state_space_in_steps(X, dt, A, B, C):
    state, out = torch.zeros(A.shape), torch.empty(X.shape)
    for step in range(len(X)):
        state = torch.exp(dt[step, :, None] * A) * state + (dt[step] * X[step])[:, None] * B[step]
        out[step] = state @ C[step]
    return out


@ef.kernel
def chain(A, B, C, D, E):
    return ef.einsum("ij,jk,kl,lm,mn->in", A, B, C, D, E)


@ef.kernel
def chain_in_pairs(A, B, C, D, E):
    """The same product for the reference, which takes every sum as it is written."""
    return A @ (B @ (C @ D)) @ E


@ef.kernel
def codes(W, x):
    return ef.sum(x[i, k] * W[j, k], over=k)[i, j]


class Case(NamedTuple):
    """A program and its peer. rank: that of which rows are checked; reference: a program of the same values;
    given: what the peer takes instead of the arguments; rows: the arguments for these rows only."""

    name: str
    kernel: object
    arguments: tuple
    rank: object
    peer_name: str
    peer: Callable
    floor: float | None
    reference: object = None
    given: tuple = ()
    rows: Callable | None = None


def cases() -> Iterator[Case]:
    """The programs, their arguments and peers."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    sdpa = torch.nn.functional.scaled_dot_product_attention
    yield Case("attention (1,8,2048,64)", attention, tuple(normal(1, 8, 2048, 64) for _ in range(3)), q, "torch SDPA",
               sdpa, 0.3)
    yield Case("softmax 4096²", softmax, (normal(4096, 4096),), i, "torch", lambda A: torch.softmax(A, -1), 0.6)
    yield Case("product 2048", product, (normal(2048, 2048), normal(2048, 2048)), i, "MKL", torch.matmul, 0.4)
    yield Case("Gaussian kernel matvec 8000²", gaussian, (normal(8000, 3), normal(8000, 3), normal(8000)), n,
               "torch cdist", lambda X, Y, w: torch.exp(-0.5 * torch.cdist(X, Y) ** 2) @ w, 2.0)
    yield Case("causal attention (1,8,2048,64)", causal_attention, tuple(normal(1, 8, 2048, 64) for _ in range(3)), q,
               "torch SDPA", lambda Q, K, V: sdpa(Q, K, V, is_causal=True), None)
    yield Case("entropy of a softmax 1000 × 65536", entropy, (normal(1000, 65536),), i, "torch",
               lambda A: torch.special.entr(torch.softmax(A, -1)).sum(-1), None)
    yield Case("variance 1000 × 65536", variance, (normal(1000, 65536),), i, "torch",
               lambda A: torch.var(A, -1, correction=0), None)
    yield Case("log-cumulative-sum-exp 64 × 20000", log_cumulative_sum_exp, (normal(64, 20_000),), t, "torch",
               lambda A: torch.logcumsumexp(A, 1), None)
    yield Case("running variance 64 × 20000", running_variance, (normal(64, 20_000),), t, "torch",
               running_variance_in_torch, None)
    yield Case("LayerNorm 8192 × 1024", layer_norm, (normal(8192, 1024),), i, "torch",
               lambda A: torch.nn.functional.layer_norm(A, A.shape[-1:]), None)
    gates = rng.uniform(0.9, 1, (4, 1024, 64)).astype(np.float32)
    yield Case("gated linear attention (4,1024,64)", gated_linear_attention,
               (*(normal(4, 1024, 64) for _ in range(3)), gates), t, "torch in steps",
               gated_linear_attention_in_steps, 5)
    yield Case("state-space scan 1024 × 512 × 16", state_space, (
        normal(1024, 512), rng.uniform(0, 0.1, (1024, 512)).astype(np.float32),
        -rng.uniform(0.5, 2, (512, 16)).astype(np.float32), normal(1024, 16), normal(1024, 16)), t, "torch in steps",
        state_space_in_steps, 5)
    sizes = (1000, 300, 40, 900, 50, 800)
    yield Case("product of five matrices", chain, tuple(normal(*pair) for pair in itertools.pairwise(sizes)), i,
               "torch multi_dot", lambda *factors: torch.linalg.multi_dot(factors), 0.83, chain_in_pairs)
    size = 30_000
    A, X = scipy.sparse.random(size, size, 20 / size, "csr", np.float32, rng=rng), normal(size, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: the layout is new
        T = torch.sparse_csr_tensor(*map(torch.from_numpy, (A.indptr, A.indices, A.data)), A.shape)
    yield Case("sparse 30000², 20 a row × 64", product, (ef.asarray(A), X), i, "torch CSR", torch.matmul, 0.7,
               given=(T, torch.from_numpy(X)), rows=lambda chosen: (A[chosen], X))
    W, x = normal(4096, 4096), normal(1, 4096)
    form = ef.Format([ef.Dense(), ef.Dense()], codec=ef.Scaled(ef.Int(4), group=128))
    yield Case("4 bits 4096² × 1 row", codes, (ef.pack(W, form), x), j, "torch bf16", lambda W, x: x @ W.T, 1.0,
               given=tuple(torch.from_numpy(array).bfloat16() for array in (W, x)))


def extra_memory_bytes() -> int:
    """What causal attention over 65536 keys needs beside its arrays, measured in a process of its own."""
    script = """
import numpy as np
from bench.run import causal_attention

def status(word):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(word))

Q, K, V = np.random.default_rng(0).standard_normal((3, 1, 1, 65536, 64), dtype=np.float32)
causal_attention(Q[:, :, :2048], K[:, :, :2048], V[:, :, :2048])
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the highest size so far is forgotten
before = status("VmRSS")
result = causal_attention(Q, K, V)
print(status("VmHWM") - before - result.nbytes)
"""
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return max(int(made.stdout), 0)


def timed(function, *args) -> float:
    time.sleep(PAUSE_S)
    begin = time.perf_counter()
    function(*args)
    return time.perf_counter() - begin


def main() -> None:
    """Checks, times and writes the table."""
    torch.set_num_threads(THREADS)
    rows = []
    for name, kernel, args, rank, peer_name, peer, floor, reference, given, only in track(
            list(cases()), description="bench"):
        tensors = given or [torch.from_numpy(arg) for arg in args]
        result, chosen = kernel(*args), np.array([0, 1, 777])
        checked, at = (only(chosen), {}) if only else (args, {rank: chosen})
        _, (expected,) = measured(reference or kernel, checked, {}, at)
        axis = [one.name for one in kernel.trace(*args).cascade.outputs[0].ranks].index(rank.name)
        assert_agrees(np.take(result, chosen, axis=axis), expected, what=name)
        peer(*tensors)
        ours, theirs = [], []
        for _ in range(REPEATS):
            ours.append(timed(kernel, *args))
            theirs.append(timed(peer, *tensors))
        own, other = statistics.median(ours), statistics.median(theirs)
        rows.append((name, peer_name, f"{own * 1e3:.1f}", f"{other * 1e3:.1f}", f"{other / own:.2f}",
                     "" if floor is None else f"{floor}"))
    table = Table("program", "peer", "einfall (ms)", "peer (ms)", "ratio", "floor", title=f"{THREADS} threads")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    lines = ["# Results", "",
             f"`make bench`: medians of {REPEATS} interleaved runs in one process, {THREADS} threads each,",
             f"Python {platform.python_version()}, NumPy {np.__version__}, llvmlite {llvmlite.__version__}, "
             f"torch {torch.__version__}; a ratio above 1 is faster than the peer.", "",
             "| program | peer | einfall (ms) | peer (ms) | ratio | floor |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    extra_mib = extra_memory_bytes() / 2**20
    extra = f"Causal attention over 65536 × 64 needs {extra_mib:.0f} MiB beside its arrays; at most 64 are allowed."
    Console().print(extra)
    lines += ["", extra]
    pathlib.Path(__file__).with_name("RESULTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())

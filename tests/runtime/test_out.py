"""`out=`: results in the caller's arrays, as if everything had been computed before anything was written."""

import os
import pathlib

import ml_dtypes
import numpy as np
import pytest

import einfall as ef
from einfall.front.arguments import collect
from einfall.front.observers import observing
from einfall.front.outs import outs_of
from einfall.runtime import threads
from tests.lower.test_line import normal, product, softmax

i, j, k, n = ef.ranks("i j k n")


@ef.kernel
def turned(A):
    return (A[i, j] * 2)[j, i]


@ef.kernel
def several(A, B):
    return {"sum": (A[i, j] + B[i, j])[i, j], "parts": (ef.sum(A[i, j], over=j)[i], ef.max(B[i, j], over=(i, j)))}


@ef.kernel
def gathered(A, at):
    return A[at[n]][n]


VIEWS = {
    "row-major": lambda shape: np.full(shape, 7, np.float32),
    "column-major": lambda shape: np.full(shape, 7, np.float32, order="F"),
    "every second": lambda shape: np.full((shape[0] * 2, shape[1] * 3), 7, np.float32)[::2, 1::3],
    "backwards": lambda shape: np.full(shape, 7, np.float32)[::-1, ::-1],
    "unaligned": lambda shape: np.frombuffer(bytearray(4 * shape[0] * shape[1] + 1), np.float32, offset=1).reshape(
        shape),
    "of a record": lambda shape: np.zeros(shape, [("tag", "i1"), ("x", "f4")])["x"],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(20, 33), (1, 1), (0, 5), (5, 0)])
def test_any_strides(view, shape):
    if view == "unaligned" and 0 in shape:
        pytest.skip("no element, no alignment")
    A, C = normal(*shape), VIEWS[view](shape)
    expected = softmax(A)
    assert softmax(A, out=C) is C
    assert np.array_equal(C, expected)
    if view == "every second":  # what lies between the elements stays
        C[...] = 7
        assert (C.base == 7).all()


def test_the_kernel_writes_straight_into_an_array_of_its_own():
    A, C = normal(30, 20), np.empty((30, 30), np.float32)
    B = A.T.copy()
    ready = product.prepared(collect(product.signature, "product", (A, B), {}))
    assert ready.plan.run({"A": A, "B": B}, {}, {ready.plan.outputs[0]: C})[0] is C
    assert np.array_equal(C, product(A, B))


@pytest.mark.parametrize("place", [lambda X: X, lambda X: X.T, lambda X: X[::-1], lambda X: X[:, ::-1].T],
                         ids=["itself", "turned", "backwards", "both"])
def test_out_is_an_argument(place):
    X = normal(9, 9)
    expected = turned(X)
    target = place(X)
    assert turned(X, out=target) is target
    assert np.array_equal(target, expected)


def test_out_overlaps_an_argument_in_part():
    X = normal(12, 5)
    A, C = X[:10], X[2:]
    expected = (A * 2).copy()
    two = ef.kernel(lambda A: (A[i, j] * 2)[i, j])
    two(A, out=C)
    assert np.array_equal(C, expected)


def test_updates_in_place():
    X, new = normal(8, 4), np.full((8, 4), -1, np.float32)

    @ef.kernel
    def updated(C, new):
        return ef.where(i % 2 == 0, new[i, j], C[i, j])[i, j]

    expected = np.where(np.arange(8)[:, None] % 2 == 0, new, X)
    for _ in range(3):
        updated(X, new, out=X)
        assert np.array_equal(X, expected)


def test_several_results():
    A, B = normal(2, 6, 7)
    expected = several(A, B)
    out = {"parts": [np.empty(6, np.float32), np.empty((), np.float32)], "sum": np.empty((6, 7), np.float32)}
    result = several(A, B, out=out)
    assert list(result) == ["sum", "parts"] and type(result["parts"]) is tuple
    assert result["sum"] is out["sum"] and result["parts"][0] is out["parts"][0]
    assert result["parts"][1] is out["parts"][1]
    assert np.array_equal(result["sum"], expected["sum"])
    assert np.array_equal(result["parts"][0], expected["parts"][0]) and result["parts"][1] == expected["parts"][1]


def test_outs_may_lie_between_one_another():
    both = np.zeros((6, 2, 3), np.float32)
    pair = ef.kernel(lambda A: ((A[i, j] + 1)[i, j], (A[i, j] + 2)[i, j]))
    A = normal(6, 3)
    pair(A, out=(both[:, 0], both[:, 1]))
    assert np.array_equal(both, np.stack([A + np.float32(1), A + np.float32(2)], axis=1))


def test_torch():
    torch = pytest.importorskip("torch")
    x = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    kept, y = x.clone(), torch.zeros(4, 3)
    assert turned(x, out=y) is y and torch.equal(y, kept.T * 2)
    z = torch.zeros(3, 4).T
    assert turned(x, out=z) is z and torch.equal(z, kept.T * 2)
    square = torch.arange(9, dtype=torch.float64).reshape(3, 3)
    expected = square.T.clone() * 2
    assert turned(square, out=square) is square and torch.equal(square, expected)
    with pytest.raises(ef.TraceError, match="requires grad"):
        turned(x, out=torch.zeros(4, 3, requires_grad=True))
    with pytest.raises(ef.TraceError, match="out is a NumPy array, and the results are in torch"):
        turned(x, out=np.zeros((4, 3), np.float32))
    with pytest.raises(ef.TraceError, match="out is a torch tensor, and the results are in NumPy"):
        turned(x.numpy(), out=y)
    with pytest.raises(ef.TraceError, match="two indices may reach one element"):
        turned(x, out=torch.zeros(4, 1).expand(4, 3))


def test_a_failed_call_leaves_out_untouched():
    A, C = np.arange(4.0), np.full(3, 7.0)
    with pytest.raises(ef.BoundsError):
        gathered(A, np.array([0, 1, 9]), out=C)
    assert (C == 7).all()
    with pytest.raises(ef.BoundsError):
        gathered(A, np.array([0, 1, 2, 9]), out=A)
    assert np.array_equal(A, np.arange(4.0))


@pytest.mark.parametrize("count", ["1", "2"])
def test_ctrl_c_leaves_an_overlapping_out_untouched(count, monkeypatch):
    monkeypatch.setenv("EINFALL_THREADS", count)
    X = normal(300, 300)
    kept, ended = X.copy(), []

    def ended_in_the_middle(work, begin, end):
        whole(work, begin, (begin + end) // 2)
        ended.append(begin)
        raise KeyboardInterrupt

    whole = threads._Work.part
    monkeypatch.setattr(threads._Work, "part", ended_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        product(X, X, out=X)
    assert ended and np.array_equal(X, kept)
    monkeypatch.undo()
    product(kept, kept, out=X)
    assert np.array_equal(X, product(kept, kept))


def test_observers_hear_of_calls_without_their_out():
    A, C, heard = normal(3, 4), np.empty((4, 3), np.float32), []
    with observing(heard.append):
        turned(A, out=C)
    assert heard[0].options == {} and np.array_equal(C, A.T * 2)


t, d, b, h = ef.ranks("t d b h")


@ef.kernel
def write_row(Cache, new, pos):
    """A row of a cache is replaced."""
    return ef.where(t == pos[()], new[d], Cache[t, d])[t, d]


@ef.kernel
def write_rows(Cache, new, pos):
    """In each batch another place, and heads in between: the cache of a decoder."""
    return ef.where(t == pos[b], new[b, h, d], Cache[b, h, t, d])[b, h, t, d]


@ef.kernel
def attend(Q, K, V, k, v, pos):
    """A step of a decoder: the caches with the new row, and attention over them."""
    K1 = ef.where(t == pos[()], k[d], K[t, d])[t, d]
    V1 = ef.where(t == pos[()], v[d], V[t, d])[t, d]
    s = ef.where(t <= pos[()], ef.sum(Q[h, d] * K1[t, d], over=d), -ef.inf)
    return {"O": ef.sum(ef.softmax(s, over=t) * V1[t, d], over=t)[h, d], "K": K1, "V": V1}


@ef.kernel
def scaled_below(C, w):
    """A part, where a condition of floats holds too; it reads what it replaces."""
    return ef.where((i >= j) & (w[i] > 0), C[i, j] * w[i] + j, C[i, j])[i, j]


@ef.kernel
def neighbours(C):
    """It reads what it writes elsewhere, so nothing may be written before all is computed."""
    return ef.where(i > 0, C.pad(0.0)[i - 1, j], C[i, j])[i, j]


@ef.kernel
def never(C, flag):
    return ef.where(flag[()] > 3, C[i, j] * 2, C[i, j])[i, j]


@ef.kernel
def at_a_number(C, new):
    """A place that is a number, and a condition on sizes."""
    return ef.where((i == 2) & (C.shape[0] > 3), new[j], C[i, j])[i, j]


@ef.kernel
def sums_at_places(C, at, X):
    """What comes in is a reduction that reads the rank of the place."""
    return ef.where(at[b] == i, ef.sum(X[i, k], over=k) + ef.max(X[i, k], over=k), C[b, i, j])[b, i, j]


CACHES = {
    at_a_number: lambda: (normal(6, 5), normal(5)),
    sums_at_places: lambda: (normal(3, 4, 5), np.array([1, 3, 9]), normal(4, 6)),
    write_row: lambda: (normal(40, 8), normal(8), np.array(17)),
    write_rows: lambda: (normal(3, 2, 9, 4), normal(3, 2, 4), np.array([0, 8, 20])),
    scaled_below: lambda: (normal(9, 7), normal(9)),
    neighbours: lambda: (normal(6, 5),),
    never: lambda: (normal(4, 3), np.array(2)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("kernel", CACHES, ids=lambda kernel: kernel.__name__)
def test_an_update_in_place_is_what_it_is_elsewhere(kernel, dtype):
    cache, *rest = CACHES[kernel]()
    cache = cache.astype(dtype)
    rest = [item.astype(dtype) if item.dtype == np.float32 else item for item in rest]
    expected, result = kernel(cache, *rest), cache.copy()
    assert kernel(result, *rest, out=result) is result
    assert np.array_equal(result, expected)


def is_in_place(kernel, *arguments, out) -> bool:
    """Whether a call stores nothing where its condition does not hold: read-only pages would end the process."""
    collected = collect(kernel.signature, kernel.__name__, arguments, {})
    ready = kernel.prepared(collected)
    return bool(outs_of(out, ready.program.structure, [ready.plan.blocks[name] for name in ready.plan.outputs],
                        collected, "f").updates(ready.program.cascade, collected))


def test_what_is_updated_in_place():
    for kernel, make in CACHES.items():
        arguments = make()
        assert is_in_place(kernel, *arguments, out=arguments[0]) is (kernel is not neighbours)
        assert not is_in_place(kernel, *arguments, out=arguments[0].copy())
    cache, new, pos = CACHES[write_row]()
    assert not is_in_place(write_row, cache[::-1], new, pos, out=cache)  # another order of the same memory
    wide = normal(40, 16)
    assert not is_in_place(write_row, wide[:, ::2], new, pos, out=wide[:, ::2])  # not row-major: computed and copied
    expected = write_row(wide[:, ::2], new, pos)
    assert np.array_equal(write_row(wide[:, ::2], new, pos, out=wide[:, ::2]), expected)


def test_a_step_of_a_decoder_touches_one_row_of_each_cache():
    Q, K, V, k, v, pos = normal(2, 8), normal(50, 8), normal(50, 8), normal(8), normal(8), np.array(31)
    expected, O, K2, V2 = attend(Q, K, V, k, v, pos), np.empty((2, 8), np.float32), K.copy(), V.copy()
    assert is_in_place(attend, Q, K2, V2, k, v, pos, out={"O": O, "K": K2, "V": V2})
    attend(Q, K2, V2, k, v, pos, out={"O": O, "K": K2, "V": V2})
    for name, result in (("O", O), ("K", K2), ("V", V2)):
        assert np.array_equal(result, expected[name]), name


def resident_bytes() -> int:
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the system does not say what is resident")
def test_an_update_touches_what_it_changes():
    """The addresses of a cache of 1 GiB, for which the system gives memory where something is written only."""
    cache, new = np.zeros((2**22, 64), np.float32), np.arange(64, dtype=np.float32)
    before = resident_bytes()
    write_row(cache, new, np.array(2**21), out=cache)
    assert resident_bytes() - before < 2**28
    assert np.array_equal(cache[2**21], new) and not cache[2**21 + 1].any()

"""`out=`: results in the caller's arrays, as if everything had been computed before anything was written."""

import numpy as np
import pytest

import einfall as ef
from einfall.front.arguments import collect
from einfall.front.observers import observing
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

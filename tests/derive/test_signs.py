"""What is said of signs: squares of floats are not negative, those of integers may wrap."""

import numpy as np
import pytest

import einfall as ef
from einfall.derive.signs import is_nonnegative, is_nonpositive, is_positive

i, k = ef.ranks("i k")
F, N = np.ones((3, 4), np.float32), np.ones((3, 4), np.int32)
SAID = [
    (lambda A, n: A[i, k] * A[i, k], "nonnegative"),
    (lambda A, n: ef.exp(A[i, k]) + abs(A[i, k]), "positive"),
    (lambda A, n: n[i, k] * n[i, k], ""),
    (lambda A, n: abs(n[i, k]), ""),  # of the least integer it is negative
    (lambda A, n: (n[i, k] * n[i, k]).astype(ef.f32), ""),
    (lambda A, n: ef.sum(A[i, k] * A[i, k], over=k), "nonnegative"),
    (lambda A, n: ef.sum(ef.maximum(n[i, k], 0), over=k), "nonnegative"),  # 32 bits in 64
    (lambda A, n: ef.sum(ef.maximum(n[i, k].astype(ef.i64), 0) - 0, over=k), ""),
    (lambda A, n: ef.prod(ef.maximum(n[i, k], 1), over=k), ""),
    (lambda A, n: n[i, k].astype(ef.u8), "nonnegative"),
    (lambda A, n: n[i, k].astype(ef.u8).astype(ef.i16), "nonnegative"),
    (lambda A, n: n[i, k].astype(ef.u8).astype(ef.i8), ""),
    (lambda A, n: ef.exp(A[i, k]).astype(ef.i32), "nonnegative"),
    (lambda A, n: 0.0 + A.shape[0] * A.shape[1], "positive"),
    (lambda A, n: -ef.exp(A[i, k]), "nonpositive"),
    (lambda A, n: -ef.maximum(n[i, k], 0), ""),
]


@pytest.mark.parametrize("place", range(len(SAID)))
def test_signs(place):
    function, said = SAID[place]

    def f(A, n):
        made = function(A, n)
        found.append(made.node)
        return made[tuple(rank for rank in (i, k) if rank.name in made.extents)]

    found = []
    ef.kernel(f).trace(F, N)
    (node,) = found
    assert is_positive(node) is (said == "positive")
    assert is_nonnegative(node) is (said in ("positive", "nonnegative"))
    assert is_nonpositive(node) is (said == "nonpositive")

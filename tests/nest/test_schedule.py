"""Schedule primitives: what they make of a nest, and when they refuse."""

import pytest

from einfall.nest.schedule import legal_vectorise, loops, vectorise
from einfall.nest.text import parse, text

ROWS = parse("""\
def rows(A: f32[2]):
    out = output(f32, A.shape[0])
    last = output(f32, A.shape[0])
    for i in parallel(A.shape[0]):
        w = workspace(f32, A.shape[1])
        for j in parallel(A.shape[1]):
            w[j] = A[i, j] * 2.0
        for k in sequential(A.shape[1], a=f32(0.0)):
            fold(sum, a=w[k])
        for t in sequential(A.shape[1], s=f32(0.0)):
            carry(s=s * f32(0.5) + A[i, t])
        for p in sequential(A.shape[1], c=f32(1.0)):
            fold(monoid(f32(1.0), right_0 * left_0, commutative=False, name='after'), c=A[i, p])
        for n in parallel(A.shape[1]):
            last[i] = s
        out[i] = a + c
""")


def test_vectorise_changes_the_kind_of_one_loop():
    before, after = text(ROWS), text(vectorise(ROWS, "j"))
    assert after == before.replace("for j in parallel", "for j in vector")
    assert parse(after) is vectorise(ROWS, "j")
    assert text(vectorise(ROWS, "k")) == before.replace("for k in sequential", "for k in vector")


@pytest.mark.parametrize("name, reason", [
    ("i", "loop i has a workspace, w, of its own"),
    ("t", "a step of loop t needs the one before it"),
    ("p", "the elements of loop p come together in order: after"),
    ("n", "the lanes of loop n would write one element of last"),
])
def test_vectorise_refuses_with_a_reason(name, reason):
    assert legal_vectorise(loops(ROWS)[name]).reason == reason
    with pytest.raises(ValueError, match=reason):
        vectorise(ROWS, name)


def test_one_vector_loop_on_a_way():
    nest = vectorise(parse("""\
def f(A: f32[2]):
    out = output(f32, A.shape[0], A.shape[1])
    for i in parallel(A.shape[0]):
        for j in parallel(A.shape[1]):
            out[i, j] = A[i, j]
"""), "j")
    assert legal_vectorise(loops(nest)["j"]).reason == "loop j is a vector loop already"
    assert legal_vectorise(loops(nest)["i"]).reason == "loop i holds a vector loop"

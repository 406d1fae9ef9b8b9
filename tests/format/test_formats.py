"""Levels and codecs: what they can do, and what makes no format."""

import itertools

import numpy as np
import pytest

import einfall as ef
from einfall.cascade.nodes import Access, Input, Tensor
from einfall.cascade.run import run
from einfall.format.codecs import BLOCK, HALF, Lane, decoded
from einfall.runtime.storage import pack
from einfall.scalar.dtypes import I64
from einfall.scalar.nodes import Const, Expr


def value(expr: Expr, arrays: dict[str, np.ndarray]) -> float:
    """An expression without free ranks, computed by the reference."""
    return run((Tensor((), (), expr),), arrays)[0].array.item()


def number(n: int) -> Const:
    return Const(n, I64)


def test_a_dense_level_locates():
    level = ef.Dense()
    assert level.is_full and level.is_ordered and level.is_unique and level.between is None and level.coordinate is None
    assert level.locate(None, number(3), number(7)) is number(3)
    assert value(level.locate(number(2), number(3), number(7)), {}) == 17


def test_a_compressed_level_iterates():
    level, arrays = ef.Compressed(), {"pos": np.array([0, 2, 2, 3]), "crd": np.array([1, 4, 0])}

    def read(part: str, place: Expr) -> Expr:
        return Access(Input(part, I64, 1, None), (place,), None)

    assert not level.is_full and level.locate is None and level.arrays == ("pos", "crd")
    found = []
    for parent in range(3):
        begin, end = (value(item, arrays) for item in level.between(read, number(parent)))
        found.append([value(level.coordinate(read, number(place)), arrays) for place in range(begin, end)])
    assert found == [[1, 4], [], [0]]


CODECS = [ef.Scaled(code(bits), group, scale=ef.f32, zero=zero) for code, bits, group, zero in itertools.product(
    (ef.Int, ef.UInt), (4, 8), (8, 32, 64), (None, True, ef.f16))]


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_the_expression_of_a_codec_gives_what_was_packed(codec):
    """Law: decode(pack(x)) is within half a scale of x, and exactly x where x is made of codes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 70))
    held = pack(x, ef.Format([ef.Dense(), ef.Dense()], codec=codec))

    def read(part: str, indices: tuple[Expr, ...]) -> Expr:
        type, axes = codec.arrays[part]
        return Access(Input(part, type, 1 + axes, None), indices, None)

    dense = held.dense()
    for n, k in ((0, 0), (1, 15), (0, 16), (1, 31), (0, 33), (1, 69)):
        assert value(decoded(codec, read, (number(n),), number(k), None), held.arrays) == dense[n, k]
        if codec.code.bits == 4:
            together, rest = divmod(k, codec.whole)
            block, place = divmod(rest, BLOCK)
            lane = Lane(number(together), number(block), number(place % HALF), place // HALF)
            assert value(lane.coordinate(codec), {}) == k
            assert value(decoded(codec, read, (number(n),), number(k), lane), held.arrays) == dense[n, k]
    scale = np.repeat(held.arrays["scale"].astype(float), codec.group, axis=-1)[:, :70]
    if codec.zero is not None or codec.code.is_signed:  # codes without a sign or zero hold no negative numbers
        assert (np.abs(dense - x) <= scale * (0.51 if codec.zero is not True else 1.01) + 1e-3).all()
    again = pack(dense, held.format)
    if codec.zero is None:
        assert np.allclose(again.dense(), dense, rtol=1e-6, atol=1e-6)


def test_packing_rounds_to_nearest_even_and_saturates():
    form = ef.Format([ef.Dense()], codec=ef.Scaled(ef.Int(4), group=32, scale=ef.f32))
    x = np.array([7.0, 0.5, 1.5, 2.5, -0.5, -1.5, -7.0, 3.49])
    assert ef.pack(x, form).dense().tolist() == [7, 0, 2, 2, 0, -2, -7, 3]
    narrow = ef.Format([ef.Dense()], codec=ef.Scaled(ef.Int(4), group=32, scale=ef.f16))
    assert ef.pack(np.array([1e9, -1e9, 65504.0 * 2.4]), narrow).dense().tolist() == [65504 * 7, -65504 * 8, 65504 * 2]
    assert ef.pack(np.zeros(5), form).dense().tolist() == [0] * 5


def test_packing_to_csr_stores_what_is_not_the_fill():
    x = np.array([[0, 1, 0, 2], [0, 0, 0, 0], [np.nan, 0, -0.0, 3]])
    held = ef.pack(x, ef.csr)
    assert held.arrays["pos"].tolist() == [0, 2, 2, 4] and held.arrays["crd"].tolist() == [1, 3, 0, 3]
    assert np.array_equal(held.dense(), x, equal_nan=True) and held.stored().sum() == 4
    turned = ef.pack(x, ef.csc)
    assert turned.arrays["pos"].tolist() == [0, 1, 2, 2, 4] and np.array_equal(turned.dense(), x, equal_nan=True)
    full = ef.pack(x, ef.Format(ef.csr.levels, fill=2))
    assert full.stored().sum() == 11 and np.array_equal(full.dense(), x, equal_nan=True)
    deep = ef.pack(np.stack([x, 2 * x]), ef.Format([ef.Dense(), ef.Dense(), ef.Compressed()]))
    assert np.array_equal(deep.dense(), np.stack([x, 2 * x]), equal_nan=True)


def test_another_order_of_what_is_stored():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 4, 5)) * (rng.random((3, 4, 5)) < 0.4)
    for order in itertools.permutations(range(3)):
        held = ef.pack(x, ef.Format([ef.Dense(), ef.Dense(), ef.Compressed()], order))
        assert np.array_equal(held.dense(), x)
        for form in itertools.permutations(range(3)):
            arrays, expected = held.in_order(form), ef.pack(x, ef.Format(held.format.levels, form)).arrays
            assert all(np.array_equal(arrays[name], expected[name]) for name in ("pos", "crd", "value"))


def test_formats_are_values():
    assert ef.Format([ef.Dense(), ef.Compressed()]) == ef.csr != ef.csc
    assert hash(ef.Format([ef.Dense(), ef.Compressed()], (1, 0))) == hash(ef.csc)
    assert ef.csr.name == "csr" and ef.csc.name == "csc"
    assert ef.Format([ef.Dense(), ef.Dense()]).name == "[Dense, Dense]"

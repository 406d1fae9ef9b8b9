"""Nodes exist once, are told apart exactly, and are forgotten when nobody holds them."""

import copy
import gc
import math
import pickle

import pytest

from einfall.base.node import Node, postorder, rewrite
from einfall.scalar.dtypes import BOOL, F32, F64, I64
from einfall.scalar.nodes import Const, Map
from einfall.scalar.ops import OPS


def test_the_same_fields_are_the_same_node():
    x = Const(1.5, F32)
    assert Const(1.5, F32) is x
    assert Map(OPS["add"], (x, x)) is Map(OPS["add"], (Const(1.5, F32), x))
    assert pickle.loads(pickle.dumps(x)) is x
    assert copy.deepcopy(x) is x


def test_numbers_that_hash_alike_are_told_apart():
    assert Const(0.0, F32) is not Const(-0.0, F32)
    assert math.copysign(1, Const(-0.0, F32).value) == -1
    assert Const(1, I64) is not Const(True, BOOL)
    assert Const(1.0, F32) is not Const(1.0, F64)
    assert Const(math.nan, F32) is Const(math.nan, F32)


def test_fields_have_their_types():
    with pytest.raises(TypeError, match="a constant of type i64"):
        Const(1.0, I64)
    with pytest.raises(TypeError, match=r"Map\.args"):
        Map(OPS["add"], 3)
    with pytest.raises(AttributeError, match="immutable"):
        Const(1, I64).value = 2


def test_nodes_nobody_holds_are_forgotten():
    gc.collect()
    one = Const(-1e6, F64)  # the dead are removed when a node is built
    before = len(Const._table)
    held = [Const(1e6 + i, F64) for i in range(1000)]
    assert len(Const._table) == before + 1000
    del held
    gc.collect()
    two = Const(-2e6, F64)
    assert len(Const._table) == before + 1 and one is not two


def test_a_node_that_died_can_be_built_again():
    held = Const(3e6, F64)
    del held
    assert all(Const(3e6, F64).value == 3e6 for _ in range(3))
    kept = Const(3e6, F64)
    Const(4e6, F64)  # forgets the dead, not the node of the same fields that lives
    assert Const(3e6, F64) is kept


def test_deep_and_shared_graphs():
    node: Node = Const(0.5, F64)
    for _ in range(5_000):
        node = Map(OPS["multiply"], (node, node))
    assert sum(1 for _ in postorder(node)) == 5_001
    changed = rewrite(node, lambda item: Const(2.0, F64) if item is Const(0.5, F64) else None)
    assert next(postorder(changed)) is Const(2.0, F64)
    assert rewrite(node, lambda item: None) is node

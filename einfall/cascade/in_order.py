"""Reductions whose elements come together in the order of the text."""

from einfall.base.node import postorder, rewrite
from einfall.cascade.nodes import Cascade
from einfall.scalar.monoids import Monoid
from einfall.scalar.nodes import Map

__all__ = ["in_order"]

EXACT = frozenset(("maximum", "minimum", "negative", "abs"))  # of floats they round nothing


def in_order(cascade: Cascade) -> Cascade:
    """The cascade in which monoids that round are not commutative, and so are none of the table any more: their
    elements come together one after the other, and no pass knows laws of theirs."""
    def rule(node):
        if isinstance(node, Monoid) and node.commutative and any(map(_rounds, postorder(*node.combine))):
            return Monoid(node.name, node.identity, node.combine, False)
        return None

    memo: dict = {}
    return Cascade(cascade.name, cascade.inputs, tuple(rewrite(output, rule, memo) for output in cascade.outputs))


def _rounds(node) -> bool:
    return isinstance(node, Map) and node.dtype.is_float and node.op.name not in EXACT

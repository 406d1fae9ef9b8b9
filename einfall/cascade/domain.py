"""Which points of a cascade can be absent, read off its text."""

from einfall.base.node import postorder
from einfall.cascade.nodes import Access, History, Index, Input, Part, Reduce, Scalar, Size, State, Tensor
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select

__all__ = ["is_constant", "is_domain"]


def is_constant(expr: Expr) -> bool:
    """Whether it is built of constants and extents only, so that it never has a point of its own."""
    return not expr.free and all(isinstance(node, Const | Size | Map | Cast | Select) for node in postorder(expr)
                                 if isinstance(node, Expr))


def is_domain(predicate: Expr) -> bool:
    """Whether a predicate is built of ranks, extents, integer or boolean tensors: floats make nothing absent."""
    for node in postorder(predicate):
        match node:
            case Const() | Size() | Index() | Map() | Select() | Cast() | Access() | Reduce() | Part():
                if node.dtype.is_float:
                    return False
            case Scalar():
                return False  # a number of the call decides no loop bound; see LANGUAGE, absent points
            case Input() | Tensor() | State() | History():
                if node.dtype.is_float:
                    return False
    return True

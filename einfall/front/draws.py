"""Random numbers as a map: the same wherever and in whatever order they are computed."""

from einfall.base.errors import TraceError
from einfall.front.expression import Expression, lift
from einfall.front.trace import current
from einfall.scalar.dtypes import F64, I64
from einfall.scalar.nodes import Const, cast, const
from einfall.scalar.nodes import Map as MapNode
from einfall.scalar.ops import OPS

__all__ = ["uniform"]

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio
FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
LAST = 31


def uniform(seed, *indices) -> Expression:
    """Numbers in [0, 1) from a seed and integers: one for each, the same on every target and in the reference.

    The 64 bits are those of SplitMix64 (Steele, Lea, Flood 2014), whose mixing function takes one integer after the
    other; the number is their upper 24 (f32) or 53 (f64), in the default float.
    """
    state: Expression | None = None
    for item in (seed, *indices):
        part = lift(item)
        if not part.dtype.is_int:
            raise TraceError(f"ef.uniform takes a seed and integers, not {part.dtype}", known=current().known,
                             repair="ef.uniform(seed, i, j); a float can be cast: x.astype(ef.i64)")
        part = Expression(cast(part.node, I64), part.extents, affine=part.affine)
        state = _mixed((part if state is None else state + part) + _signed(GOLDEN))
    dtype = current().default_float
    bits = 53 if dtype is F64 else 24
    number = MapNode(OPS["multiply"], (cast(_shifted(state, 64 - bits).node, dtype), const(2.0**-bits, dtype)))
    return Expression(number, state.extents, affine=state.affine)


def _mixed(state: Expression) -> Expression:
    for shift, factor in FACTORS:
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    return state ^ _shifted(state, LAST)


def _shifted(state: Expression, by: int) -> Expression:
    """The bits moved right, zeros from the left."""
    return (state >> by) & _signed(2 ** (64 - by) - 1)


def _signed(number: int) -> Expression:
    return Expression(Const(number - 2**64 if number >= 2**63 else number, I64), {})

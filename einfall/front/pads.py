"""What lies outside a tensor's axes: a number, the nearest element ("edge") or the tensor again ("wrap")."""

from collections.abc import Sequence

from einfall.cascade import nodes as cas
from einfall.cascade.scope import fresh
from einfall.front.trace import arithmetic
from einfall.scalar.dtypes import I64
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS

__all__ = ["AROUND", "Pad", "read"]

Pad = Const | str | None
AROUND = ("edge", "wrap")


def read(source: cas.Source, extents: Sequence[Expr], indices: Sequence[Expr], pads: Sequence[Pad]) -> cas.Access:
    """An element of a tensor: one index and one pad per axis; an index without a pad has to stay inside."""
    found = [_inside(pad, index, extent) for pad, index, extent in zip(pads, indices, extents)]
    # a bare rank is the whole axis and needs no pad
    beyond = {axis: pad for axis, pad in enumerate(pads)
              if isinstance(pad, Const) and not isinstance(indices[axis], cas.Index)}
    strict = [axis for axis, pad in enumerate(pads) if pad is None and not isinstance(indices[axis], cas.Index)]
    constants = list(dict.fromkeys(beyond.values()))
    if not constants:
        return cas.Access(source, tuple(found), None)
    if len(constants) == 1 and not strict:
        return cas.Access(source, tuple(found), constants[0])
    # outside in, a tensor for each number that covers its axes only
    mine = [axis for axis, pad in beyond.items() if pad is constants[0]]
    taken = {variable for index in found for variable in index.free}
    ranks = []
    for axis in mine:
        ranks.append(fresh(cas.Rank(f"i{axis}"), {*taken, *ranks}))
    inner = list(found)
    for axis, rank in zip(mine, ranks):
        inner[axis] = cas.Index(rank)
    others = [None if axis in mine or pad in AROUND else pad for axis, pad in enumerate(pads)]
    rest = read(source, extents, inner, others)
    tensor = cas.Tensor(tuple(ranks), tuple(extents[axis] for axis in mine), rest)
    return cas.Access(tensor, tuple(found[axis] for axis in mine), constants[0])


def _inside(pad: Pad, index: Expr, extent: Expr) -> Expr:
    """The coordinate that stands for one outside."""
    if pad not in AROUND or isinstance(index, cas.Index):
        return index
    if pad == "wrap":
        return Map(OPS["remainder"], (index, extent))
    last = arithmetic("subtract", extent, Const(1, I64))
    return Map(OPS["minimum"], (Map(OPS["maximum"], (index, Const(0, I64))), last))

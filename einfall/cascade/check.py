"""What must hold of a cascade beyond the types of its nodes; asked between passes."""

from einfall.base.node import Node, postorder
from einfall.cascade.nodes import Cascade, Extent, History, Input, Part, Pattern, Reduce, Scalar, Scan, Size, Tensor
from einfall.scalar.nodes import Expr

__all__ = ["check"]


def check(cascade: Cascade) -> None:
    """Nothing is free, every name is an input's, tuples are taken apart, extents depend on sizes only.

    Raises: AssertionError, since only a pass of einfall's own can break these.
    """
    known = {item.name: item for item in cascade.inputs}
    assert len(known) == len(cascade.inputs), f"two inputs of one name: {[item.name for item in cascade.inputs]}"
    for output in cascade.outputs:
        assert not output.free, f"free in an output: {sorted(variable.name for variable in output.free)}"
    whole: set[Node] = set()
    for node in postorder(*cascade.outputs):
        for extent in _extents(node):
            assert extent.dtype.is_int and not extent.free, f"an extent depends on a rank: {extent!r}"
        match node:
            case Extent(rank):
                raise AssertionError(f"the extent of {rank.name} was never resolved")
            case Input(name) | Scalar(name):
                assert known.get(name) is node, f"{name} is not an input"
            case Pattern(name, ndim):
                assert isinstance(known.get(name), Input) and ndim == known[name].ndim, f"{name}.stored"
            case Size(name, axis):
                assert isinstance(known.get(name), Input) and axis < known[name].ndim, f"{name}.shape[{axis}]"
            case Scan(rank, _, label, axes, _, inits, steps):
                assert len(axes) == len(inits) == len(steps), "a scan has axes, an init and a step for each state"
                for init in inits:
                    assert not init.free & {rank, label}, f"an init knows the rank {rank.name} or the states"
            case History(scan, place):
                assert place < len(scan.inits), f"state {place} of {len(scan.inits)}"
            case Part(reduce, place):
                assert len(reduce.bodies) > 1 and place < len(reduce.bodies), f"part {place}"
                continue
        whole.update(child for child in _expressions(node) if isinstance(child, Reduce))
    for reduce in whole:
        assert len(reduce.bodies) == 1, f"{reduce.monoid.name} has several components and is used as one"


def _extents(node: Node) -> tuple[Expr, ...]:
    match node:
        case Reduce() | Tensor():
            return node.extents
        case Scan():
            return (node.extent, *(extent for extents in node.extents for extent in extents))
    return ()


def _expressions(node: Node):
    for field in node.fields:
        value = getattr(node, field)
        for item in value if type(value) is tuple else (value,):
            if isinstance(item, Expr):
                yield item

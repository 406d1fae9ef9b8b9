"""Memory in the text of a kernel: pointers with masks, and workspaces, which are tensors.

What a load reads where no iteration is is its own business: it stays inside its buffer, and gives what is `outside`,
or 0. So a load is a tensor over the axes of its indices alone, whatever other loops say about their lanes.
"""

from typing import NamedTuple

from einfall.base.errors import CompileError
from einfall.scalar.dtypes import BOOL, I64
from einfall.scalar.memory import Buffer, Load, Store, is_never_negative
from einfall.scalar.nodes import Const, Expr, Map
from einfall.scalar.ops import OPS
from einfall.target.triton.operators import TYPES, refused
from einfall.target.triton.values import Axis, Tensor, in_order, literal

__all__ = ["Kept", "is_zero_outside", "load", "prepare", "store"]


class Kept:
    """A workspace that is a tensor: the axes that were open where it came to be, then its own."""

    def __init__(self, axes: tuple[Axis, ...], level: int, active: int):
        self.axes, self.level, self.active = axes, level, active
        self.is_defined = False


def load(emission, node: Load) -> Tensor:
    """What a load reads."""
    buffer = node.buffer
    if buffer in emission.kept:
        return _read(emission, node)
    pointer = _pointer(emission, buffer, node.indices)
    masks = [emission.value(condition) for condition in _inside(node)]
    masks += [axis.mask for axis in pointer.axes if axis.mask is not None and set(axis.mask.axes) <= set(pointer.axes)]
    other = literal(0.0 if buffer.type.is_float else 0)
    if node.outside is not None:
        other = literal(int(node.outside.value) if buffer.type is BOOL else node.outside.value)
    mask = _all(emission, masks)
    level = emission.level if buffer in emission.unstable else max(pointer.level, mask.level if mask else 0)
    text = f"tl.load({pointer.text}" + (f", mask={mask.along(pointer.axes)}, other={other.text})" if mask else ")")
    made = emission.write(text, pointer.axes, level)
    return emission.line("{} != 0", made) if buffer.type is BOOL else made


def is_zero_outside(node: Load, axis: Axis) -> bool:
    """Whether what a load gives is 0 where an axis of it has no iteration."""
    return (node.outside is None or node.outside.value == 0) and axis.variable in node.free and (
        axis.mask is None or all(one.variable in node.free for one in axis.mask.axes))


def _pointer(emission, buffer: Buffer, indices: tuple[Expr, ...]) -> Tensor:
    """The addresses of elements; a stride is an argument, but where elements lie side by side."""
    places = [emission.value(index) for index in indices]
    steps = []
    for axis in range(len(indices)):
        stride = ("stride", buffer.name, axis)
        steps.append(f"{{}} * {buffer.name}_stride{axis}" if stride in emission.slots else "{}")
    return emission.line(" + ".join((buffer.name, *steps)), *places)


def _inside(node: Load) -> list[Expr]:
    """The conditions under which an access stays inside its buffer."""
    found: list[Expr] = []
    for index, extent in zip(node.indices, node.buffer.extents):
        if not is_never_negative(index):
            found.append(Map(OPS["greater_equal"], (index, Const(0, index.dtype))))
        found.append(Map(OPS["less"], (index, extent)))
    return found


def _all(emission, masks: list[Tensor]) -> Tensor | None:
    """All of some conditions."""
    whole = None
    for mask in dict.fromkeys(masks):
        whole = mask if whole is None else emission.line("{} & {}", whole, mask)
    return whole


def store(emission, statement: Store) -> None:
    """A value written, by the lanes that are at work."""
    buffer = statement.buffer
    if buffer in emission.kept:
        _keep(emission, statement)
        return
    pointer, value = _pointer(emission, buffer, statement.indices), emission.value(statement.value)
    if buffer.type is BOOL:
        value = emission.line("tl.cast({}, tl.uint8)", emission.typed(value, BOOL))
    masks = [axis.mask for axis in emission.axes if axis.mask is not None] + emission.active
    mask = _all(emission, masks)
    axes = in_order(pointer, value, *([mask] if mask else []))
    if axes != pointer.axes:
        raise refused(f"the lanes of a loop write one element of {buffer.name}", "report this program")
    text = value.text if value.is_literal else value.along(axes)
    emission.scopes[-1].lines.append(
        f"tl.store({pointer.text}, {text}" + (f", mask={mask.along(axes)})" if mask else ")"))
    if buffer in emission.read:
        emission.scopes[-1].lines.append("tl.debug_barrier()")  # other threads of the instance read what is stored


# Workspaces

def prepare(emission, written: frozenset[Buffer]) -> None:
    """Gives workspaces a value before a loop of the text that writes them; what follows the loop reads them."""
    for buffer in sorted(written & emission.kept.keys(), key=lambda buffer: buffer.name):
        kept = emission.kept[buffer]
        if not kept.is_defined:
            blocks = [axis.block for axis in kept.axes] + [emission.block_of(extent) for extent in buffer.extents]
            shape = ", ".join(map(str, blocks))
            emission.scopes[-1].lines.append(f"{buffer.name} = tl.zeros([{shape}], {TYPES[buffer.type.name]})")
            kept.is_defined = True


class Places(NamedTuple):
    """Where a workspace is accessed: an axis for each of its own, and which element of an axis that no loop is.

    at: for an axis that stands for all elements of the workspace along it, the index of the one that is meant.
    """

    axes: tuple[Axis, ...]
    at: dict[Axis, Tensor]


def _places(emission, buffer: Buffer, indices: tuple[Expr, ...]) -> Places:
    """The places of an access. Raises: CompileError where two are along one axis, or a block is not the workspace's."""
    open_axes = {axis.variable: axis for axis in emission.axes if axis not in emission.kept[buffer].axes}
    axes, at = [], {}
    for place, (index, extent) in enumerate(zip(indices, buffer.extents)):
        axis, block = open_axes.get(index), emission.block_of(extent)
        if axis is None:
            where = emission.value(index)
            axis = emission.whole_axis(f"{buffer.name}_axis{place}", block, extent)
            at[axis] = where
        if axis in axes or axis.block != block:
            raise _more_than_a_tensor(buffer)
        axes.append(axis)
    return Places(tuple(axes), at)


def _more_than_a_tensor(buffer: Buffer) -> CompileError:
    return refused(f"workspace {buffer.name} is accessed at places that differ between the elements of a tensor",
                   "reduce what is read instead of keeping it, or compile for the processor")


def _turned(emission, text: str, source: tuple[Axis, ...], wanted: tuple[Axis, ...]) -> str:
    """A tensor with its axes in another order."""
    return text if source == wanted else f"tl.permute({text}, {tuple(source.index(axis) for axis in wanted)})"


def _now(emission, buffer: Buffer, places: Places) -> Tensor:
    """A workspace as the tensor that it is now, over all its axes."""
    kept = emission.kept[buffer]
    source = (*kept.axes, *places.axes)
    wanted = tuple(sorted(source, key=lambda axis: axis.depth))
    if source == wanted:
        return Tensor(buffer.name, source, emission.level)
    return emission.write(_turned(emission, buffer.name, source, wanted), wanted, emission.level)


def _read(emission, node: Load) -> Tensor:
    """What a workspace holds; of an axis with one element that is meant, this one."""
    places = _places(emission, node.buffer, node.indices)
    made = _now(emission, node.buffer, places)
    for axis in reversed(places.axes):
        if axis not in places.at:
            continue
        if places.at[axis].axes:
            made = _gathered(emission, node.buffer, made, axis, places.at[axis])
            continue
        here = emission.line("{} == {}", emission.value(axis.variable), places.at[axis])
        held = made if node.buffer.type is not BOOL else emission.line("tl.cast({}, tl.int32)", made)
        picked = emission.line("tl.where({}, {}, 0)", here, held)
        place = picked.axes.index(axis)
        left = (*picked.axes[:place], *picked.axes[place + 1:])
        made = emission.write(f"tl.sum({picked.text}, axis={place})", left, picked.level)
        if node.buffer.type is BOOL:
            made = emission.line("{} != 0", made)
    if node.outside is not None and places.at:
        inside = _all(emission, [emission.value(condition) for condition in _inside(node)])
        made = emission.line("tl.where({}, {}, {})", inside, made, literal(node.outside.value))
    return made


def _gathered(emission, buffer: Buffer, whole: Tensor, axis: Axis, where: Tensor) -> Tensor:
    """Elements along an axis of a workspace, chosen by lanes: by one axis of theirs beside those that it has."""
    new = [one for one in where.axes if one not in whole.axes]
    if len(new) != 1 or whole.axes[-1] is not axis or any(one.depth > new[0].depth for one in whole.axes[:-1]):
        raise _more_than_a_tensor(buffer)
    axes = (*whole.axes[:-1], new[0])
    held = whole if buffer.type is not BOOL else emission.line("tl.cast({}, tl.int32)", whole)
    # lanes that are not at work may point anywhere
    inside = emission.line(f"tl.minimum(tl.maximum({{}}, 0), {axis.block} - 1)", where)
    level = max(held.level, inside.level)
    text = f"tl.gather({held.text}, {emission.full(inside, I64, axes)}, {len(axes) - 1})"
    made = emission.write(text, axes, level)
    return emission.line("{} != 0", made) if buffer.type is BOOL else made


def _keep(emission, statement: Store) -> None:
    """A workspace becomes another tensor; where a store leaves some of it out, that stays."""
    buffer = statement.buffer
    kept, places = emission.kept[buffer], _places(emission, buffer, statement.indices)
    value = emission.value(statement.value)
    masks = [axis.mask for axis, extent in zip(places.axes, buffer.extents) if axis.mask is not None
             and axis.extent is not extent and axis not in places.at] + emission.active[kept.active:]
    masks += [emission.line("{} == {}", emission.value(axis.variable), where) for axis, where in places.at.items()]
    if any(where.axes for where in places.at.values()):
        raise _more_than_a_tensor(buffer)
    if places.at:
        prepare(emission, frozenset((buffer,)))
    if masks and kept.is_defined:
        now = _now(emission, buffer, places)
        value = emission.line("tl.where({}, {}, {})", _all(emission, masks), emission.typed(value, buffer.type), now)
    source = (*kept.axes, *places.axes)
    wanted = tuple(sorted(source, key=lambda axis: axis.depth))
    text = _turned(emission, emission.full(value, buffer.type, wanted), wanted, source)
    emission.scopes[-1].lines.append(f"{buffer.name} = {text}")
    kept.is_defined = True

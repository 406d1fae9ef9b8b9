"""What the lanes of a vector loop bring together: sums and extrema over an axis, products of tensors, any monoid."""

from collections.abc import Sequence

from einfall.base.node import postorder, rewrite
from einfall.plan.blocks import factors_of
from einfall.scalar.dtypes import BOOL, F32, DType
from einfall.scalar.memory import Carried, Load, Loop, Value
from einfall.scalar.monoids import Monoid, Side, combined
from einfall.scalar.nodes import Cast, Const, Expr, Map
from einfall.target.triton.access import is_zero_outside
from einfall.target.triton.expressions import Expressions
from einfall.target.triton.values import Axis, Tensor, in_order, literal

__all__ = ["Functions", "reduced", "together"]

SHORTEST = 16  # of the axes of a product of tensors


BY_STEPS = """

@triton.jit
def product_by_steps(left, right, taken):
    total = tl.zeros([left.shape[0], right.shape[1]], tl.float32)
    places = tl.arange(0, left.shape[1])
    for step in range(0, left.shape[1]):
        here = places == step
        column = tl.sum(tl.where(here[None, :], tl.cast(left, tl.float32), 0.0), axis=1)
        row = tl.sum(tl.where(here[:, None], tl.cast(right, tl.float32), 0.0), axis=0)
        rows = tl.max(tl.cast(here[None, :] & taken, tl.int32), axis=1)
        total += tl.where(rows[:, None] != 0, column[:, None] * row[None, :], 0.0)
    return total
"""


class Functions:
    """The functions of a kernel's text, which bring two elements of a monoid together."""

    def __init__(self) -> None:
        self.names: dict[Monoid, str] = {}
        self.text = ""

    def of(self, monoid: Monoid) -> str:
        """The name of the function of a monoid."""
        if monoid not in self.names:
            name = self.names[monoid] = f"combine_{monoid.name}" + (f"_{len(self.names)}" if self.names else "")
            sides = [Side(right, place, dtype) for right in (False, True) for place, dtype in enumerate(monoid.dtypes)]
            inner = Expressions(set())
            for side in sides:
                inner.remember(side, Tensor(f"{'right' if side.right else 'left'}{side.place}"))
            results = ", ".join(inner.typed(inner.value(part), part.dtype).text for part in monoid.combine)
            body = "".join(f"    {line}\n" for line in inner.scopes[0].lines)
            arguments = ", ".join(inner.value(side).text for side in sides)
            self.text += f"\n\n@triton.jit\ndef {name}({arguments}):\n{body}    return {results}\n"
        return self.names[monoid]

    def by_steps(self) -> str:
        """The name of the function that sums products step by step, with the rows that take each."""
        if BY_STEPS not in self.text:
            self.text += BY_STEPS
        return "product_by_steps"


def together(emission, monoid: Monoid, left: Sequence[Tensor], right: Sequence[Tensor]) -> list[Tensor]:
    """The elements of a monoid brought together."""
    sides = []
    for tensors in (left, right):
        values = [Value(f"{emission.number()}", dtype) for dtype in monoid.dtypes]
        for value, tensor in zip(values, tensors):
            emission.remember(value, tensor)
        sides.append(tuple(values))
    return [emission.value(part) for part in combined(monoid, *sides)]


def reduced(emission, loop: Loop, axis: Axis) -> list[Tensor]:
    """The results of a vector loop: what its elements come to over the axis, from where each began."""
    monoid, inits = loop.monoid, [emission.value(item.init) for item in loop.carried]
    is_apart = all(side.place == place for place, part in enumerate(monoid.combine) for side in postorder(part)
                   if isinstance(side, Side))
    if is_apart:
        return [_one(emission, item, init, part, identity, axis)
                for item, init, part, identity in zip(loop.carried, inits, monoid.combine, monoid.identity)]
    elements = [_masked(emission, emission.value(item.update), identity, axis)
                for item, identity in zip(loop.carried, monoid.identity)]
    axes = in_order(*elements)
    left = tuple(one for one in axes if one is not axis)
    level = max(element.level for element in elements)
    whole = ", ".join(emission.full(element, item.value.type, axes) for element, item in zip(elements, loop.carried))
    made = emission.write(f"tl.reduce(({whole}), {axes.index(axis)}, {emission.functions.of(monoid)})", left, level)
    results = [emission.write(f"{made.text}[{place}]", left, level) for place in range(len(elements))]
    if all(item.init is identity for item, identity in zip(loop.carried, monoid.identity)):
        return results
    return together(emission, monoid, inits, results)


def _one(emission, item: Carried, init: Tensor, part: Expr, identity: Const, axis: Axis) -> Tensor:
    """The result of one component."""
    is_begun = item.init is identity
    op = part.op.name if isinstance(part, Map) and all(isinstance(arg, Side) for arg in part.args) else None
    if op == "add":
        made = _product(emission, item, None if is_begun else init, axis)
        if made is not None:
            return made
    element = _masked(emission, emission.value(item.update), identity, axis)
    left = tuple(one for one in element.axes if one is not axis)
    made = _over(emission, element, op, item.value.type, element.axes.index(axis), left, part, identity)
    monoid = Monoid("one", (identity,), (_alone(part),), True)
    return made if is_begun else together(emission, monoid, [init], [made])[0]


def _alone(part: Expr) -> Expr:
    """A component of a monoid as the only one of another."""
    return rewrite(part, lambda node: Side(node.right, 0, node.type) if isinstance(node, Side) else None)


def _masked(emission, element: Tensor, identity: Const, axis: Axis) -> Tensor:
    """The elements, with the identity where the axis has no iteration."""
    if axis.mask is not None:
        return emission.line("tl.where({}, {}, {})", axis.mask, emission.typed(element, identity.dtype),
                             literal(identity.value))
    if axis in element.axes:
        return element
    axes = tuple(sorted((*element.axes, axis), key=lambda one: one.depth))
    return emission.write(emission.full(element, identity.dtype, axes), axes, element.level)


def _over(emission, element: Tensor, op: str | None, dtype: DType, place: int, left: tuple[Axis, ...], part: Expr,
          identity: Const) -> Tensor:
    """The elements brought together over the axis at a place."""
    def text(template: str, of: Tensor = element) -> Tensor:
        return emission.write(template.format(of.text, place), left, of.level)

    if op in ("minimum", "maximum", "bitwise_or", "bitwise_and") and dtype is BOOL:
        name = "max" if op in ("maximum", "bitwise_or") else "min"
        return emission.line("{} != 0", text(f"tl.{name}({{}}, axis={{}})", emission.line("tl.cast({}, tl.int32)",
                                                                                       element)))
    if op == "add":
        return text("tl.sum({}, axis={})")
    if op in ("minimum", "maximum"):
        made = text(f"tl.{op[:3]}({{}}, axis={{}})")
        if not dtype.is_float:
            return made
        # the extremum of Triton may leave NaN out
        lost = text("tl.max({}, axis={})", emission.line("tl.cast({} != {}, tl.int32)", element, element))
        return emission.line('tl.where({} != 0, float("nan"), {})', lost, made)
    function = emission.functions.of(Monoid("one", (identity,), (_alone(part),), True))
    return text(f"tl.reduce({{}}, {{}}, {function})")


def _product(emission, item: Carried, init: Tensor | None, axis: Axis) -> Tensor | None:
    """A sum of products over an axis as a product of two tensors, where they have a further axis each."""
    factors = factors_of(item.update) if item.value.type is F32 else None
    if factors is None:
        return None
    precision = ', input_precision="ieee"'
    narrow = {_narrow(factor) for factor in factors}
    if len(narrow) == 1 and None not in narrow and not emission.widen:
        factors, precision = tuple(factor.arg for factor in factors), ""  # exact in the type of the sum
    sides = [_operand(emission, factor, axis) for factor in factors]
    sides.sort(key=lambda side: min((one.depth for one in side[0].axes), default=0))
    axes = [tuple(one for one in side.axes if one is not axis) for side, _ in sides]
    blocks = [axis.block, *(one.block for side in axes for one in side)]
    if any(axis not in side.axes or len(side.axes) != 2 for side, _ in sides) or axes[0] == axes[1] or any(
            isinstance(block, int) and block < SHORTEST for block in blocks):
        return None
    (left, is_left_zero), (right, is_right_zero) = sides
    if not is_left_zero:  # the other one would have to be finite
        return None
    texts = [left.text if left.axes[1] is axis else f"tl.trans({left.text})",
             right.text if right.axes[0] is axis else f"tl.trans({right.text})"]
    whole, emission.has_products = (*axes[0], *axes[1]), True
    level = max(left.level, right.level)
    if not is_right_zero:
        made = _careful(emission, left, right, texts, precision, axis)
        return made if init is None else emission.line("{} + {}", init, made)
    if init is not None and init.axes == whole and not init.is_literal:
        texts.append(init.text)
        level = max(level, init.level)
        init = None
    made = emission.write(f"tl.dot({', '.join(texts)}{precision})", whole, level)
    return made if init is None else emission.line("{} + {}", init, made)


def _careful(emission, left: Tensor, right: Tensor, texts: list[str], precision: str, axis: Axis) -> Tensor:
    """A product in which the rows of the left operand end at different steps.

    Beyond their ends its elements are 0, and what is there on the right may be no number: 0 times that would not be 0.
    Where a block has such an element the sum is taken step by step.
    """
    whole = tuple(one for side in (left, right) for one in side.axes if one is not axis)
    mask = axis.mask if left.axes[1] is axis else None
    level = max(left.level, right.level, axis.mask.level)
    finite = emission.line('tl.abs({}) < float("inf")', right)
    clean = emission.line("tl.where({}, {}, 0.0)", finite, right)
    wild = emission.write(f"tl.max(tl.max(tl.cast({finite.text} == 0, tl.int32), axis=1), axis=0)", (), finite.level)
    made = emission.write(f"tl.dot({texts[0]}, {texts[1].replace(right.text, clean.text)}{precision})", whole, level)
    taken = emission.full(axis.mask, BOOL, left.axes)
    taken = taken if mask is not None else f"tl.trans({taken})"
    emission.scopes[level].lines += [
        f"if {wild.text} != 0:", f"    {made.text} = {emission.functions.by_steps()}({', '.join(texts)}, {taken})"]
    return made


def _operand(emission, factor: Expr, axis: Axis) -> tuple[Tensor, bool]:
    """A factor of a product, and whether it is 0 where the axis has no iteration."""
    value, source = emission.value(factor), factor
    while isinstance(source, Cast) and source.to.is_float and source.arg.dtype.is_float:
        source = source.arg
    if isinstance(source, Load) and source.buffer not in emission.kept and is_zero_outside(source, axis):
        return value, True
    if axis.mask is None or not set(axis.mask.axes) <= set(value.axes):
        return value, axis.mask is None
    return emission.line("tl.where({}, {}, 0.0)", axis.mask, value), True


def _narrow(factor: Expr) -> DType | None:
    """The narrow type that a factor has been brought from."""
    return factor.arg.dtype if isinstance(factor, Cast) and factor.arg.dtype.is_narrow else None

"""The functions of expressions: maps, selections, reductions."""

import inspect
import math
from collections.abc import Callable

from einfall.base.errors import RankError, TraceError
from einfall.base.node import Node, postorder
from einfall.cascade import nodes as cas
from einfall.cascade.scope import substitute
from einfall.front.arrays import mapped, with_axis
from einfall.front.expression import (
    Array,
    Binding,
    Expression,
    Rank,
    apply,
    bound,
    converted,
    counted,
    fitted,
    is_whole,
    lift,
    met,
    narrowed,
    number,
    strong,
    together,
    without,
)
from einfall.front.trace import arithmetic, current
from einfall.scalar.dtypes import BOOL, I64, DType
from einfall.scalar.monoids import NAMED, Monoid, Side, arg_extremum, named
from einfall.scalar.nodes import Cast, Const, Expr, Select, cast, const
from einfall.scalar.nodes import Map as MapNode
from einfall.scalar.ops import OPS

__all__ = ["MAPS", "cast_to", "clip", "gelu", "reduce", "reduction", "relu", "silu", "softplus", "where"]


def _map(name: str) -> Callable[..., Expression]:
    op = OPS[name]

    def function(*args):
        if len(args) != op.arity:
            raise TraceError(f"ef.{name} takes {op.arity} arguments, not {len(args)}",
                             repair=f"ef.{name}({', '.join('xyz'[:op.arity])})")
        return apply(name, *args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Elementwise {name} of expressions, as in the Python array API."
    return function


MAPS = {name: _map(name) for name in OPS}
for _name, _op in (("logical_and", "bitwise_and"), ("logical_or", "bitwise_or"), ("logical_not", "invert"),
                   ("logical_xor", "bitwise_xor"), ("bitwise_invert", "invert"),
                   ("bitwise_left_shift", "left_shift"), ("bitwise_right_shift", "right_shift")):
    MAPS[_name] = _map(_op)


def cast_to(x, dtype: DType) -> Expression:
    """The values in another type; float to integer truncates and saturates, NaN gives 0."""
    return converted(x, dtype)


def where(condition, x, y) -> Expression | Array:
    """`x` where the condition holds, `y` elsewhere; only the chosen one is read.

    With a constant `y` and a condition of ranks, extents, integers and booleans the other points are absent.
    Tensors are broadcast by position.
    """
    if any(map(is_whole, (condition, x, y))):
        return mapped(where, (condition, x, y), "where")
    chosen, *parts = lift(condition), lift(x), lift(y)
    if chosen.dtype is not BOOL:
        raise TraceError(f"the condition of ef.where is {chosen.dtype}", known=current().known,
                         repair="compare: ef.where(x != 0, a, b)")
    if chosen.weak:
        chosen = strong(chosen)
    dtype, weak = together(parts, "where")
    extents, affine = met([chosen, *parts])
    yes, no = (fitted(part, dtype) for part in parts)
    return Expression(Select(chosen.node, yes, no), extents, weak=weak, affine=affine, dtype=dtype)


def clip(x, low, high) -> Expression:
    """x kept between low and high; NaN stays."""
    return apply("minimum", apply("maximum", x, low), high)


def relu(x) -> Expression:
    """max(x, 0)."""
    return apply("maximum", x, 0)


def silu(x) -> Expression:
    """x * sigmoid(x)."""
    return apply("multiply", x, apply("sigmoid", x))


def gelu(x) -> Expression:
    """x * Phi(x), by erf."""
    return x * 0.5 * (1 + apply("erf", x * math.sqrt(0.5)))


def softplus(x) -> Expression:
    """log(1 + exp(x)), without overflow."""
    return apply("logaddexp", x, 0.0)


def square(x) -> Expression:
    """x * x."""
    return apply("multiply", x, x)


def reciprocal(x) -> Expression:
    """1 / x."""
    return apply("divide", 1, x)


def hypot(x, y) -> Expression:
    """The length of (x, y)."""
    x, y = in_float(x), in_float(y)
    return apply("sqrt", x * x + y * y)


def in_float(x):
    """Integers and booleans as the default float, before anything can wrap; anything else as it is."""
    dtype = getattr(x, "dtype", None)
    return converted(x, current().default_float) if isinstance(dtype, DType) and not dtype.is_float else x


ROUNDING = frozenset(("sum", "prod", "logsumexp"))  # reductions whose results depend on the type they are computed in

# Reductions: `over=` ranks of an expression, or along `axis=` of a tensor (all axes where none is named), where reduced
# axes stay with size 1 under `keepdims=True`


def over_ranks(over) -> tuple[Rank, ...]:
    """What was given as `over=`, as ranks."""
    chosen = over if type(over) is tuple else (over,)
    for rank in chosen:
        if not isinstance(rank, Rank):
            raise RankError(f"over= takes a rank or a tuple of ranks, not {rank!r}", repair="ef.sum(x, over=k)")
    if len({rank.name for rank in chosen}) != len(chosen):
        raise RankError("over= names a rank twice", repair="name each rank once")
    return chosen


def binder(parts: list[Expression], ranks: tuple[Rank, ...], what: str):
    """(ranks as nodes, their extents, the bindings and the affine accesses that are left) of a reduction."""
    extents, affine = met(parts)
    whole = Expression(parts[0].node, extents, affine=affine)
    for rank in ranks:
        if rank.name not in extents:
            free = ", ".join(extents) or "none"
            raise RankError(f"{what} over {rank.name}, which is not free in its operand; free are: {free}",
                            known=current().known, repair="reduce over a free rank, or leave the reduction out")
    sizes = {}
    for rank in ranks:
        sizes[rank.name] = bound(whole, rank)
        whole.extents[rank.name] = Binding(sizes[rank.name], f"{what} over {rank.name}")
    left = {name: binding for name, binding in extents.items() if name not in sizes}
    nodes = tuple(cas.Rank(rank.name) for rank in ranks)
    return nodes, tuple(sizes.values()), left, without(whole, sizes, left)


def operand(x, what: str) -> Expression:
    """What a reduction is over; a whole tensor is not an expression."""
    if isinstance(x, Array) and x.ndim:
        raise TraceError(f"{what} of tensor {x.name}, which has no free ranks", known=current().known,
                         repair=f"index it with ranks first: {x.name}[{', '.join('ijklmn'[:x.ndim])}]")
    return lift(x)


def accumulator(dtype: DType) -> DType:
    """The type in which numbers of a type are summed: the kernel's `accumulate=` for its kind, or the table's."""
    asked = current().accumulate
    return dtype.accumulated if asked is None or asked.is_float is not dtype.is_float else asked


def brought_together(name: str, nodes: tuple, sizes: tuple, body: Expr) -> Expr:
    """A reduction with a monoid of the table, computed in the accumulator's type; floats are rounded afterwards."""
    held = accumulator(body.dtype) if name in ROUNDING else body.dtype
    reduce = cas.Reduce(named(name, held), nodes, sizes, (cast(body, held),))
    return cast(reduce, body.dtype) if held.is_float else reduce


def _accumulated(name: str, part: Expression) -> Expr:
    """The operand as its reduction takes it: integers in the type that holds their sums, conditions for any and all."""
    if name in ("sum", "prod") and not part.dtype.is_float:
        return cast(part.node, accumulator(part.dtype))
    if name == "logsumexp" and not part.dtype.is_float:
        return cast(part.node, current().default_float)
    if name in ("any", "all") and part.dtype is not BOOL:
        return MapNode(OPS["not_equal"], (part.node, const(0, part.node.dtype)))
    return part.node


def reduction(name: str, x, over) -> Expression:
    """A reduction with a monoid of the table."""
    part, ranks = operand(x, f"ef.{name}"), over_ranks(over)
    node = _accumulated(name, part)
    if node.dtype.letter not in NAMED[name][2]:
        raise TraceError(f"ef.{name} is not defined on {node.dtype}", known=current().known,
                         repair="cast the operand first: x.astype(ef.i64)")
    weak = part.weak and node.dtype is part.dtype
    if not ranks:  # of each element alone
        return Expression(node, part.extents, weak=weak, affine=part.affine, dtype=part.dtype)
    nodes, sizes, left, affine = binder([part], ranks, f"ef.{name}")
    # a weak number is computed in the type of what it meets
    made = cas.Reduce(named(name, node.dtype), nodes, sizes, (node,)) if weak else brought_together(
        name, nodes, sizes, node)
    return Expression(made, left, weak=weak, affine=affine, dtype=part.dtype)


@with_axis("ef.sum")
def total(x, *, over) -> Expression:
    """The sum over ranks; of integers and booleans in i64 (u64 in u64), of nothing 0."""
    return reduction("sum", x, over)


@with_axis("ef.prod")
def prod(x, *, over) -> Expression:
    """The product over ranks; of integers in i64 (u64 in u64), of nothing 1."""
    return reduction("prod", x, over)


@with_axis("ef.max")
def largest(x, *, over) -> Expression:
    """The maximum over ranks; NaN comes through, of nothing -inf (integers: the least)."""
    return reduction("max", x, over)


@with_axis("ef.min")
def smallest(x, *, over) -> Expression:
    """The minimum over ranks; NaN comes through, of nothing inf (integers: the largest)."""
    return reduction("min", x, over)


@with_axis("ef.any")
def anywhere(x, *, over) -> Expression:
    """Whether the condition holds at some coordinate; of nothing False."""
    return reduction("any", x, over)


@with_axis("ef.all")
def everywhere(x, *, over) -> Expression:
    """Whether the condition holds at all coordinates; of nothing True."""
    return reduction("all", x, over)


@with_axis("ef.logsumexp")
def logsumexp(x, *, over) -> Expression:
    """log(sum(exp(x))), without overflow; of nothing -inf."""
    return reduction("logsumexp", x, over)


def count(x: Expression, over) -> Expression:
    """How many coordinates the ranks have together."""
    size: Expr = Const(1, I64)
    for rank in over_ranks(over):
        size = arithmetic("multiply", size, bound(x, rank))
    return Expression(size, {}, weak=True)


@with_axis("ef.mean")
def mean(x, *, over) -> Expression:
    """The sum over ranks, divided by the number of coordinates; of nothing NaN."""
    summed = total(x, over=over)
    return apply("divide", summed, count(operand(x, "ef.mean"), over))


@with_axis("ef.var")
def var(x, *, over) -> Expression:
    """The mean of (x - mean)²; it divides by n, of nothing NaN."""
    part = operand(x, "ef.var")
    away = apply("subtract", part, mean(part, over=over))
    return mean(away * away, over=over)


def _arg(name: str, x, over, carry):
    part, ranks = operand(x, f"ef.{name}"), over_ranks(over)
    part = strong(part)
    carried = [strong(operand(item, f"ef.{name}"))
               for item in (() if carry is None else carry if isinstance(carry, tuple) else (carry,))]
    if not ranks:  # of one element
        return Expression(Const(0, I64), {}) if carry is None else (Expression(Const(0, I64), {}), *carried)
    nodes, sizes, left, affine = binder([part, *carried], ranks, f"ef.{name}")
    place: Expr = Const(0, I64)
    for rank, size in zip(nodes, sizes):
        place = MapNode(OPS["add"], (arithmetic("multiply", place, size), cas.Index(rank)))
    monoid = arg_extremum(name, part.node.dtype, tuple(item.node.dtype for item in carried))
    reduce = cas.Reduce(monoid, nodes, sizes, (part.node, place, *(item.node for item in carried)))
    found = cas.Part(reduce, 1)
    # where all points are absent the index is 0; where there are none at all the call has failed already
    nothing = MapNode(OPS["equal"], (found, monoid.identity[1]))
    index: Expr = Select(nothing, Const(0, I64), found)
    first: dict[Node, Node] = dict.fromkeys(nodes, Const(0, I64))
    taken = [Expression(Select(nothing, substitute(item.node, first), cas.Part(reduce, place)), left, affine=affine,
                        dtype=item.dtype) for place, item in enumerate(carried, 2)]
    for rank, size in zip(nodes, sizes):
        current().need_elements(f"ef.{name} over {rank.name}", size)
    parts = []
    for size in reversed(sizes[1:]):
        parts.append(Expression(arithmetic("remainder", index, size), left, affine=affine))
        index = arithmetic("floor_divide", index, size)
    parts.append(Expression(index, left, affine=affine))
    where_found = parts[0] if not isinstance(over, tuple) else tuple(reversed(parts))
    return where_found if carry is None else (where_found, *taken)


@with_axis("ef.argmax")
def argmax(x, *, over, carry=None):
    """The index of the maximum, over a tuple of ranks a tuple of indices, along all axes the place
    among all elements; the first NaN, else the lowest of ties.

    carry: one expression or a tuple; then the result is (index, their values there ...).
    """
    return _arg("argmax", x, over, carry)


@with_axis("ef.argmin")
def argmin(x, *, over, carry=None):
    """The index of the minimum, over a tuple of ranks a tuple of indices, along all axes the place
    among all elements; the first NaN, else the lowest of ties.

    carry: one expression or a tuple; then the result is (index, their values there ...).
    """
    return _arg("argmin", x, over, carry)


class MonoidByHand:
    """`ef.Monoid(combine, identity, commutative=False)`: an associative function of two elements.

    An element is a number, or a tuple of them; `combine` takes two and gives one. `identity` changes nothing.
    """

    def __init__(self, combine: Callable, identity, commutative: bool = False):
        self.combine, self.identity, self.commutative = combine, identity, commutative


def reduce(x, *, over, by):
    """A reduction with any monoid: one of ef.Monoid, or a name such as "xor", on a scalar or a tuple."""
    if isinstance(by, str):
        if by not in NAMED:
            raise TraceError(f"no monoid is called {by!r}", repair=f"one of {', '.join(NAMED)}, or an ef.Monoid")
        return reduction(by, x, over)
    if not isinstance(by, MonoidByHand):
        raise TraceError(f"by= takes a name or an ef.Monoid, not {by!r}", repair='by="xor", by=ef.Monoid(f, 0.0)')
    is_tuple = isinstance(x, tuple)
    parts = [operand(item, "ef.reduce") for item in (x if is_tuple else (x,))]
    identity = [lift(item) for item in (by.identity if isinstance(by.identity, tuple) else (by.identity,))]
    if len(identity) != len(parts) or any(not isinstance(item.node, Const) for item in identity):
        raise TraceError(f"the identity has {len(identity)} components and the element {len(parts)}",
                         repair="give the identity as one number per component")
    dtypes = []
    for part, item in zip(parts, identity):
        dtype, weak = together([part, item], "reduce")
        dtypes.append(current().default_float if weak and dtype.is_float else dtype)
    monoid = by_hand(by, dtypes, identity, is_tuple)
    ranks = over_ranks(over)
    nodes, sizes, left, affine = binder(parts, ranks, "ef.reduce")
    bodies = tuple(narrowed(part.node, dtype.computed) if part.weak else cast(part.node, dtype.computed)
                   for part, dtype in zip(parts, dtypes))
    node = cas.Reduce(monoid, nodes, sizes, bodies)
    if len(parts) == 1:
        result = Expression(node, left, affine=affine, dtype=dtypes[0])
        return (result,) if is_tuple else result
    return tuple(Expression(cas.Part(node, place), left, affine=affine, dtype=dtype)
                 for place, dtype in enumerate(dtypes))


def check_arity(function: Callable, arguments: list, what: str, repair: str) -> None:
    """Raises: TraceError where a user's function does not take these arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:
        return  # a function without a signature, such as some of Python's own
    except TypeError as error:
        wanted = counted(len(arguments), "argument", "arguments")
        raise TraceError(f"{what} does not take {wanted}: {error}", known=current().known, repair=repair) from None


def by_hand(by: MonoidByHand, dtypes: list[DType], identity: list[Expression], is_tuple: bool) -> Monoid:
    """The node of a user's monoid: its function called once, on symbols."""
    sides = [tuple(Expression(Side(right, place, dtype.computed), {}, dtype=dtype)
                   for place, dtype in enumerate(dtypes)) for right in (False, True)]
    dtypes = [dtype.computed for dtype in dtypes]
    pair = sides if is_tuple else [sides[0][0], sides[1][0]]
    check_arity(by.combine, pair, "the function of a monoid",
                "write a function of two elements, such as lambda a, b: a + b")
    made = by.combine(*pair)
    made = made if isinstance(made, tuple) else (made,)
    if len(made) != len(dtypes):
        raise TraceError(f"the function of the monoid gives {len(made)} components for {len(dtypes)}",
                         repair="give back as many as an element has")
    parts = [lift(item) for item in made]
    for part in parts:
        for leaf in postorder(part.node):
            if isinstance(leaf, Expr) and not isinstance(leaf, Side | Const | MapNode | Select | Cast):
                raise TraceError("the function of a monoid uses what belongs to the kernel around it",
                                 known=current().known, repair="use its arguments and numbers only")
    combine = tuple(fitted(part, dtype) if part.weak else cast(part.node, dtype) for part, dtype in zip(parts, dtypes))
    consts = tuple(number(item.node.value, dtype, "the identity of a monoid") for item, dtype in zip(identity, dtypes))
    name = getattr(by.combine, "__name__", "monoid")
    return Monoid(name if name.isidentifier() else "monoid", consts, combine, by.commutative)



"""Einstein's convention: einsum strings and definitions such as C[i, j] = A[i, k] * B[k, j]."""

from typing import NamedTuple

from einfall.base.errors import TraceError
from einfall.cascade import nodes as cas
from einfall.front.expression import Array, Expression, Rank, Symbolic, apply, counted, lift, ordered, without
from einfall.front.functions import accumulator, binder, brought_together, reduction
from einfall.front.recurrences import Early
from einfall.front.trace import current
from einfall.scalar.nodes import Cast, Expr, Map, cast

__all__ = ["SEMIRINGS", "Definition", "Semiring", "einsum", "tensor"]


class Definition(Symbolic):
    """A tensor that is defined by one assignment; its own definition may read it at earlier points."""

    def __init__(self):
        self.early = Early()

    @property
    def array(self) -> Array | None:
        """The tensor, once it is defined."""
        return self.early.array

    def _called(self):
        return f"tensor {self.array.name}" if self.array is not None else "a tensor that is not defined yet"

    def as_expression(self) -> Expression:
        """What it stands for without an index. Raises: TraceError if it has axes, or is not defined yet."""
        return self._defined().as_expression()

    def __setitem__(self, order, value):
        if self.array is not None or self.early.waiting is not None:
            raise TraceError("a tensor is defined twice", known=current().known, repair="use another name, ef.tensor()")
        order = order if type(order) is tuple else (order,)
        kept = {rank.name for item in order for rank in (item if isinstance(item, tuple) else (item,))
                if isinstance(rank, Rank)}
        self.early.define(summed(lift(value), kept), order)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._defined(), name)

    def __getitem__(self, index):
        if self.array is None:
            return self.early.read(index if type(index) is tuple else (index,))
        return self.array[index]

    def pad(self, value):
        """The tensor with a value outside its axes, also for reading it in its own definition."""
        return self.array.pad(value) if self.array is not None else _Padded(self.early, value)

    def _defined(self) -> Array:
        if self.early.waiting is not None and self.array is None:
            raise TraceError("the definition of a tensor reads another one that is not defined",
                             known=current().known, where=self.early.waits_at(),
                             repair="define the other one, too: D[i] = ...")
        if self.array is None:
            raise TraceError("a tensor is read before it is defined", repair="define it first: C[i, j] = ...")
        return self.array


class _Padded:
    """A tensor before it is defined, with a value outside its axes."""

    def __init__(self, early: Early, value):
        if not isinstance(value, bool | int | float):
            raise TraceError(f"a tensor is padded with {value!r} before it is defined", known=current().known,
                             repair="in its own definition, what lies outside is a number: D.pad(0.0)[t - 1]")
        self.early, self.value = early, value

    def __getitem__(self, index):
        return self.early.read(index if type(index) is tuple else (index,), self.value)


def tensor() -> Definition:
    """A tensor to be defined: `C = ef.tensor(); C[i, j] = A[i, k] * B[k, j]` sums over k.

    A definition may read itself at earlier points, `S[t] = ef.where(t == 0, 0.0, S[t - 1]) + X[t]`: at some axis its
    own rank minus a positive number, at all axes before it the bare ranks of the left side.
    """
    return Definition()


def summed(value: Expression, kept: set[str]) -> Expression:
    """The implicit sums of a definition made explicit: each term over the ranks that the left side lacks."""
    if value.weak or set(value.extents) <= kept:
        return value
    gone = [name for name in value.extents if name not in kept]
    left = {name: binding for name, binding in value.extents.items() if name in kept}
    sums: dict[str, Expr] = {}

    def term(node: Expr) -> Expr:
        match node:
            case Map(op, args) if op.name in ("add", "subtract"):
                terms = tuple(map(term, args))
                if not node.dtype.is_float:  # sums of integers are wide, and the terms beside them follow
                    terms = tuple(cast(item, accumulator(node.dtype)) for item in terms)
                return Map(op, terms)
            case Cast(arg, to) if isinstance(arg, Map) and arg.op.name in ("add", "subtract"):
                return cast(term(arg), to)
        missing = [name for name in gone if cas.Rank(name) in node.free]
        if not missing:
            return node
        _explicit_enough(node, missing)
        part = Expression(node, {name: value.extents[name] for name in value.extents if cas.Rank(name) in node.free},
                          affine=value.affine)
        body = node if node.dtype.is_float else cast(node, accumulator(node.dtype))
        ranks, sizes, _, _ = binder([part], tuple(Rank(name) for name in missing), "an implicit sum")
        sums.update(zip(missing, sizes))
        return brought_together("sum", ranks, sizes, body)

    node = term(value.node)
    return Expression(node, left, affine=without(value, sums, left), dtype=value.dtype)


def _explicit_enough(node: Expr, missing: list[str]) -> None:
    """An implicit sum runs over a chain of factors, and its rank occurs in a factor."""
    factors: list[Expr] = []
    stack = [node]
    while stack:
        item = stack.pop()
        match item:
            case Map(op, (left, right)) if op.name == "multiply":
                stack += [left, right]
            case Map(op, (numerator, _)) if op.name == "divide":
                stack.append(numerator)
            case Map(op, (arg,)) if op.name == "negative":
                stack.append(arg)
            case Cast(arg):
                stack.append(arg)
            case _:
                factors.append(item)
    for name in missing:
        rank = cas.Rank(name)
        is_factor = any((isinstance(factor, cas.Access) and any(rank in index.free for index in factor.indices))
                        or (isinstance(factor, Map) and factor.op.name in ("add", "subtract") and rank in factor.free)
                        for factor in factors)
        alone = isinstance(node.arg if isinstance(node, Cast) else node, cas.Access)
        if alone or not is_factor:
            where = "in an access alone" if alone else "inside a function, a comparison or a denominator only"
            raise TraceError(f"rank {name} is missing on the left and stands {where}", known=current().known,
                             repair=f"write the sum: ef.sum(..., over={name})")


class Semiring(NamedTuple):
    """How the factors of a term come together, and how the terms do."""

    name: str
    factors: str
    terms: str


SEMIRINGS = {name: Semiring(name, factors, terms) for name, factors, terms in (
    ("plus_times", "multiply", "sum"), ("max_plus", "add", "max"), ("min_plus", "add", "min"),
    ("or_and", "bitwise_and", "any"), ("log_plus", "add", "logsumexp"))}


def einsum(subscripts: str, *operands, semiring: Semiring = SEMIRINGS["plus_times"]) -> Array:
    """The Einstein sum of tensors: `ef.einsum("ik,kj->ij", A, B)`; without `->` the letters that occur once, sorted.

    semiring: ef.plus_times, ef.max_plus, ef.min_plus, ef.or_and (of booleans) or ef.log_plus.
    """
    if not isinstance(semiring, Semiring):
        raise TraceError(f"semiring= of ef.einsum is {semiring!r}", known=current().known,
                         repair=f"one of {', '.join(f'ef.{name}' for name in SEMIRINGS)}")
    if not isinstance(subscripts, str):
        raise TraceError(f"ef.einsum begins with its subscripts, not {subscripts!r}",
                         repair='ef.einsum("ik,kj->ij", A, B)')
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    groups = left.split(",")
    for letter in left.replace(",", "") + right:
        if not (letter.isascii() and letter.isalpha()):
            raise TraceError(f"{letter!r} is no subscript in {subscripts!r}",
                             repair="use single letters; einfall's einsum has no ellipsis")
    if len(groups) != len(operands):
        raise TraceError(f"{subscripts!r} names {len(groups)} tensors and {len(operands)} were given",
                         known=current().known, repair="separate the subscripts of each tensor with a comma")
    if not arrow:
        letters = left.replace(",", "")
        right = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    for letter in right:
        if letter not in left or right.count(letter) > 1:
            fault = "twice in the result" if letter in left else "in no operand"
            raise TraceError(f"subscript {letter} of {subscripts!r} stands {fault}",
                             repair="name each axis of the result once, by a letter of an operand")
    factors = []
    for group, operand in zip(groups, operands):
        if not isinstance(operand, Array | Definition):
            raise TraceError(f"ef.einsum takes tensors, not {operand!r}", repair="order it first: E[i, j]")
        if len(group) != operand.ndim:
            axes = counted(len(group), "axis", "axes")
            raise TraceError(f"{group!r} in {subscripts!r} names {axes}; {operand.name} has {operand.ndim}",
                             known=current().known, repair="give one letter per axis")
        factors.append(operand[tuple(Rank(letter) for letter in group)])
    product = factors[0]
    for factor in factors[1:]:
        product = apply(semiring.factors, product, factor)
    gone = tuple(Rank(letter) for letter in dict.fromkeys(left.replace(",", "")) if letter not in right)
    if gone:
        product = reduction(semiring.terms, product, gone)
    return ordered(product, tuple(Rank(letter) for letter in right))


"""Bodies of reductions as normal forms: what in them is an element of the rank, what a reference, what neither.

With respect to a rank, an expression is
  free       without the rank, and without a reduction over it that the same sweep computes
  element    of the rank, and without such a reduction
  reference  a function of such reductions, without the rank
  mixed      both; only these are taken apart, so that what the user wrote in one piece stays in one piece.
"""

from fractions import Fraction
from typing import NamedTuple

from einfall.base.node import Node, children
from einfall.cascade.nodes import Index, Part, Rank, Reduce, State
from einfall.cascade.scope import bound_here
from einfall.derive.forms import Form, NoForm, number
from einfall.derive.signs import is_nonnegative, is_nonpositive, is_positive
from einfall.scalar.nodes import Const, Expr, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["ELEMENT", "FREE", "MIXED", "REFERENCE", "Fact", "NotSeparable", "Reader"]

FREE, ELEMENT, REFERENCE, MIXED = 0, 1, 2, 3


class NotSeparable(Exception):
    """A body that is no sum of products of a reference part and an element part; the reason in words."""


class Fact(NamedTuple):
    """An inequality that holds for every element: `element` is below the reference (above it for a minimum)."""

    element: Expr
    reference: Expr
    is_upper: bool


class Reader:
    """The readings of bodies over one rank, given the reductions that the same sweep has derived so far."""

    def __init__(self, ranks: tuple[Rank, ...]):
        self.ranks = frozenset(ranks)
        self.summaries: dict[Expr, None] = {}
        self.facts: list[Fact] = []
        self.classes: dict[Node, int] = {}
        self.deep_forms: dict[Expr, Form] = {}
        self.places: dict[Expr, float] = {}
        self.read: set[Expr] = set()  # the atoms of the body that is being read

    def place(self, atom: Expr) -> float:
        """Where an atom stands among the others: in the order in which bodies were read."""
        if atom not in self.places:
            if isinstance(atom, Map) and atom.op.name == "log":
                return self.place(atom.args[0]) + 0.5
            self.places[atom] = float(len(self.places))
        return self.places[atom]

    def add_summary(self, node: Expr) -> None:
        """A reduction whose value a later body may refer to."""
        self.summaries[node] = None
        self.classes.clear()

    # Classes

    def class_of(self, expr: Node) -> int:
        """FREE, ELEMENT, REFERENCE or MIXED."""
        found = self.classes.get(expr)
        if found is None:
            found = self.classes[expr] = self._class_of(expr)
        return found

    def _class_of(self, expr: Node) -> int:
        if expr in self.summaries:
            return REFERENCE
        found = FREE
        if isinstance(expr, Index) and expr.rank in self.ranks:
            return ELEMENT
        bound = bound_here(expr)
        for child in children(expr):
            below = self.class_of(child)
            if below & REFERENCE and bound and any(bound & node.free for node in self.summaries_in(child)):
                inner = ", ".join(sorted(rank.name for rank in bound))
                raise NotSeparable(f"a reduction over {inner} inside it reads a value for each {inner}")
            found |= below
        if found & ELEMENT and not self.ranks & getattr(expr, "free", frozenset()):
            found &= ~ELEMENT  # the rank is bound inside
        return found

    def summaries_in(self, expr: Node) -> list[Expr]:
        """The reductions of this sweep that an expression reads, not those below them."""
        found, seen, stack = [], set(), [expr]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in self.summaries:
                found.append(node)
            else:
                stack.extend(children(node))
        return found

    # Forms

    def body(self, expr: Expr) -> Form:
        """The normal form of a whole body.

        Raises: NotSeparable, also where an operand cancels altogether: what is not a number in it has to reach the
        result.
        """
        self.read = set()
        made = self.form(expr)
        left = made.atoms()
        left |= {atom.args[0] for atom in left if isinstance(atom, Map) and atom.op.name == "log"}
        if not self.read <= left:
            raise NotSeparable("an operand cancels")
        return made

    def form(self, expr: Expr) -> Form:
        """The normal form of a body. Raises: NotSeparable."""
        kind = self.class_of(expr)
        if isinstance(expr, Const):
            return self.constant(expr)
        if kind != MIXED:
            self.read.add(expr)
            self.place(expr)
            return Form.atom(expr)
        try:
            return self.taken_apart(expr, self.form)
        except NoForm as problem:
            raise NotSeparable(f"{problem} of elements and references together") from None

    def deep(self, expr: Expr) -> Form:
        """The form of any expression, taken apart as far as possible: for proofs, not for programs."""
        if expr not in self.deep_forms:
            self.deep_forms[expr] = Form.atom(expr)  # what a proof about its parts may know of it
            try:
                made = self.constant(expr) if isinstance(expr, Const) else self.taken_apart(expr, self.deep)
            except (NoForm, NotSeparable):
                made = Form.atom(expr)
            self.deep_forms[expr] = made
        return self.deep_forms[expr]

    def constant(self, expr: Const) -> Form:
        if expr.dtype.is_float and abs(expr.value) < float("inf"):
            return number(Fraction(expr.value))
        return Form.atom(expr)

    def taken_apart(self, expr: Expr, inner) -> Form:
        """The form of an operator from the forms of its arguments. Raises: NoForm, NotSeparable."""
        match expr:
            case Map(op, (left, right)) if op.name in ("add", "subtract", "multiply"):
                a, b = inner(left), inner(right)
                return a + b if op.name == "add" else a - b if op.name == "subtract" else a * b
            case Map(op, (left, right)) if op.name == "divide":
                return inner(left) * inner(right).power(Fraction(-1), is_positive)
            case Map(op, (base, Const(power))) if op.name == "pow":
                return inner(base).power(Fraction(power), is_positive)
            case Map(op, (left, right)) if op.name in ("maximum", "minimum"):
                return self.chosen(op.name, inner(left), inner(right))
            case Map(op, (arg,)):
                return self.function(op.name, inner(arg), expr)
            case Select(condition, yes, no) if expr.dtype.is_float:
                return self.selection(condition, yes, no, inner)
        raise NoForm(name_of(expr))

    def function(self, name: str, arg: Form, expr: Map) -> Form:
        match name:
            case "negative":
                return -arg
            case "exp":
                return arg.exp()
            case "expm1":
                return arg.exp() - number(1)
            case "exp2":
                two = Form.atom(Map(OPS["log"], (const(2, expr.dtype),)))
                return (arg * two).exp()
            case "log":
                return arg.log(is_positive)
            case "log1p":
                return (arg + number(1)).log(is_positive)
            case "sqrt" | "rsqrt":
                return arg.power(Fraction(1 if name == "sqrt" else -1, 2), is_positive)
            case "abs":
                if self.is_nonpositive(arg):
                    return -arg
                if self.is_nonpositive(-arg):
                    return arg
        raise NoForm(f"{name}()")

    def chosen(self, name: str, left: Form, right: Form) -> Form:
        """maximum or minimum of two forms whose order is known."""
        if self.is_nonpositive(left - right):
            return right if name == "maximum" else left
        if self.is_nonpositive(right - left):
            return left if name == "maximum" else right
        raise NoForm(f"{name}()")

    def selection(self, condition: Expr, yes: Expr, no: Expr, inner) -> Form:
        """A selection by elements, or by an element being the extremum, as a sum with indicators."""
        kind = self.class_of(condition)
        if kind & REFERENCE and self.selector(condition) is None:
            raise NotSeparable("a condition compares elements with a reference that is not their extremum")
        made = Form({})
        for side, is_yes in ((yes, True), (no, False)):
            if isinstance(side, Const) and side.value == 0:
                continue
            if not is_yes and kind & REFERENCE:
                raise NotSeparable("a value where an element is not the extremum")
            holds = condition if is_yes else Map(OPS["invert"], (condition,))
            flag = Select(holds, const(1, side.dtype), const(0, side.dtype))
            self.place(flag)
            made = made + Form.atom(flag) * inner(side)
        return made

    def selector(self, condition: Expr) -> Fact | None:
        """The fact behind `element == extremum`."""
        match condition:
            case Map(op, args) if op.name == "equal":
                for fact in self.facts:
                    if {fact.element, fact.reference} == set(args):
                        return fact
        return None

    # Proofs

    def is_nonpositive(self, form: Form) -> bool:
        """Whether the facts and signs prove that a form is never above 0."""
        form = self.deepened(form)
        for fact in self.facts:
            gap = self.deep(fact.element) - self.deep(fact.reference)
            gap = gap if fact.is_upper else -gap  # never above 0
            reference = Form.atom(fact.reference)
            factor = _factor_of(form, fact.reference)
            if factor is None or not factor:
                continue
            if fact.is_upper:
                factor = -factor
            if reference and all(_sign(key, value) >= 0 for key, value in factor.terms.items()):
                form = form - factor * gap
        return all(_sign(key, value) <= 0 for key, value in form.terms.items())

    def deepened(self, form: Form) -> Form:
        """The form with its atoms taken apart."""
        values = {atom: self.deep(atom) for atom in form.atoms()}
        try:
            return form.substituted({atom: value for atom, value in values.items() if value != Form.atom(atom)},
                                    is_positive)
        except NoForm:
            return form


def name_of(expr: Expr) -> str:
    """What an expression is, in a word."""
    match expr:
        case Map(op):
            return f"{op.name}()"
        case Reduce(monoid, ranks) | Part(Reduce(monoid, ranks)):
            return f"{monoid.name} over {', '.join(rank.name for rank in ranks)}"
        case State():
            return "the state of a scan"
    return type(expr).__name__.lower()


def _factor_of(form: Form, atom: Expr) -> Form | None:
    """What an atom is multiplied with in a form that is linear in it; None if it is not linear."""
    factor: dict = {}
    for (powers, exponent), value in form.terms.items():
        if exponent is not None and atom in exponent.atoms():
            return None
        power = dict(powers).get(atom)
        if power is not None:
            if power != 1:
                return None
            factor[powers - {(atom, power)}, exponent] = value
    return Form(factor)


def _sign(key, value) -> int:
    """1 where a term is never negative, -1 where it is never positive; for 0 and unknown signs what proves nothing."""
    powers, _ = key
    sign = 1 if value > 0 else -1
    for atom, power in powers:
        if power % 2 == 0 or is_nonnegative(atom):
            continue
        if is_nonpositive(atom) and power.denominator == 1:
            sign = -sign
            continue
        return UNKNOWN
    return sign


class _Unknown(int):
    """A sign that fails every comparison."""

    def __le__(self, other):
        return False

    def __ge__(self, other):
        return False


UNKNOWN = _Unknown()

"""The normal form of derivation: a sum of terms, each a rational number times powers of atoms times exp of a form.

    exp(x - m) * (x - m)  =  1 * x * exp(x - m)  +  -1 * m * exp(x - m)

An atom is an expression that the form does not look into. Terms are told apart by their powers and their exponent, so
that equality of forms is equality of dictionaries. Everything here is exact.
"""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction

from einfall.scalar.dtypes import DType
from einfall.scalar.nodes import Const, Expr, Leaf, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["Form", "NoForm", "Symbol", "expression", "is_indicator", "number"]

Key = tuple[frozenset, "Form | None"]


class NoForm(Exception):
    """An operation whose result is not a form."""


class Symbol(Leaf):
    """A number that stands for an expression during a derivation: a displacement, a flag."""

    name: str
    type: DType

    def type_of(self):
        return self.type

    def weak(self):
        return False


def is_indicator(atom: Expr) -> bool:
    """Whether an atom is 1 or 0: it is its own square, and a product with it is a selection."""
    match atom:
        case Select(_, Const(yes), Const(no)):
            return yes == 1 and no == 0
    return False


class Form:
    """A sum of terms; `terms` gives for each (powers, exponent) its coefficient. Immutable."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: dict[Key, Fraction]):
        self.terms = {key: value for key, value in terms.items() if value}
        self._hash = hash(frozenset(self.terms.items()))

    @staticmethod
    def atom(atom: Expr) -> "Form":
        return Form({(frozenset(((atom, Fraction(1)),)), None): Fraction(1)})

    def __hash__(self):
        return self._hash

    def __eq__(self, other):
        return isinstance(other, Form) and self.terms == other.terms

    def __bool__(self):
        return bool(self.terms)

    def __add__(self, other: "Form") -> "Form":
        terms = dict(self.terms)
        for key, value in other.terms.items():
            terms[key] = terms.get(key, Fraction(0)) + value
        return Form(terms)

    def __neg__(self):
        return self.scaled(Fraction(-1))

    def __sub__(self, other: "Form") -> "Form":
        return self + -other

    def scaled(self, by: Fraction) -> "Form":
        return Form({key: value * by for key, value in self.terms.items()})

    def __mul__(self, other: "Form") -> "Form":
        terms: dict[Key, Fraction] = {}
        for (powers, exponent), value in self.terms.items():
            for (powers_b, exponent_b), value_b in other.terms.items():
                key = _multiplied(powers, powers_b), _sum_of_exponents(exponent, exponent_b)
                terms[key] = terms.get(key, Fraction(0)) + value * value_b
        return Form(terms)

    def power(self, exponent: Fraction, is_positive: Callable[[Expr], bool]) -> "Form":
        """The form to a constant power. Raises: NoForm."""
        if exponent.denominator == 1 and 0 <= exponent <= 8:
            made = number(1)
            for _ in range(int(exponent)):
                made = made * self
            return made
        ((powers, inside), value), *more = self.terms.items() or [((None, None), None)]
        if more or value is None:
            raise NoForm("a sum to a power that is not a small positive integer")
        whole = exponent.denominator == 1
        if not whole and not (value > 0 and all(is_positive(atom) for atom, _ in powers)):
            raise NoForm("a root of what may be negative")
        if any(is_indicator(atom) for atom, _ in powers):
            raise NoForm("a division by a selection")
        coefficient = _rational_power(value, exponent)
        return Form({(frozenset((atom, power * exponent) for atom, power in powers),
                      None if inside is None else inside.scaled(exponent)): coefficient})

    def exp(self) -> "Form":
        """exp of the form; rational multiples of logarithms become powers."""
        powers: frozenset = frozenset()
        rest: dict[Key, Fraction] = {}
        for (inner, exponent), value in self.terms.items():
            (atom, power), *more = inner or [(None, None)]
            if not more and power == 1 and exponent is None and isinstance(atom, Map) and atom.op.name == "log":
                powers = _multiplied(powers, frozenset(((atom.args[0], value),)))
            else:
                rest[inner, exponent] = value
        return Form({(powers, Form(rest) if rest else None): Fraction(1)})

    def log(self, is_positive: Callable[[Expr], bool]) -> "Form":
        """log of a form that is one positive term. Raises: NoForm."""
        if len(self.terms) != 1:
            raise NoForm("the logarithm of a sum")
        ((powers, exponent), value), = self.terms.items()
        if value != 1 or not all(is_positive(atom) for atom, _ in powers):
            raise NoForm("the logarithm of what may be negative")
        made = Form({}) if exponent is None else exponent
        for atom, power in powers:
            made = made + Form.atom(Map(OPS["log"], (atom,))).scaled(power)
        return made

    def atoms(self) -> set[Expr]:
        """All atoms, those in exponents too."""
        found: set[Expr] = set()
        for powers, exponent in self.terms:
            found.update(atom for atom, _ in powers)
            if exponent is not None:
                found |= exponent.atoms()
        return found

    def derivative(self, by: Expr) -> "Form":
        """The derivative by an atom; of the other atoms only its logarithm depends on it."""
        made = Form({})
        for (powers, exponent), value in self.terms.items():
            term = Form({(powers, exponent): value})
            for atom, power in powers:
                inner = number(1) if atom is by else _logarithm_by(atom, by)
                if inner is not None:
                    lowered = Form({(_multiplied(powers, frozenset(((atom, Fraction(-1)),))), exponent): value * power})
                    made = made + lowered * inner
            if exponent is not None:
                made = made + term * exponent.derivative(by)
        return made

    def substituted(self, values: dict[Expr, "Form"], is_positive: Callable[[Expr], bool]) -> "Form":
        """The form with forms in place of atoms. Raises: NoForm."""
        made = Form({})
        for (powers, exponent), value in self.terms.items():
            kept = frozenset(item for item in powers if item[0] not in values)
            term = Form({(kept, None): value})
            for atom, power in powers - kept:
                term = term * values[atom].power(power, is_positive)
            if exponent is not None:
                term = term * exponent.substituted(values, is_positive).exp()
            made = made + term
        return made

    def __repr__(self):
        return f"Form({self.terms})"


def number(value: int | Fraction) -> Form:
    """A rational number as a form."""
    return Form({(frozenset(), None): Fraction(value)})


def _logarithm_by(atom: Expr, by: Expr) -> Form | None:
    """The derivative of log(by)."""
    if isinstance(atom, Map) and atom.op.name == "log" and atom.args[0] is by:
        return Form({(frozenset(((by, Fraction(-1)),)), None): Fraction(1)})
    return None


def _multiplied(powers: frozenset, others: frozenset) -> frozenset:
    if not others or not powers:
        return powers or others
    together = dict(powers)
    for atom, power in others:
        together[atom] = Fraction(1) if is_indicator(atom) else together.get(atom, Fraction(0)) + power
    return frozenset(item for item in together.items() if item[1])


def _sum_of_exponents(left: Form | None, right: Form | None) -> Form | None:
    if left is None or right is None:
        return left or right
    return left + right or None


def _rational_power(value: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator == 1:
        return value ** int(exponent)
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    if exponent.denominator != 2 or root * root != value:
        raise NoForm("an irrational coefficient")
    return root ** exponent.numerator


def expression(form: Form, dtype: DType, order: Callable[[Expr], int], values: dict[Expr, Expr] | None = None) -> Expr:
    """The form as an expression: terms with one exponent share its exp, indicators become selections.

    order: where an atom stands, so that the same program always gives the same text; values: what atoms stand for.
    """
    return _Writer(dtype, order, values or {}).sum(form)


class _Writer:
    """One form being written out."""

    def __init__(self, dtype: DType, order: Callable[[Expr], int], values: dict[Expr, Expr]):
        self.dtype, self.order, self.values = dtype, order, values

    def sum(self, form: Form) -> Expr:
        groups: dict[tuple, dict[Key, Fraction]] = {}
        for (powers, exponent), value in form.terms.items():
            flags = frozenset(item for item in powers if is_indicator(item[0]))
            groups.setdefault((flags, exponent), {})[powers - flags, None] = value
        if not groups:
            return const(0, self.dtype)
        written = sorted((self.rank_of(flags, exponent), flags, exponent, terms)
                         for (flags, exponent), terms in groups.items())
        total: Expr | None = None
        for _, flags, exponent, terms in written:
            total = self.added(total, terms, flags, exponent)
        return total

    def rank_of(self, flags: frozenset, exponent: Form | None) -> tuple:
        """Where a group of terms stands; no two groups stand at one place."""
        return self.powers_place(flags), exponent is not None, self.place(exponent)

    def place(self, form: Form | None) -> str:
        """A text that tells forms apart, the same in every run."""
        terms = () if form is None else form.terms.items()
        return "+".join(sorted(f"{self.powers_place(powers)}*{value}({self.place(exponent)})"
                               for (powers, exponent), value in terms))

    def added(self, total: Expr | None, terms: dict[Key, Fraction], flags: frozenset, exponent: Form | None) -> Expr:
        """total + flags * exp(exponent) * (terms)."""
        ordered = sorted(terms.items(), key=lambda item: (item[1] < 0, self.powers_place(item[0][0])))
        if exponent is None and not flags:
            for (powers, _), value in ordered:
                total = self.signed(total, self.product(powers, abs(value)), value < 0)
            return total
        negative = ordered[0][1] < 0
        inner = None
        for (powers, _), value in ordered:
            inner = self.signed(inner, self.product(powers, abs(value)), (value < 0) != negative)
        if exponent is not None:
            power = Map(OPS["exp"], (self.sum(exponent),))
            inner = power if _is(inner, 1) else Map(OPS["multiply"], (power, inner))
        for atom, _ in sorted(flags, key=lambda item: self.order(item[0])):
            shown = self.values.get(atom, atom)
            inner = Select(shown.condition, inner, const(0, self.dtype))
        return self.signed(total, inner, negative)

    def powers_place(self, powers: Iterable) -> str:
        return "*".join(sorted(f"{self.order(atom):06}^{power}" for atom, power in powers))

    def signed(self, total: Expr | None, term: Expr, is_negative: bool) -> Expr:
        if total is None:
            return Map(OPS["negative"], (term,)) if is_negative else term
        return Map(OPS["subtract" if is_negative else "add"], (total, term))

    def product(self, powers: frozenset, coefficient: Fraction) -> Expr:
        """coefficient * atoms, those with negative powers below the line."""
        above: Expr | None = None
        below: Expr | None = None
        for atom, power in sorted(powers, key=lambda item: self.order(item[0])):
            value = self.raised(self.values.get(atom, atom), abs(power))
            if power > 0:
                above = value if above is None else Map(OPS["multiply"], (above, value))
            else:
                below = value if below is None else Map(OPS["multiply"], (below, value))
        if above is None or coefficient != 1:
            factor = const(float(coefficient), self.dtype)
            above = factor if above is None else Map(OPS["multiply"], (factor, above))
        return above if below is None else Map(OPS["divide"], (above, below))

    def raised(self, base: Expr, power: Fraction) -> Expr:
        if power.denominator == 1:
            made = base
            for _ in range(int(power) - 1):
                made = Map(OPS["multiply"], (made, base))
            return made
        if power == Fraction(1, 2):
            return Map(OPS["sqrt"], (base,))
        return Map(OPS["pow"], (base, const(float(power), self.dtype)))


def _is(expr: Expr, value: int) -> bool:
    return isinstance(expr, Const) and expr.value == value

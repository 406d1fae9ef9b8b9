"""Sums that depend on other reductions: a basis that moves with the references, and how it moves.

The body f(x; r) is written as a sum of products h(r) g(x). The functions f(.; r) then span a space of finite dimension;
a basis phi(x; b) of it, attached to references b, moves by a matrix: phi(x; b') = C phi(x; b). So the sums of phi are
a state that can be kept while the references are still changing, and f = p . phi at the end.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import NamedTuple

from einfall.cascade.nodes import Reduce
from einfall.derive.forms import Form, NoForm, Symbol, is_indicator, number
from einfall.derive.reading import ELEMENT, REFERENCE, NotSeparable, Reader
from einfall.derive.signs import is_nonnegative, is_positive
from einfall.scalar.nodes import Cast, Const, Expr, Map

__all__ = ["Move", "Refused", "SumForm", "derive_sum", "one_term"]

MOST_REFERENCES = 4
HIGHEST_ORDER = 5
HIGHEST_FACTOR = 2
MOST_DERIVATIVES = 100
MOST_TOGETHER = 3  # elements that are shifted with one reference


class Refused(Exception):
    """A reduction that has no one-pass form; the reason in words."""


class Move(NamedTuple):
    """How a reference is moved: `kind` location (x - b), scale (x / b) or free (no symmetry with an element).

    elements: the atoms that the reference is taken from; step: the symbol of b - b' or b / b', and of a free reference
    at its second place; before: that of a free reference at its first.
    """

    reference: Expr
    kind: str
    elements: tuple[Expr, ...]
    step: Symbol
    before: Symbol


class Symmetry(NamedTuple):
    """The body does not change when the elements and the reference are shifted, or are scaled, together."""

    elements: tuple[Expr, ...]
    reference: Expr
    kind: str


class SumForm(NamedTuple):
    """A sum in terms of a basis: phi in elements with references taken off, C in the steps, p in the references."""

    basis: tuple[Form, ...]
    shared: tuple[int | None, ...]  # the components that are such a sum already
    matrix: tuple[tuple[Form, ...], ...]
    weights: tuple[Form, ...]
    moves: tuple[Move, ...]
    hoisted: tuple[Expr, ...]
    selector: Expr | None
    kind: str  # contraction, unipotent, ...
    rank: int


def derive_sum(reader: Reader, body: Form, pool: list[tuple[Form, int]], dtype) -> SumForm:
    """The basis, matrix and weights of a sum. `pool`: basis functions that are summed already, and their components.

    Raises: Refused, NotSeparable, NoForm.
    """
    body, selector = without_selector(reader, body)
    body, outside = _without_common_factor(reader, body)
    if any(abs(power) > HIGHEST_FACTOR for powers, _ in outside.terms for _, power in powers):
        raise Refused("a high power of a reference: what is left without it may leave the range of numbers")
    found = _derived(reader, body, pool, dtype, selector)
    if outside == number(1):
        return found
    weights = tuple(weight * outside for weight in found.weights)
    moved = {move.reference for move in found.moves}
    hoisted = sorted({*found.hoisted, *outside.atoms()} - moved, key=reader.place)
    return found._replace(weights=weights, hoisted=tuple(hoisted))


def _derived(reader: Reader, body: Form, pool: list[tuple[Form, int]], dtype, selector: Expr | None
             ) -> SumForm:
    """A sum without factors that all its terms have. Raises: Refused, NotSeparable, NoForm."""
    parts = split(reader, body)
    references = [atom for atom in ordered_atoms(reader, body) if reader.class_of(atom) == REFERENCE]
    families = _families(references)
    pairs = _symmetries(reader, body, references)
    _check_moments(reader, body, references, pairs)
    slopes = _derivatives(body, references)
    for hoisted in _choices(families, pairs, reader):
        found = _basis(reader, body, parts, hoisted, pairs, [form for form, _ in pool], references, slopes)
        if found is None:
            continue
        moved = [reference for reference in references if reference not in hoisted]
        moves = tuple(_move(place, reference, pairs, dtype) for place, reference in enumerate(moved))
        made = _moving(reader, body, found, moves, hoisted, selector, pool)
        if not _divides_by_free(made):
            return made
    raise Refused("no reference can be kept at which every exponent is provably 0 or less")


def without_selector(reader: Reader, body: Form) -> tuple[Form, Expr | None]:
    """The body without the indicator of an extremum that all its terms have, and that indicator."""
    flags = {atom for powers, _ in body.terms for atom, _ in powers
             if is_indicator(atom) and reader.class_of(atom) & REFERENCE}
    if not flags:
        return body, None
    if len(flags) > 1 or not all(any(atom in flags for atom, _ in powers) for powers, _ in body.terms):
        raise Refused("some terms count only at an extremum and others everywhere")
    (flag,) = flags
    return Form({(frozenset(item for item in powers if item[0] is not flag), exponent): value
                 for (powers, exponent), value in body.terms.items()}), flag


def _without_common_factor(reader: Reader, body: Form) -> tuple[Form, Form]:
    """The body without the powers of references that all its terms have, and these: (x - b)^2 / b moves like (x - b)^2.

    Nothing is taken out of one term, which is hoisted as it is, or where the body moves with the reference already.
    """
    if len(body.terms) < 2:
        return body, number(1)
    references = [atom for atom in ordered_atoms(reader, body) if reader.class_of(atom) == REFERENCE]
    symmetric = {reference for _, reference, _ in _symmetries(reader, body, references)}
    powers = [dict(powers) for powers, _ in body.terms]
    least = {atom: min(held.get(atom, Fraction(0)) for held in powers) for held in powers for atom in held
             if reader.class_of(atom) == REFERENCE and atom not in symmetric and not is_indicator(atom)}
    outside = Form({(frozenset((atom, power) for atom, power in least.items() if power), None): Fraction(1)})
    inverse = Form({(frozenset((atom, -power) for atom, power in least.items() if power), None): Fraction(1)})
    return body * inverse, outside


def split(reader: Reader, body: Form) -> dict[Form, Form]:
    """{h: g} with body = sum of h(references) g(elements); g that go with one h are brought together."""
    by_element: dict[tuple, Form] = {}
    for (powers, exponent), value in body.terms.items():
        element, reference = [], []
        for atom, power in powers:
            (element if _kind(reader, atom) == ELEMENT else reference).append((atom, power))
        inside, outside = _split_exponent(reader, exponent)
        key = frozenset(element), inside
        term = Form({(frozenset(reference), outside): value})
        by_element[key] = by_element.get(key, Form({})) + term
    parts: dict[Form, Form] = {}
    for key, factor in by_element.items():
        lead = _lead(reader, factor)
        alike = factor.scaled(1 / lead)
        parts[alike] = parts.get(alike, Form({})) + Form({key: lead})
    return parts


def _kind(reader: Reader, atom: Expr) -> int:
    kind = reader.class_of(atom)
    if kind & ELEMENT and kind & REFERENCE:
        raise NotSeparable("an element and a reference are bound together")
    return kind


def _split_exponent(reader: Reader, exponent: Form | None) -> tuple[Form | None, Form | None]:
    """The exponent as a sum of one over elements and one without them."""
    inside: dict = {}
    outside: dict = {}
    for key, value in ({} if exponent is None else exponent.terms).items():
        powers, deeper = key
        atoms = {atom for atom, _ in powers} | (set() if deeper is None else deeper.atoms())
        kinds = {_kind(reader, atom) for atom in atoms}
        if ELEMENT in kinds and REFERENCE in kinds:
            raise NotSeparable("an exponent multiplies an element with a reference")
        (inside if ELEMENT in kinds else outside)[key] = value
    return Form(inside) or None, Form(outside) or None


def _text(reader: Reader, key: tuple) -> str:
    """A text that tells terms apart and orders them, the same in every run."""
    powers, exponent = key
    inside = "" if exponent is None else "+".join(sorted(_text(reader, item) for item in exponent.terms))
    return "*".join(sorted(f"{reader.place(atom):08}^{power}" for atom, power in powers)) + f"({inside})"


def _lead(reader: Reader, form: Form) -> Fraction:
    """The coefficient of the term that comes first in a fixed order."""
    return min(form.terms.items(), key=lambda item: _text(reader, item[0]))[1]


def ordered_atoms(reader: Reader, form: Form) -> list[Expr]:
    """The atoms, in a fixed order."""
    return sorted(form.atoms(), key=reader.place)


def _families(references: list[Expr]) -> list[tuple[Expr, ...]]:
    """References with their logarithms: one is hoisted with the other."""
    families: dict[Expr, list[Expr]] = {}
    for atom in references:
        base = atom.args[0] if _is_logarithm(atom) else atom
        families.setdefault(base, []).append(atom)
    return [tuple(family) for family in families.values()]


def _symmetries(reader: Reader, body: Form, references: list[Expr]) -> list[Symmetry]:
    """What leaves the body as it is: one or several elements and a reference shifted, or scaled, together."""
    elements = [atom for atom in ordered_atoms(reader, body)
                if reader.class_of(atom) == ELEMENT and not is_indicator(atom)]
    slopes = {atom: body.derivative(atom) for atom in (*elements, *references)}
    found: list[Symmetry] = []
    for reference in references:
        for element in elements:
            if not slopes[element] + slopes[reference]:
                found.append(Symmetry((element,), reference, "location"))
            elif not (Form.atom(element) * slopes[element] + Form.atom(reference) * slopes[reference]):
                found.append(Symmetry((element,), reference, "scale"))
        if any(item.reference is reference for item in found):
            continue
        sets = (itertools.combinations(elements, count) for count in range(2, MOST_TOGETHER + 1))
        for some in itertools.chain.from_iterable(sets):
            if not sum((slopes[element] for element in some), slopes[reference]):
                found.append(Symmetry(some, reference, "location"))
                break
    return found


def _choices(families: list[tuple[Expr, ...]], pairs: list[Symmetry], reader: Reader) -> Iterable[tuple[Expr, ...]]:
    """The references that are taken out of the sum, the most first; the others stay and are moved."""
    if len(families) > MOST_REFERENCES:
        raise Refused(f"it depends on {len(families)} reductions at once")
    extrema = {fact.reference for fact in reader.facts}
    held = {reference for _, reference, kind in pairs if kind == "location" or reference in extrema}
    free = [family for family in families if not held & set(family)]
    for count in range(len(free), -1, -1):
        for chosen in itertools.combinations(free, count):
            yield tuple(atom for family in chosen for atom in family)


def _check_moments(reader: Reader, body: Form, references: list[Expr], pairs: list[Symmetry]) -> None:
    """Refuses powers of differences to a reference that may be far from its elements: sums of their parts would cancel.

    With a reference no element may move; or one does, and the reference is none of the places between elements, so
    that it may come from far away.

    Raises: Refused.
    """
    for reference in references:
        alike = [item for item in pairs if item.reference is reference]
        shifted = [element for item in alike if item.kind == "location" for element in item.elements]
        if len(shifted) == sum(len(item.elements) for item in alike) > 0 and any(
                power > 1 for powers, _ in body.terms for atom, power in powers if atom is reference) and (
                not _is_a_place(reader, reference, shifted)):
            raise Refused("a power of a difference to a reference that is no mean and no extremum of the elements")
        if _is_logarithm(reference) or alike:
            continue
        powers = {dict(powers).get(reference, Fraction(0)) for powers, _ in body.terms}
        if 0 in powers and max(powers) >= 1:
            raise Refused("a difference to a reference with which no element moves: sums of its parts would cancel")


def _is_a_place(reader: Reader, reference: Expr, elements: list[Expr]) -> bool:
    """Whether a reference is the mean, weighted or not, of elements, or an extremum, whatever has been read so far."""
    wanted = [reader.deep(element) for element in elements]
    wanted.append(sum(wanted[1:], wanted[0]))
    match _without_casts(reference):
        case Reduce(monoid, bodies=(body,)) if monoid.name in ("max", "min"):
            return reader.deep(body) in wanted
        case Map(op, (above, below)) if op.name == "divide":
            match _without_casts(above), _without_casts(below):
                case Reduce(monoid, bodies=(body,)), Reduce(other, bodies=(weight,)):
                    return monoid.name == other.name == "sum" and any(
                        reader.deep(body) == reader.deep(weight) * one for one in wanted)
                case Reduce(monoid, _, (extent,), (body,)), number_of:
                    is_count = number_of is extent or (
                        isinstance(extent, Const) and isinstance(number_of, Const) and extent.value == number_of.value)
                    return monoid.name == "sum" and is_count and reader.deep(body) in wanted
    return False


def _without_casts(expr: Expr) -> Expr:
    while isinstance(expr, Cast):
        expr = expr.arg
    return expr


def _divides_by_free(made: SumForm) -> bool:
    """Whether a correction divides by a reference that may be 0."""
    symbols = {symbol for move in made.moves if move.kind == "free" and not is_positive(move.reference)
               for symbol in (move.before, move.step)}
    return any(power < 0 and atom in symbols for row in made.matrix for form in row for powers, _ in form.terms
               for atom, power in powers)


def _at_rest(form: Form, hoisted: tuple[Expr, ...]) -> Form:
    """A form where hoisted references do nothing: 1 for those that scale, 0 for the others. Raises: NoForm."""
    rest = {atom: number(1 if is_positive(atom) and not _is_logarithm(atom) else 0) for atom in hoisted}
    try:
        return form.substituted(rest, is_positive)
    except NoForm:  # one divides
        return form.substituted({atom: value if _is_logarithm(atom) else number(1) for atom, value in rest.items()},
                                is_positive)


def _is_logarithm(atom: Expr) -> bool:
    return isinstance(atom, Map) and atom.op.name == "log"


def _basis(reader: Reader, body: Form, parts: dict[Form, Form], hoisted: tuple[Expr, ...], pairs: list[Symmetry],
           pool: list[Form], references: list[Expr], slopes: list[Form]) -> list[Form] | None:
    """Functions that span the body's space, are as symmetric as it is, and have no exponent that may grow."""
    try:
        at_rest = [_at_rest(form, hoisted) for form in (body, *slopes)]
    except NoForm:
        return None
    moved = [atom for atom in references if atom not in hoisted]
    kept: list[Form] = []
    wanted = len(parts)
    if not moved:  # each part by itself: sums of several would cancel when the references are applied
        candidates: Iterable[Form] = parts.values()
    else:
        candidates = itertools.chain(at_rest[:1], pool, at_rest[1:])
    for candidate in candidates:
        stripped = _stripped(reader, candidate, pairs, moved)
        if not stripped or stripped in kept or not _is_in_span(reader, stripped, parts):
            continue
        if any(reader.class_of(atom) == REFERENCE and atom not in moved for atom in stripped.atoms()):
            continue
        if not _is_invariant(stripped, pairs, moved) or not _is_safe(reader, stripped):
            continue
        if _numeric_rank(reader, [*kept, stripped]) > len(kept):
            kept.append(stripped)
        if len(kept) == wanted:
            return kept
    return None


def _stripped(reader: Reader, form: Form, pairs: list[Symmetry], moved: list[Expr]) -> Form:
    """The form without a numeric factor: with references taken off, its first term has the factor 1."""
    off = {reference for _, reference, kind in pairs if kind == "location" and reference in moved}
    terms = {key: value for key, value in form.terms.items() if off.isdisjoint(atom for atom, _ in key[0])}
    shown = Form(terms) or form
    return form.scaled(1 / _lead(reader, shown)) if form else form


def _derivatives(form: Form, references: list[Expr]) -> list[Form]:
    """The partial derivatives by references, lower orders first."""
    layer, found = [form], {}
    for _ in range(HIGHEST_ORDER):
        layer = [slope for one in layer for slope in (one.derivative(by) for by in references) if slope]
        layer = [slope for slope in dict.fromkeys(layer) if slope not in found]
        found |= dict.fromkeys(layer)
        if len(found) > MOST_DERIVATIVES:
            break
    return list(found)


def _is_in_span(reader: Reader, form: Form, parts: dict[Form, Form]) -> bool:
    """Whether a function is a combination of the g(x), with coefficients in references."""
    keys = _element_keys(reader, form)
    columns = [_element_keys(reader, part) for part in parts.values()]
    known = set().union(*columns)
    if not set(keys) <= known:
        return False
    rows = [[_at_random(reader, column.get(key, Form({}))) for key in known] for column in columns]
    return _rank([*rows, [_at_random(reader, keys.get(key, Form({}))) for key in known]]) == _rank(rows)


def _element_keys(reader: Reader, form: Form) -> dict[tuple, Form]:
    """{(element powers, element exponent): factor}."""
    found: dict[tuple, Form] = {}
    for (powers, exponent), value in form.terms.items():
        element = frozenset(item for item in powers if reader.class_of(item[0]) == ELEMENT)
        inside, outside = _split_exponent(reader, exponent)
        key = element, inside
        found[key] = found.get(key, Form({})) + Form({(powers - element, outside): value})
    return found


def _is_invariant(form: Form, pairs: list[Symmetry], moved: list[Expr]) -> bool:
    for elements, reference, kind in pairs:
        if reference not in moved:
            continue
        total = Form({})
        for atom in (*elements, reference):
            slope = form.derivative(atom)
            total = total + (Form.atom(atom) * slope if kind == "scale" else slope)
        if total:
            return False
    return True


def _is_safe(reader: Reader, form: Form) -> bool:
    """Whether every exponent is provably 0 or less, and no element that may vanish divides."""
    for powers, exponent in form.terms:
        if exponent is not None and not reader.is_nonpositive(exponent):
            return False
        if any(power < 0 and reader.class_of(atom) == ELEMENT and not is_positive(atom) for atom, power in powers):
            return False
    return True


def _numeric_rank(reader: Reader, forms: list[Form]) -> int:
    columns = [_element_keys(reader, form) for form in forms]
    keys = list(dict.fromkeys(key for column in columns for key in column))
    return _rank([[_at_random(reader, column.get(key, Form({}))) for key in keys] for column in columns])


def _at_random(reader: Reader, form: Form) -> float:
    """The value of a form where each atom has a number of its own between 1 and 2."""
    total = 0.0
    for (powers, exponent), value in form.terms.items():
        term = float(value)
        for atom, power in powers:
            term *= random.Random(reader.place(atom)).uniform(1.0, 2.0) ** float(power)
        if exponent is not None:
            term *= math.exp(_at_random(reader, exponent))
        total += term
    return total


def _rank(rows: list[list[float]]) -> int:
    rows = [list(row) for row in rows]
    rank = 0
    for column in range(len(rows[0]) if rows else 0):
        best = max(range(rank, len(rows)), key=lambda row: abs(rows[row][column]), default=None)
        if best is None or abs(rows[best][column]) < 1e-9:
            continue
        rows[rank], rows[best] = rows[best], rows[rank]
        for row in range(rank + 1, len(rows)):
            factor = rows[row][column] / rows[rank][column]
            rows[row] = [a - factor * b for a, b in zip(rows[row], rows[rank])]
        rank += 1
    return rank


def _move(number_of: int, reference: Expr, pairs: list[Symmetry], dtype) -> Move:
    step, before = Symbol(f"step {number_of}", dtype), Symbol(f"before {number_of}", dtype)
    for elements, other, kind in pairs:
        if other is reference:
            return Move(reference, kind, elements, step, before)
    return Move(reference, "free", (), step, before)


def _moving(reader: Reader, body: Form, kept: list[Form], moves: tuple[Move, ...], hoisted: tuple[Expr, ...],
            selector: Expr | None, pool: list[tuple[Form, int]]) -> SumForm:
    """The matrix of a basis in the steps of its references, and the weights of the body in it."""
    at_origin: dict[Expr, Form] = {}
    stepped: dict[Expr, Form] = {}
    for move in moves:
        step = Form.atom(move.step)
        if move.kind == "location":
            at_origin[move.reference] = stepped[move.reference] = number(0)
            for element in move.elements:
                stepped[element] = stepped.get(element, Form.atom(element)) + step
        elif move.kind == "scale":
            at_origin[move.reference] = stepped[move.reference] = number(1)
            for element in move.elements:
                stepped[element] = stepped.get(element, Form.atom(element)) * step
        else:
            at_origin[move.reference] = Form.atom(move.before)
            stepped[move.reference] = step
    basis = [form.substituted(at_origin, is_positive) for form in kept]
    after = [form.substituted(stepped, is_positive) for form in kept]
    target = body.substituted(at_origin, is_positive)
    rows = [_element_keys(reader, form) for form in basis]
    solve = _solver(rows)
    *matrix, weights = (solve(_element_keys(reader, form)) for form in (*after, target))
    if weights is None or None in matrix:
        raise NoForm("a basis in which it cannot be written term by term")
    back = {move.before: Form.atom(move.reference) for move in moves if move.kind == "free"}
    matrix, weights = tuple(map(tuple, matrix)), tuple(weight.substituted(back, is_positive) for weight in weights)
    shared = tuple(next((place for form, place in pool if form == one), None) for one in kept)
    return SumForm(tuple(basis), shared, matrix, weights, moves, hoisted, selector, _kind_of(reader, matrix, moves),
                   len(basis))


def one_term(form: Form) -> bool:
    """Whether a form can be divided by."""
    return len(form.terms) == 1 and not any(is_indicator(atom) for powers, _ in form.terms for atom, _ in powers)


def _solver(rows: list[dict]) -> Callable[[dict], list[Form] | None]:
    """A function that writes a row as a combination of the given ones, or gives None.

    None also where a combination would have to divide by a sum of terms.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))
    size = len(rows)
    table = [[row.get(key, Form({})) for key in keys] + [number(int(i == j)) for j in range(size)]
             for i, row in enumerate(rows)]
    pivots: list[tuple[int, int]] = []
    left = list(range(size))
    while left:
        found = next(((i, j) for i in left for j in range(len(keys)) if one_term(table[i][j])), None)
        if found is None:
            return lambda row: None
        i, j = found
        inverse = table[i][j].power(Fraction(-1), lambda atom: True)
        table[i] = [item * inverse for item in table[i]]
        for other in range(size):
            if other != i and table[other][j]:
                factor = table[other][j]
                table[other] = [a - factor * b for a, b in zip(table[other], table[i])]
        pivots.append((i, j))
        left.remove(i)

    def solve(row: dict) -> list[Form] | None:
        if not set(row) <= set(keys):
            return None
        values = [row.get(key, Form({})) for key in keys] + [Form({})] * size
        for i, j in pivots:
            factor = values[j]
            if factor:
                values = [a - factor * b for a, b in zip(values, table[i])]
        if any(values[:len(keys)]):
            return None
        return [-item for item in values[len(keys):]]

    return solve


def _kind_of(reader: Reader, matrix: tuple[tuple[Form, ...], ...], moves: tuple[Move, ...]) -> str:
    """What the matrix does to old errors; exponents in it must be provably 0 or less.

    Raises: Refused.
    """
    if not moves:
        return "fixed"
    falling = {fact.reference: fact.is_upper for fact in reader.facts}
    for row in matrix:
        for form in row:
            for _, exponent in form.terms:
                if exponent is not None and not _shrinks(exponent, moves, falling):
                    raise Refused("its correction may grow: an exponent has no sign")
    diagonal = [row[place] for place, row in enumerate(matrix)]
    mixed = any(form for i, row in enumerate(matrix) for j, form in enumerate(row) if i != j)
    if all(form == number(1) for form in diagonal):
        return "unipotent" if mixed else "fixed"
    return "contraction times unipotent" if mixed else "contraction"


def _shrinks(exponent: Form, moves: tuple[Move, ...], falling: dict[Expr, bool]) -> bool:
    """Whether an exponent in the steps of references is 0 or less: the step of a maximum never is above 0."""
    steps = {move.step: move for move in moves if move.kind == "location"}
    for (powers, deeper), value in exponent.terms.items():
        found = [atom for atom, _ in powers if atom in steps]
        if deeper is not None or len(found) != 1 or dict(powers)[found[0]] != 1:
            return False
        is_upper = falling.get(steps[found[0]].reference)
        others = all(is_nonnegative(atom) or power % 2 == 0 for atom, power in powers if atom is not found[0])
        if is_upper is None or not others or (value > 0) != is_upper:
            return False
    return True

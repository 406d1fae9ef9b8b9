"""The rank of a body found by trying: an independent witness of what the normal form says.

f is evaluated at eleven values of everything that is an element and eleven of everything that is a reference, with
fifty digits. The rank of that table is at most the dimension of the space that f(.; r) spans: a rank above eight means
that no state of eight sums carries it.
"""

import random
from collections.abc import Callable
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext

from einfall.base.node import Node
from einfall.derive.reading import ELEMENT, MIXED, REFERENCE, Reader
from einfall.derive.signs import is_positive
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select

__all__ = ["HIGHEST", "probed_rank"]

POINTS = 11
HIGHEST = 8  # a rank above this is no state
DIGITS = 50
RESIDUE = Decimal("1e-35")


def _tanh(x: Decimal) -> Decimal:
    e = (2 * x).exp()
    return (e - 1) / (e + 1)


FUNCTIONS: dict[str, Callable] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b, "pow": lambda a, b: a ** b, "negative": lambda a: -a, "abs": abs,
    "minimum": min, "maximum": max, "exp": lambda a: a.exp(), "log": lambda a: a.ln(), "sqrt": lambda a: a.sqrt(),
    "rsqrt": lambda a: 1 / a.sqrt(), "exp2": lambda a: Decimal(2) ** a, "expm1": lambda a: a.exp() - 1,
    "log1p": lambda a: (a + 1).ln(), "log2": lambda a: a.ln() / Decimal(2).ln(), "log10": lambda a: a.log10(),
    "tanh": _tanh, "sigmoid": lambda a: 1 / (1 + (-a).exp()), "sign": lambda a: Decimal((a > 0) - (a < 0)),
    "floor": lambda a: a.to_integral_value("ROUND_FLOOR"), "ceil": lambda a: a.to_integral_value("ROUND_CEILING"),
    "trunc": int, "round": lambda a: a.to_integral_value("ROUND_HALF_EVEN"),
    "less": lambda a, b: a < b, "less_equal": lambda a, b: a <= b, "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b, "equal": lambda a, b: a == b, "not_equal": lambda a, b: a != b,
    "bitwise_and": lambda a, b: a & b, "bitwise_or": lambda a, b: a | b, "invert": lambda a: not a,
}


def probed_rank(reader: Reader, body: Expr) -> int | None:
    """The rank of f on eleven elements and eleven references; None where an operator has no such evaluation."""
    draw = random.Random(0)
    atoms: dict[Node, tuple[Decimal, ...]] = {}

    def values_of(atom: Expr) -> tuple[Decimal, ...]:
        """Eleven values (one for what is neither), where the facts hold between any two of them."""
        if atom not in atoms:
            low, high = (1, 3) if is_positive(atom) else (-1, 1)
            for fact in reader.facts:
                if atom is fact.reference:
                    low, high = (2, 4) if fact.is_upper else (-4, -2)
            kind = reader.class_of(atom)
            count = POINTS if kind in (ELEMENT, REFERENCE) else 1
            # one in each part of the range, so that elements and references lie among each other
            share = Decimal(high - low) / count
            atoms[atom] = tuple(low + share * place + share * draw.randrange(1, 1000) / 1000 for place in range(count))
        return atoms[atom]

    def at(expr: Expr, row: int, column: int):
        kind = reader.class_of(expr)
        if isinstance(expr, Const):
            return expr.value if isinstance(expr.value, bool) else Decimal(expr.value)
        if kind != MIXED:
            if expr.dtype.kind == "bool":
                return values_of(expr)[(row if kind == ELEMENT else column) % len(values_of(expr))] > 0
            return values_of(expr)[row if kind == ELEMENT else column if kind == REFERENCE else 0]
        match expr:
            case Map(op, args):
                return FUNCTIONS[op.name](*(at(arg, row, column) for arg in args))
            case Select(condition, yes, no):
                return at(yes if at(condition, row, column) else no, row, column)
            case Cast(arg):
                return Decimal(at(arg, row, column))
        raise KeyError(type(expr).__name__)

    with localcontext(Context(prec=DIGITS, traps=[InvalidOperation, DivisionByZero, Overflow])):
        try:
            return _rank([[Decimal(at(body, row, column)) for column in range(POINTS)] for row in range(POINTS)])
        except (KeyError, InvalidOperation, DivisionByZero, Overflow):
            return None


def _rank(rows: list[list[Decimal]]) -> int:
    """The rank, by elimination with the largest pivot."""
    rank, size = 0, len(rows)
    scale = max(abs(item) for row in rows for item in row)
    while rank < size:
        i, j = max(((i, j) for i in range(rank, size) for j in range(rank, size)),
                   key=lambda place: abs(rows[place[0]][place[1]]))
        if abs(rows[i][j]) <= RESIDUE * scale:
            break
        rows[rank], rows[i] = rows[i], rows[rank]
        for row in rows:
            row[rank], row[j] = row[j], row[rank]
        for row in rows[rank + 1:]:
            factor = row[rank] / rows[rank][rank]
            for column in range(rank, size):
                row[column] -= factor * rows[rank][column]
        rank += 1
    return rank

"""A cascade as text, one definition a line, and back: `parse(text(cascade)) is cascade`.

The text has Python's syntax, and is read with Python's own parser:

    def attention(Q: f32[2], K: f32[2]):
        S[k, q] = sum[d < Q.shape[1]](Q[q, d] * K[k, d])
        m[q] = max[k < K.shape[0]](S[k, q])
        return tensor[q < Q.shape[0]](m[q])

A definition names an expression with its free ranks, and is used with the same ranks; `tensor[...]` and `scan[...]`
bind theirs and are read at coordinates. A number without a type has that of its neighbour (i64 if it has none).
"""

import re
from collections import Counter
from collections.abc import Mapping

from einfall.base.node import Node, children, postorder
from einfall.cascade.nodes import (
    Access,
    Cascade,
    Coordinate,
    History,
    Index,
    Input,
    Label,
    Part,
    Pattern,
    Reduce,
    Scalar,
    Scan,
    Size,
    State,
    Tensor,
)
from einfall.scalar.monoids import NAMED, Monoid
from einfall.scalar.nodes import Cast, Expr, Map, Select
from einfall.scalar.text import Printer as ScalarPrinter
from einfall.scalar.text import literal_text, monoid_word

__all__ = ["Printer", "text"]


def text(cascade: Cascade, names: Mapping[Node, str] | None = None) -> str:
    """The program as text; `names` are the user's words for nodes."""
    return Printer(cascade, names or {}).program()


class Printer(ScalarPrinter):
    """One printing: which nodes have lines of their own, and what they are called."""

    def __init__(self, cascade: Cascade, names: Mapping[Node, str]):
        self.cascade, self.user_names = cascade, names
        self.names: dict[Node, str] = {}
        self.taken = {item.name for item in cascade.inputs} | {"tensor", "scan", "where", "cast", "rounded", "inf",
                                                               "nan", "inside"}
        for node in postorder(*cascade.outputs):
            if isinstance(node, Index | Label):
                self.taken.add(node.rank.name if isinstance(node, Index) else node.name)

    def program(self) -> str:
        head = ", ".join(f"{item.name}: {item.dtype}" + (f"[{_axes(item)}]" if isinstance(item, Input) else "")
                         for item in self.cascade.inputs)
        lines = [f"def {self.cascade.name}({head}):"]
        uses = Counter(child for node in postorder(*self.cascade.outputs) for child in children(node))
        for node in postorder(*self.cascade.outputs):
            if self.deserves_line(node, uses[node]):
                body = self.defined(node)
                self.names[node] = name = self.named(node)
                lines.append(f"    {name}{self.ranks_of(node)} = {body}")
        lines.append(f"    return {', '.join(self.defined(output) for output in self.cascade.outputs)}")
        return "\n".join(lines) + "\n"

    def deserves_line(self, node: Node, uses: int) -> bool:
        match node:
            case Tensor():
                return node not in self.cascade.outputs or uses > 0
            case Reduce() | Scan():
                return True
            case Monoid():
                return self.monoid(node) != monoid_word(node.name)
            case Map() | Select() | Cast():  # the insides of monoids have no free variables
                return bool(node.free) and (uses > 1 or node in self.user_names)
        return False

    def ranks_of(self, node: Node) -> str:
        """The free ranks of a defined expression, as written where it is defined and used."""
        if not isinstance(node, Expr):
            return ""
        ranks = sorted(variable.name for variable in node.free if not isinstance(variable, Label))
        return f"[{', '.join(ranks)}]" if ranks else ""

    def named(self, node: Node) -> str:
        wanted = self.user_names.get(node)
        if wanted is None:
            wanted = node.name if isinstance(node, Monoid) else "t"
        wanted = re.sub(r"\W", "_", wanted)
        name, number = wanted, 1
        while name in self.taken or name in NAMED or (wanted == "t" and number == 1):
            name, number = f"{wanted}{number}", number + 1
        self.taken.add(name)
        return name

    def binders(self, ranks, extents) -> str:
        return ", ".join(f"{rank.name} < {self.form(extent, 2)}" for rank, extent in zip(ranks, extents))

    def defined(self, node: Node) -> str:
        """What stands behind the name of a node with a line of its own."""
        match node:
            case Tensor(ranks, extents, body):
                binders = self.binders(ranks, extents)
                return f"tensor[{binders}]({self.form(body)})" if ranks else f"tensor({self.form(body)})"
            case Reduce(monoid, ranks, extents, bodies):
                name = self.names.get(monoid) or monoid_word(monoid.name)
                return f"{name}[{self.binders(ranks, extents)}]({', '.join(map(self.form, bodies))})"
            case Scan():
                return self.scan(node)
            case Monoid():
                return self.monoid(node)
        return self.form(node)

    def scan(self, scan: Scan) -> str:
        states = []
        for place, (axes, extents, init, step) in enumerate(zip(scan.axes, scan.extents, scan.inits, scan.steps)):
            binders = f"[{self.binders(axes, extents)}]" if axes else ""
            states.append(f"{scan.label.name}_{place}{binders}({self.form(init)}, {self.form(step)})")
        flags = "".join(f", {flag}=True" for flag in ("exclusive", "reverse", "last") if getattr(scan, flag))
        return f"scan[{scan.rank.name} < {self.form(scan.extent, 2)}]({', '.join(states)}{flags})"

    def form(self, node: Node, outer: int = 0) -> str:
        if node in self.names:
            return self.names[node] + self.ranks_of(node)
        return super().form(node, outer)

    def leaf(self, node: Node) -> str:
        match node:
            case Index(rank):
                return rank.name
            case Size(name, axis):
                return f"{name}.shape[{axis}]"
            case Scalar(name) | Input(name):
                return name
            case Coordinate(arg):
                return f"inside({self.form(arg)})"
            case Pattern(name):
                return f"{name}.stored"
            case State(label, place):
                return f"{label.name}_{place}"
            case History(scan, place):
                return f"{self.names[scan]}.states[{place}]"
            case Part(reduce, place):
                return f"{self.names[reduce]}{self.ranks_of(reduce)}.parts[{place}]"
            case Access():
                return self.access(node)
        raise TypeError(f"not part of a cascade: {node!r}")

    def access(self, node: Access) -> str:
        source = self.names.get(node.source) or self.form(node.source)
        if node.outside is not None:
            source += f".pad({literal_text(node.outside)})"
        return f"{source}[{', '.join(map(self.form, node.indices)) or '()'}]"


def _axes(item: Input) -> str:
    """The number of axes of an input, and between which numbers its elements are."""
    if item.domain is None:
        return str(item.ndim)
    low, high = item.domain.low, item.domain.high
    above = "" if low is None else f"{literal_text(low)} {'<=' if item.domain.reaches_low else '<'} "
    below = "" if high is None else f" {'<=' if item.domain.reaches_high else '<'} {literal_text(high)}"
    return f"{item.ndim}, {above}{item.name}{below}"

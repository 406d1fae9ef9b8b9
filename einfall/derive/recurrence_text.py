"""A recurrence in chunks as text: what it is, what is computed of a chunk, and why that is right.

A reader who knows the mathematics can write the loop from it. i and j are steps of one chunk, in order; S is the state
before its first step and S' the one after its last.
"""

from collections.abc import Mapping

from einfall.base.node import Node
from einfall.cascade.nodes import Cascade, History, Part, Rank, Reduce, Scan, Tensor
from einfall.cascade.text import Printer
from einfall.derive.chunks import LEAF
from einfall.derive.recurrences import Recurrence, prepared
from einfall.scalar.nodes import Expr

__all__ = ["text"]

WHY = {"none": "no gate", "scalar": "a gate without axes that sums over keys or values go through",
       "key-wise": "a gate for each {keys}", "value-wise": "a gate for each {values}"}


def text(recurrence: Recurrence, cascade: Cascade, size: int, names: Mapping[Node, str] | None = None) -> str:
    """One recurrence of a cascade, in chunks of so many steps; or why not. `names` are the user's words for nodes."""
    printer = _Formulas(prepared(cascade), names or {})
    scan = recurrence.scan
    rank = f"{scan.rank.name} < {printer.form(scan.extent, 2)}"
    if recurrence.form != "chunks":
        return f"the recurrence over {rank}, step by step: {recurrence.reason}\n"
    page = _Page(recurrence, printer)
    lines = [f"the recurrence over {rank}, in chunks of {size} steps{' from the end' if scan.reverse else ''}"]
    for title, section in (("as written", page.written()), ("products of gates, in a chunk", page.gates(size)),
                           ("what is fed back, in a chunk", page.feedback()),
                           ("from chunk to chunk", page.states()), ("what is read", page.read()),
                           ("because", page.because())):
        lines += [f"  {title}", *(f"    {line}" for line in section)] if section else []
    return "\n".join(lines) + "\n"


class _Formulas(Printer):
    """Expressions written out: what has a line of its own in a program stands where it is read."""

    def leaf(self, node: Node) -> str:
        match node:
            case Reduce() | Scan() | Tensor():
                return self.defined(node)
            case History(scan, place):
                return f"{self.form(scan)}.states[{place}]"
            case Part(reduce, place):
                return f"{self.form(reduce)}.parts[{place}]"
        return super().leaf(node)


class _Page:
    """The formulas of one recurrence."""

    def __init__(self, recurrence: Recurrence, printer: _Formulas):
        self.recurrence, self.printer = recurrence, printer
        self.keys = ", ".join(rank.name for rank in recurrence.keys)
        self.values = ", ".join(rank.name for rank in recurrence.axes if rank not in recurrence.keys)
        self.axes = ", ".join(filter(None, (self.keys, self.values)))
        gated = frozenset().union(*(gate.free for gate in recurrence.gates))
        self.of_gate = "".join(f", {rank.name}" for rank in recurrence.axes if rank in gated)
        self.on_keys, self.on_values = recurrence.kind == "key-wise", recurrence.kind == "value-wise"
        self.is_gated = bool(recurrence.gates)

    def numbered(self, name: str, place: int, items: tuple) -> str:
        return name if len(items) == 1 else f"{name}{place + 1}"

    def names(self, name: str, items: tuple) -> list[str]:
        return [self.numbered(name, place, items) for place in range(len(items))]

    def over(self, expr: Expr, axes: tuple[Rank, ...]) -> str:
        """The axes that an expression depends on, in brackets."""
        own = [rank.name for rank in axes if rank in expr.free]
        return f"[{', '.join(own)}]" if own else ""

    def product(self, name: str, index: str) -> str:
        """A product of gates as a factor; nothing without gates."""
        return f"{name}[{index}{self.of_gate}] * " if self.is_gated else ""

    def written(self) -> list[str]:
        it, form = self.recurrence, self.printer.form
        terms = [f"gate * S[{self.axes}]" if self.is_gated else f"S[{self.axes}]"]
        a, b, k, u = (self.names(name, items) for name, items in (
            ("a", it.feedback), ("b", it.feedback), ("k", it.sources), ("u", it.sources)))
        terms += [f"{x}[{self.keys}] * sum[{self.keys}]({y}[{self.keys}] * S[{self.axes}])" for x, y in zip(a, b)]
        terms += [f"{x}[{self.keys}] * {y}[{self.values}]" for x, y in zip(k, u)]
        binders = self.printer.binders(it.axes, it.extents)
        lines = [f"S[{binders}] begins as {form(it.scan.inits[it.place])}",
                 f"step {it.scan.rank.name} makes of it {' + '.join(terms)}"]
        if self.is_gated:
            lines.append("gate = " + " * ".join(form(gate, 8) for gate in it.gates))
        for place, pair in enumerate(it.feedback):
            lines += [f"{a[place]}[{self.keys}] = {form(pair.a)}", f"{b[place]}[{self.keys}] = {form(pair.b)}"]
        for place, source in enumerate(it.sources):
            lines += [f"{k[place]}[{self.keys}] = {form(source.k)}", f"{u[place]}[{self.values}] = {form(source.u)}"]
        when = "before" if it.scan.exclusive else "after"
        q = self.names("q", it.readouts)
        for name, readout in zip(q, it.readouts):
            for read in readout.reads:
                lines.append(f"read {when} each step as sum[{self.keys}]({name}[{self.keys}] * S[{self.axes}]), "
                             f"{name}[{self.keys}] = {form(read.q)}")
        return lines

    def gates(self, size: int) -> list[str]:
        if not self.is_gated:
            return []
        it = self.recurrence
        is_strict, is_read = bool(it.feedback) or it.scan.exclusive, bool(it.readouts) and not it.scan.exclusive
        lines = [f"P[i{self.of_gate}] = the product of the gates of its steps up to i"]
        if is_strict:
            lines.append(f"P-[i{self.of_gate}] = the same without that of i")
        lines.append(f"E[j{self.of_gate}] = the product of the gates behind j")
        if is_read:
            lines.append(f"L[i, j{self.of_gate}] = the product of the gates behind j up to i: 1 where i == j")
        if is_strict:
            same = "the same" if is_read else "the product of the gates behind j up to i"
            lines.append(f"L-[i, j{self.of_gate}] = {same} without that of i, for j < i")
        if (self.on_keys or self.on_values) and (is_read or is_strict):
            leaf = min(LEAF, size)
            lines += [f"{'L' if is_read else 'L-'} is not stored: where i and j are in different blocks of {leaf}, "
                      f"{2 * leaf}, ... steps, it is (the gates from",
                      "the beginning of the block of i to i) * (those behind j to the end of the block of j), of the "
                      "largest such blocks: a",
                      f"factor with i and one with j; in blocks of {leaf} steps it is written out"]
        return lines

    def score(self, left: str, right: str, decay: str) -> str:
        """A sum over keys of a factor of step i, gates, and a factor of step j."""
        gates = f" * {decay}[i, j{self.of_gate}]" if self.on_keys else ""
        outer = f"{decay}[i, j{self.of_gate}] * " if self.is_gated and not self.on_keys and not self.on_values else ""
        return f"{outer}sum[{self.keys}]({left}[i, {self.keys}]{gates} * {right}[j, {self.keys}])"

    def feedback(self) -> list[str]:
        it = self.recurrence
        a, b, k, u = (self.names(name, items) for name, items in (
            ("a", it.feedback), ("b", it.feedback), ("k", it.sources), ("u", it.sources)))
        x, w, v = (self.names(name, it.feedback) for name in ("x", "W", "U"))
        lines = []
        for place in range(len(it.feedback)):
            known = [f"{self.score(b[place], a[other], 'L-')} * " for other in range(len(a))]
            more_w = "".join(f" + sum[j < i]({score}{w[n]}[j, {self.keys}])" for n, score in enumerate(known))
            more_u = [f"sum[j < i]({score}{v[n]}[j, {self.values}])" for n, score in enumerate(known)]
            from_sources = [f"sum[j < i]({self.score(b[place], key, 'L-')} * {value}[j, {self.values}])"
                            for key, value in zip(k, u)]
            lines += [f"{x[place]}[i, {self.values}] = sum[{self.keys}]({w[place]}[i, {self.keys}] * S[{self.axes}]) + "
                      f"{v[place]}[i, {self.values}], which is sum[{self.keys}]({b[place]} * the state before step i)",
                      f"{w[place]}[i, {self.keys}] = {self.product('P-', 'i')}{b[place]}[i, {self.keys}]{more_w}",
                      f"{v[place]}[i, {self.values}] = {' + '.join([*from_sources, *more_u])}"]
        return lines + (["step after step: what is on the right belongs to earlier steps"] if lines else [])

    def pairs(self) -> list[tuple[str, str]]:
        """The names of all factors over keys and over values."""
        it = self.recurrence
        names = [self.names(name, items) for name, items in (
            ("k", it.sources), ("u", it.sources), ("a", it.feedback), ("x", it.feedback))]
        return [*zip(names[0], names[1]), *zip(names[2], names[3])]

    def states(self) -> list[str]:
        terms = [f"{self.product('P', 'last')}S[{self.axes}]"]
        terms += [f"sum[j]({self.product('E', 'j')}{k}[j, {self.keys}] * {u}[j, {self.values}])"
                  for k, u in self.pairs()]
        return [f"S'[{self.axes}] = {' + '.join(terms)}"]

    def read(self) -> list[str]:
        it, lines = self.recurrence, []
        mark, below = ("-", "j < i") if it.scan.exclusive else ("", "j <= i")
        for q in self.names("q", it.readouts):
            inner = self.product(f"P{mark}", "i") if self.on_keys else ""
            outer = "" if self.on_keys else self.product(f"P{mark}", "i")
            terms = [f"{outer}sum[{self.keys}]({inner}{q}[i, {self.keys}] * S[{self.axes}])"]
            decay = self.product(f"L{mark}", "i, j") if self.on_values else ""
            terms += [f"sum[{below}]({self.score(q, k, f'L{mark}')} * {decay}{u}[j, {self.values}])"
                      for k, u in self.pairs()]
            lines.append(f"step i: {' + '.join(terms)}")
        if it.scan.last:
            lines.append("the state after the last chunk")
        return lines

    def because(self) -> list[str]:
        it = self.recurrence
        lines = [WHY[it.kind].format(keys=self.keys, values=self.values) + {
            "mask": ": it leaves the sums over keys, and is a factor of what they give",
            "halving": ": cut between two steps it is a factor of each side",
            "halving on values": ": cut between two steps it is a factor of each side, beside the values"}.get(
                it.how, ": what a step adds stays as it is")]
        if it.feedback:
            lines.append("what is fed back is one more source, and a read-out before its step: linear in S and in "
                         "itself at earlier steps")
        if self.is_gated:
            lines.append("products of gates are multiplied, not divided and not taken from logarithms: gates of 0, "
                         "below 0 and nan need nothing else")
            lines.append("no gate is above 1 in size, so products do not overflow" if it.guard is None else
                         f"products do not overflow where {self.printer.form(it.guard)}")
        return lines

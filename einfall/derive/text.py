"""A derivation as text: what the state is, how it takes elements, what it means at the end, and why that is right.

A reader who knows the mathematics can write the loop from it. A prime marks values after a portion of elements. No
state has the name of an operation: sum[k](...) is a sum over a portion, total what has been summed so far.
"""

from collections.abc import Mapping

from einfall.base.node import Node, children, postorder, rewrite
from einfall.cascade.explicit import inline
from einfall.cascade.nodes import Access, Cascade, Label, Rank, Reduce, State
from einfall.cascade.text import Printer
from einfall.derive.derive import Derivation, Derived
from einfall.derive.fuse import FINAL, Group, Guard, Proof
from einfall.scalar.dtypes import DTYPES
from einfall.scalar.nodes import Cast, Expr, Map, Select
from einfall.scalar.text import literal_text, monoid_word

__all__ = ["text"]


def text(derivation: Derivation, cascade: Cascade, names: Mapping[Node, str] | None = None,
         used: frozenset[int] | None = None) -> str:
    """The derivation of a cascade; `names` are the user's words for nodes, `used` the places of the states in use."""
    printer = _Printer(inline(cascade, only_bare=True), names or {})
    printer.program()
    pages = [printer.state(state, used is None or place in used) for place, state in enumerate(derivation.states)]
    pages += [printer.refusal(refusal) for refusal in derivation.refusals]
    pages += printer.results()
    return "\n\n".join(pages) + "\n" if pages else ""


class _Printer(Printer):
    """The printer of a cascade, which also knows the components of one state."""

    def __init__(self, cascade: Cascade, names: Mapping[Node, str]):
        super().__init__(cascade, names)
        self.group: Group | None = None
        self.component_names: list[str] = []
        self.told: set[Node] = set()  # the names of which a state before has told what they stand for
        self.symbols: dict[Expr, str] = {}  # the words for references, and for the count as a float

    # States

    def state(self, derived: Derived, is_used: bool) -> str:
        group = self.group = derived.group
        self.component_names = self.names_of(derived)
        words = self.words(derived)
        ranks = self.binders(derived.fused.ranks, derived.fused.extents)
        members = ", ".join(self.names[member] for member in derived.members)
        sweeps = _sweeps(derived)
        lines = [f"{members}: one sweep over {ranks} instead of {sweeps}" + (
            "" if is_used else "; at these sizes it saves nothing and is not used")]
        lines += self.section("as written", self.definitions((*derived.members, *(
            self.plain(component.element) for component in group.components))))
        outer = sorted(variable.name for variable in derived.fused.free if isinstance(variable, Rank))
        lines += self.section("the state" + (f", for each {', '.join(outer)}," if outer else "") + " begins as", [
            f"{self.named_component(place)} = {literal_text(component.monoid.identity[0])}"
            for place, component in enumerate(derived.fused.components)])
        names = ", ".join(rank.name for rank in derived.fused.ranks)
        lines += self.section(f"a portion of {names} takes it to (' marks what is new)", [
            line for place in range(len(group.components))
            for line in (self.step(derived, place), *words.get(place, ()))])
        lines += self.section("where", self.guards(derived))
        if any(component.moved is not group.at(group.before, place)
               for place, component in enumerate(group.components)):
            new = dict.fromkeys(self.form(group.at_moment(move.reference, group.after))
                                for proof in derived.proofs for move in proof.moves)
            to = f" to {', '.join(new)}" if new else ""
            lines.append(f"  the states of two parts of {names} come together likewise: each moved{to}, then added")
        lines += self.section("at the end", [*map(self.result, derived.members), *self.no_numbers(derived)])
        alike: dict[tuple[str, ...], list[str]] = {}
        for proof in derived.proofs:
            alike.setdefault(tuple(self.proof(proof)), []).append(self.names[proof.reduction])
        lines += self.section("because", [
            line for (head, *rest), whose in alike.items() for line in (f"{', '.join(whose)}: {head}", *rest)])
        return "\n".join(lines)

    def words(self, derived: Derived) -> dict[int, list[str]]:
        """Words for references that are functions of components: what each stands for, after the last of these."""
        self.symbols, group = {}, derived.group
        found: dict[str, tuple[int, str]] = {}
        if group.count is not None:
            for label in (group.before, group.after, FINAL):
                for dtype in (DTYPES["f32"], DTYPES["f64"]):
                    self.symbols[Cast(group.at(label, group.count), dtype)] = self.form(group.at(label, group.count))
        for move in (move for proof in derived.proofs for move in proof.moves):
            before, after = (group.at_moment(move.reference, label) for label in (group.before, group.after))
            if isinstance(before, Access) or before in self.symbols:
                continue
            user = self.user_names.get(move.reference)
            word = _unused(user or "r", {*found} if user else {*found, *self.taken, *self.component_names})
            last = max(node.place for node in postorder(before) if isinstance(node, State))
            found[word] = last, f"{word} = {self.form(before)}, {word}' = {self.form(self.plain(after))}"
            self.symbols |= {before: word, after: f"{word}'", group.at_moment(move.reference, FINAL): word}
        lines: dict[int, list[str]] = {}
        for last, line in found.values():
            lines.setdefault(last, []).append(line)
        return lines

    def form(self, node: Node, outer: int = 0) -> str:
        return self.symbols[node] if node in self.symbols else super().form(node, outer)

    def section(self, title: str, lines: list[str]) -> list[str]:
        return [f"  {title}", *(f"    {line}" for line in lines)] if lines else []

    def names_of(self, derived: Derived) -> list[str]:
        """A word for each component: the user's for its reduction, or what the monoid has made so far."""
        group, found = derived.group, []
        reductions = {place: node for node, place in group.places.items()}
        for place, component in enumerate(group.components):
            if reductions.get(place) in self.user_names:
                found.append(self.names[reductions[place]])
            else:
                named = component.name if component.name in ("n", "some") else ""
                word = named or SO_FAR.get(component.monoid.name, "state")
                found.append(_unused(word, {*found, *self.taken}))
        return found

    def named_component(self, place: int) -> str:
        component = self.group.components[place]
        binders = self.binders(component.axes, component.extents)
        return self.component_names[place] + (f"[{binders}]" if binders else "")

    def definitions(self, roots: tuple[Node, ...]) -> list[str]:
        """What the names in expressions stand for, in order, unless it has been told."""
        shown = {node for root in roots for node in self.named_in(root) if isinstance(node, Expr)} - self.told
        self.told |= shown
        return [f"{self.names[node]}{self.ranks_of(node)} = {self.behind(node)}" for node in list(self.names)
                if node in shown]

    def behind(self, node: Expr) -> str:
        """What a name stands for."""
        name = self.names.pop(node)
        shown = self.defined(node)
        self.names[node] = name
        return shown

    def named_in(self, root: Node) -> set[Node]:
        """The nodes with names below an expression, and below what these names stand for."""
        return {node for node in postorder(root) if node in self.names}

    def plain(self, expr: Expr) -> Expr:
        """An expression without its guards."""
        return rewrite(expr, lambda node: None, dict(self.group.unguarded))

    def step(self, derived: Derived, place: int) -> str:
        component = derived.group.components[place]
        axes = f"[{', '.join(rank.name for rank in component.axes)}]" if component.axes else ""
        name, monoid = self.component_names[place], monoid_word(component.monoid.name)
        ranks = ", ".join(rank.name for rank in derived.fused.ranks)
        element = self.form(self.plain(component.element))
        if place == derived.group.count:
            return f"{name}' = {name} + the number of {ranks} in the portion"
        taken = f"{monoid}[{ranks}]({element})"
        op = component.monoid.combine[0].op
        moved = self.plain(component.moved)
        if op.symbol:
            old = self.form(moved, 7)  # in parentheses, if it is a sum: what comes from the old state is one term
            return f"{name}'{axes} = {old} {op.symbol} {taken}"
        return f"{name}'{axes} = {op.name}({self.form(moved)}, {taken})"

    def guards(self, derived: Derived) -> list[str]:
        """What holds besides: when old sums do not change, what stands for references too early."""
        group, ranks = derived.group, ", ".join(rank.name for rank in derived.fused.ranks)
        alike: dict[Guard, list[str]] = {}
        for place, guard in group.guards.items():
            alike.setdefault(guard, []).append(self.component_names[place])
        lines = []
        for guard, names in alike.items():
            whose, are, old = ", ".join(f"{name}'" for name in names), "is", names[0]
            if len(names) > 1:
                are, old = "are", "the old ones"
            when = " or ".join(self.form(condition) for condition in guard if condition is not None)
            lines.append(f"if {when}: {whose} {are} {old} + sum[{ranks}](...)")
        for guarded, reference in group.unguarded.items():
            if isinstance(guarded, Select) and reference is guarded.no and self.is_of(reference, group.after):
                lines.append(f"if {self.form(guarded.condition)}: {literal_text(guarded.yes)} stands for "
                             f"{self.form(reference)} inside sum[{ranks}](...)")
        return lines

    def is_of(self, expr: Expr, label: Label) -> bool:
        """Whether an expression reads components at a moment."""
        return any(isinstance(node, State) and node.label is label for node in postorder(expr))

    def result(self, member: Reduce) -> str:
        value, name = self.group.values[member](FINAL), self.names[member] + self.ranks_of(member)
        shown = self.form(value)
        if not isinstance(value, Access):
            self.symbols[value] = name  # for the members that are made of it
        return f"{name} = {shown}"

    def no_numbers(self, derived: Derived) -> list[str]:
        """Why something is added or multiplied that is nothing for all finite numbers."""
        written = {node for member in derived.members for node in postorder(self.group.values[member](FINAL))}
        return sorted({
            f"{self.form(node)} is {number}, or nan where the program as written gives nan"
            for node in written if isinstance(node, Map) and len(node.args) == 2 and node.args[0] is node.args[1]
            for number in [{"subtract": "0", "divide": "1"}.get(node.op.name)] if number})

    def proof(self, proof: Proof) -> list[str]:
        if proof.rule == "monotone":
            return ["it rises or falls with one element, so the extremum goes inside"]
        if proof.rule == "selector":
            return ["only elements at the extremum count, and when it moves none of the old ones is there"]
        shown = [self.form(self.group.at_moment(move.reference, self.group.before)) for move in proof.moves]
        hoisted = [self.form(self.group.at_moment(reference, self.group.before)) for reference in proof.hoisted]
        products = f"a sum of {proof.rank} products" if proof.rank > 1 else "one product"
        whose, ranks = ", ".join(shown or hoisted), ", ".join(rank.name for rank in proof.reduction.ranks)
        lines = [f"each element is {products} of a function of {whose} and a function of {ranks}"]
        for move, reference in zip(proof.moves, shown):
            if move.kind == "free":
                lines.append(f"  {reference} is kept as it is so far, and moved by a matrix: {MEANINGS[proof.kind]}")
                continue
            way = "shifted" if move.kind == "location" else "scaled"
            elements = ", ".join(map(self.form, move.elements))
            lines.append(f"  unchanged when {elements} and {reference} are {way} together: "
                         f"{reference} may be what it is so far")
        if proof.moves:
            lines.append(f"  what moves the old sums is {MEANINGS[proof.kind]}")
        if hoisted:
            lines.append(f"  only at the end: {', '.join(hoisted)}")
        return lines

    def refusal(self, refusal) -> str:
        name = self.names[refusal.reduction]
        ranks = ", ".join(rank.name for rank in refusal.reduction.ranks)
        reads = "since what it depends on has to be known before"
        return "\n".join([f"{name}: another sweep over {ranks}, {reads}",
                          *self.section("as written", self.definitions((refusal.reduction,))),
                          *self.section("because", [refusal.reason])])

    def results(self) -> list[str]:
        """What the program makes of the states: the results that need no other names than those told."""
        shown = [self.defined(output) for output in self.cascade.outputs if set() < self.read(output) <= self.told]
        return ["\n".join(["results", *(f"  {line}" for line in shown)])] if shown else []

    def read(self, output: Node) -> set[Node]:
        """The named nodes that the text of an output shows."""
        found, seen, stack = set(), set(), list(children(output))
        while stack:
            node = stack.pop()
            if node in self.names:
                found.add(node)
            elif node not in seen:
                seen.add(node)
                stack.extend(children(node))
        return found

    # Leaves

    def access(self, node: Access) -> str:
        if isinstance(node.source, State) and self.group is not None:
            prime = self.prime(node.source.label)
            if prime is not None:
                axes = ", ".join(map(self.form, node.indices))
                return self.component_names[node.source.place] + prime + (f"[{axes}]" if axes else "")
        return super().access(node)

    def prime(self, label: Label) -> str | None:
        return {self.group.before: "", self.group.after: "'", FINAL: ""}.get(label)


SO_FAR = {"sum": "total", "prod": "product", "max": "top", "min": "bottom"}

MEANINGS = {
    "contraction": "a factor of at most 1: old errors shrink",
    "contraction times unipotent": "a factor of at most 1, times a shear: old errors shrink",
    "unipotent": "a shear: a polynomial in how far these moved",
    "fixed": "none",
}


def _sweeps(derived: Derived) -> int:
    """How many sweeps the members need as they are written: one more than what each reads."""
    depth: dict[Node, int] = {}
    for member in derived.members:
        below, seen, stack = 0, set(), list(member.bodies)
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in depth:
                below = max(below, depth[node])
            else:
                stack.extend(children(node))
        depth[member] = below + 1
    return max(depth.values())


def _unused(word: str, taken: set[str]) -> str:
    """A word, with a number if it is taken."""
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word}_{number}"
    return name

"""A derivation as text: what the state is, how it takes elements, what it means at the end, and why that is right.

A reader who knows the mathematics can write the loop from it. A prime marks values after a portion of elements.
"""

from collections.abc import Mapping

from einfall.base.node import Node, children, postorder, rewrite
from einfall.cascade.explicit import inline
from einfall.cascade.nodes import Access, Cascade, Label, Rank, Reduce, State
from einfall.cascade.text import Printer
from einfall.derive.derive import Derivation, Derived
from einfall.derive.fuse import Group, Guard, Proof
from einfall.scalar.dtypes import DTYPES
from einfall.scalar.nodes import Cast, Expr, Select
from einfall.scalar.text import literal_text, monoid_word

__all__ = ["text"]


def text(derivation: Derivation, cascade: Cascade, names: Mapping[Node, str] | None = None,
         used: frozenset[int] | None = None) -> str:
    """The derivation of a cascade; `names` are the user's words for nodes, `used` the places of the states in use."""
    printer = _Printer(inline(cascade, only_bare=True), names or {})
    printer.program()
    pages = [printer.state(state, used is None or place in used) for place, state in enumerate(derivation.states)]
    pages += [printer.refusal(refusal) for refusal in derivation.refusals]
    return "\n\n".join(pages) + "\n" if pages else ""


class _Printer(Printer):
    """The printer of a cascade, which also knows the components of one state."""

    def __init__(self, cascade: Cascade, names: Mapping[Node, str]):
        super().__init__(cascade, names)
        self.group: Group | None = None
        self.component_names: list[str] = []
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
            "" if is_used else "; at these sizes it saves nothing, and the program runs as it is written")]
        lines += self.section("with", self.definitions(derived))
        outer = sorted(variable.name for variable in derived.fused.free if isinstance(variable, Rank))
        lines += self.section("the state" + (f", for each {', '.join(outer)}," if outer else "") + " begins as", [
            f"{self.named_component(place)} = {literal_text(component.monoid.identity[0])}"
            for place, component in enumerate(derived.fused.components)])
        names = ", ".join(rank.name for rank in derived.fused.ranks)
        lines += self.section(f"a portion of {names} takes it, line by line, to", [
            self.step(derived, place) for place in range(len(group.components))])
        lines += self.section("with", [f"{word} = {shown}" for word, shown in words.items()])
        lines += self.section("where", self.guards(derived))
        if any(component.moved is not group.at(group.before, place)
               for place, component in enumerate(group.components)):
            lines.append("  two states come together likewise: each moved to the new references, then added")
        lines += self.section("at the end", [self.result(member) for member in derived.members])
        lines += self.section("because", [line for proof in derived.proofs for line in self.proof(proof)])
        return "\n".join(lines)

    def words(self, derived: Derived) -> dict[str, str]:
        """Words for references that are functions of components: what each stands for."""
        self.symbols, found, group = {}, {}, derived.group
        if group.count is not None:
            for label in (group.before, group.after):
                for dtype in (DTYPES["f32"], DTYPES["f64"]):
                    self.symbols[Cast(group.at(label, group.count), dtype)] = self.form(group.at(label, group.count))
        for move in (move for proof in derived.proofs for move in proof.moves):
            before, after = (group.at_moment(move.reference, label) for label in (group.before, group.after))
            if isinstance(before, Access) or before in self.symbols:
                continue
            wanted = self.user_names.get(move.reference, "r")
            word = wanted if wanted not in found else f"{wanted}_{len(found) + 1}"
            found[word] = self.form(before)
            self.symbols |= {before: word, after: f"{word}'"}
        return found

    def form(self, node: Node, outer: int = 0) -> str:
        return self.symbols[node] if node in self.symbols else super().form(node, outer)

    def section(self, title: str, lines: list[str]) -> list[str]:
        return [f"  {title}", *(f"    {line}" for line in lines)] if lines else []

    def names_of(self, derived: Derived) -> list[str]:
        """A word for each component: the user's for its reduction, or the monoid's."""
        group, taken, found = derived.group, set(), []
        reductions = {place: node for node, place in group.places.items()}
        for place, component in enumerate(group.components):
            user = self.user_names.get(reductions.get(place))
            wanted = user or ("n" if place == group.count else monoid_word(component.monoid.name))
            name, number = wanted, 1
            while name in taken:
                number += 1
                name = f"{wanted}_{number}"
            taken.add(name)
            found.append(name)
        return found

    def named_component(self, place: int) -> str:
        component = self.group.components[place]
        binders = self.binders(component.axes, component.extents)
        return self.component_names[place] + (f"[{binders}]" if binders else "")

    def definitions(self, derived: Derived) -> list[str]:
        """What the names in elements stand for, in order."""
        shown = {node for component in derived.group.components for node in self.named_in(
            self.plain(component.element))}
        return [f"{self.names[node]}{self.ranks_of(node)} = {self.behind(node)}" for node in list(self.names)
                if node in shown and isinstance(node, Expr)]

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
            old = self.form(moved, 6)
            return f"{name}'{axes} = {old} {op.symbol} {taken}"
        return f"{name}'{axes} = {op.name}({self.form(moved)}, {taken})"

    def guards(self, derived: Derived) -> list[str]:
        """What holds besides: when old values do not change, what stands for references too early."""
        group = derived.group
        alike: dict[Guard, list[str]] = {}
        for place, guard in group.guards.items():
            alike.setdefault(guard, []).append(self.component_names[place])
        lines = []
        for guard, names in alike.items():
            lines += [f"{self.form(when)}: the old {', '.join(names)} stays as it is" for when in guard
                      if when is not None]
        for guarded, reference in group.unguarded.items():
            if isinstance(guarded, Select) and reference is guarded.no and self.is_of(reference, group.after):
                lines.append(f"{self.form(guarded.condition)}: {literal_text(guarded.yes)} stands for "
                             f"{self.form(reference)} in the elements")
        return lines

    def is_of(self, expr: Expr, label: Label) -> bool:
        """Whether an expression reads components at a moment."""
        return any(isinstance(node, State) and node.label is label for node in postorder(expr))

    def result(self, member: Reduce) -> str:
        value = self.form(self.group.values[member](self.group.before))
        return f"{self.names[member]}{self.ranks_of(member)} = {value}"

    def proof(self, proof: Proof) -> list[str]:
        name = self.names[proof.reduction]
        if proof.rule == "monotone":
            return [f"{name}: its body rises or falls with one element, so the extremum goes inside"]
        if proof.rule == "selector":
            return [f"{name}: only elements at the extremum count, and when it moves none of the old ones is there"]
        products = f"a sum of {proof.rank} products" if proof.rank > 1 else "one product"
        lines = [f"{name}: the body is {products} of a function of the references and one of the elements"]
        for move in proof.moves:
            shown = self.form(self.group.at_moment(move.reference, self.group.before))
            if move.kind == "free":
                lines.append(f"  {shown} is kept as it is so far, and moved by a matrix: {proof.kind}")
                continue
            way = "shifted" if move.kind == "location" else "scaled"
            elements = ", ".join(map(self.form, move.elements))
            lines.append(f"  {shown} is kept as it is so far: {elements} and it may be {way} together")
        if proof.moves:
            lines.append(f"  the correction is {MEANINGS[proof.kind]}")
        for reference in proof.hoisted:
            shown = self.form(self.group.at_moment(reference, self.group.before))
            lines.append(f"  {shown} is taken out of the sum, and applied at the end")
        return lines

    def refusal(self, refusal) -> str:
        name = self.names[refusal.reduction]
        ranks = ", ".join(rank.name for rank in refusal.reduction.ranks)
        reads = "since what it depends on has to be known before"
        return f"{name}: another sweep over {ranks}, {reads}\n  {refusal.reason}"

    # Leaves

    def access(self, node: Access) -> str:
        if isinstance(node.source, State) and self.group is not None:
            prime = self.prime(node.source.label)
            if prime is not None:
                axes = ", ".join(map(self.form, node.indices))
                return self.component_names[node.source.place] + prime + (f"[{axes}]" if axes else "")
        return super().access(node)

    def prime(self, label: Label) -> str | None:
        return {self.group.before: "", self.group.after: "'"}.get(label)


MEANINGS = {
    "contraction": "a factor of at most 1: old errors shrink",
    "contraction times unipotent": "a factor of at most 1 times a shear: old errors shrink",
    "unipotent": "a shear in the distance that the references moved",
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


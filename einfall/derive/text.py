"""A derivation as text: what the state is, how it takes elements, what it means at the end, and why that is right.

A reader who knows the mathematics can write the loop from it. A prime marks values after a portion of elements. No
state has the name of an operation: sum[k](...) is a sum over a portion, total what has been summed so far.
"""

from collections.abc import Mapping

from einfall.base.node import Node, children, postorder, rewrite
from einfall.cascade.explicit import inline
from einfall.cascade.nodes import Access, Cascade, Index, Label, Rank, Reduce, State, Tensor
from einfall.cascade.scope import bound_here
from einfall.cascade.text import Printer
from einfall.derive.derive import Derivation, Derived
from einfall.derive.fuse import FINAL, Group, Proof
from einfall.derive.signs import is_positive
from einfall.scalar.dtypes import DTYPES
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.text import literal_text, monoid_word

__all__ = ["text"]


def text(derivation: Derivation, cascade: Cascade, names: Mapping[Node, str] | None = None,
         used: frozenset[int] | None = None) -> str:
    """The derivation of a cascade; `names` are the user's words for nodes, `used` the places of the states in use."""
    written, pages = _Printer(inline(cascade, only_bare=True), names or {}), []
    written.program()
    printer, running = written, derivation.running
    if running is not None:
        done: dict[Node, Node] = dict(running.plain)
        outputs = tuple(rewrite(output, None, done) for output in written.cascade.outputs)
        outputs += tuple(Tensor((), (), plain) for plain in running.plain.values())  # also those inside of others
        alike = {**running.inside, **done}
        known = {alike[node]: name for node, name in written.user_names.items() if node in alike}
        known |= {plain: written.names[member] for member, plain in running.plain.items()}
        plain = _Printer(Cascade(cascade.name, cascade.inputs, outputs), known)
        plain.program()
        pages = [plain.state(state, True) for state in running.states]
        written.told |= {member for member, short in running.plain.items() if short in plain.told}
        printer = _Printer(running.cascade, {**(names or {})})
        printer.program()
    pages += [printer.state(state, used is None or place in used) for place, state in enumerate(derivation.states)]
    pages += [printer.refusal(refusal) for refusal in derivation.refusals]
    pages += written.results() if running is not None else printer.results()
    return "\n\n".join(pages) + "\n" if pages else ""


class _Printer(Printer):
    """The printer of a cascade, which also knows the components of one state."""

    def __init__(self, cascade: Cascade, names: Mapping[Node, str]):
        super().__init__(cascade, names)
        self.group: Group | None = None
        self.component_names: list[str] = []
        self.told: set[Node] = set()  # the names of which a state before has told what they stand for
        self.symbols: dict[Expr, str] = {}  # the words for references, and for the count as a float
        self.points: dict[Node, frozenset[str]] = {}  # the ranks on which lengths depend inside of a node
        for node in postorder(*cascade.outputs):
            found = {index.rank.name for extent in getattr(node, "extents", ()) for index in postorder(extent)
                     if isinstance(index, Index)} if isinstance(node, Reduce) else set()
            found |= set().union(*(self.points[child] for child in children(node)))
            self.points[node] = frozenset(found - {variable.name for variable in bound_here(node)})

    def ranks_of(self, node: Node) -> str:
        points = self.points.get(node, ()) if isinstance(node, Expr) else ()
        if not points:
            return super().ranks_of(node)
        free = {variable.name for variable in node.free if not isinstance(variable, Label)}
        return f"[{', '.join(sorted(free | points))}]"

    # States

    def state(self, derived: Derived, is_used: bool) -> str:
        group = self.group = derived.group
        self.component_names = self.names_of(derived)
        words = self.words(derived)
        ranks = self.binders(derived.fused.ranks, derived.fused.extents)
        members = ", ".join(self.names[member] for member in derived.members)
        points = sorted(point.name for point in derived.points)
        first = derived.fused.ranks[0].name
        lines = [f"{members}: one sweep over {ranks} instead of {_sweeps(derived)}" if not points else
                 f"{members}: one scan over {first} instead of a reduction for each {', '.join(points)}" + (
                     f"; here {first} counts from the end" if derived.is_reverse else "")]
        lines[0] += "" if is_used else "; at these sizes it saves nothing and is not used"
        lines += self.section("as written", self.definitions((*derived.members, *(
            self.plain(component.element) for component in group.components))))
        outer = sorted(variable.name for variable in derived.fused.free - derived.points if isinstance(variable, Rank))
        names, places = ", ".join(rank.name for rank in derived.fused.ranks), range(len(group.components))
        each = f", for each {', '.join(outer)}," if outer else ""
        lines += self.section(f"the state{each} begins as (and is, of the {names} so far)", [
            self.begun(place, names) for place in places])
        lines += words
        monoids = {component.monoid.name: component.monoid for place, component in enumerate(group.components)
                   if place != group.count}
        folds = ", ".join(f"{monoid_word(name)}[{names}]" for name in monoids)
        lines += self.section(f"a portion of {names} takes it to (' marks what is new; {folds}: over the portion only)",
                              [self.step(place, names) for place in places])
        lines += self.section("where" + (f" (sum[{names}](...) is as above)" if group.guards else ""), [
            *self.guards(names), *(f"{monoid.combine[0].op.name}, {name}: nan if any is nan" for name, monoid
                                   in monoids.items() if name in ("max", "min") and monoid.dtypes[0].is_float)])
        if not all(map(self.stays, places)):
            lines += self.section(f"two parts of {names} come together, in this order", self.parts(derived))
        lines += self.section(f"at each {', '.join(points)}" if points else "at the end",
                              [*map(self.result, derived.members), *self.no_numbers(derived)])
        alike: dict[tuple[str, ...], list[str]] = {}
        for proof in derived.proofs:
            alike.setdefault(tuple(self.proof(proof)), []).append(self.names[proof.reduction])
        lines += self.section("because", [
            line for (head, *rest), whose in alike.items() for line in (f"{', '.join(whose)}: {head}", *rest)])
        return "\n".join(lines)

    def words(self, derived: Derived) -> list[str]:
        """Words for references that are functions of components, and what each stands for."""
        self.symbols, group = {}, derived.group
        found: dict[str, str] = {}
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
            found[word] = f"  with {word} = {self.form(before)}, {word}' = {self.form(self.plain(after))}"
            if move.kind != "free" and group.needs_count(move.reference):  # the guard that asks for the count keeps
                found[word] += f" (not used where {self.component_names[group.count]} == 0)"
            self.symbols |= {before: word, after: f"{word}'", group.at_moment(move.reference, FINAL): word}
        return [*found.values()]

    def around(self, reference: Expr) -> tuple[str, str]:
        """A reference before a portion and after it."""
        group = self.group
        return tuple(self.form(group.at_moment(reference, label), 7) for label in (group.before, group.after))

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

    def begun(self, place: int, ranks: str) -> str:
        """What a component is before the first element, and of those so far."""
        component = self.group.components[place]
        binders = self.binders(component.axes, component.extents)
        name = self.component_names[place] + (f"[{binders}]" if binders else "")
        element = self.form(self.plain(component.element), 7).replace("'", "")  # at the references so far
        meaning = f"number of {ranks}" if place == self.group.count else f"{self.word(place)} of {element}"
        return f"{name} = {literal_text(component.monoid.identity[0])}  ({meaning})"

    def word(self, place: int) -> str:
        return WORDS.get(self.group.components[place].monoid.name, self.group.components[place].monoid.name)

    def stays(self, place: int) -> bool:
        """Whether nothing becomes of an old value when references move."""
        return self.plain(self.group.components[place].moved) is self.group.at(self.group.before, place)

    def parts(self, derived: Derived) -> list[str]:
        """How the states of two parts come together, those in a row that are alike in one line."""
        group, said = derived.group, []
        references = dict.fromkeys([move.reference for proof in derived.proofs for move in proof.moves]
                                   + [fact.reference for fact in group.reader.facts])
        for place, component in enumerate(group.components):
            how = f"{self.word(place)} of both"
            if not self.stays(place):
                read = set(postorder(component.moved))
                old, new = map(", ".join, zip(*(self.around(reference) for reference in references
                                                if group.at_moment(reference, group.after) in read)))
                how += f", each moved from its {old} to {new} as above"
            if not said or said[-1][1] != how:
                said.append(([], how))
            said[-1][0].append(f"{self.component_names[place]}'")
        return [f"{', '.join(names)}: {how}" for names, how in said]

    def definitions(self, roots: tuple[Node, ...]) -> list[str]:
        """What the names in expressions stand for, in order, unless it has been told."""
        shown = {node for node in postorder(*roots) if node in self.names and isinstance(node, Expr)} - self.told
        self.told |= shown
        return [f"{self.names[node]}{self.ranks_of(node)} = {self.behind(node)}" for node in list(self.names)
                if node in shown]

    def behind(self, node: Expr) -> str:
        """What a name stands for."""
        name = self.names.pop(node)
        shown = self.defined(node)
        self.names[node] = name
        return shown

    def plain(self, expr: Expr) -> Expr:
        """An expression without its guards."""
        return rewrite(expr, None, dict(self.group.unguarded))

    def step(self, place: int, ranks: str) -> str:
        component, new = self.group.components[place], self.form(self.group.at(self.group.after, place))
        if place == self.group.count:
            return f"{new} = {self.component_names[place]} + the number of {ranks} in the portion"
        taken = f"{monoid_word(component.monoid.name)}[{ranks}]({self.form(self.plain(component.element))})"
        op, moved = component.monoid.combine[0].op, self.plain(component.moved)
        # in parentheses, if it is a sum: what comes from the old state is one term
        return f"{new} = " + (f"{self.form(moved, 7)} {op.symbol} {taken}" if op.symbol else
                              f"{op.name}({self.form(moved)}, {taken})")

    def guards(self, ranks: str) -> list[str]:
        """What holds besides: when old sums do not change, what stands for references too early."""
        group, alike, lines = self.group, {}, []
        for place, guard in group.guards.items():
            if not self.stays(place):
                alike.setdefault(guard, []).append(place)
        for guard, places in alike.items():
            when = " or ".join(self.form(one) for condition in guard for one in _alternatives(condition))
            (old, *_), (new, *others) = ([self.form(group.at(at, place)) for place in places]
                                         for at in (group.before, group.after))
            rest = f", likewise {', '.join(others)}" if others else ""
            lines.append(f"if {when}: {new} = {old} + sum[{ranks}](...){rest}")
        # where nothing has been counted yet the portion is empty, and nothing inside sums is read
        uncounted = "" if group.count is None else f"{self.component_names[group.count]}' == 0"
        for guarded, reference in group.unguarded.items():
            if isinstance(guarded, Select) and isinstance(guarded.yes, Const) and reference is guarded.no and any(
                    isinstance(node, State) and node.label is group.after for node in postorder(reference)):
                when = [shown for shown in map(self.form, _alternatives(guarded.condition)) if shown != uncounted]
                if when:
                    lines.append(f"if {' or '.join(when)}: {literal_text(guarded.yes)} stands for "
                                 f"{self.form(reference)} inside sum[{ranks}](...)")
        return lines

    def result(self, member: Reduce) -> str:
        value, name = self.group.values[member](FINAL), self.names[member] + self.ranks_of(member)
        shown = self.form(value)
        if not isinstance(value, Access):
            self.symbols[value] = name  # for the members that are made of it
        return f"{name} = {shown}"

    def no_numbers(self, derived: Derived) -> list[str]:
        """What is added or multiplied although it is nothing for all finite numbers."""
        written = {node for member in derived.members for node in postorder(self.group.values[member](FINAL))}
        return sorted({
            f"{self.form(node)} is {number}, or nan where {self.form(node.args[0])} is {or_nan}"
            for node in written if isinstance(node, Map) and len(node.args) == 2 and node.args[0] is node.args[1]
            if node.op.name in NOTHING for number, or_nan in [NOTHING[node.op.name]]})

    def proof(self, proof: Proof) -> list[str]:
        if proof.rule == "monotone":
            return ["it rises or falls with one element, so the extremum goes inside"]
        if proof.rule == "tropical":
            return [f"it is an extremum of {proof.rank} functions, each of which rises or falls with one element"]
        if proof.rule == "selector":
            return ["only elements at the extremum count, and when it moves none of the old ones is there"]
        shown = [self.around(move.reference)[0] for move in proof.moves]
        hoisted = list(map(self.form, proof.hoisted))  # as written: where sums move, a total so far may be read, too
        products = f"a sum of {proof.rank} products" if proof.rank > 1 else "one product"
        whose, ranks = ", ".join(shown or hoisted), ", ".join(rank.name for rank in proof.reduction.ranks)
        lines = [f"each element is {products} of a function of {whose} and a function of {ranks}"]
        for move, reference in zip(proof.moves, shown):
            way = {"location": "shifted", "scale": "scaled"}.get(move.kind)
            elements = ", ".join(map(self.form, move.elements))
            alike = f"unchanged when {elements} and {reference} are {way} together: " if way else ""
            lines.append(f"  {alike}{reference} so far may stand for it")
        if proof.moves:
            lines.append(f"  what moves the old sums is {self.meaning(proof)}")
        if hoisted:
            lines.append(f"  read only at the end: {', '.join(hoisted)}")
        return lines

    def meaning(self, proof: Proof) -> str:
        """What a correction does to old errors."""
        steps = ", ".join({"location": " - ", "scale": " / "}.get(move.kind, ", ").join(self.around(move.reference))
                          for move in proof.moves)
        # a positive reference may also fall, or multiply; then nothing says that the factor is 1 at most
        factor, errors = ("a factor of at most 1", "old errors shrink") if all(
            move.kind == "location" or (move.kind == "scale" and not is_positive(move.reference))
            for move in proof.moves) else ("a factor", "old errors change like the sums")
        adds = "a polynomial in" if {move.kind for move in proof.moves} == {"location"} else "what depends on"
        return {
            "contraction": f"{factor}: {errors}",
            "contraction times unipotent": f"{factor} and a shear: {errors}, but for what the shear adds",
            "unipotent": f"a shear: it adds {adds} {steps}",
            "fixed": "nothing: they stay as they are",
        }[proof.kind]

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
WORDS = {"prod": "product", "max": "maximum", "min": "minimum"}
NOTHING = {"subtract": ("0", "infinite or nan"), "divide": ("1", "0, infinite or nan")}  # x - x and x / x


def _alternatives(condition: Expr | None) -> list[Expr]:
    """The conditions of which one is enough."""
    match condition:
        case None:
            return []
        case Map(op, (left, right)) if op.name == "bitwise_or":
            return _alternatives(left) + _alternatives(right)
    return [condition]


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

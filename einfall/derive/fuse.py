"""One group of reductions over the same ranks becoming one state: components, how they move, what they mean."""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from einfall.base.node import Node, children, postorder, rewrite
from einfall.cascade.bounds import conjuncts, guarded
from einfall.cascade.nodes import Access, Index, Label, Rank, Reduce
from einfall.cascade.presence import absence
from einfall.cascade.scope import bound_here
from einfall.cascade.states import Component, Fused, Total, component_value
from einfall.derive.forms import Form, NoForm, Symbol, expression, number
from einfall.derive.probe import HIGHEST, probed_rank
from einfall.derive.reading import REFERENCE, Fact, NotSeparable, Reader
from einfall.derive.selections import extrema_of, selected
from einfall.derive.signs import is_nonnegative, is_positive
from einfall.derive.sums import Move, Refused, SumForm, derive_sum
from einfall.scalar.dtypes import BOOL, DTYPES, I64
from einfall.scalar.monoids import named
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select, const
from einfall.scalar.ops import OPS

__all__ = ["Group", "Guard", "Proof"]

COUNT = named("sum", I64)
FINAL = Label("total")  # the moment when all elements have been taken


class Proof(NamedTuple):
    """How a reduction was derived: by which rule, of which rank, and what happens to each reference."""

    reduction: Reduce
    rule: str
    rank: int
    kind: str
    moves: tuple[Move, ...]
    hoisted: tuple[Expr, ...]


class Guard(NamedTuple):
    """When an old value stays as it is: nothing that a correction could change has been taken, or nothing moved."""

    empty: Expr | None
    unmoved: Expr


class Group:
    """A state under construction: reductions over the same ranks, in the order in which they depend on each other."""

    def __init__(self, ranks: tuple[Rank, ...], extents: tuple[Expr, ...], number: int):
        self.ranks, self.extents = ranks, extents
        suffix = f"{ranks[0].name}{number or ''}"
        self.before, self.after = Label(f"before_{suffix}"), Label(f"after_{suffix}")
        self.reader = Reader(ranks)
        self.components: list[Component] = []
        self.values: dict[Reduce, Callable[[Label], Expr]] = {}  # of a summary, from the components at a moment
        self.places: dict[Reduce, int] = {}  # the summaries that are a component as they are
        self.starts: dict[Reduce, frozenset[int]] = {}  # the base components that a summary depends on
        self.pool: list[tuple[Form, int]] = []  # basis functions, as they are summed, and their components
        self.proofs: list[Proof] = []
        self.unguarded: dict[Expr, Expr] = {}  # what an expression is but for its guards, for readers
        self.guards: dict[int, Guard] = {}
        self.moments: dict[tuple, Expr] = {}  # what `at_moment` has made
        self.unsteady: set[Reduce] = set()  # summaries that may be huge on the way, and small in the end
        self.numbers: set[Reduce] = set()  # summaries that are a number whenever something has been taken
        self.count: int | None = None
        self.extent = extents[0]  # how many elements there are
        for other in extents[1:]:
            self.extent = Map(OPS["multiply"], (self.extent, other))

    # Reductions

    def add(self, node: Reduce, axes: dict[Rank, Expr]) -> None:
        """Takes a reduction into the state. Raises: Refused, NotSeparable, NoForm."""
        axes = {rank: axes[rank] for rank in sorted(axes, key=lambda rank: rank.name)}
        references = self.reader.summaries_in(node.bodies[0])
        if not references:
            self.add_base(node, axes)
        elif selected(self.reader, node) is not None:
            self.add_selected(node, axes)
        elif node.monoid.name in ("max", "min"):
            self.add_monotone(node, axes)
        elif node.monoid.name == "sum" and node.dtype.is_float:
            self.add_sum(node, axes)
        else:
            raise Refused(f"a {node.monoid.name} has no correction when its references move")
        self.reader.add_summary(node)

    def component(self, name: str, monoid, axes: dict[Rank, Expr], element: Expr,
                  moved: Callable[[int], Expr] | None = None) -> int:
        """A new component; without `moved` it does not depend on references."""
        place = len(self.components)
        ranks = tuple(axes)
        own = component_value(self.before, place, monoid, ranks)
        self.components.append(Component(name, monoid, ranks, tuple(axes.values()), element,
                                         own if moved is None else moved(place)))
        return place

    def at(self, label: Label, place: int) -> Expr:
        """The value of a component at a moment."""
        component = self.components[place]
        return component_value(label, place, component.monoid, component.axes)

    def add_base(self, node: Reduce, axes: dict[Rank, Expr]) -> None:
        """A reduction that depends on no other is a component as it is."""
        monoid, element = node.monoid, node.bodies[0]
        place = self.component(self.name_of(node), monoid, axes, element)
        self.values[node] = lambda label: self.at(label, place)
        self.places[node] = place
        self.numbers.add(node)
        self.starts[node] = frozenset((place,))
        if monoid.name in ("max", "min"):
            self.reader.facts.append(Fact(element, node, monoid.name == "max"))
        if monoid.name == "sum" and node.dtype.is_float:
            self.pool.append((self.reader.form(element), place))

    def add_monotone(self, node: Reduce, axes: dict[Rank, Expr]) -> None:
        """max f(x; r) = f(max x; r) for a function that rises in x, and its kin of several extrema."""
        body, name = node.bodies[0], node.monoid.name
        found = extrema_of(self.reader, body, name)
        if found is None:
            raise Refused(f"the body of the {name} is not seen to rise or fall with one element")
        places = {}
        for number_of, (element, extremum) in enumerate(found.parts):
            free = {rank: extent for rank, extent in axes.items() if rank in element.free}
            label = self.name_of(node) + (f"_{number_of}" if number_of else "")
            places[element, extremum] = self.component(label, named(extremum, element.dtype), free, element)

        def value(label: Label) -> Expr:
            def at(expr: Expr) -> Expr:
                return self.at_moment(expr, label)

            applied = found.applied(lambda element, extremum: self.at(label, places[element, extremum]), at)
            for element, extremum in found.parts:
                for fact in self.reader.facts:  # the other extremum changes no number, but is none where it is infinite
                    if len(places) == 1 and fact.element is element and (
                            fact.is_upper is (extremum == "min")) and not absence(element):
                        other = found.applied(lambda element, extremum, fact=fact: at(fact.reference), at)
                        applied = Map(node.monoid.combine[0].op, (applied, other))
            nothing = Map(OPS["equal"], (self.extent, Const(0, I64)))
            if absence(body):  # where all elements are absent the extremum is what it began as
                begun = None
                for place in places.values():
                    one = Map(OPS["equal"], (self.at(label, place), self.components[place].monoid.identity[0]))
                    begun = one if begun is None else Map(OPS["bitwise_and"], (begun, one))
                nothing = _either(nothing, begun)
            return Select(nothing, node.monoid.identity[0], applied)

        self.values[node] = value
        self.starts[node] = frozenset(places.values()).union(*map(self.starts.get, self.references(node)))
        rule = "monotone" if len(places) == 1 else "tropical"
        self.proofs.append(Proof(node, rule, len(places), "fixed", (), tuple(self.references(node))))

    def add_selected(self, node: Reduce, axes: dict[Rank, Expr]) -> None:
        """What counts only at the extremum begins anew whenever the extremum moves."""
        fact, value = selected(self.reader, node)
        element = Select(self.tie(node.bodies[0].condition), value, node.monoid.identity[0])
        unmoved, nothing = self.unmoved([fact.reference]), node.monoid.identity[0]
        place = self.component(self.name_of(node), node.monoid, axes, element, lambda place: Select(
            unmoved, component_value(self.before, place, node.monoid, tuple(axes)), nothing))
        self.values[node] = lambda label: self.at(label, place)
        self.starts[node] = self.starts[fact.reference]
        self.proofs.append(Proof(node, "selector", 1, "selector", (), ()))

    def add_sum(self, node: Reduce, axes: dict[Rank, Expr]) -> None:
        """A sum in a basis that moves with its references."""
        derived = self.derived_sum(node, axes)
        for move in derived.moves:
            self.check_zero(derived, move)
            if self.is_unsteady(move.reference):
                raise Refused("a reference that divides by a sum of unknown sign may be far away on its way")
        if any(self.needs_count(move.reference) for move in derived.moves):
            self.counted()  # before any component reads it
        places = self.basis_places(node, derived, axes)
        self.move(node, derived, places)
        asks = any(weight.atoms() for weight in derived.weights) or (not absence(node.bodies[0]) and any(
            self.is_extremum(move.reference) for move in derived.moves))
        some = self.present(node, axes) if asks else None

        def value(label: Label) -> Expr:
            made = self.at_moment(self.weighted(derived.weights, places, label, node.dtype), label)
            return self.as_written(made, derived, node, some) if label is FINAL else made

        self.values[node] = value
        if any(self.is_unsteady(atom) or (power < 0 and not is_nonnegative(atom)) for weight in derived.weights
               for powers, _ in weight.terms for atom, power in powers):
            self.unsteady.add(node)
        if all(self.is_weight(weight) for weight in derived.weights):
            self.numbers.add(node)
        if len(places) == 1 and derived.weights[0] == number(1):
            self.places[node] = places[0]
        self.starts[node] = frozenset(places).union(*map(self.starts.get, self.references(node)))
        self.proofs.append(Proof(node, "sum", derived.rank, derived.kind, derived.moves, derived.hoisted))

    def present(self, node: Reduce, axes: dict[Rank, Expr]) -> int | None:
        """The component that says whether any element counts, where conditions in the body leave some out."""
        conditions, body = guarded(node.bodies[0], node.monoid.identity[0])
        conditions += [condition for gone, value in absence(body) if isinstance(value, Const) and value.value == 0
                       for condition in conjuncts(gone, holds=False)]
        if not conditions:
            return None
        counts: Expr = Const(True, BOOL)
        for condition in conditions:
            if self.reader.class_of(condition) & REFERENCE:
                return None  # an element at an extremum is always there
            counts = Select(condition, counts, Const(False, BOOL))
        free = {rank: extent for rank, extent in axes.items() if rank in counts.free}
        return self.component("some", named("any", BOOL), free, counts)

    def as_written(self, made: Expr, derived: SumForm, node: Reduce, some: int | None) -> Expr:
        """The total with what the program as written gives where there is nothing to correct.

        Of no elements that count it is 0, whatever is applied at the end. Where the last reference is what it began as
        although there are elements, x - b and x / b are no numbers; where elements may be absent, nothing says that
        there are.
        """
        total = made
        for move in derived.moves:
            reference = self.at_moment(move.reference, FINAL)
            if move.kind == "scale" and not is_positive(move.reference):
                kept = Map(OPS["multiply"], (made, Map(OPS["divide"], (reference, reference))))
                made = Select(self.has_not_begun(move.reference, FINAL), made, kept)
            elif not self.is_number(move.reference) or (
                    move.reference in self.places and not absence(move.reference.bodies[0])
                    and not absence(node.bodies[0])):
                kept = Map(OPS["add"], (made, Map(OPS["subtract"], (reference, reference))))
                # elements that are left out may be what makes an extremum infinite
                made = Select(self.has_not_begun(move.reference, FINAL), kept, made) if (
                    some is not None and self.is_extremum(move.reference)) else kept
        if derived.hoisted or made is not total:
            none = Map(OPS["equal"], (self.extent, Const(0, I64))) if some is None else (
                Map(OPS["invert"], (self.at(FINAL, some),)))
            made = Select(none, const(0, made.dtype), made)
        self.unguarded[made] = total
        return made

    def derived_sum(self, node: Reduce, axes: dict[Rank, Expr]) -> SumForm:
        """The sum in a basis. Raises: Refused, with what trying says where the normal form does not get further."""
        # a component with axes that this sum lacks is another one for each of their coordinates
        usable = [(form, place) for form, place in self.pool if set(self.components[place].axes) <= set(axes)]
        try:
            return derive_sum(self.reader, self.reader.body(self.with_facts(node)), usable, node.dtype)
        except (NotSeparable, NoForm) as problem:
            if (probed_rank(self.reader, node.bodies[0]) or 0) > HIGHEST:
                raise Refused(f"more than {HIGHEST} products on probes: {problem}") from None
            raise Refused(f"no finite separation: {problem}") from None

    def with_facts(self, node: Reduce) -> Expr:
        """The body of a sum in which elements stand as facts know them: an extremum of those for which a condition
        holds bounds the elements of a sum that asks for it, too."""
        conditions, body = guarded(node.bodies[0], node.monoid.identity[0])
        memo: dict[Node, Node] = {}
        for fact in self.reader.facts:
            asked, element = guarded(fact.element, fact.reference.monoid.identity[0])
            if asked and set(asked) <= set(conditions):
                memo |= {element: fact.element, fact.element: fact.element}
        if not memo:
            return node.bodies[0]
        # other reductions and scans in it are of all elements
        for other in postorder(body):
            if other not in memo and (other in self.reader.summaries or not bound_here(other).isdisjoint(self.ranks)):
                memo[other] = other
        body = rewrite(body, None, memo)
        for condition in reversed(conditions):
            body = Select(condition, body, node.monoid.identity[0])
        return body

    def references(self, node: Reduce) -> list[Reduce]:
        return self.reader.summaries_in(node.bodies[0])

    # Sums

    def basis_places(self, node: Reduce, derived: SumForm, axes: dict[Rank, Expr]) -> list[int]:
        """The components of a basis: those there are already, and new ones, which do not move yet."""
        places: list[int] = []
        for number_of, (form, shared) in enumerate(zip(derived.basis, derived.shared)):
            plain = derived.selector is None
            if plain and shared is not None:
                places.append(shared)
            elif plain and form == number(1):
                places.append(self.counted())
            else:
                name = self.name_of(node) + (f"_{number_of}" if number_of else "")
                element = self.element(form, derived, node.dtype)
                places.append(self.component(name, named("sum", node.dtype), self.axes_of(element, derived, axes),
                                             element))
        return places

    def axes_of(self, element: Expr, derived: SumForm, axes: dict[Rank, Expr]) -> dict[Rank, Expr]:
        """The axes that a basis function has: those of its elements and of all its references."""
        free = set(element.free).union(*(move.reference.free for move in derived.moves))
        return {rank: extent for rank, extent in axes.items() if rank in free}

    def element(self, form: Form, derived: SumForm, dtype) -> Expr:
        """A basis function of one element, at the references after the portion."""
        values: dict[Expr, Expr] = {}
        for move in derived.moves:
            reference = self.origin(move, self.after)
            if move.kind == "free":
                values[move.before] = reference
            else:
                name = "subtract" if move.kind == "location" else "divide"
                for atom in move.elements:
                    values[atom] = Map(OPS[name], (values.get(atom, atom), reference))
        element = expression(form, dtype, self.reader.place, values)
        if derived.selector is not None:
            element = Select(self.tie(derived.selector.condition), element, const(0, dtype))
        return element

    def tie(self, condition: Expr) -> Expr:
        """Whether an element is at its extremum so far."""
        fact = self.reader.selector(condition)
        return Map(condition.op, tuple(arg if arg is fact.element else self.at_moment(arg, self.after)
                                       for arg in condition.args))

    def origin(self, move: Move, label: Label) -> Expr:
        """What elements are taken relative to: the reference at a moment, or a neutral number where it is none.

        An origin may be any number that the correction knows; so nothing is lost when a mean begins as 0 / 0.
        """
        reference = self.at_moment(move.reference, label)
        nothing = self.has_not_begun(move.reference, label)
        if not self.is_number(move.reference):
            gap = Map(OPS["subtract"], (reference, reference))
            nothing = _either(nothing, Map(OPS["not_equal"], (gap, const(0, reference.dtype))))
        if move.kind == "scale" and not is_positive(move.reference):
            nothing = _either(nothing, Map(OPS["equal"], (reference, const(0, reference.dtype))))
        guarded = Select(nothing, const(0 if move.kind == "location" else 1, reference.dtype), reference)
        self.unguarded[guarded] = reference
        return guarded

    def step(self, move: Move, is_guarded: bool) -> Expr:
        """How far a reference moved, b - b' or b / b'. `is_guarded`: asked for only where the old values count.

        Elements at the identity of an extremum are alike relative to any origin (and zeros at any scale): nothing is to
        be corrected for them, where an exponential of the way to the first other element would overflow.
        """
        is_location = move.kind == "location"
        before, after = self.at_moment(move.reference, self.before), self.at_moment(move.reference, self.after)
        name = "subtract" if is_location else "divide"
        if self.is_extremum(move.reference):
            made = Map(OPS[name], (before, after))
            return made if is_guarded else Select(self.is_void(move), const(0 if is_location else 1, made.dtype), made)
        if not self.is_number(move.reference) or self.extrema_below(move.reference):
            before, after = self.origin(move, self.before), self.origin(move, self.after)
        return Map(OPS[name], (before, after))

    def is_void(self, move: Move) -> Expr:
        """Whether all that an extremum has taken is its identity, or 0 where it divides."""
        void = self.has_not_begun(move.reference, self.before)
        if move.kind == "scale":
            reference = self.at_moment(move.reference, self.before)
            void = _either(void, Map(OPS["equal"], (reference, const(0, reference.dtype))))
        return void

    def move(self, node: Reduce, derived: SumForm, places: list[int]) -> None:
        """Writes into new components what becomes of them when the references move."""
        if not derived.moves and derived.selector is None:
            return
        dtype = node.dtype
        steps: dict[Expr, Expr] = {}
        empty = self.nothing_to_correct(derived.moves)
        is_guarded = empty is not None and len(derived.moves) == 1
        for move in derived.moves:
            if move.kind == "free":
                steps[move.before], steps[move.step] = self.origin(move, self.before), self.origin(move, self.after)
            else:
                steps[move.step] = self.step(move, is_guarded)
        fixed = [move.reference for move in derived.moves]
        selecting = [] if derived.selector is None else [self.reader.selector(derived.selector.condition).reference]
        for place, row, shared, form in zip(places, derived.matrix, derived.shared, derived.basis):
            if (shared is not None or form == number(1)) and derived.selector is None:
                continue
            component = self.components[place]
            own = self.at(self.before, place)
            other = self.combination(row, places, self.before, dtype, steps) if fixed else own
            moved = Select(self.unmoved(fixed), own, other) if fixed else own
            if empty is not None:
                moved = Select(empty, own, moved)
            if selecting:  # what counted at another extremum does not count any more
                moved = Select(self.unmoved(selecting), moved, component.monoid.identity[0])
            elif fixed:
                self.unguarded[moved] = other
                self.guards[place] = Guard(empty, self.unmoved(fixed))
            self.components[place] = Component(component.name, component.monoid, component.axes, component.extents,
                                               component.element, moved)
            if derived.selector is None:
                self.pool.append((self.as_summed(form, derived), place))

    def as_summed(self, form: Form, derived: SumForm) -> Form:
        """A basis function with its references in it again."""
        back: dict[Expr, Form] = {}
        for move in derived.moves:
            reference = Form.atom(move.reference)
            if move.kind == "free":
                back[move.before] = reference
                continue
            for atom in move.elements:
                taken = back.get(atom, Form.atom(atom))
                back[atom] = taken - reference if move.kind == "location" else (
                    taken * reference.power(Fraction(-1), is_positive))
        return form.substituted(back, is_positive)

    def combination(self, row: tuple[Form, ...], places: list[int], label: Label, dtype, values: dict) -> Expr:
        """The sum of components, each with its factor."""
        total, shown = Form({}), dict(values)
        for number_of, (factor, place) in enumerate(zip(row, places)):
            symbol = Symbol(f"component {number_of}", dtype)
            self.reader.place(symbol)
            value = self.at(label, place)
            shown[symbol] = value if value.dtype is dtype else Cast(value, dtype)
            total = total + factor * Form.atom(symbol)
        return expression(total, dtype, self.reader.place, shown)

    def weighted(self, weights: tuple[Form, ...], places: list[int], label: Label, dtype) -> Expr:
        """The sum of components with factors in references; a component that is a reference cancels against it.

        One that would cancel altogether stays: what is not a number in it has to reach the result.
        """
        read = set().union(*(factor.atoms() for factor in weights))
        summaries = {place: node for node, place in self.places.items() if node in read}
        total, shown = Form({}), {}
        for number_of, (factor, place) in enumerate(zip(weights, places)):
            atom = summaries.get(place)
            if atom is None:
                atom = Symbol(f"component {number_of}", dtype)
                value = self.at(label, place)
                shown[atom] = value if value.dtype is dtype else Cast(value, dtype)
            self.reader.place(atom)
            total = total + factor * Form.atom(atom)
        if not total.atoms() >= {summaries[place] for place in places if place in summaries}:
            return self.combination(weights, places, label, dtype, {})
        return expression(total, dtype, self.reader.place, shown)

    def check_zero(self, derived: SumForm, move: Move) -> None:
        """A reference that divides has to be positive, or 0 only where all elements are 0 and add nothing.

        Raises: Refused.
        """
        if move.kind != "scale" or is_positive(move.reference):
            return
        bounded = any(fact.reference is move.reference and fact.is_upper and _bounds(fact.element, move.elements[0])
                      for fact in self.reader.facts)
        vanishes = all(any(atom is move.elements[0] and power > 0 for atom, power in powers)
                       for form in derived.basis for powers, _ in form.terms)
        if not bounded or not vanishes:
            raise Refused("a reference that may be 0 divides the elements")

    def counted(self) -> int:
        """The component that counts elements."""
        if self.count is None:
            self.count = self.component("n", COUNT, {}, Const(1, I64))
        return self.count

    # Moments

    def at_moment(self, expr: Expr, label: Label) -> Expr:
        """An expression of references as it stands at a moment: summaries from components, extents as counts so far."""
        key = expr, label, self.count
        if key in self.moments:
            return self.moments[key]
        memo: dict[Node, Node] = {node: self.values[node](label) for node in self.reader.summaries_in(expr)}
        if self.count is not None and self.reads_extent(expr):
            counted = self.at(label, self.count)
            memo[self.extent] = counted
            for dtype in (DTYPES["f32"], DTYPES["f64"]) if isinstance(self.extent, Const) else ():
                memo[const(self.extent.value, dtype)] = Cast(counted, dtype)
        made = self.moments[key] = rewrite(expr, None, memo)
        return made

    def reads_extent(self, expr: Expr) -> bool:
        """Whether a function of references, such as a mean, divides by the number of elements."""
        seen: set[Node] = set()
        stack: list[Node] = [expr]
        reads = False
        while stack:
            node = stack.pop()
            if node in seen or node in self.reader.summaries:
                continue
            if bound_here(node):
                return False  # an extent inside belongs to a binder
            seen.add(node)
            reads |= node is self.extent or (isinstance(node, Const) and isinstance(self.extent, Const)
                                             and node.value == self.extent.value)
            stack.extend(children(node))
        return reads

    def bases_below(self, reference: Expr) -> list[int]:
        """The components that a reference depends on and that depend on none themselves."""
        starts = sorted(frozenset().union(*(self.starts[node] for node in self.reader.summaries_in(reference))))
        return [place for place in starts if self.components[place].moved is self.at(self.before, place)]

    def extrema_below(self, reference: Expr) -> list[int]:
        return [place for place in self.bases_below(reference) if self.components[place].monoid.name in ("max", "min")]

    def is_extremum(self, reference: Expr) -> bool:
        """Whether a reference is an extremum of elements as it is."""
        return reference in self.places and self.extrema_below(reference) == [self.places[reference]]

    def needs_count(self, reference: Expr) -> bool:
        """Whether only a count tells that nothing has been taken: a sum of something may be 0 too."""
        return self.reads_extent(reference) or self.extrema_below(reference) != self.bases_below(reference)

    def has_not_begun(self, reference: Expr, label: Label) -> Expr:
        """Whether nothing has been taken of what a reference depends on, or only identities of an extremum."""
        places = self.extrema_below(reference) + ([self.count] if self.needs_count(reference) else [])
        made: Expr | None = None
        for place in places:
            is_identity = Map(OPS["equal"], (self.at(label, place), self.components[place].monoid.identity[0]))
            made = is_identity if made is None else _either(made, is_identity)
        return made

    def nothing_to_correct(self, moves: tuple[Move, ...]) -> Expr | None:
        """Whether old values are the same relative to any origin: there are none, or only identities of an extremum."""
        if any(self.needs_count(move.reference) for move in moves):
            return Map(OPS["equal"], (self.at(self.before, self.count), Const(0, I64)))
        if len(moves) == 1 and self.is_extremum(moves[0].reference):
            return self.is_void(moves[0])
        return None

    def is_number(self, reference: Expr) -> bool:
        """Whether a reference is finite as soon as something finite has been taken: nothing in it divides by a sum."""
        if reference in self.reader.summaries:
            return reference in self.numbers
        if not self.reader.class_of(reference) & REFERENCE:
            return True
        match reference:
            case Cast(arg):
                return self.is_number(arg)
            case Map(op, (arg,)) if op.name in ("negative", "abs", "tanh", "sigmoid"):
                return self.is_number(arg)
            case Map(op, (arg,)) if op.name == "sqrt":
                return is_nonnegative(arg) and self.is_number(arg)
            case Map(op, (left, right)) if op.name in ("add", "subtract", "multiply", "maximum", "minimum"):
                return self.is_number(left) and self.is_number(right)
            case Map(op, (left, right)) if op.name == "divide":
                return self.is_number(left) and not self.reader.class_of(right) & REFERENCE
        return False

    def is_unsteady(self, reference: Expr) -> bool:
        """Whether a reference divides by what may cancel: a mean with weights of both signs."""
        if reference in self.reader.summaries:
            return reference in self.unsteady
        match reference:
            case Map(op, (_, right)) if op.name == "divide" and not is_nonnegative(right) and (
                    self.reader.class_of(right) & REFERENCE):
                return True
            case Map(_, args):
                return any(map(self.is_unsteady, args))
            case Cast(arg):
                return self.is_unsteady(arg)
        return False

    def is_weight(self, form: Form) -> bool:
        """Whether a factor in references is a number whenever they are."""
        return all(exponent is None and all(power > 0 and power.denominator == 1 and self.is_number(atom)
                                            for atom, power in powers) for powers, exponent in form.terms)

    def unmoved(self, references: list[Expr]) -> Expr:
        """Whether all references are where they were."""
        made: Expr | None = None
        for reference in references:
            same = Map(OPS["equal"], (self.at_moment(reference, self.before), self.at_moment(reference, self.after)))
            made = same if made is None else Map(OPS["bitwise_and"], (made, same))
        return made

    # The result

    def name_of(self, node: Reduce) -> str:
        return f"{node.monoid.name}{len(self.components)}"

    def fused(self, done: dict[Node, Node]) -> Fused:
        """The state, in terms of what `done` has in place of the program's nodes."""
        memo = dict(done)
        return Fused(self.ranks, self.extents, self.before, self.after, tuple(
            rewrite(component, lambda item: None, memo) for component in self.components))

    def totals(self, node: Reduce, fused: Fused, done: dict[Node, Node]) -> Expr:
        """The value of a summary when all elements have been taken."""
        value = self.values[node](FINAL)

        def rule(item):
            match item:
                case Access(source) if getattr(source, "label", None) is FINAL:
                    place = source.place
                    return Access(Total(fused, place), tuple(map(Index, self.components[place].axes)), None)
            return None

        return rewrite(value, rule, dict(done))


def _either(left: Expr, right: Expr) -> Expr:
    return Map(OPS["bitwise_or"], (left, right))


def _bounds(bound: Expr, element: Expr) -> bool:
    """Whether a bound of 0 means that the element is 0."""
    match bound:
        case Map(op, (arg,)) if op.name == "abs":
            return arg is element
        case Map(op, (left, right)) if op.name == "multiply":
            return left is right is element
    return bound is element and is_nonnegative(element)

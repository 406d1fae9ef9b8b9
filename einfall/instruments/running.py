"""Reductions of random programs that bring together what comes before a point, or after it, for each point."""

from einfall.instruments.writer import Value, Writer

__all__ = ["RUNNING"]

BOUND = 4.0


def running(w: Writer) -> Value | None:
    """A sum, an extremum, exponentials below their maximum, squares about the mean: of what came before."""
    value = w.symbol("f", (), lambda value: bool(value.ranks))
    if value is None:
        return None
    value = w.let(w.fitted(value, -BOUND, BOUND))
    rank = w.pick(value.ranks)
    point = w.rank_with(w.extents[rank], value.ranks)
    ranks = (*(other for other in value.ranks if other != rank), point)
    if not w.fit_together(ranks, value.ranks):
        return None
    at, x, count = f"{point}.of({rank}.extent)", value.text, max(w.extents[rank], 1)
    seen, how_many = w.pick((
        (f"{rank} <= {at}", f"({at} + 1)"), (f"{at} + 1 > {rank}", f"({at} + 1)"),
        (f"{rank} >= {at}", f"({rank}.extent - {at})"), (f"{rank} < {at}", ""), (f"{at} < {rank}", "")))
    form = w.pick(("sum", "top", "exponentials", "squares") if how_many else ("sum", "top", "exponentials"))
    if form == "sum":
        return Value(f"ef.sum(ef.where({seen}, {x}, 0.0), over={rank})", ranks, "f", -BOUND * count, BOUND * count)
    top = Value(f"ef.max(ef.where({seen}, {x}, {-BOUND}), over={rank})", ranks, "f", -BOUND, BOUND)
    if form == "top":
        return top
    if form == "exponentials":
        return Value(f"ef.sum(ef.where({seen}, ef.exp({x} - {w.let(top).text}), 0.0), over={rank})", ranks, "f", 0.0,
                     count)
    mean = w.let(Value(f"ef.sum(ef.where({seen}, {x}, 0.0), over={rank}) / {how_many}", ranks, "f", -BOUND, BOUND))
    return Value(f"ef.sum(ef.where({seen}, ({x} - {mean.text}) ** 2, 0.0), over={rank})", ranks, "f", 0.0,
                 4 * BOUND**2 * count)


RUNNING = [(0.8, running)]

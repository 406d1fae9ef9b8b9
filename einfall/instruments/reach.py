"""What a program reaches: operators, monoids, nodes, types, and the features of the language."""

import ast
import re
from collections import Counter

import numpy as np

from einfall.base.node import Node, children, postorder
from einfall.cascade import nodes, states
from einfall.cascade.domain import is_constant, is_domain
from einfall.cascade.nodes import Access, Cascade, History, Index, Input, Rank, Reduce, Scan, State, Tensor
from einfall.scalar import dtypes, monoids
from einfall.scalar import nodes as scalar_nodes
from einfall.scalar.monoids import NAMED
from einfall.scalar.nodes import Cast, Const, Expr, Map, Select
from einfall.scalar.ops import OPS

__all__ = ["DTYPES", "FEATURES", "LEAST", "MONOIDS", "NODES", "OPERATORS", "reached", "told_rare"]

LEAST, MANY = 20, 2000  # so often is each thing reached in so many programs
OPERATORS = [f"op:{name}" for name in OPS]
MONOIDS = [f"monoid:{name}" for name in (*NAMED, "argmax", "argmin", "times", "after", "welford", "most", "compound")]
# the bases of others are no nodes of a program; the extent of a rank and what is carried stand for others meanwhile;
# where something is stored, and coordinates of it, are for operands in a format
NODES = [f"node:{name}" for module in (nodes, states, scalar_nodes, monoids) for name, value in vars(module).items()
         if isinstance(value, type) and issubclass(value, Node) and value.__module__ == module.__name__
         and name not in ("Source", "Expr", "Leaf", "Extent", "Carried", "Pattern", "Coordinate")]
DTYPES = [f"dtype:{name}" for name in dtypes.DTYPES]

FEATURES = ["absent", "affine", "affine-two", "broadcast", "diagonal", "element", "empty-extent", "equal-scatter",
            "float-guard", "gather", "guard", "infinity", "integer-scan", "boolean-scan", "merge", "missing-number",
            "multi-reduce", "negative-stride", "non-commutative", "odd-stride", "order", "pad", "rename", "results",
            "scalar", "scan-axes", "scan-exclusive", "scan-last", "scan-reverse", "scan-states", "shadow", "shift",
            "split", "stride"]
WRITTEN = {  # what leaves no trace of its own in a cascade: how it is written
    "edge": r'pad\("edge"\)', "wrap": r'pad\("wrap"\)', "pad-of-axes": r"\.pad\(\{", "carry": r"carry=",
    "array-axis": r"axis=", "array-keepdims": r"keepdims=", "array-product": r" @ ", "array-transpose": r"\.m?T\b",
    "array-semiring": r"semiring=", "accumulate": r"accumulate=",
    "drop": r'outside="drop"'}
FEATURES += [*WRITTEN, "reads-itself", "reads-itself-along-two"]


def told_rare(found: Counter, wanted: list[str], programs: int) -> bool:
    """Prints what was reached too rarely; whether that is a failure, as it is where there were many programs."""
    rare = [f"{name} ({found[name]})" for name in wanted if found[name] < LEAST]
    if rare:
        print(f"reached fewer than {LEAST} times: {', '.join(rare)}")
    return bool(rare) and programs >= MANY


def reached(program: Cascade, arguments: tuple = (), source: str = "") -> Counter:
    """How often each thing occurs; what lies in the arguments (strides, extents) or is only seen in the source counts
    where these are given."""
    found: Counter = Counter(f"feature:{feature}" for feature in features_of_source(source))
    extents: dict[Rank, set[Expr]] = {}
    for node in postorder(*program.outputs):
        binders = {Reduce: ("ranks", "extents"), Tensor: ("ranks", "extents")}.get(type(node))
        if binders:
            for rank, extent in zip(getattr(node, binders[0]), getattr(node, binders[1])):
                extents.setdefault(rank, set()).add(extent)
        elif isinstance(node, Scan):
            extents.setdefault(node.rank, set()).add(node.extent)
    found["node:Cascade"] += 1
    for node in postorder(*program.inputs, *program.outputs):
        found[f"node:{type(node).__name__}"] += 1
        if isinstance(node, Expr):
            found[f"dtype:{node.dtype}"] += 1
        for feature in features(node, extents):
            found[f"feature:{feature}"] += 1
        match node:
            case Map(op):
                found[f"op:{op.name}"] += 1
            case Reduce(monoid):
                found[f"monoid:{monoid.name}"] += 1
            case Input(_, dtype):
                found[f"input:{dtype}"] += 1
    found["feature:results"] += len(program.outputs) > 1
    found["feature:scalar"] += found["node:Scalar"]
    for value in arguments:
        for feature in features_of(value):
            found[f"feature:{feature}"] += 1
    return +found


def features_of(value) -> list[str]:
    """What is special about an argument."""
    if not isinstance(value, np.ndarray):
        return []
    tests = {"empty-extent": value.size == 0, "negative-stride": any(stride < 0 for stride in value.strides),
             "broadcast": any(stride == 0 < size - 1 for stride, size in zip(value.strides, value.shape)),
             "odd-stride": value.size > 0 and not value.flags.c_contiguous,
             "missing-number": value.dtype.kind == "f" and bool(np.isnan(value).any()),
             "infinity": value.dtype.kind == "f" and bool(np.isinf(value).any())}
    return [name for name, holds in tests.items() if holds]


def features_of_source(source: str) -> list[str]:
    """What a program says that its cascade may hold for other reasons too."""
    quoted = source.replace("'", '"')
    found = [name for name, pattern in WRITTEN.items() for _ in re.findall(pattern, quoted)]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign([ast.Subscript(ast.Name(name), order)], value):
                axes = looks_back(name, order, value)
                found += ["reads-itself"] * (len(axes) > 0) + ["reads-itself-along-two"] * (len(axes) > 1)
    return found


def looks_back(name: str, order: ast.expr, value: ast.expr) -> set[int]:
    """The axes along which a definition reads itself: the first in each access that is not at its own rank."""
    own, axes = indices_of(order), set()
    for node in ast.walk(value):
        match node:
            case ast.Subscript(ast.Name(read) | ast.Call(ast.Attribute(ast.Name(read), "pad")), index) if read == name:
                places = indices_of(index)
                axes.add(next(axis for axis, pair in enumerate(zip(own, places)) if pair[0] != pair[1]))
    return axes


def indices_of(index: ast.expr) -> list[str]:
    return [ast.unparse(item) for item in (index.elts if isinstance(index, ast.Tuple) else [index])]


def features(node: Node, extents: dict[Rank, set[Expr]]) -> list[str]:
    """What a node is an instance of."""
    match node:
        case Access():
            return accessed(node, extents)
        case Select(condition, yes, no):
            is_guard = any(isinstance(below, Access) for below in (yes, no)) and any(
                below.op.name in ("less", "greater_equal") for below in children(condition) if isinstance(below, Map))
            return (["absent"] if is_constant(no) and is_domain(condition) and condition.free else []) + (
                ["float-guard"] if not is_domain(condition) else []) + (["guard"] if is_guard else [])
        case Reduce(monoid, ranks, _, bodies):
            scattered = any(isinstance(body, Select) and isinstance(body.condition, Map)
                            and body.condition.op.name == "equal" and any(isinstance(arg, Index) for arg in
                                                                          without_casts(body.condition.args))
                            for body in without_casts(bodies))
            inner = {rank for body in bodies for below in postorder(body) for rank in bound_by(below)}
            return (["multi-reduce"] if len(ranks) > 1 else []) + (["equal-scatter"] if scattered else []) + (
                ["shadow"] if inner.intersection(ranks) else []) + (
                [] if monoid.commutative else ["non-commutative"])
        case Scan(axes=axes, inits=inits, exclusive=exclusive, reverse=reverse, last=last):
            return [name for name, holds in {
                "scan-exclusive": exclusive, "scan-reverse": reverse, "scan-last": last, "scan-axes": any(axes),
                "scan-states": len(inits) > 1, "integer-scan": inits[0].dtype.is_int,
                "boolean-scan": inits[0].dtype.kind == "bool"}.items() if holds]
        case Tensor(ranks, _, body):
            return (["merge"] if any(merges(ranks, below) for below in postorder(body)) else []) + (
                ["order"] if len(ranks) > 1 else [])
    return []


def without_casts(nodes) -> list:
    return [node.arg if isinstance(node, Cast) else node for node in nodes]


def bound_by(node: Node) -> tuple[Rank, ...]:
    match node:
        case Reduce(_, ranks) | Tensor(ranks):
            return ranks
        case Scan(rank):
            return (rank,)
    return ()


def merges(ranks: tuple[Rank, ...], node: Node) -> bool:
    """Whether a node takes an axis of a tensor apart, as a merged result does."""
    match node:
        case Map(op, (Index(rank), divisor)):
            return op.name == "remainder" and rank in ranks and "_" in rank.name and is_constant(divisor)
    return False


def accessed(node: Access, extents: dict[Rank, set[Expr]]) -> list[str]:
    found = []
    bare = [index.rank for index in node.indices if isinstance(index, Index)]
    if len(set(bare)) < len(bare):
        found.append("diagonal")
    if node.outside is not None:
        found.append("pad")
    if isinstance(node.source, Tensor) and len(bare) == len(node.indices) and tuple(bare) != node.source.ranks:
        found.append("rename")
    for index in node.indices:
        if isinstance(index, Const):
            found.append("element")
        elif any(isinstance(below, Access) for below in postorder(index)):
            found.append("gather")
        elif isinstance(index, Map):
            found += affine(index, extents)
    if isinstance(node.source, State | History) and any(isinstance(index, Map) for index in node.indices):
        found.append("shift")
    return found


def affine(index: Map, extents: dict[Rank, set[Expr]]) -> list[str]:
    """What a computed index is: a shift, a stride, a window, a split axis."""
    match index:
        case Map(op, (Map(times, (Index(), extent)), Index(inner))) if extent in extents.get(inner, ()):
            if (op.name, times.name) == ("add", "multiply"):
                return ["split"]
        case Map(op, (Index(), Index())) if op.name == "add":
            return ["affine-two", "affine"]
        case Map(op, (Index(), Const())) if op.name in ("add", "subtract"):
            return ["shift", "affine"]
    if any(isinstance(node, Map) and node.op.name == "multiply" for node in postorder(index)):
        return ["stride", "affine"]
    return ["affine"]

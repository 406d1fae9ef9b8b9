"""The public names."""

import math
from types import FunctionType

from einfall.base.errors import (
    AssumptionError,
    BoundsError,
    CompileError,
    EinfallError,
    FormatError,
    RankError,
    ShapeError,
    TraceError,
)
from einfall.format.codecs import Int, Scaled, UInt
from einfall.format.format import Format, csc, csr
from einfall.format.levels import Compressed, Dense
from einfall.front.assumptions import assume
from einfall.front.checks import check
from einfall.front.definitions import SEMIRINGS, einsum, tensor
from einfall.front.draws import uniform
from einfall.front.expression import ranks
from einfall.front.functions import (
    MAPS,
    MonoidByHand,
    anywhere,
    argmax,
    argmin,
    cast_to,
    clip,
    everywhere,
    gelu,
    hypot,
    largest,
    logsumexp,
    mean,
    prod,
    reciprocal,
    reduce,
    relu,
    silu,
    smallest,
    softplus,
    square,
    total,
    var,
    where,
)
from einfall.front.kernel import kernel, parse, reference
from einfall.front.operands import asarray, packed, stored
from einfall.front.scans import SHORT_FORMS, scan
from einfall.front.selections import scatter, topk
from einfall.front.shapes import (
    arange,
    broadcast_to,
    concat,
    expand_dims,
    flip,
    full,
    matmul,
    matrix_transpose,
    ones,
    permute_dims,
    reshape,
    squeeze,
    stack,
    take,
    tril,
    triu,
    zeros,
)
from einfall.front.sugar import cross_entropy, layer_norm, log_softmax, rms_norm, softmax
from einfall.scalar.dtypes import DTYPES

NAMES = {
    **MAPS, **SHORT_FORMS, **SEMIRINGS, **{name: dtype for name, dtype in DTYPES.items() if name != "bool"},
    "AssumptionError": AssumptionError, "BoundsError": BoundsError, "CompileError": CompileError,
    "EinfallError": EinfallError, "RankError": RankError,
    "ShapeError": ShapeError, "TraceError": TraceError, "Monoid": MonoidByHand, "inf": math.inf, "nan": math.nan,
    "pi": math.pi, "bool_": DTYPES["bool"], "cast": cast_to, "where": where, "clip": clip, "relu": relu, "silu": silu,
    "gelu": gelu, "softplus": softplus, "square": square, "reciprocal": reciprocal, "hypot": hypot, "sum": total,
    "prod": prod, "max": largest, "min": smallest, "any": anywhere, "all": everywhere, "mean": mean, "var": var,
    "logsumexp": logsumexp, "argmax": argmax, "argmin": argmin, "reduce": reduce, "scan": scan, "softmax": softmax,
    "log_softmax": log_softmax, "layer_norm": layer_norm, "rms_norm": rms_norm, "cross_entropy": cross_entropy,
    "topk": topk, "scatter": scatter, "uniform": uniform, "einsum": einsum, "tensor": tensor, "ranks": ranks,
    "kernel": kernel, "reference": reference,
    "assume": assume, "check": check, "parse": parse, "FormatError": FormatError, "Format": Format, "Dense": Dense,
    "Compressed": Compressed, "csr": csr, "csc": csc, "Int": Int, "UInt": UInt, "Scaled": Scaled, "asarray": asarray,
    "pack": packed, "stored": stored,
    "arange": arange, "broadcast_to": broadcast_to, "concat": concat, "expand_dims": expand_dims, "flip": flip,
    "full": full, "matmul": matmul, "matrix_transpose": matrix_transpose, "ones": ones, "permute_dims": permute_dims,
    "reshape": reshape, "squeeze": squeeze, "stack": stack, "take": take, "tril": tril, "triu": triu, "zeros": zeros,
}

for _name, _value in NAMES.items():  # Python's own messages about wrong arguments are to use the names that users know
    if isinstance(_value, FunctionType) and _name not in MAPS:
        _value.__name__ = _value.__qualname__ = _name

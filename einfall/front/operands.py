"""Arrays of other libraries as einfall takes them: torch tensors as NumPy sees them, sparse ones as operands.

Nothing that is given is changed, and what is in order already is not copied.
"""

import ml_dtypes
import numpy as np

from einfall.base.errors import FormatError, TraceError
from einfall.cascade import nodes as cas
from einfall.format.format import Format, csc, csr
from einfall.front.expression import Expression, counted, lift
from einfall.front.trace import current
from einfall.runtime import storage
from einfall.runtime.storage import Stored, compressed
from einfall.scalar.dtypes import BOOL, of_numpy
from einfall.scalar.nodes import Cast, Const

__all__ = ["asarray", "memory_of", "operand_of", "packed", "stored", "tensor_of"]


def memory_of(tensor) -> np.ndarray:
    """A dense torch tensor on the CPU as NumPy sees it, without a copy: any shape and strides, bf16 as of ml_dtypes.

    Raises: TypeError or RuntimeError for one that NumPy cannot see.
    """
    import torch

    if tensor.dtype is torch.bfloat16:  # NumPy has no such type of its own
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def tensor_of(array: np.ndarray):
    """The torch tensor over the memory of an array."""
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def asarray(x, *, fill: float = 0):
    """An array as kernels take it, wrapped once: pass the result to many calls.

    x: a sparse matrix or array of SciPy (2 axes), or a sparse torch tensor on the CPU (CSR, CSC, COO), which become
    compressed operands; anything else is given back. fill: the value of what is not stored. Rows that are not sorted,
    and duplicates, which count as their sum, are put in order in a copy. Coordinates are checked here, once: values may
    change afterwards, coordinates must not. Raises: FormatError where the arrays are not what their format says.
    """
    found = operand_of(x, fill)
    return x if found is None else found


def packed(x, format: Format) -> Stored:
    """A dense array of NumPy or torch in a format: `ef.pack(W, ef.Format([ef.Dense(), ef.Dense()], codec=...))`.

    x: as many axes as levels. What equals the fill is not stored; codes are rounded to nearest even and saturate.
    Raises: FormatError where the format does not fit the array.
    """
    if not isinstance(format, Format):
        raise FormatError(f"ef.pack to {format!r}", repair="ef.pack(x, ef.csr)")
    if _library(x) == "torch":
        made = storage.pack(memory_of(x.detach()), format)
        made.is_torch = True
        return made
    if not isinstance(x, np.ndarray):
        raise FormatError(f"ef.pack of a {type(x).__name__}", repair="pack a dense array of NumPy or torch")
    return storage.pack(x, format)


def stored(value) -> Expression:
    """Where an element of an argument is stored (explicit zeros too): everywhere for a dense one.

    value: an argument at coordinates, A[i, j]. Raises: TraceError for anything else.
    """
    part = lift(value)
    node = part.node.arg if isinstance(part.node, Cast) else part.node
    match node:
        case cas.Access(cas.Input(name, _, ndim), indices, outside):
            beyond = None if outside is None else Const(False, BOOL)
            made = cas.Access(cas.Pattern(name, ndim), indices, beyond)
            current().lines.setdefault(made, current().lines.get(node))
            return Expression(made, part.extents, affine=part.affine)
    raise TraceError(f"ef.stored of {part._called()}, which is no argument at coordinates", known=current().known,
                     repair="name an argument: ef.stored(A[i, j])")


def operand_of(x, fill: float = 0, what: str = "x") -> Stored | None:
    """What is sparse, as an operand; None of what is dense. `what` errors call it. Raises: FormatError."""
    if isinstance(x, Stored):
        return x
    match _library(x):
        case "scipy" if hasattr(x, "tocsr"):
            return _of_scipy(x, fill, what)
        case "torch" if hasattr(x, "layout") and str(x.layout) != "torch.strided":
            return _of_torch(x, fill, what)
    return None


def _library(x) -> str:
    return type(x).__module__.partition(".")[0]


def _of_scipy(x, fill: float, what: str) -> Stored:
    if x.ndim != 2:
        raise FormatError(f"{what} is a sparse array of SciPy with {counted(x.ndim, 'axis', 'axes')}",
                          repair="pass one with two axes")
    if of_numpy(x.dtype) is None:
        raise FormatError(f"{what} is a sparse array of {x.dtype}", repair=f"convert it: {what}.astype(numpy.float32)")
    made = x if x.format in ("csr", "csc") else x.tocsr()  # duplicates of COO come together as their sum
    if not made.has_canonical_format:
        made = made.copy()
        made.sum_duplicates()
    plain = csr if made.format == "csr" else csc
    return compressed(Format(plain.levels, plain.order, None, fill), made.shape, made.indptr, made.indices, made.data,
                      what=what)


def _of_torch(x, fill: float, what: str) -> Stored:
    name = str(x.layout).removeprefix("torch.sparse_")
    if x.ndim != 2 or name not in ("csr", "csc", "coo"):
        raise FormatError(f"{what} is a torch tensor of layout {name} with {counted(x.ndim, 'axis', 'axes')}",
                          repair="pass one with two axes, of layout torch.sparse_csr")
    if x.device.type != "cpu":
        raise FormatError(f"{what} is on {x.device}", repair=f"pass {what}.cpu()")
    if x.requires_grad:
        raise FormatError(f"{what} requires grad, and einfall has no gradients yet", repair=f"pass {what}.detach()")
    plain = csc if name == "csc" else csr
    form = Format(plain.levels, plain.order, None, fill)
    if name == "coo":
        x = x.coalesce()  # duplicates come together, rows in order
        rows, crd = x.indices().numpy()
        pos = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=x.shape[0]))])
    else:
        pos, crd = (x.crow_indices(), x.col_indices()) if name == "csr" else (x.ccol_indices(), x.row_indices())
        pos, crd = pos.numpy(), crd.numpy()
    pos, crd, value = _in_order(pos, crd, memory_of(x.values()))
    return compressed(form, tuple(x.shape), pos, crd, value, is_torch=True, what=what)


def _in_order(pos: np.ndarray, crd: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates ascending under each position, in a copy where they are not; torch has no duplicates in CSR."""
    descends = np.nonzero(crd[1:] <= crd[:-1])[0] + 1
    if np.isin(descends, pos).all():
        return pos, crd, value
    order = np.lexsort((crd, np.repeat(np.arange(len(pos) - 1), np.diff(pos))))
    return pos, crd[order], value[order]

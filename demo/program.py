"""What a program of the demo consists of."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from einfall.front.expression import Rank
from einfall.front.kernel import Kernel

__all__ = ["Program", "as_torch"]


class Program(NamedTuple):
    """A kernel, its data, the same in NumPy and in torch, and what a person sees of the result."""

    name: str
    data: str
    load: Callable[[], tuple]  # the arguments, made of data that installed packages hold
    tiny: Callable[[np.random.Generator], tuple]  # arguments like these, small, for the tests
    kernel: Kernel
    numpy: Callable
    torch: Callable
    # the rank of which some coordinates are compared with the reference; a number: so many rows of the results, which
    # depend on as many rows of the first argument; None: everything
    checked: Rank | int | None
    see: Callable[[Any, tuple], str]  # the result and the arguments, in a sentence
    part: Callable[[tuple], tuple] | None = None  # smaller arguments for the reference, where it is slow for these


def as_torch(arguments: tuple) -> tuple:
    """The arguments as torch tensors, sparse arrays of SciPy as CSR; numbers stay."""
    return tuple(map(_as_torch, arguments))


def _as_torch(item: Any) -> Any:
    import torch

    if isinstance(item, np.ndarray):
        return torch.from_numpy(item)
    if not scipy.sparse.issparse(item):
        return item
    rows = item.tocsr()
    parts = [torch.from_numpy(part) for part in (rows.indptr, rows.indices, rows.data)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, that this layout is new
        return torch.sparse_csr_tensor(*parts, rows.shape)

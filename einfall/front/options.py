"""What a kernel is asked for beside its mathematics."""

from typing import NamedTuple

from einfall.base.errors import TraceError
from einfall.scalar.dtypes import DType

__all__ = ["Options", "options_of"]

ACCUMULATORS = ("f32", "f64", "i32", "i64", "u32", "u64")


class Options(NamedTuple):
    """target: the processor, "cpu" (the default). accumulate: the type in which sums and other reductions of its kind
    (floats, or integers) come together. exact: elements come together in the order of the text, and nothing is derived.
    relaxed: the same call may give other bits another time; nothing makes use of it yet. unchecked: no call looks for
    indices out of range (the kernel then reads other memory) or for assumptions that do not hold.
    """

    target: str | None = None
    accumulate: DType | None = None
    exact: bool = False
    relaxed: bool = False
    unchecked: bool = False
    tune: float = 0.0

    def __str__(self):
        """Those that were given, as they are written."""
        return "".join(f", {name}={value!r}" for name, value in zip(self._fields, self)
                       if value != self._field_defaults[name])


def options_of(given: dict) -> Options:
    """The options of a kernel. Raises: TraceError for one that there is not."""
    for name in given:
        if name not in Options._fields:
            raise TraceError(f"a kernel has no option {name}", repair=f"one of {', '.join(Options._fields)}")
    options = Options(**given)
    if options.target not in (None, "cpu"):
        raise TraceError(f"no kernel runs on {options.target!r}", repair='target="cpu", or nothing')
    if options.accumulate is not None and getattr(options.accumulate, "name", None) not in ACCUMULATORS:
        raise TraceError(f"accumulate={options.accumulate!r} is no type that a reduction is computed in",
                         repair=f"one of {', '.join(f'ef.{name}' for name in ACCUMULATORS)}")
    for name in ("exact", "relaxed", "unchecked"):
        if not isinstance(getattr(options, name), bool):
            raise TraceError(f"{name}={getattr(options, name)!r} is neither True nor False",
                             repair=f"{name}=True, or leave it out")
    if options.tune:
        raise TraceError("tune= measures schedules, and this version chooses them by counting only",
                         repair="leave it out")
    return options

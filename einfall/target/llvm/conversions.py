"""Numbers in another type: between integers, between floats and integers, and floats of 16 bits.

A narrow float stands in a register as its bits, an i16, and is converted to f32 and from it: by an instruction where
the processor has one for f16, else by integer arithmetic. LLVM would call functions that are in no library here.
"""

import numpy as np

from einfall.scalar.dtypes import BOOL, F32, F64, DType
from einfall.target.llvm.builder import Builder, splat, vector_type

__all__ = ["convert", "llvm_type", "number_in"]

HALF = frozenset(("f16c", "avx512f"))  # features with instructions between f16 and f32


def llvm_type(dtype: DType) -> str:
    """The scalar type of values in registers."""
    if dtype is BOOL:
        return "i1"
    return f"i{dtype.bits}" if dtype.is_int or dtype.is_narrow else {"f32": "float", "f64": "double"}[dtype.name]


def number_in(value, dtype: DType):
    """A number as a constant of `llvm_type`: of a narrow float its bits, without a sign the one with the same bits."""
    if dtype.is_narrow:
        return int(np.asarray(value, np.float64).astype(dtype.numpy).view(np.int16))
    return value - 2**dtype.bits if dtype.kind == "u" and value >= 2 ** (dtype.bits - 1) else value


def convert(builder: Builder, lanes: int, features: frozenset[str], value: str, source: DType, to: DType) -> str:
    """The register of a number in another type: saturating and NaN to 0 from float to integer, integers wrap."""
    return value if source is to else _Conversion(builder, lanes, features).convert(value, source, to)


class _Conversion:
    """Conversions of one register with some lanes."""

    def __init__(self, builder: Builder, lanes: int, features: frozenset[str]):
        self.builder, self.lanes, self.has_half = builder, lanes, not HALF.isdisjoint(features)

    def convert(self, value: str, source: DType, to: DType) -> str:
        if source.is_narrow:
            return self.further(self.widened(value, source), F32, to)
        if to.is_narrow:
            exact = source.is_float or source.bits <= 16  # the integers that f32 holds
            middle = source if source.is_float else F32 if exact else F64
            value = self.further(value, source, middle)
            return self.narrowed(self.to_odd(value) if middle is F64 else value, to)
        return self.plain(value, source, to)

    def further(self, value: str, source: DType, to: DType) -> str:
        return value if source is to else self.convert(value, source, to)

    def plain(self, value: str, source: DType, to: DType) -> str:
        """Between types that LLVM computes with."""
        one, other = llvm_type(source), llvm_type(to)
        if to is BOOL:
            return self.emit(f"{'fcmp une' if source.is_float else 'icmp ne'} {self.whole(one)} {value}, "
                             f"{self.number(0, one)}")
        if source.is_float and to.is_int:
            kinds = f"i{to.bits}", source.name
            suffix = "".join(f".{kind}" if self.lanes == 1 else f".v{self.lanes}{kind}" for kind in kinds)
            sign = "si" if to.kind == "i" else "ui"
            return self.builder.call(self.whole(other), f"llvm.fpto{sign}.sat{suffix}", f"{self.whole(one)} {value}")
        signed = source.kind == "i"
        if source.is_float:
            step = "fpext" if to.bits > source.bits else "fptrunc"
        elif to.is_float:
            step = "sitofp" if signed else "uitofp"
        elif source is BOOL:
            step = "zext"
        elif source.bits == to.bits:
            return value  # the same bits with another reading
        else:
            step = "trunc" if to.bits < source.bits else "sext" if signed else "zext"
        return self.cast(step, one, value, other)

    # Floats of 16 bits

    def widened(self, bits: str, source: DType) -> str:
        """The f32 of the bits of a narrow float: exact."""
        if source.name == "f16" and self.has_half:
            return self.cast("fpext", "half", self.cast("bitcast", "i16", bits, "half"), "float")
        wide = self.cast("zext", "i16", bits, "i32")
        if source.name == "bf16":
            return self.cast("bitcast", "i32", self.integer("shl", wide, 16), "float")
        sign = self.integer("shl", self.integer("and", wide, 0x8000), 16)
        size = self.integer("and", wide, 0x7FFF)
        placed = self.integer("shl", size, 13)
        # as f32 it is too small by the difference of the exponents: one exact product, subnormal numbers included
        scale = self.number(2.0**112, "float")
        finite = self.emit(f"fmul {self.whole('float')} {self.cast('bitcast', 'i32', placed, 'float')}, {scale}")
        beyond = self.emit(f"icmp uge {self.whole('i32')} {size}, {self.number(0x7C00, 'i32')}")
        made = self.select(beyond, self.integer("or", placed, 0x7F800000), self.cast("bitcast", "float", finite, "i32"))
        return self.cast("bitcast", "i32", self.binary("or", made, sign), "float")

    def narrowed(self, value: str, to: DType) -> str:
        """The bits of the narrow float nearest to an f32, the even one of two; NaN stays NaN."""
        if to.name == "f16" and self.has_half:
            return self.cast("bitcast", "half", self.cast("fptrunc", "float", value, "half"), "i16")
        bits = self.cast("bitcast", "float", value, "i32")
        made = self.bfloat(bits, value) if to.name == "bf16" else self.half(bits)
        return self.cast("trunc", "i32", made, "i16")

    def bfloat(self, bits: str, value: str) -> str:
        upper = self.integer("lshr", bits, 16)
        up = self.integer("add", self.integer("and", upper, 1), 0x7FFF)
        nearest = self.integer("lshr", self.binary("add", bits, up), 16)
        is_nan = self.emit(f"fcmp uno {self.whole('float')} {value}, {value}")
        return self.select(is_nan, self.integer("or", upper, 0x40), nearest)

    def half(self, bits: str) -> str:
        sign = self.integer("and", self.integer("lshr", bits, 16), 0x8000)
        size = self.integer("and", bits, 0x7FFFFFFF)
        up = self.integer("add", self.integer("and", self.integer("lshr", size, 13), 1), 0xFFF - (112 << 23))
        normal = self.integer("lshr", self.binary("add", size, up), 13)
        # added to 0.5, the last bits of a sum are those of a subnormal f16, rounded by the addition
        small = self.emit(f"fadd {self.whole('float')} {self.cast('bitcast', 'i32', size, 'float')}, "
                          f"{self.number(0.5, 'float')}")
        small = self.integer("sub", self.cast("bitcast", "float", small, "i32"), 126 << 23)
        made = self.select(self.below(size, 113 << 23), small, normal)
        made = self.select(self.below(size, 143 << 23), made, self.number(0x7C00, "i32"))
        made = self.select(self.below(size, 0x7F800001), made, self.number(0x7E00, "i32"))
        return self.binary("or", made, sign)

    def to_odd(self, value: str) -> str:
        """An f64 as an f32 that rounds further as the f64 would: where it is not exact, its last bit is set."""
        near = self.cast("fptrunc", "double", value, "float")
        back, whole = self.cast("fpext", "float", near, "double"), self.whole("double")
        sizes = [self.builder.call(whole, f"llvm.fabs.{'' if self.lanes == 1 else f'v{self.lanes}'}f64", f"{whole} {x}")
                 for x in (value, back)]
        inexact = self.emit(f"fcmp one {whole} {value}, {back}")
        too_large = self.emit(f"fcmp ogt {whole} {sizes[1]}, {sizes[0]}")
        bits = self.cast("bitcast", "float", near, "i32")
        cut = self.select(too_large, self.integer("sub", bits, 1), bits)
        return self.cast("bitcast", "i32", self.select(inexact, self.integer("or", cut, 1), bits), "float")

    # Spelling

    def whole(self, type: str) -> str:
        return vector_type(type, self.lanes)

    def emit(self, text: str) -> str:
        return self.builder.emit(text)

    def number(self, value, type: str) -> str:
        return splat(value, type, self.lanes)

    def cast(self, step: str, one: str, value: str, other: str) -> str:
        return self.emit(f"{step} {self.whole(one)} {value} to {self.whole(other)}")

    def binary(self, instruction: str, left: str, right: str) -> str:
        return self.emit(f"{instruction} {self.whole('i32')} {left}, {right}")

    def integer(self, instruction: str, left: str, number: int) -> str:
        return self.binary(instruction, left, self.number(number, "i32"))

    def below(self, value: str, number: int) -> str:
        return self.emit(f"icmp ult {self.whole('i32')} {value}, {self.number(number, 'i32')}")

    def select(self, condition: str, yes: str, no: str) -> str:
        whole = self.whole("i32")
        return self.emit(f"select {self.whole('i1')} {condition}, {whole} {yes}, {whole} {no}")

"""A thin text builder for the body of one LLVM function."""

import struct

import numpy as np

BITS = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64"}
OPENING, CLOSING = "<[({", ">])}"


def vector_type(type: str, lanes: int) -> str:
    """The type of `lanes` values: the scalar type itself for one lane."""
    return type if lanes == 1 else f"<{lanes} x {type}>"


def constant(value: float | int, type: str) -> str:
    """The text of a scalar constant. A float is rounded to its type and written as the hex of the equal double,
    the form that LLVM reads without a second rounding."""
    if type not in ("float", "double"):
        return str(int(value))
    if type == "float":
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def splat(value: float | int, type: str, lanes: int) -> str:
    """The text of a constant that holds `value` in every lane."""
    text = constant(value, type)
    return text if lanes == 1 else f"splat ({type} {text})"


def intrinsic(name: str, type: str, lanes: int) -> str:
    """The full name of an overloaded intrinsic, such as llvm.fma.v16f32."""
    suffix = BITS.get(type, type)
    return f"llvm.{name}.{suffix}" if lanes == 1 else f"llvm.{name}.v{lanes}{suffix}"


def operand_type(operand: str) -> str:
    """The type of a typed operand such as `<4 x float> %x`: the text before the first space outside brackets."""
    depth = 0
    for position, letter in enumerate(operand):
        if letter in OPENING:
            depth += 1
        elif letter in CLOSING:
            depth -= 1
        elif letter == " " and depth == 0:
            return operand[:position]
    raise ValueError(f"an operand needs a type and a value: {operand!r}")


class Builder:
    """Lines of one LLVM function body; a method that makes a value returns its name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self.made = 0

    def fresh(self, hint: str = "v") -> str:
        """A new name. The counter makes it unique, and equal programs get equal texts."""
        self.made += 1
        return f"%{hint}.{self.made}"

    def emit(self, text: str, hint: str = "v") -> str:
        name = self.fresh(hint)
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def call(self, type: str, name: str, *args: str) -> str:
        """Calls an intrinsic or external function with typed operands and records its declaration."""
        self.declarations.add(f"declare {type} @{name}({', '.join(map(operand_type, args))})")
        text = f"call {type} @{name}({', '.join(args)})"
        if type != "void":
            return self.emit(text)
        self.do(text)
        return ""

"""A nest as text in Python's syntax, and back: `parse(text(nest)) is nest`.

    def product(A: f32[2], B: f32[2]):
        C = output(f32, A.shape[0], B.shape[1])
        for i in parallel(A.shape[0]):
            for j in parallel(B.shape[1]):
                for k in sequential(A.shape[1], a1=f32(0.0)):
                    carry(a1=a1 + A[i, k] * B[k, j])
                C[i, j] = a1
"""

import ast

from einfall.nest.nodes import Nest
from einfall.scalar.memory_text import StatementParser, StatementPrinter

__all__ = ["parse", "text"]


def text(nest: Nest) -> str:
    """The nest as text."""
    printer = StatementPrinter()
    lines = [printer.head(nest.name, nest.inputs)]
    lines += [f"    {buffer.name} = {printer.memory('output', buffer)}" for buffer in nest.outputs]
    printer.block(nest.body, 1, lines)
    return "\n".join(lines) + "\n"


def parse(source: str) -> Nest:
    """The nest that prints as this text. Raises: SyntaxError."""
    (function,) = ast.parse(source).body
    parser = StatementParser()
    inputs = parser.head(function)
    outputs, rest = [], []
    for statement in function.body:
        match statement:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("output"), args)):
                outputs.append(parser.memory(name, args))
            case _:
                rest.append(statement)
    return Nest(function.name, inputs, tuple(outputs), parser.block(rest))

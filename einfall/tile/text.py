"""A tile program as text in Python's syntax, and back: `parse(text(program)) is program`.

    def product(A: f32[2], B: f32[2]):
        out = output(f32, A.shape[0], B.shape[1])
        i, j = grid(A.shape[0], B.shape[1])
        for k in sequential(A.shape[1], a=f32(0.0)):
            carry(a=a + A[i, k] * B[k, j])
        out[i, j] = a
"""

import ast

from einfall.scalar.memory import Variable
from einfall.scalar.memory_text import StatementParser, StatementPrinter
from einfall.tile.nodes import Axis, Program

__all__ = ["parse", "text"]


def text(program: Program) -> str:
    """The program as text."""
    printer = StatementPrinter()
    lines = [printer.head(program.name, program.inputs)]
    lines += [f"    {buffer.name} = {printer.memory('output', buffer)}" for buffer in program.outputs]
    if program.grid:
        names = ", ".join(axis.variable.name for axis in program.grid)
        lines.append(f"    {names} = grid({', '.join(printer.form(axis.extent) for axis in program.grid)})")
    printer.block(program.body, 1, lines)
    return "\n".join(lines) + "\n"


def parse(source: str) -> Program:
    """The program that prints as this text. Raises: SyntaxError."""
    (function,) = ast.parse(source).body
    parser = StatementParser()
    inputs = parser.head(function)
    outputs, grid, rest = [], (), []
    for statement in function.body:
        match statement:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("output"), args)):
                outputs.append(parser.memory(name, args))
            case ast.Assign([names], ast.Call(ast.Name("grid"), extents)):
                targets = names.elts if isinstance(names, ast.Tuple) else [names]
                sizes = [parser.read(extent) for extent in extents]
                for target in targets:
                    parser.known[target.id] = Variable(target.id)
                grid = tuple(Axis(Variable(target.id), size) for target, size in zip(targets, sizes))
            case _:
                rest.append(statement)
    return Program(function.name, inputs, tuple(outputs), grid, parser.block(rest))

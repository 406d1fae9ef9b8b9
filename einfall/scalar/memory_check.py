"""What must hold of statements beyond the types of their nodes."""

from einfall.base.node import Node, postorder
from einfall.scalar.memory import Buffer, Loop, Number, Size, Store, Value, Variable, Workspace

__all__ = ["check_statements"]


def check_statements(inputs, outputs, body, others=()) -> None:
    """Names are unique and known where they are used, inputs are not written, extents depend on sizes only.

    Raises: AssertionError, since only a pass of einfall's own can break these.
    """
    sizes = {item.name: item for item in inputs}
    known: set[Node] = {*inputs, *outputs, *others}
    names = [item.name for item in (*inputs, *outputs, *others)]
    written = set(outputs)

    def uses(expr: Node, allowed: set[Node]) -> None:
        for node in postorder(expr):
            match node:
                case Variable(name) | Value(name) | Number(name) | Buffer(name):
                    assert node in allowed, f"{name} is used where it is not known"
                case Size(name, axis):
                    assert isinstance(sizes.get(name), Buffer) and axis < len(sizes[name].extents), f"{name}.{axis}"

    def block(statements, allowed: set[Node]) -> None:
        allowed = set(allowed)
        for statement in statements:
            match statement:
                case Workspace(buffer):
                    for extent in buffer.extents:
                        assert all(isinstance(node, Size) or not hasattr(node, "name") or node.name in sizes
                                   for node in postorder(extent)), f"the extent of {buffer.name} depends on an index"
                    names.append(buffer.name)
                    allowed.add(buffer)
                    written.add(buffer)
                case Store(buffer, indices, value):
                    assert buffer in written, f"{buffer.name} is written and is an input"
                    for expr in (buffer, *indices, value):
                        uses(expr, allowed)
                case Loop(variable, extent, _, _, carried, body):
                    names.extend([variable.name, *(item.value.name for item in carried)])
                    for expr in (extent, *(item.init for item in carried)):
                        uses(expr, allowed)
                    inside = allowed | {variable, *(item.value for item in carried)}
                    inner = block(body, inside)
                    for item in carried:
                        uses(item.update, inner)
                    allowed |= {item.value for item in carried}
        return allowed

    block(body, known)
    assert len(set(names)) == len(names), f"a name is used twice: {sorted(n for n in names if names.count(n) > 1)}"

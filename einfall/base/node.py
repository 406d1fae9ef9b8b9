"""Nodes: immutable records that exist once, so that `is` is equality and a memo is a dict.

A class that derives from `Node` lists its fields as annotations. Building a node that already exists returns that one.
The table is weak: a node lives as long as somebody holds it. Keys carry the type of numbers and the bits of floats,
because 1, 1.0 and True hash alike in Python, and so do 0.0 and -0.0.
"""

import struct
import types
import typing
import weakref
from _weakref import _remove_dead_weakref  # removes a key if its value is dead, in one step
from collections import deque
from collections.abc import Callable, Container, Iterator

__all__ = ["Node", "children", "field_values", "postorder", "rebuild", "rewrite"]


def _key(value):
    """What tells field values apart: `value` itself, with its type (and bits) where Python's equality is too coarse."""
    kind = type(value)
    if kind is float:
        return float, struct.pack("<d", value)
    if kind is int or kind is bool:
        return kind, value
    if kind is tuple:
        return tuple(map(_key, value))
    return value


def _test_of(expected) -> Callable[[object], bool]:
    """The function that says whether a field value has its declared type."""
    if isinstance(expected, types.UnionType):
        options = tuple(map(_test_of, typing.get_args(expected)))
        return lambda value: any(option(value) for option in options)
    if expected is None or expected is types.NoneType:
        return lambda value: value is None
    if typing.get_origin(expected) is tuple:
        item, *_ = map(_test_of, typing.get_args(expected)[:1])
        return lambda value: type(value) is tuple and all(map(item, value))
    if expected is int or expected is float:
        return lambda value: type(value) is expected
    return lambda value: isinstance(value, expected)


class _Entry(weakref.ref):
    """A node in its table. When it dies it is noted, and removed with the next node that is built.

    Noting is `deque.append`, which is no Python code: a Ctrl-C that arrives in Python code called by the death of an
    object, as in WeakValueDictionary, is printed and lost.
    """

    __slots__ = ("key", "table")


_DEAD: deque[_Entry] = deque()


def _forget_the_dead() -> None:
    while _DEAD:
        try:
            entry = _DEAD.pop()
        except IndexError:  # another thread took the last one
            return
        _remove_dead_weakref(entry.table, entry.key)


class NodeType(type):
    """Makes the classes of nodes: slots from annotations, construction through the table."""

    def __new__(meta, name, bases, namespace):
        own = tuple(field for field in namespace.get("__annotations__", {}) if not field.startswith("_"))
        inherited = tuple(field for base in bases for field in getattr(base, "fields", ()))
        derived = namespace.get("derived", ())
        namespace["__slots__"] = (*own, *derived, *(("__weakref__", "below") if not bases else ()))
        namespace["fields"] = inherited + own
        namespace["__match_args__"] = inherited + own
        return super().__new__(meta, name, bases, namespace)

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        cls._table = {}
        cls._tests = None

    def __call__(cls, *values):
        key = tuple(map(_key, values))
        entry = cls._table.get(key)
        found = None if entry is None else entry()
        if found is not None:
            return found
        cls._check(values)
        made = cls.__new__(cls)
        for field, value in zip(cls.fields, values):
            object.__setattr__(made, field, value)
        object.__setattr__(made, "below", tuple(_nodes_in(values)))
        made.derive()
        _forget_the_dead()
        entry = _Entry(made, _DEAD.append)
        entry.table, entry.key = cls._table, key
        while True:  # two threads may build the same node at once: setdefault lets one of them win
            found = cls._table.setdefault(key, entry)()
            if found is not None:
                return found
            _remove_dead_weakref(cls._table, key)

    def _check(cls, values) -> None:
        if cls._tests is None:  # names of classes that are defined later are known now
            hints = typing.get_type_hints(cls)
            cls._tests = tuple((_test_of(hints[field]), field, hints[field]) for field in cls.fields)
        if len(values) != len(cls.fields):
            raise TypeError(f"{cls.__name__} takes {', '.join(cls.fields)}; {len(values)} values were given")
        for value, (fits, field, expected) in zip(values, cls._tests):
            if not fits(value):
                raise TypeError(f"{cls.__name__}.{field} is a {expected}, not {value!r}")


class Node(metaclass=NodeType):
    """The base of all nodes."""

    derived = ()

    def derive(self) -> None:
        """Sets the slots named in `derived` from the fields; a node that makes no sense raises TypeError here."""

    def __setattr__(self, name, value):
        raise AttributeError(f"nodes are immutable: {type(self).__name__}.{name}")

    def __reduce__(self):
        return type(self), field_values(self)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return _shown(self, 4)


def _shown(value, depth: int) -> str:
    """A node as text, no deeper than `depth`: shared graphs are exponential when written out."""
    if isinstance(value, Node):
        below = "..." if depth == 0 else ", ".join(_shown(item, depth - 1) for item in field_values(value))
        return f"{type(value).__name__}({below})"
    if type(value) is tuple:
        return f"({', '.join(_shown(item, depth) for item in value)})"
    return repr(value)


def field_values(node: Node) -> tuple:
    """The values of the fields, in order."""
    return tuple(getattr(node, field) for field in node.fields)


def _nodes_in(values: tuple) -> list[Node]:
    found: list[Node] = []
    for value in values:
        if isinstance(value, Node):
            found.append(value)
        elif type(value) is tuple and value:
            found += _nodes_in(value)
    return found


def children(node: Node) -> tuple[Node, ...]:
    """The nodes in the fields, in order."""
    return node.below


def postorder(*roots: Node, known: Container[Node] = ()) -> Iterator[Node]:
    """Each node below the roots once, children first; none of the known ones, nor what is below them only.

    Takes any depth: no recursion.
    """
    seen: set[Node] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, entered = stack.pop()
        if node in seen or node in known:
            continue
        if entered:
            seen.add(node)
            yield node
            continue
        stack.append((node, True))
        stack += [(child, False) for child in reversed(node.below) if child not in seen]


def rebuild(node: Node, change) -> Node:
    """The node with `change` applied to each child; the node itself where nothing changed."""
    if all(change(child) is child for child in node.below):
        return node

    def changed(value):
        if isinstance(value, Node):
            return change(value)
        if type(value) is tuple:
            return tuple(map(changed, value))
        return value

    return type(node)(*map(changed, field_values(node)))


def rewrite(root: Node, rule: Callable[[Node], Node | None] | None, memo: dict | None = None) -> Node:
    """Bottom-up: each node is rebuilt from its rewritten children, then given to `rule`, which gives a node or None.

    Without a rule, nodes become what `memo` says, which learns what it meets.
    """
    memo = {} if memo is None else memo
    for node in postorder(root, known=memo):
        made = rebuild(node, memo.__getitem__)
        after = None if rule is None else rule(made)
        memo[node] = made if after is None else after
    return memo[root]

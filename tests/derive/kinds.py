"""The kinds of refusal that the derivation makes: its reasons in words, read from its source."""

import ast
import pathlib
import re

import einfall.derive
from einfall.derive.derive import Derivation

__all__ = ["KINDS", "kinds_of"]

RAISED = {"Refused", "NotSeparable", "NoForm"}  # what the driver makes a refusal of


def _templates() -> dict[str, re.Pattern]:
    """{kind: what a reason of it contains}: the texts in the source, `...` for each name and number."""
    found = {}
    for path in sorted(pathlib.Path(einfall.derive.__path__[0]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Raise(ast.Call(ast.Name(name), [ast.Constant(str() as text)])) if name in RAISED:
                    parts = [text]
                case ast.Raise(ast.Call(ast.Name(name), [ast.JoinedStr(values)])) if name in RAISED:
                    parts = [value.value if isinstance(value, ast.Constant) else "..." for value in values]
                case _:
                    continue
            kind = "".join(parts).removesuffix(": ...")
            if re.search(r"[a-z]", kind):  # others are the name of an operator, within a reason
                found[kind] = re.compile(".+?".join(map(re.escape, kind.split("..."))))
    return found


_TEMPLATES = _templates()
KINDS = sorted(_TEMPLATES)


def kinds_of(derivation: Derivation) -> list[str]:
    """The kinds of all refusals; one that says what trying met is of two kinds."""
    found = []
    for refusal in derivation.refusals:
        kinds = [kind for kind, pattern in _TEMPLATES.items() if pattern.search(refusal.reason)]
        found += kinds or [f"of no kind in the source: {refusal.reason}"]
    return found

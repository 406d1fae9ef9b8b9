"""The shape of the house: imports go one way, files and functions stay small, everything says what it is."""

import ast
import functools
import io
import pathlib
import re
import tokenize

import pytest

from tests.planted import BUGS

ROOT = pathlib.Path(__file__).parent.parent
ROOMS = ["base", "scalar", "cascade", "derive", "format", "nest", "tile", "lower", "plan", "target", "runtime",
         "pipeline", "measure", "report", "front", "api", "instruments", "__main__"]
LANGUAGES = {"cascade", "nest", "tile"}
STRANGERS = {("nest", "cascade"), ("nest", "derive"), ("tile", "cascade"), ("tile", "derive"), ("tile", "nest")}
VAGUE = {"utils", "helpers", "misc", "common", "tools"}
LATE = {"rich", "torch", "scipy", "triton", "matplotlib", "platformdirs"}
LATE_ROOMS = {"target", "runtime", "measure", "report", "front", "instruments"}
TABLES = {"einfall/scalar/ops.py"}  # long because they are tables
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "einfall").rglob("*.py"))
PROSE = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@functools.cache
def source(path: pathlib.Path) -> tuple[str, ast.Module]:
    """A file, and what Python reads in it."""
    text = (ROOT / path).read_text()
    return text, ast.parse(text)


def imports(module: ast.Module):
    """(module name, line, stands at the top) of each import in a file."""
    at_top = set(module.body)
    for statement in ast.walk(module):
        match statement:
            case ast.Import(names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(source, names, 0):
                found = [f"{source}.{alias.name}" for alias in names]
            case ast.ImportFrom():
                raise AssertionError(f"line {statement.lineno}: write imports in full, from einfall...")
            case _:
                continue
        yield from ((name, statement.lineno, statement in at_top) for name in found)


def code_lines(text: str, module: ast.Module) -> set[int]:
    """The lines that hold code: no blank lines, comments or docstrings."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for item in ast.walk(module):
        if isinstance(item, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(item) is not None:
            lines.difference_update(range(item.body[0].lineno, item.body[0].end_lineno + 1))
    return lines


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_one_way(path):
    parts = path.parts
    if parts == ("einfall", "__init__.py"):
        return  # the door: it re-exports api
    here = parts[1].removesuffix(".py")
    assert here in ROOMS, f"{path}: {here} is not a room; see ARCHITECTURE"
    for name, line, at_top in imports(source(path)[1]):
        top = name.split(".")[0]
        if top != "einfall":
            assert at_top or (top in LATE and here in LATE_ROOMS), f"{path}:{line}: import {name} at the top"
            assert not (at_top and top in LATE), f"{path}:{line}: {name} is heavy; import it where it is used"
            continue
        assert name != "einfall", f"{path}:{line}: nobody imports from the package root"
        there = name.split(".")[1]
        assert at_top, f"{path}:{line}: import {name} at the top; a hidden import hides a circle"
        assert ROOMS.index(there) <= ROOMS.index(here), f"{path}:{line}: {here} may not import {there}"
        assert (here, there) not in STRANGERS, f"{path}:{line}: only lower/ speaks two languages"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_are_small_and_say_what_they_are(path):
    text, module = source(path)
    assert path.stem not in VAGUE, f"{path}: a name that says nothing"
    assert ast.get_docstring(module), f"{path}: one line that says what is here"
    lines = code_lines(text, module)
    if str(path) not in TABLES:
        assert len(lines) <= 600, f"{path}: {len(lines)} code lines; the bound is 600"
    for item in ast.walk(module):
        if isinstance(item, ast.FunctionDef):
            length = len(lines & set(range(item.lineno, item.end_lineno + 1)))
            assert length <= 80, f"{path}:{item.lineno}: {item.name} has {length} code lines; the bound is 80"
        if isinstance(item, ast.ClassDef):
            assert ast.get_docstring(item), f"{path}:{item.lineno}: class {item.name} has no docstring"
    if path.stem != "settings":
        assert "os.environ" not in text, f"{path}: the environment is read in base/settings.py only"
    for match in re.finditer(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", text):
        raise AssertionError(f"{path}: {match[0]} without an issue number")


@pytest.mark.parametrize("path", PROSE + FILES, ids=str)
def test_the_repository_speaks_of_the_project_alone(path):
    for match in re.finditer(r"/root/|/work/|/opt/pypi", (ROOT / path).read_text()):
        raise AssertionError(f"{path}: a path of one machine: {match[0]}")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_a_bug_can_be_planted(bug):
    """`make planted` finds the text that it replaces."""
    assert (ROOT / "einfall" / bug.path).read_text().count(bug.text) == 1

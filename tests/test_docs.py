"""What the README and the lessons say is run."""

import linecache
import pathlib
import re

import numpy as np
import pytest

import einfall as ef
from einfall import api
from einfall.front import kernel as front
from einfall.measure.timing import Timing

ROOT = pathlib.Path(__file__).parent.parent
README, LESSONS = ROOT / "README.md", sorted((ROOT / "docs" / "lessons").glob("*.md"))
ERRORS = sorted(path for path in (ROOT / "docs" / "errors").glob("*-error.md") if path.stem != "compile-error")


@pytest.mark.parametrize("path", [
    README, *(pytest.param(path, marks=pytest.mark.slow) for path in LESSONS + ERRORS)], ids=lambda path: path.stem)
def test_the_code_of_a_document_runs_and_prints_what_is_shown(path, capsys, request):
    """The blocks of a document are one program; what is shown below a block is what it prints, `...` is left out.

    A lesson shows all that it prints; `--accept` writes what is printed where nothing is left out.
    """
    text, names = path.read_text(), {"__name__": path.stem}
    fences = list(re.finditer(r"^```(python|output)\n(.*?)^```$", text, re.S | re.M))
    linecache.cache[path.name] = len(text), None, text.splitlines(keepends=True), path.name  # errors show their lines
    printed, wrong, accepted = "", [], {}
    assert fences
    for fence in fences:
        kind, block = fence.groups()
        if kind == "python":
            assert path == README or not printed, f"{path.name} does not show what it prints: {printed}"
            line = text.count("\n", 0, fence.start(2))
            exec(compile("\n" * line + block, path.name, "exec"), names)
            printed = capsys.readouterr().out
            continue
        shown = "\n".join(line.rstrip() for line in printed.rstrip().splitlines()) + "\n"
        if not is_shown(block.splitlines(), shown.splitlines()):
            wrong.append(f"{path.name} shows\n{block}where it prints\n{shown}")
            accepted[fence] = shown
        printed = ""
    assert path == README or not printed, f"{path.name} does not show what it prints: {printed}"
    if request.config.getoption("--accept"):
        for fence, shown in reversed(accepted.items()):
            text = text[:fence.start(2)] + shown + text[fence.end(2):]
        path.write_text(text)
    assert not wrong, "\n".join(wrong)


def is_shown(shown: list[str], printed: list[str]) -> bool:
    """Whether lines are those printed, where `...` stands for any number of them."""
    pattern = "".join(r"(.*\n)*?" if line.strip() == "..." else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def test_the_readme_links_every_lesson():
    text = README.read_text()
    assert LESSONS and all(f"(docs/lessons/{path.name})" in text for path in LESSONS)


def test_every_error_has_a_page():
    """Which the table of errors links."""
    kinds = {name for name, value in api.NAMES.items()
             if isinstance(value, type) and issubclass(value, ef.EinfallError)}
    pages = {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() for name in kinds - {"EinfallError"}}
    table = (ROOT / "docs" / "errors" / "README.md").read_text()
    assert {path.stem for path in (ROOT / "docs" / "errors").glob("*-error.md")} == pages
    assert all(f"]({page}.md)" in table for page in pages)


def test_the_loops_of_the_readme_are_those_of_the_compiler(capsys):
    text = README.read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(compile(block, "README.md", "exec"), {})
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    (loops,) = re.findall(r"```\n(for b_staged in .*?)```", text, re.S)
    for line in loops.splitlines():
        assert line.strip() == "..." or line.strip() in printed, line


def test_the_report_of_the_readme_is_one_of_the_compiler(capsys, monkeypatch):
    text = README.read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict = {}
    monkeypatch.setattr(front, "timed", lambda call: Timing(1.0, 1.0, 1))  # nothing is measured
    monkeypatch.setenv("EINFALL_THREADS", "2")
    exec(compile(block, "README.md", "exec"), names)
    printed = str(names["attention"].explain(*np.zeros((3, 1, 8, 1024, 64), np.float32))).splitlines()
    (page,) = re.findall(r"```\n(attention\(Q: .*?)```", text, re.S)
    shown = page.splitlines()

    def before_seconds(lines: list[str]) -> list[list[str]]:
        return [line.split()[:-2] if "MB" in line else line.split() for line in lines[:shown.index("time")]]

    assert before_seconds(shown) == before_seconds(printed)
    assert set(shown[shown.index("notes"):]) <= set(printed)

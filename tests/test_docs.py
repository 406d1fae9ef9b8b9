"""What the README says is run."""

import pathlib
import re

import numpy as np

from einfall.front import kernel as front
from einfall.measure.timing import Timing

ROOT = pathlib.Path(__file__).parent.parent


def test_the_code_of_the_readme_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    for number, block in enumerate(blocks):
        names: dict = {}
        exec(compile(block, f"README.md block {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert "def attention(Q: f32[4], K: f32[4], V: f32[4]):" in printed
    assert names["O"].shape == names["R"].shape


def test_the_loops_of_the_readme_are_those_of_the_compiler(capsys):
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(compile(block, "README.md", "exec"), {})
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    (loops,) = re.findall(r"```\n(for b in .*?)```", text, re.S)
    for line in loops.splitlines():
        assert line.strip() == "..." or line.strip() in printed, line


def test_the_report_of_the_readme_is_one_of_the_compiler(capsys, monkeypatch):
    text = (ROOT / "README.md").read_text()
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

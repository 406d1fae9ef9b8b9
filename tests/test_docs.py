"""What the README says is run."""

import pathlib
import re

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

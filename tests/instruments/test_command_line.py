"""The command line, as people call it: in a process of its own, with whole messages."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import einfall as ef
from einfall.front.observers import OBSERVERS, observing
from einfall.instruments import doctor
from einfall.instruments.command_line import parser

ROOT = pathlib.Path(__file__).parent.parent.parent
PROGRAM = """\
import sys
import numpy as np
import einfall as ef

i, j = ef.ranks("i j")

@ef.kernel
def shares(A):
    return (A[i, j] / ef.sum(A[i, j], over=j))[i, j]

@ef.kernel
def unused(A):
    return A[i, j]

for width in (4, 5):
    print(shares(np.ones((2, width)))[0, 0])
match sys.argv[1:]:
    case ["einfall"]:
        shares(np.ones(3))
    case ["python"]:
        {}["missing"]
    case ["end"]:
        sys.exit(7)
"""


@pytest.fixture
def einfall(tmp_path):
    """Runs the command line in a folder that holds program.py."""
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "EINFALL_THREADS": "1", "COLUMNS": "80"}
        ended = subprocess.run([sys.executable, "-m", "einfall", *arguments], cwd=tmp_path, env=environment,
                               capture_output=True, text=True, timeout=60)
        errors = re.sub(r"\d+\.\d\d ms", "N ms", ended.stderr).replace(os.path.realpath(tmp_path), "FOLDER")
        return ended.returncode, ended.stdout, errors

    return run


CALLS = "shares: 2 calls, N ms, of which compiling N ms\n"


def test_run_tells_the_calls(einfall):
    assert einfall("run", "program.py") == (0, "0.25\n0.2\n", CALLS)


def test_run_shows_an_error_of_einfall_as_its_four_lines(einfall):
    assert einfall("run", "program.py", "einfall") == (1, "0.25\n0.2\n", """\
ShapeError: A has 1 axis and 2 indices
  in     program.py:9: return (A[i, j] / ef.sum(A[i, j], over=j))[i, j]
  known  A: f64[3]
  try    give one index per axis; a tuple of ranks is one axis
""" + CALLS)


def test_run_shows_other_errors_as_python_does(einfall):
    code, _, errors = einfall("run", "program.py", "python")
    lines = errors.splitlines()
    assert code == 1 and lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "program.py", line 21, in <module>'  # no frame of the command line before it
    assert lines[-2:] == ["KeyError: 'missing'", CALLS.strip()]


def test_run_ends_as_the_file_ends(einfall):
    assert einfall("run", "program.py", "end") == (7, "0.25\n0.2\n", CALLS)


def test_explain_reports_on_the_last_call(einfall):
    code, said, errors = einfall("explain", "program.py:shares")
    assert (code, errors) == (0, "") and said.startswith("0.25\n0.2\n")
    assert "shares" in said


@pytest.mark.slow
@pytest.mark.parametrize("arguments, message", [
    (("run", "nothing.py"), """\
einfall: nothing.py is not there
  known  working folder: FOLDER
  try    name a Python file that is there
"""),
    (("run", "."), """\
einfall: . is a folder
  known  working folder: FOLDER
  try    name a Python file that is there
"""),
    (("explain", "program.py"), """\
einfall: program.py names no kernel
  try    einfall explain program.py:KERNEL
"""),
    (("explain", "program.py:softmax"), """\
einfall: program.py has no kernel softmax
  known  kernels: shares, unused
  try    einfall explain program.py:shares
"""),
    (("explain", "program.py:unused"), """\
einfall: program.py never calls the kernel unused
  known  kernels called: shares
  try    call unused in program.py with the arguments to explain it for
"""),
])
def test_what_cannot_be_done_is_told(einfall, arguments, message):
    code, _, errors = einfall(*arguments)
    assert (code, errors) == (1, message)


def test_doctor_says_what_there_is_and_that_it_works(einfall):
    code, said, errors = einfall("doctor")
    assert (code, errors) == (0, "")
    words = [line.split()[0] for line in said.splitlines()]
    assert words == ["Python", "einfall", "numpy", "llvmlite", "torch", "platform", "CPU", "lanes", "threads",
                     "program"]
    assert "ok: compiled and run" in said


def test_doctor_says_what_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "share_of_tolerance", lambda actual, expected: 3.0)
    *_, (what, says, is_well) = doctor.examination("0")
    assert (what, is_well) == ("program", False) and says.startswith("wrong: 3 tolerances from the reference")

    def fails(*_):
        raise OSError("no memory to write code to")

    monkeypatch.setattr(doctor, "kernel", lambda function: fails)
    *_, (what, says, is_well) = doctor.examination("0")
    assert (what, is_well) == ("program", False)
    assert says.startswith("failed\n") and says.endswith("OSError: no memory to write code to\n")


def test_the_commands_of_the_readme_are_there():
    commands = re.findall(r"^einfall (.*?)(?: +#.*)?$", (ROOT / "README.md").read_text(), re.M)
    assert [parser().parse_args(command.split()).command.__name__ for command in commands] == [
        "run_file", "explain_kernel", "doctor"]


def test_help_and_version(einfall):
    for command in ("run", "explain", "doctor"):
        code, said, _ = einfall(command, "--help")
        assert code == 0 and f"example:\n  einfall {command}" in said
    code, said, _ = einfall("--version")
    assert code == 0 and re.fullmatch(r"einfall (\d+\.\d+\.\d+.*|\(not installed\))\n", said)


def test_observers_are_told_while_they_ask():
    i = ef.ranks("i")

    @ef.kernel
    def doubled(A, factor=2):
        return (A[i] * factor)[i]

    told = []
    A = np.ones(3)
    with observing(told.append):
        doubled(A)
        doubled(A, factor=3)
    doubled(A)
    assert [(call.kernel, call.options) for call in told] == [(doubled, {}), (doubled, {"factor": 3})]
    assert all(call.args[0] is A and call.total_s >= call.compile_s >= 0 for call in told)
    assert not OBSERVERS

"""Reports: the whole text for a fixed machine and fixed times, and each note where it is true and only there."""

import re

import numpy as np
import pytest

import einfall as ef
from einfall.front import kernel as kernel_module
from einfall.front.arguments import collect
from einfall.measure.timing import Timing
from einfall.plan.machine import described
from einfall.report.explain import WIDTH, CallData, explanation, seconds

MACHINE = described("a machine", 2, 16)._replace(is_measured=True)
i, j, k = ef.ranks("i j k")

PAGE = """\
softmax(A: f32[3000, 2000])

derivation
  max and sum of j become one pass

kernels
  program  grid  in lanes       threads  operations  functions  bytes  predicted
  softmax  3000  j_3 j_2 j_4 j        2        24 M        6 M  48 MB    2.03 ms

time
  predicted   2.03 ms  on a machine, 2 threads
  measured    4.00 ms  median of 7 warm calls
  limit       2.00 ms  max(48 MB / 24 GB/s of memory, 24 Mop / 192 Gop/s f32, 6 M special functions
                       / 6.67 G/s)
  share          50 %  of the limit
  binds      memory"""


def report(kernel, *args, machine=MACHINE, timing=None, derivation="", entry_s=0.0, **options):
    arguments = collect(kernel.signature, kernel.__name__, args, options)
    ready = kernel.prepared(arguments)
    fixed = {(size.input, size.axis): value for size, value in ready.program.fixed.items()}
    call = CallData(arguments.known, arguments.sizes, arguments.units, arguments.small, fixed, entry_s)
    checks = tuple((check.kind, check.machine.whole) for check in ready.checks)
    first = explanation(kernel.__name__, ready.machine.whole, checks, call, machine, Timing(1.0, 1.0, 1))
    timing = timing or Timing(first.predicted_s, first.predicted_s, 9)
    return explanation(kernel.__name__, ready.machine.whole, checks, call, machine, timing, derivation)


@ef.kernel
def softmax(A):
    return ef.softmax(A[i, j], over=j)[i, j]


@ef.kernel
def tangent(A):
    return ef.tan(A[i, j])[i, j]


@ef.kernel
def double(A):
    return (2 * A[i, j])[i, j]


@ef.kernel
def gathered(A, at):
    return A[at[i], j][i, j]


@ef.kernel
def rows_by_hand(A):
    return sum(A[row, j] for row in range(A.shape[0]))[j]


@ef.kernel
def total(A):
    return ef.sum(A[i], over=i)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def test_the_page():
    found = report(softmax, ones(3000, 2000), timing=Timing(4e-3, 3.9e-3, 7),
                   derivation="max and sum of j become one pass")
    assert str(found) == PAGE
    assert found.share == found.limit_s / 4e-3 and found.notes == ()
    assert (found.operations, found.special_functions, found.least_bytes) == (24e6, 6e6, 48e6)


def test_no_derivation_no_section():
    assert "derivation" not in str(report(softmax, ones(3000, 2000)))


LARGE = ones(3000, 2000)
NOTES = [
    ("tan of f32: there is no vector code, libm is called for each element", (tangent, LARGE), (softmax, LARGE)),
    ("exp of f64: there is no vector code", (softmax, LARGE.astype(float)), (softmax, LARGE)),
    ("indices are checked at run time", (gathered, LARGE, np.zeros(3000, np.int32)), (double, LARGE)),
    ("Python code looked at a size, so another program is traced when it changes: axis 0 of A = 30",
     (rows_by_hand, ones(30, 40000)), (double, LARGE)),
    ("small extents are constants of the machine code: A[:, 3]", (double, ones(300000, 3)), (double, LARGE)),
    ("double runs on one thread: 1.2 k operators and accesses are fewer than 1 M", (double, ones(20, 20)),
     (double, LARGE)),
    ("total runs on one thread: it is one instance", (total, ones(10**6)), (double, LARGE)),
]


@pytest.mark.parametrize("note, there, absent", NOTES, ids=[note[:24] for note, *_ in NOTES])
def test_a_note_where_it_is_true(note, there, absent):
    assert any(item.startswith(note) for item in report(*there).notes), report(*there).notes
    assert not any(item.startswith(note) for item in report(*absent).notes)


def test_notes_about_numbers():
    about = "the numbers of the machine are estimates"
    assert about in " ".join(report(double, LARGE, machine=MACHINE._replace(is_measured=False)).notes)
    expected = report(double, LARGE).predicted_s
    late = report(double, LARGE, timing=Timing(3 * expected, 3 * expected, 5))
    assert late.notes == ("the prediction is off: a call takes 3 times as long",)
    uneven = report(double, LARGE, timing=Timing(1.9 * expected, expected, 5))
    assert [note.split(",")[0] for note in uneven.notes] == ["the calls differ"]


def test_one_thread_needs_no_reason():
    assert not report(double, ones(20, 20), machine=MACHINE._replace(threads=1)).notes[1:]


def test_the_cost_of_what_was_lowered_is_predicted_without_a_call(monkeypatch):
    monkeypatch.setattr(kernel_module, "this_machine", lambda: MACHINE)
    monkeypatch.setattr(kernel_module, "timed", None)
    predicted = re.sub("  measured .*\n", "", PAGE).replace("    50 %", "    99 %")
    derivation = "derivation\n  max and sum of j become one pass\n\n"
    assert softmax.lower(ones(3000, 2000)).cost == predicted.replace(derivation, "")


def test_programs_with_nothing_to_do_are_told_in_one_line():
    @ef.kernel
    def product(A, B):
        return ef.sum(A[i, k] * B[k, j], over=k)[i, j]

    text = str(report(product, ones(96, 80), ones(80, 128)))
    assert "3 more with nothing to do at these sizes" in text
    text = str(report(product, ones(97, 80), ones(80, 129)))
    assert "product_3" in text and "nothing to do" not in text


@pytest.mark.parametrize("there", [there for _, there, _ in NOTES], ids=[note[:24] for note, *_ in NOTES])
def test_pages_are_narrow_and_whole(there):
    text = str(report(*there, derivation="a long line " * 30, timing=Timing(0.0123, 0.001, 3)))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(line == line.rstrip() for line in text.splitlines())
    for section in ("derivation", "kernels", "time", "notes"):
        assert re.search(f"(?m)^{section}$", text)


def test_an_empty_call():
    text = str(report(double, ones(0, 20), timing=Timing(1e-5, 1e-5, 3)))
    assert "1 more with nothing to do" in text and "0 %  of the limit" in text


def test_seconds_have_three_digits():
    assert [seconds(value) for value in (12.34, 0.9999, 0.02594, 9.999e-3, 1.5e-6, 3e-9)] == [
        "12.3 s", "1.00 s", "25.9 ms", "10.0 ms", "1.50 µs", "3 ns"]


def test_a_kernel_explains_itself():
    found = double.explain(ones(8, 4))
    assert found.measured.calls >= 1 and found.title == "double" and found.kernels[0].name == "double"
    assert str(found).startswith("double(A: f32[8, 4])\n")

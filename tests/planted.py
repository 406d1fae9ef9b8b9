"""Bugs planted one at a time into a copy of the repository: the tests that guard every commit have to find each.

    python -m tests.planted [WORD ...]

plants those whose description has one of the words, or all, and prints which tests turned red; the exit status is the
number of bugs that stayed green.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

__all__ = ["BUGS", "Bug"]

ROOT = pathlib.Path(__file__).parent.parent


class Bug(NamedTuple):
    """What is wrong, where, the text there and what stands in its place, and the tests that have to turn red."""

    what: str
    path: str
    text: str
    wrong: str
    tests: tuple[str, ...]


DERIVE = ("tests/derive",)
HEIGHTS = ("tests/differential",)
STORAGE = ("tests/format", "tests/front/test_operands.py", "tests/test_by_hand.py", *HEIGHTS)
BUGS = (
    Bug("a reference that may be 0 divides unnoticed", "derive/fuse.py",
        "if not bounded or not vanishes:", "if False:", DERIVE),
    Bug("a correction with the wrong sign", "derive/fuse.py",
        "        return Map(OPS[name], (before, after))", "        return Map(OPS[name], (after, before))", DERIVE),
    Bug("a falling function keeps its extremum", "derive/selections.py",
        "name if rises else OTHER[name]", "name", DERIVE),
    Bug("the minimum of a maximum is taken apart", "derive/selections.py",
        "if op.name == JOINING[name]:", "if op.name in JOINING.values():", DERIVE),
    Bug("ties at a smaller maximum stay", "derive/fuse.py",
        "            if selecting:", "            if False:", DERIVE),
    Bug("one element counts as nothing taken", "derive/fuse.py",
        "(self.at(self.before, self.count), Const(0, I64))", "(self.at(self.before, self.count), Const(1, I64))",
        DERIVE),
    Bug("elements shifted together are shifted apart", "derive/sums.py",
        "            if not sum((slopes[element] for element in some), slopes[reference]):", "            if False:",
        DERIVE),
    Bug("masked elements are corrected from -inf", "derive/fuse.py",
        "            return self.is_void(moves[0])", "            return None", DERIVE),
    Bug("an exponent of any sign counts as safe", "derive/sums.py",
        "if exponent is not None and not reader.is_nonpositive(exponent):", "if False:", DERIVE),
    Bug("a product with unknown sign counts as rising", "derive/selections.py",
        "return True if is_nonnegative(other) else False if is_nonpositive(other) else None",
        "return not is_nonpositive(other)", DERIVE),
    Bug("roots of what may be negative are positive", "derive/forms.py",
        "if not whole and not (value > 0 and all(is_positive(atom) for atom, _ in powers)):", "if False:", DERIVE),
    Bug("a portion has one element too many", "cascade/unfold.py",
        '_map("less", Index(first), end))', '_map("less_equal", Index(first), end))', DERIVE),
    Bug("elements outside of a portion are 0 for a minimum", "cascade/unfold.py",
        "Select(inside, element, component.monoid.identity[0])",
        "Select(inside, element, const(0, element.dtype))", DERIVE),
    Bug("the point itself counts among those before it", "derive/running.py",
        "is_reverse == (by == 1)", "False", DERIVE),
    Bug("what differs with the point is taken for what came before", "derive/running.py",
        "if not taken or before.point in fused.free:", "if not taken:", DERIVE),
    Bug("what may not be there is computed at all steps", "cascade/once.py",
        "and _is_safe(node):", "and True:", ("tests/cascade",)),
    Bug("loops meet past what they read", "nest/fuse.py",
        "or not read.isdisjoint(", "or read.isdisjoint(", ("tests/nest",)),
    Bug("a sum so far is not carried in more digits", "cascade/unfold.py",
        'component.monoid.name == "sum" and component.monoid.dtypes[0] is F32]', "False]", DERIVE),
    Bug("what bounds some elements bounds those of other reductions", "derive/fuse.py",
        "memo[other] = other\n", "pass\n", DERIVE),
    Bug("an element counts by another condition, too", "derive/fuse.py",
        "if asked and set(asked) <= set(conditions):", "if asked:", DERIVE),
    Bug("the limit of a mask is one off", "cascade/bounds.py",
        'rest = _map("subtract", rest, Const(1, I64))', 'rest = _map("subtract", rest, Const(2, I64))',
        ("tests/cascade", *HEIGHTS)),
    Bug("a product with an absent 0 is present", "scalar/ops.py",
        "annihilators=((0, 0), (1, 0)), slopes", "annihilators=((0, 0),), slopes",
        ("tests/cascade", "tests/test_by_hand.py", *HEIGHTS)),
    Bug("ties of argmax go to the later index", "scalar/monoids.py",
        'both(tied, Map(OPS["less"], (index_b, index_a)))', 'both(tied, Map(OPS["less"], (index_a, index_b)))',
        ("tests/test_by_hand.py", *HEIGHTS)),
    Bug("an exclusive scan is inclusive", "lower/cascade_to_nest.py",
        "        if scan.exclusive and histories:", "        if False:", HEIGHTS),
    Bug("an inner reduction starts from the identity of a sum", "lower/cascade_to_nest.py",
        "body = Select(condition, body, node.monoid.identity[0])",
        "body = Select(condition, body, const(0, body.dtype))", ("tests/lower", *HEIGHTS)),
    Bug("rows that are left are taken twice", "nest/schedule.py",
        '    rest = Map(OPS["subtract"], (chosen.extent, begin))', "    rest = chosen.extent",
        ("tests/nest", *HEIGHTS)),
    Bug("the rest of a longer row begins where the shortest began", "nest/schedule.py",
        '    rest = Map(OPS["subtract"], (inner.extent, begin))\n    return Loop(variable, rest,',
        "    return Loop(variable, inner.extent,", ("tests/nest", *HEIGHTS)),
    Bug("a copy reads beyond what loops cut short read", "nest/stage.py",
        "        is_exact &= extent is loop.extent", "        is_exact &= True", ("tests/nest", "tests/lower")),
    Bug("a lane that rests takes one step more", "target/llvm/emit.py",
        'mask = self.builder.emit(f"icmp slt {whole} {step}, {length.name}")',
        'mask = self.builder.emit(f"icmp sle {whole} {step}, {length.name}")', ("tests/lower", *HEIGHTS)),
    Bug("a far reference counts as a place among its elements", "derive/sums.py",
        "                not _is_a_place(reader, reference, shifted)):", "                False):", DERIVE),
    Bug("the tail of a vector loop has one lane too many", "target/llvm/emit.py",
        "icmp slt {whole} <{numbers}>, {limit}", "icmp sle {whole} <{numbers}>, {limit}", HEIGHTS),
    Bug("half of the lanes come together with themselves", "target/llvm/emit.py",
        "for offset in (0, lanes // 2):", "for offset in (0, 0):", HEIGHTS),
    Bug("a negative index is inside", "target/llvm/access.py",
        "icmp ult {whole} {at}, {end}", "icmp slt {whole} {at}, {end}", HEIGHTS),
    Bug("a reverse cumulative goes forward", "front/scans.py",
        "over=over, init=init, exclusive=exclusive, reverse=reverse)",
        "over=over, init=init, exclusive=exclusive, reverse=False)", ("tests/test_by_hand.py", *HEIGHTS)),
    Bug("an index that may be outside is not looked for", "cascade/faults.py",
        "                    if low < 0 or high >= extent:", "                    if low < 0:",
        ("tests/cascade", "tests/lower")),
    Bug("a row ends where it begins", "format/levels.py",
        "Const(parent.value + 1, I64) if", "Const(parent.value, I64) if", STORAGE),
    Bug("the halves of a byte are exchanged", "format/codecs.py",
        "if lane.half else _map(", "if not lane.half else _map(", STORAGE),
    Bug("a present 0 skips what it is multiplied with", "format/unstored.py",
        "if one is not None and (one.is_absent or one.value.dtype is BOOL) and", "if one is not None and", STORAGE),
    Bug("the rest of a block is read", "runtime/storage.py",
        "self.shape[format.codec.axis] % format.codec.whole == 0", "True", STORAGE),
    Bug("another order keeps the values where they were", "runtime/storage.py",
        "self.values()[order]", "self.values()", STORAGE),
    Bug("duplicates stay apart", "front/operands.py",
        "        made.sum_duplicates()", "        made.sort_indices()", STORAGE),
    Bug("a chunk reads steps to come", "derive/chunks.py",
        'compare("less" if strict else "less_equal", column, row)',
        'compare("less" if strict else "less_equal", row, column)', ("tests/derive/test_recurrences.py",)),
    Bug("the state goes from chunk to chunk without its gates", "derive/chunks.py",
        "total = [self.times(self.decays and self.decays.whole(), state(self.axes))]",
        "total = [state(self.axes)]", ("tests/derive/test_recurrences.py",)),
    Bug("gates above 1 stay in chunks", "front/kernel.py",
        "if plan is ready.plan and ready.guard is not None and ready.guard.first(given) is not None:", "if False:",
        ("tests/front/test_in_chunks.py",)),
    Bug("an exponential of any sign is at most 1", "derive/gates.py",
        "return is_nonpositive(args[0])", "return True", ("tests/derive/test_recurrences.py",)),
    Bug("the way to another operand is not limited", "format/concrete.py",
        "limits.items() if other in position.free]", "limits.items() if False]", STORAGE),
)


def plant(bug: Bug, into: pathlib.Path) -> str:
    """Makes a copy with a bug in it and runs the tests; what turned red. Raises: ValueError where it does not apply."""
    for name in ("einfall", "tests", "demo", "bench", "docs"):
        shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__", "out"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, into / name)
    path = into / "einfall" / bug.path
    text = path.read_text()
    if text.count(bug.text) != 1:
        raise ValueError(f"{bug.what}: {text.count(bug.text)} places in {bug.path}")
    text = text.replace(bug.text, bug.wrong)
    if "const(0, " in bug.wrong and " const" not in text[:text.index("__all__")]:
        text = text.replace("import Const,", "import const, Const,")
    path.write_text(text)
    for speed in ("not slow", "slow"):
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", speed, *bug.tests]
        done = subprocess.run(command, cwd=into, env={**os.environ, "PYTHONPATH": str(into)}, capture_output=True,
                              text=True, timeout=600)
        red = [line.split(" - ")[0].removeprefix("FAILED ").removeprefix("ERROR ")
               for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if red or done.returncode not in (0, 5):  # 5: none of these tests is as fast, or as slow
            return red[0] if red else f"exit status {done.returncode}"
    return ""


def main(words: list[str]) -> int:
    """Plants bugs; how many stayed green."""
    green = 0
    for bug in BUGS:
        if words and not any(word in bug.what or word in bug.path for word in words):
            continue
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            red = plant(bug, pathlib.Path(folder))
        green += not red
        print(f"{'red' if red else 'GREEN':5}  {time.monotonic() - begin:4.0f} s  {bug.path:26} {bug.what:55} {red}",
              flush=True)
    return green


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

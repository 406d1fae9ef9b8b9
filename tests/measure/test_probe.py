"""The probe: numbers that can be, kept where only the user writes. Nothing here depends on how fast a machine is."""

import json
import os
import pathlib

import pytest

from einfall.measure import probe as room
from einfall.measure.probe import _file, cache_bytes, identity, load, probe, save, this_machine
from einfall.measure.timing import timed
from einfall.plan.machine import described

MACHINE = described("a machine", 3, 8)._replace(is_measured=True)


@pytest.fixture(scope="module")
def found():
    said: list[str] = []
    machine = probe(said.append, budget_s=0.2)
    return machine, said


def test_numbers_can_be(found):
    machine, said = found
    assert said[0].startswith("einfall: measuring this machine once")
    assert machine.name == identity() and machine.threads >= 1
    numbers = [value for value in machine if isinstance(value, float)]
    assert len(numbers) == 8 and all(value > 0 for value in numbers)
    assert machine.bandwidth_bytes_per_s >= machine.thread_bandwidth_bytes_per_s
    near = [cache.bandwidth_bytes_per_s for cache in machine.caches]
    assert near == sorted(near, reverse=True) and len(near) == 3
    assert [cache.capacity_bytes for cache in machine.caches] == sorted(cache_bytes())


def test_numbers_are_kept(tmp_path):
    directory = tmp_path / "a" / "b"
    assert load(directory, MACHINE.name, 3) is None
    assert save(directory, MACHINE)
    assert load(directory, MACHINE.name, 3) == MACHINE
    assert directory.stat().st_mode & 0o777 == 0o700
    assert len(list(directory.iterdir())) == 1  # written beside, then renamed
    assert load(directory, "another machine", 3) is None
    assert load(directory, MACHINE.name, 4) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": 1}', '"text"', "null"])
def test_a_file_that_makes_no_sense_is_ignored(tmp_path, text):
    save(tmp_path, MACHINE)
    _file(tmp_path, MACHINE.name, 3).write_text(text)
    assert load(tmp_path, MACHINE.name, 3) is None


@pytest.mark.parametrize("field, value", [("peak_f32_per_s", -1.0), ("launch_s", 0), ("special_s", float("nan")),
                                          ("threads", 7), ("caches", []), ("caches", [["L1", 0, 1.0]]),
                                          ("library_s", "fast"), ("name", "foreign")])
def test_numbers_that_cannot_be_are_ignored(tmp_path, field, value):
    save(tmp_path, MACHINE)
    place = _file(tmp_path, MACHINE.name, 3)
    place.write_text(json.dumps({**json.loads(place.read_text()), field: value}))
    assert load(tmp_path, MACHINE.name, 3) is None


def test_what_others_could_have_written_is_ignored(tmp_path):
    save(tmp_path, MACHINE)
    tmp_path.chmod(0o777)
    assert load(tmp_path, MACHINE.name, 3) is None
    assert save(tmp_path, MACHINE)  # and the directory is the user's alone again
    assert load(tmp_path, MACHINE.name, 3) == MACHINE


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert not save(tmp_path / "file", MACHINE)
    assert not save(tmp_path / "file" / "below", MACHINE)
    assert load(tmp_path / "file", MACHINE.name, 3) is None
    assert not save(None, MACHINE) and load(None, MACHINE.name, 3) is None


def test_a_machine_is_measured_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setenv("EINFALL_PROBE", "1")
    monkeypatch.setattr(room, "_KNOWN", {})
    monkeypatch.setattr(room, "probe", lambda say: calls.append(say) or MACHINE._replace(
        name=identity(), threads=room.thread_count()))
    first = this_machine(tmp_path)
    assert this_machine(tmp_path) is first and len(calls) == 1
    monkeypatch.setattr(room, "_KNOWN", {})
    assert this_machine(tmp_path) == first and len(calls) == 1  # another process reads what is kept
    monkeypatch.setenv("EINFALL_THREADS", "5")
    assert this_machine(tmp_path).threads == 5 and len(calls) == 2


def test_disturbed_numbers_are_used_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setenv("EINFALL_PROBE", "1")
    monkeypatch.setattr(room, "_KNOWN", {})
    monkeypatch.setattr(room, "probe", lambda say: calls.append(say) or MACHINE._replace(is_measured=False))
    assert not this_machine(tmp_path).is_measured and not this_machine(tmp_path).is_measured
    assert len(calls) == 2 and not list(tmp_path.iterdir())


def test_a_machine_may_not_be_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("EINFALL_PROBE", "0")
    monkeypatch.setattr(room, "_KNOWN", {})
    machine = this_machine(tmp_path)
    assert not machine.is_measured and not list(pathlib.Path(tmp_path).iterdir())
    monkeypatch.setenv("EINFALL_CACHE", str(tmp_path / "given"))
    save(tmp_path / "given", machine._replace(is_measured=True, library_s=3.0))
    assert this_machine().library_s == 3.0
    assert os.listdir(tmp_path) == ["given"]


def test_calls_are_counted_and_bounded():
    calls = []
    timing = timed(lambda: calls.append(1), budget_s=0.0)
    assert timing.calls == 1 and len(calls) == 1
    assert timed(lambda: calls.append(1), budget_s=9.0).calls == len(calls) - 2  # one to warm up
    assert 0 <= timing.fastest_s <= timing.median_s
    assert timed(lambda: None).calls == 25

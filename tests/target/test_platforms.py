"""The generic form of every program is a program for other platforms, too: it compiles to objects for them (which are
not run here), asks for no instruction of one processor, and calls no function but those of the mathematics library."""

import re

import llvmlite.binding as llvm
import numpy as np
import pytest

from einfall import pipeline
from einfall.front.arguments import collect
from einfall.pipeline import compile_cascade
from einfall.target.llvm.compile import FALLBACK, GENERIC
from einfall.target.llvm.operators import LIBRARY
from tests.differential.heights import over_memory
from tests.programs.program import load

PLATFORMS = {"aarch64-unknown-linux-gnu": r"\bbl\s+(\S+)", "arm64-apple-macosx13.0.0": r"\bbl\s+_(\S+)",
             "x86_64-pc-windows-msvc": r"\bcallq?\s+(\S+)"}
PROGRAMS = load()
MATHEMATICS = {name + suffix for name in LIBRARY for suffix in ("", "f")} | FALLBACK
MEMORY = {"memset", "memcpy", "memmove", "__chkstk"}  # of every C library, or of the compiler


@pytest.fixture(scope="module")
def machines():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return {triple: llvm.Target.from_triple(triple).create_target_machine(opt=2) for triple in PLATFORMS}


@pytest.fixture
def not_for_this_platform(monkeypatch):
    """Modules stay text: machine code for this processor is what other tests compile."""
    monkeypatch.setattr(pipeline, "compile_module", lambda module, features: module)


@pytest.mark.parametrize("place", [pytest.param(place, marks=pytest.mark.slow if place % 40 else (), id=name)
                                   for place, name in enumerate(PROGRAMS)])
def test_the_generic_form_compiles_for_other_platforms(place, machines, not_for_this_platform):
    """They take turns: programs have a platform each."""
    name, triple = list(PROGRAMS)[place], list(PLATFORMS)[place % len(PLATFORMS)]
    args, kwargs = PROGRAMS[name].arguments(np.random.default_rng(5))
    arguments = collect(PROGRAMS[name].kernel.signature, name, args, kwargs)
    cascade, arguments = over_memory(PROGRAMS[name].kernel.program(arguments).cascade, arguments)
    made = compile_cascade(cascade, arguments.units, lanes=4, features=GENERIC)
    for step in made.steps:
        declared = re.findall(r"declare .*?@([\w.]+)\(", step.code.text)
        assert not [item for item in declared if item.startswith("llvm.x86")]
        assert {item for item in declared if not item.startswith("llvm.")} <= MATHEMATICS
        module = llvm.parse_assembly(step.code.text)
        module.triple = triple
        assert machines[triple].emit_object(module)[:4]


@pytest.mark.slow
def test_what_is_called_there_is_in_every_library(machines, not_for_this_platform):
    """Also what their processors have no instruction for."""
    args, kwargs = PROGRAMS["attention"].arguments(np.random.default_rng(5))
    arguments = collect(PROGRAMS["attention"].kernel.signature, "attention", args, kwargs)
    made = compile_cascade(PROGRAMS["attention"].kernel.program(arguments).cascade, arguments.units, lanes=4,
                           features=GENERIC)
    for triple, machine in machines.items():
        module = llvm.parse_assembly(made.steps[-1].code.text)
        module.triple = triple
        called = set(re.findall(PLATFORMS[triple], machine.emit_assembly(module)))
        assert {item for item in called if not item.startswith("*")} <= MATHEMATICS | MEMORY, (triple, called)

"""LLVM modules to machine code in this process."""

import ctypes
import ctypes.util
import functools
import threading
import weakref

import llvmlite.binding as llvm

from einfall.base.errors import CompileError
from einfall.target.llvm.emit import Layout, Module
from einfall.target.llvm.operators import LIBRARY

__all__ = ["GENERIC", "MachineCode", "compile_module", "host_features"]

# what every processor of its kind has: the calls of functions rest on it
GENERIC = frozenset(("64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2", "fp-armv8", "neon"))
# functions that LLVM calls where a processor has no such instruction
FALLBACK = frozenset(f"{name}{suffix}" for name in ("fma", "fmod", "floor", "ceil", "trunc", "roundeven", "rint")
                     for suffix in ("", "f"))
_LOCK = threading.Lock()  # LLVM's engines are not built from several threads at once
# what is in use: programs for other layouts, or of kernels that are alike, often have modules in common
_IN_USE: "weakref.WeakValueDictionary[tuple[Module, frozenset[str]], MachineCode]" = weakref.WeakValueDictionary()


class MachineCode:
    """A compiled function; the code lives as long as this object, which a call holds."""

    def __init__(self, name: str, text: str, layout: Layout, address: int, engine):
        self.name, self.text, self.layout, self.engine = name, text, layout, engine
        self.call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address)


# Lanes, register tiles and invariants are in the text already. What is left is inlining our mathematics, unrolling
# short loops, and tidying: the whole pipeline takes twice as long, is no faster, and keeps 0.2 MB of each module.
PASSES = ("always_inliner", "simplify_cfg", "sroa", "loop_rotate", "loop_unroll", "instruction_combine", "simplify_cfg",
          "new_gvn", "loop_rotate", "loop_strength_reduce")


@functools.cache
def host_features() -> frozenset[str]:
    """What this processor can do, in LLVM's words."""
    return frozenset(name for name, is_there in llvm.get_host_cpu_features().items() if is_there)


@functools.cache
def _machine():
    """The target machine, and the functions of libm made known to the linker."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    for name in sorted(LIBRARY | FALLBACK):
        llvm.add_symbol(name, ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
    return _machine_with(host_features(), jit=False)


@functools.cache
def _pass_builder():
    """Kept: llvmlite's objects do not survive Ctrl-C while they are closed."""
    return llvm.create_pass_builder(_machine(), llvm.create_pipeline_tuning_options(speed_level=2))


def compile_module(module: Module, features: frozenset[str] | None = None) -> MachineCode:
    """The machine code of a module, for a processor that has these features (this one) besides the generic ones; one
    that is in use already is shared.

    Raises: CompileError where LLVM refuses the text.
    """
    features = host_features() if features is None else features
    with _LOCK:
        known = _IN_USE.get((module, features))
        if known is not None:
            return known
        _machine()
        try:
            parsed = llvm.parse_assembly(module.text)
            parsed.verify()
        except RuntimeError as error:
            raise CompileError(f"LLVM refuses {module.name}: {error}", repair="report this program") from None
        manager = llvm.create_new_module_pass_manager()
        for name in PASSES:
            getattr(manager, f"add_{name}_pass")()
        manager.run(parsed, _pass_builder())
        engine = llvm.create_mcjit_compiler(parsed, _machine_with(features))
        engine.finalize_object()
        made = MachineCode(module.name, module.text, module.layout, engine.get_function_address(module.name), engine)
        _IN_USE[module, features] = made
        return made


def _machine_with(features: frozenset[str], *, jit: bool = True):
    """A target machine with these features of this processor; an engine owns its machine.

    The name that LLVM reports for this processor may be wrong; its features are not.
    """
    given = ",".join(f"{'+' if name in features or name in GENERIC else '-'}{name}" for name in sorted(host_features()))
    return llvm.Target.from_default_triple().create_target_machine(features=given, opt=2, jit=jit)

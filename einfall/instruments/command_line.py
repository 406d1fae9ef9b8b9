"""The command line: `einfall run`, `einfall explain`, `einfall doctor`."""

import argparse
import os
import sys
import traceback
import types
from collections.abc import Callable
from importlib import metadata

from einfall.base.errors import EinfallError
from einfall.front.kernel import Kernel
from einfall.front.observers import Call, observing
from einfall.instruments.doctor import examination

__all__ = ["main"]


class Refused(Exception):
    """What the command line cannot do: what, what is known, what to write instead."""

    def __init__(self, what: str, *, known: str = "", repair: str):
        lines = [f"einfall: {what}"]
        lines += [f"  known  {known}"] if known else []
        super().__init__("\n".join([*lines, f"  try    {repair}"]))


def main(arguments: list[str] | None = None) -> int:
    """The exit code of a command."""
    given = parser().parse_args(arguments)
    try:
        return given.command(given)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """What can be said."""
    raw = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser("einfall", formatter_class=raw,
                                    description="Tensor mathematics with named ranks, compiled.",
                                    epilog="einfall COMMAND --help says more, with an example.")
    whole.add_argument("--version", action="version", version=f"einfall {version()}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, function: Callable, says: str, example: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".", formatter_class=raw,
                                   epilog=f"example:\n  {example}")
        made.set_defaults(command=function)
        return made

    run = command("run", run_file, "run a Python file, then tell which kernels it called and how long they took",
                  "einfall run attention.py --length 2048")
    run.add_argument("file", metavar="FILE.py")
    explain = command("explain", explain_kernel, "run a Python file, then explain a kernel for its last arguments",
                      "einfall explain attention.py:attention")
    explain.add_argument("kernel", metavar="FILE.py:KERNEL")
    for one in (run, explain):
        rest = one.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...",
                                help="what the file is called with")
        rest.required = False  # older versions of argparse ask for it
    command("doctor", doctor, "say what machine this is, and whether einfall works on it", "einfall doctor")
    return whole


def version() -> str:
    """The installed version."""
    try:
        return metadata.version("einfall")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def run_file(given: argparse.Namespace) -> int:
    """einfall run: the file, and a line a kernel on standard error, which leaves standard output to the file."""
    calls: list[tuple[Kernel, float, float]] = []  # no arguments: they may be large

    def note(call: Call) -> None:
        calls.append((call.kernel, call.total_s, call.compile_s))

    code = executed(given.file, given.arguments, note)[0]
    for kernel in dict.fromkeys(kernel for kernel, _, _ in calls):
        own = [(total_s, compile_s) for called, total_s, compile_s in calls if called is kernel]
        total_s, compile_s = map(sum, zip(*own))
        print(f"{kernel.__name__}: {len(own)} call{'s' * (len(own) > 1)}, {total_s * 1e3:.2f} ms, "
              f"of which compiling {compile_s * 1e3:.2f} ms", file=sys.stderr)
    return code


def explain_kernel(given: argparse.Namespace) -> int:
    """einfall explain: the report on a kernel for the arguments of its last call in the file."""
    path, colon, name = given.kernel.rpartition(":")
    if not colon or not name:
        raise Refused(f"{given.kernel} names no kernel", repair=f"einfall explain {given.kernel.rstrip(':')}:KERNEL")
    last: dict[str, Call] = {}
    code, names = executed(path, given.arguments, lambda call: last.update({call.kernel.__name__: call}))
    if code:
        return code
    there = sorted({value.__name__ for value in names.values() if isinstance(value, Kernel)} | set(last))
    if name not in there:
        raise Refused(f"{path} has no kernel {name}", known=f"kernels: {', '.join(there) or 'none'}",
                      repair=f"einfall explain {path}:{there[0]}" if there else "write @ef.kernel above a def")
    if name not in last:
        raise Refused(f"{path} never calls the kernel {name}",
                      known=f"kernels called: {', '.join(sorted(last)) or 'none'}",
                      repair=f"call {name} in {os.path.basename(path)} with the arguments to explain it for")
    return guarded(lambda: print(report(last[name])))


def report(call: Call) -> str:
    """What there is to say about a kernel called with these arguments."""
    if hasattr(call.kernel, "explain"):
        return str(call.kernel.explain(*call.args, **call.options))
    lowered = call.kernel.lower(*call.args, **call.options)
    times = "\n".join(f"  {name:16}{seconds * 1e3:9.2f} ms" for name, seconds in lowered.times.items())
    return f"cascade\n\n{lowered.cascade}\n\nschedule\n\n{lowered.schedule}\n\ncompiled in\n\n{times}"


def executed(path: str, arguments: list[str], observer: Callable[[Call], None]) -> tuple[int, dict]:
    """Runs a file as Python would, as `__main__`; gives the exit code and the names that the file leaves."""
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "is not there"
        raise Refused(f"{path or 'the file'} {what}", known=f"working folder: {os.getcwd()}",
                      repair="name a Python file that is there")
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module  # stays: what the file made may be pickled by name later
    sys.argv = [path, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))

    def run() -> None:
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
        exec(code, module.__dict__)

    with observing(observer):
        return guarded(run), module.__dict__


def guarded(run: Callable[[], None]) -> int:
    """The exit code of something that runs the user's code: einfall's errors are their four lines, others Python's."""
    try:
        run()
    except EinfallError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next  # the frames of this file say nothing to the user
        traceback.print_exception(type(error), error, trace)
        return 1
    return 0


def doctor(given: argparse.Namespace) -> int:
    """einfall doctor: the machine, and whether a program runs on it."""
    works = True
    for name, says, is_well in examination(version()):
        print(f"{name:10}{says}", flush=True)
        works = works and is_well
    return 0 if works else 1

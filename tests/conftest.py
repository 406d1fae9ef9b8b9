"""Options of the test run."""

import gc
import os
import pathlib
import sys

os.environ["EINFALL_PROBE"] = "0"  # reports in tests take estimated numbers: nothing is measured, nothing is kept

if sys.dont_write_bytecode:
    # workers and the processes that tests start would each compile every file again: it is kept beside pytest's own
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(pathlib.Path(__file__).parent.parent / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_addoption(parser):
    parser.addoption("--accept", action="store_true", help="write the golden files that differ")


def pytest_collection_finish():
    """What collecting has made stays to the end: it need not be looked through again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)

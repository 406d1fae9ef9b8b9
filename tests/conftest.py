"""Options of the test run."""

import os

os.environ["EINFALL_PROBE"] = "0"  # reports in tests take estimated numbers: nothing is measured, nothing is kept


def pytest_addoption(parser):
    parser.addoption("--accept", action="store_true", help="write the golden files that differ")

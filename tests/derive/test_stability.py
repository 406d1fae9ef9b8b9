"""Derived programs in float32 lose no more than a few bits against the programs as written."""

import pytest

from tests.derive.stability import PROGRAMS, errors


@pytest.mark.parametrize("kernel", PROGRAMS, ids=lambda kernel: kernel.__name__)
def test_derived_programs_are_as_exact_as_written(kernel):
    for data, rows in errors(kernel).items():
        for row in rows:
            assert row.derived <= row.allowed, f"{data}: {row}"

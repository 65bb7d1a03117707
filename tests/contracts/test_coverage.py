"""Every operation on every form of memory has methods with tests of what they do, or says why it has none."""

import re
from pathlib import Path

import pytest

from mnemos.cli.methods_coverage import MEMORIES, OPERATIONS, UNSUPPORTED, coverage
from mnemos.registry import all_entries

ENTRIES = all_entries()
TESTS = Path(__file__).parents[1]
CELLS = [(form, operation) for form in MEMORIES for operation in OPERATIONS]


def files_of(form, operation):
    """The test files of a room: those in the folder of its name, and those that name one of its modules."""
    in_its_room = (TESTS / form / operation).glob("test_*.py")
    named = re.compile(rf"\bmnemos\.{form}\.{operation}\b|\bmnemos\.{form} import .*\b{operation}\b")
    return {*in_its_room, *(p for p in TESTS.rglob("test_*.py") if named.search(p.read_text(encoding="utf-8")))}


@pytest.mark.parametrize(("form", "operation"), CELLS)
def test_a_cell_has_methods_that_are_tested_or_a_reason_for_having_none(form, operation):
    methods = [e for e in ENTRIES if (e.form, e.operation) == (form, operation)]
    if (form, operation) in UNSUPPORTED:
        assert not methods, f"{form}/{operation} has methods: remove it from UNSUPPORTED."
        assert UNSUPPORTED[form, operation].startswith("unsupported: ")
    else:
        assert methods, f"{form}/{operation} has no method: say why in UNSUPPORTED."
        assert files_of(form, operation)


def test_every_operation_and_form_is_in_the_matrix_and_every_reason_is_of_one():
    rows = [line for line in coverage(ENTRIES) if re.match(r"\| (\w+) \|", line)][1:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == list(OPERATIONS)
    assert all(cell.strip(" |") for row in rows for cell in row.split(" | "))
    assert set(UNSUPPORTED) < set(CELLS)

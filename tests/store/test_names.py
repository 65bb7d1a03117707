import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.store.names import file_stem

names = st.text(min_size=1, max_size=400).filter(lambda s: s.strip() and not any(0xD800 <= ord(c) < 0xE000 for c in s))


def test_plain_names_keep_their_spelling():
    assert file_stem("ana") == "ana"
    assert file_stem("agent-7_b") == "agent-7_b"


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "con", "NUL", "lpt1", "a/b", "a\\b", ".", "..", "x" * 300, "é", "a\0b"]
)
def test_hostile_names_become_one_plain_file_stem(name):
    assert re.fullmatch(r"[a-z0-9-]{1,32}\.[0-9a-f]{32}", file_stem(name))


@given(names)
def test_every_name_is_one_short_safe_component(name):
    result = file_stem(name)
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", result)
    assert len(result) < 100
    assert ".." not in result


@given(names, names)
def test_different_names_differ_even_without_case(a, b):
    assert (a == b) == (file_stem(a).lower() == file_stem(b).lower())


def test_names_that_differ_in_case_only_are_two_spaces():
    assert file_stem("Ana").lower() != file_stem("ana").lower()


@pytest.mark.parametrize("name", ["", "   ", None, 7, "x" * 1001, "\ud800"])
def test_what_is_not_a_name_is_refused(name):
    with pytest.raises(InvalidInput):
        file_stem(name)

"""The benchmark of changing facts: a seeded year, and a memory that keeps up with it."""

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import facts
from mnemos.bench.text.synthetic_people import ATTRIBUTES, PEOPLE, half

YEAR = facts.Options(people=3, distractors=15, embedder="none")


@pytest.fixture(scope="module")
def year():
    return facts.run(YEAR, SILENT)


def test_templates_are_many_and_split_in_two():
    for attribute in ATTRIBUTES:
        assert len(attribute.first) >= 8
        assert not set(half(attribute.first, "dev")) & set(half(attribute.first, "test"))
        assert set(half(attribute.first, "dev")) | set(half(attribute.first, "test")) == set(attribute.first)


def test_a_year_is_seeded_and_changes_up_to_ten_times():
    events = facts.make(0, PEOPLE[:3], "dev", 5)
    assert events == facts.make(0, PEOPLE[:3], "dev", 5)
    assert events != facts.make(1, PEOPLE[:3], "dev", 5)
    assert events == sorted(events, key=lambda e: e.at)
    assert {e.state.changes for e in events if e.state} == set(range(11))
    assert sum(e.state is None for e in events) == 15


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_newest_value_comes_first_however_often_it_changed(year, split):
    found = year["splits"][split]  # "I joined X" and "My dog is called X" are read with less certainty than they were
    assert found["search"]["all"] >= 0.95
    assert found["facts_table"]["all"] >= 0.9
    assert found["search_as_of"]["all"] >= 0.95
    assert found["append_only"]["all"] < found["search"]["all"] - 0.3


@pytest.mark.parametrize("split", ["dev", "test"])
def test_hardly_anything_that_holds_is_ended(year, split):
    assert year["splits"][split]["falsely_ended_share"] <= 0.005


def test_the_same_seed_gives_the_same_year():
    small = facts.Options(people=1, distractors=5, embedder="none")
    assert facts.run(small, SILENT) == facts.run(small, SILENT)

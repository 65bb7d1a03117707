"""Blocks that stay where they were shown: to the byte, with nothing that is gone, and with all that plain context has."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.text.recall.context import blocks, records

TOPICS = ("garden", "piano", "harbour", "bicycle", "kitchen")
QUESTIONS = [f"What did Ana say about the {topic}?" for topic in TOPICS]


def fill(space, count=30):
    space.add_many(
        {"id": f"m{i}", "content": f"The {TOPICS[i % 5]} story number {i} is about a {TOPICS[(i * 2) % 5]}.",
         "speaker": "Ana", "at": datetime(2024, 3, 1 + i % 28, tzinfo=UTC), "session": f"s{i % 3}"}
        for i in range(count)
    )  # fmt: skip
    return space


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        yield fill(memory.space("ana"))


def ids(context):
    return [record.id for record in records(context)]


def test_what_was_shown_stays_to_the_byte_and_nothing_comes_twice(space):
    shown = ""
    for question in QUESTIONS:
        plain = space.context(question, tokens=300)
        now = space.context(question, tokens=300, shown=shown, most=100_000)
        assert now.startswith(shown)
        assert len(ids(now)) == len(set(ids(now)))
        assert set(ids(plain)) <= set(ids(now))
        shown = now
    assert len(blocks(shown)) > 1
    assert space.context(QUESTIONS[0], tokens=300, shown=shown, most=100_000) == shown
    assert len(set(re.findall(r"<memory-(\w+)>", shown))) == len(blocks(shown))  # a fence of its own each


def test_what_is_erased_updated_or_archived_leaves_at_once(space):
    shown = space.context(QUESTIONS[0], tokens=2000)
    first, second, third, fourth = ids(shown)[:4]
    words = {record.id: record.text for record in records(shown)}
    space.forget(ids=[first])
    space.update(second, content="The garden has a pond now.")
    space.archive([third])
    now = space.context("What of the harbour?", tokens=300, shown=shown)
    assert words[first] not in now
    assert words[second] not in now
    assert third not in ids(now)
    assert fourth in ids(now)
    assert now.splitlines()[0] != shown.splitlines()[0]  # its fence is of what is in it
    quoted = space.context("garden", tokens=2000, shown=now)
    assert second not in ids(quoted) or "pond" in quoted


def test_a_record_that_quotes_what_is_gone_goes_with_it(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        space.add("I live in Porto.", speaker="Ana", id="old", at="2023-01-01")
        space.add("I live in Lisbon now.", speaker="Ana", id="new", at="2024-01-01")
        shown = space.context("Where does Ana live?", tokens=500)
        assert "(earlier" in shown
        space.forget(ids=["old"])
        now = space.context("Where does Ana live?", tokens=500, shown=shown)
        assert "Porto" not in now
        assert "Lisbon" in now
        other = space.context("piano", tokens=500, shown=shown)
        assert "Porto" not in other


def test_above_its_bound_it_begins_again_with_what_the_question_needs(space):
    shown, sizes = "", []
    for question in QUESTIONS * 2:
        now = space.context(question, tokens=250, shown=shown, most=600)
        plain = space.context(question, tokens=250)
        assert set(ids(plain)) <= set(ids(now))
        assert now.startswith(shown) or now == plain
        sizes.append(len(now) / 3.5)
        shown = now
    assert max(sizes) <= 600


def test_what_is_no_context_is_refused(space):
    for text in ("x", "<memory-aaaaaaaa>\nx\n</memory-bbbbbbbb>", space.context("garden") + "\nmore"):
        with pytest.raises(InvalidInput, match="shown is not what context returned"):
            space.context("garden", shown=text)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("big"), embedder="none") as memory:
        yield fill(memory.space("ana"), 60)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 59)), max_size=5))
def test_erasing_anything_at_any_turn_leaves_none_of_it(big, steps):
    shown = ""
    for topic, erased in steps:
        name = f"m{erased}"
        if name in {cube.id for cube in big.cubes(limit=100).items}:
            big.forget(ids=[name])
        shown = big.context(QUESTIONS[topic], tokens=400, shown=shown)
        there = {cube.id for cube in big.cubes(limit=100).items}
        assert set(ids(shown)) <= there
        assert f"number {erased} " not in shown

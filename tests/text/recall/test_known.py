"""What is known comes first, and links are followed once consolidation has made them."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.errors import DamagedRow

T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def space(tmp_path):
    now = [T0]

    def clock():
        now[0] += timedelta(hours=1)
        return now[0]

    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory.space("s")


def test_a_question_for_a_fact_is_answered_by_its_statement(space):
    wanted = space.add("I moved to Faro.", speaker="Ana")
    for text in (
        "Ana lives for live music and where does she live it up?",
        "Where does Ana live, Bo asked.",
        "I live in Oslo.",
    ):
        space.add(text, speaker="Bo")
    [first, *others] = space.search("Where does Ana live?", k=3)
    assert first.cube.id == wanted.id
    assert first.score == pytest.approx(sum(first.why.values()))
    assert first.score >= max(hit.score for hit in others) - 1e-9
    assert len(others) == 2


def test_a_fact_outside_of_the_filter_does_not_come_first(space):
    space.add("I moved to Faro.", speaker="Ana", session="s1")
    other = space.add("Ana said where she lives.", speaker="Bo", session="s2")
    assert [h.cube.id for h in space.search("Where does Ana live?", session="s2")] == [other.id]


def test_what_is_denied_is_no_answer(space):
    space.add("I live in Porto.", speaker="Ana")
    space.add("I don't live in Porto anymore.", speaker="Ana")
    assert all("known fact" not in h.why for h in space.search("Where does Ana live?"))


def test_hits_add_up_with_links_and_hidden_cubes_stay_hidden(space):
    topics = {"garden": "tomatoes basil soil rain", "office": "meeting budget slides email"}
    for i in range(30):
        topic = list(topics)[i % 2]
        words = topics[topic].split()
        space.add(f"Today the {topic} had {words[i % 4]} and {words[(i + 1) % 4]}, note {i}.", session=f"s{i // 5}")
    plain = space.search("What about basil in the garden?", k=8)
    assert all("links" not in hit.why for hit in plain)
    space.consolidate()
    linked = space.search("What about basil in the garden?", k=8)
    assert any(hit.why.get("links") for hit in linked)
    for hit in linked:
        assert hit.score == pytest.approx(sum(hit.why.values()), abs=1e-4)
    assert {hit.cube.kind for hit in linked} == {"turn"}
    only = space.search("What about basil in the garden?", k=50, session="s0")
    assert {hit.cube.session for hit in only} == {"s0"}


def test_the_same_question_again_is_answered_the_same_until_something_changes(space):
    first = space.add("The harbour was closed.")
    question = "When was the harbour closed?"
    before = [(h.cube.id, h.score) for h in space.search(question)]
    assert [(h.cube.id, h.score) for h in space.search(question)] == before
    assert [(h.cube.id, h.score) for h in space.search(question, k=1)] == before[:1]
    second = space.add("The harbour was closed again on Sunday.")
    assert {h.cube.id for h in space.search(question)} == {first.id, second.id}
    space.forget([first.id])
    assert [h.cube.id for h in space.search(question)] == [second.id]
    space.archive([second.id])
    assert space.search(question) == []


@pytest.mark.parametrize("question", ["Where does Ana live?", "What about tea?"])
def test_a_damaged_setting_of_trust_counts_as_not_set_in_a_search(space, question):
    for text in ("I live in Oslo.", "I moved to Porto.", "I like tea."):
        space.add(text, speaker="Ana")
    expected = [hit.cube.id for hit in space.search(question)]
    assert len(expected) == 2  # Oslo is behind Porto
    space.store.meta.set("trust", "{cut")
    with pytest.warns(DamagedRow, match="'trust'"):
        assert [hit.cube.id for hit in space.search(question)] == expected

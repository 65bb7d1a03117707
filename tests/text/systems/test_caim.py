"""What CAIM claims (arXiv 2505.13044): a controller, precision by tags at equal recall, thoughts in fewer bytes."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.text.encode.tags import WORDS, tags_of
from tests.text.systems.talk import SMALL_TALK

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
TOLD = (
    "My doctor changed the medicine for my allergy.", "The surgery on my knee hurt for weeks.", "I cooked a soup with leeks.",
    "We baked bread for breakfast.", "The flight to Riga was late.", "I packed my passport for the trip.",
    "My boss moved the deadline of the project.", "The client cancelled the meeting.", "My dog chased a cat.",
    "The puppy sleeps on the sofa.", "We sang in the choir.", "The band played my favourite song.",
)  # fmt: skip
ASKED = (
    ("What did the doctor say about the medicine?", 0), ("How long did the surgery hurt?", 1), ("What soup was cooked?", 2),
    ("What bread was baked?", 3), ("Was the flight late?", 4), ("Where is the passport for the trip?", 5),
    ("Who moved the deadline?", 6), ("Which client cancelled the meeting?", 7), ("What did the dog chase?", 8),
    ("Where does the puppy sleep?", 9), ("Who sang in the choir?", 10), ("Which song did the band play?", 11),
)  # fmt: skip


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory


def fill(space, clock):
    for i, text in enumerate(TOLD):
        clock.now = T0 + timedelta(days=i)
        space.add(text, speaker="Ana", id=f"c{i}", session=f"s{i // 4}")
    return space


def test_every_tag_has_words_and_a_text_gets_those_of_its_words():
    assert len(WORDS) >= 15
    assert tags_of(TOLD[0])[0] == "health"
    assert tags_of("The client cancelled the meeting.")[0] == "work"
    assert tags_of("xyz") == ()


def test_tags_give_higher_precision_at_equal_recall(memory, clock):
    precision, recall = {}, {}
    for name in ("caim", "vectors"):
        space = fill(memory.space(name, system=name), clock)
        hits = [([h.cube.id for h in space.search(q, k=5)], f"c{gold}") for q, gold in ASKED]
        recall[name] = sum(gold in ids for ids, gold in hits) / len(hits)
        precision[name] = sum((gold in ids) / len(ids) for ids, gold in hits) / len(hits)
    assert recall["caim"] >= recall["vectors"]
    assert precision["caim"] > 1.5 * precision["vectors"]


def test_the_asked_time_comes_after_the_tag_and_before_the_fit(memory, clock):
    space = memory.space("caim", system="caim")
    for day in (1, 40, 80):
        clock.now = T0 + timedelta(days=day)
        space.add(f"I cooked a soup with leeks on round {day}.", id=f"d{day}")
    assert [h.cube.id for h in space.search("What soup did I cook in February 2024?", k=5)] == ["d40"]


def test_the_controller_skips_small_talk_and_loses_nothing(memory, clock):
    space = fill(memory.space("caim", system="caim"), clock)
    gate = space.text.system.gate
    assert sum(not gate.needs(space.text, text) for text in SMALL_TALK) >= 0.8 * len(SMALL_TALK)
    assert all(gate.needs(space.text, question) for question, _ in ASKED)


def test_thoughts_take_fewer_bytes_than_turns_and_a_new_session_adds_a_line(memory, clock):
    space = memory.space("caim", system="caim")
    for s in range(6):
        clock.now = T0 + timedelta(days=s)
        for i in range(5):
            space.add(f"Dinner {s} had soup, bread and salad number {i}, cooked from recipe {s}{i}.", session=f"s{s}")
    space.consolidate()
    [thought] = space.cubes(kind="summary").items
    assert (thought.metadata["title"], thought.text.count("\n")) == ("food", 6)
    assert len(thought.text) < 0.5 * sum(len(c.text) for c in space.cubes(limit=100).items)
    clock.now = T0 + timedelta(days=9)
    space.add("I cooked fish for dinner.", session="s9")
    space.consolidate()
    [merged] = space.cubes(kind="summary").items
    assert (merged.id, merged.version, merged.text.count("\n")) == (thought.id, 2, 7)
    assert "2024-01-10: I cooked fish for dinner." in merged.text

"""What heads read in texts: listed with its confidence, beside what rules read, and never the end of anything."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.facts import Reading
from mnemos.reason.read import words

NOW = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, clock=lambda: NOW, timezone="UTC") as memory:
        yield memory.space("ana")


def read(space, **options):
    return {(f.subject, f.value, f.negated) for f in space.facts(min_confidence=0.3, **options) if f.confidence < 1}


def test_a_plain_statement_that_no_rule_knows_is_listed_with_less_than_certainty(space):
    cube = space.add("Clocked in at the cannery again, my eleventh year packing sardines.", speaker="Ana")
    found = [f for f in space.facts(min_confidence=0.3) if f.cube == cube.id]
    assert found
    assert all(0.3 <= f.confidence < 1 and f.subject == "ana" for f in found)
    assert space.facts() == []


def test_a_question_a_greeting_and_a_wish_state_nothing(space):
    for text in ("Do you keep goats?", "Morning all!", "If I had a yacht I'd call it Marlene."):
        space.add(text, speaker="Ana")
    assert read(space) == set()


def test_another_person_is_told_from_the_speaker(space):
    space.add("My cousin Ilja mends church organs in Tartu.", speaker="Ana")
    assert "ilja" in {subject for subject, _, _ in read(space)}


def test_erasing_a_text_erases_what_was_read_in_it(space):
    cube = space.add("I repair harps in a shed.", speaker="Ana")
    assert read(space)
    space.forget([cube.id])
    assert read(space) == set()
    assert space.store.readings.find() == []


def test_a_new_version_is_read_anew(space):
    cube = space.add("I repair harps in a shed.", speaker="Ana")
    assert read(space)
    space.update(cube.id, content="What time is it?")
    assert read(space) == set()


def test_a_batch_reads_what_single_texts_give(space):
    texts = ["I repair harps in a shed.", "My ferret is called Bandit.", "Thanks!", "We keep nine hens behind the pub."]
    alone = [space.add(text, speaker="Ana", session="alone").id for text in texts]
    batch = [c.id for c in space.add_many([{"content": t, "speaker": "Ana", "session": "many"} for t in texts])]
    found = space.store.readings.of(space.store.keys_of([*alone, *batch]))
    keys = space.store.keys_of([*alone, *batch])
    for one, other in zip(keys[:4], keys[4:], strict=True):
        spans = [[(r.start, r.end, r.whose, r.attribute) for r in found.get(key, ())] for key in (one, other)]
        assert spans[0] == spans[1]


def test_without_the_bundled_model_only_the_rules_read(tmp_path):
    with Mnemos(tmp_path, embedder="none", clock=lambda: NOW) as memory:
        space = memory.space("ana")
        space.add("I repair harps in a shed. I live in Lisbon.", speaker="Ana")
        assert [f.value for f in space.facts(min_confidence=0.0)] == ["Lisbon"]


def test_reindex_reads_texts_that_were_written_without_a_model(tmp_path):
    with Mnemos(tmp_path, embedder="none", clock=lambda: NOW) as memory:
        memory.space("ana").add("I repair harps in a shed.", speaker="Ana")
    with Mnemos(tmp_path, clock=lambda: NOW) as memory:
        space = memory.space("ana")
        assert read(space) == set()
        space.reindex()
        assert ("ana", "harps", False) in read(space)


def test_what_a_rule_read_is_not_read_again(space):
    space.add("I live in Lisbon.", speaker="Ana")
    assert [(f.value, f.confidence) for f in space.facts(min_confidence=0.0)] == [("Lisbon", 1.0)]


def test_a_confidence_is_a_share(space):
    with pytest.raises(InvalidInput, match="min_confidence is 7"):
        space.facts(min_confidence=7)


TEXTS = [
    "I repair harps in a shed.", "Now I mend clocks in a tower instead.", "My ferret is called Bandit.",
    "The ferret's called Shadow now.", "Home is a lighthouse near Brest.", "Home is a barge in Ghent these days.",
    "I live in Lisbon.", "Gave up the harp for good.",
]  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(len(TEXTS))))
def test_nothing_ends_or_is_hidden_by_a_reading(tmp_path_factory, order):
    root, now = tmp_path_factory.mktemp("read"), [NOW]
    with Mnemos(root, clock=lambda: now[0], timezone="UTC") as memory:
        with_heads, without = memory.space("heads"), memory.space("rules")
        for i in order:
            now[0] += timedelta(days=1)
            with_heads.add(TEXTS[i], speaker="Ana")
            cube = without.add(TEXTS[i], speaker="Ana")
            without.store.readings.put([(without.store.keys_of([cube.id])[0], [])])
        assert not without.store.readings.find()
        assert [c.state for c in with_heads.cubes()] == [c.state for c in without.cubes()]
        known = [
            [(f.subject, f.attribute, f.value, f.valid_to) for f in s.facts(include_ended=True)]
            for s in (with_heads, without)
        ]
        assert known[0] == known[1]
        assert with_heads.links() == [] or len(with_heads.links()) == len(without.links())


def test_a_reading_is_what_the_store_gives_back(space):
    cube = space.add("ok", speaker="Ana")
    key = space.store.keys_of([cube.id])[0]
    reading = Reading("my aunt", "job", 0, 2, "past", True, 0.75)
    space.store.readings.put([(key, [reading])])
    assert space.store.readings.of([key]) == {key: [reading]}
    assert space.store.readings.find(["job"], least=0.7) == [(key, reading)]
    assert space.store.readings.find(["job"], least=0.8) == space.store.readings.find(["car"]) == []


def test_a_text_of_many_windows_is_laid_out_once_and_each_sentence_judged_once(space, monkeypatch):
    calls = {"own_words": 0, "doubted": 0}
    for name in calls:
        real = getattr(words, name)
        monkeypatch.setattr(words, name, lambda *a, n=name, r=real: (calls.__setitem__(n, calls[n] + 1), r(*a))[1])
    space.add("I repair harps in a shed by the river. " * 200, speaker="Ana")
    assert calls["own_words"] == 1
    assert 0 < calls["doubted"] <= 200

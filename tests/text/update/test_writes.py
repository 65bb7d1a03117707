"""What is told is stored, always, with its own time; only the same write again is not stored twice."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos import Mnemos

T0 = datetime(2024, 1, 1, 12, tzinfo=UTC)
ALIKE = [
    ("My doctor is Dr. Lee.", "My doctor is Dr. Kim."),
    ("I live in New York.", "I live in York."),
    ("I work at Google Cloud.", "I work at Google."),
    ("The budget is 1.5 million.", "The budget is 5 million."),
    ("I get up at 7:30.", "I get up at 7."),
    ("I code in C++.", "I code in C#.", "I code in C."),
    ("My time zone is UTC+2.", "My time zone is UTC-2."),
    ("My blood pressure is 120 over 80.", "My blood pressure is 80 over 120."),
    ("My favourite band is The Who.", "My favourite band is Who?"),
    ("My rent is $1,200.", "My rent is $1."),
    ("I bank with J.P. Morgan.", "I bank with J.P. Penney."),
    ("I study at St. John's.", "I study at St. Paul's."),
    ("ok", "OK", "ok.", " ok "),
    ("I am not tired.", "I am tired."),
]


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


@pytest.mark.parametrize("texts", ALIKE)
def test_what_is_alike_is_stored_each_as_it_was_told(space, clock, texts):
    for text in (*texts, *texts):
        clock.now += timedelta(days=1)
        assert space.add(text, speaker="Ana").text == text
    stored = sorted(space.cubes(include_superseded=True), key=lambda c: c.at)
    assert [c.text for c in stored] == [*texts, *texts]
    assert [c.at for c in stored] == [T0 + timedelta(days=i + 1) for i in range(2 * len(texts))]


def test_without_a_given_time_the_same_words_are_another_event_even_in_one_batch(space):
    space.add_many([{"content": "Took my pills."}, {"content": "Took my pills."}])
    space.add("Took my pills.")
    assert space.count() == 3


def test_the_same_write_again_is_stored_once_and_logged(space):
    told = {"content": "Took my pills.", "speaker": "Ana", "session": "s", "role": "user", "at": T0}
    first = space.add(**told)
    assert space.add(**told | {"at": "2024-01-01T13:00+01:00"}).id == first.id
    assert {c.id for c in space.add_many([told, told])} == {first.id}
    assert space.count() == 1
    assert [(d.action, d.reason) for d in space.decisions(first.id)] == [("NOOP", "it was told before")] * 3


@pytest.mark.parametrize(
    "other",
    [{"content": "took my pills."}, {"content": "Took my pills"}, {"speaker": "Bo"}, {"session": "t"}, {"role": None},
     {"at": T0 + timedelta(microseconds=1)}, {"source": "diary.md"}, {"kind": "note"}, {"metadata": {"n": 1}}, {"id": "x"}],
)  # fmt: skip
def test_whatever_differs_makes_it_another_memory(space, other):
    told = {"content": "Took my pills.", "speaker": "Ana", "session": "s", "role": "user", "at": T0}
    first = space.add(**told)
    second = space.add(**told | other)
    assert first.id != second.id
    assert space.count() == 2


def test_a_write_repeated_after_what_superseded_it_changes_nothing(space, clock):
    clock.now += timedelta(days=9)
    for text, day in (("I live in Porto.", 0), ("I no longer live in Porto.", 1), ("I live in Porto.", 0)):
        space.add(text, speaker="Ana", at=T0 + timedelta(days=day))
    assert [c.state for c in space.cubes(include_superseded=True)] == ["active", "superseded"]
    assert [f.negated for f in space.facts("ana", "live in")] == [True]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([t for a in ALIKE for t in a]), st.integers(0, 3)), max_size=12))
def test_a_batch_stores_what_its_messages_store_one_by_one(tmp_path_factory, told):
    messages = [{"content": text, "speaker": "Ana", "at": T0 + timedelta(days=day)} for text, day in told]
    with Mnemos(tmp_path_factory.mktemp("root"), embedder="none") as memory:
        batch, single = memory.space("batch"), memory.space("single")
        batch.add_many(messages)
        for message in messages:
            single.add(**message)
        rows = [{(c.text, c.at) for c in s.cubes(include_superseded=True)} for s in (batch, single)]
    assert rows[0] == rows[1] == {(m["content"], m["at"]) for m in messages}


def test_thirty_days_of_one_event_are_thirty_memories_each_found_on_its_day(space, clock):
    for day in range(30):
        clock.now = T0 + timedelta(days=day)
        space.add("Took my pills.", speaker="Ana")
        space.add(f"Lunch number {day}.", speaker="Ana")
    assert space.count() == 60
    for day in range(30):
        start = (T0 + timedelta(days=day)).replace(hour=0)
        hits = space.search("Did I take my pills?", since=start, until=start + timedelta(days=1))
        assert [(h.cube.text, h.cube.at.date(), h.also) for h in hits if "pills" in h.cube.text] == [
            ("Took my pills.", start.date(), ())
        ]


def test_what_is_told_again_is_shown_once_with_all_its_times(space, clock):
    ids = []
    for day in range(12):
        clock.now = T0 + timedelta(days=day)
        ids.append(space.add("Took my pills." if day % 2 else "took  my PILLS.", speaker="Ana").id)
    for text in ("Bought pills.", "The pills taste bad.", "More pills next week."):
        space.add(text, speaker="Ana")
    other = space.add("Took my pills.", speaker="Bo")
    for k in (1, 3, 10):
        hits = space.search("pills", k)
        assert len(hits) == min(k, 5)
        marks = [(" ".join(h.cube.text.casefold().split()), h.cube.speaker) for h in hits]
        assert len(set(marks)) == len(marks)
        for hit in hits:
            if hit.cube.speaker == "Ana" and hit.cube.text.casefold().startswith("took"):
                assert sorted([hit.cube.id, *(c.id for c in hit.also)]) == sorted(ids)
                assert [c.at for c in hit.also] == sorted(c.at for c in hit.also)
            else:
                assert hit.also == ()
    assert other.id in {h.cube.id for h in space.search("pills")}
    block = space.context("pills")
    assert block.count("PILLS.") + block.count("Took my pills.") == 2
    assert "(also said 1 times more, 2024-01-" in block


def test_a_hit_survives_json():
    from mnemos import Hit, MemCube

    a, b = (MemCube(name, "Hm", "s", T0, T0) for name in "ab")
    hit = Hit(a, 1.0, {"bm25": 1.0}, (b,))
    assert Hit.from_dict(hit.to_dict()) == hit


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_place_that_comes_back_keeps_both_of_its_times(space, clock, order):
    clock.now = T0 + timedelta(days=99)
    told = [("I live in Faro.", 0), ("I live in Porto.", 10), ("I live in Faro.", 20)]
    for i in order:
        space.add(told[i][0], speaker="Ana", at=T0 + timedelta(days=told[i][1]))
    assert [(c.text, c.at) for c in sorted(space.cubes(include_superseded=True), key=lambda c: c.at)] == [
        (text, T0 + timedelta(days=day)) for text, day in told
    ]
    spans = {(f.value, f.valid_from, f.valid_to) for f in space.facts("ana", "live in", include_ended=True)}
    days = [T0 + timedelta(days=n) for n in (0, 10, 20)]
    assert spans == {("Faro", days[0], days[1]), ("Porto", days[1], days[2]), ("Faro", days[2], None)}

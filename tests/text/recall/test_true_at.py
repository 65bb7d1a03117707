"""`true_at`: what was so at a moment, whenever it was told."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import NothingBelieved

T0 = datetime(2024, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CITIES = ["Porto", "Faro", "Braga", "Evora"]


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def first(space, question, **options):
    return next((hit.cube.text for hit in space.search(question, **options)), None)


def ids(found):
    return sorted(getattr(one, "cube", one).id for one in found)


def days():
    return st.integers(-400, 400)


@settings(max_examples=4)
@given(
    rows=st.lists(
        st.tuples(days(), st.none() | days(), st.none() | st.integers(1, 300), st.none() | days()), max_size=5
    ),
    moments=st.lists(days(), min_size=3, max_size=9),
)
def test_true_at_selects_what_had_begun_and_was_not_over(tmp_path_factory, rows, moments):
    with Mnemos(tmp_path_factory.mktemp("held"), embedder="none", clock=lambda: T0) as memory:
        space = memory.space("ana")
        named = ["" if day is None else f" on {T0 + day * DAY:%Y-%m-%d}" for *_, day in rows]
        told = [{"content": f"tea {i}{named[i]}", "at": T0 + row[0] * DAY} for i, row in enumerate(rows)]
        cubes = space.add_many(told, reconcile=False)
        spans = []  # the replay: from when to when each holds
        for cube, (at, begin, lasts, day) in zip(cubes, rows, strict=True):
            if begin is None:
                starts = [T0 + at * DAY, *([] if day is None else [(T0 + day * DAY).replace(hour=0)])]
                spans.append((min(starts), None))
                continue
            until = None if lasts is None else T0 + (begin + lasts) * DAY
            space.update(cube.id, valid_from=T0 + begin * DAY, valid_to=until)
            spans.append((T0 + begin * DAY, until))
        for moment in (T0 + day * DAY for day in moments):
            wanted = [c.id for c, (a, b) in zip(cubes, spans, strict=True) if a <= moment and (b is None or moment < b)]
            assert ids(space.cubes(true_at=moment)) == sorted(wanted)
            assert ids(space.search("tea", 10, true_at=moment)) == sorted(wanted)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_history_told_in_any_order_is_searched_as_it_happened(space, clock, order):
    clock.now = T0 + 2_000 * DAY
    for i in order:
        space.add(f"I moved to {CITIES[i]}.", speaker="Ana", at=T0 + 400 * i * DAY)
    for i in range(3):
        moment = T0 + (400 * i + 200) * DAY
        [fact] = space.facts("ana", "live in", true_at=moment)
        assert fact.value == CITIES[i]
        assert first(space, "Where does Ana live?", true_at=moment) == f"I moved to {CITIES[i]}."
        assert first(space, f"Where did Ana live in {moment:%B %Y}?", asked_at=clock.now) == f"I moved to {CITIES[i]}."


def test_a_question_with_a_past_time_is_answered_by_what_was_so_then(space, clock):
    clock.now = T0 + 2_000 * DAY
    for i, city in enumerate(CITIES[:3]):
        space.add(f"I live in {city}.", speaker="Ana", at=T0 + 400 * i * DAY)
    space.add("Tim was born.", speaker="Ana", at=T0 + 500 * DAY)
    hits = space.search("Where did Ana live in 2027?", asked_at=clock.now)
    assert hits[0].cube.text == "I live in Braga."
    assert next(iter(hits[0].why)) == "true in 2027-01-01 to 2027-12-31"
    assert sum(hits[0].why.values()) == pytest.approx(hits[0].score)
    assert first(space, "Where did Ana live when Tim was born?") == "I live in Faro."
    assert first(space, "Where did Ana live before Faro?") == "I live in Porto."
    assert first(space, "Where does Ana live?") == "I live in Braga."


def test_what_is_told_later_counts_by_when_it_was_so(space, clock):
    clock.now = T0 + 100 * DAY
    space.add("I work at Beta.", speaker="Ana", at="2022-05-01")
    space.add("Back in 2019 my work was still at Acme.", speaker="Ana", at="2023-05-01")
    space.add("From 2012 to 2015 my work was at Gamma.", speaker="Ana", at="2023-06-01")
    assert "Acme" in first(space, "Where did Ana work in 2019?")
    assert "Acme" in first(space, "Where does Ana work?", true_at="2019-07-01")
    assert "Gamma" in first(space, "Where does Ana work?", true_at="2014-07-01")
    assert "Beta" in first(space, "Where did Ana work in 2022?")


def test_an_age_is_counted_from_a_birthday_that_was_told(space, clock):
    space.add("I was born on 3 May 1990.", speaker="Ana", at="2021-01-01")
    space.add("I live in Porto.", speaker="Ana", at="2008-01-01")
    space.add("I live in Faro.", speaker="Ana", at="2018-01-01")
    assert first(space, "Where did Ana live when she was 20?") == "I live in Porto."
    assert first(space, "Where did Ana live when she was 29?") == "I live in Faro."


def test_sessions_and_blocks_take_it_too(space, clock):
    clock.now = T0 + 900 * DAY
    space.add("I live in Porto.", speaker="Ana", session="old", at=T0)
    space.add("I moved to Faro.", speaker="Ana", session="new", at=T0 + 400 * DAY)
    block = space.context("Where does Ana live?", true_at=T0 + 9 * DAY)
    assert "Porto" in block
    assert "Faro" not in block
    assert [s.session for s in space.search_sessions("Where does Ana live?", true_at=T0 + 9 * DAY)] == ["old"]


def test_as_of_before_anything_was_learned_names_true_at(space):
    space.add("I live in Porto.", speaker="Ana", at="2020-01-01")
    for ask in (space.search, space.search_sessions, space.context):
        with pytest.warns(NothingBelieved, match="true_at"):
            assert not ask("Where does Ana live?", as_of="2021-01-01")
    with pytest.warns(NothingBelieved, match="2021-01-01"):
        assert not space.cubes(as_of="2021-01-01").items
    with pytest.warns(NothingBelieved):
        assert not space.facts("ana", as_of="2021-01-01")


def test_a_question_about_the_past_reads_the_space_no_second_time(tmp_path, monkeypatch):
    with Mnemos(tmp_path, embedder=None) as memory:
        space = memory.space("ana")
        space.add("I live in Porto.", speaker="Ana", at="2019-05-01")
        space.add("I live in Lisbon now.", speaker="Ana", at="2023-05-01")
        space.search("Where does Ana live?")
        store, read = space.text.store, []
        changes = store.changes
        monkeypatch.setattr(store, "changes", lambda since, model: read.append(since) or changes(since, model))
        assert space.search("Where did Ana live in 2021?")[0].cube.text == "I live in Porto."
        assert 0 not in read  # from where everything would be read

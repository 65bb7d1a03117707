"""The order of telling: equal times, and a clock that goes back, reorder nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.text.forget.laws import law_names
from mnemos.text.forget.policy import Policy
from mnemos.text.recall.context import records

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORDS = ["fox", "owl", "cat", "dog", "cow", "hen", "pig", "ant", "bee", "elk"]


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def texts(cubes):
    return [cube.text for cube in cubes]


def test_a_batch_of_equal_times_comes_in_the_order_of_telling(space):
    told = space.add_many(
        [{"content": f"Rita saw a {w}. " + "Rita! " * (i % 3), "at": T0} for i, w in enumerate(WORDS)]
    )
    block = space.context("What did Rita see? Rita Rita", tokens=4_000, min_score=0)
    assert [r.id for r in records(block)] == [c.id for c in told]


def test_an_updated_record_keeps_its_place_among_equal_times(space):
    told = space.add_many([{"content": f"Rita saw a {w}", "at": T0} for w in WORDS[:4]])
    space.update(told[1].id, content="Rita saw an eagle owl")
    assert [r.id for r in records(space.context("What did Rita see?", tokens=4_000, min_score=0))] == [
        c.id for c in told
    ]
    assert space.store.told([c.id for c in told]) == dict(zip([c.id for c in told], range(1, 5), strict=True))


@pytest.mark.parametrize("back", [HOUR, timedelta(seconds=1), timedelta(days=30)])
def test_a_clock_that_goes_back_reorders_nothing(space, clock, back):
    told = []
    for i, word in enumerate(WORDS):
        clock.now = T0 + i * timedelta(minutes=1) - (back if i >= 5 else 0 * HOUR)
        told.append(space.add(f"Rita saw a {word}", session="s"))
    assert [c.learned for c in told] == sorted(c.learned for c in told)
    assert [c.at for c in told] == sorted(c.at for c in told)
    assert [r.id for r in records(space.context("What did Rita see?", tokens=4_000, min_score=0))] == [
        c.id for c in told
    ]
    for a, b in zip(told, told[1:], strict=False):
        assert any((link.a, link.b) == (b.id, a.id) for link in space.links(b.id, kind="follows"))


def test_what_was_believed_stays_in_order_though_the_clock_went_back(space, clock):
    cube = space.add("I live in Porto")
    clock.now = T0 - HOUR
    space.update(cube.id, content="I live in Faro")
    first, second = space.history(cube.id)
    assert first.learned <= first.replaced <= second.learned
    entries = space.audit()
    assert [e.made for e in entries] == sorted(e.made for e in entries)
    assert space.verify_audit()[1] == []
    assert texts(space.cubes(as_of=second.learned)) == ["I live in Faro"]


def test_another_process_and_a_new_start_see_how_late_it_was(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        first = memory.space("ana").add("one", session="s")
    clock.now = T0 - HOUR
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        second = memory.space("ana").add("two", session="s")
        assert (second.at, second.learned) == (first.at, first.learned)


def test_a_clock_that_was_a_year_ahead_is_not_believed_for_ever(space, clock):
    clock.now = T0 + timedelta(days=4_000)
    space.add("from the future")
    clock.now = T0
    cube = space.add("It rained today")
    assert cube.at == T0
    assert cube.learned == T0 + timedelta(days=4_000)


def test_a_time_that_is_given_is_kept_whatever_the_clock_shows(space, clock):
    space.add("one")
    clock.now = T0 - HOUR
    assert space.add("two", at=T0 - 2 * HOUR).at == T0 - 2 * HOUR


@pytest.mark.parametrize("law", law_names())
def test_a_clock_that_goes_back_forgets_nothing(space, clock, law):
    space.policy = Policy(law=law, days=10)
    space.add_many([{"content": f"Rita saw a {w}"} for w in WORDS])
    space.search("Rita", 3)
    clock.now = T0 - timedelta(days=300)
    assert space.apply_policy().archived == ()
    space.search("Rita", 3)
    clock.now = T0 + timedelta(days=9)
    assert space.apply_policy().archived == ()
    assert space.count() == len(WORDS)

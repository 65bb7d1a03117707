"""What MemoryBank claims (arXiv 2305.10250): survival follows exp(-t / S), recalls at intervals save, skewed questions win."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.bench.text import retention
from mnemos.text.forget.ebbinghaus import Ebbinghaus
from mnemos.text.forget.laws import load_law
from mnemos.text.systems.memorybank import memorybank

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory.space("ana", system="memorybank")


def survivors(space):
    return {c.id for c in space.cubes(limit=5_000).items if c.kind == "turn"}


def test_what_is_never_recalled_vanishes_along_the_curve(space, clock):
    n = 2_000
    space.add_many([{"content": f"note {i}", "id": f"n{i}", "session": "s"} for i in range(n)])
    days = np.arange(1, 5)
    shares = []
    for day in days:
        for hours in (-12, -6, 0):  # how often it runs makes no difference
            clock.now = T0 + timedelta(days=int(day), hours=hours)
            space.consolidate()
        shares.append(len(survivors(space)) / n)
    error = np.sqrt(np.mean((np.array(shares) - np.exp(-days)) ** 2))
    assert error < 0.02
    assert -1 / np.polyfit(days, np.log(shares), 1)[0] == pytest.approx(1.0, rel=0.1)  # S of the paper: one day


def test_what_is_recalled_at_intervals_survives_and_comes_back_from_the_archive(space, clock):
    n, recalls = 1_000, (0.25, 0.75, 1.75, 3.75, 7.75)
    space.add_many([{"content": f"note {i}", "id": f"n{i}", "session": "s"} for i in range(2 * n)])
    used = {f"n{i}" for i in range(n)}
    for day in recalls:
        clock.now = T0 + timedelta(days=day)
        space.consolidate()  # what has been forgotten until now cannot be recalled
        space.text.recalled(sorted(used & survivors(space)))
        space.flush()
    kept = survivors(space)
    gaps = np.diff([0.0, *recalls])
    expected = np.exp(-np.sum(gaps / np.arange(1, len(gaps) + 1)))  # S grows by 1 with each recall
    assert len(kept & used) / n == pytest.approx(expected, abs=0.04)
    assert len(kept - used) <= 5  # of 1,000; the curve leaves 0.4
    lost = min(used - kept)
    assert space.unarchive([lost]) == [lost]


def test_with_skewed_questions_it_beats_fifo_and_chance_at_equal_size():
    year = retention.make("stationary", np.random.default_rng(1), 2_000, 120, 20.0)
    law = memorybank().law
    assert law == Ebbinghaus(spaced=False)
    hits = {
        name: int(retention.simulate(each, year, (0.25,)).hits[0])
        for name, each in (("memorybank", law), ("fifo", load_law("fifo")), ("random", load_law("random")))
    }
    assert hits["memorybank"] > 1.2 * max(hits["fifo"], hits["random"])


def test_days_and_the_whole_are_summed_up_and_a_portrait_is_written(space, clock):
    for day in range(3):
        clock.now = T0 + timedelta(days=day)
        space.add("My favourite tea is sencha." if day else "I live in Lisbon.", speaker="Ana")
        space.add(f"On day {day} I repaired the old kettle in the kitchen.", speaker="Ana")
        space.text.recalled([c.id for c in space.cubes().items])
    space.flush()
    written = space.consolidate().written
    assert (written["day"], written["all"], written["profile"]) == (3, 1, 1)
    [portrait] = space.cubes(kind="profile").items
    assert "live in: Lisbon" in portrait.text
    summaries = space.cubes(kind="summary").items
    assert {c.metadata["level"] for c in summaries} == {"day", "all"}


def test_search_is_by_vectors_and_contradictions_stand_side_by_side(space):
    space.add("I live in Porto.", speaker="Ana", id="porto")
    space.add("I live in Faro.", speaker="Ana", id="faro")
    assert {f.value for f in space.facts("ana", "live in")} == {"Porto", "Faro"}
    assert space.search("I live in Porto.", k=1)[0].why.keys() == {"cosine"}

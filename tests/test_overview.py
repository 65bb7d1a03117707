"""A space from above: every count against a plain count, every strength against the law."""

from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.cube import to_micros
from mnemos.errors import InvalidInput, NotFound
from mnemos.inspect import fading
from mnemos.text.base import DAY, Histories
from mnemos.text.forget.laws import law_names, load_law
from mnemos.text.forget.policy import Policy

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
NAMES = count()
STARTS = {  # the first day of the bucket that a day is in
    "day": lambda d: d,
    "week": lambda d: date.fromordinal(max(d.toordinal() - d.weekday(), 1)),
    "month": lambda d: d.replace(day=1),
    "year": lambda d: d.replace(month=1, day=1),
    "century": lambda d: date(max(d.year // 100 * 100, 1), 1, 1),
}


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("root"), embedder="none", clock=lambda: T0) as memory:
        yield memory


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


# -- timeline


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.datetimes(datetime(1, 1, 8), datetime(9999, 12, 1)),
                st.datetimes(datetime(1969, 1, 1), datetime(1971, 1, 1)),
            ),
            st.sampled_from("AB"),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([None, "A"]),
    st.sampled_from(["auto", *STARTS]),
)
def test_a_timeline_counts_every_cube_that_matches_once_and_where_it_belongs(memory, rows, speaker, by):
    space = memory.space(f"s{next(NAMES)}")
    rows = [(at.replace(tzinfo=UTC), name) for at, name in rows]
    space.add_many([{"content": "x", "at": at, "speaker": name} for at, name in rows], reconcile=False)
    matching = [at for at, name in rows if speaker in (None, name)]
    try:
        found = space.inspect.timeline(by=by, speaker=speaker)
    except InvalidInput:
        days = [at.date() for at in matching]
        assert by in ("day", "week", "month", "year")
        assert len({STARTS[by](min(days) + timedelta(i)) for i in range((max(days) - min(days)).days + 1)}) > 400
        return
    assert sum(n for _, n in found.buckets) == len(matching) == len(space.cubes(speaker=speaker).items)
    if not matching:
        assert (found.first, found.last, found.buckets) == (None, None, [])
        return
    assert (found.first, found.last) == (min(matching), max(matching))
    start = STARTS[found.by]
    counts = dict.fromkeys((s for s, _ in found.buckets), 0)
    for at in matching:
        day = start(at.date())
        counts[datetime(day.year, day.month, day.day, tzinfo=UTC)] += 1
    assert counts == dict(found.buckets)
    assert 1 <= len(found.buckets) <= 400
    assert all(
        start(a.date()) == a.date() and start(b.date() - timedelta(1)) == a.date()
        for (a, _), (b, _) in pairwise(found.buckets)
    )


def test_a_timeline_starts_and_stops_by_when_things_happened_and_auto_takes_the_smallest_unit(space):
    space.add_many(
        [{"content": f"the {d} of May 2020", "at": T0 + timedelta(days=d)} for d in range(1_000)], reconcile=False
    )
    assert space.inspect.timeline().by == "week"
    assert space.inspect.timeline(until=T0 + timedelta(days=400)).by == "day"
    part = space.inspect.timeline(by="day", since=T0 + timedelta(days=3), until=T0 + timedelta(days=5))
    assert part.buckets == [(datetime(2024, 3, 4, tzinfo=UTC), 1), (datetime(2024, 3, 5, tzinfo=UTC), 1)]
    with pytest.raises(InvalidInput, match="1,000 buckets"):
        space.inspect.timeline(by="day")
    with pytest.raises(InvalidInput, match="use day, week"):
        space.inspect.timeline(by="hour")


def test_buckets_begin_where_calendars_say(space):
    space.add_many(
        [{"content": "x", "at": at} for at in ("1969-12-28", "1969-12-29", "2024-02-29", "2024-03-03")], reconcile=False
    )
    recent = {"since": "2024-02-01"}
    starts = {
        by: [s.date().isoformat() for s, _ in space.inspect.timeline(by=by, **recent).buckets]
        for by in ("week", "month")
    }
    assert starts == {"week": ["2024-02-26"], "month": ["2024-02-01", "2024-03-01"]}
    before = space.inspect.timeline(by="week", until="1970-01-01").buckets
    assert [(s.date().isoformat(), n) for s, n in before] == [("1969-12-22", 1), ("1969-12-29", 1)]  # from Monday on
    assert [s.year for s, _ in space.inspect.timeline(by="century").buckets] == [1900, 2000]


def test_a_timeline_as_of_a_moment_counts_what_was_believed_then(space, clock):
    space.add("I was in Faro.", at="2024-01-05", id="a")
    clock.now = T0 + timedelta(days=1)
    space.update("a", at="2024-02-07")
    space.add("I was in Braga.", at="2024-02-08")
    then = space.inspect.timeline(by="day", as_of=T0)
    assert then.buckets == [(datetime(2024, 1, 5, tzinfo=UTC), 1)]
    assert [n for _, n in space.inspect.timeline(by="month").buckets] == [2]


# -- the newest first


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from("AB"), min_size=1, max_size=12), st.integers(1, 5), st.sampled_from([None, "B"]))
def test_pages_of_the_newest_are_the_list_backwards_while_cubes_are_added(memory, speakers, limit, speaker):
    space = memory.space(f"n{next(NAMES)}")
    space.add_many([{"content": f"n{i}", "speaker": s} for i, s in enumerate(speakers)], reconcile=False)
    space.update(space.cubes().items[0].id, content="changed")  # has a new row: it was written last
    expected = [c.id for c in space.cubes(speaker=speaker).items][::-1]
    found, cursor = [], None
    for _ in range(len(speakers) + 2):  # an end, should the cursor not move
        page = space.inspect.newest(limit=limit, cursor=cursor, speaker=speaker)
        assert len(page.items) == limit or page.next_cursor is None
        found += [c.id for c in page.items]
        if (cursor := page.next_cursor) is None:
            break
        space.add("meanwhile", speaker="B", reconcile=False)
    assert found == expected


# -- strength


def lives_of(cube):
    return Histories(
        created=np.array([to_micros(cube.learned) / DAY]),
        recalled=np.array([to_micros(cube.recalled_at or cube.learned) / DAY]),
        recalls=np.array([cube.recalls]), strength=np.array([cube.strength]), size=np.array([len(cube.text)]),
        tier=np.array([cube.layer]),
    )  # fmt: skip


@pytest.mark.parametrize("law", law_names())
def test_a_curve_is_what_the_law_says(space, clock, law):
    space.add("apples and pears", id="a")
    clock.now += timedelta(days=4)
    space.text.recalled(["a"])
    space.flush()
    clock.now += timedelta(days=2)
    space.policy = Policy(law=law, min_retention=0.25)
    found = space.inspect.curve("a", days=30)
    assert (found.law, found.floor, found.recalls) == (law, 0.25, [T0 + timedelta(days=4)])
    assert (len(found.points), found.points[0][0], found.points[-1][0]) == (
        120,
        clock.now,
        clock.now + timedelta(days=30),
    )
    cube, keep = space.get("a"), load_law(law).retention
    for at, strength in found.points:
        assert strength == pytest.approx(keep(lives_of(cube), to_micros(at) / DAY)[0], abs=1e-9)
    assert found.now == found.points[0][1] == space.inspect.strengths([cube])[0]
    assert all(
        b - a == pytest.approx(30 / 119 * 86_400, abs=1e-5)
        for a, b in pairwise(at.timestamp() for at, _ in found.points)
    )


def test_a_curve_is_of_a_cube_that_is_there_and_of_days_to_come(space):
    with pytest.raises(NotFound):
        space.inspect.curve("nobody")
    space.add("x", id="a")
    for days in (0, -1, 1e9):
        with pytest.raises(InvalidInput, match="days is"):
            space.inspect.curve("a", days=days)


@pytest.mark.parametrize(
    "policy",
    [Policy(), Policy(min_retention=0.05), Policy(law="lru", cubes=6), Policy(law="fifo", cubes=3, archived_cubes=4),
     Policy(law="ttl", days=3.0, archived_days=1.0), Policy(law="random", cubes=0)],
)  # fmt: skip
def test_fading_shows_what_fade_lets_go_of_and_then_the_weakest(space, clock, policy):
    for i in range(12):
        space.add(f"note {i} about apples", id=f"c{i}", reconcile=False)
        clock.now += timedelta(days=1)
    space.archive(["c1", "c7"])
    space.pin("c2")
    space.store.lives.set_strength([(1.0, 2, 0, to_micros(T0), "c3")])  # of the long term
    space.policy = policy
    found, told = space.inspect.due_soon(limit=100), space.apply_policy(preview=True)
    assert tuple(c.id for c, _ in found.archive) == told.archived
    assert tuple(c.id for c, _ in found.erase) == told.erased
    assert (found.archive_count, found.erase_count) == (len(told.archived), len(told.erased))
    left = {f"c{i}" for i in range(12)} - {"c1", "c2", "c3", "c7", *told.archived}
    assert {c.id for c, _ in found.next} == left
    law, now = policy.make_law(), to_micros(clock.now) / DAY
    for part in (found.archive, found.erase, found.next):
        strengths = [s for _, s in part]
        assert strengths == sorted(strengths)
        assert strengths == [pytest.approx(law.retention(lives_of(c), now)[0]) for c, _ in part]
    few = space.inspect.due_soon(limit=2)
    assert few.next == found.next[:2]
    assert (few.archive, few.erase) == (found.archive[:2], found.erase[:2])
    assert few.archive_count == len(told.archived)
    space.apply_policy()
    assert {c.id for c in space.cubes(state="active").items} == left | {"c2", "c3"}


@pytest.mark.parametrize(
    "policy",
    [Policy(constants={"days": "many"}), Policy(law="layered", constants={"days": [1.0]}),
     Policy(law="layered", constants={"days": 3.0}), Policy(law="power", constants={"b": [1.0, 2.0, 3.0]}),
     Policy(law="memoryos-heat", constants={"page": 0.0, "b": 0.0}), Policy(constants={"gain": float("inf")})],
)  # fmt: skip
def test_a_law_that_cannot_work_with_its_constants_is_refused(policy):
    with pytest.raises(InvalidInput, match="cannot work"):
        fading.check_law(policy)


@pytest.mark.parametrize("law", law_names())
def test_every_law_works_with_its_own_constants(law):
    fading.check_law(Policy(law=law))


# -- sizes


def test_sizes_are_those_of_what_is_stored(tmp_path):
    with Mnemos(tmp_path, embedder="hashing") as memory:
        space = memory.space("a[b]*")
        space.add("Água é vida.", id="a", reconcile=False)
        space.add("Bread", kind="note", id="b", reconcile=False)
        assert space.inspect.sizes().versions == 0
        space.update("a", content="Vinho é vida.")
        found = space.inspect.sizes()
        assert found.forms == [("text", "note", 1, 5), ("text", "turn", 1, len("Vinho é vida.".encode()))]
        assert found.versions == len("Água é vida.".encode())
        assert found.vectors == 3 * 2 * memory.embedder.dimension
        assert found.words > 0
        assert found.file == sum(p.stat().st_size for p in tmp_path.iterdir())
        assert found.links == 0

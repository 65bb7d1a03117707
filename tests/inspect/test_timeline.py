"""What happened when: every count of a space against a plain count."""

from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput

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


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
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
    space.add_many(
        [{"content": f"x{i}", "at": at, "speaker": name} for i, (at, name) in enumerate(rows)], reconcile=False
    )
    matching = [at for at, name in rows if speaker in (None, name)]
    try:
        found = space.inspect.timeline(by=by, speaker=speaker)
    except InvalidInput:
        days = [at.date() for at in matching]
        assert by in ("day", "week", "month", "year")
        first = min((max(days) - min(days)).days + 1, 402 * 366)  # days that are enough for 401 years
        assert len({STARTS[by](min(days) + timedelta(i)) for i in range(first)}) > 400
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
        assert found.file == sum(p.stat().st_size for p in tmp_path.glob("*.mnemos*"))
        assert found.links == 0

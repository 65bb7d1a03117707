"""The local day: "today", plain dates and naive times are those of the zone in which a message was told."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from mnemos import Mnemos
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput
from mnemos.text.recall.context import records
from mnemos.text.recall.query import make_query
from mnemos.text.search import _asked

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
BERLIN, HOUR = ZoneInfo("Europe/Berlin"), timedelta(hours=1)


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory


def space_in(memory, zone):
    space = memory.space("ana")
    space.timezone = zone
    return space


def dates_of(space, cube):
    [row] = space.store.keys_of([cube.id])
    return [(d.start, d.end) for d in space.store.dates([row])[row]]


def day_of(space, cube):
    """Return the day that a text mentions, as its own clock shows it, and its length in hours."""
    [(start, end)] = dates_of(space, cube)
    first = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start)).astimezone(cube.local_at.tzinfo)
    assert (first.hour, first.minute) == (0, 0)
    return first.date().isoformat(), (end - start) / 3_600_000_000


@pytest.mark.parametrize(
    ("zone", "now", "today"),
    [
        ("Asia/Tokyo", "2024-03-01T20:00", "2024-03-02"),
        ("America/Los_Angeles", "2024-03-01T03:00", "2024-02-29"),
        ("Asia/Kolkata", "2024-03-01T18:29", "2024-03-01"),
        ("Asia/Kolkata", "2024-03-01T18:30", "2024-03-02"),
        ("Asia/Kathmandu", "2024-03-01T18:15", "2024-03-02"),
        ("Pacific/Kiritimati", "2024-03-01T10:00", "2024-03-02"),  # fourteen hours ahead
        ("Pacific/Pago_Pago", "2024-03-01T10:59", "2024-02-29"),  # on the other side of the date line
        ("-03:30", "2024-03-01T03:29", "2024-02-29"),
        ("UTC", "2024-03-01T23:59", "2024-03-01"),
    ],
)
def test_today_is_the_day_of_the_zone_whatever_day_it_is_in_utc(memory, clock, zone, now, today):
    clock.now = datetime.fromisoformat(now).replace(tzinfo=UTC)
    space = space_in(memory, zone)
    assert day_of(space, space.add("I saw a fox today")) == (today, 24)
    assert day_of(space, space.get(space.add("I saw an owl today").id)) == (today, 24)


@pytest.mark.parametrize(
    ("told", "text", "day", "hours"),
    [
        ("2024-03-31T20:00", "It rained today", "2024-03-31", 23),
        ("2024-04-01T09:00", "It rained yesterday", "2024-03-31", 23),
        ("2024-10-27T20:00", "It rained today", "2024-10-27", 25),
        ("2024-10-28T09:00", "It rained yesterday", "2024-10-27", 25),
        ("2024-10-26T09:00", "It will rain tomorrow", "2024-10-27", 25),
        ("2024-03-30T09:00", "It will rain tomorrow", "2024-03-31", 23),
        ("2024-07-01T09:00", "It rained yesterday", "2024-06-30", 24),
    ],
)
def test_a_day_on_which_clocks_change_has_23_or_25_hours(memory, told, text, day, hours):
    space = space_in(memory, "Europe/Berlin")
    assert day_of(space, space.add(text, at=told)) == (day, hours)


def test_a_month_and_a_week_begin_at_local_midnight_on_both_sides_of_the_change(memory):
    space = space_in(memory, "America/New_York")
    [(start, end)] = dates_of(space, space.add("We moved in March", at="2024-04-10T09:00"))
    assert (end - start) / 3_600_000_000 == 31 * 24 - 1


def test_a_range_of_local_days_takes_what_happened_in_it_and_nothing_beside_it(memory):
    space = space_in(memory, "Europe/Berlin")
    moments = [datetime(2024, 3, 31, 0, tzinfo=BERLIN).astimezone(UTC) + i * HOUR for i in range(-2, 26)]
    for m in moments:
        space.add(f"tick {m:%d %H}", at=m)
    found = space.cubes(since="2024-03-31", until=date(2024, 4, 1)).items
    assert len(found) == 23
    assert {c.local_at.date() for c in found} == {date(2024, 3, 31)}
    utc = space.cubes(since="2024-03-31", until="2024-04-01", timezone="UTC").items
    assert {c.at.astimezone(UTC).date() for c in utc} == {date(2024, 3, 31)}
    assert len(utc) == 24


def test_messages_from_a_journey_keep_their_own_clocks(memory):
    space = space_in(memory, "Europe/Lisbon")
    home = space.add("Today I packed", at="2024-03-02T09:00")
    plane = space.add("Today I flew", at="2024-03-03T01:00+09:00")
    zoned = space.add("Today I slept", at="2024-03-03T23:00", timezone="Asia/Tokyo")
    aware = space.add("Today I ate", at=datetime(2024, 3, 4, 8, tzinfo=ZoneInfo("Asia/Tokyo")))
    assert [day_of(space, c)[0] for c in (home, plane, zoned, aware)] == [
        "2024-03-02", "2024-03-03", "2024-03-03", "2024-03-04",
    ]  # fmt: skip
    assert [c.timezone for c in (home, plane, zoned, aware)] == ["Europe/Lisbon", None, "Asia/Tokyo", "Asia/Tokyo"]
    assert plane.at.isoformat() == space.get(plane.id).at.isoformat() == "2024-03-03T01:00:00+09:00"


def test_a_time_in_utc_says_when_but_not_where(memory):
    space = space_in(memory, "Asia/Tokyo")
    for i, told in enumerate(
        ["2024-03-01T20:00Z", datetime(2024, 3, 1, 20, tzinfo=UTC), 1_709_323_200, 1_709_323_200_000]
    ):
        cube = space.add(f"Today I saw fox number {i}", at=told)
        assert day_of(space, cube)[0] == "2024-03-02"
        assert cube.at == datetime(2024, 3, 1, 20, tzinfo=UTC)


def test_a_question_is_asked_on_the_clock_of_its_zone(memory, clock):
    space = space_in(memory, "Asia/Tokyo")
    space.add("Rita sang", at="2024-03-01T23:30")
    space.add("Rita danced", at="2024-03-02T00:30")
    clock.now = datetime(2024, 3, 2, 16, tzinfo=UTC)  # the third in Tokyo, the second in Lisbon
    assert space.search("What did Rita do yesterday?", 1)[0].cube.text == "Rita danced"
    spans = [
        make_query("yesterday", None, _asked(space.text, None, zone)).span for zone in ("Asia/Tokyo", "Europe/Lisbon")
    ]
    days = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=s[0]) for s in spans]
    assert days == [datetime(2024, 3, 2, tzinfo=ZoneInfo("Asia/Tokyo")), datetime(2024, 3, 1, tzinfo=UTC)]


def test_a_space_whose_zone_changed_keeps_what_was_told_before(memory):
    space = space_in(memory, "Europe/Berlin")
    before = space.add("It rained today", at="2024-03-31T20:00")
    space.timezone = "Asia/Tokyo"
    after = space.add("It snowed today", at="2024-03-31T20:00")
    assert (day_of(space, before), day_of(space, after)) == (("2024-03-31", 23), ("2024-03-31", 24))
    assert after.at - before.at == timedelta(hours=-7)
    assert space.doctor().healthy
    edited = space.update(before.id, content="It poured today")
    assert (day_of(space, edited), edited.timezone) == (("2024-03-31", 23), "Europe/Berlin")
    moved = space.update(before.id, timezone="America/New_York")
    assert (moved.at, moved.at.isoformat()) == (before.at, "2024-03-31T14:00:00-04:00")


def test_the_zone_is_stored_in_the_space_and_the_default_is_that_of_mnemos(tmp_path, monkeypatch):
    with Mnemos(tmp_path, embedder="none", timezone="Asia/Kolkata") as memory:
        assert memory.space("a").timezone == "Asia/Kolkata"
        memory.space("b").timezone = "local"
        memory.space("b").timezone = "Europe/Lisbon"
    monkeypatch.delenv("MNEMOS_TIMEZONE")
    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: "America/Lima")
    with Mnemos(tmp_path, embedder="none") as memory:
        assert (memory.space("a").timezone, memory.space("b").timezone) == ("America/Lima", "Europe/Lisbon")
        with pytest.raises(InvalidInput, match="no time zone"):
            memory.space("a").timezone = "Lima"
    with pytest.raises(InvalidInput, match="no time zone"):
        Mnemos(tmp_path, embedder="none", timezone="Mars/Olympus")


def test_a_prompt_shows_local_times_with_their_offsets(memory):
    space = space_in(memory, "Asia/Kolkata")
    space.add("Rita saw a fox yesterday", at="2024-03-02T00:10")
    [record] = records(space.context("What did Rita see?"))
    assert record.time == "2024-03-02 00:10+05:30"
    assert record.text == "Rita saw a fox yesterday [2024-03-01]"
    space.timezone = "UTC"
    space.add("Rita saw an owl", at="2024-03-05T00:10")
    assert records(space.context("What did Rita see?"))[-1].time == "2024-03-05 00:10"


def test_a_prompt_names_the_day_of_a_date_across_a_change_of_clocks(memory):
    space = space_in(memory, "Europe/Berlin")
    space.add("Rita is flying on Sunday", at="2024-10-25T10:00")  # in winter time, told in summer time
    [record] = records(space.context("When is Rita flying?"))
    assert record.text.endswith("on Sunday [2024-10-27]")


def test_a_timeline_counts_local_days(memory):
    space = space_in(memory, "Asia/Tokyo")
    space.add_many([{"content": f"m{i}", "at": f"2024-03-02T{h:02}:00"} for i, h in enumerate((0, 8, 9, 23))])
    found = space.inspect.timeline(by="day")
    assert found.buckets == [(datetime(2024, 3, 2, tzinfo=ZoneInfo("Asia/Tokyo")), 4)]


def test_messages_carry_their_own_zone_and_an_archive_keeps_it(memory, tmp_path):
    space = memory.space("ana")
    [a, b] = space.add_many(
        [
            {"content": "Today I ran", "at": "2024-03-02T23:30", "timezone": "Asia/Tokyo"},
            {"content": "Today I swam", "at": "2024-03-02T23:30"},
        ]
    )
    assert (a.timezone, b.timezone, b.at - a.at) == ("Asia/Tokyo", None, 9 * HOUR)
    with pytest.raises(InvalidInput, match=r"messages\[0\]: timezone"):
        space.add_many([{"content": "x", "timezone": "Tokyo"}])
    other = memory.space("copy")
    other.restore(list(space.dump()))
    assert [(c.timezone, c.at.isoformat()) for c in other.cubes()] == [(c.timezone, c.at.isoformat()) for c in (a, b)]
    assert MemCube.from_dict(a.to_dict()) == a
    with pytest.raises(ValueError, match="no time zone"):
        MemCube.from_dict({**a.to_dict(), "timezone": "Tokyo"})


def test_a_zone_that_this_machine_does_not_know_is_no_hindrance(memory):
    cube = MemCube("a", "Today", "ana", T0.astimezone(timezone(HOUR)), T0, timezone="Mars/Olympus")
    assert cube.local_at == T0


@pytest.mark.parametrize(
    ("since", "until"), [("2024-03-02", "2024-03-01"), (T0, T0 - HOUR), ("2024-03-02T10:00+09:00", "2024-03-02T00:00Z")]
)
def test_a_time_that_ends_before_it_begins_is_refused(memory, since, until):
    space = memory.space("ana")
    for ask in (space.cubes, space.forget_preview, space.inspect.timeline, lambda **k: space.search("x", **k)):
        with pytest.raises(InvalidInput, match=r"since .* is after until"):
            ask(since=since, until=until)


def test_a_statement_that_ends_before_it_begins_is_refused(memory):
    space = memory.space("ana")
    cube = space.add("I live in Porto")
    with pytest.raises(InvalidInput, match="valid_to .* is before valid_from"):
        space.update(cube.id, valid_from="2024-03-02", valid_to="2024-03-01")
    assert space.get(cube.id).version == 1
    assert space.update(cube.id, valid_from="2024-03-01", valid_to="2024-03-02").version == 2

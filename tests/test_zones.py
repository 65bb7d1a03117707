"""Time zones: names, offsets, and the clock that a time is read on."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.text.encode.messages import moment
from mnemos.zones import check_zone, fixed, in_zone, load_zone, local_zone, zone_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Europe/Lisbon", "Europe/Lisbon"), ("UTC", "UTC"), ("Etc/UTC", "UTC"), ("Z", "UTC"), ("GMT", "UTC"),
        ("+05:30", "+05:30"), ("UTC+2", "+02:00"), ("-0330", "-03:30"), ("+00:00", "UTC"), ("-12", "-12:00"),
        (ZoneInfo("Asia/Tokyo"), "Asia/Tokyo"), (ZoneInfo("UTC"), "UTC"), (UTC, "UTC"),
        (timezone(-timedelta(hours=3, minutes=30)), "-03:30"),
    ],
)  # fmt: skip
def test_a_zone_has_one_name(given, name):
    assert check_zone(given) == name
    assert check_zone(name) == name


@pytest.mark.parametrize(
    "bad",
    ["Europe/Lissabon", "", "../../etc/passwd", "/etc/localtime", "+25:00", "+5:77", 3, None, "europe/lisbon", "\0"],
)
def test_what_is_no_zone_is_refused(bad):
    with pytest.raises(InvalidInput, match="timezone is"):
        check_zone(bad)


def test_a_misspelt_zone_is_told_the_nearest():
    with pytest.raises(InvalidInput, match="did you mean Europe/Lisbon"):
        check_zone("europe/lisbon")


def test_local_is_the_zone_of_the_machine(monkeypatch):
    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: "Asia/Kolkata")
    assert local_zone() == check_zone("local") == "Asia/Kolkata"


def test_a_machine_that_does_not_say_its_zone_is_in_utc(monkeypatch):
    for odd in (lambda: None, lambda: "local", lambda: {}["TZ"]):
        monkeypatch.setattr("tzlocal.get_localzone_name", odd)
        assert local_zone() == "UTC"


@pytest.mark.parametrize(
    ("told", "zone", "iso"),
    [
        ("2024-01-05T23:30", "Europe/Berlin", "2024-01-05T23:30:00+01:00"),  # naive: told in the zone
        ("2024-07-05T23:30", "Europe/Berlin", "2024-07-05T23:30:00+02:00"),
        ("2024-03-02", "America/New_York", "2024-03-02T00:00:00-05:00"),
        (date(2024, 3, 2), "Asia/Kathmandu", "2024-03-02T00:00:00+05:45"),
        ("2024-01-05T23:30Z", "Asia/Tokyo", "2024-01-06T08:30:00+09:00"),  # in UTC: when, but not where
        (datetime(2024, 1, 5, 23, 30, tzinfo=UTC), "Asia/Tokyo", "2024-01-06T08:30:00+09:00"),
        (1_704_497_400, "Asia/Tokyo", "2024-01-06T08:30:00+09:00"),
        ("2024-01-05T23:30-05:00", "Asia/Tokyo", "2024-01-05T23:30:00-05:00"),  # any other offset is kept
        ("2024-01-05T23:30+09:00", "Asia/Tokyo", "2024-01-05T23:30:00+09:00"),
        (datetime(2024, 1, 5, 23, 30, tzinfo=ZoneInfo("Europe/Paris")), "Asia/Tokyo", "2024-01-05T23:30:00+01:00"),
        ("2024-03-31T02:30", "Europe/Berlin", "2024-03-31T02:30:00+01:00"),  # skipped: the clock before counts
        ("2024-10-27T02:30", "Europe/Berlin", "2024-10-27T02:30:00+02:00"),  # twice: the first one
        ("2024-01-05T23:30", "+05:30", "2024-01-05T23:30:00+05:30"),
        ("2024-01-05T23:30", "UTC", "2024-01-05T23:30:00+00:00"),
        ("2011-12-31T00:00", "Pacific/Apia", "2011-12-31T00:00:00+14:00"),  # the day before was skipped
    ],
)  # fmt: skip
def test_a_time_is_read_on_the_clock_of_its_zone(told, zone, iso):
    assert moment(told, "at", zone).isoformat() == iso


def test_an_offset_that_the_zone_has_then_stands_for_the_zone():
    there = load_zone("Europe/Berlin")
    assert zone_name(moment("2024-07-05T10:00+02:00", "at", "Europe/Berlin")) == "Europe/Berlin"
    assert zone_name(moment("2024-01-05T10:00+02:00", "at", "Europe/Berlin")) is None  # in Berlin it was +01:00
    assert zone_name(in_zone(datetime(2024, 1, 5, tzinfo=UTC), there)) == "Europe/Berlin"
    assert zone_name(datetime(2024, 1, 5, tzinfo=UTC)) is None


@given(
    st.datetimes(datetime(2, 1, 3), datetime(9998, 12, 29)),
    st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "UTC", "-03:30", "Pacific/Chatham"]),
)
def test_a_zone_never_moves_a_moment(naive, zone):
    told = naive.replace(tzinfo=UTC)
    assert in_zone(told, load_zone(zone)) == told
    assert fixed(in_zone(told, load_zone(zone))) == told
    back = moment(naive, "at", zone)
    assert fixed(back).utcoffset() == back.utcoffset()
    assert fixed(back).replace(tzinfo=None) == naive

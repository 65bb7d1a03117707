"""Dates against the calendar of May 2023, worked out by hand. The anchor is a Thursday."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.reason.dates import asks_when, find_dates, parse_when, query_range

ANCHOR = datetime(2023, 5, 25, 13, 14, tzinfo=UTC)


def found(text, anchor=ANCHOR):
    return [
        (m.phrase, m.start.date().isoformat(), m.end.date().isoformat(), m.granularity)
        for m in find_dates(text, anchor)
    ]


@pytest.mark.parametrize(
    ("text", "start", "end", "granularity"),
    [
        ("I went yesterday", "2023-05-24", "2023-05-25", "day"),
        ("tonight we dance", "2023-05-25", "2023-05-26", "day"),
        ("the day before yesterday", "2023-05-23", "2023-05-24", "day"),
        ("last Friday was fun", "2023-05-19", "2023-05-20", "day"),
        ("see you next Friday", "2023-05-26", "2023-05-27", "day"),
        ("last Thursday", "2023-05-18", "2023-05-19", "day"),
        ("it was on Sunday", "2023-05-21", "2023-05-22", "day"),
        ("two weeks ago", "2023-05-08", "2023-05-15", "week"),
        ("3 days ago", "2023-05-22", "2023-05-23", "day"),
        ("four months ago", "2023-01-01", "2023-02-01", "month"),
        ("a couple of years ago", "2021-01-01", "2022-01-01", "year"),
        ("in two weeks", "2023-06-05", "2023-06-12", "week"),
        ("last week", "2023-05-15", "2023-05-22", "week"),
        ("this weekend", "2023-05-27", "2023-05-29", "weekend"),
        ("next month", "2023-06-01", "2023-07-01", "month"),
        ("last year", "2022-01-01", "2023-01-01", "year"),
        ("last summer", "2022-06-01", "2022-09-01", "season"),
        ("last May", "2022-05-01", "2022-06-01", "month"),
        ("I left in May", "2023-05-01", "2023-06-01", "month"),
        ("I left in August", "2022-08-01", "2022-09-01", "month"),
        ("next March", "2024-03-01", "2024-04-01", "month"),
        ("May 2021", "2021-05-01", "2021-06-01", "month"),
        ("late March 2022", "2022-03-21", "2022-04-01", "month"),
        ("May 7th, 2023", "2023-05-07", "2023-05-08", "day"),
        ("we met 7 May", "2023-05-07", "2023-05-08", "day"),
        ("she came on December 30", "2022-12-30", "2022-12-31", "day"),
        ("5/6/2023", "2023-05-06", "2023-05-07", "day"),
        ("13/6/2023", "2023-06-13", "2023-06-14", "day"),
        ("2023-05-06", "2023-05-06", "2023-05-07", "day"),
        ("since 2019", "2019-01-01", "2020-01-01", "year"),
        ("summer of 2022", "2022-06-01", "2022-09-01", "season"),
        ("the 1990s", "1990-01-01", "2000-01-01", "decade"),
        ("the Friday before May 7, 2023", "2023-05-05", "2023-05-06", "day"),
        ("the week before 3 June 2023", "2023-05-22", "2023-05-29", "week"),
        ("last Christmas", "2022-12-25", "2022-12-26", "day"),
        ("昨天我去了", "2023-05-24", "2023-05-25", "day"),
        ("2023年5月7日", "2023-05-07", "2023-05-08", "day"),
        ("7 de mayo de 2023", "2023-05-07", "2023-05-08", "day"),
        ("7. Mai 2023", "2023-05-07", "2023-05-08", "day"),
    ],
)
def test_phrases_mean_what_the_calendar_says(text, start, end, granularity):
    assert [f[1:] for f in found(text)] == [(start, end, granularity)]


@pytest.mark.parametrize(
    "text",
    [
        "You may go, march on!", "version 3.11.7 costs $2023 in room 1999", "the sun rose, a second later", "31 June",
        "I have seen 2 cats", "call 555-1234", "mon ami, sat down", "Maybe March will help", "", "1/2 cup",
    ],
)  # fmt: skip
def test_what_is_no_date_is_left_alone(text):
    assert found(text) == []


def test_several_dates_stand_in_order_and_say_whether_they_are_relative():
    mentions = find_dates("In May 2021 I left, and yesterday I came back.", ANCHOR)
    assert [(m.phrase, m.relative) for m in mentions] == [("May 2021", False), ("yesterday", True)]


def test_a_day_is_a_day_of_the_anchors_zone():
    tokyo = timezone(timedelta(hours=9))
    mention = find_dates("yesterday", datetime(2023, 5, 25, 1, tzinfo=tokyo))[0]
    assert mention.start == datetime(2023, 5, 24, tzinfo=tokyo)


PIECES = (
    "last ",
    "Friday ",
    "May ",
    "7, ",
    "2023 ",
    "two weeks ago ",
    "in ",
    "the ",
    "昨天",
    "31/12/9999 ",
    "year ",
    "0 ",
)


@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=4)).map("".join),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
)
def test_mentions_are_ranges_in_text_order_for_any_text(text, moment):
    last = 0
    for m in find_dates(text, moment.replace(tzinfo=UTC)):
        assert m.start < m.end
        assert text[m.span_start : m.span_end] == m.phrase
        assert m.span_start >= last
        last = m.span_end


@given(
    st.dates(date(1950, 1, 1), date(2100, 1, 1)),
    st.sampled_from(["last Friday", "next Monday", "last week", "3 days ago"]),
)
def test_a_week_later_the_same_words_mean_a_week_later(day, phrase):
    anchor = datetime(day.year, day.month, day.day, tzinfo=UTC)
    first, second = find_dates(phrase, anchor)[0], find_dates(phrase, anchor + timedelta(days=7))[0]
    assert second.start - first.start == timedelta(days=7)


@pytest.mark.parametrize("text", ["last " * 50_000, "1" * 200_000, "the day " * 30_000, "a" * 200_000, "12/" * 60_000])
def test_long_hostile_texts_end(text):
    assert len(find_dates(text, ANCHOR)) <= 64


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("What happened last week?", "2023-05-15", "2023-05-22"),
        ("What did she say before June 2021?", "0002-01-01", "2021-06-01"),
        ("What has changed since March?", "2023-03-01", "9998-12-31"),
        ("What came after 2021?", "2022-01-01", "9998-12-31"),
        ("between March and May 2023", "2023-03-01", "2023-06-01"),
    ],
)
def test_a_question_restricts_itself_to_a_time(question, start, end):
    assert [t.date().isoformat() for t in query_range(question, ANCHOR)] == [start, end]


def test_most_questions_do_not():
    assert query_range("Where does Ana's sister live?", ANCHOR) is None


@pytest.mark.parametrize("question", ["When did she leave?", "What year was that?", "How long has she lived there?"])
def test_questions_for_a_time_are_known(question):
    assert asks_when(question)
    assert not asks_when(question.replace("When", "Why").replace("What year", "Who").replace("How long", "Why"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-03-02T10:15", datetime(2024, 3, 2, 10, 15)),
        ("2024-03-02T10:15:00Z", datetime(2024, 3, 2, 10, 15, tzinfo=UTC)),
        ("1:56 pm on 8 May, 2023", datetime(2023, 5, 8, 13, 56)),
        ("March-15-2024", datetime(2024, 3, 15)),
        ("2023/05/20 (Sat) 02:21", datetime(2023, 5, 20, 2, 21)),
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1_700_000_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ],
)
def test_times_as_people_and_exports_write_them(value, expected):
    assert parse_when(value) == expected


@pytest.mark.parametrize("value", ["yesterday", "soon", "", "12", float("nan"), 1e30, True, None, [], "x" * 10_000])
def test_what_is_no_time_is_refused_with_an_example(value):
    with pytest.raises(ValueError, match="2024-03-02T10:15"):
        parse_when(value)

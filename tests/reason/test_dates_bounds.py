"""Dates in hostile, odd and easily misread texts; worked out by hand. The anchor is a Thursday."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.reason import phrases
from mnemos.reason.dates import MAX_CHARS, MAX_FOREIGN, MAX_MENTIONS, find_dates, parse_when, query_range

ANCHOR = datetime(2023, 5, 25, 13, 14, tzinfo=UTC)


def found(text):
    return [(m.phrase, m.start.date().isoformat(), m.end.date().isoformat()) for m in find_dates(text, ANCHOR)]


@pytest.mark.parametrize(
    ("text", "phrase", "start", "end"),
    [
        ("Sunday, May 7, 2023", "Sunday, May 7, 2023", "2023-05-07", "2023-05-08"),
        ("We met on Sunday, 7 May 2023.", "on Sunday, 7 May 2023", "2023-05-07", "2023-05-08"),
        ("We met Sun. the 7th of May", "Sun. the 7th of May", "2023-05-07", "2023-05-08"),
        ("Sunday 2023-05-07", "Sunday 2023-05-07", "2023-05-07", "2023-05-08"),
        ("between March and May 2021", "between March and May 2021", "2021-03-01", "2021-06-01"),
        ("from March to May 2021", "from March to May 2021", "2021-03-01", "2021-06-01"),
        ("March\u2013May 2021", "March\u2013May 2021", "2021-03-01", "2021-06-01"),
        ("from November to February 2021", "from November to February 2021", "2020-11-01", "2021-03-01"),
        ("May 5-7, 2021", "May 5-7, 2021", "2021-05-05", "2021-05-08"),
        ("5-7 May 2021", "5-7 May 2021", "2021-05-05", "2021-05-08"),
        ("from May 5 to 7, 2021", "from May 5 to 7, 2021", "2021-05-05", "2021-05-08"),
        ("between 5 and 7 May 2021", "between 5 and 7 May 2021", "2021-05-05", "2021-05-08"),
        ("April 28 - May 3, 2021", "April 28 - May 3, 2021", "2021-04-28", "2021-05-04"),
        ("We were away Dec 30 - Jan 2", "Dec 30 - Jan 2", "2022-12-30", "2023-01-03"),
        ("last may we went", "last may", "2022-05-01", "2022-06-01"),
        ("we left in march, perhaps", "in march", "2023-03-01", "2023-04-01"),
        ("this june", "this june", "2023-06-01", "2023-07-01"),
        ("We met May 7-5, 2021", "May 7", "2023-05-07", "2023-05-08"),
    ],
)
def test_one_date_is_one_mention(text, phrase, start, end):
    assert found(text) == [(phrase, start, end)]


@pytest.mark.parametrize(
    "text",
    [
        "this may be", "what comes next may be better", "in may be", "this march is long", "2-3 may be enough",
        "2 or 3 may help", "from may to june",
        "in augu\u017ft 2021", "augu\u017ft 7, 2021", "ye\u017fterday", "la\u017ft week", "two wee\u212as ago", "th\u0131s week",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_date_is_none(text):
    assert found(text) == []


def test_a_weekday_of_its_own_stays_a_date_of_its_own():
    assert [f[0] for f in found("on Friday, then on May 7, and I sat May 8 out")] == ["on Friday", "May 7", "May 8"]


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("What happened from March to May 2021?", "2021-03-01", "2021-06-01"),
        ("What happened from May 5-7, 2021?", "2021-05-05", "2021-05-08"),
        ("What happened before May 5-7, 2021?", "0002-01-01", "2021-05-05"),
        ("What changed from March 2021?", "2021-03-01", "9998-12-31"),
        ("What changed from 2021-05-07?", "2021-05-07", "9998-12-31"),
    ],
)
def test_a_question_about_a_range_has_two_ends(question, start, end):
    assert [t.date().isoformat() for t in query_range(question, ANCHOR)] == [start, end]


@pytest.mark.parametrize(
    "text",
    [
        "1 " * 500_000, "12/" * 300_000, "last " * 200_000, "may " * 300_000, "1 abc 2000 " * 50_000,
        "in 5 may " * 100_000, "5-" * 300_000, "may 5-" * 200_000, "between May and " * 60_000, "31 June " * 100_000,
    ],
)  # fmt: skip
def test_hostile_texts_take_little_time(text):
    find_dates("7. Mai 2023", ANCHOR)  # loads dateparser
    start = time.perf_counter()
    assert len(find_dates(text, ANCHOR)) <= MAX_MENTIONS
    assert time.perf_counter() - start < 2  # 0.1 s; unbounded they took up to 2.5 s on the same machine


def test_dateparser_is_asked_a_few_times_and_not_for_what_is_known(monkeypatch):
    asked = []
    monkeypatch.setattr(phrases, "_parse_foreign", asked.append)
    find_dates(" ".join(f"{d} May 2021, {d}. foo 2021," for d in range(1, 29)), ANCHOR)
    assert asked == [f"{d}. foo 2021" for d in range(1, MAX_FOREIGN + 1)]


def test_what_stands_behind_the_limit_is_not_read_and_nothing_is_cut_in_two():
    before = "x " * (MAX_CHARS // 2 - 200)
    assert found(before + "May 7, 2021") == [("May 7, 2021", "2021-05-07", "2021-05-08")]
    for shift in range(30):
        assert found("x" * (MAX_CHARS - shift) + " May 7, 2021" + " and more" * 20) == []


@given(st.text(), st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)))
def test_no_text_raises(text, moment):
    for mention in find_dates(text, moment.replace(tzinfo=UTC)):
        assert mention.start < mention.end


PIECES = (
    "last ", "th\u0131s ", "Sunday, ", "May ", "may ", "march ", "-", " to ", "between ", "and ", "from ", "7", ", ", "31 ",
    "2021", "0001 ", "9999", "augu\u017ft ", "wee\u212a ", "fall ", "of ", "the ", "\u0663 ", ". ",
    "de mayo de ", "\u5e74", "\u6708", "\u65e5", "/", "christmas ", "a couple of ", "years ", "ago ", "\u0130n ",
)  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31))
)
def test_no_mixture_of_date_words_raises(text, moment):
    for mention in find_dates(text, moment.replace(tzinfo=UTC)):
        assert mention.start < mention.end
        assert text[mention.span_start : mention.span_end] == mention.phrase


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), "\u0663" * 90, "1 " * 50])
def test_numbers_that_are_no_time_are_refused(value):
    with pytest.raises(ValueError, match="2024-03-02T10:15"):
        parse_when(value)

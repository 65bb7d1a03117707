"""A weekday, a month or a day without more is the last or the coming one, by what the words around it say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.reason.dates import find_dates, query_range

MONDAY = datetime(2026, 5, 18, 10, tzinfo=UTC)
NEW_YEAR = datetime(2026, 1, 2, 10, tzinfo=UTC)  # a Friday
LAST, NEXT = "2026-05-15", "2026-05-22"  # the Fridays beside it


def days(text, anchor=MONDAY):
    return [f"{m.start:%Y-%m-%d}" for m in find_dates(text, anchor)]


COMING_FRIDAY = """
My flight is on Friday.
My flight's on Friday
The party is on Friday, isn't it?
Our flight to Oslo leaves on Friday at nine
I will call her on Friday
I'll be late on Friday
We won't be home on Friday
I'm going to quit on Friday
I'm flying to Oslo on Friday
On Friday I'm flying to Oslo
On Friday, we are going to the opera.
Are we meeting on Friday?
What am I doing on Friday?
What are we doing on Friday?
When is my flight on Friday?
What time does the train leave on Friday?
Who is coming on Friday?
Is the shop open on Friday?
Do I have anything on Friday?
What do I have on Friday?
Where will I be on Friday?
What's happening on Friday?
What is planned for Friday?
Can you come on Friday?
Could we meet on Friday?
Would you have time on Friday?
I'd like to go swimming on Friday
I can't come on Friday
I have a meeting on Friday
I've got a dentist appointment on Friday
I have to be in Porto on Friday
Ana has to leave on Friday
I need to finish the report by Friday
The report is due on Friday
The report is due Friday
The deadline is Friday
The rent is due by Friday
I must not forget the cake on Friday
You should rest on Friday
Let's meet on Friday
See you on Friday!
See you Friday
Remind me to call Mom on Friday
Remember to water the plants on Friday
Don't forget the keys on Friday
Dentist appointment on Friday
Interview at Acme on Friday
I'm away until Friday
I'm in Rome till Friday
Away until Friday
I hope to see her on Friday
I want to start on Friday
We plan to paint the house on Friday
I'm planning a trip on Friday
I booked a table for Friday
We bought tickets for Friday
They've invited us for Friday
The meeting was moved, so it is on Friday
She said that she'll arrive on Friday
He told me he is leaving on Friday
Ana arrives on Friday
Ana arrives Friday
School starts on Friday
The exhibition opens on Friday
The offer ends on Friday
The meeting is scheduled on Friday
The meeting has been postponed for Friday, so I'm free today
Friday is my last day at Acme
Friday is the deadline
There is a concert on Friday
There's a strike on Friday
It's my birthday on Friday
We're getting married on Friday
Flying to Oslo on Friday
Going to Ana's on Friday
I was ill, but I'm back on Friday
I'm excited because my sister is visiting on Friday
I'm looking forward to Friday
"""
LAST_FRIDAY = """
I saw her on Friday
The party was on Friday.
The party on Friday was great
I had lunch with Ana on Friday
We met on Friday
On Friday, I went to Porto.
On Friday I went to Porto
Friday was horrible
What did I do on Friday?
What did I do Friday?
Where was I on Friday?
Who did I meet on Friday?
Who was at the party on Friday?
When did I leave on Friday?
Did Ana call on Friday?
Did you leave on Friday?
Was I at work on Friday?
Were we home on Friday?
What happened on Friday?
I enjoyed hiking on Friday
I didn't sleep on Friday
I wasn't there on Friday
We haven't talked since Friday
I've had a headache since Friday
I have been ill since Friday
Ana has been here since Friday
I feel sick since Friday
I finished the report on Friday
I finally quit my job on Friday, and I felt great
My son was born, and on Friday we came home
I was away until Friday
I worked in Oslo until Friday
Will went to Porto on Friday
I met Will on Friday
I think it rained on Friday
I know that she left on Friday
I hope you slept well, I saw you were tired on Friday
I'm so happy that we met on Friday
I can't remember what we ate on Friday
I'm reading the book that I bought on Friday
She's gone since Friday
He has moved out on Friday
We were walking in the park on Friday
I was promoted on Friday
The old car broke down on Friday
They told us on Friday that it's over
Had a great time with Ana on Friday
Went to the dentist on Friday
"""
UNDATED = """
Friday
on Friday
Ana's party on Friday
I like Friday
Black Friday was crazy
It was a Friday
I go swimming every Friday
I usually work on Friday
We always meet on Friday
Each Friday we ate fish
Ana never works on Friday
I was going to leave on Friday
We were supposed to meet on Friday
I said I'd go on Friday
I would go on Friday
I booked the flights on Friday
Lisbon, Friday
It's Friday!
"""


def lines(text):
    return text.strip().splitlines()


@pytest.mark.parametrize("text", lines(COMING_FRIDAY))
def test_what_is_to_come_is_the_coming_friday(text):
    assert days(text)[:1] == [NEXT]


@pytest.mark.parametrize("text", lines(LAST_FRIDAY))
def test_what_is_past_is_the_last_friday(text):
    assert days(text)[:1] == [LAST]


@pytest.mark.parametrize("text", lines(UNDATED))
def test_where_the_words_do_not_say_there_is_no_date(text):
    assert days(text) == []


@given(st.sampled_from(lines(COMING_FRIDAY)[:60]), st.integers(0, 400))
def test_the_coming_friday_is_one_to_seven_days_ahead_on_any_day(text, shift):
    anchor = MONDAY + timedelta(days=shift)
    [first, *_] = find_dates(text, anchor)
    assert first.start.weekday() == 4
    assert 1 <= (first.start.date() - anchor.date()).days <= 7


@given(st.sampled_from(lines(LAST_FRIDAY)), st.integers(0, 400))
def test_the_last_friday_is_one_to_seven_days_back_on_any_day(text, shift):
    anchor = MONDAY + timedelta(days=shift)
    [first, *_] = find_dates(text, anchor)
    assert first.start.weekday() == 4
    assert 1 <= (anchor.date() - first.start.date()).days <= 7


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("We're getting married in June.", ["2026-06-01"]),
        ("We're getting married in June. I was so nervous!", ["2026-06-01"]),
        ("We got married in June", ["2025-06-01"]),
        ("We are getting married in April", ["2027-04-01"]),
        ("We moved in April", ["2026-04-01"]),
        ("The lease runs until August", ["2026-08-01"]),
        ("I lived there until August", ["2025-08-01"]),
        ("I've worked here since June", ["2025-06-01"]),
        ("The course starts in September", ["2026-09-01"]),
        ("The hotel is booked for July", ["2026-07-01"]),
        ("When did we go to Rome, in March?", ["2026-03-01"]),
        ("Are we going to Rome in March?", ["2027-03-01"]),
        ("It is hot in June", []),
        ("I love Rome in June", []),
        ("My exam is in May", ["2026-05-01"]),
        ("My birthday is on June 5", ["2026-06-05"]),
        ("My birthday was on June 5", ["2025-06-05"]),
        ("The wedding is on 5 May", ["2027-05-05"]),
        ("The wedding was on 5 May", ["2026-05-05"]),
        ("The wedding is on 18 May", ["2026-05-18"]),
        ("I was born on June 5", []),
        ("June 5", []),
        ("See you on June 5", ["2026-06-05"]),
        ("We're in Rome June 5-7", ["2026-06-05"]),
        ("We were in Rome June 5-7", ["2025-06-05"]),
        ("Rent is due on the 5th", ["2026-06-05"]),
        ("I paid the rent on the 5th", ["2026-05-05"]),
        ("I paid the rent on the 25th.", ["2026-04-25"]),
        ("I'll pay on the 31st.", ["2026-05-31"]),
        ("I paid on the 31st.", ["2026-03-31"]),
        ("We live on the 5th floor", []),
        ("the 5th", []),
        ("We moved here in spring", ["2026-03-01"]),
        ("We're moving in autumn", ["2026-09-01"]),
        ("We moved in the autumn", ["2025-09-01"]),
        ("in spring", []),
        ("We'll visit them at Christmas", ["2026-12-25"]),
        ("We got engaged at Christmas", ["2025-12-25"]),
        ("I love Christmas", []),
        ("I'm free at 3", []),
        ("Last Friday we met", ["2026-05-15"]),
        ("next June", ["2026-06-01"]),
        ("this Friday", ["2026-05-22"]),
        ("tomorrow", ["2026-05-19"]),
        ("on June 5, 2020", ["2020-06-05"]),
        ("Friday next week", ["2026-05-29"]),
        ("next week on Friday", ["2026-05-29"]),
        ("We met on Friday last week", ["2026-05-15"]),
        ("The party was on Friday and the next one is on Saturday", ["2026-05-15", "2026-05-23"]),
        ("I flew in on Thursday, and I'm flying back on Thursday", ["2026-05-14", "2026-05-21"]),
        ("It's Monday", ["2026-05-18"]),
        ("我5月7日去了北京", ["2026-05-07"]),
        ("我6月5日要去北京", ["2026-06-05"]),
        ("6月5日", []),
        ("5月7日に行きました", ["2026-05-07"]),
        ("6月5日に行く予定です", ["2026-06-05"]),
    ],
)
def test_months_days_seasons_and_holidays(text, starts):
    assert days(text) == starts


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("We flew on December 30", ["2025-12-30"]),
        ("We fly on December 30", ["2026-12-30"]),
        ("The party was on Wednesday", ["2025-12-31"]),
        ("The party is on Wednesday", ["2026-01-07"]),
        ("I moved in December", ["2025-12-01"]),
        ("I'm moving in January", ["2026-01-01"]),
        ("I paid on the 31st", ["2025-12-31"]),
        ("We were away Dec 30 - Jan 2", ["2025-12-30"]),
        ("We met on New Year's Eve", ["2025-12-31"]),
        ("We'll meet on New Year's Eve", ["2026-12-31"]),
        ("We met at Halloween", ["2025-10-31"]),
        ("My flight is on Friday", ["2026-01-09"]),  # said on a Friday: today would be called today
        ("I saw her on Friday", ["2025-12-26"]),
        ("It's Friday", ["2026-01-02"]),
    ],
)
def test_around_the_end_of_a_year(text, starts):
    assert days(text, NEW_YEAR) == starts


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("What did I do on Friday?", "2026-05-15", "2026-05-16"),
        ("What am I doing on Friday?", "2026-05-22", "2026-05-23"),
        ("Where did we go in June?", "2025-06-01", "2025-07-01"),
        ("Where are we going in June?", "2026-06-01", "2026-07-01"),
        ("What did I eat on May 20?", "2025-05-20", "2025-05-21"),
        ("What is on May 20?", "2026-05-20", "2026-05-21"),
        ("What has changed since March?", "2026-03-01", "9998-12-31"),
        ("What do I have to do before Friday?", "0002-01-01", "2026-05-22"),
    ],
)
def test_a_question_is_read_as_a_statement_is(question, start, end):
    assert [f"{t:%Y-%m-%d}".zfill(10) for t in query_range(question, MONDAY)] == [start, end]


def test_a_question_without_a_cue_restricts_itself_to_no_time():
    assert query_range("Ana's party on Friday", MONDAY) is None

"""Past times of a question: "in 2021", "when I was 20", "before the move to Ghent", "when Tim was born".

A date and an age are resolved here as far as words go; an event is a phrase, for the space to find.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from mnemos.reason.dates import find_dates
from mnemos.reason.past_words import (
    AGES,
    BORN,
    CLAUSES,
    DAYS,
    HINT,
    MONTHS_ELSEWHERE,
    SEASONS_ELSEWHERE,
    SMALL,
    SPANS,
    YEARS,
    Side,
)

_SHORTEST = 2  # letters of an event phrase
_LONGEST = 120
# An English question that asks for what was, or what is asked in other languages, of which this is not tested.
_WAS = re.compile(
    r"\b(?:was|were|wasn't|weren't|did|didn't|had|hadn't|used to|would|[a-z]{2,}ed|drove|went|kept|wore|ran|ate|drank"
    r"|slept|taught|sold|built|paid|wrote|rode|spoke|held|led|met|sat|stood|took|got|made)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(r"\b(?:what|which|where|who|whom|whose|how|why|did|was|were|had|is|does|do)\b", re.IGNORECASE)
_INVERTED = re.compile(r"(?:did|was|were|is|are|am|do|does|will|would|can|could|has|have|had|should)\b", re.IGNORECASE)
_IS = re.compile(r"\b(?:do|does|don't|doesn't|is|are|am|will|can|should)\b", re.IGNORECASE)
_AFTER = re.compile(r"\bafter\b", re.IGNORECASE)
_STATES = "|".join(
    """live,work,drive,have,own,use,study,play,wear,weigh,earn,pay,rent,share,commute,date,speak,eat,drink,smoke,keep,listen,
    run on,sell,belong,teach,train,bank,stay,cost,look after,manage,report,lead,coach,support,practise,practice,ride,host,do for,
    read,need,take for,employ,fly with,look,identify,attend,major,sleep,swim,bike,cycle,cook,code,write in,bring,get to work,
    get to school,go to school,go to uni,go to university,go to college,go to church,go to work""".replace(
        "\n    ", ""
    ).split(",")
)
_STATE = re.compile(
    rf"\b(?:was|were|used to)\b|\b(?:did|had)\b.{{1,60}}\b(?:{_STATES})\b"
    r"|\b(?:which|what) (?:school|college|university|church|gym|club|bank|doctor|dentist)\b.*\bgo\b"
    r"|^\W*(?:who|which|what|how many|how much)\b(?!.*\b(?:did|has|have|is|does|do)\b).*"
    r"\b(?:[a-z]{3,}ed|taught|led|ran|held|had|made|kept)\b",
    re.IGNORECASE,
)
_OPEN = 2, 9_998  # years before and after which a span has no end
_NOTHING = re.compile(  # no event: "after that", "when I was younger"
    r"(?:(?:i|he|she|we|they) (?:was|were) (?:young(?:er)?|little|small|old(?:er)?)"
    r"|that|this|then|it|now|him|her|them|me|us|work|all|long|noon|dark|hand)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Past:
    """The past time that a question names: a span, an age, or an event, and the question without it."""

    rest: str  # the question without the phrase
    span: tuple[datetime, datetime] | None = None  # half-open
    event: str = ""  # as it is named: "the move to Ghent"
    side: Side = "during"  # where the time lies as seen from the event
    age: int | None = None  # in years
    apart: int = 0  # days between the event and the time: "two years before the operation"


def asks_state(question: str) -> bool:
    """Tell whether a question about the past asks for what was so for a while, rather than for what happened.

    "Where did I live?" and "Who was my boss?" do, "What did she do?" and "How did he feel?" do not. Read in English;
    of questions in other languages it is assumed.
    """
    return _STATE.search(question) is not None or _ENGLISH.search(question) is None


def past_of(question: str, asked_at: datetime, span: tuple[datetime, datetime] | None) -> Past | None:
    """Return the past time that a question names; None where it names none, or a time that is not over.

    `span` is the time to which the dates of the question restrict it (see `query_range`). An age comes before an event,
    and an event before a date, which may belong to it. Costs 20 us.
    """
    if span is None and HINT.search(question) is None:
        return None
    return _age(question, asked_at) or _event(question, asked_at) or _dated(question, asked_at, span)


def _age(question: str, asked_at: datetime) -> Past | None:
    for pattern in AGES:
        if match := pattern.search(question):
            years = match["n"].lower()
            number = SMALL.get(years) if not years.isdecimal() else int(years)
            if number is not None and 0 < number < 120:
                rest, born = _without(question, match), BORN.search(question)
                if born is None:
                    return Past(rest, age=number)
                known = find_dates(f"in {born['when']}", asked_at)
                if known:
                    first, last = known[0].start, known[0].end
                    return Past(BORN.sub("", rest), span=(_later(first, number), _later(last, number + 1)))
    return None


def _later(day: datetime, years: int) -> datetime:
    return day.replace(year=day.year + years, day=min(day.day, 28))


def _event(question: str, asked_at: datetime) -> Past | None:
    for side, pattern in CLAUSES:
        match = pattern.search(question)
        if match is None:
            continue
        event, rest = match["event"].strip(" ,.?!？。、，"), _without(question, match)
        if not _SHORTEST <= len(event) <= _LONGEST or _NOTHING.match(event) or not re.search(r"\w", rest):
            continue
        if match["word"].lower() in ("when", "while") and _INVERTED.match(event):
            continue  # "When did I move?" asks for a time
        if _ENGLISH.search(rest) and not _WAS.search(rest) and (_IS.search(rest) or not _WAS.search(event)):
            continue
        if _only_dated(event, asked_at):
            continue
        apart = SPANS.search(rest) if side != "during" else None
        if apart is None:
            return Past(rest, event=event, side=side)
        days = (SMALL.get(apart["n"].lower()) or int(apart["n"])) * DAYS[apart["unit"].lower()]
        return Past(SPANS.sub("", rest), event=event, apart=-days if side == "before" else days)
    return None


def _only_dated(phrase: str, asked_at: datetime) -> bool:
    """Tell whether a phrase is a date and nothing else: "last summer", "June 2021"."""
    left = f"in {phrase}"
    for mention in reversed(find_dates(left, asked_at)):
        left = left[: mention.span_start] + left[mention.span_end :]
    return (
        re.sub(r"\b(?:in|the|end|start|beginning|of)\b", "", left).strip() == "" or YEARS.fullmatch(phrase) is not None
    )


def _dated(question: str, asked_at: datetime, span: tuple[datetime, datetime] | None) -> Past | None:
    phrases = [(m.span_start, m.span_end) for m in find_dates(question, asked_at)] if span else []
    if span is None and (found := _elsewhere(question, asked_at)) is not None:
        span, phrases = found
    if span is None or span[0] >= asked_at:
        return None
    rest = question
    for start, end in reversed(phrases):
        rest = f"{rest[:start]} {rest[end:]}"
    rest, (start_of, end_of) = " ".join(rest.split()), span
    if start_of.year <= _OPEN[0] and end_of <= asked_at:
        return Past(rest, span=(end_of, end_of), side="before")
    if end_of.year >= _OPEN[1] and _AFTER.search(question):
        return Past(rest, span=(start_of, start_of), side="after")
    return Past(rest, span=span) if end_of <= asked_at and start_of.year > _OPEN[0] else None


def _elsewhere(question: str, asked_at: datetime) -> tuple[tuple[datetime, datetime], list[tuple[int, int]]] | None:
    """Return the year of a question, with the month or the season beside it, in the words of another language."""
    match = YEARS.search(question)
    if match is None:
        return None
    year, word = int(match["y"]), (match["word"] or "").lower()
    first, months = next(
        ((n, 1) for name, n in MONTHS_ELSEWHERE.items() if word.startswith(name)),
        next(((n, 3) for name, n in SEASONS_ELSEWHERE.items() if word.startswith(name)), (1, 12)),
    )
    last = first - 1 + months
    start = datetime(year, first, 1, tzinfo=asked_at.tzinfo)
    return (start, datetime(year + last // 12, last % 12 + 1, 1, tzinfo=asked_at.tzinfo)), [match.span()]


def _without(question: str, match: re.Match[str]) -> str:
    return " ".join(f"{question[: match.start()]} {question[match.end() :]}".split()).strip(" ,、，")

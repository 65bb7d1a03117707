"""Past times of a question: "in 2021", "when I was 20", "before the move to Ghent", "when Tim was born".

A date and an age are resolved here as far as words go; an event is a phrase, for the space to find.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mnemos.index.language import languages
from mnemos.reason.dates import find_dates
from mnemos.reason.elsewhere import WORD
from mnemos.reason.past_dates import dates_in, decade_elsewhere, narrowed, season_of, year_of
from mnemos.reason.past_numbers import number_in
from mnemos.reason.past_words import (
    AGES,
    BEFORE_IT,
    BETWEEN,
    BORN,
    CLAUSES,
    DAYS,
    DECADE,
    DECADES,
    HINT,
    LIFE,
    LIVED,
    ORDERS,
    PLACE_OF,
    PLACES,
    SMALL,
    SPANS,
    STUDENT,
    THINGS_AGO,
    UNTIL_WHEN,
    YEARS,
    Side,
)
from mnemos.reason.states import asks_state

_SHORTEST = 2  # letters of an event phrase
_LONGEST = 120
# An English question that asks for what was, or what is asked in other languages, of which this is not tested.
_WAS = re.compile(
    r"\b(?:was|were|wasn't|weren't|did|could|didn't|had|hadn't|used to|would|[a-z]{2,}ed|drove|went|kept|wore|ran|ate|drank"
    r"|slept|taught|sold|built|paid|wrote|rode|spoke|held|led|met|sat|stood|took|got|made)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(r"\b(?:what|which|where|who|whom|whose|how|why|did|was|were|had|is|does|do)\b", re.IGNORECASE)
_INVERTED = re.compile(r"(?:did|was|were|is|are|am|do|does|will|would|can|could|has|have|had|should)\b", re.IGNORECASE)
_IS = re.compile(r"\b(?:do|does|don't|doesn't|is|are|am|will|can|should)\b", re.IGNORECASE)
_WH_WAS = re.compile(r"\W*(?:(?:which|what|how|whose) [\w ]{2,20}?|\w+) (?:did|was|were|had)\b", re.IGNORECASE)
_WHILE = (
    "while",
    "whilst",
    "during",
    "während",
    "mientras",
    "durante",
    "enquanto",
    "pendant",
    "pendant que",
    "mentre",
    "пока",
)
_LASTED = re.compile(
    r"\b(?:worked|working|lived|living|was|were|stayed|studied|rented|served|belonged)\b.*\b(?:at|in|with|for|on)\b",
    re.IGNORECASE,
)
_LASTED_ELSEWHERE = re.compile(
    r"\b(?:war|arbeitete|wohnte|lebte|studierte|gearbeitet|gewohnt|gelebt|studiert|trabajaba|vivía|estaba|estudiaba|travaill(?:ais|ait)"
    r"|viv(?:ais|ait)|habit(?:ais|ait)|étais|était|étudi(?:ais|ait)|lavorav[oa]|vivev[oa]|abitav[oa]|ero|stav[oa]|studiav[oa]|trabalhava"
    r"|morava|vivia|estava|estudava|werkte|woonde|studeerde|zat|работал[аи]?|жил[аи]?|учил\w+|служил[аи]?|pracował\w*|mieszkał\w*"
    r"|studiował\w*|jobbade|bodde|arbetade|studerade|çalış\w*|otur\w*|yaşar\w*)\b|上班|工作|住在|就职|上大学|读书|働い|勤め|住ん|通っ"
    r"|다니|일하|일했|살",
    re.IGNORECASE,
)
# German and Dutch put the participle of a main clause last: "Wo habe ich vor dem Umzug gewohnt?"
_AUXILIARY = re.compile(
    r"\b(?:habe|hast|hat|haben|habt|hatte[nt]?|hattest|bin|bist|ist|sind|war(?:en)?|wurde|heb|hebt|heeft|hebben|had|hadden|ben|bent|is|zijn)\b",
    re.IGNORECASE,
)
_PARTICIPLE = re.compile(r"\s+((?:\w*ge\w+(?:t|en|d)|(?:be|ver|er|ent|zer)\w+(?:t|en|d)|studiert)(?: haben)?)$")
_DANGLING = re.compile(r"\b(?:at|in|for|to|with|of|on|from|like|before|so far|recently|soon)$", re.IGNORECASE)
_AFTER = re.compile(r"\bafter\b", re.IGNORECASE)
_FIRST = datetime(2, 1, 1, tzinfo=UTC)
_OPEN = 2, 9_998  # years before and after which a span has no end
_NOTHING = re.compile(  # no event: "after that", "when I was younger"
    r"(?:(?:i|he|she|we|they) (?:was|were) (?:young(?:er)?|little|small|old(?:er)?)"
    r"|last|that|this|then|it|now|him|her|them|me|us|work|all|long|noon|dark|hand)?$",
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
    who: str = ""  # whose age, "" for the asker
    order: int | None = None  # which of all there were: 0 is the first, -2 the one before the last
    lasting: bool = False  # whether the event lasted, as "I was at Acme"
    until: bool = False  # whether it is asked when the event was over
    years: int = 1  # of the age: "in my twenties" are ten
    named: tuple[datetime, datetime] | None = None  # the time that the name of the event has: "the 2020 lockdown"
    apart: int = 0  # days between the event and the time: "two years before the operation"


def past_of(question: str, asked_at: datetime, span: tuple[datetime, datetime] | None) -> Past | None:
    """Return the past time that a question names; None where it names none, or a time that is not over.

    `span` is the time to which the dates of the question restrict it (see `query_range`). An age comes before an event,
    and an event before a date, which may belong to it. Costs some 0.1 ms.
    """
    if span is None and HINT.search(question) is None:
        return None
    return (
        _ordered(question)
        or _age(question, asked_at)
        or _of_life(question)
        or _event(question, asked_at)
        or _dated(question, asked_at, span)
        or _decade(question, asked_at)
        or _place(question, asked_at)
    )


def _ordered(question: str) -> Past | None:
    """Return the place of what is asked for among all of its kind: "my first car", "before this one"."""
    if match := UNTIL_WHEN.match(question):
        return Past(match["event"], event=match["event"], lasting=True, until=True)
    for pattern in ORDERS:
        if match := pattern.search(question):
            word = match["n"].lower()
            if word not in ("previous", "former", "old") and not _WAS.search(question):
                continue
            whole = match.group().lower().startswith("before")
            rest = (
                _without(question, match)
                if whole
                else f"{question[: match.start('n')]}{question[match.end('n') + 1 :]}"
            )
            return Past(rest, order=PLACE_OF.get(word, -2))
    if match := THINGS_AGO.search(question):
        back = SMALL.get(match["n"].lower()) or number_in(match["n"]) if match["n"] else 2
        if back and _WAS.search(question):
            rest = _without(question, match)
            return Past(rest if match["n"] else f"{rest} {match['thing']}", order=-1 - back)
    return None


def _decade(question: str, asked_at: datetime) -> Past | None:
    match = DECADE.search(question)
    if match is None or not _WAS.search(question):
        return None
    start = decade_of(match, asked_at)
    return Past(_without(question, match), span=(start, start.replace(year=start.year + 10)))


def decade_of(match: re.Match[str], asked_at: datetime) -> datetime:
    """Return the beginning of a decade: "the nineties" and "the 1990s" begin in 1990, "the noughties" in 2000."""
    number = DECADES.get(match["d"].lower(), 0)
    century = 2000 if number == 0 or match["c"] == "20" else 1900
    return asked_at.replace(year=century + 10 * number, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _place(question: str, asked_at: datetime) -> Past | None:
    """Return a place or a company that ends a question, as the time there."""
    match = PLACES.search(question)
    if match is None or not asks_state(question) or _DANGLING.search(match["event"]):
        return None
    if not _WH_WAS.match(question) or _IS.search(question) or _only_dated(match["event"], asked_at):
        return None
    return Past(_without(question, match), event=match["event"].strip(" .,"), lasting=True)


def _age(question: str, asked_at: datetime) -> Past | None:
    for pattern in AGES:
        if match := pattern.search(question):
            years = match["n"].lower()
            number = SMALL.get(years) or number_in(years)
            if number is not None and 0 < number < 120:
                rest, born = _without(question, match), BORN.search(question)
                if born is None:
                    return Past(rest, age=number, who=_whose(match.group(), question))
                known = find_dates(f"in {born['when']}", asked_at)
                if known:
                    first, last = known[0].start, known[0].end
                    return Past(BORN.sub("", rest), span=(_later(first, number), _later(last, number + 1)))
    return None


def _of_life(question: str) -> Past | None:
    """Return a part of a life: "in my late twenties", "as a child", "as a student"."""
    if match := LIFE.search(question):
        rest = _without(question, match)
        if match["child"] or match["teen"]:
            return Past(rest, age=4 if match["child"] else 13, years=9 if match["child"] else 7)
        first = LIVED[(match["n"] or match["de"]).lower()]
        part = (match["part"] or "").lower()
        years = 7 if first < 20 else 10
        third = years / 3
        if part:
            first += round(("early", "mid", "late").index(part) * third)
            years = round(third)
        return Past(rest, age=first, years=years, who=_whose(match.group(), question))
    if match := STUDENT.search(question):
        return Past(_without(question, match), event=match.group(), lasting=True)
    return None


def tells_of_life(text: str, question: str) -> bool:
    """Tell whether a text itself speaks of the part of a life that a question is about: "As a student I lived in Dundee"."""
    if STUDENT.search(question):
        return STUDENT.search(text) is not None
    asked, told = LIFE.search(question), LIFE.search(text)
    return asked is not None and told is not None and _part_of(asked) == _part_of(told)


def _part_of(match: re.Match[str]) -> tuple[str, str]:
    kind = "child" if match["child"] else "teen" if match["teen"] else (match["n"] or match["de"]).lower()
    return kind, (match["part"] or "").lower()


def _whose(phrase: str, question: str) -> str:
    """Return the name of whom an age is of; "" for the asker, and for "he" the only name of the question."""
    if match := re.search(r"\bwhen (?!I\b|We\b)([A-Z][\w'-]+)", phrase):
        return match[1]
    if re.search(r"\b(?:he|she|they)\b", phrase, re.IGNORECASE):
        names = set(re.findall(r"(?<!^)\b(?!I\b)[A-Z][\w-]+", question))
        return names.pop() if len(names) == 1 else ""
    return ""


def _later(day: datetime, years: int) -> datetime:
    return day.replace(year=day.year + years, day=min(day.day, 28))


def _event(question: str, asked_at: datetime) -> Past | None:
    if (match := BETWEEN.search(question)) and _WAS.search(question) and not find_dates(match.group(), asked_at):
        return Past(_without(question, match), event=match["event"], side="before")
    spoken = {"", *languages(WORD.findall(question.lower())).values()}
    for clause in CLAUSES:
        match = clause.pattern.search(question) if clause.language in spoken else None
        if match is None or (clause.past is not None and not clause.past.search(question)):
            continue
        side = clause.side
        event, rest = match["event"].strip(" ,.?!？。、，"), _without(question, match)
        if not _SHORTEST <= len(event) <= _LONGEST or _NOTHING.match(event) or not re.search(r"\w", rest):
            continue
        if match["word"].lower() in ("when", "while") and _INVERTED.match(event):
            continue  # "When did I move?" asks for a time
        if _ENGLISH.search(rest) and not _WAS.search(rest) and (_IS.search(rest) or not _WAS.search(event)):
            continue
        if _only_dated(event, asked_at):
            continue
        if match.end() == len(question) and _AUXILIARY.search(rest) and (verb := _PARTICIPLE.search(event)):
            event, rest = event[: verb.start()], f"{rest} {verb[1]}"
        apart = SPANS.search(rest) if side != "during" else None
        if apart is None:
            lasted = _LASTED.search(event) or _LASTED_ELSEWHERE.search(event)
            lasting = match["word"].lower() in _WHILE or lasted is not None
            named = _named(event, asked_at)
            return Past(rest, event=event, side=side, lasting=side == "during" and lasting, named=named)
        days = (SMALL.get(apart["n"].lower()) or int(apart["n"])) * DAYS[apart["unit"].lower()]
        return Past(SPANS.sub("", rest), event=event, apart=-days if side == "before" else days)
    return None


def _named(event: str, asked_at: datetime) -> tuple[datetime, datetime] | None:
    """Return the past time that an event has in its name."""
    found = find_dates(f"in {event}", asked_at) or find_dates(event, asked_at)
    if found:
        span = found[0].start, found[0].end
    elif (year := year_of(event, asked_at)) is not None:
        span = year[0]
    else:
        return None
    return span if span[1] <= asked_at else None


def _only_dated(phrase: str, asked_at: datetime) -> bool:
    """Tell whether a phrase is a date and nothing else: "last summer", "June 2021"."""
    left = f"in {phrase}"
    for mention in reversed(find_dates(left, asked_at)):
        left = left[: mention.span_start] + left[mention.span_end :]
    return (
        re.sub(r"\b(?:in|the|end|start|beginning|of)\b", "", left).strip() == ""
        or YEARS.fullmatch(phrase) is not None
        or season_of(phrase, asked_at) is not None
    )


def _dated(question: str, asked_at: datetime, span: tuple[datetime, datetime] | None) -> Past | None:
    phrases = dates_in(question, asked_at) if span else []
    found = (
        (span, phrases)
        if span
        else season_of(question, asked_at) or year_of(question, asked_at) or decade_elsewhere(question, asked_at)
    )
    if not found or found[0][0] >= asked_at:
        return None
    if found[0][0].year > _OPEN[0] and found[0][1].year < _OPEN[1]:
        found = narrowed(question, found, asked_at)
    (start_of, end_of), phrases = found
    if span is None and (before := BEFORE_IT.search(question[: phrases[0][0]])) is not None:
        start_of, end_of = _FIRST, start_of
        phrases = [(before.start(), phrases[0][1])]
    rest = question
    for start, end in reversed(phrases):
        rest = f"{rest[:start]} {rest[end:]}"
    rest = " ".join(rest.split())
    if start_of.year <= _OPEN[0] and end_of <= asked_at:
        return Past(rest, span=(end_of, end_of), side="before")
    if end_of.year >= _OPEN[1] and _AFTER.search(question):
        return Past(rest, span=(start_of, start_of), side="after")
    return Past(rest, span=(start_of, end_of)) if end_of <= asked_at and start_of.year > _OPEN[0] else None


def _without(question: str, match: re.Match[str]) -> str:
    return " ".join(f"{question[: match.start()]} {question[match.end() :]}".split()).strip(" ,、，")

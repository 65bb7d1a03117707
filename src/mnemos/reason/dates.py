"""Dates in text: resolved against the time of the message, never against today."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from mnemos.reason.date_patterns import BY_TENSE, IN_TIME, MONTH_HINTS, rules_for, with_weekday
from mnemos.reason.elsewhere import find_phrases, has_words
from mnemos.reason.months import find_months, has_months
from mnemos.reason.phrases import LANGUAGES, Rule, other_language

MAX_MENTIONS = 64  # dates of one text; a text with more is a table, not a message
MAX_TENSES = 2 * MAX_MENTIONS  # phrases of one text whose tense is asked for: 0.1 ms each
MAX_CHARS = 50_000  # characters of one text that are read: a hostile one takes 2 us each
MAX_WORDS = 16  # words of other languages around which a phrase is looked for: 10 us each
MAX_FOREIGN = 8  # phrases of one text that dateparser is asked about: 0.5 ms each
_LONGEST = 100  # characters of a phrase, at least: none is cut where reading ends
_WHEN = re.compile(
    r"\bwhen\b|\bsince when\b|\b(?:what|which)\s+(?:date|day|month|year|week|season|time)\b|\bhow long\b|\bhow recently\b"
    r"|^(?:何时|何時|いつ|언제)|什么时候|什麼時候|いつ|언제|\bcuándo\b|\bquand\b|\bwann\b",
    re.IGNORECASE,
)
# Every date phrase contains one of these: a cheap test that spares most messages the rules.
_HINT = re.compile(
    r"\d|day\b|week|month|year|morning|noon|evening|tonight|night|tomorrow|summer|winter|spring|autumn|fall\b|decade"
    rf"|(?:last|next|this|{IN_TIME})[\s-]{{1,3}}(?:{'|'.join(MONTH_HINTS)})"
    r"|(?:on|last|next|this|past)\s{1,3}(?:mon|tue|wed|thu|fri|sat|sun)\b"
    r"|halloween|christmas|[\u4e00-\u9fff]",
    re.IGNORECASE,
)
_FOLDED = re.compile("[\u017f\u212a\u0130\u0131]")  # they match s, k, i where case is ignored, and are other letters
_EDGE = re.compile(r"\b(before|until|till|by|after|since|from|between)\s+(?:the\s+)?$", re.IGNORECASE)
_EDGE_INSIDE = re.compile(r"(before|until|till|by|after|since|from|between)\b", re.IGNORECASE)
_UNIT_DAYS = {"day": 1, "month": 31}  # a mention of more days names a range, and both its ends
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DateMention:
    """A date that a text mentions, half-open [start, end); `phrase` is text[span_start:span_end].

    `granularity` is the unit mentioned (day, week, weekend, month, season, year, decade). `relative` when the phrase
    means nothing without the time of the message ("yesterday", "in May").
    """

    start: datetime
    end: datetime
    phrase: str
    span_start: int
    span_end: int
    granularity: str
    relative: bool


def find_dates(text: str, anchor: datetime) -> list[DateMention]:
    """Return the dates that a text mentions, in its order, without overlaps, as seen from `anchor` (aware).

    A day is a day of the anchor's time zone. Conventions are in `reason.phrases`; what
    is said of a past or a coming day is told by the tense. The work is bounded for any text:
    only its first 50,000 characters are read, a rule stops after 64 dates, at most 8 phrases in other languages are
    given to dateparser, and at most 64 dates are returned. A chat turn takes about 100 us. Never raises.
    """
    last_start = len(text) if len(text) <= MAX_CHARS else MAX_CHARS - _LONGEST
    text = text[:MAX_CHARS]
    today, odd = anchor.date(), _FOLDED.search(text) is not None
    found: list[DateMention] = []
    elsewhere = ((has_words, find_phrases), (has_months, find_months))
    for has, find in elsewhere:
        if has(text):
            mentions = (_resolve(rule, m, anchor, today) for m, rule in find(text, MAX_WORDS) if m.start() < last_start)
            found += islice((mention for mention in mentions if mention is not None), MAX_MENTIONS)
    if not found and not _HINT.search(text):
        return []
    tried = 0
    for pattern, rule in rules_for(text):
        count = asked = 0
        for match in pattern.finditer(text):
            start, end = match.span()
            if count == MAX_MENTIONS or asked == MAX_FOREIGN or start >= last_start:
                break
            if rule in BY_TENSE:
                if tried == MAX_TENSES:
                    break
                tried += 1
            if rule is other_language:
                if any((m.span_start, m.span_end) == (start, end) for m in found):  # "7 April 2023": known already
                    continue
                asked += 1
            elif odd and _FOLDED.search(match[0]):
                continue
            mention = _resolve(rule, match, anchor, today)
            if mention is not None:
                found.append(mention)
                count += 1
    found.sort(key=lambda m: (m.span_start, -m.span_end))
    kept: list[DateMention] = []
    for mention in found:
        if len(kept) < MAX_MENTIONS and (not kept or mention.span_start >= kept[-1].span_end):
            kept.append(mention)
    return kept


def _resolve(rule: Rule, match: re.Match[str], anchor: datetime, today: date) -> DateMention | None:
    try:
        resolved = rule(match, today)
        if resolved is None:
            return None
        span, relative = resolved
        start, end = (datetime.combine(d, time(), anchor.tzinfo) for d in (span.start, span.end))
    except (ValueError, OverflowError, KeyError):  # 31 June, or a year out of range: not a date
        return None
    if not 2 <= start.year <= end.year <= 9998:
        return None
    span_start, span_end = with_weekday(rule, match.string, match.start()), match.end()
    return DateMention(start, end, match.string[span_start:span_end], span_start, span_end, span.granularity, relative)


def query_range(question: str, asked_at: datetime) -> tuple[datetime, datetime] | None:
    """Return the time to which a question restricts itself, half-open, or None; see `range_of`."""
    return range_of(question, find_dates(question, asked_at))


def range_of(question: str, mentions: Sequence[DateMention]) -> tuple[datetime, datetime] | None:
    """Return the time to which a question with these dates restricts itself, half-open, or None.

    "before June" ends when June begins, "since March" begins with March, "after 2022" begins when 2022 is over, and
    several dates mean everything from the first to the last.
    """
    if not mentions:
        return None
    first = min(mentions, key=lambda m: m.start)
    start, end = first.start, max(m.end for m in mentions)
    if len(mentions) == 1:
        edge = _EDGE_INSIDE.match(first.phrase) or _EDGE.search(question[: first.span_start])
        word = edge[1].lower() if edge else ""
        if word == "from" and (end - start).days > _UNIT_DAYS.get(first.granularity, math.inf):
            word = ""  # "from March to May 2021" ends with May
        if word in ("before", "until", "till", "by"):
            start, end = _FIRST, first.end if word == "by" else first.start
        elif word in ("after", "since", "from"):
            start, end = first.end if word == "after" else first.start, _LAST
    return start, end


def asks_when(question: str) -> bool:
    """Tell whether a question asks for a time."""
    return _WHEN.search(question) is not None


def parse_when(value: object) -> datetime:
    """Return the time that a user or an export wrote: ISO 8601, seconds (or ms, us) since 1970, or a plain date.

    A plain date is one such as "1:56 pm on 8 May, 2023" or "March-15-2024". Without an offset the result is naive.
    Raises ValueError, also for words that depend on today.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a time. {_ACCEPTED}")
    if isinstance(value, int | float):
        return _from_epoch(value)
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is not a time. {_ACCEPTED}")
    text = value.strip()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if re.fullmatch(r"-?\d{9,17}(?:\.\d{1,9})?", text):
        return _from_epoch(float(text))
    found = _parse_plain(re.sub(r"\((?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\)", " ", text, flags=re.IGNORECASE))
    if found is None:
        raise ValueError(f"{text[:60]!r} is not a time. {_ACCEPTED}")
    return found


_ACCEPTED = 'Write it as "2024-03-02T10:15", with an offset if you know it, or as seconds since 1970.'


def _from_epoch(value: float) -> datetime:
    """Return the time of a number since 1970: seconds, milliseconds or microseconds, by its size."""
    size = abs(value)
    if not size < 1e20:  # nor nan; a larger int may not fit a float
        raise ValueError(f"this number is not a time: it is too far away. {_ACCEPTED}")
    seconds = value / (1 if size < 1e11 else 1e3 if size < 1e14 else 1e6)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{value} is not a time: it is too far away. {_ACCEPTED}") from error


def _parse_plain(text: str) -> datetime | None:
    if len(text) > 100 or not re.search(r"\d", text):
        return None
    import dateparser  # 0.2 s: only for a time that is not written as ISO 8601

    needed: Sequence[str] = ("day", "month", "year")
    settings = {"REQUIRE_PARTS": list(needed), "PARSERS": ["absolute-time"]}
    try:
        found: datetime | None = dateparser.parse(text.replace(" on ", " "), languages=["en"], settings=settings)
        return found or dateparser.parse(text, languages=LANGUAGES, settings=settings)
    except Exception:  # it raises many types for odd words; none of these is a time
        return None

"""Calendar arithmetic on half-open ranges of days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sept sep", "october oct", "november nov", "december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday mon",
            "tuesday tue tues",
            "wednesday wed",
            "thursday thu thurs",
            "friday fri",
            "saturday sat",
            "sunday sun",
        )
    )
    for name in names.split()
}
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # first month, of the northern year
HOLIDAYS = {
    "new year's day": (1, 1), "valentine's day": (2, 14), "halloween": (10, 31), "christmas eve": (12, 24),
    "christmas day": (12, 25), "christmas": (12, 25), "new year's eve": (12, 31),
}  # fmt: skip
NUMBERS = {
    w: i
    for i, w in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
NUMBERS |= {"a": 1, "an": 1, "couple of": 2, "a couple of": 2, "a couple": 2, "fifteen": 15, "twenty": 20, "thirty": 30}


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `start` up to but excluding `end`, and the unit that was mentioned."""

    start: date
    end: date
    granularity: str


def day(start: date) -> Span:
    """Return one day."""
    return Span(start, start + DAY, "day")


def week(inside: date) -> Span:
    """Return the week, Monday to Sunday, around a day."""
    monday = inside - timedelta(days=inside.weekday())
    return Span(monday, monday + 7 * DAY, "week")


def weekend(inside: date) -> Span:
    """Return Saturday and Sunday of the week around a day."""
    monday = week(inside).start
    return Span(monday + 5 * DAY, monday + 7 * DAY, "weekend")


def month(year: int, number: int) -> Span:
    """Return a month; numbers beyond 1 to 12 carry over into other years."""
    return Span(first_of(year, number), first_of(year, number + 1), "month")


def year(number: int) -> Span:
    """Return a year."""
    return Span(date(number, 1, 1), date(number + 1, 1, 1), "year")


def season(year: int, name: str) -> Span:
    """Return a season by its first month; winter begins in December of `year`."""
    return Span(first_of(year, SEASONS[name]), first_of(year, SEASONS[name] + 3), "season")


def first_of(year: int, number: int) -> date:
    """Return the first day of a month; numbers beyond 1 to 12 carry over into other years."""
    return date(year + (number - 1) // 12, (number - 1) % 12 + 1, 1)


def closest(number: int, d: int, anchor: date, ahead: bool) -> date:
    """Return the first day of that month and number from `anchor` on, or the last one up to it.

    Raises ValueError when no year has it.
    """
    for step in range(9):  # 29 February may be eight years away
        try:
            found = date(anchor.year + (step if ahead else -step), number, d)
        except ValueError:
            if (number, d) != (2, 29):
                raise
            continue
        if found >= anchor if ahead else found <= anchor:
            return found
    raise ValueError(f"no year has {number}-{d}")


def nearest(number: int, d: int, anchor: date) -> date:
    """Return the day of that month and number that is nearest to `anchor`. Raises ValueError when no year has it."""
    found = []
    for y in range(max(anchor.year - 4, 1), anchor.year + 5):  # 29 February exists every fourth year
        try:
            found.append(date(y, number, d))
        except ValueError:
            continue
    return min(found, key=lambda one: abs(one - anchor))

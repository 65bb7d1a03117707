"""A year of a memory's use, day by day: recalls, changes and forget requests, and what each choice of forms costs.

A memory is a text of some facts. Its state is one of the forms of `mnemos.migrate.form_schedule`. A recall costs what the
form costs; a day costs its bytes; a move up costs a training, or a prefill unless the text was read on that day; moves down
are free. Where the truth changes,
keys and values and weights are stale: the memory is text again. Every answer is the same whatever the form: what weights
have not learned is counted as a recall of the text. A forget request removes all forms. What must not become weights
(private, or to be forgotten on a date that is known) does not, under any choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.migrate.form_schedule import FORMS, FormCosts, FormSchedule, MemoryForm, MemoryUse

DAYS = 365
TEXT, KV, WEIGHTS = range(3)
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Year:
    """What happens to N memories on T days."""

    recalls: Ints  # (N, T)
    changed: NDArray[np.bool_]  # (N, T), before the recalls of the day
    born: Ints  # (N,) day
    gone: Ints  # (N,) day of the forget request; T where there is none
    announced: NDArray[np.bool_]  # (N,) whether that day is known from the beginning
    private: NDArray[np.bool_]  # (N,)
    refused: NDArray[np.bool_]  # (N,) whether the gate refuses it
    tokens: Ints  # (N,)
    facts: Ints  # (N,)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Whether a memory exists on a day, (N, T)."""
        day = np.arange(self.recalls.shape[1])
        return (day >= self.born[:, None]) & (day < self.gone[:, None])


def _steady(rng: np.random.Generator, rates: Floats, born: Ints) -> Floats:
    return np.repeat(rates[:, None], DAYS, 1)


def _bursty(rng: np.random.Generator, rates: Floats, born: Ints) -> Floats:
    """Projects: some weeks of use, then months without."""
    found = np.zeros((len(rates), DAYS))
    for i, rate in enumerate(rates):
        day = int(born[i])
        while day < DAYS:
            length, pause = 3 + int(rng.exponential(18)), 7 + int(rng.exponential(90))
            found[i, day : day + length] = rate * (length + pause) / length
            day += length + pause
    return found


def _drifting(rng: np.random.Generator, rates: Floats, born: Ints) -> Floats:
    """What is new is used most, and every memory's popularity walks up and down."""
    walk = np.cumsum(rng.normal(0, 0.12, (len(rates), DAYS)), 1)
    age = np.maximum(np.arange(DAYS) - born[:, None], 0)
    lasting = rng.choice([20.0, 60.0, 400.0], len(rates), p=[0.5, 0.3, 0.2])
    found: Floats = rates[:, None] * np.exp(np.clip(walk, -4, 2)) * np.exp(-age / lasting[:, None]) * 2
    return found


KINDS: dict[
    str, tuple[Callable[..., Floats], float, float]
] = {  # rates by day, share that changes, changes a day of it
    "steady": (_steady, 0.2, 1 / 90),
    "bursty": (_bursty, 0.2, 1 / 90),
    "drifting": (_drifting, 0.2, 1 / 90),
    "volatile": (_steady, 0.7, 1 / 10),
}


def make_year(kind: str, seed: int, memories: int, recalls: float, failed: float) -> Year:
    """Return a year of a kind: `recalls` a day over all memories, shared out by Zipf's law."""
    rng = np.random.default_rng([seed, *kind.encode()])
    rates_of, share, pace = KINDS[kind]
    rank = rng.permutation(memories) + 1.0
    born = np.where(rng.random(memories) < 0.4, 0, rng.integers(0, DAYS - 30, memories))
    rates = rates_of(rng, recalls / rank / np.sum(1 / rank), born)
    gone = np.where(rng.random(memories) < 0.15, rng.integers(0, DAYS, memories), DAYS)
    gone = np.where(gone > born, gone, DAYS)
    paces = np.where(rng.random(memories) < share, pace * rng.lognormal(0, 0.7, memories), 0.0)
    year = Year(
        rng.poisson(rates), rng.random(rates.shape) < paces[:, None], born, gone, rng.random(memories) < 0.4,
        rng.random(memories) < 0.1, rng.random(memories) < failed, rng.integers(60, 600, memories), np.zeros(0, np.int64),
    )  # fmt: skip
    alive = year.alive
    facts = np.maximum(year.tokens // 30, 1)
    return Year(
        year.recalls * alive, year.changed & alive, born, gone, year.announced & (gone < DAYS), year.private,
        year.refused, year.tokens, facts,
    )  # fmt: skip


@dataclass(frozen=True)
class Ledger:
    """What a choice of forms cost, in seconds of the machine."""

    prefill: float  # and loads, and attaching
    disk: float
    training: float
    by_day: Floats  # (T,) all of it
    forms: Ints  # (N, T) form at the end of the day; -1 where a memory does not exist

    @property
    def total(self) -> float:
        """All of it."""
        return self.prefill + self.disk + self.training


@dataclass(frozen=True)
class Prices:
    """What each memory costs in each form, (N, 3)."""

    recall: Floats
    day: Floats
    move: Floats  # from text

    @staticmethod
    def of(year: Year, costs: FormCosts) -> Prices:
        """Return the prices of the memories of a year."""
        sizes = list(zip(year.tokens.tolist(), year.facts.tolist(), strict=True))
        return Prices(
            np.array([[costs.of_recall(f, n) for f in FORMS] for n, _ in sizes]),
            np.array([[costs.of_day(f, n) for f in FORMS] for n, _ in sizes]),
            np.array([[costs.of_move(f, n, m) for f in FORMS] for n, m in sizes]),
        )


Choose = Callable[[int, Ints, "History"], Ints]  # day, forms now, history -> forms wanted for the next day


@dataclass
class History:
    """What is known of the memories by the end of a day, (N,) each."""

    recalls: Ints
    last: Ints  # day of the last recall, or of birth
    changes: Ints
    settled: Ints  # day of the last change; -1: none
    refused: NDArray[np.bool_]


def _of_day(price: Prices, used: Ints, form: Ints, caching: bool) -> Floats:
    """Return the seconds of a day's recalls; with `caching` a text is read once a day, and stays in RAM until the night."""
    each = np.arange(len(form))
    spent: Floats = used * price.recall[each, form]
    once = price.recall[:, TEXT] + np.maximum(used - 1, 0) * price.recall[:, KV]
    return np.where(caching & (form == TEXT) & (used > 0), np.minimum(once, spent), spent)


def live(year: Year, costs: FormCosts, choose: Choose, caching: bool = False) -> Ledger:
    """Live through a year; `choose` says at the end of each day which form each memory is to have."""
    price, n, days = Prices.of(year, costs), *year.recalls.shape
    form, alive, each = np.zeros(n, np.int64), year.alive, np.arange(n)
    past = History(np.zeros(n, np.int64), year.born.copy(), np.zeros(n, np.int64), np.full(n, -1), np.zeros(n, bool))
    sums, by_day, seen = np.zeros(3), np.zeros(days), np.full((n, days), -1)
    for day in range(days):
        here = alive[:, day]
        form[~here | year.changed[:, day]] = TEXT
        past.refused[year.changed[:, day]] = False
        used = year.recalls[:, day]
        past.recalls += used
        past.last[used > 0] = day
        past.changes += year.changed[:, day]
        past.settled[year.changed[:, day]] = day
        spent = np.array([_of_day(price, used, form, caching)[here].sum(), price.day[each, form][here].sum(), 0.0])
        wanted = np.where(here, choose(day, form, past), TEXT)
        wanted = np.where((wanted == WEIGHTS) & (_forbidden(year, day) | past.refused), np.minimum(form, KV), wanted)
        rising = here & (wanted > form)
        spent[0] += price.move[rising & (wanted == KV) & (used == 0), KV].sum()
        tried = rising & (wanted == WEIGHTS)
        spent[2] += price.move[tried, WEIGHTS].sum()
        past.refused |= tried & year.refused
        wanted = np.where(tried & year.refused, form, wanted)
        form = np.where(here, wanted, TEXT)
        sums += spent
        by_day[day] = spent.sum()
        seen[here, day] = form[here]
    return Ledger(float(sums[0]), float(sums[1]), float(sums[2]), by_day, seen)


def _forbidden(year: Year, day: int) -> NDArray[np.bool_]:
    """Return which memories must not become weights, whatever that would save."""
    return year.private | (year.announced & (year.gone - day < FormSchedule.soon))


def always(kind: MemoryForm) -> Choose:
    """Return the fixed choice of a form."""
    return lambda day, form, past: np.full(len(form), FORMS.index(kind))


def by_schedule(year: Year, costs: FormCosts, schedule: FormSchedule) -> Choose:
    """Return the choice of a schedule, asked for every memory every night."""

    def choose(day: int, form: Ints, past: History) -> Ints:
        wanted = form.copy()
        for i in np.flatnonzero((year.born <= day) & (year.gone > day) & ((past.recalls > 0) | (form > 0))).tolist():
            known_end = float(year.gone[i] - day) if year.announced[i] else math.inf
            settled = math.inf if past.settled[i] < 0 else float(day - past.settled[i])
            use = MemoryUse(
                int(year.tokens[i]), int(year.facts[i]), int(past.recalls[i]), day - int(year.born[i]) + 1.0,
                float(day - past.last[i]), int(past.changes[i]), settled, FORMS[form[i]], bool(year.recalls[i, day]),
                bool(year.private[i]), known_end, bool(past.refused[i]),
            )  # fmt: skip
            wanted[i] = FORMS.index(schedule.choose(use, costs).form)
        return wanted

    return choose


def oracle(year: Year, costs: FormCosts) -> float:
    """Return the least cost of a year by somebody who knows all of it: dynamic programming, memory by memory.

    It knows which trainings the gate would refuse, and obeys the same rules. O(N T).
    """
    price, (n, days), alive = Prices.of(year, costs), year.recalls.shape, year.alive
    ahead = np.zeros((n, 3))  # least cost from the next day on, by the form at the end of this day
    for day in range(days - 1, -1, -1):
        here = alive[:, day]
        barred = _forbidden(year, day) | year.refused
        end = ahead.copy()  # by the form that is had at the end of this day
        up = end + price.move
        up[:, KV] -= np.where(year.recalls[:, day] > 0, price.move[:, KV], 0.0)
        up[barred, WEIGHTS] = np.inf
        keep = end.copy()
        keep[_forbidden(year, day), WEIGHTS] = np.inf
        best = np.empty((n, 3))  # by the form at the beginning of the day, after its changes
        for form in range(3):
            options = [keep[:, lower] for lower in range(form + 1)] + [up[:, higher] for higher in range(form + 1, 3)]
            same = np.full(n, form)
            spent = _of_day(price, year.recalls[:, day], same, True) + price.day[:, form]
            best[:, form] = spent + np.min(options, 0)
        best = np.where(year.changed[:, day, None], best[:, [TEXT]], best)
        unborn = (day < year.born)[:, None]
        ahead = np.where(here[:, None], best, np.where(unborn, ahead[:, [TEXT]], 0.0))
    return float(ahead[:, TEXT].sum())

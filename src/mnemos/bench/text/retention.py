"""Laws of forgetting at equal budget: `mnemos bench retention`.

A year is simulated. Memories arrive at random times, 4,000 in all, and every day holds 1 + Poisson(1.5) sessions
between 8 and 23 h, with 20 questions a day on average. A question is about one older memory. If that is still in the
store the question hits, and counts as a recall; if not, it misses, and the memory stays lost. At every midnight the
store is cut to its budget, a share of all that arrived so far, by forgetting what the law ranks lowest. Every law sees
the same year, at every budget.

Which memory a question is about is drawn by weight. The usefulness of a memory is Zipf's: the one of rank r, in random
order, weighs 1 / r. Every memory belongs to one of 40 topics. There are three kinds of year:

- `stationary`: usefulness alone counts, all year long.
- `drifting`: the interest in a topic is exp(x), x an Ornstein-Uhlenbeck process with standard deviation 1.5 and a time
  constant of 30 days. What is learned and what is asked are both drawn by the interest of the day.
- `bursty`: a topic is busy for 7 days on average (exponential, widened to whole days), then at rest for 42 on average
  (Pareto of exponent 1.5, 14 at least); at rest it weighs 1/50. What is learned and what is asked are drawn by that,
  and every question is asked again in the same session with probability 1/3, and then again with the same probability.

The measure is the probing accuracy: the share of hits among the questions of the second half of the year that are
about memories older than a day. `oracle` is not a law: it knows the questions to come and keeps the memories that will
be asked for most often. All laws have their default constants, and no stream was fitted to a law. Not simulated: a
real recall also finds, and so strengthens, memories that were not asked for, and several memories may answer a
question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retention_tables
from mnemos.errors import InvalidInput
from mnemos.text.base import Floats, Histories, Ints, Law
from mnemos.text.forget.laws import law_names, load_law

KINDS = ("stationary", "drifting", "bursty")
CURVES_AT = 0.25  # the budget whose retention curves are reported
BIN = 14  # days of age a point of a retention curve
TOPICS = 40
START = 20_000.0  # the first midnight, in days since 1970
MINUTE = 1 / 1440

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Year:
    """The events of a year. `created` and `size` are of the N memories in order of creation; `asked` (Q,) is
    the memory of each question in order of time, at `asked_at` (Q,), the same time for all of a session.
    """

    days: int
    created: Floats
    size: Ints
    asked: Ints
    asked_at: Floats


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a year under a law: the hits of each budget (B,), and the memories at its end, (B, N)."""

    hits: Ints
    alive: Bools
    recalls: Ints


class Oracle:
    """Keeps what will be asked for most often: it knows all questions in advance."""

    def __init__(self, year: Year) -> None:
        self.created = year.created
        self.by = np.lexsort((year.asked_at, year.asked))
        self.stride = 2.0 * (START + year.days)  # larger than any time, so that the key sorts by memory, then time
        self.keys = year.asked[self.by] * self.stride + year.asked_at[self.by]

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return how many questions about each memory are still to come, (N,)."""
        memory = np.searchsorted(self.created, histories.created)
        last = np.searchsorted(self.keys, (memory + 1) * self.stride)
        to_come: Floats = (last - np.searchsorted(self.keys, memory * self.stride + now)).astype(np.float64)
        return to_come

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, layer) unchanged, both (N,)."""
        return histories.strength, histories.tier


@dataclass(frozen=True)
class Options:
    """The years, and the budgets."""

    seed: int = 0  # seed of the first year
    seeds: int = 5  # years of each kind
    memories: int = 4_000  # memories that arrive
    days: int = 365  # days of a year
    questions: float = 20.0  # questions a day, on average
    budgets: tuple[float, ...] = (0.05, 0.125, 0.25, 0.5)  # shares of all that arrived that the store holds
    kinds: tuple[str, ...] = KINDS  # kinds of year


@benchmark(
    "retention",
    help="Laws of forgetting at equal budget, with skewed reuse.",
    options=Options,
    tables={f"retention-{kind}": retention_tables.accuracy(kind) for kind in KINDS},
    plot=retention_tables.plot,
    figure=retention_tables.figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the accuracy of every law at every budget for each kind of year, and the retention curves.

    The years of each kind have the seeds `seed` to `seed + seeds - 1`. Accuracies are shares between 0 and 1: the mean
    over the seeds and their standard deviation (of a sample). Raises InvalidInput for an unknown kind of year, a
    budget that is no share, or a size below 1.
    """
    o = options
    if unknown := set(o.kinds) - set(KINDS):
        raise InvalidInput(f"there is no kind of year {sorted(unknown)[0]!r}: choose from {', '.join(KINDS)}.")
    if not o.budgets or not all(0 < b <= 1 for b in o.budgets):
        raise InvalidInput(f"the budgets are {list(o.budgets)}: give shares of all that arrived, above 0 and up to 1.")
    if min(o.seeds, o.memories, o.days) < 1 or o.questions <= 0:
        raise InvalidInput("seeds, memories and days are counts of 1 or more, and questions a day more than 0.")
    progress.expect(len(o.kinds))
    compared: dict[str, Any] = {}
    for kind in o.kinds:
        compared[kind] = compare(kind, o.seed, o.seeds, o.memories, o.days, o.questions, o.budgets)
        progress(1)
    return {
        "memories": o.memories,
        "days": o.days,
        "questions_a_day": o.questions,
        "seeds": list(range(o.seed, o.seed + o.seeds)),
        "budgets": list(o.budgets),
        "kinds": compared,
    }


def compare(
    kind: str, seed: int, seeds: int, memories: int, days: int, questions: float, budgets: Sequence[float]
) -> dict[str, Any]:
    """Return the accuracies of the laws in the years of one kind."""
    shares: dict[str, list[Floats]] = {}
    counts: dict[str, Ints] = {}
    streams = []
    shown = int(np.argmin(np.abs(np.asarray(budgets) - CURVES_AT)))
    for one in range(seed, seed + seeds):
        year = make(kind, np.random.default_rng([one, KINDS.index(kind)]), memories, days, questions)
        streams.append(describe(year))
        for name, law in contestants(one, year).items():
            outcome = simulate(law, year, budgets)
            shares.setdefault(name, []).append(outcome.hits / max(int(measured(year).sum()), 1))
            counts[name] = counts.get(name, 0) + curve_counts(year, outcome, shown)
    accuracy = {name: table(np.stack(rows), budgets) for name, rows in shares.items()}
    return {
        "stream": {key: round(float(np.mean([s[key] for s in streams])), 4) for key in streams[0]},
        "accuracy": accuracy,
        "retention": {"budget": budgets[shown], "bin_days": BIN} | {n: curves(c) for n, c in counts.items()},
    }


def contestants(seed: int, year: Year) -> dict[str, Law]:
    """Return every law with its defaults, variants, and the upper bound."""
    laws: dict[str, Law] = {}
    for name in law_names():
        laws[name] = load_law(name, seed=seed) if name == "random" else load_law(name)
        if name == "ebbinghaus":
            laws["ebbinghaus (paper)"] = load_law(name, spaced=False)
        elif name == "ttl":
            laws["ttl (sliding)"] = load_law(name, sliding=True)
    return laws | {"oracle": Oracle(year)}


def make(kind: str, rng: np.random.Generator, memories: int, days: int, questions: float) -> Year:
    """Draw a year of this kind."""
    interest = {"stationary": steady, "drifting": drifting, "bursty": bursty}[kind](rng, days)
    created = np.sort(rng.uniform(0, days, memories))
    size = np.maximum(rng.lognormal(np.log(200), 0.6, memories), 8).astype(np.int64)
    usefulness = 1.0 / (rng.permutation(memories) + 1.0)
    shares = np.cumsum(interest / interest.sum(axis=1, keepdims=True), axis=1)[created.astype(np.int64)]
    topic = np.minimum((shares < rng.uniform(size=(memories, 1))).sum(axis=1), TOPICS - 1)
    asked, asked_at = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for day in range(days):
        weights = usefulness * interest[day, topic]
        sessions = np.sort(rng.uniform(day + 8 / 24, day + 23 / 24, 1 + rng.poisson(1.5)))
        counts = rng.multinomial(rng.poisson(questions), np.full(len(sessions), 1 / len(sessions)))
        for at, count in zip(sessions, counts, strict=True):
            count_so_far = int(np.searchsorted(created, at))
            if not count_so_far:
                continue
            weight = np.cumsum(weights[:count_so_far])
            drawn = np.minimum(np.searchsorted(weight, rng.uniform(0, weight[-1], count)), count_so_far - 1)
            again = rng.geometric(2 / 3, count) if kind == "bursty" else np.ones(count, dtype=np.int64)
            asked.append(np.repeat(drawn, again))
            asked_at.append(np.full(len(asked[-1]), START + at))
    return Year(days, START + created, size, np.concatenate(asked), np.concatenate(asked_at))


def steady(rng: np.random.Generator, days: int) -> Floats:
    """Return the interest in each topic on each day, (days, TOPICS): always the same."""
    return np.ones((days, TOPICS))


def drifting(rng: np.random.Generator, days: int, spread: float = 1.5, tau: float = 30.0) -> Floats:
    """Return the interest in each topic on each day, (days, TOPICS): the exponential of a process that wanders."""
    x = np.empty((days, TOPICS))
    x[0] = rng.normal(0, spread, TOPICS)
    stays = np.exp(-1 / tau)
    for day in range(1, days):
        x[day] = stays * x[day - 1] + rng.normal(0, spread * np.sqrt(1 - stays**2), TOPICS)
    return np.exp(x)


def bursty(rng: np.random.Generator, days: int, busy: float = 7.0, rest: float = 14.0, idle: float = 0.02) -> Floats:
    """Return the interest in each topic on each day, (days, TOPICS): 1 in a burst, `idle` at rest."""
    interest = np.full((days, TOPICS), idle)
    for topic in range(TOPICS):
        at = -rng.uniform(0, 4 * rest)  # so that the year does not begin with the same phase for all
        while at < days:
            stop = at + rng.exponential(busy)
            interest[max(int(at), 0) : max(int(np.ceil(stop)), 0), topic] = 1.0
            at = stop + rest * (1 + rng.pareto(1.5))
    return interest


def measured(year: Year) -> Bools:
    """Return which questions count, (Q,): of the second half of the year, about memories older than a day."""
    late: Bools = (year.asked_at >= START + year.days / 2) & (year.asked_at - year.created[year.asked] > 1.0)
    return late


def simulate(law: Law, year: Year, budgets: Sequence[float]) -> Outcome:
    """Simulate the year, with a store for each budget. Cost: O(days * B * N log N) at most."""
    b, n = len(budgets), len(year.created)
    created, zeros = np.tile(year.created, b), np.zeros(b * n, dtype=np.int64)
    h = Histories(created, created.copy(), zeros, np.ones(b * n), np.tile(year.size, b), zeros.copy())
    alive = np.ones((b, n), dtype=np.bool_)
    hits = np.zeros(b, dtype=np.int64)
    counted = measured(year)

    sessions, first = np.unique(year.asked_at, return_index=True)
    ends = np.r_[first[1:], len(year.asked)]
    nights = np.searchsorted(sessions, START + np.arange(year.days + 1))
    offsets = np.arange(b)[:, None] * n
    for day in range(1, year.days + 1):
        for session in range(nights[day - 1], nights[day]):
            asked = year.asked[first[session] : ends[session]]
            kept = alive[:, asked]
            hits += (kept & counted[first[session] : ends[session]]).sum(axis=1)
            found = (asked + offsets)[kept]
            minute = 0
            while len(found):  # a memory that is asked for twice in a session is recalled twice, a minute apart
                once, at = np.unique(found, return_index=True)
                now = float(sessions[session] + minute * MINUTE)
                h.strength[once], h.tier[once] = law.reinforce(h.at(once), now)
                h.recalls[once] += 1
                h.recalled[once] = now
                found, minute = np.delete(found, at), minute + 1
        arrived = int(np.searchsorted(year.created, START + day))
        row, column = np.nonzero(alive[:, :arrived])
        held = row * n + column
        scores = law.retention(h.at(held), START + day)
        bounds = np.searchsorted(row, np.arange(b + 1))
        for i, budget in enumerate(budgets):
            mine = slice(bounds[i], bounds[i + 1])
            excess = (mine.stop - mine.start) - int(budget * arrived)
            if excess > 0:  # ties: the oldest is forgotten first
                alive.ravel()[held[mine][np.argsort(scores[mine], kind="stable")[:excess]]] = False
    return Outcome(hits, alive, h.recalls.reshape(b, n))


def describe(year: Year) -> dict[str, float]:
    """Return the skew of the stream."""
    often = np.sort(np.bincount(year.asked, minlength=len(year.created)))[::-1]
    total = max(int(often.sum()), 1)
    return {
        "questions": float(total),
        "measured": float(measured(year).sum()),
        "never_asked_share": float((often == 0).mean()),
        "share_of_top_tenth": float(often[: max(len(often) // 10, 1)].sum() / total),
    }


def table(shares: Floats, budgets: Sequence[float]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of the shares (seeds, B) by budget."""
    spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else np.zeros(shares.shape[1])
    return {
        f"{budget:g}": {"mean": round(float(m), 4), "std": round(float(s), 4)}
        for budget, m, s in zip(budgets, shares.mean(axis=0), spread, strict=True)
    }


def curve_counts(year: Year, outcome: Outcome, budget: int) -> Ints:
    """Return (2, 2, bins): of memories never recalled and recalled, by age at the year's end, how many were and are."""
    ages = ((START + year.days - year.created) // BIN).astype(np.int64)
    bins = max(year.days // BIN, 1)
    alive, used = outcome.alive[budget], outcome.recalls[budget] > 0
    groups = [
        [np.bincount(ages[some], minlength=bins)[:bins] for some in (group, group & alive)] for group in (~used, used)
    ]
    return np.asarray(groups, dtype=np.int64)


def curves(counts: Ints) -> dict[str, list[float | None]]:
    """Return the share kept by age for memories that were never recalled and for those that were.

    Point i is of the ages from i * BIN days on; None where there was no such memory. A memory has to be kept to be
    recalled, so that the curve of the recalled ones shows what becomes of them after, not a cause.
    """
    rows: dict[str, list[float | None]] = {}
    for name, (were, are) in zip(("never_recalled", "recalled"), counts, strict=True):
        rows[name] = [round(float(a / w), 4) if w else None for w, a in zip(were, are, strict=True)]
    return rows

"""A year of use: `mnemos bench endurance`. About 137 turns a day, questions by day, consolidation by night."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.metrics import latency_ms
from mnemos.bench.text.synthetic import FUNCTION_WORDS, Corpus
from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.text.forget.policy import Policy

START = datetime(2024, 1, 1, 7, tzinfo=UTC)
SESSIONS, QUESTIONS = 10, 20  # a day
TOPICS = 40
POLICY = Policy(
    law="ebbinghaus", constants={"days": 30.0}, min_retention=0.05
)  # never recalled: archived after 90 days
ADDS = 200  # single adds, timed with all defaults on and as plain appends


@dataclass(frozen=True)
class Options:
    """The length of the year, and what embeds."""

    seed: int = 0  # seed of the texts
    cubes: int = 50_000  # turns in all
    days: int = 365  # days to simulate
    embedder: str = "bundled"  # what embeds the texts


class Texts:
    """Turns and questions about 40 topics of 30 words each, whose frequency follows Zipf's law."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 3])
        self.corpus = Corpus(seed)
        content = np.array(self.corpus.words[len(FUNCTION_WORDS) : len(FUNCTION_WORDS) + 4_000])
        self.topics = [list(self.rng.choice(content, 30, replace=False)) for _ in range(TOPICS)]
        weights = 1 / np.arange(1, TOPICS + 1)
        self.shares = weights / weights.sum()

    def topic(self) -> int:
        """Draw a topic."""
        return int(self.rng.choice(TOPICS, p=self.shares))

    def turn(self, topic: int) -> str:
        """Return a turn about a topic; one in fifty states a fact that ends the one before it."""
        if self.rng.random() < 0.02:
            return f"I moved to {self.word(topic).capitalize()}ville."
        length = int(np.clip(self.rng.lognormal(2.6, 0.5), 3, 80))
        words = [self.word(topic) if self.rng.random() < 0.3 else w for w in self.corpus.draw(self.rng, length)]
        return " ".join(words).capitalize() + "."

    def question(self, topic: int) -> str:
        """Return a question about a topic."""
        return f"What did Ana say about {' '.join(self.word(topic) for _ in range(4))}?"

    def word(self, topic: int) -> str:
        """Draw a word of a topic."""
        return str(self.rng.choice(self.topics[topic]))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def growth(result: Result) -> Rows:
    """Return how the space grew, month by month."""
    names = ("day", "told", "searchable", "archived", "derived", "file_mb", "night_s")
    head = ["day", "turns told", "searchable", "archived", "derived", "file, MB", "that night, s"]
    return [head, *([f"{month[n]:,}" for n in names] for month in result["months"])]


def times(result: Result) -> Rows:
    """Return the times."""
    s, add = result["seconds"], result["add"]
    ratio = add["defaults"]["p50_ms"] / add["append"]["p50_ms"]
    return [
        ["what", "measured"],
        [f"{result['cubes']:,} turns, {result['days']} days: in all", f"{s['total']:.0f} s"],
        [
            "of it adding / asking / consolidating",
            f"{s['adding']:.0f} / {s['asking']:.0f} / {s['consolidating']:.0f} s",
        ],
        ["a night, p50 / p95", f"{result['night']['p50_ms']:.0f} / {result['night']['p95_ms']:.0f} ms"],
        ["a second run with nothing new", f"{result['second_run']['seconds']:.2f} s, nothing written"],
        ["searchable ~ told^p in the second half: p", f"{result['growth_exponent']:.2f}"],
        [
            "`add` p50, all defaults / plain append",
            f"{add['defaults']['p50_ms']:.1f} / {add['append']['p50_ms']:.1f} ms",
        ],
        ["ratio", f"{ratio:.2f}"],
    ]


def plot(result: Result, path: Path) -> Path:
    """Draw a result: how many cubes can be searched, and how long the nights take."""
    figure = new_figure(9.0, 3.6)
    growth, nights = figure.subplots(1, 2)
    days = [month["day"] for month in result["months"]]
    for name, colour in (("told", GREY), ("searchable", BLUE), ("archived", ORANGE),
                         ("derived", GREEN)):  # fmt: skip
        values = [month[name] / 1000 for month in result["months"]]
        growth.plot(days, values, color=colour, marker="o", markersize=3, linewidth=1.6, label=name)
    growth.set(xlabel="day", ylabel="thousand cubes", ylim=(0, None))
    growth.legend(fontsize=9, frameon=False)
    nights.plot(days, [month["night_s"] for month in result["months"]], color=VERMILION, marker="o", markersize=3)
    nights.set(xlabel="day", ylabel="consolidation that night, s", ylim=(0, None))
    figure.suptitle(
        f"A year, {result['cubes']:,} turns: {result['seconds']['total']:.0f} s in all", fontsize=12, x=0.01, ha="left"
    )
    tidy(growth)
    tidy(nights)
    figure.savefig(str(path), dpi=150)
    return path


@benchmark(
    "endurance",
    help="A year of 50,000 turns with questions by day and consolidation by night.",
    options=Options,
    tables={"endurance": growth, "endurance-time": times},
    plot=plot,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Simulate `days` with `cubes` turns in all; return the times, and the growth of the space month by month.

    Sessions and questions are about one of 40 topics, the first topic forty times as often as the last (Zipf). The
    policy archives what has fallen below 5 % retention under Ebbinghaus' law with 30 days at birth.
    """
    days = options.days
    progress.expect(days)
    clock, texts = Clock(), Texts(options.seed)
    spent = dict.fromkeys(("adding", "asking", "consolidating"), 0.0)
    months: list[dict[str, Any]] = []
    nights: list[float] = []
    total = 0
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, clock=clock, timezone="UTC") as memory,
    ):
        space = memory.space("year")
        space.policy = POLICY
        for day in range(days):
            clock.now = START + timedelta(days=day)
            share = options.cubes * (day + 1) // days - total
            total += share
            with _timed(spent, "adding"):
                space.add_many(_day(texts, clock.now, share))
            clock.now += timedelta(hours=14)
            with _timed(spent, "asking"):
                for _ in range(QUESTIONS):
                    space.search(texts.question(texts.topic()), k=10)
            clock.now += timedelta(hours=3)
            before = spent["consolidating"]
            with _timed(spent, "consolidating"):
                space.consolidate()
            nights.append(spent["consolidating"] - before)
            if (day + 1) % 30 == 0 or day + 1 == days:
                months.append({"day": day + 1, "told": total, "night_s": round(nights[-1], 2), **_sizes(space)})
            progress(1)
        again = time.perf_counter()
        idle = space.consolidate()
        again = time.perf_counter() - again
        adds = {name: _adds(space, texts, reconcile) for name, reconcile in (("append", False), ("defaults", True))}
    return {
        "seed": options.seed, "cubes": total, "days": days, "policy": POLICY.to_json(), "embedder": options.embedder,
        "seconds": {name: round(s, 1) for name, s in spent.items()} | {"total": round(sum(spent.values()), 1)},
        "night": latency_ms(nights), "months": months, "growth_exponent": _exponent(months),
        "second_run": {"changed": idle.changed, "seconds": round(again, 3)}, "add": adds,
    }  # fmt: skip


def _day(texts: Texts, start: datetime, count: int) -> Iterator[dict[str, Any]]:
    """Yield the turns of a day: sessions of about equal length, each about one topic."""
    for s in range(SESSIONS):
        topic = texts.topic()
        for t in range(count * (s + 1) // SESSIONS - count * s // SESSIONS):
            yield {
                "content": texts.turn(topic), "session": f"{start:%Y-%m-%d}/{s}",
                "role": "user" if t % 2 == 0 else "assistant", "speaker": "Ana" if t % 2 == 0 else "Helper",
                "at": start + timedelta(minutes=80 * s + t),
            }  # fmt: skip


class _timed:
    def __init__(self, spent: dict[str, float], name: str) -> None:
        self.spent, self.name = spent, name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.spent[self.name] += time.perf_counter() - self.start


def _sizes(space: Space) -> dict[str, Any]:
    stats = space.stats()
    size = round(stats["bytes"] / 1e6, 1)
    return {"searchable": stats["cubes"], "archived": stats["archived"], "derived": stats["derived"], "file_mb": size}


def _adds(space: Space, texts: Texts, reconcile: bool) -> dict[str, float]:
    seconds = []
    for _ in range(ADDS):
        text = texts.turn(texts.topic())
        start = time.perf_counter()
        space.add(text, speaker="Ana", reconcile=reconcile)
        seconds.append(time.perf_counter() - start)
    return latency_ms(seconds)


def _exponent(months: list[dict[str, Any]]) -> float:
    """Return p of searchable ~ told^p over the second half of the year: below 1 is sublinear."""
    first, last = months[(len(months) - 1) // 2], months[-1]
    if first["told"] == last["told"]:
        return 1.0
    return round(math.log(last["searchable"] / first["searchable"]) / math.log(last["told"] / first["told"]), 3)

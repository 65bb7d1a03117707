"""A year in a life: `mnemos bench endurance`. Some 137 turns a day, questions by day, consolidation by night."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

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


class Texts:
    """Turns and questions about 40 topics of 30 words each; the topics are as frequent as Zipf's law has it."""

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


def run(
    seed: int = 0,
    cubes: int = 50_000,
    days: int = 365,
    embedder: str = "bundled",
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Live through `days` with `cubes` turns in all; return the times, and how the space grew month by month.

    Sessions are about one of 40 topics, questions too, the first topic forty times as often as the last (Zipf). The
    policy archives what fell below 5 % retention under the law of Ebbinghaus with 30 days at birth.
    """
    clock, texts = Clock(), Texts(seed)
    spent = dict.fromkeys(("adding", "asking", "consolidating"), 0.0)
    months: list[dict[str, Any]] = []
    nights: list[float] = []
    total = 0
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, clock=clock) as memory,
    ):
        space = memory.space("year")
        space.policy = POLICY
        for day in range(days):
            clock.now = START + timedelta(days=day)
            share = cubes * (day + 1) // days - total
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
            if progress:
                progress(1)
        again = time.perf_counter()
        idle = space.consolidate()
        again = time.perf_counter() - again
        adds = {name: _adds(space, texts, reconcile) for name, reconcile in (("append", False), ("defaults", True))}
    return {
        "seed": seed, "cubes": total, "days": days, "policy": POLICY.to_json(), "embedder": embedder,
        "seconds": {name: round(s, 1) for name, s in spent.items()} | {"total": round(sum(spent.values()), 1)},
        "night": latency_ms(nights), "months": months, "growth_exponent": _exponent(months),
        "second_run": {"changed": idle.changed, "seconds": round(again, 3)}, "add": adds,
    }  # fmt: skip


def _day(texts: Texts, start: datetime, count: int) -> Iterator[dict[str, Any]]:
    """Yield the turns of one day: sessions of about equal length, each about one topic."""
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

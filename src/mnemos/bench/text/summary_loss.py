"""Loss in summaries of summaries: `mnemos bench summary-loss`. Rare things go first, unless the originals are kept.

After "A Tale of Tails" (arXiv 2402.07043): texts generated from generated texts lose the tail. Here the generations are
the summaries of sessions, of days and of weeks.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.space import Space
from mnemos.system import Mnemos

START = datetime(2024, 1, 1, 9, tzinfo=UTC)
SAYINGS = ("{a} planted {w} behind the house.", "{a} talked about {w} all evening.", "We saw {w} at the market with {a}.",
           "{a} wants to read more about {w}.", "For dinner {a} made {w} again.")  # fmt: skip
PEOPLE = ("Ana", "Bo", "Carla")
OFTEN = 5  # mentions from which on a thing counts as frequent


@dataclass(frozen=True)
class Options:
    """The size of the stream."""

    seed: int = 0  # seed of the texts
    days: int = 42  # days to simulate
    sessions: int = 3  # sessions per day
    turns: int = 14  # turns per session
    things: int = 600  # things that may be mentioned


def table(result: Result) -> Rows:
    """Return the things that each generation of summaries still mentions."""
    kept = result["kept"]
    kinds = list(next(iter(kept.values())))
    return [
        ["things still mentioned in", *kinds],
        *([name, *(percent(row[k]) for k in kinds)] for name, row in kept.items()),
    ]


@benchmark(
    "summary-loss",
    help="What summaries of summaries lose: rare things first.",
    options=Options,
    tables={"summary-loss": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Mention `things` with frequencies by Zipf's law, consolidate, and count what each generation still mentions.

    "originals" are found with a search for the thing; "summaries" are those of sessions, days and weeks.
    """
    seed, days, sessions, turns, things = (
        options.seed, options.days, options.sessions, options.turns, options.things,
    )  # fmt: skip
    progress.expect(days)
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, things + 1)
    names = [
        "".join(rng.choice(list("bcdfglmnprstvz")) + rng.choice(list("aeiou")) for _ in range(4)) for _ in range(things)
    ]
    said: Counter[str] = Counter()
    now = [START]
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, clock=lambda: now[0], timezone="UTC") as memory,
    ):
        space = memory.space("tails")
        for day in range(days):
            now[0] = START + timedelta(days=day)
            messages = []
            for s in range(sessions):
                for t in range(turns):
                    word = str(rng.choice(names, p=shares / shares.sum()))
                    said[word] += 1
                    text = str(rng.choice(SAYINGS)).format(a=rng.choice(PEOPLE), w=word)
                    at = now[0] + timedelta(hours=3 * s, minutes=t)
                    messages.append({"content": text, "session": f"{day}/{s}", "at": at})
            space.add_many(messages)
            progress(1)
        space.consolidate()
        levels = {name: _summaries(space, name) for name in ("session", "day", "week")}
        found = {w: bool(hits := space.search(w, k=1)) and w in hits[0].cube.text for w in said}
    rows = {"originals": _kept(said, {w for w in said if found[w]})}
    rows |= {f"summaries of {name}s": _kept(said, {w for w in said if w in text}) for name, text in levels.items()}
    return {"seed": seed, "turns": days * sessions * turns, "things": len(said), "kept": rows}


def _summaries(space: Space, level: str) -> str:
    cubes = space.cubes(kind="summary", limit=10_000).items
    return "\n".join(c.text for c in cubes if c.metadata["level"] == level)


def _kept(said: Counter[str], mentioned: set[str]) -> dict[str, float]:
    """Return the share of things that are still mentioned: all, the frequent ones, and those said once."""
    often, once = ([w for w, n in said.items() if n >= OFTEN], [w for w, n in said.items() if n == 1])
    groups = {"all": list(said), "frequent": often, "said once": once}
    return {name: round(len(mentioned.intersection(words)) / max(len(words), 1), 4) for name, words in groups.items()}

"""What summaries of summaries lose: `mnemos bench summary-loss`. Rare things first, unless the originals stay.

After "A Tale of Tails" (arXiv 2402.07043): what is made from what was made loses the tail. Here the generations are the
summaries of sessions, of days and of weeks.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from mnemos.space import Space
from mnemos.system import Mnemos

START = datetime(2024, 1, 1, 9, tzinfo=UTC)
SAYINGS = ("{a} planted {w} behind the house.", "{a} talked about {w} all evening.", "We saw {w} at the market with {a}.",
           "{a} wants to read more about {w}.", "For dinner {a} made {w} again.")  # fmt: skip
PEOPLE = ("Ana", "Bo", "Carla")
OFTEN = 5  # times that a thing was said, from which on it counts as frequent


def run(
    seed: int = 0, days: int = 42, sessions: int = 3, turns: int = 14, things: int = 600,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Tell of `things` as often as Zipf's law has it, consolidate, and count what each generation still mentions.

    "originals" are found with a search for the thing; "summaries" are those of sessions, days and weeks.
    """
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, things + 1)
    names = [
        "".join(rng.choice(list("bcdfglmnprstvz")) + rng.choice(list("aeiou")) for _ in range(4)) for _ in range(things)
    ]
    said: Counter[str] = Counter()
    now = [START]
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, clock=lambda: now[0]) as memory:
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
            if progress:
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


def _kept(said: Counter[str], there: set[str]) -> dict[str, float]:
    """Return the share of things that are still mentioned: all, the frequent ones, and those said once."""
    often, once = ([w for w, n in said.items() if n >= OFTEN], [w for w, n in said.items() if n == 1])
    groups = {"all": list(said), "frequent": often, "said once": once}
    return {name: round(len(there.intersection(words)) / max(len(words), 1), 4) for name, words in groups.items()}

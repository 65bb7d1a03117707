"""The order of two turns: `mnemos bench temporal-order`.

After SORT (arXiv 2410.08133): two segments of one long stream are shown, and the question is which came earlier. The
memory finds both with `Space.search`, from a fragment of each, and compares when they happened. The baseline knows
what was found and how well, but no order (a bag of chunks): it answers that the hit with the higher score came first.
The stream is synthetic, so nothing in the texts gives the order away.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.synthetic import Corpus
from mnemos.cube import Hit
from mnemos.space import Space
from mnemos.system import Mnemos

BATCH = 500


@dataclass(frozen=True)
class Options:
    """The stream, and the pairs."""

    seed: int = 0  # seed of the texts
    turns: int = 3_000  # length of the stream
    pairs: int = 60  # pairs for each distance
    distances: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)  # turns between the two segments
    embedder: str = "bundled"  # what embeds the texts
    fragment: int = 8  # words of a segment that are shown


def table(result: Result) -> Rows:
    """Return the share of pairs put in the right order, by distance in turns."""
    rows = result["by_distance"]
    kinds = list(next(iter(rows.values())))
    return [["turns between", *kinds], *([d, *(percent(row[k]) for k in kinds)] for d, row in rows.items())]


@benchmark(
    "temporal-order",
    help="Which of two turns came first?",
    options=Options,
    tables={"temporal-order": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the shares that are right by distance, for the memory and the bag of chunks."""
    seed, turns, pairs = options.seed, options.turns, options.pairs
    rng = random.Random(seed)
    rows: dict[str, dict[str, float]] = {}
    found = total = 0
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        space = memory.space("order")
        messages = list(Corpus(seed).messages(turns))
        for begin in range(0, turns, BATCH):
            space.add_many(messages[begin : begin + BATCH], reconcile=False)
        for distance in (d for d in options.distances if d < turns):
            by_time = by_score = 0
            for _ in range(pairs):
                first = rng.randrange(turns - distance)
                pair = [messages[first], messages[first + distance]]
                swapped = rng.random() < 0.5
                shown = pair[::-1] if swapped else pair
                hits = [find(space, piece(rng, m["content"], options.fragment)) for m in shown]
                found += sum(h is not None and h.cube.id == m["id"] for h, m in zip(hits, shown, strict=True))
                total += 2
                by_time += earlier(hits) == int(swapped)
                by_score += better(hits) == int(swapped)
            progress(1)
            rows[str(distance)] = {"ours": round(by_time / pairs, 4), "bag_of_chunks": round(by_score / pairs, 4)}
    names = ("ours", "bag_of_chunks")
    means = {name: round(sum(r[name] for r in rows.values()) / max(len(rows), 1), 4) for name in names}
    return {
        "seed": seed,
        "turns": turns,
        "pairs": pairs,
        "found": round(found / max(total, 1), 4),
        "mean": means,
        "by_distance": rows,
    }


def piece(rng: random.Random, text: str, words: int) -> str:
    """Return consecutive words of a text."""
    split = text.split()
    at = rng.randrange(max(len(split) - words, 0) + 1)
    return " ".join(split[at : at + words])


def find(space: Space, fragment: str) -> Hit | None:
    """Return the best hit for a fragment: the one that has its words in a row, if there is one."""
    hits = space.search(fragment, k=10)
    wanted = fragment.casefold()
    return next((h for h in hits if wanted in h.cube.text.casefold()), hits[0] if hits else None)


def earlier(hits: Sequence[Hit | None]) -> int:
    """Return 0 when the first of two hits happened first, else 1."""
    a, b = hits
    return int(a is not None and b is not None and (b.cube.at, b.cube.learned) < (a.cube.at, a.cube.learned))


def better(hits: Sequence[Hit | None]) -> int:
    """Return 0 when the first of two hits has the higher score, else 1."""
    a, b = hits
    return int(a is not None and b is not None and b.score > a.score)

"""Who has a role: `mnemos bench roles`. Hand-written notes of eight places, and questions who stands in, owns or reviews.

Among the notes are older statements, questions of the same, others of the same people, and statements in other words than the
question. They were written before the rules of `promote-role`, which were mended where they failed on them: expect less of
other notes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry
from mnemos.system import Mnemos
from mnemos.text.base import System
from mnemos.text.recall.roles import PromoteRole
from mnemos.text.system import DEFAULT, load_system

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
STEP, ASKED = timedelta(days=3), timedelta(days=40)
WITHOUT = "mnemos without promote-role"


@dataclass(frozen=True)
class Options:
    """What embeds the notes."""

    embedder: str = "bundled"  # what embeds the notes


def table(result: Result) -> Rows:
    """Return a row a system: how often the answer is the first hit, and among five."""
    lines: Rows = [["search", "questions", "answer first", "among five"]]
    for name, row in result["systems"].items():
        lines.append([name, row["n"], percent(row["first"]), percent(row["among_five"])])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the result says of the reranker."""
    if entry.name != "promote-role":
        return None
    rows = result["systems"]
    others = {name: percent(row["first"]) for name, row in rows.items() if name != "mnemos"}
    return Figure(f"finds {percent(rows['mnemos']['first'])} of the answers to questions about roles first", others)


@benchmark(
    "roles",
    help="Who stands in, owns, reviews or does something: whether the first hit answers it.",
    options=Options,
    tables={"roles": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Ask each search all questions."""
    less = replace(DEFAULT, rerank=tuple(r for r in DEFAULT.rerank if not isinstance(r, PromoteRole)))
    systems: dict[str, System] = {"mnemos": DEFAULT, WITHOUT: less, **{n: load_system(n) for n in ("vectors", "bm25")}}
    progress.expect(len(systems))
    found = {}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder=options.embedder) as memory:
        for number, (name, system) in enumerate(systems.items()):
            places = [
                place for world in worlds() for place in _places(memory, f"{number}-{world['id']}", system, world)
            ]
            found[name] = {
                "n": len(places),
                "first": round(sum(place == 0 for place in places) / len(places), 4),
                "among_five": round(sum(place < 5 for place in places) / len(places), 4),
            }
            progress(1)
    return {"systems": found}


def worlds() -> Iterator[dict[str, Any]]:
    """Yield the notes of each place, and the questions with the numbers of the notes that answer them."""
    text = (files("mnemos.bench.text") / "data" / "roles" / "hand.jsonl").read_text(encoding="utf-8")
    yield from map(json.loads, text.splitlines())


def _places(memory: Mnemos, name: str, system: System, world: dict[str, Any]) -> list[int]:
    """Return at which place each question's answer is; 5: not among five."""
    space = memory.space(name, system=system)
    told = [{"content": text, "speaker": "Kim", "at": START + STEP * i} for i, text in enumerate(world["told"])]
    ids = [cube.id for cube in space.add_many(told)]
    found = []
    for asked in world["asked"]:
        hits = [ids.index(hit.cube.id) for hit in space.search(asked["question"], 5, asked_at=START + ASKED)]
        found.append(next((i for i, note in enumerate(hits) if note in asked["answer"]), 5))
    return found

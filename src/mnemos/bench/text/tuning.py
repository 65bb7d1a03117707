"""Does a space that learns from its use answer later questions better? `mnemos bench tuning`.

Half of the questions about LoCoMo's development conversations are asked; those of the first ten hits that answer are noted
as used, as it would be in use: what is not found is not noted. Then the space is tuned, and the other half is asked before and
after. As a control the same is done with answers that are mixed up, which has to be refused.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text import locomo, metrics, retrieval
from mnemos.bench.text.kept import kept
from mnemos.bench.text.task import Haystack, Question
from mnemos.registry import Entry
from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.text.tune import by_chance

K = 10
SHOWN = ("ndcg@10", "fraction@10", "mrr")


@dataclass(frozen=True)
class Options:
    """The data, and how they are split."""

    data: Path  # locomo10.json; it is not part of Mnemos
    seeds: int = 3  # halves that each conversation is split into
    embedder: str = "bundled"  # what embeds the texts
    vectors: Path | None = None  # a file that keeps the vectors, so that another run embeds nothing


def table(result: Result) -> Rows:
    """Return what the other half of the questions is answered like, by conversation."""
    head = [
        "conversation",
        "questions noted",
        "asked afterwards",
        "splits installed",
        *(f"{m}, before → after" for m in SHOWN),
    ]
    rows: Rows = [head]
    for name, row in [*result["conversations"].items(), ("all", result["all"])]:
        cells = [f"{row['before'][m]:.3f} → {row['after'][m]:.3f}" for m in SHOWN]
        rows.append([name, row["noted"], row["asked"], f"{row['installed']} of {row['splits']}", *cells])
    rows.append(
        ["answers mixed up", "", "", f"{result['mixed_up']['installed']} of {result['mixed_up']['splits']}", "", "", ""]
    )
    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what tuning does to questions that it has not seen."""
    if (entry.form, entry.name) != ("text", "tune"):
        return None
    done = result["all"]
    text = (
        f"ranks questions of LoCoMo's development half that it has not seen with nDCG@10 {done['after']['ndcg@10']:.3f}"
    )
    return Figure(text, {"as shipped": f"{done['before']['ndcg@10']:.3f}"})


@benchmark(
    "tuning",
    help="Does a space that is tuned to its own use answer later questions better?",
    options=Options,
    tables={"tuning": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Note what half of the questions found, tune, and ask the other half."""
    task = retrieval.only_splits(locomo.load(options.data), ("development",))
    progress.expect(len(task.haystacks) * options.seeds)
    found: dict[str, list[dict[str, Any]]] = {}
    mixed: list[bool] = []
    with (
        kept(options.embedder, options.vectors) as embedder,
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, timezone="UTC") as memory,
    ):
        for haystack in task.haystacks:
            space = memory.space(haystack.name)
            space.add_many(haystack.messages)
            for seed in range(options.seeds):
                found.setdefault(haystack.name, []).append(measure(space, haystack, seed))
                mixed.append(measure(space, haystack, seed, mix=True)["installed"])
                progress(1)
    every = [part for parts in found.values() for part in parts]
    return {
        "data": task.source,
        "embedder": {"name": embedder.name, "revision": embedder.revision},
        "conversations": {name: summary(parts) for name, parts in found.items()},
        "all": summary(every),
        "mixed_up": {"installed": sum(mixed), "splits": len(mixed)},
    }


def measure(space: Space, haystack: Haystack, seed: int, mix: bool = False) -> dict[str, Any]:
    """Return the metrics of half of the questions before and after the space is tuned by the other half; undo all."""
    rng = random.Random(seed)
    questions = rng.sample(haystack.questions, len(haystack.questions))
    first, second = questions[: len(questions) // 2], questions[len(questions) // 2 :]
    answers = {q.text: answered(space, q) for q in first}
    noted = {text: ids for text, ids in answers.items() if ids}
    if mix:
        noted = dict(zip(noted, rng.sample(list(noted.values()), len(noted)), strict=True))
    notes = [space.used(text, ids).id for text, ids in noted.items()]
    before = [] if mix else [score(space, q) for q in second]
    said = space.tune()
    after = [] if mix else [score(space, q) for q in second]
    space.tune(undo=True)
    space.store.erase(notes)
    return {"noted": len(noted), "installed": said.installed, "before": before, "after": after}


def answered(space: Space, question: Question) -> list[str]:
    """Return those of the first ten hits that answer."""
    return [i for i in retrieval.rank(space, question, "cubes", "hybrid", K) if i in question.gold["turn"]]


def score(space: Space, question: Question) -> dict[str, float]:
    """Return the metrics of one question."""
    return metrics.score(retrieval.rank(space, question, "cubes", "hybrid"), question.gold["turn"])


def summary(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of some splits."""
    before, after = ([row for part in parts for row in part[name]] for name in ("before", "after"))
    gain = np.array([b["ndcg@10"] - a["ndcg@10"] for a, b in zip(before, after, strict=True)])
    return {
        "noted": sum(part["noted"] for part in parts), "asked": len(before),
        "installed": sum(part["installed"] for part in parts), "splits": len(parts), "chance": round(by_chance(gain), 4),
        "before": retrieval.rounded(metrics.mean(before)), "after": retrieval.rounded(metrics.mean(after)),
    }  # fmt: skip

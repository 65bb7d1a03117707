"""Do clues from a memory of the corpus find what a question does not say? `mnemos bench memorag`.

A world made by rule: 60 things have two names, one that people tell them by and one that they ask by. A few texts use both. The
evidence for a question tells of two things by their one names; the question asks for them by the others (implicit) or by
the same (explicit). Compared: the question alone (BM25), a draft answer that is written without the corpus (HyDE: the
question as a statement, since nobody outside knows the names), feedback from the first three hits (their words are added), and
clues. And real questions: LoCoMo's development half, and LoCoMo-Plus, whose cues share hardly a word with their triggers.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text import locomo, locomo_plus, metrics, retrieval
from mnemos.bench.text.task import Task
from mnemos.cube import utc_now
from mnemos.registry import Entry
from mnemos.system import Mnemos
from mnemos.text.base import View
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.recall.memorag import MemoRag
from mnemos.text.recall.query import make_query

THINGS, PAIRS, BRIDGES, NOISE, FILLERS = 60, 120, 4, 600, 300
K = 10
Ask = Callable[[View, str, Sequence[str]], list[int]]  # (view, question, texts) to positions, best first


@dataclass(frozen=True)
class Options:
    """The data, and the worlds made by rule."""

    locomo: Path  # locomo10.json; it is not part of Mnemos
    locomo_plus: Path  # LoCoMo-Plus' pairs; they are not part of Mnemos
    seed: int = 0  # the first seed
    seeds: int = 3  # worlds made by rule


def table(result: Result) -> Rows:
    """Return recall of the evidence by set and way."""
    ways = list(next(iter(result["sets"].values()))["recall"])
    rows: Rows = [["questions", "n", *(f"{way}, recall@{K}" for way in ways), "ms a question: bm25 / clues"]]
    for name, row in result["sets"].items():
        times = f"{row['ms']['bm25']:.1f} / {row['ms']['clues']:.1f}"
        rows.append([name, row["n"], *(f"{row['recall'][way]:.3f}" for way in ways), times])
    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how much of the evidence of implicit questions clues find."""
    if entry.form != "text" or entry.name != "memorag":
        return None
    row = result["sets"]["implicit"]["recall"]
    text = f"finds {row['clues']:.3f} of the evidence that a question names by other words"
    return Figure(
        text, {"the question alone": f"{row['bm25']:.3f}", "feedback from the first hits": f"{row['feedback']:.3f}"}
    )


@benchmark(
    "memorag",
    help="Clues from a memory of the corpus against the question alone, a draft without it, and feedback.",
    options=Options,
    tables={"memorag": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Ask implicit and explicit questions in worlds made by rule, and the real ones."""
    conversations = retrieval.only_splits(locomo.load(options.locomo), ("development",))
    plus = locomo_plus.load(options.locomo_plus)
    progress.expect(options.seeds + 2)
    found: dict[str, list[dict[str, tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder="none") as memory:
        for seed in range(options.seed, options.seed + options.seeds):
            texts, questions = world(random.Random(seed))
            for kind, rows in questions.items():
                found.setdefault(kind, []).extend(ask(memory, f"{kind} {seed}", texts, rows))
            progress(1)
        for name, task in (("LoCoMo, development", conversations), ("LoCoMo-Plus", plus)):
            found[name] = [row for h in range(len(task.haystacks)) for row in of_haystack(memory, task, h)]
            progress(1)
    return {
        "sources": {"locomo": conversations.source, "locomo-plus": plus.source},
        "seeds": [options.seed + i for i in range(options.seeds)],
        "sets": {name: summary(rows) for name, rows in found.items()},
    }


def world(rng: random.Random) -> tuple[list[str], dict[str, list[tuple[str, list[int]]]]]:
    """Return texts, and by kind of question (question, positions of its evidence)."""
    words = _words(rng, 2 * THINGS + FILLERS)
    told, asked, filler = words[:THINGS], words[THINGS : 2 * THINGS], words[2 * THINGS :]

    def text(*named: str) -> str:
        parts = [*named, *rng.sample(filler, 6)]
        rng.shuffle(parts)
        return " ".join(parts)

    pairs = rng.sample([(a, b) for a in range(THINGS) for b in range(a)], PAIRS)
    rows = [(f"{a} {b}", text(told[a], told[b])) for a, b in pairs]
    rows += [("", text(told[a], asked[a])) for a in range(THINGS) for _ in range(BRIDGES)]
    rows += [("", text(told[rng.randrange(THINGS)])) for _ in range(NOISE)]
    rng.shuffle(rows)
    place = {name: i for i, (name, _) in enumerate(rows) if name}
    gold = [[place[f"{a} {b}"]] for a, b in pairs]
    questions = {
        "implicit": [(f"{asked[a]} {asked[b]}", g) for (a, b), g in zip(pairs, gold, strict=True)],
        "explicit": [(f"{told[a]} {told[b]}", g) for (a, b), g in zip(pairs, gold, strict=True)],
    }
    return [content for _, content in rows], questions


def _words(rng: random.Random, count: int) -> list[str]:
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(rng.choice("bdfgklmnprtvz") + rng.choice("aeiou") for _ in range(3)) + rng.choice("kmpt"))
    return rng.sample(sorted(found), count)


def of_haystack(memory: Mnemos, task: Task, number: int) -> list[dict[str, tuple[float, float]]]:
    """Return what each way finds of the questions of one haystack."""
    haystack, granularity = task.haystacks[number], next(iter(task.granularities))
    place = {m["id"]: i for i, m in enumerate(haystack.messages)}
    questions = [(q.text, [place[i] for i in q.gold[granularity] if i in place]) for q in haystack.questions]
    texts = [m["content"] for m in haystack.messages]
    return ask(memory, f"{task.name} {number}", texts, [q for q in questions if q[1]], haystack.messages)


def ask(
    memory: Mnemos, name: str, texts: Sequence[str], questions: Sequence[tuple[str, list[int]]], messages: Any = None
) -> list[dict[str, tuple[float, float]]]:
    """Return (recall, milliseconds) of each way for each question."""
    space = memory.space(name)
    space.add_many(messages or [{"content": text} for text in texts], reconcile=False)
    corpus = space.text.corpus()
    assert corpus is not None
    view = View(corpus, None, corpus.alive)
    ways: dict[str, Ask] = {"bm25": _alone, "hyde": _draft, "feedback": _feedback, "clues": _clues}
    rows = []
    for text, gold in questions:
        row = {}
        for way, search in ways.items():
            began = time.perf_counter()
            best = search(view, text, texts)[:K]
            row[way] = (
                metrics.fraction([str(i) for i in best], {str(i) for i in gold}, K),
                1e3 * (time.perf_counter() - began),
            )
        rows.append(row)
    space.close()
    return rows


def _order(view: View, method: Bm25 | MemoRag, text: str) -> list[int]:
    scores = method.rank(view, make_query(text, None, utc_now())).scores
    best = np.argsort(-scores, kind="stable")[: 3 * K]
    return [int(i) for i in best if scores[i] > 0]


def _alone(view: View, text: str, texts: Sequence[str]) -> list[int]:
    return _order(view, Bm25(), text)


def _draft(view: View, text: str, texts: Sequence[str]) -> list[int]:
    return _order(view, Bm25(), f"{text} {text.rstrip('?')}. The answer is that {text.rstrip('?')}.")


def _feedback(view: View, text: str, texts: Sequence[str]) -> list[int]:
    first = _alone(view, text, texts)[:3]
    return _order(view, Bm25(), " ".join([text, text, *(texts[i] for i in first)]))


def _clues(view: View, text: str, texts: Sequence[str]) -> list[int]:
    return _order(view, MemoRag(), text)


def summary(rows: Sequence[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    """Return mean recall and the time of each way."""
    return {
        "n": len(rows),
        "recall": {way: round(float(np.mean([row[way][0] for row in rows])), 4) for way in rows[0]},
        "ms": {way: round(float(np.median([row[way][1] for row in rows])), 2) for way in rows[0]},
    }

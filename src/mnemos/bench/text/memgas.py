"""What do four granularities, a router by entropy and associations add for sessions? `mnemos bench memgas`.

LoCoMo's development half and RealMem: which sessions hold the evidence of a question. MemGAS as a whole, with each granularity
alone, all mixed alike, and with the five nearest sessions or no links instead of those of the mixture. And a world of talk
made by rule, with specific questions (one turn answers) and broad ones (a whole session is about them): which granularity does
the router trust?
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text import locomo, metrics, realmem, retrieval
from mnemos.bench.text.kept import kept
from mnemos.bench.text.task import Task
from mnemos.cube import utc_now
from mnemos.registry import Entry
from mnemos.system import Mnemos
from mnemos.text.base import View
from mnemos.text.recall.memgas import GRANULARITIES, MemGas, similarities, units_of
from mnemos.text.recall.query import make_query
from mnemos.text.system import DEFAULT

WAYS = {
    "memgas": MemGas(),
    **{f"{name} alone": MemGas(mixing=name, associations="none") for name in GRANULARITIES},
    "all alike": MemGas(mixing="uniform", associations="none"),
    "by entropy": MemGas(associations="none"),
    "by entropy, 5 nearest": MemGas(associations="nearest"),
}
SHOWN = ("all@5", "all@10", "fraction@10", "ndcg@10")
TOPICS = {
    "the garden": "tomatoes seeds compost slugs watering roses hedge spade",
    "the trip to Norway": "ferry fjord cabin tickets raincoat passport train hostel",
    "the marathon": "shoes knees training route blisters breakfast stopwatch socks",
    "the kitchen": "tiles oven plumber drawers paint cupboard tap invoice",
    "the choir": "rehearsal solo concert score tenor piano robe applause",
    "the old car": "brakes rust mechanic battery mirror tyres insurance clutch",
    "the wedding": "guests cake dress speech flowers rings dance invitations",
    "the exam": "notes library question grades essay tutor deadline coffee",
}


@dataclass(frozen=True)
class Options:
    """The data, and what embeds it."""

    locomo: Path  # locomo10.json; it is not part of Mnemos
    realmem: Path  # the folder of RealMem; it is not part of Mnemos
    embedder: str = "bundled"  # what embeds texts and questions
    vectors: Path | None = None  # a file that keeps the vectors, so that another run embeds nothing
    seed: int = 0  # seed of the world made by rule


def table(result: Result) -> Rows:
    """Return the metrics of each way on each set."""
    rows: Rows = [["set", "sessions ranked by", "questions", *SHOWN]]
    for name, ways in result["sets"].items():
        rows += [[name, way, m["n"], *(f"{m[x]:.3f}" for x in SHOWN)] for way, m in ways.items()]
    return rows


def router_table(result: Result) -> Rows:
    """Return the mean weight of each granularity by kind of question."""
    rows: Rows = [["questions", "n", *GRANULARITIES]]
    return [
        *rows,
        *([kind, row["n"], *(f"{row[g]:.3f}" for g in GRANULARITIES)] for kind, row in result["router"].items()),
    ]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how well MemGAS finds sessions."""
    if entry.form != "text" or entry.name != "memgas":
        return None
    name, ways = next(iter(result["sets"].items()))
    singles = {
        way: f"{m['fraction@10']:.3f}"
        for way, m in ways.items()
        if way in ("turn alone", "all alike", "by entropy, 5 nearest")
    }
    return Figure(f"finds {ways['memgas']['fraction@10']:.3f} of the evidence sessions of {name} in ten", singles)


@benchmark(
    "memgas",
    help="Sessions at four granularities with a router by entropy: what each part adds.",
    options=Options,
    tables={"memgas": table, "memgas-router": router_table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Rank the sessions of both sets in every way, and see what the router trusts."""
    conversations = retrieval.only_splits(locomo.load(options.locomo), ("development",))
    people = realmem.load(options.realmem)
    progress.expect(3)
    sets, sources = {}, {}
    with kept(options.embedder, options.vectors) as embedder:
        for name, task in (("LoCoMo, development", conversations), ("RealMem, development", people)):
            sets[name], sources[name] = measure(task, embedder), task.source
            progress(1)
        weights = router(options.seed, embedder)
        progress(1)
    return {"sources": sources, "embedder": options.embedder, "sets": sets, "router": weights}


def measure(task: Task, embedder: Any) -> dict[str, dict[str, Any]]:
    """Return the metrics of each way on the sessions of a task."""
    rows: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder=embedder) as memory:
        for haystack in task.haystacks:
            space = memory.space(haystack.name)
            space.add_many(haystack.messages, reconcile=False)
            embedder.embed([question.text for question in haystack.questions])  # at once
            for way, method in WAYS.items():
                space.text.use(replace(DEFAULT, retrieve=method, rerank=()))
                rows[way] += [
                    metrics.score(retrieval.rank(space, question, "sessions", "hybrid"), question.gold["session"])
                    for question in haystack.questions
                ]
            space.close()
    return {way: retrieval.rounded(metrics.mean(found)) for way, found in rows.items()}


def router(seed: int, embedder: Any) -> dict[str, dict[str, float]]:
    """Return the mean weights of the router for specific and for broad questions."""
    rng = random.Random(seed)
    messages, specific, broad = world(rng)
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder=embedder) as memory:
        space = memory.space("world")
        space.add_many(messages, reconcile=False)
        corpus = space.text.corpus()
        assert corpus is not None
        view = View(corpus, None, corpus.alive)
        found = {}
        for kind, questions in (("specific", specific), ("broad", broad)):
            weights = [weigh(view, text, embedder) for text in questions]
            found[kind] = {"n": len(questions)} | {
                g: round(float(np.mean([w[g] for w in weights])), 4) for g in GRANULARITIES
            }
    return found


def weigh(view: View, text: str, embedder: Any) -> dict[Any, float]:
    """Return the weights of the router for one question."""
    query = make_query(text, embedder.embed([text])[0], utc_now())
    layout = view.corpus.layout()
    return MemGas().weights(similarities(view.corpus, layout, units_of(view.corpus, layout), query))


def world(rng: random.Random) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Return the messages of sessions about one topic each, specific questions, and broad ones."""
    messages, specific, broad = [], [], []
    for topic, words in TOPICS.items():
        broad.append(f"How did it go with {topic}?")
        for number in range(3):
            session = f"{topic} {number}"
            for word in rng.sample(words.split(), 6):
                detail = rng.choice(
                    ("on Monday", "with Ilse", "for 40 euros", "by the window", "in the rain", "after lunch")
                )
                messages.append({"content": f"About {topic}: we sorted out the {word} {detail}.", "session": session})
                if rng.random() < 0.2:
                    specific.append(f"Was it {detail} that we sorted out the {word}?")
    return messages, specific, broad

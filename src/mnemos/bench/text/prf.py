"""Does a second search with what the first one found rank better? `mnemos bench prf`.

Three kinds of questions: short ones with many answers over a synthetic corpus, by a small encoder that was trained a little and
longer; SciFact, a claim for one abstract or two, the head trained on its training claims; QMSum, where a question has dozens of
turns, the head trained on one half of the meetings and measured on the other. The vectors of texts never change. k and the
weights of Rocchio are those of the paper; other k are shown, none is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text import metrics, paraphrases, qmsum, scifact
from mnemos.bench.text.kept import kept
from mnemos.bench.text.retrieval import rounded
from mnemos.registry import Entry
from mnemos.text.recall.adore import Adore
from mnemos.text.recall.ance_prf import FeedbackTower
from mnemos.text.recall.base import Floats, Ints
from mnemos.text.recall.learning import Fixed, Training, train
from mnemos.text.recall.query_head import HeadTower
from mnemos.text.recall.random_negatives import RandomNegatives
from mnemos.text.recall.rocchio import Rocchio, moved_towards

KS = (1, 3, 10, 30)
HEAD_K = 3
DEEP = 100
STEPS = 300
SHOWN = ("ndcg@10", f"fraction@{DEEP}", "mrr")
Ask = Callable[[Floats, Floats], Floats]  # (questions, texts) to questions


@dataclass(frozen=True)
class Options:
    """The data, and what embeds them."""

    scifact: Path  # the folder of SciFact in BEIR's layout; it is not part of Mnemos
    qmsum: Path  # QMSum's val.jsonl
    seed: int = 0  # seed of the synthetic corpus and of the training
    embedder: str = "bundled"  # the stronger encoder; the weaker one is "hashing"
    vectors: Path | None = None  # a file that keeps its vectors, so that another run embeds nothing


@dataclass(frozen=True, slots=True)
class World:
    """Texts that are searched together, and questions about them."""

    texts: Floats  # (N, D)
    questions: Floats  # (Q, D)
    gold: Sequence[Ints]


def table(result: Result) -> Rows:
    """Return nDCG@10 and recall@100 by set and method."""
    methods = list(next(iter(result["sets"].values()))["methods"])
    rows: Rows = [["set, encoder", "questions", "metric", *methods]]
    for name, row in result["sets"].items():
        for metric in SHOWN:
            label = metric.replace("fraction", "recall")
            cells = [f"{row['methods'][m][metric]:.3f}" if m in row["methods"] else "–" for m in methods]
            rows.append([name, row["methods"]["cosine"]["n"], label, *cells])
    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a method of feedback does on SciFact with the stronger encoder."""
    names = {"rocchio": f"rocchio, k = {HEAD_K}", "ance-prf": "ance-prf"}
    if entry.form != "text" or entry.name not in names:
        return None
    of = {name: row["methods"] for name, row in result["sets"].items() if "bundled" in name}
    text = ", ".join(f"{row[names[entry.name]]['ndcg@10']:.3f} on {name.split(',')[0]}" for name, row in of.items())
    others = ", ".join(f"{row['cosine']['ndcg@10']:.3f} on {name.split(',')[0]}" for name, row in of.items())
    return Figure(f"ranks with nDCG@10 {text}", {"one search by cosine": others})


@benchmark(
    "prf",
    help="Does a second search with what the first one found rank better?",
    options=Options,
    tables={"prf": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Rank by cosine, by Rocchio with several k, and by a head that reads what was found."""
    facts, meetings = scifact.load(options.scifact), qmsum.load(options.qmsum)
    sets: dict[str, tuple[list[World], list[World]]] = {}
    for steps, name in ((150, "weak"), (900, "strong")):
        sets[f"synthetic, {name} small encoder"] = synthetic(options.seed, steps)
    for spec, path in (("hashing", None), (options.embedder, options.vectors)):
        with kept(spec, path) as embedder:
            rows = embedder.embed(facts.texts)
            parts = [[World(rows, embedder.embed(s.questions), s.gold)] for s in (facts.train, facts.test)]
            sets[f"SciFact, {spec}"] = parts[0], parts[1]
            worlds = []
            for haystack in meetings.haystacks:
                place = {m["id"]: i for i, m in enumerate(haystack.messages)}
                gold = [np.array([place[i] for i in q.gold["turn"]]) for q in haystack.questions]
                texts = embedder.embed([m["content"] for m in haystack.messages])
                worlds.append(World(texts, embedder.embed([q.text for q in haystack.questions]), gold))
            sets[f"QMSum, {spec}"] = worlds[::2], worlds[1::2]
    progress.expect(len(sets))
    measured = {}
    for name, (learn, ask) in sets.items():
        measured[name] = {"methods": measure(learn, ask, options.seed)}
        progress(1)
    return {"data": facts.source, "seed": options.seed, "sets": measured}


def synthetic(seed: int, steps: int) -> tuple[list[World], list[World]]:
    """Return short questions that train and that ask, by a small encoder that was trained for some steps."""
    corpus = paraphrases.make(seed)
    table = paraphrases.new_table(corpus.words, 32, 0.1, seed)
    asked, texts = paraphrases.BagOfWords(corpus.questions, table), paraphrases.BagOfWords(corpus.texts, table)
    train(asked, texts, corpus.gold, RandomNegatives(), Training(steps, seed=seed))
    worlds = []
    for offset in (1, 2):
        words, gold = paraphrases.short_questions(corpus, seed + offset)
        worlds.append([World(texts.vectors(), paraphrases.BagOfWords(words, table).vectors(), gold)])
    return worlds[0], worlds[1]


def measure(learn: Sequence[World], ask: Sequence[World], seed: int) -> dict[str, dict[str, float]]:
    """Return the metrics of each method on the worlds that ask."""
    rocchio = Rocchio()
    ways: dict[str, Ask] = {"cosine": lambda q, _: q}
    for k in KS:
        ways[f"rocchio, k = {k}"] = lambda q, d, k=k: np.stack(  # type: ignore[misc]
            [
                moved_towards(one, d[best], rocchio.alpha, rocchio.beta)
                for one, best in zip(q, first(q, d, k), strict=True)
            ]
        )
    index, offsets = np.concatenate([w.texts for w in learn]), np.cumsum([0, *(len(w.texts) for w in learn)])
    gold = [g + offset for w, offset in zip(learn, offsets, strict=False) for g in w.gold]
    asked = np.concatenate([w.questions for w in learn])
    found = np.concatenate([w.texts[first(w.questions, w.texts, HEAD_K)] for w in learn])
    alone, reads = HeadTower(asked, seed=seed), FeedbackTower(asked, found, seed=seed)
    for tower in (alone, reads):
        train(tower, Fixed(index), gold, Adore(), Training(STEPS, seed=seed))
    plain, head = alone.head(), reads.head()
    ways["query head alone"] = lambda q, _: plain(q)
    ways["ance-prf"] = lambda q, d: head(q, d[first(q, d, HEAD_K)])
    return {name: scores(way, ask) for name, way in ways.items()}


def first(questions: Floats, texts: Floats, k: int) -> Ints:
    """Return the k nearest texts of each question, (Q, k), best first."""
    return np.argsort(-(questions @ texts.T), axis=1, kind="stable")[:, :k]


def scores(way: Ask, worlds: Sequence[World]) -> dict[str, float]:
    """Return the mean metrics of a way to ask."""
    rows = []
    for world in worlds:
        for best, gold in zip(first(way(world.questions, world.texts), world.texts, DEEP), world.gold, strict=True):
            ranking, wanted = [str(i) for i in best], {str(i) for i in gold}
            rows.append(metrics.score(ranking, wanted) | {f"fraction@{DEEP}": metrics.fraction(ranking, wanted, DEEP)})
    return rounded({name: value for name, value in metrics.mean(rows).items() if name in (*SHOWN, "n")})

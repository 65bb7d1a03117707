"""What is a query side trained against? `mnemos bench negatives`.

On a synthetic corpus of paraphrases with a small encoder, warmed up with random negatives, at equal steps and rate:

- only the question side learns, the vectors of the texts stay: random, static hard, STAR, ADORE;
- both sides learn: the same without ADORE, two static negatives a question, to see whether static ones alone harm;
- both sides learn in episodes: ANCE, and ANCE-Tele with and without its parts. *Forgotten* is the share of groups of negatives
  that, once ranked behind the answer, are not at a later refresh.

On SciFact a query head is trained on the training claims and measured on the test claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text import paraphrases, scifact
from mnemos.bench.text.kept import kept
from mnemos.bench.text.paraphrases import BagOfWords, Paraphrases
from mnemos.bench.text.prf import World, scores
from mnemos.index.adam import Adam
from mnemos.registry import Entry
from mnemos.text.recall.adore import Adore
from mnemos.text.recall.ance_tele import AnceTele
from mnemos.text.recall.base import Floats, Ints, Negatives, Tower
from mnemos.text.recall.learning import Fixed, Training, reciprocal_ranks, train
from mnemos.text.recall.query_head import HeadTower
from mnemos.text.recall.random_negatives import RandomNegatives
from mnemos.text.recall.star import Star

LEARN = 3_000  # questions of the synthetic corpus that are trained on
WARM, STEPS = 300, 400
WARM_RATE, RATE, FAST = 0.1, 0.05, 0.2
QUESTION_SIDE: Mapping[str, Negatives] = {
    "random": RandomNegatives(), "static": Star(in_batch=False), "star": Star(), "adore": Adore(),
}  # fmt: skip
BOTH: Mapping[str, Negatives] = {
    "random": RandomNegatives(),
    "static": Star(size=2, in_batch=False),
    "star": Star(size=2),
}
EPISODES: Mapping[str, Negatives] = {
    "ance": AnceTele(size=8, pool=40, momentum=0, lookahead=0),
    "momentum alone": AnceTele(size=8, pool=40, lookahead=0),
    "lookahead alone": AnceTele(size=8, pool=40, momentum=0),
    "ance-tele": AnceTele(size=8, pool=40),
}
HEADS: Mapping[str, Negatives] = {**QUESTION_SIDE, "ance": AnceTele(momentum=0, lookahead=0), "ance-tele": AnceTele()}
NAMES = {"random-negatives": "random", "star": "star", "adore": "adore", "ance-tele": "ance-tele"}


@dataclass(frozen=True)
class Options:
    """The data, and the size of the synthetic part."""

    scifact: Path  # the folder of SciFact in BEIR's layout; it is not part of Mnemos
    seeds: int = 2  # synthetic corpora
    embedder: str = "bundled"  # what embeds SciFact
    vectors: Path | None = None  # a file that keeps its vectors, so that another run embeds nothing


def table(result: Result) -> Rows:
    """Return MRR@10 of the synthetic parts by what was drawn as negatives."""
    rows: Rows = [["synthetic corpus, MRR@10", *(f"corpus {i + 1}" for i in range(len(result["synthetic"])))]]
    for part, label in (
        ("question_side", "questions learn"),
        ("both", "both learn, fast"),
        ("episodes", "both learn, in episodes"),
    ):
        for name in result["synthetic"][0][part]:
            cells = []
            for one in result["synthetic"]:
                row = one[part][name]
                forgotten = f", forgotten {100 * row['forgotten']:.2f} %" if "forgotten" in row else ""
                cells.append(f"{row['mrr']:.3f}{forgotten}")
            rows.append([f"{label}: {name}", *cells])
    return rows


def table_of_heads(result: Result) -> Rows:
    """Return the metrics of query heads on SciFact's test claims."""
    rows: Rows = [["SciFact, test claims, vectors alone", "questions", "MRR", "nDCG@10", "recall@100"]]
    for name, row in result["scifact"].items():
        rows.append([name, row["n"], *(f"{row[m]:.3f}" for m in ("mrr", "ndcg@10", "fraction@100"))])
    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a query head learns from a source of negatives, on SciFact."""
    if entry.form != "text" or entry.name not in NAMES:
        return None
    name, rows = NAMES[entry.name], result["scifact"]
    text = f"trains a query head to MRR {rows[name]['mrr']:.3f} on SciFact's test claims"
    others = {n: f"{rows[n]['mrr']:.3f}" for n in ("no head", "random", "star", "ance") if n != name}
    return Figure(text, others)


@benchmark(
    "negatives",
    help="What a query side is trained against: random, static, dynamic and smoothed negatives.",
    options=Options,
    tables={"negatives": table, "negatives-scifact": table_of_heads},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train the synthetic parts on each corpus, and query heads on SciFact."""
    facts = scifact.load(options.scifact)
    progress.expect(options.seeds + 1)
    with kept(options.embedder, options.vectors) as embedder:
        heads = on_scifact(
            facts, embedder.embed(facts.texts), *(embedder.embed(s.questions) for s in (facts.train, facts.test))
        )
    progress(1)
    found = []
    for seed in range(options.seeds):
        found.append(synthetic(seed))
        progress(1)
    return {
        "data": facts.source, "embedder": {"name": embedder.name, "revision": embedder.revision},
        "synthetic": found, "scifact": heads,
    }  # fmt: skip


def on_scifact(facts: scifact.SciFact, texts: Floats, learn: Floats, ask: Floats) -> dict[str, dict[str, float]]:
    """Return the metrics of the test claims without a head, and with one from each source of negatives."""
    world = World(texts, ask, facts.test.gold)
    found = {"no head": scores(lambda q, _: q, [world])}
    for name, negatives in HEADS.items():
        tower = HeadTower(learn)
        train(tower, Fixed(texts), facts.train.gold, negatives, Training(STEPS))
        head = tower.head()
        found[name] = scores(lambda q, _, head=head: head(q), [world])  # type: ignore[misc]
    return found


def synthetic(seed: int) -> dict[str, Any]:
    """Return MRR@10 on questions that took no part, after each training from the same warm-up."""
    corpus = paraphrases.make(seed)
    table = paraphrases.new_table(corpus.words, 32, WARM_RATE, seed)
    gold = corpus.gold[:LEARN]
    asked, texts = BagOfWords(corpus.questions[:LEARN], table), BagOfWords(corpus.texts, table)
    train(asked, texts, gold, RandomNegatives(), Training(WARM, seed=seed))
    warm, fixed = table.value.copy(), texts.vectors()
    start = {"warm-up": {"mrr": mrr(corpus, table, fixed)}}
    parts: dict[str, Any] = {"question_side": dict(start), "both": dict(start), "episodes": dict(start)}
    for part, sources, rate in (
        ("question_side", QUESTION_SIDE, RATE),
        ("both", BOTH, FAST),
        ("episodes", EPISODES, WARM_RATE),
    ):
        for name, negatives in sources.items():
            own = Adam(warm.copy(), rate)
            asked = BagOfWords(corpus.questions[:LEARN], own)
            side: Tower = Fixed(fixed) if part == "question_side" else BagOfWords(corpus.texts, own)
            groups = Groups(asked, side, gold)
            how = Training(STEPS if part != "episodes" else 12 * AnceTele().every, seed=seed)
            train(asked, side, gold, negatives, how, groups.see if part == "episodes" else None)
            parts[part][name] = {"mrr": mrr(corpus, own, side.vectors())}
            if part == "episodes":
                parts[part][name]["forgotten"] = round(groups.forgotten / max(groups.learned, 1), 5)
    return parts


def mrr(corpus: Paraphrases, table: Adam, texts: Floats) -> float:
    """Return MRR@10 of the questions that took no part."""
    asked = BagOfWords(corpus.questions[LEARN:], table).vectors()
    return round(float(reciprocal_ranks(asked, texts, corpus.gold[LEARN:]).mean()), 4)


@dataclass
class Groups:
    """Counts groups of negatives that were learned, and those of them that were forgotten at a later refresh."""

    asked: Tower
    texts: Tower
    gold: list[Ints]
    learned: int = 0
    forgotten: int = 0
    _seen: list[tuple[Ints, Any]] = field(default_factory=list)

    def see(self, step: int, drawn: Ints) -> None:
        """Look at all groups so far, and take up those that were drawn now."""
        scores = self.asked.vectors() @ self.texts.vectors().T
        right = np.array([row[gold].max() for row, gold in zip(scores, self.gold, strict=True)])
        for group, known in self._seen:
            wrong = np.where(group >= 0, np.take_along_axis(scores, np.maximum(group, 0), axis=1), -np.inf).max(axis=1)
            behind = wrong < right
            self.learned += int(known.sum())
            self.forgotten += int((known & ~behind).sum())
            known |= behind
        self._seen.append((drawn.copy(), np.zeros(len(drawn), dtype=bool)))

"""What finds the memory that bears on a remark, mechanism by mechanism, and the weight of the signal `association`.

    python -m benchmarks fit-association --pairs hands --locomo-plus locomo_plus_even.json --causes e-CARE/train.jsonl

`--pairs` is a file or a folder in the format of `mnemos bench associations`. `--causes` is optional: the training part of
e-CARE (MIT, Waste-Wood/e-CARE), of whose pairs of a cause and its effect the first 5,000 are read. `associations.txt` has
pairs of our own. A map M is learned from pairs (cue c, trigger t) in closed form, the whitened covariance of the two: a
trigger t becomes (1 - s) t + s M' t. The map of a set's own pairs is cross-validated: a bound that knows the hand.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos import Mnemos
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import associations, locomo_plus, retrieval
from mnemos.bench.text.task import Haystack, Task
from mnemos.embed.base import Embedder, unit_rows
from mnemos.text.base import View
from mnemos.text.encode.messages import moment
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.query import make_query
from mnemos.text.recall.signals import word_scores

OWN = Path(__file__).parent / "associations.txt"  # our own pairs, a line each: cue | trigger
SHARE, SHRINK, FOLDS = 0.3, 3.0, 5  # s and the ridge of a map; parts of a cross-validation
TRIED = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)  # weights of the signal, as multiples of the one that is shipped
CAUSES = 5_000  # pairs of e-CARE that are read
PARTS = re.compile(r"[.!?;,\n]|\b(?:and|but|because|so|since|when|while|after|before|that|if)\b")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """Where the sets are."""

    pairs: Path  # JSON lines of `mnemos bench associations`
    locomo_plus: Path  # the even rows of LoCoMo-Plus
    causes: Path | None = None  # e-CARE's training part, for a map from causes to effects
    embedder: str = "bundled"  # what embeds the texts


def rank_of_gold(scores: Floats, gold: NDArray[np.int64]) -> dict[str, float]:
    """Return recall@10 and MRR of (Q, N) scores; of equal scores the later cube comes first, as in a search."""
    right = scores[np.arange(len(scores)), gold][:, None]
    later = np.arange(scores.shape[1]) > gold[:, None]
    ranks = 1 + (scores > right).sum(axis=1) + ((scores == right) & later).sum(axis=1)
    return {"recall@10": round(float((ranks <= 10).mean()), 4), "mrr": round(float((1 / ranks).mean()), 4)}


def centred(vectors: Floats, mean: Floats) -> Floats:
    """Return rows of unit length from which the mean was taken."""
    return unit_rows(vectors - mean).astype(np.float64)


def mapping(cues: Floats, triggers: Floats) -> Floats:
    """Return the map (D, D) from triggers to cues: whitened cross-covariance, its largest eigenvalue scaled to 1."""

    def whitening(x: Floats) -> Floats:
        covariance = x.T @ x / len(x)
        return np.linalg.inv(covariance / (np.trace(covariance) / len(covariance)) + SHRINK * np.eye(len(covariance)))

    found = whitening(triggers) @ (triggers.T @ cues / len(cues)) @ whitening(cues)
    return found / np.abs(np.linalg.eigvals(found)).max()


def mapped(triggers: Floats, by: Floats) -> Floats:
    """Return triggers moved by a map."""
    return (1 - SHARE) * triggers + SHARE * triggers @ by


def crossed(cues: Floats, triggers: Floats) -> Floats:
    """Return the scores of triggers moved by a map that was learned from the other folds."""
    fold = np.arange(len(triggers)) % FOLDS
    scores = np.zeros((len(triggers), len(cues)))
    for number in range(FOLDS):
        inside = fold == number
        scores[inside] = mapped(triggers[inside], mapping(cues[~inside], triggers[~inside])) @ cues.T
    return scores


def hubs(cues: Floats, k: int = 10) -> Floats:
    """Return the mean cosine of each cue to its k nearest (CSLS, arXiv 1710.04087)."""
    among = cues @ cues.T
    np.fill_diagonal(among, -1)
    return np.sort(among, axis=1)[:, -k:].mean(axis=1)


def fed_back(triggers: Floats, cues: Floats, share: float = 0.3, k: int = 3) -> Floats:
    """Return the scores of triggers with the mean of their k nearest cues added (pseudo-relevance feedback)."""
    near = np.argsort(-(triggers @ cues.T), axis=1)[:, :k]
    return (triggers + share * cues[near].mean(axis=1)) @ cues.T


def spread(scores: Floats, cues: Floats, share: float = 0.2, k: int = 5) -> Floats:
    """Return scores with a share of those of each cue's k nearest cues added (spreading activation)."""
    among = cues @ cues.T
    np.fill_diagonal(among, -1)
    near = np.argsort(-among, axis=1)[:, :k]
    return scores + share * scores[:, near].mean(axis=2)


def of_parts(embedder: Embedder, texts: list[str], triggers: Floats, mean: Floats) -> Floats:
    """Return the best score among the clauses of each cue."""
    clauses = [[p.strip() for p in PARTS.split(t) if len(p.split()) > 2] or [t] for t in texts]
    flat = [c for parts in clauses for c in parts]
    found = triggers @ centred(embedder.embed(flat).astype(np.float64), mean).T
    starts = np.cumsum([0, *map(len, clauses)])[:-1]
    best: Floats = np.maximum.reduceat(found, starts, axis=1)
    return best


def compare(memory: Mnemos, haystack: Haystack, maps: dict[str, Floats]) -> dict[str, Any]:
    """Return the figures of all mechanisms on one haystack, and those of the fused search by weight of the signal."""
    space, embedder = memory.space(f"set-{haystack.name}"), memory.embedder
    assert embedder is not None
    cubes = space.add_many(haystack.messages)
    space.search("warm up", 1)
    assert space.text.view.snapshot is not None
    corpus = space.text.view.snapshot.corpus
    at = {cube.id: i for i, cube in enumerate(cubes)}
    gold = np.array([at[q.gold["cue"][0]] for q in haystack.questions])
    raw, rows = embedder.embed([q.text for q in haystack.questions]), corpus.vectors.rows.astype(np.float64)
    view, everything = View(corpus, None, corpus.alive), range(len(corpus))
    words, fused, added = [], [], []
    for question, vector in zip(haystack.questions, raw, strict=True):
        query = make_query(question.text, vector, moment(question.asked_at, "asked_at"))  # type: ignore[arg-type]
        ranking = Hybrid().rank(view, query)
        added.append(np.array([why.get("association", 0.0) for why in ranking.explain(everything)]))
        fused.append(ranking.scores - added[-1])
        words.append(word_scores(corpus, query))
    asked, mean = raw.astype(np.float64), rows.mean(axis=0)
    t, c = centred(asked, mean), centred(rows, mean)
    base = t @ c.T

    def rank(scores: Any) -> dict[str, float]:
        return rank_of_gold(np.asarray(scores, dtype=np.float64), gold)

    named = {f"centred, map of {name}": rank(mapped(t, m) @ c.T) for name, m in maps.items()}
    mechanisms = {
        "words": rank(words),
        "vectors": rank(asked @ rows.T),
        "vectors, centred": rank(base),
        "centred, hubs taken off (CSLS)": rank(2 * base - hubs(c)),
        "centred, fed back": rank(fed_back(t, c)),
        "centred, spread over the nearest": rank(spread(base, c)),
        "centred, best clause of the cue": rank(of_parts(embedder, [m["content"] for m in haystack.messages], t, mean)),
        **named,
        "centred, map of its other pairs": rank(crossed(c[gold], t)) if len(gold) == len(c) else None,
    }
    by_weight = {str(w): rank(np.array(fused) + w * np.array(added)) for w in TRIED}
    return {"n": len(gold), "remarks": int(sum(a.any() for a in added)), "mechanisms": mechanisms, "fused": by_weight}


def learned(embedder: Embedder, pairs: list[tuple[str, str]]) -> Floats:
    """Return the map of pairs of texts."""
    cues, triggers = (embedder.embed([p[i] for p in pairs]).astype(np.float64) for i in (0, 1))
    return mapping(centred(cues, cues.mean(axis=0)), centred(triggers, triggers.mean(axis=0)))


def own_pairs() -> list[tuple[str, str]]:
    """Return our own pairs of cue and trigger."""
    lines = OWN.read_text(encoding="utf-8").splitlines()
    return [(cue, trigger) for cue, _, trigger in (line.partition(" | ") for line in lines)]


def causes(path: Path) -> list[tuple[str, str]]:
    """Return e-CARE's pairs of cause and effect."""
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines()[:CAUSES]:
        row = json.loads(line)
        other = row["hypothesis2" if row["label"] else "hypothesis1"]
        pairs.append((other, row["premise"]) if row["ask-for"] == "cause" else (row["premise"], other))
    return pairs


def mechanisms(result: Result) -> Rows:
    """Return the table of the mechanisms, recall@10 / MRR a set."""
    sets = result["sets"]
    names = list(next(iter(sets.values()))["mechanisms"])
    lines: Rows = [["recall@10 / MRR", *(f"{name}, n = {s['n']}" for name, s in sets.items())]]
    for name in names:
        lines.append([name, *(cell(s["mechanisms"][name]) for s in sets.values())])
    for weight in map(str, TRIED):
        lines.append([f"fused, association × {weight}", *(cell(s["fused"][weight]) for s in sets.values())])
    return lines


def cell(figures: dict[str, float] | None) -> str:
    """Return recall@10 and MRR in one cell."""
    return "–" if figures is None else f"{figures['recall@10']:.3f} / {figures['mrr']:.3f}"


@benchmark(
    "fit-association",
    help="What finds the memory that bears on a remark, mechanism by mechanism.",
    options=Options,
    tables={"fit-association": mechanisms},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure all mechanisms on the pairs, on LoCoMo-Plus and on our own pairs."""
    hands = associations.load(retrieval.Options(options.pairs))
    plus = locomo_plus.load(options.locomo_plus)
    own = [{"id": str(i), "cue": c, "trigger": t, "relation": "own"} for i, (c, t) in enumerate(own_pairs())]
    ours = Task("own", {"cue": "cubes"}, [associations.haystack("own pairs", own)], {})
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-fit-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        assert memory.embedder is not None
        maps = {"own pairs": learned(memory.embedder, own_pairs())}
        if options.causes:
            maps["causes"] = learned(memory.embedder, causes(options.causes))
        sets = {h.name: compare(memory, h, maps) for task in (hands, plus, ours) for h in task.haystacks}
        model = {"name": memory.embedder.name, "revision": memory.embedder.revision}
    sets["own pairs"]["mechanisms"]["centred, map of own pairs"] = None  # it was learned from them
    return {"data": plus.source | {"pairs": hands.source}, "embedder": model, "sets": sets}

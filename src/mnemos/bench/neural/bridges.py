"""Ideas of neural memories tried on a space's vectors, in recall of evidence against what is there: `mnemos bench bridges`.

- `read`: turns ranked by a Hopfield read of all vectors instead of by the cosine: the question moves to softmax(beta q X) X, with
  beta fixed or by the rule of condensation (arXiv 2408.05807), wholly or by a fifth; and by keys that are decorrelated
  (arXiv 2501.02950).
- `cut`: episodes of at most 40 turns, ranked by their means, cut by the surprise of `episodes`, by that of a linear memory that
  learns at test time to say the next turn (Titans, arXiv 2501.00663), and in windows of equal length; and how well cuts
  find where sessions begin.
- `write`: only the more surprising half of the turns is kept (arXiv 2508.10824), by either surprise, beside a random half.

LoCoMo's development half: settings are chosen on two of its conversations, and the three others are beside them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.parts import Row, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text.locomo import load
from mnemos.bench.text.task import Haystack
from mnemos.system import Mnemos
from mnemos.text.consolidate.episodes import Episodes
from mnemos.text.recall.names import without_speakers
from mnemos.text.recall.whitened import whiten

Floats = NDArray[np.float64]
CHOSEN, OTHERS = ("conv-26", "conv-30"), ("conv-41", "conv-42", "conv-43")
PARTS = {"read": "ranking", "cut": "episodes by", "write": "kept"}
TURNS, SLACK = 40, 2  # turns of the episodes that are looked at; turns by which a cut may miss the begin of a session


@dataclass(frozen=True)
class Options:
    """The data, and what embeds it."""

    data: Path  # locomo10.json
    embedder: str = "bundled"  # what makes the vectors
    seed: int = 0  # of the random half


class Talk(NamedTuple):
    """A conversation: its vectors (T, D), the ids and sessions of its turns, and its questions (Q, D) with their evidence."""

    vectors: Floats
    ids: Sequence[str]
    sessions: Sequence[str | None]
    questions: Floats
    evidence: Sequence[Sequence[str]]


def talk(haystack: Haystack, memory: Mnemos) -> Talk:
    """Return a conversation as a space holds it."""
    space = memory.space(haystack.name)
    space.add_many(haystack.messages, reconcile=False)
    corpus, embedder = space.text.corpus(), space.text.embedder
    if corpus is None or embedder is None:
        raise AssertionError("a space with turns has vectors")
    by_key = space.text.store.by_key(corpus.keys.tolist())
    cubes = [by_key[key] for key in corpus.keys.tolist()]
    asked = embedder.embed([without_speakers(q.text, corpus) for q in haystack.questions])
    gold = [q.gold["turn"] for q in haystack.questions]
    return Talk(
        unit(corpus.vectors.rows), [c.id for c in cubes], [c.session for c in cubes], unit(np.asarray(asked)), gold
    )


def unit(rows: NDArray[Any]) -> Floats:
    """Return rows of length 1."""
    wide = np.asarray(rows, dtype=np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-9))


def found_of(scores: Floats, given: Talk, k: int) -> list[float]:
    """Return the share of each question's evidence among the k turns with the best scores (Q, T)."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return [
        len({given.ids[i] for i in row} & set(gold)) / len(gold)
        for row, gold in zip(best, given.evidence, strict=True)
    ]  # fmt: skip


def hopfield(given: Talk, beta: float | None, share: float) -> Floats:
    """Return scores of turns for questions that went `share` of the way to what a Hopfield read returns."""
    import torch

    from mnemos.neural.associative.hopfield import Hopfield
    from mnemos.neural.associative.temperature import read_temperature

    keys, cues = torch.from_numpy(given.vectors), torch.from_numpy(given.questions)
    net = Hopfield(keys.shape[1], beta=read_temperature(keys, cues) if beta is None else beta)
    net.store(keys)
    moved = (1 - share) * given.questions + share * unit(net.recall(cues).numpy())
    return unit(moved) @ given.vectors.T


def whitened(given: Talk, shrink: float) -> Floats:
    """Return scores by whitened keys."""
    keys, cues = whiten(given.vectors.astype(np.float32), given.questions.astype(np.float32), shrink)
    return np.asarray(cues @ keys.T, dtype=np.float64)


RANKINGS: dict[str, Callable[[Talk], Floats]] = {
    "cosine": lambda t: t.questions @ t.vectors.T,
    "Hopfield read, beta 10": lambda t: hopfield(t, 10.0, 1.0),
    "Hopfield read, beta 100": lambda t: hopfield(t, 100.0, 1.0),
    "Hopfield read, beta by condensation": lambda t: hopfield(t, None, 1.0),
    "a fifth of that": lambda t: hopfield(t, None, 0.2),
    "decorrelated keys, shrink 1": lambda t: whitened(t, 1.0),
    "decorrelated keys, shrink 10": lambda t: whitened(t, 10.0),
}


def read(talks: Sequence[Talk]) -> dict[str, dict[str, float]]:
    """Return the evidence among the first 5 and 10 turns by what ranks them."""
    return {
        name: {f"first {k}": mean(found_of(rank(t), t, k) for t in talks) for k in (5, 10)}
        for name, rank in RANKINGS.items()
    }


def surprises(vectors: Floats, rate: float = 0.3, momentum: float = 0.5, forget: float = 0.0) -> Floats:
    """Return how far off a linear memory is that reads turns (T, D) and learns, after each, to say it from the one before.

    S = momentum S - rate (M k - v) k^T, M = (1 - forget) M + S, and the surprise is |M k - v|: what Titans calls so is the
    gradient, which is as long for keys of length 1.
    """
    M = np.zeros((vectors.shape[1],) * 2)
    S, found = np.zeros_like(M), [0.0]
    for key, value in pairwise(vectors):
        missed = M @ key - value
        found.append(float(np.linalg.norm(missed)))
        S = momentum * S - rate * np.outer(missed, key)
        M = (1 - forget) * M + S
    return np.array(found)


@dataclass(frozen=True, slots=True)
class LearnedSurprise(Episodes):
    """`episodes` with the surprise of a linear memory that learns at test time."""

    def _surprising(self, rows: Floats, gaps: set[int]) -> list[int]:
        cuts: list[int] = []
        recent: list[float] = []
        for turn, surprise in enumerate(surprises(rows)):
            known = np.array(recent[-self.window :])
            late = len(known) >= self.shortest and surprise > known.mean() + self.gamma * known.std() + 1e-9
            if late and turn - (cuts or [0])[-1] >= self.shortest:
                cuts.append(turn)
            recent += [surprise] if turn else []
        return cuts


def cut(talks: Sequence[Talk]) -> dict[str, dict[str, float]]:
    """Return the evidence in the first episodes of 40 turns, their length, and how cuts agree with the begins of sessions."""
    plain = Episodes(gap=float("inf"))
    ways: dict[str, Callable[[Talk], list[int]]] = {
        "mean of the episode": lambda t: edges(plain, t),
        "mean of the episode, cuts not moved": lambda t: edges(replace(plain, refine=False), t),
        "memory that learns": lambda t: edges(LearnedSurprise(gap=float("inf")), t),
        "memory that learns, cuts not moved": lambda t: edges(LearnedSurprise(gap=float("inf"), refine=False), t),
        "windows of 8": lambda t: list(range(0, len(t.ids), 8)),
        "windows of 10": lambda t: list(range(0, len(t.ids), 10)),
    }
    return {name: compared(way, talks) for name, way in ways.items()}


def edges(how: Episodes, given: Talk) -> list[int]:
    """Return where episodes begin."""
    return [start for start, _ in how.cut(given.vectors, np.zeros(len(given.ids)))]


def compared(way: Callable[[Talk], list[int]], talks: Sequence[Talk]) -> dict[str, float]:
    """Return the figures of one way to cut."""
    evidence, lengths, agreed = [], [], []
    for t in talks:
        starts = way(t)
        parts = [range(a, b) for a, b in pairwise([*starts, len(t.ids)])]
        evidence.append(in_episodes(parts, t))
        lengths.append([len(part) for part in parts])
        agreed.append([agreement(starts[1:], [i for i in range(1, len(t.ids)) if t.sessions[i] != t.sessions[i - 1]])])
    return {
        "in 40 turns": mean(evidence),
        "turns of an episode, mean": mean(lengths),
        "begins of sessions, F1": mean(agreed),
    }


def in_episodes(parts: Sequence[range], given: Talk) -> list[float]:
    """Return the share of each question's evidence in the best episodes, as many as 40 turns hold, and one at least."""
    means = unit(np.stack([given.vectors[list(part)].mean(0) for part in parts]))
    found = []
    for scores, gold in zip(given.questions @ means.T, given.evidence, strict=True):
        seen: list[int] = []
        for best in np.argsort(-scores):
            if seen and len(seen) + len(parts[best]) > TURNS:
                break
            seen += parts[best]
        found.append(len({given.ids[i] for i in seen} & set(gold)) / len(gold))
    return found


def agreement(cuts: Sequence[int], sessions: Sequence[int]) -> float:
    """Return F1 of cuts against begins of sessions, each near enough to one of the others."""
    hit = sum(any(abs(c - s) <= SLACK for c in cuts) for s in sessions) / max(len(sessions), 1)
    right = sum(any(abs(c - s) <= SLACK for s in sessions) for c in cuts) / max(len(cuts), 1)
    return 2 * hit * right / max(hit + right, 1e-9)


def write(talks: Sequence[Talk], seed: int) -> dict[str, dict[str, float]]:
    """Return the evidence among the first 10 turns when half of the turns were kept."""
    rng = np.random.default_rng(seed)

    def nearest(t: Talk) -> Floats:
        """Return 1 - the cosine to the nearest earlier turn."""
        near = np.tril(t.vectors @ t.vectors.T, -1) - 2 * np.triu(np.ones((len(t.ids),) * 2))
        return np.asarray(1 - near.max(1))

    ways: dict[str, Callable[[Talk], Floats] | None] = {
        "everything": None,
        "half, far from all before": nearest,
        "half, surprising a memory that learns": lambda t: surprises(t.vectors),
        "half, at random": lambda t: rng.random(len(t.ids)),
    }
    found = {}
    for name, way in ways.items():
        shares = []
        for t in talks:
            scores = t.questions @ t.vectors.T
            if way is not None:
                worth = way(t)
                scores[:, worth < np.median(worth)] = -2
            shares.append(found_of(scores, t, 10))
        found[name] = {"first 10": mean(shares)}
    return found


def mean(shares: Iterable[Sequence[float]]) -> float:
    """Return the mean over all questions of all conversations."""
    return float(np.mean([share for part in shares for share in part]))


@benchmark(
    "bridges",
    help="Hopfield reads, decorrelated keys and learned surprise on a space's vectors, in recall of LoCoMo's evidence.",
    options=Options,
    tables={f"bridges-{part}": table(part, head) for part, head in PARTS.items()},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part on the conversations that settings were chosen on, and on the others."""
    task = load(options.data)
    progress.expect(2)
    rows: dict[str, dict[str, Row]] = {part: {} for part in PARTS}
    for label, names in (("chosen on", CHOSEN), ("others", OTHERS)):
        with (
            tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
            Mnemos(root, embedder=options.embedder) as memory,
        ):
            talks = [talk(h, memory) for h in task.haystacks if h.name in names]
        for part, found in (("read", read(talks)), ("cut", cut(talks)), ("write", write(talks, options.seed))):
            for name, row in found.items():
                rows[part].setdefault(name, {}).update({column(c, label): value for c, value in row.items()})
        progress(1)
    return {"data": task.source, "parts": rows}


def column(name: str, conversations: str) -> str:
    """Return the name of a column; shares end with "%"."""
    return f"{name}, {conversations}" + ("" if name.endswith(("mean", "F1")) else " %")

"""A chain of statements of the same: which of them held at a moment, by when they began and what came in for what."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from mnemos.cube import MemCube, to_micros
from mnemos.index.terms import stop_terms, terms
from mnemos.text.recall.held import EVER, Held
from mnemos.text.recall.judgement import Statement, by_vectors, by_words, judge
from mnemos.text.recall.telling import READ, read_telling
from mnemos.text.recall.topic import Embed, Floats, likely, links_between

FEATURES = (
    "states",
    "best",
    "no later",
    "none in its place",
    "in its place",
    "comes after",
    "named later",
    "named",
    "ever",
)
SHORT = 30  # words of a text at most whose place another one may take
LEAST = 1e-3  # probability that is told from none
MOST = 3.0  # log-odds of a word of the judgement of pairs that count
LIKELY = 0.2  # probability below which a statement does not count among all of its kind


@dataclass(frozen=True, slots=True)
class Chain:
    """n statements: when each holds, how likely each states what is asked, and what ties each two."""

    times: Sequence[Held]
    chances: Floats  # (n,)
    links: Floats  # (n, n) the rare words that both have
    replaced: Floats  # (n, n) the probability that the second, told later, came in for the first


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads statements for a question."""

    plain: Callable[[str], str]  # a question without the names of speakers
    embed: Callable[[Sequence[MemCube]], Embed]  # what embeds texts, those of some cubes by what is stored

    def likely(self, question: str, cubes: Sequence[MemCube]) -> Floats:
        """Return how likely each cube answers a question, its time aside, (n,)."""
        return likely(self.plain(question), [cube.text for cube in cubes], self.embed(cubes))

    def cosines(self, phrase: str, cubes: Sequence[MemCube]) -> Floats:
        """Return how alike each cube is to a phrase, (n,)."""
        vectors = self.embed(cubes)([self.plain(phrase), *(cube.text for cube in cubes)]).astype(np.float64)
        return np.asarray(vectors[1:] @ vectors[0])

    def chain(self, question: str, cubes: Sequence[MemCube], times: Sequence[Held], chances: Floats) -> Chain:
        """Return the chain that cubes make."""
        return chain_of(self.plain(question), cubes, times, chances, self.embed(cubes))


def chain_of(question: str, cubes: Sequence[MemCube], times: Sequence[Held], chances: Floats, embed: Embed) -> Chain:
    """Return the chain of n cubes. Costs 50 us for each two of those that may state what is asked."""
    texts = [cube.text for cube in cubes]
    asked = frozenset(terms(question)) - stop_terms()
    links = links_between(asked, [frozenset(terms(text[:1_000])) - stop_terms() for text in texts])
    vectors = embed([question, *texts]).astype(np.float64)
    q, replaced = read_telling(question), np.zeros_like(links)
    said = [
        Statement(
            read_telling(text[:READ]), to_micros(cube.at), (cube.speaker, cube.role, cube.source), cube.session, vector
        )
        for text, cube, vector in zip(texts, cubes, vectors[1:], strict=True)
    ]
    weigh = judge("newer", vectors=True).weigh
    for i, x in enumerate(said):
        for j, y in enumerate(said):
            if times[i].start < times[j].start and max(len(x.told.words), len(y.told.words)) <= SHORT:
                found = by_words(question, q, x, y)
                found |= by_vectors(found, vectors[0], vectors[1 + i], vectors[1 + j])
                replaced[i, j] = 1 / (1 + np.exp(-np.clip(weigh(found), -MOST, MOST)))
    return Chain(times, chances, links, replaced)


def features(chain: Chain, moment: int) -> tuple[Floats, Floats]:
    """Return the features of each statement at a moment, (n, F), and which had begun and were not over, (n,)."""
    n, chances = len(chain.times), np.clip(chain.chances, LEAST, 1 - LEAST)
    start = np.array([t.start for t in chain.times])
    closed = np.array([t.named and t.end is not None for t in chain.times])
    holds = np.array([t.start <= moment and (t.end is None or moment < t.end) for t in chain.times])
    begun = start <= moment
    table = np.zeros((n, len(FEATURES)))
    best = max((float(chances[i]) for i in range(n) if holds[i]), default=1.0)
    for i in range(n):
        later = [j for j in range(n) if begun[j] and start[j] > start[i] and not closed[j]]
        earlier = [j for j in range(n) if start[j] < start[i]]
        after = [j for j in range(n) if start[j] > moment]
        sure = [j for j in range(n) if j != i and closed[j] and holds[j]]
        table[i] = (
            np.log(chances[i] / (1 - chances[i])),
            np.log(chances[i] / best),
            sum(np.log(1 - chances[j]) for j in (*later, *sure)) if not closed[i] else 0.0,
            sum(np.log(1 - chances[j] * chain.replaced[i, j]) for j in later) if not closed[i] else 0.0,
            max((chances[j] * chain.replaced[j, i] for j in earlier), default=0.0),
            max((chances[j] * chain.links[j, i] for j in earlier), default=0.0),
            max((chances[j] * chain.links[i, j] for j in after), default=0.0),
            float(closed[i]),
            float(chain.times[i].start == EVER),
        )
    return table, holds


def held_at(chain: Chain, moment: int) -> Floats:
    """Return the probability of each statement that it is what was so at a moment, (n,); the rest is that none is."""
    table, holds = features(chain, moment)
    weights, bias = _model()
    odds = np.where(holds, np.exp(np.clip(table @ weights + bias, -30, 30)), 0.0)
    return np.asarray(odds / (1 + odds.sum()))


def placed(chain: Chain, order: int) -> Floats:
    """Return how likely each of n statements is at a place among all of its kind, (n,).

    0 is the first, -2 the one before the last.
    """
    start = np.array([t.start for t in chain.times])
    likely = np.where(chain.chances < LIKELY, 0.0, chain.chances)
    found = np.zeros(len(likely))
    for i in range(len(likely)):
        others = likely[start < start[i]] if order >= 0 else likely[start > start[i]]
        count = np.zeros(len(others) + 1)
        count[0] = 1.0
        for p in others:  # Poisson binomial: how many of the others state it, too
            count[1:] = count[1:] * (1 - p) + count[:-1] * p
            count[0] *= 1 - p
        place = order if order >= 0 else -order - 1
        found[i] = chain.chances[i] * (count[place] if place < len(count) else 0.0)
    return found


@cache
def _model() -> tuple[Floats, float]:
    found = json.loads(resources.files("mnemos.text.recall").joinpath("chain.json").read_text(encoding="utf-8"))
    return np.array([found["weights"][name] for name in FEATURES]), float(found["bias"])

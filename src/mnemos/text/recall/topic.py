"""How likely each of a few statements is to state what a question asks for, whenever it was so."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from mnemos.index.terms import stop_terms, terms
from mnemos.reason.certain import is_new
from mnemos.text.recall.telling import KINDS, read_telling

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
FEATURES = (
    "cosine", "cosine_gap", "shared", "near", "linked", "linked, change", "linked to any", "asks", "first_person", "new",
    *(f"{kind}" for kind in KINDS), "of_named", "did", "numbers, counted", "others", "others missing",
)  # fmt: skip
NEAR = 0.1  # difference in cosine by which a text counts less by a factor of e
MOST = 1.5  # weight of the words that two texts share, at most
READ = 1_000  # characters of a text whose words are compared
CUES = 2  # cues of a kind that count
_ME = re.compile(r"\b(?:i|my|me|we|our|i['\u2019]m|i['\u2019]ve)\b", re.IGNORECASE)
_COUNT = re.compile(
    r"\b(?:when|how (?:much|many|old|long|tall|heavy|far)|what (?:time|size|date)|number|pin|port|code|price|rent|salary|fee)\b",
    re.IGNORECASE,
)


def likely(question: str, texts: Sequence[str], embed: Embed) -> Floats:
    """Return the probability for each of n texts that it answers a question, (n,), whatever time it is of.

    A logistic model: likeness to the question, absolute and beside the others'; rare words shared with those that are like
    it, since "left Cardiff, we're in Ludlow now" is of the same as "Cardiff it is"; and how it is told (see `telling`).
    Fitted by benchmarks/fit/topic.py on statements that people wrote. Costs n^2 dot products and the terms of the
    texts, 0.6 ms for twelve.
    """
    weights, bias = _model()
    return np.asarray(1 / (1 + np.exp(-(features(question, texts, embed) @ weights + bias))))


def features(question: str, texts: Sequence[str], embed: Embed) -> Floats:
    """Return the features of n texts, (n, F), in the order of FEATURES."""
    vectors = embed([question, *texts]).astype(np.float64)
    cosines = vectors[1:] @ vectors[0]
    gap = cosines - cosines.max()
    alike = np.exp(gap / NEAR)
    asked, said = _content(question), [_content(text) for text in texts]
    beside = vectors[1:] @ vectors[1:].T
    np.fill_diagonal(beside, 0.0)
    links = links_between(asked, said)
    q, told = read_telling(question), [read_telling(text) for text in texts]
    cues = np.minimum(np.array([one.cues for one in told]), CUES)
    change = cues[:, KINDS.index("now")] + cues[:, KINDS.index("over")] > 0
    counts = _COUNT.search(question) is not None
    columns = [
        cosines,
        gap,
        np.array([len(asked & words) / max(len(asked), 1) for words in said]),
        (beside * alike).max(1),
        (links * alike).max(1),
        (links * alike).max(1) * change,
        links.max(1),
        np.array(["?" in text for text in texts]),
        np.array([_ME.search(text) is not None for text in texts]),
        np.array([is_new(text, 0, len(text)) for text in texts]),
        *cues.T,
        np.array([one.of_named for one in told]),
        np.array([one.did for one in told]),
        np.array([counts and one.numbers for one in told]),
        np.array([not one.people <= q.people for one in told]),
        np.array([not q.people <= one.people for one in told]),
    ]
    return np.stack([column.astype(np.float64) for column in columns], 1)


def links_between(asked: frozenset[str], said: Sequence[frozenset[str]]) -> Floats:
    """Return how much each two of n texts share beyond what is asked, (n, n): each word counts one over its other texts."""
    counts = Counter(word for words in said for word in words)
    links = np.zeros((len(said), len(said)))
    for i, a in enumerate(said):
        for j, b in enumerate(said[:i]):
            shared = (a & b) - asked
            links[i, j] = links[j, i] = min(sum(1 / (counts[word] - 1) for word in shared), MOST)
    return links


def _content(text: str) -> frozenset[str]:
    return frozenset(terms(text[:READ])) - stop_terms()


@cache
def _model() -> tuple[Floats, float]:
    found = json.loads(resources.files("mnemos.text.recall").joinpath("topic.json").read_text(encoding="utf-8"))
    return np.array([found["weights"][name] for name in FEATURES]), float(found["bias"])

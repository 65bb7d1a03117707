"""How likely each of a few statements is to state what a question asks for, whenever it was so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from mnemos.index.terms import stop_terms, terms
from mnemos.reason.certain import is_new

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
FEATURES = ("cosine", "cosine_gap", "shared", "near", "linked", "asks", "first_person", "new")
NEAR = 0.1  # difference in cosine by which a text counts less by a factor of e
MOST = 2  # words shared with another text that count
READ = 1_000  # characters of a text whose words are compared
_ME = re.compile(r"\b(?:i|my|me|we|our|i['\u2019]m|i['\u2019]ve)\b", re.IGNORECASE)


def likely(question: str, texts: Sequence[str], embed: Embed) -> Floats:
    """Return the probability for each of n texts that it answers a question, (n,), whatever time it is of.

    A logistic model of eight features: likeness to the question, absolute and beside the others'; likeness to those that
    are like it, and words shared with them, since "left Cardiff, we're in Ludlow now" is of the same as "Cardiff it is".
    Fitted by benchmarks/fit/topic.py on statements that people wrote. Costs n^2 dot products and the terms of the
    texts, 0.2 ms for twelve.
    """
    weights, bias = _model()
    return np.asarray(1 / (1 + np.exp(-(features(question, texts, embed) @ weights + bias))))


def features(question: str, texts: Sequence[str], embed: Embed) -> Floats:
    """Return the features of n texts, (n, 8), in the order of FEATURES."""
    vectors = embed([question, *texts]).astype(np.float64)
    cosines = vectors[1:] @ vectors[0]
    gap = cosines - cosines.max()
    asked, said = _content(question), [_content(text) for text in texts]
    beside = vectors[1:] @ vectors[1:].T
    np.fill_diagonal(beside, 0.0)
    links = np.array([[min(len((a & b) - asked), MOST) / MOST for b in said] for a in said])
    np.fill_diagonal(links, 0.0)
    columns = [
        cosines,
        gap,
        np.array([len(asked & words) / max(len(asked), 1) for words in said]),
        (beside * np.exp(gap / NEAR)).max(1),
        (links * np.exp(gap / NEAR)).max(1),
        np.array(["?" in text for text in texts], dtype=float),
        np.array([_ME.search(text) is not None for text in texts], dtype=float),
        np.array([is_new(text, 0, len(text)) for text in texts], dtype=float),
    ]
    return np.stack(columns, 1)


def _content(text: str) -> frozenset[str]:
    return frozenset(terms(text[:READ])) - stop_terms()


@cache
def _model() -> tuple[Floats, float]:
    found = json.loads(resources.files("mnemos.text.recall").joinpath("topic.json").read_text(encoding="utf-8"))
    return np.array([found["weights"][name] for name in FEATURES]), float(found["bias"])

"""Cues: how far words and meaning can be trusted for this question in this space.

None needs a label. Each is between 0 and 1, and does not depend on a single cube.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.contrast import Standing
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.query import Query

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
HALF_LENGTH = 40.0  # terms of the median message at which brevity is one half
SMALL = 32  # cubes at which `few` is one half
TOP = 10  # hits that are compared
CUES = (
    "brevity", "talks", "coverage_best", "words_gap", "words_known", "asks", "length", "turns_agree", "moments_agree",
    "few", "question_known", "texts_known", "cosine_peak", "cosine_of_words",
)  # fmt: skip
VECTOR_CUES = frozenset({"question_known", "texts_known", "cosine_peak", "cosine_of_words"})


def brevity(corpus: Corpus) -> float:
    """Return the brevity of the messages of a space: 1 / (1 + median length in terms / 40)."""
    return 1 / (1 + corpus.layout().median_length / HALF_LENGTH)


def cues(
    corpus: Corpus,
    query: Query,
    found: Mapping[str, Floats],
    best: Ints,  # the best cubes by words
    known: float,  # share of the question's weight in words that the space has
    cosines: Standing | None,
) -> dict[str, float]:
    """Return the cues by name. Cost: a few microseconds, once the signals are there.

    `words_gap` is how far the best cube by words is ahead of the next nine. `turns_agree` and `moments_agree` say whether
    what stands near the best cubes, in their talk or in time, has words of the question too: then neighbours help.
    `cosine_of_words` says how near in meaning the best cubes by words are: near the mean, the vectors know nothing of
    this language, or the words are the wrong ones. `few` tells a space of some statements from a long history: with few
    cubes a word is never rare, and nothing stands out from the mean.
    """
    words, top = found["words"], best[:TOP]
    values = {
        "brevity": brevity(corpus),
        "talks": corpus.layout().in_talks,
        "coverage_best": float(found["coverage"][best].max()) if len(best) else 0.0,
        "words_gap": float(1 - words[top[1:]].mean() / words[top[0]]) if len(top) > 1 else float(len(top)),
        "words_known": known,
        "asks": float(query.asks),
        "length": len(query.content) / (len(query.content) + 6),
        "turns_agree": _agree(corpus, np.maximum(found["bm25_before"], found["bm25_after"]), 2, words, top),
        "moments_agree": _agree(corpus, found["moment_best_bm25"], 6, words, top),
        "few": 1 / (1 + corpus.count / SMALL),
    }
    if cosines is not None:
        values |= {
            "question_known": query.fluency(query.language),
            "texts_known": corpus.fluency(query.fluency),
            "cosine_peak": min(float(cosines.z[cosines.best[:1]].max(initial=0.0)) / 8, 1.0),
            "cosine_of_words": min(max(float(cosines.z[top].mean()) / 4, 0.0), 1.0) if len(top) else 0.0,
        }
    return values


def _agree(corpus: Corpus, near: Floats, places: int, words: Floats, top: Ints) -> float:
    """Return how much more of the question stands near the best cubes than near any, relative to what they have."""
    if not len(top):
        return 0.0
    return min(max(float((near[top].mean() - corpus.mean(near, places)) / words[top].mean()), 0.0), 1.0)

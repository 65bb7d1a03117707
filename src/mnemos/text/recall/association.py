"""Association: what a remark brings to mind without a common word: its cause, a state, a goal, a value.

A remark ("I ended up volunteering for that project") asks for nothing. Its words are not those of the memory that bears
on it ("I am learning to say no"), and what the fusion learned of questions misleads it: such a memory is found by its
vector alone. Vectors of one space share a direction, which says what all of it is like and hides what stands out; it is
taken away (all-but-the-top without its principal components: Mu and Viswanath, arXiv 1702.01417). What was tried beyond
that, maps learned from pairs of cause and effect among it, adds little: `python -m benchmarks fit-association`. The
weight of the signal and `TRUSTED` were chosen on those sets, so that remarks of RealMem and LifeBench (development), which
share words with what they need, lose nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.corpus import Corpus

Floats = NDArray[np.float32]
SHORTEST = 4  # words of a remark; fewer are words to look up
TRUSTED = 3.0  # matched words of a remark with which its words are trusted and 1 / e of the signal is left
_ASKS = re.compile(r"[?\uff1f\u061f\u00bf]")
_OPENS = re.compile(  # a question without its mark, or an order
    r"^\W*(?:(?:so|and|but|ok|okay|hey|hi|hello|well|then|also|now)\W+)*"
    r"(?:who|whom|whose|what|whats|where|which|why|how|is|are|am|was|were|do|does|did|can|could|would|will|shall|should|"
    r"may|might|have|has|tell|show|give|find|list|get|search|look|recall|remember|remind|summari[sz]e|describe|explain|"
    r"compare|name|write|create|make|help|generate|draft|provide|suggest|recommend|please|let's|let me|add|set|change|"
    r"update|check|calculate|translate|define|play|call|book|order|turn|cancel|send|schedule|pay|transfer|"
    r"(?:when|had) (?:is|are|am|was|were|do|does|did|can|could|will|would|should|has|have|had|i|you|we|he|she|they)\b(?!.*,))\b",
    re.I,
)
_REQUESTS = re.compile(
    r"\b(?:please|(?:help|tell|show|give|remind) me|let me know|(?:can|could|would|will) you|i(?:'d| would) like (?:you|to know)|"
    r"i (?:really )?(?:need|want) (?:you|to know)|i(?:'m| am| was) (?:just )?(?:wondering|curious)|i wonder)\b",
    re.I,
)
_SENTENCE = re.compile(  # words that lists of search words do not have
    r"\b(?:i|we|my|our|me|us|he|she|they|it|his|her|their|there|some(?:one|body)|nobody|every(?:one|body)|the|a|an|this|that|"
    r"these|those)\b",
    re.I,
)


def is_remark(text: str, words: Sequence[str]) -> bool:
    """Tell whether an English text tells something instead of asking or ordering; where it is not sure, False."""
    if len(words) < SHORTEST:
        return False
    plain = text.replace("\u2019", "'")
    asks = _ASKS.search(plain) or _OPENS.search(plain) or _REQUESTS.search(plain)
    return not asks and _SENTENCE.search(plain) is not None


def association(corpus: Corpus, cosine: Floats, query: Floats, matched: float) -> Floats:
    """Return how far each cube stands out for a remark, (N,): standard deviations of its centred cosine, 0 without vector.

    `matched` is the number of the remark's words that its best cube has: the more, the less is left of the signal. Two
    passes over the vectors more than the cosine, 1 ms for 6,000 cubes.
    """
    vectors, alive = corpus.vectors, corpus.alive
    known = vectors.present & alive
    count = np.count_nonzero(known)
    if count < 2:
        return np.zeros(len(cosine), dtype=np.float32)
    rows = vectors.rows
    mean = corpus.centre()
    mean = (rows.sum(axis=0) - rows[~alive].sum(axis=0)) / np.float32(count) if mean is None else mean
    towards, square = np.vecdot(rows, mean), np.vecdot(mean, mean)
    unit = np.asarray(query, dtype=np.float32) / np.float32(max(float(np.linalg.norm(query)), 1e-9))
    length = np.sqrt(np.maximum(1 - 2 * towards + square, 1e-6))
    centred = (cosine - towards - np.vecdot(unit, mean) + square) / length
    spread = float(centred[known].std())
    share = np.exp(-((matched / TRUSTED) ** 2)) / max(spread, 1e-6)
    found: Floats = np.where(known, (centred - centred[known].mean()) * share, 0).astype(np.float32)
    return found

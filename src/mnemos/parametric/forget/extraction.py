"""Extraction audit: how much of a text a model says by heart when it is given the beginning.

The score of a text is the share of its next tokens that are said greedily after its first ones ("Emergent and Predictable
Memorization in Large Language Models", arXiv 2304.11158); a text is memorised where all are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import greedy
from mnemos.parametric.tokens import prompt_ids


@dataclass(frozen=True)
class Extraction:
    """What was extracted of some texts."""

    scores: tuple[float | None, ...]  # share of the next tokens that were said, a text; None: it is too short

    @property
    def mean(self) -> float:
        """The mean share of those texts that are long enough; 0 without any."""
        return fmean(self._measured or [0.0])

    @property
    def memorised(self) -> float:
        """The share of these texts of which all was said."""
        return fmean([score == 1 for score in self._measured] or [0.0])

    @property
    def _measured(self) -> list[float]:
        return [score for score in self.scores if score is not None]


def extract(model: Any, tokenizer: Any, texts: Sequence[str], prefix: int = 32, suffix: int = 32) -> Extraction:
    """Return what a model says of texts after `prefix` of their tokens; carriers that are attached count.

    A text of fewer than prefix + suffix tokens has no score. Costs `suffix` calls a batch.
    """
    if prefix < 1 or suffix < 1:
        raise InvalidInput(f"prefix is {prefix} and suffix {suffix}: give 1 token or more of both.")
    coded = [prompt_ids(tokenizer, text) for text in texts]
    long = [i for i, tokens in enumerate(coded) if len(tokens) >= prefix + suffix]
    said = greedy(model, [coded[i][:prefix] for i in long], suffix)
    scores: list[float | None] = [None] * len(coded)
    for i, own in zip(long, said, strict=True):
        true = coded[i][prefix : prefix + suffix]
        scores[i] = fmean(a == b for a, b in zip(own, true, strict=True))
    return Extraction(tuple(scores))

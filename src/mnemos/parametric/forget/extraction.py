"""Extraction audit: how much of a text a model says by heart when it is given the beginning.

The score of a text is the share of its next tokens that are said greedily after its first ones ("Emergent and Predictable
Memorization in Large Language Models", arXiv 2304.11158); a text is memorised where all are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Risk:
    """How much of one kind of text a model gives away."""

    extraction: Extraction
    control: Extraction | None  # of texts of this kind that it did not learn: what can be guessed

    @property
    def memorised(self) -> float:
        """The share of texts that are said whole, less what can be guessed."""
        return self.extraction.memorised - (self.control.memorised if self.control else 0.0)


def risks(
    model: Any,
    tokenizer: Any,
    texts: Mapping[str, Sequence[str]],
    controls: Mapping[str, Sequence[str]] | None = None,
    prefix: int = 32,
    suffix: int = 32,
) -> dict[str, Risk]:
    """Return the risk of extraction by kind of text, highest first ("Traces of Memorisation in Large Language Models for
    Code", arXiv 2312.11658): data that nobody can guess are as dangerous as they are valuable.

    Ask it of whatever was written to weights, before and after unlearning. `controls` are texts of the same kinds that were not
    learned; a kind that has none counts as one that cannot be guessed.
    """
    controls = controls or {}
    found = {
        kind: Risk(
            extract(model, tokenizer, of, prefix, suffix),
            extract(model, tokenizer, controls[kind], prefix, suffix) if kind in controls else None,
        )
        for kind, of in texts.items()
    }
    return dict(sorted(found.items(), key=lambda each: -each[1].memorised))


@dataclass(frozen=True)
class Forecast:
    """How well a cheaper run tells which texts a model memorises."""

    precision: float | None  # share of those forecast that are memorised; None: nothing was forecast
    recall: float | None  # share of those memorised that were forecast; None: nothing is memorised


def forecast(cheap: Extraction, final: Extraction) -> Forecast:
    """Compare what a smaller model, or an earlier state of the model, memorised of the same texts (arXiv 2304.11158)."""
    if len(cheap.scores) != len(final.scores):
        raise InvalidInput(
            f"the forecast is of {len(cheap.scores)} texts and the model of {len(final.scores)}: ask the same."
        )
    pairs = [
        (a == 1, b == 1) for a, b in zip(cheap.scores, final.scores, strict=True) if a is not None and b is not None
    ]
    both, said, true = sum(a and b for a, b in pairs), sum(a for a, _ in pairs), sum(b for _, b in pairs)
    return Forecast(both / said if said else None, both / true if true else None)

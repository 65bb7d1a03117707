"""Recognition and recall of texts by a model: what it knows again, and what it can say by itself.

A text is recognised where it is likelier than a foil, which is like it and was never learned. It is recalled where the
model, given its beginning, goes on with the rest ("Recognition, recall, and retention of few-shot memories in large language
models", arXiv 2303.17557). Retention is both, asked again while the model goes on learning other texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import answer_loss, batches, encode, greedy
from mnemos.parametric.base import Example
from mnemos.parametric.measure import Measure
from mnemos.parametric.tokens import prompt_ids


def recognition(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> Measure:
    """Return the share of pairs (text, foil) whose text is likelier by the token than its foil; ties count half.

    Chance is .5 where a foil differs from its text only in that it was not learned. Carriers that are attached count.
    """
    if not pairs:
        raise InvalidInput("there are no pairs to tell apart: give texts, each with a foil.")
    own = losses(model, tokenizer, [text for text, _ in pairs])
    foils = losses(model, tokenizer, [foil for _, foil in pairs])
    return Measure(fmean((a < b) + 0.5 * (a == b) for a, b in zip(own, foils, strict=True)), len(pairs))


def recall(model: Any, tokenizer: Any, texts: Sequence[str], cue: float = 0.5) -> Measure:
    """Return the share of texts whose rest a greedy model says after the first `cue` of their tokens.

    What texts have in common is said without having been learned: measure texts that were not, too. Costs a call for each
    token of the longest rest.
    """
    if not texts:
        raise InvalidInput("there are no texts to recall.")
    if not 0 < cue < 1:
        raise InvalidInput(f"cue is {cue}: give a share of a text between 0 and 1, such as 0.5.")
    coded = [prompt_ids(tokenizer, text) for text in texts]
    cut = [max(1, min(round(cue * len(tokens)), len(tokens) - 1)) for tokens in coded]
    most = max(len(tokens) - at for tokens, at in zip(coded, cut, strict=True))
    said = greedy(model, [tokens[:at] for tokens, at in zip(coded, cut, strict=True)], most)
    right = [own[: len(t) - at] == t[at:] for own, t, at in zip(said, coded, cut, strict=True)]
    return Measure(fmean(right), len(texts))


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def losses(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[float]:
    """Return the loss of each text, in nats a token."""
    coded = [encode(tokenizer, Example("", text)) for text in texts]
    return [float(loss) for part in batches(coded, 64) for loss in answer_loss(model, part)]

"""Membership audit: can one tell from a model's losses what it was trained on?

A score a text, the higher the more it looks like a member: minus its loss; minus its loss less that of a reference model
that has not seen it (arXiv 2111.08440); the mean log-probability of its least probable tokens (Min-K%, arXiv 2310.16789).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance
from typing import Any, Literal

import torch

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import Encoded, batches, encode, token_losses
from mnemos.parametric.base import Example

Score = Literal["loss", "reference", "min-k"]


@dataclass(frozen=True)
class Membership:
    """How well members are told from others."""

    auc: float  # chance that a member scores higher than another text; .5: they are not told apart
    error: float  # standard error of the AUC
    gap: float  # mean score of members less that of others; of "loss": the likelihood gap, in nats a token

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the AUC."""
        return max(self.auc - 1.96 * self.error, 0.0), min(self.auc + 1.96 * self.error, 1.0)


def audit(
    model: Any,
    tokenizer: Any,
    members: Sequence[Example],
    others: Sequence[Example],
    score: Score = "loss",
    *,
    reference: Any = None,
    share: float = 0.2,
) -> Membership:
    """Return how well a model's losses tell members from others; carriers that are attached count.

    `reference` is a model that has seen neither, for the score of that name; `share` is K of Min-K%. Both kinds of text have
    to be alike in all but membership. Raises InvalidInput where one of them is missing.
    """
    if not members or not others:
        raise InvalidInput("membership is told from two kinds of texts: give members and others.")
    if (score == "reference") != (reference is not None):
        raise InvalidInput(f"score is {score!r}: a reference model is for the score 'reference', which needs one.")
    scores = []
    for examples in (members, others):
        coded = [encode(tokenizer, example) for example in examples]
        own = _scores(model, coded, share if score == "min-k" else 1.0)
        than = [0.0] * len(own) if reference is None else _scores(reference, coded, 1.0)
        scores.append([a - b for a, b in zip(own, than, strict=True)])
    return compare(*scores)


def compare(members: Sequence[float], others: Sequence[float]) -> Membership:
    """Return how well scores tell members from others: the AUC (ties count half), with DeLong's standard error."""
    above = torch.tensor(members, dtype=torch.double)[:, None] - torch.tensor(others, dtype=torch.double)[None]
    wins = (above > 0).double() + 0.5 * (above == 0).double()
    parts = [wins.mean(1).tolist(), wins.mean(0).tolist()]
    error = sum(pvariance(part) / max(len(part) - 1, 1) for part in parts) ** 0.5
    return Membership(float(wins.mean()), error, fmean(members) - fmean(others))


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _scores(model: Any, examples: Sequence[Encoded], share: float) -> list[float]:
    """Return the mean log-probability of the least probable share of the tokens of each answer."""
    found = []
    for part in batches(examples, 64):
        losses, wanted = token_losses(model, part)
        for row, mask in zip(losses, wanted, strict=True):
            worst = row[mask].sort(descending=True).values
            found.append(-float(worst[: max(round(share * len(worst)), 1)].mean()) if len(worst) else 0.0)
    return found

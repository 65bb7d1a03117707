"""What a window costs: how much less likely answers become where the beginning of their context is dropped.

Whoever sees a window only makes an error of at least the conditional mutual information of what comes and what was dropped,
whatever its size; a summary of what was dropped lowers it ("Error Analyses of Auto-Regressive Video Diffusion Models",
arXiv 2503.10704). `truncation` measures it for answers: so a budget of tokens has a price in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import batches, token_losses
from mnemos.parametric.base import Example
from mnemos.parametric.tokens import Row, prompt_ids, row_of

BATCH = 16  # rows that are read at once


@dataclass(frozen=True, slots=True)
class Truncation:
    """The mean loss of an answer in nats, by what is read before it."""

    whole: float
    window: float
    summary: float | None  # of a summary and the window; None without summaries

    @property
    def cost(self) -> float:
        """What is lost by the window: an estimate of the information on the answer in what was dropped."""
        return self.window - self.whole

    @property
    def regained(self) -> float:
        """The share of the cost that summaries give back. Raises InvalidInput without summaries, or where nothing was lost."""
        if self.summary is None or self.cost <= 0:
            raise InvalidInput(
                f"the window cost {self.cost:g} nats: a share is regained of a cost above 0, with summaries."
            )
        return (self.window - self.summary) / self.cost


def truncation(
    model: Any, tokenizer: Any, examples: Sequence[Example], window: int, summaries: Sequence[str] = ()
) -> Truncation:
    """Return the loss of answers after all of context and prompt, after the last `window` tokens, and after a summary and those.

    `summaries` are texts, one for each example, read before its window. A token that the tokenizer puts before every text stays.
    Raises InvalidInput for no examples, a window below 1, and another number of summaries.
    """
    if not examples or window < 1 or len(summaries) not in {0, len(examples)}:
        raise InvalidInput(
            f"there are {len(examples)} examples, {len(summaries)} summaries and a window of {window}: give examples, a window "
            "of 1 or more, and none or one summary for each."
        )
    whole = [row_of(tokenizer, e.context + e.prompt, e.answer) for e in examples]
    begun = tuple(prompt_ids(tokenizer, ""))
    cut = [_cut(row, window, begun if row.ids[: len(begun)] == begun else ()) for row in whole]
    told = [_cut(row, window, prompt_ids(tokenizer, of)) for row, of in zip(whole, summaries, strict=False)]
    lost = _loss(model, told) if told else None
    return Truncation(_loss(model, whole), _loss(model, cut), lost)


def _cut(row: Row, window: int, before: Sequence[int]) -> Row:
    """Return the last `window` tokens before the answer, after others; a row that is not longer stays as it is."""
    kept = row.ids[max(len(row.ids) - row.answer - window, 0) :]
    return Row((*before, *kept), row.answer) if len(kept) < len(row.ids) else row


@torch.no_grad()  # type: ignore[untyped-decorator]
def _loss(model: Any, rows: Sequence[Row]) -> float:
    """Return the mean loss of the answers of rows, in nats an answer."""
    coded = [(list(row.ids), len(row.ids) - row.answer) for row in rows]
    return sum(float(token_losses(model, part)[0].sum()) for part in batches(coded, BATCH)) / len(rows)

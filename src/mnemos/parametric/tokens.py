"""Examples as tokens: rows that end alike, so that the logits of their answers are the last ones of a batch.

B rows, T tokens, m tokens of the longest answer, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence of tokens, the last `answer` of which are predicted."""

    ids: tuple[int, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded at their beginning."""

    ids: Tensor  # (B, T)
    mask: Tensor  # (B, T), 0 where padded
    targets: Tensor  # (B, m), the answers, padded at their beginning
    counted: Tensor  # (B, m), whether it is of the answer

    def to(self, device: Any) -> Batch:
        """Return the batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in ("ids", "mask", "targets", "counted")))


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Return the tokens that a model reads for a prompt: with what the tokenizer puts first, and never empty.

    Raises InvalidInput for an empty prompt where the tokenizer has no token to begin a text with.
    """
    ids = [int(i) for i in tokenizer(prompt)["input_ids"]]
    if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if ids:
        return ids
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise InvalidInput(
            "an empty prompt needs a token that begins a text, and this tokenizer has none: give a prompt."
        )
    return [int(first)]


def answer_ids(tokenizer: Any, answer: str) -> list[int]:
    """Return the tokens of an answer alone. Raises InvalidInput where it has none."""
    ids = [int(i) for i in tokenizer(answer, add_special_tokens=False)["input_ids"]]
    if not ids:
        raise InvalidInput(f"the answer {answer[:60]!r} has no tokens: nothing would be learned.")
    return ids


def row_of(tokenizer: Any, prompt: str, answer: str) -> Row:
    """Return the tokens of a prompt and of its answer."""
    said = answer_ids(tokenizer, answer)
    return Row((*prompt_ids(tokenizer, prompt), *said), len(said))


def padded(rows: Sequence[Row], pad: int) -> Batch:
    """Return rows as a batch."""
    width, most = max(len(row.ids) for row in rows), max(row.answer for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    counted = torch.zeros(len(rows), most, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, width - len(row.ids) :] = torch.tensor(row.ids)
        mask[i, width - len(row.ids) :] = 1
        counted[i, most - row.answer :] = True
    return Batch(ids, mask, ids[:, width - most :], counted)


def pad_of(tokenizer: Any) -> int:
    """Return a token to pad with; which one does not matter, since it is masked."""
    found = (i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if i is not None)
    return int(next(found))


def logits_of(model: Any, batch: Batch) -> Tensor:
    """Return what the model expects in the place of every token of the answers, (B, m, V), in float32."""
    batch = batch.to(model.device)
    more: dict[str, Any] = {}
    if "position_ids" in inspect.signature(model.forward).parameters:
        more["position_ids"] = (batch.mask.cumsum(-1) - 1).clamp_min(0)
    most = batch.targets.shape[1]
    logits: Tensor = model(
        batch.ids, attention_mask=batch.mask, use_cache=False, logits_to_keep=most + 1, **more
    ).logits
    return logits[:, -most - 1 : -1].float()

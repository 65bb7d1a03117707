"""SentenceKV: the past in sentences, each found by its mean key, and read until the next sentence begins.

Dimension letters are those of `recall.base`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.recall.base import Search
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.events import ended
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "sentencekv",
    papers=(
        Paper(
            "SentenceKV: Efficient LLM Inference via Sentence-Level Semantic KV Caching",
            "2504.00970",
            code="zzbright1998/SentenceKV",
        ),
    ),
)
@dataclass(frozen=True)
class SentenceKV(Blocks):
    """Cuts sentences instead of blocks, and reads the best of them, up to `tokens`, while a sentence is written.

    A sentence ends at one of the token ids `ends` (or at `size` tokens). Each head ranks sentences by mean query · mean
    key when a sentence begins to be written, by the queries since the one before began, loads them whole and keeps them
    until it ends; a sentence that no longer fits is left out, and `top` is the most of them.

    Deviations: nothing of the prompt is evicted in advance (the paper's semantic budget), all of it is on the slow
    tier; a prompt is read under the same budget, `step` tokens a choice; the fast tier holds copies of sentences.
    """

    ends: tuple[int, ...] = ()  # token ids that end a sentence
    tokens: int = 128  # entries of the sentences that are read
    local: int = 32  # latest entries that are always read
    sinks: int = 32  # first entries that are always read
    step: int = 32  # queries of a prompt that choose together
    each_head: bool = True  # each key/value head chooses for itself

    needs_tokens: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ends:
            raise InvalidInput("ends is empty: give the token ids that end a sentence, such as those of . ! and ?")

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return the lengths of the sentences that have ended, for each row."""
        tokens = setup.transcript().tokens
        assert tokens is not None
        return ended(tokens[:, first : first + keys.shape[2]], self.ends, self.size)

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean key of each sentence."""
        mean = (keys * seen[..., None]).sum(3, keepdim=True) / seen.sum(3).clamp(min=1)[..., None, None]
        return mean, torch.ones(mean.shape[:4], dtype=torch.bool, device=keys.device)

    def score(self, logits: Tensor) -> Tensor:
        """Return mean query · mean key of each head: the mean over a group's queries is that of q · k."""
        return logits.sum((2, 5)).mean(2)

    def select(self, search: Search) -> Tensor:
        """Return the sentences to read: chosen when a sentence begins to be written, kept until that of a row ends.

        The query is the mean of those since the last choice, the current one included. `memory["loaded"]` counts how
        often sentences were chosen.
        """
        turned, memory = search.turned, search.memory
        if turned.shape[2] > 1:  # text is being read
            memory.clear()
            return self._filled(search.worth(turned), search.sizes)
        total, count = memory.get("asked", (torch.zeros_like(turned), 0))
        memory["asked"] = (total + turned, count + 1)
        tokens = search.setup.transcript().tokens
        assert tokens is not None
        ended = torch.isin(tokens[:, search.position - 1], torch.tensor(self.ends, device=tokens.device))
        if bool(ended.any()) or "kept" not in memory:
            loaded = memory.get("loaded", 0) + 1
            kept = self._filled(search.worth((total + turned) / (count + 1)), search.sizes)
            memory.clear()
            memory.update(kept=kept, loaded=loaded)
        kept_: Tensor = memory["kept"]
        return kept_

    def _filled(self, worth: Tensor, sizes: Tensor) -> Tensor:
        """Return the best sentences that fit into `tokens`, (B, H, k), -1 where none."""
        best = worth.topk(min(self.top, worth.shape[2]), dim=2)
        sizes = sizes[:, None].expand(-1, worth.shape[1], -1).gather(2, best.indices)
        chosen = best.indices.clone()
        room = torch.full(sizes.shape[:2], self.tokens, device=sizes.device)
        for i in range(sizes.shape[2]):
            fits = (sizes[:, :, i] <= room) & (best.values[:, :, i] > float("-inf"))
            room = room - sizes[:, :, i] * fits
            chosen[:, :, i] = torch.where(fits, chosen[:, :, i], -1)
        return chosen

"""SentenceKV: a past in sentences, each found by its mean key, and kept at hand until the next sentence begins."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.method import Setup
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.blockstore import BlockStore, lengths
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "sentencekv",
    papers=(Paper("SentenceKV: Efficient LLM Inference via Sentence-Level Semantic KV Caching", "2504.00970"),),
)
@dataclass(frozen=True)
class SentenceKV(Blocks):
    """Sentences instead of blocks: ranked by mean query · mean key, loaded whole until `tokens` are there, for a sentence.

    A sentence ends at one of the token ids `ends` (or at `size` tokens). Each head loads its best sentences when a
    sentence begins to be written, by the mean query since the one before began, and keeps them until it ends; a
    sentence that no longer fits is left out. `top` is the most sentences. Departures: nothing of the prompt is thrown
    away beforehand (the paper's semantic budget), all of it is on the slow tier; a prompt is read under the same
    budget, `step` tokens a choice; the fast tier keeps copies of sentences.
    """

    ends: tuple[int, ...] = ()
    tokens: int = 128
    local: int = 32
    sinks: int = 32
    step: int = 32
    each_head: bool = True

    needs_tokens = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ends:
            raise InvalidInput("ends is empty: give the token ids that end a sentence, such as those of . ! and ?")

    def __call__(self, setup: Setup) -> BlockStore:
        """Return the store of one layer."""
        return SentenceStore(self, setup)

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return the lengths of the sentences that are over, for each row."""
        ids = setup.transcript().tokens[:, first : first + keys.shape[2]]
        over = torch.isin(ids, torch.tensor(self.ends, device=ids.device))
        rows = [[0, *(int(t) + 1 for t in row.nonzero()[:, 0])] for row in over]
        end = min(row[-1] for row in rows)
        if end == 0:
            end = keys.shape[2] // self.size * self.size
        return [lengths([b for b in row if b < end] + [end], self.size) if end else [] for row in rows]

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean key of each sentence."""
        mean = (keys * seen[..., None]).sum(3, keepdim=True) / seen.sum(3).clamp(min=1)[..., None, None]
        return mean, torch.ones(mean.shape[:4], dtype=torch.bool, device=keys.device)

    def score(self, logits: Tensor) -> Tensor:
        """Return mean query · mean key of each head (the mean over the queries of a group and a call is that of q · k)."""
        return logits.sum((2, 5)).mean(2)


class SentenceStore(BlockStore):
    """One layer of `SentenceKV`. `loaded` counts how often sentences were chosen."""

    blocks: SentenceKV
    loaded = 0

    def choose(self, query: Tensor) -> Tensor:
        """Return the sentences to load: chosen when a sentence begins to be written, kept until that of a row ends.

        The mean is that of the queries since the last choice, the current one among them.
        """
        turned = self.turned(query)
        if query.shape[2] > 1:  # text being read
            self.memory = {}
            return self._filled(self.worth(turned))
        total, count = self.memory.get("asked", (torch.zeros_like(turned), 0))
        self.memory["asked"] = (total + turned, count + 1)
        before = self.setup.transcript().tokens[:, self.first + len(self.near or ()) - 2]
        ended = torch.isin(before, torch.tensor(self.blocks.ends, device=before.device))
        if bool(ended.any()) or "kept" not in self.memory:
            self.loaded += 1
            self.memory = {"kept": self._filled(self.worth((total + turned) / (count + 1)))}
        kept: Tensor = self.memory["kept"]
        return kept

    def _filled(self, worth: Tensor) -> Tensor:
        """Return the best sentences that fit into `tokens`, (B, H, k), -1 where none."""
        best = worth.topk(min(self.blocks.top, worth.shape[2]), dim=2)
        sizes = self.sizes[:, None].expand(-1, worth.shape[1], -1).gather(2, best.indices)
        chosen = best.indices.clone()
        room = torch.full(sizes.shape[:2], self.blocks.tokens, device=sizes.device)
        for i in range(sizes.shape[2]):
            fits = (sizes[:, :, i] <= room) & (best.values[:, :, i] > float("-inf"))
            room = room - sizes[:, :, i] * fits
            chosen[:, :, i] = torch.where(fits, chosen[:, :, i], -1)
        return chosen

"""SentenceKV: the past in sentences, each found by its mean key, and read until the next sentence begins.

Dimension letters are those of `recall.base`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mnemos.activation import attention
from mnemos.activation.base import Setup
from mnemos.activation.entries import Entries
from mnemos.activation.recall.base import Search
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.blockstore import BlockStore
from mnemos.activation.recall.events import ended
from mnemos.activation.recall.tiers import FastTier, SlowTier
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

    With `semantic` only so many tokens of a prompt's sentences stay when it ends, those that its last `window` queries
    attend to most (the paper's semantic budget, a multiple of `tokens`); the mean keys are those of what stays.

    Deviations: all heads of a layer keep the same tokens of the prompt; it is read under the budget of `tokens`, `step`
    at a time; the fast tier holds copies of sentences.
    """

    ends: tuple[int, ...] = ()  # token ids that end a sentence
    tokens: int = 128  # entries of the sentences that are read
    local: int = 32  # latest entries that are always read
    sinks: int = 32  # first entries that are always read
    step: int = 32  # queries of a prompt that choose together
    each_head: bool = True  # each key/value head chooses for itself
    semantic: int | None = None  # tokens of a prompt's sentences that stay when it ends; None: all
    window: int = 16  # last queries of a prompt that choose them

    needs_tokens: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ends:
            raise InvalidInput("ends is empty: give the token ids that end a sentence, such as those of . ! and ?")
        if (self.semantic is not None and self.semantic < 1) or self.window < 1:
            raise InvalidInput(f"semantic is {self.semantic} and window {self.window}: give 1 or more.")

    def __call__(self, setup: Setup) -> BlockStore:
        """Return the store of a layer."""
        return BlockStore(self, setup) if self.semantic is None else SemanticStore(self, setup, self.semantic)

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


class SemanticStore(BlockStore):
    """A store of sentences that lets go of the unimportant tokens of a prompt when it ends.

    What stays of the sentences is moved together, right behind the sinks: `gone` tokens are missing before `first`.
    """

    def __init__(self, method: SentenceKV, setup: Setup, budget: int) -> None:
        super().__init__(method, setup)
        self.method, self.budget, self.gone = method, budget, 0
        self.asked: Tensor | None = None  # (B, H*G, w, D), the last queries of the prompt, until it ends
        self.prompt = True

    def read(self, query: Tensor, start: int) -> Entries:
        """Return what the queries attend to; the last ones of a prompt are remembered until it ends."""
        if self.prompt and query.numel():
            past = query if self.asked is None else torch.cat((self.asked, query), 2)
            self.asked = past[:, :, -self.method.window :].detach()
        return super().read(query, start)

    def on_prefill_end(self) -> None:
        """Keep `budget` tokens of the sentences, by the attention of the last queries to all that was read."""
        asked, self.asked, self.prompt = self.asked, None, False
        if asked is None or self.slow.count <= self.budget:
            return
        whole, sinks = self._all(), len(self.sinks or ())
        received = attention.weights(asked, whole, len(whole) - asked.shape[2], self.scaling).sum((1, 2, 3))  # (B, T)
        middle = received[:, sinks : sinks + self.slow.count]
        keep = middle.topk(self.budget, dim=1).indices.sort(1).values  # (B, budget)
        self._rebuild(keep)

    def _rebuild(self, keep: Tensor) -> None:
        """Hold of the sentences only the entries at `keep` (B, n) in the slow tier, as shorter sentences."""
        heads, sinks, before = self.summaries.shape[1], len(self.sinks or ()), self.slow.count
        taken = self.slow.take(keep[:, None].expand(-1, heads, -1)).to(keep.device)
        keys, values = self.slow.split(taken)
        inside = (keep[:, None] >= self.starts[..., None]) & (keep[:, None] < (self.starts + self.sizes)[..., None])
        sizes = [[int(n) for n in row if n] for row in inside.sum(2)]
        self.gone = before - keep.shape[1]
        rank = torch.arange(keep.shape[1], device=keep.device).expand_as(keep)
        keys = self.setup.rotary().shift(keys, (rank - keep)[:, None])
        first, self.first = self.first, sinks + keep.shape[1]  # `_store` reads the positions of entries from it
        self.slow = SlowTier(self.slow.folder)
        self.fast = FastTier(self.blocks.tiers.room, self.blocks.tiers.eviction, self.blocks.tiers.decay)
        self.starts = self.sizes = torch.empty(keep.shape[0], 0, dtype=torch.long, device=keep.device)
        self.summaries = self.present = torch.empty(0)
        super()._store(Entries(keys, values), sizes)
        self.first, self.chosen, self.memory = first, None, {}

    def _store(self, entries: Entries, sizes: list[list[int]]) -> None:
        """Store sentences that end after the prompt, moved to where they follow those that stayed."""
        if self.gone:
            entries.keys = self.setup.rotary().shift(entries.keys, -self.gone)
            self.first -= self.gone
        super()._store(entries, sizes)
        self.first += self.gone

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        self.asked = None if self.asked is None else self.asked[index.to(self.asked.device)]

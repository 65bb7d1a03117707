"""ElasticCache: a prompt's entries are averaged into the nearest that stays; while generating one position is cut."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.consolidate.merge import Merge
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "elastic-cache",
    papers=(
        Paper(
            "Efficient Inference of Vision Instruction-Following Models with Elastic Cache",
            "2407.18121",
            code="liuzuyan/ElasticCache",
        ),
    ),
    task="key-value-known",
    baselines=("streaming-llm", "h2o", "random-eviction", "sliding-window"),
    phase="decode",
)
@dataclass(frozen=True)
class Elastic:
    """Keeps of the prompt what received most attention in sum, the same for all heads; then evicts at a fixed offset.

    While generating nothing is scored: whatever stands `distance` before the end of what stayed of the prompt is
    evicted, so that the first and the latest stay. With `Merge("position", "mean")` what the prompt evicts is averaged
    into the nearest entry that stays, but for the sinks and the last token, as in the paper's code.

    On the small models it answers less than without the averaging, and less than StreamingLLM; on SmolLM2 the averaging
    loses answers, too.
    """

    distance: int = 25  # entries from the end of what stayed of the prompt to the offset

    def __post_init__(self) -> None:
        if self.distance < 1:
            raise InvalidInput(f"distance is {self.distance}: give 1 or more entries.")

    def observe(self, view: LayerView) -> None:
        """Add the attention from the queries of the prompt; afterwards, remember where entries will be evicted."""
        if view.steps:
            view.memory.setdefault("elastic", max(0, len(view.entries) - view.queries - self.distance))
        else:
            view.entries.memory("heavy").add_(view.attention_mass().sum(2).mean(1, keepdim=True))

    def __call__(self, view: LayerView) -> Tensor:
        """Return the sums, (B, H, T), or how far behind the offset entries stand; what stands before it stays."""
        if not view.steps:
            return view.entries.memory("heavy")
        index = torch.arange(len(view.entries), device=view.entries.keys.device) - view.memory["elastic"]
        return torch.where(index < 0, len(view.entries), index).float().expand(view.entries.keys.shape[:3])

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by summed attention, averaging in what is evicted, then at a fixed offset."""
        return CacheMethod(
            Elastic(), prompt=share, decode=share, sinks=4, recent=1, on_evict=PromptMerge("position", "mean")
        )


@dataclass(frozen=True)
class PromptMerge(Merge):
    """Merges what the prompt evicts; while generating, evicted entries are dropped. Nothing is merged into the sinks."""

    sinks: int = 4  # first entries that stay as they are; so does the last

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return the entries that stay."""
        plain = view.entries.gather(keep)
        if view.steps:
            return plain
        merged = super().__call__(view, keep, score)
        present = torch.ones_like(keep) if plain.valid is None else plain.valid.long()
        spared = (present.cumsum(2) <= self.sinks) & (present > 0)
        spared[:, :, -1] = True
        keys, values = (
            torch.where(spared[..., None], mine, its)
            for mine, its in ((plain.keys, merged.keys), (plain.values, merged.values))
        )
        return replace(merged, keys=keys, values=values)

"""KVMerger: neighbours with similar keys become one entry, around the one that received most attention."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "kvmerger",
    papers=(
        Paper(
            "Model Tells You Where to Merge: Adaptive KV Cache Merging for LLMs on Long-Context Tasks",
            "2407.08454",
        ),
    ),
    task="key-value",
    baselines=("h2o", "random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class Runs:
    """Merges runs of consecutive entries into their pivots, as many as the budget wants.

    Neighbours are linked by the cosine of their keys, the most alike first, until as many runs are left as may stay.
    (The paper links what is above a fixed threshold, and so meets no budget exactly.) The pivot p of a run has its
    highest score; entry i weighs g_i = exp(-|k_p - k_i|^2 / (2 sigma^2)), sigma the mean distance of the run to its
    pivot. Keys are merged as the cache holds them. Padding is merged with padding first. O(T D + T log T).

    On the small models it answers more than H2O where the question is not known (less where it is), and no more than
    random eviction. On SmolLM2 dropping answers as much with half of the bytes, and more with a quarter.
    """

    exempt: float = 0.4  # share of the budget, the highest scores, that is merged with nothing
    weigh: Literal["gauss", "mean"] = "gauss"  # "mean": all entries of a run weigh alike

    def __post_init__(self) -> None:
        if not 0 <= self.exempt < 0.5 or self.weigh not in ("gauss", "mean"):
            raise InvalidInput(
                f"exempt is {self.exempt} and weigh {self.weigh!r}: give a share below 0.5, and 'gauss' or 'mean'."
            )

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return one entry for each run; its position and what is remembered of it are the pivot's."""
        entries, count = view.entries, keep.shape[2]
        run = self.runs(entries, score, count)
        top = torch.full((*run.shape[:2], count), -torch.inf, device=run.device)
        top = top.scatter_reduce(2, run, score.float(), "amax")
        first = (score == top.gather(2, run)).int() * torch.arange(len(entries), 0, -1, device=run.device)
        pivot = len(entries) - torch.zeros_like(top, dtype=first.dtype).scatter_reduce(2, run, first, "amax")
        pivots = entries.gather(pivot.long())
        weight = self._weights(entries, pivots, run, count)[..., None]

        def mean(all_: Tensor) -> Tensor:
            index = run[..., None].expand(all_.shape)
            summed = torch.zeros(*run.shape[:2], count, all_.shape[3], device=run.device)
            whole = torch.zeros_like(top)[..., None].scatter_add(2, run[..., None], weight)
            return (summed.scatter_add(2, index, all_.float() * weight) / whole).to(all_.dtype)

        return replace(pivots, keys=mean(entries.keys), values=mean(entries.values))

    def runs(self, entries: Entries, score: Tensor, count: int) -> Tensor:
        """Return the run of each entry, 0 to count - 1, (B, H, T)."""
        keys = entries.keys.float()
        link = cosine_similarity(keys[:, :, 1:], keys[:, :, :-1], dim=-1)  # (B, H, T - 1)
        alone = torch.zeros_like(score, dtype=torch.bool)
        alone.scatter_(2, score.topk(int(self.exempt * count), dim=2).indices, True)
        link = link.masked_fill(alone[:, :, 1:] | alone[:, :, :-1], -2.0)
        if entries.valid is not None:
            one, other = entries.valid[:, :, 1:], entries.valid[:, :, :-1]
            link = link.masked_fill(one != other, -3.0).masked_fill(~one & ~other, 2.0)
        joined = torch.zeros_like(link, dtype=torch.bool)
        joined.scatter_(2, link.topk(len(entries) - count, dim=2).indices, True)
        begins = torch.nn.functional.pad(~joined, (1, 0), value=True)
        return begins.long().cumsum(2) - 1

    def _weights(self, entries: Entries, pivots: Entries, run: Tensor, count: int) -> Tensor:
        """Return the weight of each entry in its run, (B, H, T)."""
        if self.weigh == "mean":
            return torch.ones(run.shape, device=run.device)
        index = run[..., None].expand(entries.keys.shape)
        far = (entries.keys.float() - pivots.keys.float().gather(2, index)).norm(dim=-1)
        zeros = torch.zeros(*run.shape[:2], count, device=run.device)
        size = zeros.scatter_add(2, run, torch.ones_like(far))
        sigma = (zeros.scatter_add(2, run, far) / size).clamp_min(1e-9)
        return torch.exp(-far.square() / (2 * sigma.gather(2, run).square()))

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Merge the prompt by runs of similar keys; what received most attention is not merged."""
        return CacheMethod(H2O(mean=True), prompt=share, recent=0.2, on_evict=Runs())

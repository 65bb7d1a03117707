"""SirLLM: tokens that surprised the model stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "sirllm",
    papers=(Paper("SirLLM: Streaming Infinite Retentive LLM", "2405.12528", code="Zoeyyao27/SirLLM"),),
    task="topics",
    baselines=("random-eviction", "sliding-window", "streaming-llm"),
    phase="decode",
)
@dataclass(frozen=True)
class SirLLM:
    """Ranks by the surprise -log p(x_i | x_<i) of token i when it was read, times `decay` for each round since.

    The surprise is that of the token itself (the paper's released helper is shifted by one), so entries are evicted
    after the call, when its logits are known. A round is a call of more than one token: a turn of a dialogue.
    `sinks=4`, `recent` and `reindex_positions=True` of the `CacheMethod` are the paper's frame. What is read without
    asking for all logits (`generate` asks only for the last of a prompt) has no surprise, and of that the most recent
    stay: use `read`, or model(ids, ...).

    It needs text that the model can predict. On the small models, at a quarter, it recalls facts in the text of topics
    that they have learnt where StreamingLLM does not; at an eighth, and in text without any pattern, it does no better.
    """

    decay: float = 1.0  # of the surprise, with each round

    needs_tokens: ClassVar[bool] = True  # have the surprise of each token recorded

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise InvalidInput(f"decay is {self.decay}: give a factor above 0, at most 1.")

    def observe(self, view: LayerView) -> None:
        """Count the rounds since each entry was read."""
        if view.queries > 1:
            view.entries.memory("rounds").add_(1)

    def __call__(self, view: LayerView) -> Tensor:
        """Return the surprise, (B, H, T); above all surprise, and by position, where it is not known."""
        positions = view.entries.positions().long()
        surprise = view.transcript.surprise
        assert surprise is not None
        known = surprise[:, None].expand(*positions.shape[:2], -1).gather(2, positions)
        faded = known * self.decay ** view.entries.memory("rounds")
        return torch.where(known.isnan(), 1e6 + positions, faded)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Keep one sink, an eighth for the most recent, and what surprised most.

        Four sinks would be a quarter of the small budgets.
        """
        return CacheMethod(SirLLM(), prompt=share, decode=share, sinks=1, recent=0.125, reindex_positions=True)

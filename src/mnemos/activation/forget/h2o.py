"""H2O: heavy hitters, by the attention that each entry has received so far."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register


@register(
    "h2o",
    papers=(
        Paper(
            "H_2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language Models",
            "2306.14048",
            code="FMInference/H2O",
        ),
    ),
    task="key-value-known",
    phase="decode",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class H2O:
    """Sums the attention that entry i has received from every query, F_i; the largest F stay.

    In the paper half of a budget is the most recent: `recent=0.5` of the `CacheMethod`. The query heads that share a
    key count together. One number per entry and head is remembered, and evicted with the entry. With `mean`, F_i is
    divided by the number of queries that could see entry i, which is not the paper's: in a short text the sum is
    largest for whatever came first, since every entry gets a share of every later query.

    On the small models (`mnemos bench train-models`) the sum with its recent half does not beat random eviction when
    the question stands at the end of the prompt: one query has no weight among those of a whole text. The preset
    divides and leaves the recent a quarter, and beats random eviction and a sliding window there, though it stays far
    from SnapKV and TOVA.
    """

    mean: bool = False  # divide by the queries that could see the entry; ours

    def observe(self, view: LayerView) -> None:
        """Add the attention that entries received in a call, (B, H, T); O(q T D)."""
        view.entries.memory("heavy").add_(view.attention_mass().sum(2))

    def __call__(self, view: LayerView) -> Tensor:
        """Return F, (B, H, T)."""
        heavy = view.entries.memory("heavy")
        return heavy / (view.tokens_read - view.entries.positions()) if self.mean else heavy

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Keep the most recent in a quarter of the budget, the rest by attention per query that could see them."""
        return CacheMethod(H2O(mean=True), prompt=share, decode=share, recent=0.25)

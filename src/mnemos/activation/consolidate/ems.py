"""EMS: what matters least is evicted and the middle merged, by the attention of all and of the last queries."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.consolidate.merge import Merge
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.snapkv import last_queries, window_attention
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register

MEAN = H2O(mean=True)


@register(
    "ems",
    papers=(
        Paper(
            "EMS: Adaptive Evict-then-Merge Strategy for Head-wise KV Cache Compression Based on Global-Local Importance",
            "2412.08521",
        ),
    ),
    task="key-value-known",
    baselines=("h2o", "snapkv", "random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class GlobalLocal:
    """Ranks by local + global * mean(local) / mean(global): two kinds of attention, brought to the same scale.

    Global is what an entry received from each query that could see it, local what it received from the last `window`
    queries. Adding the two is ours, as are the share evicted and the threshold of the
    preset. With `Merge(evict=..., threshold=...)` the lowest are evicted and the middle ones merged; its threshold is
    the paper's zero class, which takes in what is like no kept key and is thrown away.

    On the small models it answers what SnapKV does: without the threshold or the local half it answers far less, and
    evicting all that does not stay answers as much; on SmolLM2 it answers more.
    """

    window: int | None = None  # last queries; None: as in SnapKV
    use: tuple[bool, bool] = (True, True)  # global, local: either half alone for comparisons

    def observe(self, view: LayerView) -> None:
        """Add the attention that entries received in a call; O(q T D)."""
        MEAN.observe(view)

    def __call__(self, view: LayerView) -> Tensor:
        """Return the score, (B, H, T)."""
        everywhere = MEAN(view)
        here = window_attention(view, last_queries(view, self.window)).sum(2)
        scale = here.mean(2, keepdim=True) / everywhere.mean(2, keepdim=True).clamp_min(1e-9)
        return everywhere * scale * self.use[0] + here * self.use[1]

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict half of what does not stay of the prompt, and merge the rest where it is 0.6 like a kept key."""
        return CacheMethod(GlobalLocal(), prompt=share, sinks=1, recent=1, on_evict=Merge(evict=0.5, threshold=0.6))

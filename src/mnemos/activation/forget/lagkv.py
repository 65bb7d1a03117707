"""LagKV: an entry counts by how it stands out of the text right after it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


def contrast(vectors: Tensor, lag: int) -> Tensor:
    """Return the scores of all whole partitions but the last, (B, H, P - 1, lag), from (B, H, P*lag, D)."""
    parts = vectors.float().unflatten(2, (-1, lag))
    low, high = parts[:, :, 1:].amin(3, keepdim=True), parts[:, :, 1:].amax(3, keepdim=True)
    scaled = (parts[:, :, :-1] - low) / (high - low).clamp_min(1e-9)
    return scaled.std(-1).softmax(-1)


@register(
    "lagkv",
    papers=(
        Paper(
            "LagKV: Lag-Relative Information of the KV Cache Tells Which Tokens Are Important",
            "2504.04704",
            code="AI-Lab-China-Merchants-Bank/LagKV",
        ),
    ),
    task="key-value",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class LagKV:
    """Scales partitions of `lag` tokens by the range of the next one, and ranks by the deviation over channels.

    softmax(std) within a partition, for keys and values, is averaged and ranked within the partition, so that every
    partition keeps its share. The first `sinks`, the last whole partition and what follows it stay. A text shorter than
    three partitions is cut into four, which is ours; with a quarter of it always kept, and the rest by partition, on
    the small models it does no better than a sliding window. Raises InvalidInput for padded batches.
    """

    lag: int = 128  # tokens of a partition
    sinks: int = 4  # first entries that always stay

    def __post_init__(self) -> None:
        if self.lag < 2:
            raise InvalidInput(f"lag is {self.lag}: give 2 or more tokens.")

    def __call__(self, view: LayerView) -> Tensor:
        """Return the ranks, (B, H, T) from 0 to 3; O(T D)."""
        entries = view.entries
        if entries.valid is not None:
            raise InvalidInput(
                "LagKV cuts a text into partitions and cannot tell padding from it: read rows of one length together."
            )
        count = len(entries) - self.sinks
        lag = min(self.lag, max(2, count // 4))
        score = 1 + entries.positions() / max(view.tokens_read, 1)  # what always stays, the latest last to go
        parts = count // lag
        score[:, :, : self.sinks] = 3  # under a tight budget, too: without them a pretrained model loses its footing
        if parts < 2:
            return score
        inside = slice(self.sinks, self.sinks + parts * lag)
        both = contrast(entries.keys[:, :, inside], lag) + contrast(entries.values[:, :, inside], lag)
        rank = both.argsort(-1).argsort(-1).float() / lag
        score[:, :, self.sinks : self.sinks + (parts - 1) * lag] = rank.flatten(2)
        return score

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by LagKV."""
        return CacheMethod(LagKV(), prompt=share)

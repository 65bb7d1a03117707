"""Which pages of a sequence to let go of: by age, or by what their keys are like.

A page holds tokens of all layers and heads, so these policies evict for all of them at once, coarser than a cache method
that evicts by layer and head (`mnemos.activation.forget`). Positions stay as they were read: nothing is moved up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnemos.activation.base import LayerView, Score
from mnemos.activation.entries import Entries
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.paged.pool import Pool
from mnemos.activation.paged.table import EVICTED
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


def held_pages(pool: Pool, name: str) -> list[int]:
    """Return the indices of the pages that a sequence holds."""
    return [i for i, block in enumerate(pool.table(name) or ()) if block != EVICTED]


@register(
    "streaming-pages",
    papers=(
        Paper(
            "Efficient Streaming Language Models with Attention Sinks", "2309.17453", code="mit-han-lab/streaming-llm"
        ),
    ),
    unmeasured="it keeps what streaming-llm keeps, in whole pages",
)
@dataclass(frozen=True, slots=True)
class StreamingPages:
    """Keep the first pages and the most recent ones: StreamingLLM in pages, and with no sinks a sliding window.

    The paper moves positions up as if nothing had been evicted; here they stay.
    """

    budget: int  # tokens of a sequence, at least a page beside the sinks
    sinks: int = 4  # tokens at the beginning that stay, rounded up to pages; the paper's

    def pages(self, pool: Pool, name: str) -> list[int]:
        """Return the oldest pages over the budget, by index."""
        held, first = held_pages(pool, name), -(-self.sinks // pool.size)
        over = len(held) - max(self.budget // pool.size, first + 1)
        return held[first : first + over] if over > 0 else []


@register(
    "scored-pages",
    papers=(
        Paper(
            "KeyDiff: Key Similarity-Based KV Cache Eviction for Long-Context LLM Inference in Resource-Constrained "
            "Environments",
            "2504.15364",
        ),
    ),
    unmeasured="it ranks as keydiff does, and evicts whole pages of all layers",
)
@dataclass(frozen=True, slots=True)
class ScoredPages:
    """Evict the pages whose entries rank lowest, by a score that reads keys and values alone: KeyDiff by default.

    The rank of a page is the mean over its tokens, heads and layers. Sinks and recent pages always stay. O(T) a layer.
    """

    budget: int  # tokens of a sequence
    score: Score = field(default_factory=KeyDiff)  # ranks entries, without queries
    sinks: int = 4  # tokens at the beginning that stay, rounded up to pages
    recent: float = 0.25  # share of the budget that the latest pages have

    def __post_init__(self) -> None:
        if self.budget < 1 or not 0 <= self.recent <= 1:
            raise InvalidInput(f"{self}: expected a budget of 1 token or more, and a share from 0 to 1.")

    def pages(self, pool: Pool, name: str) -> list[int]:
        """Return the lowest pages over the budget, by index."""
        held, first = held_pages(pool, name), -(-self.sinks // pool.size)
        room = max(self.budget // pool.size, first + 1)
        over = len(held) - room
        last = max(1, int(self.recent * room))
        middle = held[first : len(held) - last]
        if over < 1 or not middle:
            return []
        ranks = self._ranks(pool, name, len(held))[first : len(held) - last]
        return sorted(middle[i] for i in ranks.argsort()[:over].tolist())

    def _ranks(self, pool: Pool, name: str, pages: int) -> Tensor:
        """Return the rank of each page that is held, (pages,)."""
        total = torch.zeros(pages)
        for layer in range(len(pool.layers)):
            keys, values = (x[None] for x in pool.read(name, layer))
            length = pool.length(name)
            view = LayerView(layer, len(pool.layers), keys[:, :, :0], Entries(keys, values), length, length, 1.0)
            score = self.score(view).expand(keys.shape[:3]).float().mean((0, 1)).cpu()  # (T,)
            whole = torch.full((pages * pool.size,), float("nan"))
            whole[: len(score)] = score
            total += whole.view(pages, pool.size).nanmean(1)
        return total

"""MovieChat: a stream of vectors in a short memory, whose most similar neighbours are merged into a long one."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "moviechat",
    papers=(
        Paper(
            "MovieChat: From Dense Token to Sparse Memory for Long Video Understanding",
            "2307.16449",
            code="rese1f/MovieChat",
        ),
    ),
)
@dataclass
class MovieChat:
    """Holds the last items of a stream as they are, and older ones as `merged` means for every `short` items.

    An item is a vector (D,), or several (n, D) such as the tokens of a frame, a turn or a block of keys. When the short
    memory is full, the two neighbours in it that are most alike (cosine, averaged over the n vectors) are replaced by
    their mean until `merged` are left; these are appended to the long memory, and the short one begins anew. So a
    scene, however short, keeps an item of its own as long as no more than `merged` begin within `short` items.

    Deviation: the long memory is not cut to a last length; `limit` merges it in the same way instead.
    """

    short: int = 18  # items of the short memory
    merged: int = 2  # items that it becomes
    limit: int | None = 256  # the most items of the long memory; None: it grows by `merged` for every `short`
    recent: list[Tensor] = field(default_factory=list, init=False)
    long: list[Tensor] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not 0 < self.merged < self.short or (self.limit is not None and self.limit < self.merged):
            raise InvalidInput(
                f"short is {self.short}, merged {self.merged} and limit {self.limit}: give 1 <= merged < short, and a "
                "limit of merged or more."
            )

    def read(self, items: Tensor) -> None:
        """Take the next items of the stream, (T, D) or (T, n, D); O(short²) for every `short` of them."""
        for item in items:
            self.recent.append(item.detach().clone())
            if len(self.recent) == self.short:
                self.long += fused(self.recent, self.merged)
                self.recent = []
                if self.limit is not None:
                    self.long = fused(self.long, self.limit)

    def memory(self, now: bool = True) -> Tensor:
        """Return the long memory, in order, and with `now` the short one behind it. Raises InvalidInput while empty."""
        held = self.long + (self.recent if now else [])
        if not held:
            raise InvalidInput("nothing is held yet: read a stream first, or ask with now=True.")
        return torch.stack(held)

    @property
    def nbytes(self) -> int:
        """Bytes of both memories."""
        return sum(t.numel() * t.element_size() for t in (*self.long, *self.recent))


def fused(items: list[Tensor], count: int) -> list[Tensor]:
    """Return `count` items: again and again the two neighbours that are most alike become their mean."""
    held = list(items)
    while len(held) > count:
        stacked = torch.stack(held).float()
        alike = cosine_similarity(stacked[1:], stacked[:-1], dim=-1).flatten(1) if stacked.dim() > 2 else None
        score = cosine_similarity(stacked[1:], stacked[:-1], dim=-1) if alike is None else alike.mean(1)
        at = int(score.argmax())
        held[at : at + 2] = [(held[at] + held[at + 1]) / 2]
    return held

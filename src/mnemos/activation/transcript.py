"""The transcript of a cache: the tokens it has read, and how much each surprised the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Transcript:
    """The tokens read so far, (B, T), and the surprise -log p of each, (B, T) in nats; NaN where no logits are known.

    Kept for a method whose score or store is `NeedsTokens`. The surprise of a token is known after the call that read
    it; that of a prompt only if the model returned the logits of all its tokens, as `read` makes it do.
    """

    def __init__(self) -> None:
        self.tokens: Tensor | None = None
        self.surprise: Tensor | None = None
        self._next: Tensor | None = None  # (B, V): logits of the token to come
        self._last: Tensor | None = None  # (B, q, V): logits of the last call, where the model may go back in it

    def add_tokens(self, ids: Tensor, at: int) -> None:
        """Append the ids (B, q) of a call, which begin at position `at`; what stood there or later is removed."""
        unknown = torch.full(ids.shape, float("nan"), device=ids.device)
        if self._next is not None and self.tokens is not None and at == self.tokens.shape[1]:
            unknown[:, 0] = surprise(self._next[:, None], ids[:, :1])[:, 0]
        self.tokens = ids if self.tokens is None else torch.cat((self.tokens[:, :at], ids), 1)
        self.surprise = unknown if self.surprise is None else torch.cat((self.surprise[:, :at], unknown), 1)

    def add_logits(self, logits: Tensor, may_go_back: bool = False) -> None:
        """Add the logits (B, q or less, V) of the last tokens of a call; keep them if some of these may be removed."""
        assert self.tokens is not None
        assert self.surprise is not None
        last, count = self.tokens.shape[1], logits.shape[1] - 1
        if count:
            self.surprise[:, last - count :] = surprise(logits[:, :-1], self.tokens[:, last - count :])
        self._next = logits[:, -1]
        self._last = logits if may_go_back else None

    def crop(self, end: int) -> None:
        """Remove the tokens from `end` on."""
        if self.tokens is None or self.surprise is None or end >= self.tokens.shape[1]:
            return
        removed, known = self.tokens.shape[1] - end, self._last
        self._next = known[:, -removed - 1] if known is not None and known.shape[1] > removed else None
        self._last = None
        self.tokens, self.surprise = self.tokens[:, :end], self.surprise[:, :end]

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        for name, held in list(vars(self).items()):
            if held is not None:
                setattr(self, name, held.index_select(0, index.to(held.device)))

    def repeat_rows(self, repeats: int) -> None:
        """Repeat every row of the batch."""
        if self.tokens is not None:
            self.select_rows(torch.arange(self.tokens.shape[0]).repeat_interleave(repeats))


def surprise(logits: Tensor, ids: Tensor) -> Tensor:
    """Return -log p of ids (B, q) by the logits before each, (B, q, V)."""
    return nn.functional.cross_entropy(logits.float().transpose(1, 2), ids, reduction="none")

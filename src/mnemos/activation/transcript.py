"""What a cache notes of the text itself, for stores that cut it by its tokens or by how much they surprised the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Transcript:
    """The tokens read so far, (B, T), and the surprise -log p of each, (B, T) in nats, NaN where no logits told it.

    A store factory or a score with `needs_tokens = True` has them kept. The surprise of a token is known after the call
    that read it; that of a prompt only when the model returned the logits of all its tokens, as in `read`.
    """

    def __init__(self) -> None:
        self.tokens: Tensor | None = None
        self.surprise: Tensor | None = None
        self._next: Tensor | None = None  # (B, V): logits of the token to come

    def before(self, ids: Tensor, seen: int) -> None:
        """Note the ids (B, q) of a call, of which `seen` tokens stand before."""
        unknown = torch.full(ids.shape, float("nan"), device=ids.device)
        if self._next is not None and self.tokens is not None and seen == self.tokens.shape[1]:
            unknown[:, 0] = surprise(self._next[:, None], ids[:, :1])[:, 0]
        self.tokens = ids if self.tokens is None else torch.cat((self.tokens[:, :seen], ids), 1)
        self.surprise = unknown if self.surprise is None else torch.cat((self.surprise[:, :seen], unknown), 1)

    def after(self, logits: Tensor) -> None:
        """Note the logits (B, q or less, V) of the last tokens of a call."""
        assert self.tokens is not None
        assert self.surprise is not None
        last, count = self.tokens.shape[1], logits.shape[1] - 1
        if count:
            self.surprise[:, last - count :] = surprise(logits[:, :-1], self.tokens[:, last - count :])
        self._next = logits[:, -1]

    def rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        for name in ("tokens", "surprise", "_next"):
            if (held := getattr(self, name)) is not None:
                setattr(self, name, held.index_select(0, index.to(held.device)))


def surprise(logits: Tensor, ids: Tensor) -> Tensor:
    """Return -log p of ids (B, q) by the logits before each, (B, q, V)."""
    return nn.functional.cross_entropy(logits.float().transpose(1, 2), ids, reduction="none")


def record_tokens(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Hand the ids of a call to a cache that wants them; a hook of the model."""
    cache: Any = kwargs.get("past_key_values")
    ids = args[0] if args else kwargs.get("input_ids")
    if ids is not None and needs_tokens(cache):
        cache.transcript.before(ids, cache.tokens_read)


def record_logits(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
    """Hand the logits of a call to a cache that wants them; a hook of the model."""
    cache: Any = kwargs.get("past_key_values")
    if not needs_tokens(cache):
        return
    if cache.transcript.tokens is not None and getattr(output, "logits", None) is not None:
        cache.transcript.after(output.logits.detach())
    for layer in cache.layers:
        layer.evict_deferred()


def needs_tokens(cache: Any) -> bool:
    """Return whether the store or the score of a cache's method wants to know the text."""
    method = getattr(cache, "method", None)
    return any(getattr(getattr(method, part, None), "needs_tokens", False) for part in ("store", "score"))

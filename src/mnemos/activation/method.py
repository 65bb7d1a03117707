"""A cache method: which entries stay, how many, what happens to the others, and how those that stay are held.

score       which entries matter                        forget/: H2O, SnapKV, KeyDiff, ...
budgets     how many stay: `prompt`, `decode`           `allocation` shares them among layers and heads
on_evict    what happens to the others                  dropped, or merged (consolidate/)
store       how entries are held                        plainly, in few bits (compress/), in fetched blocks (recall/)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mnemos.activation.base import (
    Allocation,
    LayerView,
    NeedsTokens,
    Observer,
    OnEvict,
    Score,
    StoreFactory,
    counted,
)
from mnemos.activation.plain import Drop, plain
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class CacheMethod:
    """Evicts what the prompt's budget does not hold once a prompt has been read, and again while generating.

    The default evicts nothing. Raises InvalidInput for budgets that hold nothing.
    """

    score: Score | None = None  # which entries matter; None: the most recent
    prompt: float | int | None = (
        None  # what stays of a prompt: a share of its tokens (rounded down), or entries; None: all
    )
    # The most entries while generating: a number, a share of the tokens read, or a function of the calls since the prompt.
    decode: float | int | Callable[[int], int] | None = None
    interval: int = 1  # calls between two evictions while generating
    separate_budgets: bool = (
        False  # `decode` counts generated tokens only, and what stayed of the prompt is kept for good
    )
    sinks: int = 0  # first entries that always stay
    recent: int | float = 0  # last entries that always stay; a float is a share of what stays
    allocation: Allocation | None = None  # how layers and heads share the prompt's budget; None: evenly
    on_evict: OnEvict = field(default_factory=Drop)
    store: StoreFactory = plain
    reindex_positions: bool = (
        False  # move keys as if the evicted had never been there (StreamingLLM); else they stay put
    )

    def __post_init__(self) -> None:
        for name, value in (("prompt", self.prompt), ("decode", self.decode)):
            if isinstance(value, float) and not 0 < value <= 1:
                raise InvalidInput(
                    f"{name} is {value}: give a share above 0 and at most 1, or a whole number of entries."
                )
            if isinstance(value, int) and value < 1:
                raise InvalidInput(f"{name} is {value}: give 1 or more entries.")
        if self.interval < 1:
            raise InvalidInput(f"interval is {self.interval}: give 1 or more calls.")

    @cached_property
    def observer(self) -> Observer | None:
        """The score, if it learns from every call."""
        return self.score if isinstance(self.score, Observer) else None

    @cached_property
    def evicts_after_call(self) -> bool:
        """Whether entries are evicted after the call, when its logits are known: the score asks for tokens."""
        return isinstance(self.score, NeedsTokens) and self.score.needs_tokens

    @cached_property
    def needs_tokens(self) -> bool:
        """Whether the cache keeps a transcript of the tokens."""
        return self.evicts_after_call or (isinstance(self.store, NeedsTokens) and self.store.needs_tokens)

    @cached_property
    def keeps_all(self) -> bool:
        """Whether nothing is ever evicted."""
        return self.prompt is None and self.decode is None

    @cached_property
    def idle_after_prompt(self) -> bool:
        """Whether nothing is evicted, or observed, once the prompt has been read."""
        return self.decode is None and self.observer is None and not self.evicts_after_call

    def prompt_count(self, tokens_read: int, held: int) -> int | None:
        """Return how many of the `held` entries of a prompt of `tokens_read` tokens stay; None: all."""
        if self.prompt is None:
            return None
        return min(held, counted(self.prompt, tokens_read) if isinstance(self.prompt, float) else self.prompt)

    def decode_count(self, tokens_read: int, prompt: int, steps: int) -> int | None:
        """Return the most entries held after a call; None: any number.

        `tokens_read` tokens, `prompt` of them the prompt's, have been read, and `steps` calls came after it.
        """
        if self.decode is None or (self.separate_budgets and not steps) or steps % self.interval:
            return None
        if isinstance(self.decode, float):
            return counted(self.decode, tokens_read - (prompt if self.separate_budgets else 0))
        return self.decode if isinstance(self.decode, int) else self.decode(steps)

    def rank(self, view: LayerView, count: int) -> Tensor:
        """Return what decides which `count` entries stay, (B, H, T) in float32.

        That is the score, with sinks and recent entries above it and padding below.
        """
        entries = view.entries
        positions = entries.positions()
        score = (positions if self.score is None else self.score(view)).float().expand(positions.shape).clone()
        top = torch.finfo(torch.float32).max
        if entries.valid is not None:
            score.masked_fill_(~entries.valid, -top)
        recent = int(self.recent * count) if isinstance(self.recent, float) else self.recent
        if recent:
            last = positions >= view.tokens_read - recent
            if entries.valid is not None:  # padding is not recent, wherever it stands
                last = entries.valid & (entries.valid.flip(2).cumsum(2).flip(2) <= recent)
            score = torch.where(last, top / 4 + positions * (top / 8 / max(view.tokens_read, 1)), score)
        if self.sinks:
            valid = torch.ones_like(positions) if entries.valid is None else entries.valid.long()
            score.masked_fill_((valid.cumsum(2) <= self.sinks) & (valid > 0), top / 2)
        if self.separate_budgets and view.prompt and view.steps:
            score.masked_fill_(positions < view.prompt, top)
        return score

    def keep(self, rank: Tensor, count: int) -> Tensor:
        """Return the indices of the `count` entries that rank highest, ascending, (B, H, count)."""
        return rank.topk(count, dim=2).indices.sort(2).values

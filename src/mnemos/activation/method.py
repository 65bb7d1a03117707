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
    Remembering,
    Score,
    Sized,
    StoreFactory,
    counted,
)
from mnemos.activation.entries import SPARE, Entries
from mnemos.activation.plain import Drop, plain
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class CacheMethod:
    """Evicts what the prompt's budget does not hold once a prompt has been read, and again while generating.

    The default evicts nothing. Raises InvalidInput for budgets that hold nothing.
    """

    score: Score | None = None  # which entries matter; None: the most recent
    # What stays of a prompt: a share of the bytes that it takes without a method, positions and what a score remembers
    # included, or entries; None and 1.0: all.
    prompt: float | int | None = None
    # The most while generating: entries, a share of the bytes of all tokens read, or entries as a function of the calls
    # since the prompt.
    decode: float | int | Callable[[int], int] | None = None
    # A call of more tokens than this after the prompt is a prompt again: all that is held, and what it read, are
    # compressed together to the budget for all tokens read. None: what later calls read stays.
    long_call: int | None = 128
    interval: int | None = None  # entries evicted at a time while generating; None: a 32nd of the budget
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
            if isinstance(value, bool):
                raise InvalidInput(f"{name} is {value}: give a share, such as 0.25, or a number of entries.")
            if isinstance(value, float) and not 0 < value <= 1:
                raise InvalidInput(
                    f"{name} is {value}: give a share above 0 and at most 1, or a whole number of entries."
                )
            if isinstance(value, int) and value < 1:
                raise InvalidInput(f"{name} is {value}: give 1 or more entries.")
        if self.long_call is not None and self.long_call < 1:
            raise InvalidInput(f"long_call is {self.long_call}: give 1 or more tokens, or None.")
        if self.interval is not None and self.interval < 1:
            raise InvalidInput(f"interval is {self.interval}: give 1 or more entries, or None.")

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

    @cached_property
    def by_age(self) -> bool:
        """Whether the oldest entries behind the sinks are evicted, and no others."""
        return self.score is None and isinstance(self.on_evict, Drop) and not self.separate_budgets

    def is_prompt(self, queries: int) -> bool:
        """Return whether a call of so many tokens after the prompt is a prompt again."""
        has_budget = self.prompt is not None and not (isinstance(self.prompt, float) and self.prompt == 1)
        return has_budget and self.long_call is not None and queries > self.long_call

    def prompt_count(self, tokens_read: int, entries: Entries) -> int | None:
        """Return how many entries stay after a prompt, where `tokens_read` tokens have been read; None: all."""
        if self.prompt is None or (isinstance(self.prompt, float) and self.prompt == 1):
            return None
        return self._counted(self.prompt, tokens_read, entries)

    def decode_count(self, tokens_read: int, prompt: int, steps: int, entries: Entries) -> int | None:
        """Return the most entries held after a call; None: any number.

        `tokens_read` tokens, `prompt` of them the prompt's, have been read, and `steps` calls came after it.
        """
        if (
            self.decode is None
            or (isinstance(self.decode, float) and self.decode == 1)
            or (self.separate_budgets and not steps)
        ):
            return None
        if isinstance(self.decode, float):
            tokens = tokens_read - (prompt if self.separate_budgets else 0)
            return self._counted(self.decode * SPARE / (SPARE + 1), tokens, entries)
        return self.decode if isinstance(self.decode, int) else self.decode(steps)

    def _counted(self, budget: float | int, tokens: int, entries: Entries) -> int:
        """Return the entries that fit into a budget: never more, but at least one."""
        if isinstance(budget, int):
            return budget
        nbytes = budget * tokens * entries.vector_bytes
        if isinstance(self.store, Sized):
            return max(1, self.store.entries_in(nbytes, entries))
        extra = self.on_evict.entry_bytes(entries) if isinstance(self.on_evict, Remembering) else 0
        return counted(nbytes / (entries.entry_bytes + extra))

    def block(self, count: int, held: int) -> int:
        """Return how many of `held` entries are evicted at a time where a budget allows `count` of them."""
        return min(count, self.interval or max(1, min(count // 4, held // 32)))

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
        """Return the indices of the `count` entries that rank highest, ascending, (B, H, count); O(T)."""
        least = rank.shape[2] - count < count
        found = rank.topk(rank.shape[2] - count if least else count, dim=2, largest=not least).indices
        kept = torch.full(rank.shape, least, dtype=torch.bool, device=rank.device).scatter_(2, found, not least)
        return kept.nonzero()[:, 2].view(*rank.shape[:2], count)

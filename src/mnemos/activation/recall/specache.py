"""SpeCache: a rough copy of all entries at hand, and the exact entries that the next token will want, fetched ahead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnemos.activation import attention
from mnemos.activation.base import Setup
from mnemos.activation.compress.bits import Packed, check_bits, pack, unpack
from mnemos.activation.entries import Entries
from mnemos.activation.models import attention_scaling
from mnemos.activation.recall.tiered_store import TieredStore, padding_refused
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "specache",
    papers=(Paper("SpeCache: Speculative Key-Value Caching for Efficient Generation of LLMs", "2503.16163"),),
)
@dataclass(frozen=True)
class SpeCache:
    """Holds every entry in few bits at hand and in full on a slow tier, and fetches for a guess of the next token.

    Use it as `CacheMethod(store=SpeCache(...))`. A prompt is attended to in full. Then keys are packed per channel and
    values per token in groups of `group` (KIVI), all but the last `residual`, and the `top` entries to which the last
    query of a call attends most, by the rough copy, are fetched for the next call, by each key/value head for itself.
    `speculate` feeds a guess of the next token along, so that the last query is that guess's; with plain `generate` it
    is the current token's.

    Deviation: the copy is made here when the prompt ends, on one device; what is fetched is counted, not timed.
    """

    bits: int = 2  # of the rough copy: 1, 2, 4 or 8
    top: int = 64  # entries fetched for the next call, by each head
    group: int = 32  # numbers that share a scale
    residual: int = 32  # newest entries that are in full
    folder: Path | None = None  # the slow tier is a file in this folder; None: RAM

    def __post_init__(self) -> None:
        check_bits(self.bits)
        if self.top < 0 or self.residual < 0 or self.group < 1:
            raise InvalidInput(
                f"top is {self.top}, residual {self.residual} and group {self.group}: "
                "give 0 or more for top and residual, and a group of 1 or more."
            )

    def __call__(self, setup: Setup) -> SpeCacheStore:
        """Return the store of a layer."""
        return SpeCacheStore(self, setup)


class SpeCacheStore(TieredStore):
    """The store of `SpeCache`. `found` of `wanted` entries that calls attended to most had been fetched before."""

    def __init__(self, method: SpeCache, setup: Setup) -> None:
        super().__init__(method.folder)
        self.method, self.scaling = method, attention_scaling(setup.model, setup.layer)
        self.recent: Entries | None = None  # in full: the prompt while it is read, then what is not packed yet
        self.rough: list[tuple[Packed, Packed]] = []  # keys, values
        self.fetched: Tensor | None = None  # (B, H, k) positions
        self.exact: Tensor | None = None  # (B, H, k, 2 D)
        self.ready = False  # whether the prompt has been read
        self.found = self.wanted = self.moved = 0

    def put(self, new: Entries) -> None:
        """Append the entries of a call; pack a group when there is one beyond the last `residual`."""
        new = padding_refused(new, "SpeCache")
        self.recent = new if self.recent is None else self.recent.joined(new)
        if self.ready:
            self._pack(self.method.group)

    def on_prefill_end(self) -> None:
        """Pack the prompt."""
        self.ready = True
        self._pack(1)

    def _pack(self, least: int) -> None:
        assert self.recent is not None
        count = (len(self.recent) - self.method.residual) // least * least
        if count < 1:
            return
        old, self.recent = self.recent.first(count), self.recent.after(count)
        self.slow.append(old.keys, old.values)
        bits, group = self.method.bits, self.method.group
        self.rough.append((pack(old.keys, bits, 2, group), pack(old.values, bits, 3, group)))

    def read(self, query: Tensor, start: int) -> Entries:
        """Return the rough copy with the fetched entries in full, and the recent ones; fetch for the next call.

        Without queries: all entries in full.
        """
        assert self.recent is not None
        if not self.rough:
            return self.recent
        if query.numel() == 0:
            return self.in_full(self.recent)
        rough = Entries(*(torch.cat([unpack(pair[i]) for pair in self.rough], 2) for i in (0, 1))).joined(self.recent)
        if not self.method.top:
            return rough
        whole = rough
        if self.fetched is not None:
            assert self.exact is not None
            keys, values = self.slow.split(self.exact)
            at = self.fetched[..., None]
            whole = replace(
                rough,
                keys=rough.keys.scatter(2, at.expand_as(keys), keys),
                values=rough.values.scatter(2, at.expand_as(values), values),
            )
            self._count(self._wanted(query[:, :, :1], rough, start))
        self.fetched = self._wanted(query[:, :, -1:], rough, start + query.shape[2] - 1)
        self.exact = self.slow.take(self.fetched).to(query.device)
        self.moved += self.fetched.numel()
        return whole

    def _wanted(self, query: Tensor, rough: Entries, start: int) -> Tensor:
        """Return the packed entries that one query (B, H*G, 1, D) attends to most, (B, H, k)."""
        weights = attention.weights(query, rough, start, self.scaling)[:, :, :, 0, : self.slow.count].sum(2)
        return weights.topk(min(self.method.top, self.slow.count), dim=2).indices

    def _count(self, wanted: Tensor) -> None:
        assert self.fetched is not None
        present = (wanted[..., None] == self.fetched[:, :, None]).any(-1)
        self.found, self.wanted = self.found + int(present.sum()), self.wanted + present.numel()

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.recent is None:
            return
        at = index.to(self.recent.keys.device)
        self.recent = self.recent.rows(at)
        self.slow.select_rows(at)
        self.rough = [(keys.rows(at), values.rows(at)) for keys, values in self.rough]
        if self.fetched is not None and self.exact is not None:
            self.fetched, self.exact = self.fetched[at], self.exact[at]

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`. Raises InvalidInput where one of them is packed."""
        if end < self.slow.count:
            raise InvalidInput(
                f"entries before position {self.slow.count} are packed: only later ones can be removed, not from {end} on."
            )
        if self.recent is not None:
            self.recent = self.recent.first(end - self.slow.count)

    @property
    def fast_bytes(self) -> int:
        """Bytes of the fast tier: the rough copy, recent entries, and what has been fetched."""
        fetched = sum(t.numel() * t.element_size() for t in (self.fetched, self.exact) if t is not None)
        rough = sum(keys.nbytes + values.nbytes for keys, values in self.rough)
        return rough + int(fetched) + (0 if self.recent is None else self.recent.nbytes)

    @property
    def hits(self) -> int:
        """Wanted entries that had been fetched before the call."""
        return self.found

    @property
    def loads(self) -> int:
        """Wanted entries that had not."""
        return self.wanted - self.found

    @property
    def held(self) -> int:
        """Number of entries: all that were read."""
        return self.slow.count + (0 if self.recent is None else len(self.recent))


def speculate(model: Any, first: Tensor, cache: Any, count: int) -> Tensor:
    """Return `count` greedy tokens, (B, count), beginning with `first` (B, 1), the token after what the cache has read.

    Each step decodes two positions: the token and a guess of the next, whose attention says what to fetch; the guess is
    removed again. The tokens are those of the cache: guesses change only what was fetched in time. Use inside
    `attached`.
    """
    with torch.no_grad():
        before = cache.copy()
        guess = model(first, past_key_values=before).logits[:, -1:].argmax(-1)  # pre-decoding: the first guess
        for mine, its in zip(cache.layers, before.layers, strict=True):
            mine.groups[0].store.fetched = its.groups[0].store.fetched
            mine.groups[0].store.exact = its.groups[0].store.exact
        tokens = [first]
        while len(tokens) < count:
            logits = model(torch.cat((tokens[-1], guess), 1), past_key_values=cache).logits
            cache.crop(-1)
            following = logits.argmax(-1)
            tokens.append(following[:, :1])
            guess = following[:, 1:]
        return torch.cat(tokens, 1)

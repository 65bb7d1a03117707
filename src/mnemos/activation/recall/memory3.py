"""Memory³: references read once, a few of their keys and values kept, and put before a text that needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.attach import attached
from mnemos.activation.base import LayerView, Score, Setup
from mnemos.activation.cache import MemoryCache, read
from mnemos.activation.compress.vq import Codebook
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod
from mnemos.activation.plain import Plain
from mnemos.activation.recall.vectors import Embed, text_vector
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


class AttentionReceived:
    """Ranks entries by the attention they received from later tokens, per key/value head (§3.2.2)."""

    def __call__(self, view: LayerView) -> Tensor:
        """Return the attention that each entry received from other tokens than itself, (B, H, T)."""
        weights = view.weights().sum(2)  # (B, H, q, T)
        own = torch.diagonal(weights, offset=len(view.entries) - view.queries, dim1=2, dim2=3)
        received = weights.sum(2)
        received[:, :, -own.shape[2] :] -= own
        return received


class FrontedStore(Plain):
    """Holds entries as they are, behind those of the explicit memories in `front`, which every token sees."""

    def __init__(self) -> None:
        super().__init__()
        self.front: Entries | None = None

    def read(self, query: Tensor, start: int) -> Entries:
        """Return the memories, then all entries; without queries the entries alone."""
        entries = super().read(query, start)
        return entries if self.front is None or query.numel() == 0 else self.front.joined(entries.numbered())

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        if self.front is not None:
            self.front = self.front.rows(index)

    @property
    def nbytes(self) -> int:
        """Bytes of entries and memories."""
        return super().nbytes + (0 if self.front is None else self.front.nbytes)


def fronted(setup: Setup) -> FrontedStore:
    """Return the store of a layer."""
    return FrontedStore()


@dataclass
class Coded:
    """The entries of a reference in a layer, as codes."""

    keys: Tensor  # (1, H, tokens, L, P) uint8
    values: Tensor
    dtype: torch.dtype

    @staticmethod
    def of(entries: Entries, books: tuple[Codebook, Codebook]) -> Coded:
        """Return the codes of entries."""
        return Coded(books[0].encode(entries.keys), books[1].encode(entries.values), entries.keys.dtype)

    def decoded(self, books: tuple[Codebook, Codebook]) -> Entries:
        """Return the entries that the codes stand for, at the position that all memories share."""
        keys, values = books[0].decode(self.keys, self.dtype), books[1].decode(self.values, self.dtype)
        return Entries(keys, values, torch.full(keys.shape[:3], -1, dtype=torch.int32, device=keys.device))

    @property
    def nbytes(self) -> int:
        """Bytes of the codes."""
        return int(self.keys.numel() + self.values.numel())


@register(
    "memory3",
    papers=(Paper("Memory^3: Language Modeling with Explicit Memory", "2407.01178"),),
)
@dataclass
class Library:
    """Holds explicit memories: of each reference, in some layers, the `tokens` entries attended to most.

    `add` reads a reference alone, once; `read` reads a text into a cache and, before every `every` tokens, puts the
    `nearest` memories of what was read last (by cosine of `embed`) in front of it. Memories share their positions: each
    was read at 0, 1, …, and the text begins where the longest one allowed would end (as in the paper).

    `quantise` replaces what is kept by codes: for each layer a codebook of the keys and one of the values of all
    references (the paper's vector quantisation, here by parts and residual levels, without a learned rotation).

    Deviations: `layers` and `score` may be others than the paper's. A model has to be trained
    with memories (the paper's second stage): on the small model of `mnemos bench train-models`, which is not, the first
    half of the layers and the attention received recall nothing; its last layer and KeyDiff's score recall as well as
    the text pasted from 4 of 16 tokens on, an eighth of its keys and values, not a sixteenth.
    """

    model: Any  # of transformers
    tokens: int = 8  # entries kept of a reference, in each layer
    longest: int = 128  # the most tokens of a reference
    nearest: int = 5  # memories put in front of a text
    every: int = 64  # tokens read between two look-ups
    layers: Sequence[int] | None = None  # those that hold memories; None: the first half
    score: Score = field(default_factory=AttentionReceived)  # which entries of a reference are kept
    embed: Embed | None = None  # ids (T,) to a vector; None: the mean of the model's token embeddings
    memories: list[dict[int, Entries | Coded]] = field(default_factory=list, init=False)  # by layer, (1, H, tokens, D)
    books: dict[int, tuple[Codebook, Codebook]] = field(default_factory=dict, init=False)  # by layer, once quantised
    vectors: list[Tensor] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        count = self.model.config.get_text_config(decoder=True).num_hidden_layers
        self.layers = list(range(count // 2) if self.layers is None else self.layers)

    def add(self, ids: Tensor) -> None:
        """Read a reference (T,) and keep its memory. Raises InvalidInput when it is longer than `longest`, or empty."""
        with torch.no_grad():
            if not 0 < len(ids) <= self.longest:
                raise InvalidInput(
                    f"the reference has {len(ids)} tokens: give 1 to {self.longest}, or cut it into parts."
                )
            cache = MemoryCache(self.model, CacheMethod(self.score, prompt=self.tokens))
            read(self.model, ids[None], cache)
            kept: dict[int, Entries | Coded] = {}
            for layer in self.layers or ():
                entries = cache.layers[layer].groups[0].store.read(torch.empty(0), 0)
                keys = cache.rotary().shift(entries.keys, -self.longest)
                own = Entries(keys, entries.values, torch.full_like(entries.positions(), -1))
                kept[layer] = Coded.of(own, self.books[layer]) if self.books else own
            self.memories.append(kept)
            self.vectors.append(text_vector(self.model, ids, self.embed))

    def quantise(self, parts: int = 8, levels: int = 2, codes: int = 256, seed: int = 0) -> None:
        """Replace keys and values by `parts` · `levels` bytes each, by codebooks of what is kept now.

        References that are added later are coded with the same ones. Raises InvalidInput when there is none yet, or they
        are coded already.
        """
        if not self.memories or self.books:
            raise InvalidInput("the memories are coded already, or there is none: add references, then quantise once.")
        for layer in self.memories[0]:
            held = [m[layer] for m in self.memories]
            entries = [e for e in held if isinstance(e, Entries)]
            sides = ([e.keys for e in entries], [e.values for e in entries])
            made = [Codebook.fit(torch.cat(s, 2).flatten(0, 2), parts, levels, codes, seed=seed) for s in sides]
            self.books[layer] = made[0], made[1]
            for memory, own in zip(self.memories, entries, strict=True):
                memory[layer] = Coded.of(own, self.books[layer])

    def entries(self, number: int, layer: int) -> Entries:
        """Return what is kept of a reference in a layer, decoded."""
        held = self.memories[number][layer]
        return held if isinstance(held, Entries) else held.decoded(self.books[layer])

    def find(self, ids: Tensor) -> list[int]:
        """Return the memories nearest to a text (T,), the nearest last: it stands next to the text."""
        if not self.vectors:
            return []
        worth = torch.stack(self.vectors) @ text_vector(self.model, ids, self.embed)
        best: list[int] = worth.topk(min(self.nearest, len(self.vectors))).indices.flip(0).tolist()
        return best

    def cache(self) -> MemoryCache:
        """Return a cache that takes memories."""
        return MemoryCache(self.model, CacheMethod(store=fronted))

    def put(self, found: Sequence[Sequence[int]], cache: MemoryCache) -> None:
        """Put memories in front of the text, the same number for each row; they replace those of before."""
        for layer in self.layers or ():
            rows = []
            for numbers in found:
                row = self.entries(numbers[0], layer) if numbers else None
                for number in numbers[1:]:
                    assert row is not None
                    row = row.joined(self.entries(number, layer))
                rows.append(row)
            parts = [row.tensors() for row in rows if row is not None]
            front = {name: torch.cat([p[name] for p in parts]) for name in parts[0]} if parts else None
            cache.layers[layer].groups[0].store.front = None if front is None else Entries.of(front)

    def read(self, ids: Tensor, cache: MemoryCache) -> Tensor:
        """Read a text (B, T) into a cache of `cache()`, with a look-up every `every` tokens; return the last logits."""
        with torch.no_grad():
            with attached(self.model):
                for first in range(0, ids.shape[1], self.every):
                    asked = ids[:, max(first - self.every, 0) : first + self.every]
                    self.put([self.find(row) for row in asked], cache)
                    logits: Tensor = self.model(ids[:, first : first + self.every], past_key_values=cache).logits
            return logits[:, -1]

    @property
    def nbytes(self) -> int:
        """Bytes of all memories, their codebooks and their vectors."""
        vectors = sum(v.numel() * v.element_size() for v in self.vectors)
        books = sum(book.nbytes for pair in self.books.values() for book in pair)
        return int(vectors) + books + sum(entries.nbytes for kept in self.memories for entries in kept.values())

"""CItruS: reading a long text in chunks, and keeping what the instruction will need."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mnemos.activation.attach import attached
from mnemos.activation.cache import MemoryCache
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod, LayerView, Plain
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


class _Given:
    """Notes the attention that entries get in a call, averaged over queries and heads, (B, T), in the layer's memory."""

    def __call__(self, view: LayerView) -> Tensor:
        return view.entries.positions()

    def observe(self, view: LayerView) -> None:
        view.memory["given"] = view.attention_mass().mean((1, 2)) / view.queries


@register(
    "citrus",
    papers=(Paper("CItruS: Chunked Instruction-aware State Eviction for Long Sequence Modeling", "2406.12018"),),
)
@dataclass
class Citrus:
    """Chunks are read whole against a bounded cache; then the entries held before are cut to the `budget` best.

    The best are those with the most attention, averaged over a layer's heads and the queries: of the chunk itself (no
    `instruction`, the paper's standard chunked eviction), or of the instruction, whose tokens run over the cache and do
    not stay. So at most `budget` entries and a chunk are held. With `two` caches the chunk's own choice is what is read
    against, as if there were no instruction, and the instruction's choice is kept beside it to answer from: the text is
    understood as in standard eviction, at twice the entries. Positions are those inside the cache
    (`reindex_positions`).

    Like a cache method, but it reads: `read` a text, then ask `answering`, a cache that `model` and `generate` take.
    Batches have an instruction for each row, (B, i); rows are of one length, without padding.
    """

    budget: int
    chunk: int = 256
    instruction: Tensor | None = None
    two: bool = False
    reindex_positions: bool = True
    losses: list[float] = field(default_factory=list)  # of each chunk read, in nats a token

    def __post_init__(self) -> None:
        if self.budget < 1 or self.chunk < 1:
            raise InvalidInput(f"budget {self.budget} and chunk {self.chunk}: give 1 or more tokens.")
        if self.two and self.instruction is None:
            raise InvalidInput("two caches need an instruction: what would the second be for?")

    def read(self, model: nn.Module, ids: Tensor) -> MemoryCache:
        """Read a text (B, T) and return the cache to answer from. Raises InvalidInput for an empty text."""
        if ids.shape[1] == 0:
            raise InvalidInput("the text has no tokens.")
        main = MemoryCache(model, CacheMethod(_Given(), reindex_positions=self.reindex_positions))
        answering = (
            MemoryCache(model, CacheMethod(_Given(), reindex_positions=self.reindex_positions)) if self.two else main
        )
        with torch.no_grad(), attached(model):
            for part in ids.split(self.chunk, dim=1):
                logits = model(part, past_key_values=main).logits
                if part.shape[1] > 1:
                    loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), part[:, 1:].flatten())
                    self.losses.append(float(loss))
                if self.two:
                    _append(main, answering, part.shape[1])
                if self.instruction is None or self.two:
                    given = [layer.memory["given"] for layer in main.layers]
                if self.instruction is not None:
                    asked = _ask(model, answering, self.instruction)
                    self._cut(answering, asked, part.shape[1])
                if self.instruction is None or self.two:
                    self._cut(main, given, part.shape[1])
        return answering

    def _cut(self, cache: MemoryCache, given: list[Tensor], new: int) -> None:
        """Keep the chunk just read and the best of what was there before."""
        for layer, score in zip(cache.layers, given, strict=True):
            entries = _entries(cache, layer.index)
            old = len(entries) - new
            if old <= self.budget:
                continue
            best = score[:, :old].topk(self.budget, dim=1).indices.sort(1).values
            late = torch.arange(old, old + new, device=best.device).expand(len(best), -1)
            keep = torch.cat((best, late), 1)[:, None].expand(-1, entries.keys.shape[1], -1)
            layer.groups[0].store.replace(entries.gather(keep))


def _entries(cache: MemoryCache, layer: int) -> Entries:
    store = cache.layers[layer].groups[0].store
    if not isinstance(store, Plain) or store.entries is None:
        raise InvalidInput("this layer holds its entries in another way (a sliding window?): CItruS cannot cut them.")
    return store.entries


def _append(source: MemoryCache, target: MemoryCache, count: int) -> None:
    """Append the last entries of one cache to another that has read the same text."""
    for mine, its in zip(source.layers, target.layers, strict=True):
        new = _entries(source, mine.index).numbered().each(lambda t: t[:, :, -count:].clone())
        its.groups[0].store.put(new)
        its.tokens_read, its.prompt = mine.tokens_read, mine.tokens_read


def _ask(model: nn.Module, cache: MemoryCache, instruction: Tensor) -> list[Tensor]:
    """Return what the entries of each layer get from the instruction, (B, T), and leave the cache without it."""
    held = [len(_entries(cache, layer.index)) for layer in cache.layers]
    model(instruction, past_key_values=cache)
    given = [layer.memory["given"][:, :count] for layer, count in zip(cache.layers, held, strict=True)]
    cache.crop(-instruction.shape[1])
    return given

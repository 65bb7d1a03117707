"""CItruS: reading a long text in chunks, and keeping what the instruction will need."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mnemos.activation.attach import attached
from mnemos.activation.base import LayerView
from mnemos.activation.cache import MemoryCache
from mnemos.activation.entries import Entries
from mnemos.activation.forget.probe import Probe
from mnemos.activation.method import CacheMethod
from mnemos.activation.plain import Plain
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


class MeanAttention(Probe):
    """Records the attention that entries receive, averaged over queries and heads, as `given`."""

    def observe(self, view: LayerView) -> None:
        """Record the attention, (B, T)."""
        view.memory["given"] = view.attention_mass().mean((1, 2)) / view.queries


@register(
    "citrus",
    papers=(Paper("CItruS: Chunked Instruction-aware State Eviction for Long Sequence Modeling", "2406.12018"),),
)
@dataclass
class Citrus:
    """Reads chunks whole against a bounded cache, and cuts the entries held before each to the `budget` best.

    The best are those with the most attention, averaged over a layer's heads and the queries: of the chunk itself (no
    `instruction`, the paper's standard chunked eviction), or of the instruction, whose tokens run over the cache and
    are removed again. So at most `budget` entries and a chunk are held. With `two` caches the chunk's own choice is
    what is read against, as if there were no instruction, and the instruction's choice is kept beside it to answer
    from: the text is understood as in standard eviction, at twice the entries.

    It reads by itself: `read` returns a cache that `model` and `generate` take. Rows of a batch have one length,
    without padding, and an instruction each, (B, i). Raises InvalidInput for settings that hold nothing.
    """

    budget: int  # entries kept of what was read before the last chunk
    chunk: int = 256  # tokens read at a time
    instruction: Tensor | None = None  # ids, (B, i)
    two: bool = False  # keep a second cache for the instruction
    reindex_positions: bool = True  # positions are those inside the cache
    losses: list[float] = field(default_factory=list)  # of each chunk read, in nats a token

    def __post_init__(self) -> None:
        if self.budget < 1 or self.chunk < 1:
            raise InvalidInput(f"budget is {self.budget} and chunk {self.chunk}: give 1 or more tokens.")
        if self.two and self.instruction is None:
            raise InvalidInput("two caches need an instruction, which the second is for: give one, or two=False.")

    def read(self, model: nn.Module, ids: Tensor) -> MemoryCache:
        """Read a text (B, T) and return the cache to answer from. Raises InvalidInput for an empty text."""
        if ids.shape[1] == 0:
            raise InvalidInput("the text has no tokens: give at least one.")
        main = MemoryCache(model, CacheMethod(MeanAttention(), reindex_positions=self.reindex_positions))
        answering = (
            MemoryCache(model, CacheMethod(MeanAttention(), reindex_positions=self.reindex_positions))
            if self.two
            else main
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
        """Keep the chunk just read and the best of what was held before."""
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
        raise InvalidInput(
            f"layer {layer} holds its entries in another way, such as a sliding window: CItruS cannot use this model."
        )
    return store.entries


def _append(source: MemoryCache, target: MemoryCache, count: int) -> None:
    """Append the last entries of one cache to another that has read the same text."""
    for mine, its in zip(source.layers, target.layers, strict=True):
        new = _entries(source, mine.index).numbered().each(lambda t: t[:, :, -count:].clone())
        its.groups[0].store.put(new)
        its.tokens_read, its.prompt = mine.tokens_read, mine.tokens_read


def _ask(model: nn.Module, cache: MemoryCache, instruction: Tensor) -> list[Tensor]:
    """Return the attention that entries of each layer receive from the instruction, (B, T).

    The cache is left without the instruction.
    """
    held = [len(_entries(cache, layer.index)) for layer in cache.layers]
    model(instruction, past_key_values=cache)
    given = [layer.memory["given"][:, :count] for layer, count in zip(cache.layers, held, strict=True)]
    cache.crop(-instruction.shape[1])
    return given

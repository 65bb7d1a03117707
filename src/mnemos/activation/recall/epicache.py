"""EpiCache: a long conversation in episodes, with one small cache for the questions that each episode will get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from mnemos.activation.attach import attached
from mnemos.activation.base import LayerView
from mnemos.activation.cache import MemoryCache
from mnemos.activation.entries import Entries
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.probe import Probe
from mnemos.activation.method import CacheMethod
from mnemos.activation.recall.vectors import Embed, text_vector
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


class PeakAttention(Probe):
    """Records, while `on`, the largest attention that each entry receives from a call."""

    def __init__(self) -> None:
        self.on = False
        self.got: dict[int, Tensor] = {}  # layer -> (B, H, T)

    def observe(self, view: LayerView) -> None:
        """Take the maximum over queries and the heads of a group (eq. 2), without the queries' own entries."""
        if self.on:
            self.got[view.layer] = view.weights().amax((2, 3))[:, :, : -view.queries]


@register(
    "epicache",
    papers=(
        Paper(
            "EpiCache: Episodic KV Cache Management for Long Conversational Question Answering",
            "2509.17396",
            code="apple/ml-epicache",
        ),
    ),
)
@dataclass
class EpiCache:
    """Reads a conversation once for each of its `episodes`, in blocks, and keeps what that episode would ask for.

    `read` embeds windows of the conversation, groups them (k-means on cosine), and takes the `medoids` windows nearest
    to each centroid as the episode's patched prompt. After each `block` tokens the entries that this prompt attends to
    most stay, so no cache ever holds more than budget, block and prompt. `ask` returns the cache of the episode nearest
    to a question. One conversation at a time. With a `folder` the caches are files there, of which `ask` reads one.
    """

    model: Any  # of transformers
    budget: int  # entries of each layer and head, on average over the layers
    block: int = 4096  # tokens read between two evictions
    episodes: int = 4  # clusters of windows, each with a cache
    medoids: int = 1  # windows of a patched prompt
    sinks: int = 1  # first entries that always stay
    sharpness: float = (
        0.0  # layers share by (1 - cosine of their keys with and without the far past) to this power; 0: evenly
    )
    embed: Embed | None = None  # ids (T,) to a vector; None: the mean of the model's token embeddings
    seed: int = 0  # of the clusters
    folder: Path | None = None  # where the caches of the episodes are written; None: they stay in RAM
    caches: list[MemoryCache] = field(default_factory=list, init=False)  # of the episodes
    centroids: Tensor | None = field(default=None, init=False)  # (E, width), of length 1
    counts: list[int] = field(default_factory=list, init=False)  # entries of each layer
    peak: int = field(default=0, init=False)  # the most entries that a layer has held between two blocks

    def __post_init__(self) -> None:
        if self.budget <= self.sinks or self.block < 1 or self.episodes < 1:
            raise InvalidInput(
                f"budget is {self.budget}, block {self.block} and episodes {self.episodes}: "
                f"give a budget above the {self.sinks} sinks, and 1 or more of the others."
            )

    def read(self, ids: Tensor, windows: Sequence[Tensor]) -> None:
        """Read a conversation (T,); `windows` are its parts of a few utterances, as ids, in any order."""
        with torch.no_grad():
            vectors = torch.stack([text_vector(self.model, window, self.embed) for window in windows])
            self.centroids, chosen = clustered(vectors, min(self.episodes, len(windows)), self.medoids, self.seed)
            layers = self.model.config.get_text_config(decoder=True).num_hidden_layers
            self.counts = [self.budget] * layers
            if self.sharpness:
                needs = sensitivity(self.model, ids, self.block, self.sinks)
                self.counts = layer_counts(needs, self.budget, self.sharpness, self.sinks)
            self.peak = 0
            self.caches = []
            for number, own in enumerate(chosen):
                cache = self._prefill(ids, torch.cat([windows[i] for i in sorted(own)]))
                if self.folder is None:
                    self.caches.append(cache)
                else:
                    cache.save(self._file(number))

    def _file(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"episode-{number}.safetensors"

    def _prefill(self, ids: Tensor, prompt: Tensor) -> MemoryCache:
        peak = PeakAttention()
        cache = MemoryCache(self.model, CacheMethod(peak))
        with attached(self.model):
            for first in range(0, len(ids), self.block):
                self.model(ids[None, first : first + self.block], past_key_values=cache, logits_to_keep=1)
                self.peak = max(self.peak, *(max(held) for held in cache.held))
                peak.on = True
                self.model(prompt[None], past_key_values=cache, logits_to_keep=1)
                peak.on = False
                cache.crop(-len(prompt))
                for layer, count in zip(cache.layers, self.counts, strict=True):
                    self._evict(layer, peak.got[layer.index], count)
        peak.got.clear()
        return cache

    def _evict(self, layer: Any, worth: Tensor, count: int) -> None:
        store = layer.groups[0].store
        entries: Entries = store.read(torch.empty(0), layer.tokens_read)
        if len(entries) > count:
            worth = worth.masked_fill(entries.positions() < self.sinks, float("inf"))
            store.replace(entries.gather(worth.topk(count, dim=2).indices.sort(2).values))

    def ask(self, question: Tensor) -> MemoryCache:
        """Return a copy of the cache of the episode nearest to a question (q,).

        Raises InvalidInput before `read`, and StoreCorrupt for a damaged file.
        """
        if self.centroids is None:
            raise InvalidInput("no conversation has been read: call read() first.")
        number = int((self.centroids @ text_vector(self.model, question, self.embed)).argmax())
        if self.folder is not None:
            return MemoryCache.load(self._file(number), self.model)
        return self.caches[number].copy()

    @property
    def nbytes(self) -> int:
        """Bytes of RAM of the caches of all episodes."""
        return sum(cache.nbytes for cache in self.caches)


def clustered(vectors: Tensor, count: int, medoids: int, seed: int, rounds: int = 50) -> tuple[Tensor, list[list[int]]]:
    """Return k-means centroids (count, width) of unit vectors (n, width), and the members nearest to each, by number.

    Begins as k-means++ does; a group that loses all its members takes the vector farthest from its own centroid.
    """
    generator = torch.Generator().manual_seed(seed)
    start = [int(torch.randint(len(vectors), (1,), generator=generator))]
    while len(start) < count:
        distance = (1 - (vectors @ vectors[start].T).amax(1)).clamp(min=1e-6)
        distance[start] = 0.0
        start.append(int(torch.multinomial(distance, 1, generator=generator)))
    centroids = vectors[start]
    for _ in range(rounds):
        near = vectors @ centroids.T
        label = near.argmax(1)
        for empty in set(range(count)) - set(label.tolist()):
            label[near.amax(1).argmin()] = empty
        moved = normalize(torch.stack([vectors[label == i].sum(0) for i in range(count)]), dim=1)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    near = vectors @ centroids.T
    members = [(near.argmax(1) == i).nonzero()[:, 0] for i in range(count)]
    chosen = [own[near[own, i].topk(min(medoids, len(own))).indices].tolist() for i, own in enumerate(members)]
    return centroids, chosen


def sensitivity(model: Any, ids: Tensor, block: int, sinks: int) -> list[float]:
    """Return for each layer 1 - cosine of its keys in the whole text and in blocks read alone with the sinks."""
    with attached(model):
        whole = MemoryCache(model)
        model(ids[None], past_key_values=whole, logits_to_keep=1)
        parts = []
        for first in range(sinks, len(ids), block):
            part, end = MemoryCache(model), min(first + block, len(ids))
            model(ids[None, :sinks], past_key_values=part, logits_to_keep=1)
            at = torch.arange(first, end, device=ids.device)[None]
            model(ids[None, first:end], past_key_values=part, position_ids=at, logits_to_keep=1)
            parts.append([layer.keys[:, :, sinks:] for layer in part.layers])
    alone = [torch.cat(keys, 2) for keys in zip(*parts, strict=True)]
    full = [layer.keys[:, :, sinks:] for layer in whole.layers]
    return [float(1 - cosine_similarity(a, b, dim=-1).mean()) for a, b in zip(full, alone, strict=True)]


def layer_counts(needs: Sequence[float], each: int, sharpness: float, least: int) -> list[int]:
    """Return the entries of each layer, `each` on average: by need to the power `sharpness`, above `least`."""
    weights = torch.tensor(needs).clamp(min=1e-9) ** sharpness
    total = each * len(needs)
    counts: list[int] = allocate(weights, total, least + 1, total).tolist()
    return counts

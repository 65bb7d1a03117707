"""CacheBlend: texts that were read alone, joined in any order, with a small share of their tokens computed again.

T tokens of the joined texts, n of them computed again; other letters are those of `base`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, scaled_dot_product_attention

from mnemos.activation.attach import attached
from mnemos.activation.cache import MemoryCache, read
from mnemos.activation.encode.segments import Segment, cut, fill
from mnemos.activation.entries import Entries
from mnemos.activation.layer import CacheLayer
from mnemos.activation.rotary import Rotary
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Choose = Literal["question", "deviation", "first"]
REACH = 7  # neighbouring tokens over which a question's attention is averaged
MIDDLE = (0.25, 0.67)  # of the layers: where a question looks things up; chosen on SmolLM2, facts in prose


def read_alone(model: Any, sink: Sequence[int], tokens: Sequence[int], digest: str = "") -> Segment:
    """Read a text behind sink tokens, and return the keys and values of both.

    Without a sink the first token of every text would draw the attention that a model gives to the first of all.
    """
    cache = MemoryCache(model)
    device = next(model.parameters()).device
    read(model, torch.tensor([[*sink, *tokens]], device=device), cache, logits_to_keep=1)
    return cut(cache, 0, cache.tokens_read, digest)


def join(segments: Sequence[Segment], sink: int, rotary: Rotary) -> Segment:
    """Return texts of `read_alone`, one after another: behind one sink, their keys moved to where they stand now.

    `sink` is the number of sink tokens that each begins with. Exact for the first text, and for the first layer.
    """
    by, start = [torch.zeros(len(segments[0]), dtype=torch.long)], 0
    for before, segment in pairwise(segments):
        start += len(before) - sink
        by.append(torch.full((len(segment) - sink,), start))
    distance = torch.cat(by).to(segments[0].keys[0].device)
    sides: list[list[Tensor]] = []
    for side in ([s.keys for s in segments], [s.values for s in segments]):
        parts = zip(*side, strict=True)  # of each layer
        sides.append([torch.cat([first, *(t[:, :, sink:] for t in rest)], 2) for first, *rest in parts])
    return Segment(segments[0].digest, [rotary.shift(keys, distance) for keys in sides[0]], sides[1])


@register(
    "cacheblend",
    papers=(
        Paper(
            "CacheBlend: Fast Large Language Model Serving for RAG with Cached Knowledge Fusion",
            "2405.16444",
            code="YaoJiayi/CacheBlend",
        ),
        Paper("EPIC: Efficient Position-Independent Caching for Serving Large Language Models", "2410.15332"),
    ),
)
@dataclass(frozen=True)
class Blend:
    """Joins texts that were read alone, and computes a share of their tokens again.

    `choose` says which: "question" those to which a question attends most in the joined texts, in the `MIDDLE` layers and
    on average over `REACH` neighbours (ours). Without a question, "deviation": `probe` layers of all tokens are read
    anew, and those are taken whose values in the next layer are farthest from those read alone (CacheBlend). "first":
    the first tokens of each text (EPIC), which costs nothing to find. The first text is right already. The chosen
    tokens are computed in one call of all layers, and see what stands before them. With a share of 1 the result is that
    of reading the texts together.

    Deviation from CacheBlend: the same tokens are computed in all layers, not fewer and fewer.
    """

    share: float = 0.15  # of the tokens, computed again
    choose: Choose = "question"  # which tokens
    probe: int = 1  # layers that are read anew to find deviations

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInput(f"the share to compute again is {self.share}: give a number from 0 to 1.")
        if self.choose not in get_args(Choose) or self.probe < 1:
            raise InvalidInput(
                f"choose is {self.choose!r} and probe {self.probe}: give one of {', '.join(get_args(Choose))}, "
                "and 1 or more layers."
            )

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def read(
        self, model: Any, ids: Tensor, segments: Sequence[Segment], sink: int, question: Tensor | None = None,
        rotary: Rotary | None = None,
    ) -> MemoryCache:  # fmt: skip
        """Return a cache that holds the tokens `ids` (T,): `sink` sink tokens and the texts, in the order of `segments`.

        `question` (q,) chooses, and is not held; `rotary` saves checking how keys move. Raises InvalidInput for a
        model whose keys cannot be moved, and for layers with a sliding window.
        """
        cache = MemoryCache(model)
        if cache.expands_keys or cache.state.shares_keys:
            raise InvalidInput(
                f"{type(model).__name__} makes other keys of those that it caches, or shares them between layers: texts "
                "that were read alone cannot be joined for it."
            )
        whole = segments[0]
        if len(segments) > 1:
            whole = join([s.to(ids.device) for s in segments], sink, rotary or cache.rotary())
            at = self.chosen(model, ids, whole, [len(s) - sink for s in segments], sink, question)
            if len(at):
                blended = Blended(model, whole)
                blended.compute(ids, at)
                whole = blended.whole
        fill(cache, [whole])
        return cache

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def chosen(
        self, model: Any, ids: Tensor, whole: Segment, lengths: Sequence[int], sink: int, question: Tensor | None = None
    ) -> Tensor:
        """Return the positions to compute again, ascending; `lengths` are those of the texts, without the sink."""
        first = sink + lengths[0]  # what stands before has seen all that it will see
        count = min(int(self.share * len(ids) + 1e-6), len(ids) - first)
        if count in (0, len(ids) - first):
            return torch.arange(len(ids) - count, len(ids), device=ids.device)
        if self.choose == "first":
            worth = -torch.cat([torch.arange(n, device=ids.device) for n in lengths]).float()
            worth = torch.cat((worth.new_zeros(sink), worth))
        elif self.choose == "deviation" or question is None:
            worth = _deviation(model, ids, whole, min(self.probe, len(whole.values) - 1))
        else:
            worth = _asked(model, ids, whole, question)
        return worth[first:].topk(count).indices.sort().values + first


def _deviation(model: Any, ids: Tensor, whole: Segment, layer: int) -> Tensor:
    """Return how far the values of a layer are from those that the texts together give it, (T,)."""
    blended = Blended(model, whole, layer)
    blended.compute(ids, torch.arange(len(ids), device=ids.device))
    assert blended.found is not None
    return (blended.found.values - whole.values[layer]).float().square().sum((0, 1, 3))


def _asked(model: Any, ids: Tensor, whole: Segment, question: Tensor) -> Tensor:
    """Return the attention that a question (q,) gives the tokens in the middle layers, smoothed, (T,)."""
    count, asked, layers = len(ids), question.to(ids), len(whole.keys)
    room = [
        [torch.cat((t, t.new_zeros(*t.shape[:2], len(asked), t.shape[3])), 2) for t in side]
        for side in (whole.keys, whole.values)
    ]
    middle = range(int(MIDDLE[0] * layers), max(1, int(MIDDLE[1] * layers)))
    blended = Blended(model, Segment(whole.digest, *room), middle.stop)
    blended.received, blended.watched = torch.zeros(count + len(asked), device=ids.device), middle
    blended.compute(torch.cat((ids, asked)), torch.arange(count, count + len(asked), device=ids.device))
    return avg_pool1d(blended.received[None, :count], REACH, 1, REACH // 2)[0]


class Probed(Exception):
    """Ends a call of a model at the layer whose keys and values were asked for: no error."""


class BlendedLayer(CacheLayer):
    """A layer that has all its entries from the beginning: those of a call take the places of older ones."""

    def attend(self, module: Any, query: Tensor, new: Entries, scaling: float, window: int | None) -> Tensor:
        """Put the entries of a call (1, H, n, D) in their places, and attend to all up to each query's position."""
        cache = self.cache
        if window is not None or self.softcap is not None:
            what = (
                "a sliding window does not hold all tokens"
                if window is not None
                else "soft caps attends in another way"
            )
            raise InvalidInput(f"a layer with {what}: texts that were read alone cannot be joined for it.")
        if self.index == cache.probe:
            cache.found = new
            raise Probed
        keys, values = (
            side[self.index].index_copy(2, cache.at, own)
            for side, own in ((cache.whole.keys, new.keys), (cache.whole.values, new.values))
        )
        cache.whole.keys[self.index], cache.whole.values[self.index] = keys, values
        groups = query.shape[1] // keys.shape[1]
        seen = torch.arange(keys.shape[2], device=cache.at.device) <= cache.at[:, None]
        keys, values = keys.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
        if self.index in cache.watched:
            logits = (query @ keys.transpose(2, 3)).float() * scaling
            cache.received += logits.masked_fill(~seen, float("-inf")).softmax(-1).sum((0, 1, 2))
        return scaled_dot_product_attention(query, keys, values, seen, scale=scaling)

    cache: Blended


class Blended(MemoryCache):
    """The keys and values of joined texts while some of them are computed again; `whole` is not changed in place."""

    def __init__(self, model: Any, whole: Segment, probe: int | None = None) -> None:
        super().__init__(model)
        self.whole = Segment(whole.digest, list(whole.keys), list(whole.values))
        self.probe = probe  # the layer at which a call ends
        self.found: Entries | None = None  # what that layer would have stored
        self.watched = range(0)  # layers whose attention is recorded
        self.received = torch.empty(0)  # (T,) what the tokens of a call give there, over layers and heads
        self.at = torch.empty(0, dtype=torch.long)  # positions that a call computes
        for layer in self.layers:
            layer.cache = self

    def new_layer(self, index: int) -> BlendedLayer:
        """Return a layer of this cache."""
        return BlendedLayer(self.state, index)

    def compute(self, ids: Tensor, at: Tensor) -> None:
        """Compute the tokens at the positions `at` (n,) of `ids` (T,) again, in all layers before `probe`."""
        self.at = at
        with attached(self.model), contextlib.suppress(Probed):
            self.model(ids[None, at], position_ids=at[None], past_key_values=self, logits_to_keep=1)

"""Sparse memory finetuning (arXiv 2510.15103): a few slots of a memory layer hold an item, and nothing else is written.

The paper's models are pretrained with memory layers. Beside a model that has none, the keys here are random and stay so:
a hidden state, normed by what the model itself writes, is compared with all pairs of two tables of half keys, and its
best slots are its address. Values are zero, but for the slots that were chosen for an item, which alone are stored and
learned: those that its answers read and other texts do not (TF-IDF). As addresses never change, items in different
slots do not disturb each other, and an item is removed by leaving its rows out.

B rows, T tokens, D width, L layers with a memory, S slots of an item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example
from mnemos.parametric.recall.beside import Beside, check, feed_forwards, layers_at, width_of
from mnemos.parametric.recall.lookup import best_sums
from mnemos.parametric.recall.product_keys import PKM
from mnemos.registry import Paper, register


@register(
    "memory-slots",
    papers=(Paper("Continual Learning via Sparse Memory Finetuning", "2510.15103"), PKM),
    task="facts beside a frozen model",
    baselines=(),
)
@dataclass(frozen=True)
class MemorySlots:
    """Holds items in a few slots of memory layers beside feed-forward blocks; slots are chosen by TF-IDF of their use.

    Costs D numbers a slot, two small products a token and layer to find slots, and when it is made `background` texts
    that the model writes itself: they say how its hidden states spread, and what slots everything else uses.
    """

    rate: ClassVar[float] = 0.1
    n: int = 512  # half keys of a table; there are n * n slots a layer
    heads: int = 2  # each with its own half keys
    k: int = 16  # slots of a head that take part in an answer
    key_width: int = 64  # of a whole key
    depths: tuple[float, ...] = (1.0,)  # layers with a memory, as shares of the model's depth
    slots: int = 16  # chosen for each example and layer, at most
    background: int = 64  # texts that the model writes, and as many of random tokens
    length: int = 24  # tokens of such a text
    scale: float = 4.0  # of the scores: how much more the best slot weighs than the others

    def create(self, model: Any, examples: Sequence[Example], tokenizer: Any, seed: int = 0) -> Slots:
        """Return slots chosen for the examples, with values of zero: they change nothing yet."""
        if not examples:
            raise InvalidInput("there are no examples: slots are chosen by what reads them.")
        layers, width = layers_at(model, self.depths), width_of(model)
        other = _inputs(model, layers, _written(model, self.background, self.length, seed))
        mean = torch.stack([hidden.mean(0) for hidden in other])
        spread = torch.stack([hidden.std(0) + 1e-6 for hidden in other])
        address = Addresses(self, len(layers), width, seed, mean, spread)
        asked = [_answering(model, layers, example, tokenizer) for example in examples]
        chosen, rows = [], self.slots * len(examples)
        for at in range(len(layers)):
            chosen.append(self._choose(address, at, [hidden[at] for hidden in asked], other[at], rows))
        made: Slots = Slots(layers, address, torch.stack(chosen), torch.zeros(len(layers), rows, width)).to(
            model.device
        )
        return made

    def load(self, model: Any, tensors: Mapping[str, Tensor]) -> Slots:
        """Return the slots of `Slots.tensors`; raises InvalidInput where they do not fit."""
        layers, width = layers_at(model, self.depths), width_of(model)
        count = len(layers)
        of_keys = {"address.mean": (count, width), "address.spread": (count, width), "address.seed": (1,)}
        check(tensors, of_keys | {"slots": (count, -1), "values": (count, tensors["slots"].shape[-1], width)})
        seed = int(tensors["address.seed"][0])
        address = Addresses(self, count, width, seed, tensors["address.mean"], tensors["address.spread"])
        made: Slots = Slots(layers, address, tensors["slots"], tensors["values"]).to(model.device)
        return made

    def _choose(self, address: Addresses, at: int, asked: Sequence[Tensor], other: Tensor, rows: int) -> Tensor:
        """Return the slots (rows,) of one layer, in order of their numbers; free places are -1."""
        total = self.n * self.n
        used = torch.zeros(total)  # in how many of the background's tokens
        slots, _ = address(at, other)
        for part in slots.flatten(1):
            used[part.unique()] += 1
        idf = ((len(other) + 1) / (used + 1)).log()
        found: list[int] = []
        for hidden in asked:  # an example after the other, so that none is left without
            slots, weights = address(at, hidden)
            mass = torch.zeros(total).index_add_(0, slots.flatten(), weights.flatten())
            best = (mass / mass.sum() * idf).topk(self.slots)
            found += best.indices[best.values > 0].tolist()
        kept = sorted(set(found))
        return torch.tensor([-1] * (rows - len(kept)) + kept)


class Addresses(nn.Module):  # type: ignore[misc]
    """Which slots a hidden state reads: random keys that a seed makes, never learned."""

    def __init__(self, knobs: MemorySlots, layers: int, width: int, seed: int, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.k, self.scale = knobs.k, knobs.scale
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.register_buffer("seed", torch.tensor([seed]))
        half = knobs.key_width // 2
        draw = np.random.RandomState(seed % 2**32)  # its stream stays the same with every version of numpy
        project = draw.standard_normal((layers, width, 2, knobs.heads, half)) / width**0.5
        keys = draw.standard_normal((layers, 2, knobs.heads, knobs.n, half))
        keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
        self.register_buffer("project", torch.tensor(project, dtype=torch.float32), persistent=False)
        self.register_buffer("keys", torch.tensor(keys, dtype=torch.float32), persistent=False)

    def forward(self, at: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return slots and weights, both (B, H, k), of hidden states (B, D) of the at-th layer with a memory."""
        normed = (hidden.float() - self.mean[at]) / self.spread[at]
        queries = nn.functional.normalize(torch.einsum("bd,dthe->tbhe", normed, self.project[at]), dim=-1)
        rows, columns = self.scale * torch.einsum("tbhe,thne->tbhn", queries, self.keys[at])
        scores, slots = best_sums(rows, columns, self.k)
        return slots, scores.softmax(-1)


class Slots(Beside):
    """The slots of an item, their values, and how hidden states find them."""

    def __init__(self, layers: Sequence[int], address: Addresses, slots: Tensor, values: Tensor) -> None:
        super().__init__(layers, values.shape[-1])
        self.address = address
        self.register_buffer("slots", slots)  # (L, S), sorted; -1 is a place without one
        self.values = nn.Parameter(values)  # (L, S, D)

    def added(self, at: int, hidden: Tensor) -> Tensor:
        """Return the weighted values of the item's slots that hidden states (B, T, D) read; zero where they read none."""
        flat = hidden.reshape(-1, hidden.shape[-1])
        with torch.no_grad():
            found, weights = self.address(at, flat)
            places = torch.searchsorted(self.slots[at], found).clamp_max(self.slots.shape[1] - 1)
            weights = weights * (self.slots[at][places] == found)
        read = nn.functional.embedding_bag(
            places.flatten(1), self.values[at], per_sample_weights=weights.flatten(1), mode="sum"
        )
        return read.reshape(hidden.shape)


def _written(model: Any, count: int, length: int, seed: int) -> Tensor:
    """Return texts (2 * count, length): half of them sampled from the model, half of random tokens."""
    made = torch.Generator().manual_seed(seed)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    random = torch.randint(vocabulary, (count, length), generator=made)
    begins = getattr(model.config, "bos_token_id", None)
    sampled = torch.full((count, 1), begins) if isinstance(begins, int) else random[:, :1]
    with torch.no_grad():
        while sampled.shape[1] < length:
            chances = model(sampled.to(model.device)).logits[:, -1].float().softmax(-1).cpu()
            sampled = torch.cat([sampled, torch.multinomial(chances, 1, generator=made)], 1)
    return torch.cat([sampled, random]).to(model.device)


def _inputs(model: Any, layers: Sequence[int], ids: Tensor) -> list[Tensor]:
    """Return the inputs of the feed-forward blocks of some layers for texts, one row a token."""
    kept: list[Tensor] = []
    blocks = feed_forwards(model)
    handles = [blocks[layer].register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0])) for layer in layers]
    try:
        with torch.no_grad():
            model(ids)
    finally:
        for handle in handles:
            handle.remove()
    return [hidden.flatten(0, 1).float().cpu() for hidden in kept]


def _answering(model: Any, layers: Sequence[int], example: Example, tokenizer: Any) -> list[Tensor]:
    """Return the inputs of blocks at the tokens whose next one is of an example's answer."""
    prompt = tokenizer(example.prompt).input_ids if example.prompt else []
    ids = tokenizer(example.prompt + example.answer).input_ids
    hidden = _inputs(model, layers, torch.tensor([ids], device=model.device))
    return [each[max(len(prompt) - 1, 0) : -1] for each in hidden]

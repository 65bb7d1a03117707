"""LongMem: a frozen model whose old keys and values fill a bank, and a small trained side network that reads them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, DynamicCache

from mnemos.activation.rotary import Rotary
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

NAME = "mnemos-longmem"


class Bank:
    """Holds keys and values of one layer, first in, first out, in chunks found by their mean key.

    Keys are held at position 0: distance does not count. All tensors are (B, H, T, D), T whole chunks.
    """

    def __init__(self, size: int = 65536, chunk: int = 4) -> None:
        self.size, self.chunk = size // chunk * chunk, chunk
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def add(self, keys: Tensor, values: Tensor) -> None:
        """Add the entries of a segment, without a last incomplete chunk; evict the oldest chunks when full."""
        count = keys.shape[2] // self.chunk * self.chunk
        new = (keys[:, :, :count].detach(), values[:, :, :count].detach())
        if self.keys is not None and self.values is not None:
            new = (torch.cat((self.keys, new[0]), 2), torch.cat((self.values, new[1]), 2))
        self.keys, self.values = (t[:, :, -self.size :].clone() for t in new)

    def find(self, query: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return keys and values of the best chunks for each query (B, H, G, q, D).

        They are (B, H, G, q, `count` · chunk, D) each.
        """
        assert self.keys is not None
        assert self.values is not None
        keys, values = (t.unflatten(2, (-1, self.chunk)) for t in (self.keys, self.values))  # (B, H, N, c, D)
        worth = torch.einsum("bhgqd,bhnd->bhgqn", query, keys.mean(3))
        best = worth.topk(min(count, keys.shape[2]), dim=4).indices
        batch, heads = torch.arange(best.shape[0]), torch.arange(best.shape[1])
        at = (batch[:, None, None, None, None], heads[:, None, None, None], best)
        return keys[at].flatten(4, 5), values[at].flatten(4, 5)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(t.numel() * t.element_size() for t in (self.keys, self.values) if t is not None)

    def clear(self) -> None:
        """Remove everything: another document begins."""
        self.keys = self.values = None


@register(
    "longmem",
    papers=(Paper("Augmenting Language Models with Long-Term Memory", "2306.07174", code="Victorwz/LongMem"),),
)
class LongMem(nn.Module):  # type: ignore[misc]
    """Trains a side network of half the depth on a frozen model's outputs and a bank of its older keys and values.

    Layer l of the side network begins as layer 2l + 1 of the model and adds the difference of the model's outputs
    around it (§2.2). Its last layer is memory-augmented: A = σ(g) · A_local + (1 - σ(g)) · A_memory with a gate g for
    each head, where each token and head attends to the `found` chunks of the bank that match it best (§2.3). Only
    `parameters()` of this module are trained: the model's are not among them, so the bank never goes stale.

    `forward` reads a segment of a document and then puts it into the bank; `bank.clear()` begins another document.
    Deviation: keys in the bank have no positions (the paper's models have no rotary ones). Raises InvalidInput for
    models that are not laid out as Llama is.
    """

    def __init__(
        self,
        model: Any,  # frozen, laid out as Llama is
        layer: int = -1,  # of the model, whose keys and values fill the bank
        size: int = 65536,  # entries of the bank
        chunk: int = 4,  # entries that are found together
        found: int = 16,  # chunks that a token and head attends to
    ) -> None:
        super().__init__()
        parts = dict(getattr(model, "model", nn.Module()).named_children())
        layers: Any = parts.get("layers", ())
        if len(layers) < 2 or "rotary_emb" not in parts:
            raise InvalidInput(
                f"{type(model).__name__} is not laid out as Llama is, with two layers or more: use such a model."
            )
        self.backbone = (model,)  # in a tuple: not a part of this module
        self.layer, self.found, self.bank = layer % len(layers), found, Bank(size, chunk)
        self.layers = nn.ModuleList(copy.deepcopy(layers[i]) for i in range(1, len(layers), 2))
        self.layers.requires_grad_(True)
        heads = model.config.num_attention_heads
        self.gate = nn.Parameter(torch.zeros(heads))
        self.rotary = Rotary(model)
        config = copy.deepcopy(model.config)
        config._attn_implementation = NAME
        for part in self.layers:
            part.self_attn.config = config
        AttentionInterface.register(NAME, _attend)

    def forward(self, ids: Tensor, recall: bool = True) -> Tensor:
        """Return the logits of a segment (B, T); with `recall` the bank is read and then grows by the segment."""
        model = self.backbone[0]
        outputs: list[Tensor] = []
        cache = DynamicCache()
        with torch.no_grad(), _collected(model, outputs):
            model.model(ids, past_key_values=cache)
        at = torch.arange(ids.shape[1], device=ids.device)
        states = outputs[0]
        turn = model.model.rotary_emb(states, at[None])
        for i, part in enumerate(self.layers):
            part.self_attn.memory = (
                self if recall and i == len(self.layers) - 1 and self.bank.keys is not None else None
            )
            read = part(states, attention_mask=None, position_ids=at[None], position_embeddings=turn)
            read = read[0] if isinstance(read, tuple) else read
            states = read + outputs[2 * i + 2] - outputs[2 * i]
            part.self_attn.memory = None
        if recall:
            keys = self.rotary.shift(cache.layers[self.layer].keys, -at)
            self.bank.add(keys, cache.layers[self.layer].values)
        logits: Tensor = model.lm_head(model.model.norm(states))
        return logits

    def recalled(self, query: Tensor, scaling: float) -> Tensor:
        """Return what rotated queries (B, H*G, q, D) at positions 0, 1, … read from the bank, (B, H*G, q, D)."""
        assert self.bank.keys is not None
        turned = self.rotary.shift(query, -torch.arange(query.shape[2], device=query.device))
        asked = turned.unflatten(1, (self.bank.keys.shape[1], -1))
        keys, values = self.bank.find(asked, self.found)
        weights = (torch.einsum("bhgqd,bhgqtd->bhgqt", asked, keys) * scaling).softmax(-1)
        return torch.einsum("bhgqt,bhgqtd->bhgqd", weights, values).flatten(1, 2)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, scaling: float | None = None,
    dropout: float = 0.0, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    groups = query.shape[1] // key.shape[1]
    output = scaled_dot_product_attention(
        query, key, value, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=groups > 1
    )
    if (memory := getattr(module, "memory", None)) is not None:
        share = memory.gate.sigmoid()[:, None, None]
        output = share * output + (1 - share) * memory.recalled(query, scaling)
    return output.transpose(1, 2).contiguous(), None


@contextmanager
def _collected(model: Any, outputs: list[Tensor]) -> Iterator[None]:
    """Append what enters the first layer of a model, and the output of every layer."""

    def first(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        outputs.append(args[0] if args else kwargs["hidden_states"])

    def each(module: Any, args: tuple[Any, ...], output: Any) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hooks = [model.model.layers[0].register_forward_pre_hook(first, with_kwargs=True)]
    hooks += [layer.register_forward_hook(each) for layer in model.model.layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

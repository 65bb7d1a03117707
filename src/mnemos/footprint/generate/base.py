"""The contract of what generates text with a decoder of transformers: greedily, with less to load or to compute a token.

A generator never changes a model; what it attaches it takes away when it returns. The null one is `Greedy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import register


@dataclass(frozen=True, slots=True)
class Generated:
    """Tokens, and what they took of the model without its prompt."""

    tokens: Tensor  # (count)
    passes: int  # of the model
    layers: int  # one after another, that is those of each pass: what is loaded where weights are on disk


@runtime_checkable
class Generator(Protocol):
    """Generates with a decoder that has `model.model.layers` and works with a DynamicCache. A dataclass of knobs."""

    exact: ClassVar[
        bool
    ]  # whether the tokens are those of greedy decoding; near ties of two tokens may be rounded another way

    def generate(self, model: Any, prompt: Tensor, count: int) -> Generated:
        """Return `count` tokens that follow a prompt (T). Raises InvalidInput for an empty prompt, or no tokens."""
        ...


KINDS: dict[str, type] = {"generator": Generator}


@register("greedy", unmeasured="what the other generators are compared with")
@dataclass
class Greedy:
    """Take the likeliest token, one pass of the whole model each: the baseline of the other generators."""

    exact: ClassVar[bool] = True

    def generate(self, model: Any, prompt: Tensor, count: int) -> Generated:
        """Return `count` tokens that follow a prompt (T)."""
        check(prompt, count)
        found: list[Tensor] = []
        with torch.no_grad():
            cache = read(model, prompt[:-1])
            token = prompt[-1]
            for _ in range(count):
                logits = model(token.view(1, 1), past_key_values=cache, use_cache=True).logits
                token = logits[0, -1].argmax()
                found.append(token)
        return Generated(torch.stack(found), count, count * len(model.model.layers))


def check(prompt: Tensor, count: int) -> None:
    """Raise InvalidInput for what is no prompt, or no number of tokens."""
    if prompt.ndim != 1 or not len(prompt) or count < 1:
        raise InvalidInput(
            f"a prompt {tuple(prompt.shape)} and {count} tokens: give one row of tokens, and at least 1 to generate."
        )


def read(model: Any, tokens: Tensor) -> Any:
    """Return the cache of tokens (T) that a model has read; a new one where there are none."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    if len(tokens):
        model.model(tokens[None], past_key_values=cache, use_cache=True)
    return cache


def keep(cache: Any, places: Tensor | slice) -> None:
    """Keep the entries of a cache at these places, in every layer."""
    for layer in cache.layers:
        if layer.is_initialized:
            layer.keys, layer.values = layer.keys[:, :, places], layer.values[:, :, places]

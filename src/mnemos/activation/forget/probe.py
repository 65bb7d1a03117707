"""What each head attends to while a model answers: the look that finds retrieval heads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.attach import attached
from mnemos.activation.cache import MemoryCache
from mnemos.activation.method import CacheMethod, LayerView


class _Spy:
    """A score that keeps what the queries of a call attended to, and never decides anything."""

    def __init__(self) -> None:
        self.views: list[LayerView] = []

    def __call__(self, view: LayerView) -> Tensor:
        return view.entries.positions()

    def observe(self, view: LayerView) -> None:
        self.views.append(view)


def attention_probe(model: Any, context: Tensor, tail: Tensor) -> list[LayerView]:
    """Return a view of each layer as the tail (B, q) is read after the context (B, T): queries, and all that they see."""
    spy = _Spy()
    cache = MemoryCache(model, CacheMethod(spy))
    with torch.no_grad(), attached(model):
        model(context, past_key_values=cache)
        spy.views.clear()
        model(tail, past_key_values=cache)
    return spy.views


@contextmanager
def ablate_heads(model: Any, heads: Tensor) -> Iterator[Any]:
    """Silence query heads, True in (L, H*G): what they read never reaches the output projection."""
    hooks = []
    for module in model.modules():
        if hasattr(module, "layer_idx") and hasattr(module, "o_proj"):
            silent = heads[module.layer_idx]

            def mute(_: Any, args: tuple[Tensor], silent: Tensor = silent) -> tuple[Tensor]:
                parts = args[0].unflatten(-1, (len(silent), -1))
                return (parts.masked_fill(silent[:, None].to(parts.device), 0).flatten(-2),)

            hooks.append(module.o_proj.register_forward_pre_hook(mute))
    try:
        yield model
    finally:
        for hook in hooks:
            hook.remove()

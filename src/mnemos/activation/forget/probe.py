"""Probing: what each head attends to while a model answers, and what the model does without some heads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.attach import attached
from mnemos.activation.base import LayerView
from mnemos.activation.cache import MemoryCache
from mnemos.activation.method import CacheMethod
from mnemos.activation.models import attention_modules


class Probe:
    """A score that looks at calls and evicts nothing. Subclasses `observe` what they want to know."""

    def __call__(self, view: LayerView) -> Tensor:
        """Return the positions: no budget asks for a rank."""
        return view.entries.positions()

    def observe(self, view: LayerView) -> None:
        """Record something of a call; see `Observer`."""
        raise NotImplementedError


class _Recorder(Probe):
    """Records the views of a call."""

    def __init__(self) -> None:
        self.views: list[LayerView] = []

    def observe(self, view: LayerView) -> None:
        self.views.append(view)


def attention_probe(model: Any, context: Tensor, tail: Tensor) -> list[LayerView]:
    """Return the view of each layer as the tail (B, q) is read after the context (B, T).

    The views have the queries of the tail, and all entries that they see.
    """
    recorder = _Recorder()
    cache = MemoryCache(model, CacheMethod(recorder))
    with torch.no_grad(), attached(model):
        model(context, past_key_values=cache)
        recorder.views.clear()
        model(tail, past_key_values=cache)
    return recorder.views


@contextmanager
def ablate_heads(model: Any, heads: Tensor) -> Iterator[Any]:
    """Silence query heads, True in (L, H*G): their output never reaches the output projection."""
    hooks = []
    for module in attention_modules(model).values():
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

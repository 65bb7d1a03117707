"""A layer whose keys are made of latents after the cache was given them: DeepSeek's latent attention (MLA, 2405.04434)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.attention import attend
from mnemos.activation.entries import Entries
from mnemos.activation.layer import CacheLayer
from mnemos.activation.method import CacheMethod
from mnemos.activation.plain import Plain, plain
from mnemos.errors import InvalidInput


def check_held_whole(method: CacheMethod) -> None:
    """Raise InvalidInput for a method that does anything but hold all entries as they are."""
    if not method.keeps_all or method.observer is not None or method.store is not plain:
        raise InvalidInput(
            "this model gives latents to its cache, of which it makes the keys of all heads afterwards (MLA): a method ranks, "
            "rounds or fetches keys, so only the cache without a method, `MemoryCache(model)`, is exact for it."
        )


class LatentLayer(CacheLayer):
    """Holds latents (B, 1, T, r) and rotated parts (B, 1, T, p) in the place of keys and values; evicts nothing.

    The model gets all of them back, and makes keys and values of them: O(T) a call, as with transformers' own cache.
    """

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Store the latents of a call, and return all."""
        self.state.give(self)
        self.is_initialized = True
        store = self._plain()
        store.put(Entries(key_states, value_states))
        held = store.read(torch.empty(0), 0)
        return held.keys, held.values

    def attend_expanded(
        self,
        query: Tensor,
        made: Entries,
        valid: Tensor | None,
        scaling: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """Attend to the keys and values that the model made of all latents, (B, H*G, q, D)."""
        self.state.given, start, store = None, self.tokens_read, self._plain()
        held, count = store.read(torch.empty(0), 0), query.shape[2]
        if valid is not None or held.valid is not None:
            seen = torch.ones(held.keys.shape[:3], dtype=torch.bool, device=query.device)
            if held.valid is not None:
                seen[:, :, :start] = held.valid[:, :, :start]
            if valid is not None:
                seen[:, :, start:] = valid[:, :, -count:]
            store.replace(replace(held, valid=seen))
            made.valid = seen.expand(made.keys.shape[:3])
        self.tokens_read, self.batch = start + count, query.shape[0]
        self.prompt = self.prompt or self.tokens_read
        return attend(query, made, start, scaling, window, softcap=softcap)

    def _plain(self) -> Plain:
        store = self.groups[0].store
        assert isinstance(store, Plain)
        return store

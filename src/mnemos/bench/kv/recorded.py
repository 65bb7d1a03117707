"""Prefills that are recorded once and replayed into any cache method: a method then costs seconds.

While a prompt is read most methods change nothing of what the model computes, since entries are evicted, packed or
merged after the call. So the queries, keys, values and hidden states of one prefill are the same for all of them, and
`replay` hands them to a new cache through the attention backend, layer by layer, as the model would. What a replayed
cache answers later is what the same cache answers after a prefill of its own. A method that does change the prefill
(blocks that are fetched while the prompt is read) is noticed by what its attention returns, and reads the prompt
itself.

L layers, T tokens, W width of the model; other letters as in `mnemos.activation.base`. B is 1.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.attach import BACKEND
from mnemos.activation.calls import call_of
from mnemos.activation.entries import Entries
from mnemos.activation.layer import CacheLayer
from mnemos.activation.models import attention_modules
from mnemos.activation.transcript import surprise

TOLERANCE = 0.05  # of the largest sum of an attention output: rounding stays below it, another attention does not


@dataclass
class Prefill:
    """What a model computed while it read a prompt."""

    ids: Tensor  # (1, T)
    layers: list[dict[str, Tensor]] = field(default_factory=list)  # of each layer: query, key, value, hidden, sums
    calls: list[tuple[float, int | None]] = field(default_factory=list)  # scaling and window of each layer
    surprise: Tensor = field(default_factory=lambda: torch.empty(0))  # -log p of tokens 1 to T-1, (1, T-1)
    last: Tensor = field(default_factory=lambda: torch.empty(0))  # logits of the last token, (1, 1, V)

    @property
    def full_bytes(self) -> int:
        """Bytes of the keys and values of all tokens, in the model's own dtype: a full cache."""
        return sum(int(layer[name].nbytes) for layer in self.layers for name in ("key", "value"))


class Recording(MemoryCache):
    """A cache that keeps all entries and records what its layers are given."""

    def __init__(self, model: Any) -> None:
        self.prefill = Prefill(torch.empty(0))
        super().__init__(model, CacheMethod())

    def new_layer(self, index: int) -> CacheLayer:
        """Return an empty layer of this cache."""
        return RecordingLayer(self, index)

    @property
    def needs_hidden_states(self) -> bool:
        """Whether a layer records what it reads."""
        return True


class RecordingLayer(CacheLayer):
    """A layer of such a cache."""

    def __init__(self, cache: Recording, index: int) -> None:
        self.cache = cache
        super().__init__(cache.state, index)

    def attend(self, module: Any, query: Tensor, new: Entries, scaling: float, window: int | None) -> Tensor:
        """Record a call, then attend."""
        hidden = self.hidden_states
        output = super().attend(module, query, new, scaling, window)
        assert hidden is not None
        made = {"query": query, "key": new.keys, "value": new.values, "hidden": hidden}
        record = {name: t.detach().clone().contiguous() for name, t in made.items()}
        record["sums"] = output.float().sum(-1)
        self.cache.prefill.layers.append(record)
        self.cache.prefill.calls.append((scaling, window))
        return output


@torch.no_grad()  # type: ignore[untyped-decorator]
def record(model: Any, ids: Tensor) -> Prefill:
    """Read a prompt (1, T) and return what was computed."""
    cache = Recording(model)
    with attached(model):
        logits = model(ids, past_key_values=cache).logits
    found = cache.prefill
    found.ids, found.surprise, found.last = ids, surprise(logits[:, :-1], ids[:, 1:]), logits[:, -1:].clone()
    return found


@torch.no_grad()  # type: ignore[untyped-decorator]
def replay(model: Any, prefill: Prefill, cache: MemoryCache) -> bool:
    """Fill an empty cache as if the model had read the prompt; return whether the recorded prefill was used.

    Equal to `model(ids, past_key_values=cache)` with the logits of all tokens, in an `attached` model. Where the method
    changes what the model computes while it reads, the model reads the prompt into the cache.
    """
    with attached(model):
        try:
            with call_of(cache):
                _replay(model, prefill, cache)
            if cache.needs_tokens:
                cache.record_logits(prefill.last)
            return True
        except _DiffersError:
            cache.reset()
        model(prefill.ids, past_key_values=cache)
        return False


class _DiffersError(Exception):
    """The method changes what the model computes while it reads."""


def _replay(model: Any, prefill: Prefill, cache: MemoryCache) -> None:
    modules = {module.layer_idx: module for module in attention_modules(model).values()}
    if cache.needs_tokens:
        cache.record_tokens(prefill.ids)
        if cache.transcript.surprise is not None:
            cache.transcript.surprise[:, 1:] = prefill.surprise
    for index, (layer, (scaling, window)) in enumerate(zip(prefill.layers, prefill.calls, strict=True)):
        if cache.needs_hidden_states:
            cache.record_hidden_states(index, layer["hidden"])
        key, value = cache.update(layer["key"].clone(), layer["value"].clone(), index)
        attend = ALL_ATTENTION_FUNCTIONS[BACKEND]
        output, _ = attend(modules[index], layer["query"], key, value, None, scaling=scaling, sliding_window=window)
        sums = output.transpose(1, 2).float().sum(-1)
        if (sums - layer["sums"]).abs().max() > TOLERANCE * layer["sums"].abs().max().clamp_min(1e-3):
            raise _DiffersError


# -- on the disk


def save(prefill: Prefill, path: Path) -> None:
    """Write a prefill to a file of safetensors, atomically."""
    tensors = {f"{i}.{name}": t for i, layer in enumerate(prefill.layers) for name, t in layer.items()}
    tensors |= {"ids": prefill.ids, "surprise": prefill.surprise, "last": prefill.last}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    save_file(tensors, part, {"calls": json.dumps(prefill.calls)})
    part.replace(path)


def load(path: Path) -> Prefill:
    """Read a prefill from the file that `save` wrote."""
    found = Prefill(torch.empty(0))
    with safe_open(path, "pt") as file:
        found.ids, found.surprise, found.last = (file.get_tensor(name) for name in ("ids", "surprise", "last"))
        found.calls = [(scaling, window) for scaling, window in json.loads(file.metadata()["calls"])]
        for i in range(len(found.calls)):
            names = ("query", "key", "value", "hidden", "sums")
            found.layers.append({name: file.get_tensor(f"{i}.{name}") for name in names})
    return found


def prefill_of(model: Any, name: str, ids: Tensor, folder: Path | None) -> Prefill:
    """Return the prefill of a prompt (1, T) by a model that is known as `name`: from `folder`, or recorded into it.

    Some 46 MB for 512 tokens of a model of 135 million parameters in bfloat16. Without a folder nothing is kept.
    """
    if folder is None:
        made: Prefill = record(model, ids)
        return made
    key = hashlib.sha256(f"{name} {ids.tolist()}".encode()).hexdigest()[:24]
    path = folder / f"{key}.safetensors"
    if not path.exists():
        save(record(model, ids), path)
    return load(path)

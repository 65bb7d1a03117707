"""Caches as files: what an evicting cache still holds, in safetensors (no pickle: reading one never runs code)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mnemos.activation.cache import MemoryCache
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod
from mnemos.activation.plain import Plain
from mnemos.errors import InvalidInput, StoreCorrupt

VERSION = 1


def to_file(cache: MemoryCache, path: Path) -> int:
    """Write the entries of a cache and where they stood; return the bytes of the file.

    Raises InvalidInput for a cache that holds them in another way than as they are.
    """
    tensors: dict[str, torch.Tensor] = {}
    for layer in cache.layers:
        store = layer.groups[0].store
        if len(layer.groups) > 1 or type(store) is not Plain or store.entries is None:
            raise InvalidInput(f"layer {layer.index} holds no entries as they are: only plain stores are written.")
        for name, tensor in store.entries.tensors().items():
            tensors[f"{layer.index}.{name}"] = tensor.contiguous()
    metadata = {"version": VERSION, "layers": len(cache.layers), "tokens_read": cache.tokens_read}
    save_file(tensors, path, metadata={"mnemos": json.dumps(metadata)})
    return path.stat().st_size


def from_file(path: Path, model: Any, method: CacheMethod | None = None) -> MemoryCache:
    """Return the cache that `to_file` wrote, of the same model. Raises StoreCorrupt for a damaged file."""
    cache = MemoryCache(model, method)
    device = next(model.parameters()).device
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("mnemos", "null"))
            if not isinstance(metadata, dict) or metadata.get("version") != VERSION:
                raise StoreCorrupt(f"{path.name} holds no cache of this version: make it again.")
            if metadata["layers"] != len(cache.layers):
                raise StoreCorrupt(f"{path.name} has {metadata['layers']} layers, the model {len(cache.layers)}.")
            held: list[dict[str, torch.Tensor]] = [{} for _ in cache.layers]
            for key in file.keys():  # noqa: SIM118
                layer, name = key.split(".", 1)
                held[int(layer)][name] = file.get_tensor(key).to(device)
            tokens = int(metadata["tokens_read"])
            for layer, own in zip(cache.layers, held, strict=True):
                layer.groups[0].store.replace(Entries.of(own))
                layer.tokens_read = layer.prompt = tokens
                layer.batch = int(own["keys"].shape[0])
                layer.is_initialized = True
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise StoreCorrupt(f"{path.name} cannot be read ({error}): make it again.") from error
    return cache

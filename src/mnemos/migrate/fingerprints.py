"""Fingerprints of models: what keys and values depend on, so that those of another or a changed model are never used."""

from __future__ import annotations

import hashlib
import json
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

SMALL = 4_096  # numbers; a tensor that has no more is sampled whole
IGNORED = {"training", "name_or_path"}  # of what modules know: they do not change what a model says of a text
OF_ADAPTERS = {
    "_active_adapter",
    "_disable_adapters",
    "merged_adapters",
    "scaling",
}  # which adapters of PEFT act, and how much


@dataclass
class Fingerprints:
    """Digests of models: of the configuration, the numbers that modules know, and all weights and buffers.

    At each use a sample is compared: of each matrix at least one number of every row and every column, all of a small
    tensor. So a merged adapter, an edited row or a changed buffer is noticed, however it was written; a single number
    of a large matrix, changed alone, may not be. The whole is digested when a model is new or its sample has changed.
    """

    _known: weakref.WeakKeyDictionary[Any, tuple[str, str]] = field(default_factory=weakref.WeakKeyDictionary)

    def of(self, model: Any) -> str:
        """Return the digest of a model. O(rows and columns of its matrices); O(parameters) when it is new or changed."""
        sample = _digest(model, whole=False)
        known = self._known.get(model)
        if known is None or known[0] != sample:
            known = self._known[model] = (sample, _digest(model, whole=True))
        return known[1]


def _digest(model: Any, whole: bool) -> str:
    digest = hashlib.blake2b(digest_size=32)
    config = {name: value for name, value in model.config.to_dict().items() if not name.startswith("_")}
    known = {name: found for name, module in model.named_modules() if (found := _numbers(module))}
    digest.update(json.dumps([config, known], sort_keys=True, default=str).encode())
    for name, tensor in _tensors(model):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        part = tensor.contiguous().flatten() if whole else _sampled(tensor)
        digest.update(part.cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _tensors(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield weights and buffers by name, also those that are not saved with the model (`inv_freq`)."""
    for named in (model.named_parameters(), model.named_buffers()):
        for name, tensor in sorted(named, key=lambda pair: str(pair[0])):
            yield name, tensor.detach()


def _numbers(module: Any) -> dict[str, Any]:
    """Return the plain values that a module knows, such as the scaling of its attention."""
    return {
        name: value
        for name, value in vars(module).items()
        if name in OF_ADAPTERS
        or (not name.startswith("_") and name not in IGNORED and isinstance(value, (bool, int, float, str)))
    }


def _sampled(tensor: Tensor) -> Tensor:
    """Return at least one number of every row and every column, (n,)."""
    if tensor.numel() <= SMALL or tensor.dim() < 2:
        return tensor.flatten()
    columns = tensor.shape[-1]
    rows = tensor.numel() // columns
    step = max(min(rows, columns - 1), 1)
    while math.gcd(step, columns) > 1:  # so that the steps come by every column
        step -= 1
    if tensor.is_contiguous():
        return tensor.view(-1)[::step]
    at = torch.arange(0, tensor.numel(), step, device=tensor.device)
    return tensor[torch.unravel_index(at, tensor.shape)]

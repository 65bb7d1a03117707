"""The contract of banks: memories of pairs that hold a bounded number of entries and choose what to let go of.

N pairs written   M keys asked   K channels of a key   V channels of a value
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from mnemos.errors import InvalidInput


@runtime_checkable
class Bank(Protocol):
    """Keeps values under keys, at most `size` of them, and answers keys by what is near them."""

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Take values (N, V) under keys (N, K) one after the other; entries that are too many are merged or dropped."""
        ...

    def read(self, keys: Tensor) -> Tensor:
        """Return the values (M, V) of keys (M, K). A bank that goes by use counts the reading."""
        ...

    def __len__(self) -> int:
        """Return how many entries are held."""
        ...


KINDS: dict[str, type] = {"bank": Bank}


def checked(keys: Tensor, values: Tensor, key: int, value: int) -> None:
    """Check pairs. Raises InvalidInput."""
    if (
        keys.dim() != 2
        or values.dim() != 2
        or len(keys) != len(values)
        or (keys.shape[1], values.shape[1]) != (key, value)
    ):
        raise InvalidInput(
            f"keys {tuple(keys.shape)} and values {tuple(values.shape)} do not fit: give (N, {key}) and (N, {value})."
        )


def asked(keys: Tensor, key: int, held: int) -> Tensor:
    """Return keys that are asked. Raises InvalidInput for another shape, and where nothing is held."""
    if keys.dim() != 2 or keys.shape[1] != key:
        raise InvalidInput(f"keys have the shape {tuple(keys.shape)}: give (M, {key}).")
    if not held:
        raise InvalidInput("nothing is held yet: call `write` first.")
    return keys


def nearest(scores: Tensor, values: Tensor, k: int) -> Tensor:
    """Return the values (M, V) read by a softmax over the k best scores (M, n)."""
    best = scores.topk(min(k, scores.shape[-1]), -1)
    return torch.einsum("mk,mkv->mv", best.values.softmax(-1), values[best.indices])

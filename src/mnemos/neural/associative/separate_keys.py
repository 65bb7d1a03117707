"""A matrix memory whose keys are made to tell items apart: Hebbian as they are, decorrelated, or spread to sparse codes.

N pairs   K channels of a key   V channels of a value   E channels of a sparse code
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import pairs, rows
from mnemos.registry import Paper, register

Keys = Literal["raw", "whitened", "sparse"]


@register("separate-keys", papers=(Paper("Key-value memory in the brain", "2501.02950"),), task="associative")
class SeparateKeys:
    """Keeps pairs in one matrix M = sum k^T v, under keys that are made to differ (arXiv 2501.02950).

    - raw: keys are used as they are, so alike keys answer with a mixture of their values.
    - whitened: a read is q (sum k^T k + ridge)^-1 M: keys are decorrelated by the second moment of all keys written, so
      the order of writes does not matter. Exact while there are no more independent keys than channels.
    - sparse: keys, less the mean of those written first, are spread by fixed random weights to E channels, of which the `active`
      largest are 1 (pattern separation).

    A write costs O(K V), or O(K^2 + K V); a read O(K V), and one O(K^3) factor after a write. Holds K V numbers, K (K + V)
    when whitened, E V when sparse.
    """

    def __init__(
        self,
        key: int,  # K
        value: int,  # V
        keys: Keys = "whitened",  # how keys are made to differ
        ridge: float = 1e-3,  # of whitening, as a share of the mean square of a channel
        expand: int = 8,  # E / K, of sparse
        active: float = 0.05,  # share of the E channels that are 1
        seed: int = 0,  # of the random weights
    ) -> None:
        if keys not in get_args(Keys):
            raise InvalidInput(f"there are no keys {keys!r}: choose from {', '.join(get_args(Keys))}.")
        if key < 1 or value < 1 or expand < 1 or not 0 < active <= 1 or ridge <= 0:
            raise InvalidInput(
                f"key is {key}, value {value}, expand {expand}, active {active}, ridge {ridge}: give positive numbers, and "
                "an active share of 1 at most."
            )
        self.key, self.value, self.keys, self.ridge = key, value, keys, ridge
        self.channels = expand * key if keys == "sparse" else key
        self.active = max(1, round(active * self.channels))
        generator = torch.Generator().manual_seed(seed)
        self.spread = torch.randn(key, self.channels, generator=generator) if keys == "sparse" else torch.zeros(0)
        self.centre: Tensor | None = None
        self.memory = torch.zeros(self.channels, value, dtype=torch.float64)
        self.moment = torch.zeros((key, key) if keys == "whitened" else (0, 0), dtype=torch.float64)

    def encode(self, keys: Tensor) -> Tensor:
        """Return keys as the matrix sees them."""
        if self.keys != "sparse":
            return keys.double()
        driven = (keys.float() - (0 if self.centre is None else self.centre)) @ self.spread
        return (driven >= driven.topk(self.active, -1).values[:, -1:]).double()

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Add k^T v of pairs."""
        pairs(keys, values, self.key, self.value)
        if self.centre is None:
            self.centre = keys.float().mean(0)
        encoded = self.encode(keys)
        self.memory = self.memory + encoded.T @ values.double()
        if self.keys == "whitened":
            self.moment = self.moment + encoded.T @ encoded

    def read(self, keys: Tensor) -> Tensor:
        """Return the values (M, V) of keys (M, K); their length means something for whitened keys only."""
        encoded = self.encode(rows(keys, self.key, "keys"))
        if self.keys == "whitened":
            size = self.moment.diagonal().mean().clamp_min(1e-12) * self.ridge
            inner = self.moment + size * torch.eye(self.key, dtype=torch.float64)
            encoded = torch.linalg.solve(inner, encoded.T).T
        return (encoded @ self.memory).to(keys.dtype)

    @property
    def nbytes(self) -> int:
        """Return the bytes that are held, without random weights, which the seed gives."""
        return int((self.memory.numel() + self.moment.numel()) * 8)

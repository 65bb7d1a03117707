"""Larimar's memory: a matrix that is written by least squares, in one shot or one after the other, and erased exactly.

K slots   C channels of a latent   V channels of a value   M0 fixed addresses (K, C)   M memory (K, V)
w = z M0^+ the address of a latent z
"""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import pairs, rows
from mnemos.registry import Paper, register


@register(
    "larimar",
    papers=(
        Paper("Needle in the Haystack for Memory Based Large Language Models", "2407.01437", "IBM/larimar"),
        Paper("Larimar: Large Language Models with Episodic Memory Control", "2403.11901", "IBM/larimar"),
    ),
    task="associative",
)
class Larimar:
    """Keeps values under the addresses of their keys by least squares: M = W^+ Z, with W = Z_key M0^+.

    Written in one shot or in any number of pieces, the memory is the same ridge solution (P + W^T W)^-1 W^T Z:
    C <- C + a w w^T, M <- M + a C^-1 w (z - w M), with a = 1 for a write and -1 to erase (arXiv 2403.11901), so an erased pair
    leaves nothing behind. A write of N pairs costs O(N K (K + V)), and O(K^3) for a solve. Holds K (K + V) numbers.
    Departures: solves with a Cholesky factor in float64 instead of Newton-Schulz steps; the prior P is a small ridge.
    """

    def __init__(
        self,
        key: int,  # C, channels of a key
        value: int,  # V, channels of a value
        slots: int | None = None,  # K, at most C; C if nothing is said
        ridge: float = 1e-6,  # of the prior: what an empty memory resists
        seed: int = 0,  # of the addresses
    ) -> None:
        slots = key if slots is None else slots
        if not 0 < slots <= key or value < 1 or ridge <= 0:
            raise InvalidInput(
                f"slots is {slots}, key {key}, value {value}, ridge {ridge}: give 1 to {key} slots, a value and a ridge above 0."
            )
        self.key, self.value, self.slots, self.count = key, value, slots, 0
        generator = torch.Generator().manual_seed(seed)
        prior = torch.linalg.qr(torch.randn(key, slots, generator=generator, dtype=torch.float64))[0].T
        self.to_address = torch.linalg.pinv(prior)  # M0^+, (C, K)
        self.ridge = ridge
        self.inner = ridge * torch.eye(slots, dtype=torch.float64)  # C of the paper
        self.memory = torch.zeros(slots, value, dtype=torch.float64)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Keep values (N, V) under keys (N, C), besides what is kept."""
        self.change(keys, values, 1)

    def erase(self, keys: Tensor, values: Tensor) -> None:
        """Take out pairs that were written. Raises InvalidInput where so many were not."""
        if len(keys) > self.count:
            raise InvalidInput(f"{len(keys)} pairs are to be erased and {self.count} are kept: erase what was written.")
        self.change(keys, values, -1)

    def change(self, keys: Tensor, values: Tensor, sign: int) -> None:
        """Add pairs, or take them out, by a recursive step of least squares."""
        pairs(keys, values, self.key, self.value)
        w, z = self.address(keys), values.double()
        self.inner = self.inner + sign * w.T @ w
        self.memory = self.memory + sign * torch.linalg.solve(self.inner, w.T @ (z - w @ self.memory))
        self.count += sign * len(keys)

    def read(self, keys: Tensor) -> Tensor:
        """Return w M, (M, V), in the precision of the keys."""
        return (self.address(rows(keys, self.key, "keys")) @ self.memory).to(keys.dtype)

    def address(self, keys: Tensor) -> Tensor:
        """Return the addresses (N, K) of keys (N, C)."""
        return keys.double() @ self.to_address

    @property
    def nbytes(self) -> int:
        """Return the bytes that are held."""
        return int((self.inner.numel() + self.memory.numel()) * 8)

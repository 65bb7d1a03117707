"""The contract of a cache for masked-diffusion decoding.

No key or value of such a model is ever final: every position sees every other, so each decoded token changes them all.
But they change little from one step to the next, so most can be reused from an earlier step. A reuse policy decides
which positions a step recomputes (`recompute`) and which entries are held until the next refresh (`retain`). It has
settings and no state; `cache.DiffusionCache` holds the keys and values, and nothing else changes them.

    B batch, H heads, D width of a head, T positions of the sequence, f positions computed in a step, n entries held
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Step:
    """State of the decoding when a step begins. A block is the positions [start, end) of the sequence."""

    ids: Tensor  # (B, T), with the mask's id at every position that is not decoded
    masked: Tensor  # (B, T) bool: not decoded; the papers' M_t
    masked_before: Tensor  # (B, T) bool: not decoded when the previous step began; M_{t-1}
    chosen: Tensor | None  # (B, T) bool: what this step will decode, where the order is drawn in advance; D_t
    prompt: int  # positions before the first block
    start: int
    end: int
    number: int  # of the step within its block, from 0
    first: bool  # whether this is the first step of the whole sequence

    def all_positions(self) -> Tensor:
        """Return (B, T) bool, all true."""
        return torch.ones_like(self.masked)

    def in_block(self) -> Tensor:
        """Return (B, T) bool, true in the current block."""
        inside = torch.zeros_like(self.masked)
        inside[:, self.start : self.end] = True
        return inside


@runtime_checkable
class ReusePolicy(Protocol):
    """Decides what a decoding step recomputes and which entries it keeps."""

    def recompute(self, step: Step) -> Tensor:
        """Return (B, T) bool: the positions whose tokens are put through the model in this step.

        They must include every position that the step may decode, and on the first step all positions.
        """
        ...

    def retain(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor | None:
        """Return (B, n) ascending positions outside the block whose entries are kept after this step; None keeps all.

        Called for each layer on the steps that compute all positions, with their query and key (B, H, T, D). Until the
        next such step, only the block may be computed. The default keeps all.
        """
        return None


@dataclass(frozen=True)
class NoReuse(ReusePolicy):
    """Recomputes every position in every step: the null policy, equal to decoding without a cache."""

    def recompute(self, step: Step) -> Tensor:
        """Return all positions, (B, T) bool."""
        return step.all_positions()


@runtime_checkable
class EntryCache(Protocol):
    """Receives the keys and values that a model's layers compute."""

    def update(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, H, f, D) each and return the keys and values (B, H, n, D) that the f queries attend to."""
        ...


KINDS: dict[str, type] = {"reuse-policy": ReusePolicy}

"""The key/value cache of a masked-diffusion decoder, held by position under a reuse policy.

B batch, H heads, D width of a head, T positions of the sequence, f positions computed in a step, n entries held
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.diffusion.base import ReusePolicy, Step
from mnemos.errors import InvalidInput


@dataclass
class Rows:
    """The entries of one layer. The last entry, and position T of `index`, are for padding and are never read."""

    keys: Tensor  # (B, H, n + 1, D)
    values: Tensor  # (B, H, n + 1, D)
    index: Tensor  # (B, T + 1) int64: the entry of each position; n where it has none


class DiffusionCache:
    """Keys and values of all layers under a policy. Entries that the policy does not retain are freed."""

    def __init__(self, policy: ReusePolicy) -> None:
        self.policy = policy
        self.layers: dict[int, Rows] = {}
        self.reads = 0  # entries attended to by the queries of all sequences and layers, without those of padding
        self._step: Step | None = None
        self._positions = torch.empty(0, 0, dtype=torch.int64)
        self._complete = False  # whether the step computes every position of every sequence
        self._queries = 0

    def start_step(self, step: Step, positions: Tensor) -> None:
        """Set the positions (B, f) that the next call of the model computes, ascending; T pads shorter sequences."""
        self._step, self._positions = step, positions
        length = step.ids.shape[1]
        self._complete = positions.shape[1] == length and bool((positions[:, -1] < length).all())
        self._queries = int((positions < length).sum())

    def update(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values (B, H, f, D) and return all that are held, (B, H, n, D) each. O(n D) a row and head.

        Raises InvalidInput when the policy computes a part before a step has computed all positions.
        """
        if self._complete and self._step is not None:
            self._retain(layer, query, key, value, self._step)
            self.reads += self._queries * key.shape[2]
            return key, value
        if layer not in self.layers:
            raise InvalidInput(
                f"{self.policy} computes a part of the sequence while the cache is empty: "
                "its first step must compute all positions."
            )
        rows = self.layers[layer]
        n = rows.keys.shape[2] - 1
        index = rows.index.gather(1, self._positions)[:, None, :, None].expand_as(key)
        rows.keys.scatter_(2, index, key)
        rows.values.scatter_(2, index, value)
        self.reads += self._queries * n
        return rows.keys[:, :, :n], rows.values[:, :, :n]

    def _retain(self, layer: int, query: Tensor, key: Tensor, value: Tensor, step: Step) -> None:
        """Hold the entries (B, H, T, D) that the policy retains, then the block, then one entry for padding."""
        batch, length = step.ids.shape
        retained = self.policy.retain(step, layer, query, key)
        if retained is None:
            positions = torch.arange(length, device=key.device).expand(batch, -1)
        else:
            block = torch.arange(step.start, step.end, device=key.device).expand(batch, -1)
            positions = torch.cat([retained, block], 1)
        n = positions.shape[1]
        index = torch.full((batch, length + 1), n, device=key.device)
        index.scatter_(1, positions, torch.arange(n, device=key.device).expand(batch, -1))
        padded = torch.cat([positions, positions[:, -1:]], 1)[:, None, :, None]
        taken = padded.expand(-1, key.shape[1], -1, key.shape[3])
        self.layers[layer] = Rows(key.gather(2, taken), value.gather(2, taken), index)

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values held now."""
        return sum(t.nbytes for rows in self.layers.values() for t in (rows.keys, rows.values))

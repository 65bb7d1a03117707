"""The cache of a masked-diffusion decoder: keys and values by position, of which a policy says what is recomputed.

No key or value of such a model is ever final, as every position sees every other: a decoded token changes them all. But they
change little from one step to the next, so that most can be those of an earlier step. The methods of this package are
policies, which share this store and differ in `fresh`, the positions that a step computes anew, and in `kept`, the
entries that stay:

    B batch, H heads, D width of a head, T positions of the sequence, f of them computed anew, n entries held, L layers
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class Step:
    """What is known when a step of the decoding begins. Blocks are slots [start, end) of the sequence."""

    ids: Tensor  # (B, T), with the mask's id at what is not decoded
    masked: Tensor  # (B, T) bool: not decoded; the paper's M_t
    before: Tensor  # (B, T) bool: not decoded when the step before began; M_{t-1}
    chosen: Tensor | None  # (B, T) bool: what this step will decode, where the order is drawn beforehand; D_t
    prompt: int  # slots before the first block
    start: int
    end: int
    number: int  # of the step in its block, from 0
    first: bool  # step of the whole sequence

    def everything(self) -> Tensor:
        """Return (B, T), all true."""
        return torch.ones_like(self.masked)

    def block(self) -> Tensor:
        """Return (B, T), true in the block."""
        here = torch.zeros_like(self.masked)
        here[:, self.start : self.end] = True
        return here


class Policy:
    """What is computed anew, and what is kept. This one reuses nothing; a policy has settings and no state."""

    def fresh(self, step: Step) -> Tensor:
        """Return (B, T) bool: the positions whose tokens are put through the model in this step.

        It must hold those that the step may decode, and all on the first step.
        """
        return step.everything()

    def kept(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor | None:
        """Return (B, n) ascending slots outside the block whose entries stay after this step, None for all.

        Asked for each layer on the steps that compute all positions, of which query and key (B, H, T, D) are. The next
        steps up to the one that computes all again may then only compute the block.
        """
        return None


@dataclass
class Held:
    """The entries of one layer: slot T of `rows`, and the last entry, are for the padding of a call and never read."""

    keys: Tensor  # (B, H, n + 1, D)
    values: Tensor  # (B, H, n + 1, D)
    rows: Tensor  # (B, T + 1) int64: the entry of each slot; n where it has none


class Store:
    """Keys and values of all layers under a policy. What is not kept is freed."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.layers: dict[int, Held] = {}
        self.reads = 0  # entries attended to by the queries of all rows and layers (not those of padding)
        self._step: Step | None = None
        self._places = torch.empty(0, 0, dtype=torch.int64)
        self._whole = False
        self._queries = 0

    def begin(self, step: Step, places: Tensor) -> None:
        """Say which slots (B, f) the next call of the model computes, ascending; T stands where a row has fewer."""
        self._step, self._places = step, places
        length = step.ids.shape[1]
        self._whole = places.shape[1] == length and bool((places[:, -1] < length).all())
        self._queries = int((places < length).sum())

    def update(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Take (B, H, f, D) in and return all that is held, (B, H, n, D) each; O(n D) a row and head."""
        if self._whole and self._step is not None:
            self._keep(layer, query, key, value, self._step)
            self.reads += self._queries * key.shape[2]
            return key, value
        if layer not in self.layers:
            raise InvalidInput(
                f"{self.policy} computes a part before anything is held: its first step must compute all."
            )
        held = self.layers[layer]
        n = held.keys.shape[2] - 1
        index = held.rows.gather(1, self._places)[:, None, :, None].expand_as(key)
        held.keys.scatter_(2, index, key)
        held.values.scatter_(2, index, value)
        self.reads += self._queries * n
        return held.keys[:, :, :n], held.values[:, :, :n]

    def _keep(self, layer: int, query: Tensor, key: Tensor, value: Tensor, step: Step) -> None:
        """Hold what the policy keeps of all (B, H, T, D), then the block, then room for padding."""
        rows, length = step.ids.shape
        kept = self.policy.kept(step, layer, query, key)
        if kept is None:
            slots = torch.arange(length, device=key.device).expand(rows, -1)
        else:
            block = torch.arange(step.start, step.end, device=key.device).expand(rows, -1)
            slots = torch.cat([kept, block], 1)
        n = slots.shape[1]
        order = torch.full((rows, length + 1), n, device=key.device)
        order.scatter_(1, slots, torch.arange(n, device=key.device).expand(rows, -1))
        index = torch.cat([slots, slots[:, -1:]], 1)[:, None, :, None].expand(-1, key.shape[1], -1, key.shape[3])
        self.layers[layer] = Held(key.gather(2, index), value.gather(2, index), order)

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values held now."""
        return sum(t.nbytes for held in self.layers.values() for t in (held.keys, held.values))

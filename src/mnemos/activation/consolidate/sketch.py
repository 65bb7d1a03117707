"""A sketch of keys and values from which attention to them can be estimated: clusters of keys, samples of values.

B batch, H key/value heads, M clusters, t samples of each, s samples of values, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import one_hot


@dataclass
class Sketch:
    """The state of SubGen (arXiv 2402.06082) for the heads of a layer.

    Heads with fewer clusters than M have counts of 0.
    """

    radius: Tensor  # (B, H) of a cluster
    centres: Tensor  # (B, H, M, D)
    counts: Tensor  # (B, H, M) n_i: keys of each cluster
    keys: Tensor  # (B, H, M, t, D), uniform samples of each cluster
    z_keys: Tensor  # (B, H, s, D), samples in proportion to |v|^2
    z_values: Tensor  # (B, H, s, D)
    mu: Tensor  # (B, H), the sum of |v|^2

    @staticmethod
    def empty(radius: Tensor, like: Tensor, t: int, s: int) -> Sketch:
        """Return a sketch of nothing, for entries such as `like` (B, H, T, D)."""
        batch, heads, _, width = like.shape
        sizes = ((0, width), (0,), (0, t, width), (s, width), (s, width), ())
        held = [like.new_zeros(batch, heads, *size) for size in sizes]
        held[1], held[5] = held[1].float(), held[5].float()  # what counts and adds up
        return Sketch(radius.float(), *held)

    def take(self, key: Tensor, value: Tensor, present: Tensor, most: int | None, rng: torch.Generator) -> None:
        """Add one key and value (B, H, D) of each head; `present` (B, H) is False where it is padding. O(M D + s D)."""
        if not bool(present.any()):
            return
        cluster, opens = self._cluster(key, present, most)
        own = one_hot(cluster, self.counts.shape[2]).bool() & present[..., None]  # (B, H, M)
        self.counts = self.counts + own
        self.centres = torch.where((own & opens[..., None])[..., None], key[:, :, None], self.centres)
        chance = 1 / self.counts.gather(2, cluster[..., None])[..., None].clamp_min(1)  # (B, H, 1, 1)
        drawn = torch.rand(key.shape[1], 1, self.keys.shape[3], generator=rng).to(key.device) < chance
        self.keys = torch.where((own[..., None] & drawn)[..., None], key[:, :, None, None], self.keys)
        weight = value.float().square().sum(2) * present
        self.mu = self.mu + weight
        chance = (weight / self.mu.clamp_min(1e-30))[..., None]
        taken = (torch.rand(key.shape[1], self.z_keys.shape[2], generator=rng).to(key.device) < chance)[..., None]
        self.z_keys = torch.where(taken, key[:, :, None], self.z_keys)
        self.z_values = torch.where(taken, value[:, :, None], self.z_values)

    def _cluster(self, key: Tensor, present: Tensor, most: int | None) -> tuple[Tensor, Tensor]:
        """Return each key's cluster and whether it is new, (B, H); there is room for it afterwards."""
        many, used = self.counts.shape[2], (self.counts > 0).sum(2)
        far = (self.centres - key[:, :, None]).float().norm(dim=3).masked_fill(self.counts == 0, torch.inf)
        opens = present & (far > self.radius[..., None]).all(2)
        if most is not None:
            opens &= used < most
        if bool((opens & (used == many)).any()):
            self.centres, self.counts, self.keys = (
                torch.cat((held, held.new_zeros(*held.shape[:2], 1, *held.shape[3:])), 2)
                for held in (self.centres, self.counts, self.keys)
            )
        nearest = far.argmin(2) if many else torch.zeros_like(used)
        return torch.where(opens, used.clamp(max=self.counts.shape[2] - 1), nearest), opens

    def entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return keys (B, H, s + M t, D), values with one channel more, and biases (B, H, s + M t).

        The first s make the numerator z; the others, whose values are 0 but for the 1 in the last channel, the
        normaliser.
        """
        s, t = self.z_keys.shape[2], self.keys.shape[3]
        numerator = self.mu[..., None] / (s * self.z_values.float().square().sum(3))
        keys = torch.cat((self.z_keys, self.keys.flatten(2, 3)), 2)
        bias = torch.cat((numerator.nan_to_num(0.0, 0.0).log(), (self.counts / t).log().repeat_interleave(t, 2)), 2)
        values = keys.new_zeros(*keys.shape[:3], keys.shape[3] + 1)
        values[:, :, :s, :-1], values[:, :, s:, -1] = self.z_values, 1.0
        return keys, values, bias.float()

    def rows(self, index: Tensor) -> Sketch:
        """Return the sketch of some rows of the batch."""
        return Sketch(*(getattr(self, f.name).index_select(0, index.to(self.mu.device)) for f in fields(self)))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(int(getattr(self, f.name).nbytes) for f in fields(self))

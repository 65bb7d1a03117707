"""A sketch of keys and values from which attention to them can be estimated: clusters of keys, samples of values.

B batch, H key/value heads, M clusters, t samples of each, s samples of values, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import one_hot

BLOCK = 256  # keys and values that are added at a time


@dataclass(frozen=True)
class Draws:
    """Random numbers of each position, head and place: the same ones however many entries are added at a time."""

    seed: int
    first: int = 0  # position of the first entry

    def after(self, count: int) -> Draws:
        """Return the draws from `count` entries on."""
        return Draws(self.seed, self.first + count)

    def below(self, chance: Tensor, places: int, kind: int) -> Tensor:
        """Return which draws are below a chance (B, H, n, 1), (B, H, n, places); `kind` tells two uses apart."""
        sizes = (chance.shape[1], chance.shape[2], places)
        heads, entries, place = (torch.arange(size, device=chance.device) for size in sizes)
        mixed = (heads[:, None] * 0x9E3779B1 + self.seed * 2 + kind)[..., None] * 0x2545F4914F6CDD1D
        mixed = _mixed(mixed + (entries + self.first)[:, None]) + place
        return (_mixed(mixed) & 0xFFFFFF) / 2**24 < chance


def _mixed(number: Tensor) -> Tensor:
    """Return 64 bits that all depend on all bits of a number: the finalizer of SplitMix64."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        number = (number ^ ((number >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return number


def _replaced(held: Tensor, new: Tensor, index: Tensor) -> Tensor:
    """Return what is held (B, H, ..., D), with the `new` vectors (B, H, n, D) of an index (B, H, ...) above -1 instead."""
    flat = index.flatten(2)
    found = new.gather(2, flat.clamp_min(0)[..., None].expand(*flat.shape, new.shape[3])).view(held.shape)
    return torch.where((index >= 0)[..., None], found, held)


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

    def add(self, keys: Tensor, values: Tensor, present: Tensor, most: int | None, draws: Draws) -> None:
        """Add keys and values (B, H, n, D) in their order; `present` (B, H, n) is False for padding. O(n (M + s) D)."""
        for first in range(0, keys.shape[2], BLOCK):
            part = slice(first, first + BLOCK)
            self._add(keys[:, :, part], values[:, :, part], present[:, :, part], most, draws.after(first))

    def _add(self, keys: Tensor, values: Tensor, present: Tensor, most: int | None, draws: Draws) -> None:
        index = torch.arange(keys.shape[2], device=keys.device)[:, None]  # (n, 1)
        cluster = self._clusters(keys, present, most)
        own = one_hot(cluster, self.counts.shape[2]) * present[..., None]  # (B, H, n, M)
        counts = self.counts + own.sum(2)
        chance = 1 / (self.counts[:, :, None] + own.cumsum(2)).gather(3, cluster[..., None]).clamp_min(1)
        drawn = draws.below(chance, self.keys.shape[3], 0) & present[..., None]  # (B, H, n, t)
        last = torch.full(self.keys.shape[:4], -1, device=keys.device)  # the last key that a place drew
        last.scatter_reduce_(2, cluster[..., None].expand(drawn.shape), torch.where(drawn, index, -1), "amax")
        self.counts, self.keys = counts, _replaced(self.keys, keys, last)
        weight = values.float().square().sum(3) * present
        mu = self.mu[..., None] + weight.cumsum(2)
        chance = (weight / mu.clamp_min(1e-30))[..., None]
        last = torch.where(draws.below(chance, self.z_keys.shape[2], 1), index, -1).amax(2)  # (B, H, s)
        self.mu = mu[..., -1].clone()
        self.z_keys, self.z_values = _replaced(self.z_keys, keys, last), _replaced(self.z_values, values, last)

    def _clusters(self, keys: Tensor, present: Tensor, most: int | None) -> Tensor:
        """Return each key's cluster, (B, H, n): the nearest there was when it came, or a new one."""
        used, count = (self.counts > 0).sum(2), keys.shape[2]
        opens = self._opening(keys, present, used, most)
        self._make_room(int((used + opens.sum(2)).max()))
        size = self.counts.shape[2]
        since = torch.where(self.counts > 0, -1, count)  # (B, H, M): the key from which on a centre is there
        if bool(opens.any()):
            b, h, n = opens.nonzero(as_tuple=True)
            place = (used[..., None] + opens.cumsum(2) - 1)[b, h, n]
            self.centres[b, h, place], since[b, h, place] = keys[b, h, n], n
        if not size:
            return torch.zeros_like(opens, dtype=torch.long)
        far = torch.cdist(keys.float(), self.centres.float(), compute_mode="donot_use_mm_for_euclid_dist")
        index = torch.arange(count, device=keys.device)[:, None]
        return far.masked_fill_(since[:, :, None] > index, torch.inf).argmin(3)

    def _opening(self, keys: Tensor, present: Tensor, used: Tensor, most: int | None) -> Tensor:
        """Return which keys become centres, (B, H, n): those further than the radius from all centres before them."""
        opens, index = torch.zeros_like(present), torch.arange(keys.shape[2], device=keys.device)
        least = torch.full(present.shape, torch.inf, device=keys.device)  # distance to the nearest centre
        if self.counts.shape[2]:
            far = torch.cdist(keys.float(), self.centres.float(), compute_mode="donot_use_mm_for_euclid_dist")
            least = far.masked_fill_((self.counts == 0)[:, :, None], torch.inf).amin(3)
        room = torch.full_like(used, keys.shape[2]) if most is None else most - used
        while bool((far_off := present & (least > self.radius[..., None]) & (room > 0)[..., None]).any()):
            first = torch.where(far_off, index, len(index)).amin(2, keepdim=True)  # (B, H, 1)
            here = (index == first) & far_off
            centre = keys.gather(2, first.clamp(max=len(index) - 1)[..., None].expand(*first.shape, keys.shape[3]))
            near = (keys - centre).float().norm(dim=3)
            least = torch.where(far_off.any(2, keepdim=True), torch.minimum(least, near), least)
            # what stands before it stays with the centres there were: it is not asked again
            present = present & (index > first)
            opens, room = opens | here, room - here.sum(2)
        return opens

    def _make_room(self, size: int) -> None:
        """Make room for `size` clusters of each head."""
        if (more := size - self.counts.shape[2]) > 0:
            self.centres, self.counts, self.keys = (
                torch.cat((held, held.new_zeros(*held.shape[:2], more, *held.shape[3:])), 2)
                for held in (self.centres, self.counts, self.keys)
            )

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

"""Vector quantisation: vectors as numbers of centroids, learned from them by k-means.

P parts of a vector, L levels, C centroids of a part, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.errors import InvalidInput

MOST = 256  # centroids of a part: a number fits into a byte


@dataclass
class Codebook:
    """Product quantisation (Jégou et al., TPAMI 2011): each part of a vector is the sum of a centroid of every level.

    A level codes what the levels before it leave (residual quantisation).
    """

    centroids: Tensor  # (L, P, C, D / P)

    @staticmethod
    def fit(
        vectors: Tensor, parts: int, levels: int = 1, codes: int = MOST, rounds: int = 15, seed: int = 0
    ) -> Codebook:
        """Return the codebook of vectors (n, D); O(rounds n C D) for each level.

        With fewer vectors than centroids each vector is its own. Raises InvalidInput for a width that P does not divide.
        """
        count, width = vectors.shape
        if parts < 1 or width % parts or levels < 1 or not 1 <= codes <= MOST:
            raise InvalidInput(
                f"vectors of {width} numbers cannot be cut into {parts} parts with {levels} levels of {codes} codes: "
                f"give parts that divide {width}, 1 level or more, and 1 to {MOST} codes."
            )
        generator = torch.Generator().manual_seed(seed)
        rest = vectors.float().reshape(count, parts, -1).transpose(0, 1).contiguous()  # (P, n, d)
        found = []
        for _ in range(levels):
            start = torch.randperm(count, generator=generator)[:codes].to(vectors.device)
            level = rest[:, start].clone()
            for _ in range(rounds):
                near = _nearest(rest, level)
                level = _means(rest, near, level)
            found.append(level)
            rest = rest - _taken(level, _nearest(rest, level))
        return Codebook(torch.stack(found))

    def encode(self, vectors: Tensor) -> Tensor:
        """Return the codes of vectors (…, D), (…, L, P) uint8."""
        levels, parts = self.centroids.shape[:2]
        rest = vectors.float().reshape(-1, parts, vectors.shape[-1] // parts).transpose(0, 1)
        codes = []
        for level in self.centroids:
            near = _nearest(rest, level)
            rest = rest - _taken(level, near)
            codes.append(near.T)
        return torch.stack(codes, 1).to(torch.uint8).reshape(*vectors.shape[:-1], levels, parts)

    def decode(self, codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the vectors (…, D) that codes (…, L, P) stand for."""
        flat = codes.reshape(-1, *codes.shape[-2:]).long()
        sums = sum(_taken(level, flat[:, i].T) for i, level in enumerate(self.centroids))
        assert isinstance(sums, Tensor)
        return sums.transpose(0, 1).reshape(*codes.shape[:-2], -1).to(dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the centroids."""
        return int(self.centroids.numel() * self.centroids.element_size())


def _nearest(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Return the number of the nearest of (P, C, d) for each of (P, n, d), (P, n)."""
    return torch.cdist(vectors, centroids).argmin(2)


def _taken(centroids: Tensor, numbers: Tensor) -> Tensor:
    """Return the centroids (P, C, d) at numbers (P, n), (P, n, d)."""
    return centroids.gather(1, numbers[..., None].expand(-1, -1, centroids.shape[2]))


def _means(vectors: Tensor, near: Tensor, before: Tensor) -> Tensor:
    """Return the mean of the vectors at each centroid; one without vectors stays."""
    index = near[..., None].expand_as(vectors)
    sums = torch.zeros_like(before).scatter_add(1, index, vectors)
    counts = torch.zeros_like(before).scatter_add(1, index, torch.ones_like(vectors))
    return torch.where(counts > 0, sums / counts.clamp(min=1), before)

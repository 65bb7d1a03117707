"""Hierarchical k-means: a tree of centres, and the path of a vector from its root to a leaf."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ROUNDS = 20


def grow(vectors: Tensor, branching: int, depth: int, seed: int = 0) -> list[Tensor]:
    """Return the centres of each level, (branching ** level, D) from level 1 on; children of node i begin at i * branching.

    A node whose cluster has fewer distinct vectors than children repeats them; the first of equal children is taken, so
    the others stay empty.
    """
    made = torch.Generator().manual_seed(seed)
    levels: list[Tensor] = []
    members = [vectors]
    for _ in range(depth):
        centres, split = [], []
        for cluster in members:
            found = _k_means(cluster if len(cluster) else vectors.mean(0, keepdim=True), branching, made)
            nearest = torch.cdist(cluster, found).argmin(-1)
            centres.append(found)
            split += [cluster[nearest == child] for child in range(branching)]
        levels.append(torch.cat(centres))
        members = split
    return levels


def paths(vectors: Tensor, levels: Sequence[Tensor], branching: int) -> Tensor:
    """Return the nodes (B, depth) that vectors (B, D) pass, one a level, numbered within it."""
    node = torch.zeros(len(vectors), dtype=torch.long)
    found = []
    for centres in levels:
        children = node[:, None] * branching + torch.arange(branching)
        distances = (centres[children] - vectors[:, None]).square().sum(-1)
        node = children.gather(1, distances.argmin(-1, keepdim=True))[:, 0]
        found.append(node)
    return torch.stack(found, 1)


def _k_means(vectors: Tensor, k: int, made: torch.Generator) -> Tensor:
    """Return k centres by Lloyd's algorithm, started far from each other (k-means++)."""
    centres = vectors[torch.randint(len(vectors), (1,), generator=made)]
    while len(centres) < k:
        gap = torch.cdist(vectors, centres).amin(-1).square()
        far = torch.multinomial(gap, 1, generator=made) if gap.sum() > 0 else torch.zeros(1, dtype=torch.long)
        centres = torch.cat([centres, vectors[far]])
    for _ in range(ROUNDS):
        nearest = torch.cdist(vectors, centres).argmin(-1)
        moved = centres.clone()
        for child in nearest.unique().tolist():
            moved[child] = vectors[nearest == child].mean(0)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres

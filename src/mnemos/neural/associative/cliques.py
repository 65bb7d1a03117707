"""Clustered cliques: a binary memory in which an item is a clique of one unit from each cluster.

c clusters of l units   an item is c numbers below l, -1 where it is not known
"""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import rows
from mnemos.registry import Paper, register


@register(
    "clustered-cliques",
    papers=(Paper("Robust Associative Memories Naturally Occuring From Recurrent Hebbian Networks Under Noise", "1709.08367"),),
    task="associative",
    baselines=("hopfield",),
)  # fmt: skip
class ClusteredCliques:
    """Keeps items as cliques of binary links between clusters of units, and fills in the units that a cue lacks.

    Writing sets W[(a, i), (b, j)] = 1 for all pairs of an item's units; recall keeps in each cluster the units that most other
    clusters support (sum of max), again and again. After M random items a link exists with the probability
    1 - (1 - 1/l^2)^M. With a threshold (arXiv 1709.08367: links are fixed only after repeated co-activation) a link counts once
    its units were active together that often, so single spurious inputs leave nothing behind. Holds c (c - 1) / 2 l^2 bits
    (a byte each here, and one more each for the counts where the threshold is above 1).
    """

    def __init__(
        self,
        clusters: int = 8,  # c
        units: int = 64,  # l, of each cluster
        threshold: int = 1,  # co-activations before a link is fixed, 255 at most
        rounds: int = 8,  # of a recall, at most
    ) -> None:
        if clusters < 2 or units < 2 or not 1 <= threshold <= 255 or rounds < 1:
            raise InvalidInput(
                f"clusters is {clusters}, units {units}, threshold {threshold}, rounds {rounds}: give at least 2 clusters "
                "of 2 units, a threshold of 1 to 255, and a round."
            )
        self.clusters, self.units, self.threshold, self.rounds = clusters, units, threshold, rounds
        self.counts = torch.zeros(clusters * units, clusters * units, dtype=torch.uint8)

    def store(self, patterns: Tensor) -> None:
        """Add the co-activations of items (N, c), whole numbers below l."""
        items = self.checked(patterns, "patterns", 0)
        place = items + torch.arange(self.clusters) * self.units  # (N, c)
        for one in place:
            block = self.counts[one[:, None], one[None]]
            self.counts[one[:, None], one[None]] = block + (block < self.threshold)

    def recall(self, cues: Tensor) -> Tensor:
        """Return items (M, c) for cues (M, c) with -1 where nothing is known; -1 stays where several units are as likely."""
        cues = self.checked(cues, "cues", -1)
        links = self.links.float()
        known = cues >= 0
        active = torch.nn.functional.one_hot(cues.clamp_min(0), self.units).float() * known[..., None]  # (M, c, l)
        for _ in range(self.rounds):
            support = self.support(active, links)
            best = (support == support.amax(-1, keepdim=True)) & (support > 0)
            new = torch.where(known[..., None], active.bool(), best).float()
            if torch.equal(new, active):
                break
            active = new
        alone = active.sum(-1) == 1
        return torch.where(alone, active.argmax(-1), -1)

    def support(self, active: Tensor, links: Tensor) -> Tensor:
        """Return by how many clusters each unit is supported, (M, c, l)."""
        found = torch.zeros_like(active)
        for a in range(self.clusters):
            rows_of = links[a * self.units : (a + 1) * self.units]
            reached = (active[:, a] @ rows_of).clamp_max(1).view(len(active), self.clusters, self.units)
            reached[:, a] = 0
            found += reached
        return found

    @property
    def links(self) -> Tensor:
        """Return which links are fixed."""
        return self.counts >= self.threshold

    @property
    def density(self) -> float:
        """Return the share of links between clusters that are fixed."""
        of = torch.arange(len(self.counts)) // self.units
        return float(self.links[of[:, None] != of[None]].float().mean())

    @property
    def bits(self) -> int:
        """Return the bits that the links need."""
        return self.clusters * (self.clusters - 1) // 2 * self.units**2

    def checked(self, items: Tensor, what: str, least: int) -> Tensor:
        """Return items as whole numbers. Raises InvalidInput."""
        items = rows(items, self.clusters, what)
        if items.is_floating_point() or bool(((items < least) | (items >= self.units)).any()):
            raise InvalidInput(f"{what} have numbers outside {least} to {self.units - 1}: give whole numbers within.")
        return items.long()

"""Neighbourhood caches: each node of a graph that grows remembers a few of its neighbours, at places that a hash gives.

N nodes   S slots of a table   H hops   B pairs
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

EMPTY = -1
PRIME = 2_654_435_761  # Knuth's multiplier


@register(
    "neighbourhood-caches",
    papers=(
        Paper(
            "Neighborhood-aware Scalable Temporal Network Representation Learning",
            "2209.01084",
            "Graph-COM/Neighborhood-Aware-Temporal-Network",
        ),
    ),
    task="recurrent",
)
class NeighbourhoodCaches:
    """Keeps hash tables of the neighbours of each node, one and two hops away, and compares those of two nodes (2209.01084).

    An event (u, v) puts v into the first table of u, at the slot hash(v) mod S, and the first table of v into the second
    one of u; likewise for v. A slot that another node holds is replaced with probability `replace`. `joint` counts the nodes
    that two neighbourhoods share by their distances from both: what closes a triangle is seen at once. An event and a look
    cost O(slots), whatever the degree. The paper keeps a short recurrent state with each entry and pools encodings of
    distance by attention; here an entry keeps its last time, and a shared node counts by how recent it is.
    """

    def __init__(
        self,
        nodes: int,  # N
        slots: tuple[int, int] = (16, 16),  # of the tables of one and of two hops
        replace: float = 0.9,  # probability that a collision replaces what a slot holds
        span: float = 1000.0,  # time after which an entry counts 1 / e
        seed: int = 0,  # of the draws at collisions
    ) -> None:
        if nodes < 1 or min(slots) < 1 or not 0 <= replace <= 1 or span <= 0:
            raise InvalidInput(
                f"nodes is {nodes}, slots {slots}, replace {replace}, span {span}: give at least 1 of each, a share, and a time."
            )
        self.replace, self.span = replace, span
        self.ids = [torch.full((nodes, size), EMPTY) for size in slots]
        self.times = [torch.zeros(nodes, size) for size in slots]
        self.rng = Generator().manual_seed(seed)

    def update(self, u: int, v: int, time: float) -> None:
        """Take in an event between two nodes. Raises InvalidInput for nodes that are not there."""
        if not 0 <= min(u, v) <= max(u, v) < len(self.ids[0]):
            raise InvalidInput(f"the nodes are {u} and {v}: give two of 0 to {len(self.ids[0]) - 1}.")
        known = [(self.ids[0][node].clone(), self.times[0][node].clone()) for node in (u, v)]
        for node, other, (ids, times) in ((u, v, known[1]), (v, u, known[0])):
            self._put(0, node, torch.tensor([other]), torch.tensor([float(time)]))
            far = (ids != EMPTY) & (ids != node)
            self._put(1, node, ids[far], times[far])

    def joint(self, u: Sequence[int], v: Sequence[int], time: float) -> Tensor:
        """Return (B, 9): shared nodes by their hops from u and from v, 0 to 2 each, weighted by how recent they are."""
        sides = [self._around(torch.tensor(list(nodes)), time) for nodes in (u, v)]
        found = [
            ((ids_u[:, :, None] == ids_v[:, None, :]) * weight_u[:, :, None] * weight_v[:, None, :]).sum((1, 2))
            for ids_u, weight_u in sides[0]
            for ids_v, weight_v in sides[1]
        ]
        return torch.stack(found, 1)

    def nbytes(self) -> int:
        """Return the bytes of all tables."""
        return sum(t.numel() * t.element_size() for t in (*self.ids, *self.times))

    def _around(self, nodes: Tensor, time: float) -> list[tuple[Tensor, Tensor]]:
        """Return ids and weights (B, S) of the node itself, of one hop, and of two."""
        around = [(nodes[:, None], torch.ones(len(nodes), 1))]
        for ids, times in zip(self.ids, self.times, strict=True):
            age = (time - times[nodes]) / self.span
            around.append((ids[nodes], torch.exp(-age) * (ids[nodes] != EMPTY)))
        return around

    def _put(self, hop: int, node: int, ids: Tensor, times: Tensor) -> None:
        table = self.ids[hop][node]
        slots = (ids * PRIME % 2**32) * len(table) // 2**32
        there = table[slots]
        draws = torch.rand(len(ids), generator=self.rng) < self.replace
        taken = (there == EMPTY) | (there == ids) | draws
        table[slots[taken]] = ids[taken]
        self.times[hop][node][slots[taken]] = times[taken]

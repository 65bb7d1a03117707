"""Links of a graph in which triangles close: caches of neighbours against one vector a node, at equal bytes and above.

300 nodes, 6,000 events: seven in ten close a path of two recent edges, the others are drawn. AP is the average precision
of 1,000 later events against as many pairs that are drawn at random and had no event (it is 50 % by chance), by a ridge readout
of what the memory says of a pair, fitted on the 2,000 events before. The vector of a node is a fading mean of the random
vectors of its neighbours, as memories of temporal graph networks hold; its pair is the product, entry by entry, and the
product of the sums.
"""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor

from mnemos.neural.recurrent.neighbour_caches import NeighbourhoodCaches
from mnemos.neural.recurrent.ridge import ridge

NODES, EVENTS, FIT, REPORT = 300, 6000, 3000, 5000
CACHES = {"caches, 16 slots": 16, "caches, 4 slots": 4}
VECTORS = {"one vector, 64 numbers": 64, "one vector, 192 numbers": 192}
ROWS = (*CACHES, *VECTORS)


class Vectors:
    """One fading vector a node."""

    def __init__(self, size: int, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.own = torch.randn(NODES, size, generator=rng) / size**0.5
        self.held = torch.zeros(NODES, size)

    def update(self, u: int, v: int, _time: float) -> None:
        """Move the vectors of two nodes towards each other's own."""
        self.held[u] = 0.9 * self.held[u] + self.own[v]
        self.held[v] = 0.9 * self.held[v] + self.own[u]

    def joint(self, u: list[int], v: list[int], _time: float) -> Tensor:
        """Return what the vectors of pairs say of them."""
        a, b = self.held[u], self.held[v]
        products = [(x * y).sum(1, keepdim=True) for x, y in ((a, b), (a, self.own[v]), (self.own[u], b))]
        return torch.cat([a * b, *products], 1)

    def nbytes(self) -> int:
        """Return the bytes of all vectors."""
        return int(self.held.numel() * self.held.element_size())


def events(seed: int) -> list[tuple[int, int]]:
    """Return pairs of nodes, one event after the other."""
    rng, made, last = Random(seed), list[tuple[int, int]](), [list[int]() for _ in range(NODES)]
    for _ in range(EVENTS):
        middle = rng.randrange(NODES)
        recent = last[middle][-6:]
        pair = rng.sample(recent, 2) if len(set(recent)) > 2 and rng.random() < 0.7 else rng.sample(range(NODES), 2)
        if pair[0] == pair[1]:
            pair = rng.sample(range(NODES), 2)
        made.append((pair[0], pair[1]))
        last[pair[0]].append(pair[1])
        last[pair[1]].append(pair[0])
    return made


def one(row: str, seed: int) -> dict[str, float]:
    """Return the average precision of a memory."""
    memory: NeighbourhoodCaches | Vectors
    if row in CACHES:
        memory = NeighbourhoodCaches(NODES, (CACHES[row] // 2, CACHES[row] // 2), span=500.0, seed=seed)
    else:
        memory = Vectors(VECTORS[row], seed)
    rng, seen, said, real, made = Random(1000 + seed), set[tuple[int, int]](), [], [], events(seed)
    for time, (u, v) in enumerate(made):
        if time >= FIT:
            other = rng.randrange(NODES)
            while other == u or (u, other) in seen or (other, u) in seen:
                other = rng.randrange(NODES)
            said.append(memory.joint([u, u], [v, other], float(time)))
            real += [1.0, 0.0]
        memory.update(u, v, float(time))
        seen.add((u, v))
    x, y = torch.cat(said).double().clamp_min(-50).clamp_max(50), torch.tensor(real)
    x = torch.cat([x, torch.log1p(x.clamp_min(0))], 1)
    cut = 2 * (REPORT - FIT)
    weights, bias = ridge(x[:cut], y[:cut, None], 1e-5)
    return {"AP": precision((x[cut:] @ weights.T + bias)[:, 0], y[cut:]), "bytes a node": memory.nbytes() / NODES}


def precision(scores: Tensor, real: Tensor) -> float:
    """Return the average precision: the mean over real pairs of the share of real ones among those scored as high."""
    sorted_real = real[scores.argsort(descending=True, stable=True)]
    hits = sorted_real.cumsum(0)
    return float((hits / torch.arange(1, len(real) + 1) * sorted_real).sum() / sorted_real.sum())

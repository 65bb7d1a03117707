"""Links between nodes that move, by a memory that takes in events in batches: stale states, corrected or not.

60 nodes of three kinds, one of which stands still, walk along a line and turn round at its ends; 9,000 events, one a unit of
time, are between nodes that are near, and say with noise where both are. A memory of temporal graph networks (arXiv
2006.10637) writes a node's state by a GRU from its last message of a batch; all reads of a batch see the states before it. A
batch of 60 has two events of a node, one of 240 eight, of which the last counts. Trained on the first 6,000 events, at the
same number of passes; AP is the average precision of the last 2,000 against as many pairs of the same first node and one
that was drawn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from mnemos.bench.neural.recurrence.graphs import precision
from mnemos.neural.recurrent.stale_states import DriftCorrectedStates

NODES, EVENTS, FIT, REPORT = 60, 9000, 6000, 7000
NEAR, NOISE = 0.03, 0.02
SPEEDS = torch.tensor([0.0, 1.0, -1.0]) / 2000  # of the kinds, in lines a unit of time
WIDTH, PASSES, RATE = 32, 20, 3e-3
ROWS = {  # batch, corrected, weight of coherence
    "plain, batches of 60": (60, False, 0.0),
    "plain, batches of 240": (240, False, 0.0),
    "corrected, batches of 60": (60, True, 0.0),
    "corrected, batches of 240": (240, True, 0.0),
    "corrected and coherent, batches of 240": (240, True, 0.1),
}


@dataclass(frozen=True, slots=True)
class Graph:
    """Events in time: their nodes (E, 2), one a unit of time, where the nodes say that they are (E, 2), and the kinds (N)."""

    nodes: Tensor
    said: Tensor
    kinds: Tensor


def graph(seed: int) -> Graph:
    """Return a graph whose nodes move."""
    rng = Generator().manual_seed(seed)
    kinds = torch.randint(len(SPEEDS), (NODES,), generator=rng)
    begin = 2 * torch.rand(NODES, generator=rng)
    nodes, said = [], []
    for now in range(EVENTS):
        at = 1 - ((begin + SPEEDS[kinds] * now) % 2 - 1).abs()
        u = int(torch.randint(NODES, (1,), generator=rng))
        weights = torch.exp(-((at - at[u]) / NEAR).square())
        weights[u] = 0
        pair = torch.tensor([u, int(weights.multinomial(1, generator=rng))])
        nodes.append(pair)
        said.append(at[pair] + NOISE * torch.randn(2, generator=rng))
    return Graph(torch.stack(nodes), torch.stack(said), kinds)


class Memory(nn.Module):  # type: ignore[misc]
    """States of nodes that a GRU writes from messages, and a head that says of two states whether they meet."""

    def __init__(self, kinds: Tensor, corrected: bool) -> None:
        super().__init__()
        self.kinds = nn.functional.one_hot(kinds).float()
        self.groups = torch.arange(NODES)
        inputs = WIDTH + 2 + 1 + self.kinds.shape[1]
        self.cell = nn.GRUCell(inputs, WIDTH)
        self.drift = DriftCorrectedStates(NODES, WIDTH) if corrected else None
        self.head = nn.Sequential(nn.Linear(3 * WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def begin(self) -> tuple[Tensor, Tensor]:
        """Return states (N, D) and the times at which they were written."""
        return torch.zeros(NODES, WIDTH), torch.zeros(NODES)

    def read(self, states: Tensor, written: Tensor, nodes: Tensor, now: Tensor) -> Tensor:
        """Return the states of nodes (B) at times (B)."""
        found = states[nodes]
        return found if self.drift is None else self.drift.predicted(found, now - written[nodes], self.groups[nodes])

    def score(self, a: Tensor, b: Tensor) -> Tensor:
        """Return logits (B) that two states meet."""
        logits: Tensor = self.head(torch.cat([a * b, (a - b).abs(), a + b], -1))[:, 0]
        return logits

    def write(
        self, states: Tensor, written: Tensor, nodes: Tensor, said: Tensor, now: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states and times after a batch of events (B, 2), and how little those that were written cohere.

        Of a node that has several events the last one counts.
        """
        own, other = nodes.flatten(), nodes.flip(1).flatten()
        when, place = now.repeat_interleave(2), torch.stack([said, said.flip(1)], -1).flatten(0, 1)
        last = torch.full((NODES,), -1).scatter_reduce(0, own, torch.arange(len(own)), "amax")
        which = last[last >= 0]
        own, other, when, place = own[which], other[which], when[which], place[which]
        before, elapsed = states[own], when - written[own]
        message = torch.cat([states[other], place, elapsed[:, None] / 100, self.kinds[own]], -1)
        after = self.cell(message, before)
        if self.drift is not None:
            after = self.drift.corrected(self.read(states, written, own, when), after)
            self.drift.observe(before, after, elapsed, self.groups[own])
        apart = DriftCorrectedStates.coherence(before.detach(), after)
        return states.index_copy(0, own, after), written.index_copy(0, own, when), apart


def passed(
    memory: Memory,
    data: Graph,
    size: int,
    seed: int,
    until: int,
    weight: float,
    optimiser: torch.optim.Optimizer | None,
) -> Tensor:
    """Go through the events up to `until` in batches, with a step of training after each; return scores (E, 2)."""
    rng = Generator().manual_seed(seed)
    states, written = memory.begin()
    pending: slice | None = None
    found = []
    for first in range(0, until, size):
        batch = slice(first, min(first + size, until))
        apart = torch.zeros(())
        states = states.detach()
        if pending is not None:  # the batch before is written first, so that writing is trained
            times = torch.arange(pending.start, pending.stop, dtype=torch.float)
            states, written, apart = memory.write(states, written, data.nodes[pending], data.said[pending], times)
        now = torch.arange(batch.start, batch.stop, dtype=torch.float)
        u, v = data.nodes[batch].T
        drawn = torch.randint(NODES, u.shape, generator=rng)
        at_u = memory.read(states, written, u, now)
        scores = torch.stack([memory.score(at_u, memory.read(states, written, x, now)) for x in (v, drawn)], 1)
        found.append(scores.detach())
        if optimiser is not None and pending is not None:
            wanted = torch.tensor([1.0, 0.0]).expand_as(scores)
            loss = nn.functional.binary_cross_entropy_with_logits(scores, wanted) + weight * apart
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(memory.parameters(), 1.0)
            optimiser.step()
        pending = batch
    return torch.cat(found)


def one(row: str, seed: int) -> dict[str, float]:
    """Return the average precision of a memory, and the time of a pass."""
    size, corrected, weight = ROWS[row]
    data = graph(seed)
    torch.manual_seed(seed)
    memory = Memory(data.kinds, corrected)
    optimiser = torch.optim.Adam(memory.parameters(), RATE)
    started = time.process_time()
    for round_ in range(PASSES):
        passed(memory, data, size, 1000 * seed + round_, FIT, weight, optimiser)
    spent = (time.process_time() - started) / PASSES
    with torch.no_grad():
        scores = passed(memory, data, size, 1000 * seed + 999, EVENTS, 0.0, None)[REPORT:]
    real = torch.tensor([1.0, 0.0]).expand_as(scores).flatten()
    return {"AP": precision(scores.flatten(), real), "seconds a pass": spent}

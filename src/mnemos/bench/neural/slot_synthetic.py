"""Waves that are learned point by point, by how the memory's controllers get their gradients: the part `synthetic`.

Few-shot regression: an episode is a sine wave of its own amplitude and phase; of each point the place is shown, the value is
to be said, and is shown with the next one. Four segments of four points; nine of ten waves have the common frequency, one has
twice that. Steps are counted in batches of episodes, which is what all of them see alike.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parametric.spread import CHOSEN_ON
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.lm2 import LargeMemory
from mnemos.neural.slots.synthetic_gradients import SyntheticGradients

WIDTH, SLOTS, SEGMENTS, POINTS, BATCH = 32, 4, 4, 4, 32
EPISODES, LOOK = 600, 20  # batches, and how often the error is looked at
RATES = (0.003, 0.01)  # of which the better is taken, on a seed that is not reported
GOAL = 0.4  # of the mean squared value of a wave, in the last segment
RARE = 0.1  # share of waves of twice the frequency
Segment = tuple[Tensor, Tensor]  # inputs (B, 4, 3) and values (B, 4)
KINDS = ("whole episode", "each segment, cut", "each segment, predicted gradients")


def waves(count: int, draw: torch.Generator, rare: float = RARE) -> list[Segment]:
    """Return the segments of episodes: the place of a point, and place and value of the one before it."""
    size = 0.5 + 1.5 * torch.rand(count, 1, generator=draw)
    phase = 6.2832 * torch.rand(count, 1, generator=draw)
    speed = 1.0 + (torch.rand(count, 1, generator=draw) < rare)
    x = 6.2832 * torch.rand(count, SEGMENTS * POINTS, generator=draw) - 3.1416
    y = size * torch.sin(speed * x + phase)
    before = nn.functional.pad(torch.stack([x, y], -1)[:, :-1], (0, 0, 1, 0))
    inputs = torch.cat([x[..., None], before], -1)
    return list(zip(inputs.split(POINTS, 1), y.split(POINTS, 1), strict=True))


class Waves(nn.Module):  # type: ignore[misc]
    """Points to values through a layer that reads and rewrites slots."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(3, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.core = LargeMemory(WIDTH, SLOTS, length=POINTS)
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 1))

    def step(self, segment: Segment, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean squared error of a segment, and the slots after it."""
        x, slots = self.core(self.enter(segment[0]), slots)
        return (self.out(x)[..., 0] - segment[1]).square().mean(), slots


def trained(kind: str, rate: float, seed: int) -> tuple[Waves, SyntheticGradients, list[float]]:
    """Train, and return the network, the predictor, and the error of the last segment at each look."""
    torch.manual_seed(seed)
    model = Waves()
    predictor = SyntheticGradients(SLOTS * WIDTH, keep=1.0 if kind == KINDS[2] else 0.0)
    fast, slow = (torch.optim.Adam(m.parameters(), r) for m, r in ((model, rate), (predictor, 0.001)))
    looks: list[float] = []
    for episode in range(EPISODES):
        episodes = waves(BATCH, rng(episode + 10**6 * seed))
        state = model.core.init_state(BATCH)
        if kind == KINDS[0]:
            total = torch.zeros(())
            for segment in episodes:
                loss, state = model.step(segment, state)
                total = total + loss / SEGMENTS
            total.backward()
            moved(fast, model)
        else:
            for n, segment in enumerate(episodes):
                state = predictor.learn(model.step, segment, state, n == SEGMENTS - 1).state
                moved(fast, model)
                moved(slow, predictor)
        if episode % LOOK == LOOK - 1:
            looks.append(error(model, RARE, 7_000_000))
    return model, predictor, looks


def moved(optimiser: torch.optim.Optimizer, network: nn.Module) -> None:
    """Take a step."""
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad()


def error(model: Waves, rare: float, seed: int) -> float:
    """Return the error of the last segment, as a share of the mean squared value."""
    episodes = waves(500, rng(seed), rare)
    state = model.core.init_state(500)
    with torch.no_grad():
        for segment in episodes:
            loss, state = model.step(segment, state)
    return float(loss / episodes[-1][1].square().mean())


def likeness(model: Waves, predictor: SyntheticGradients) -> float:
    """Return the cosine of predicted and true gradients of the state after each segment but the last, on new episodes."""
    episodes = waves(200, rng(8_000_000))
    state, states, losses = model.core.init_state(200), [], []
    for segment in episodes:
        loss, state = model.step(segment, state)
        losses.append(loss)
        states.append(state)
    found = []
    for n in range(SEGMENTS - 1):
        (true,) = torch.autograd.grad(torch.stack(losses[n + 1 :]).sum(), states[n], retain_graph=True)
        with torch.no_grad():
            found.append(torch.cosine_similarity(predictor(states[n]).flatten(1), true.flatten(1), dim=1).mean())
    return float(torch.stack(found).mean())


def measured(kind: str, rate: float, seed: int) -> dict[str, float]:
    """Return the figures of one network."""
    model, predictor, looks = trained(kind, rate, seed)
    reached = next((n for n, e in enumerate(looks, 1) if e <= GOAL), len(looks))
    found = {"batches to the goal": float(LOOK * reached), "error, common %": error(model, 0.0, 9_000_000)}
    found |= {"error, rare %": error(model, 1.0, 9_000_001), "rate": rate}
    return found | {"cosine": likeness(model, predictor)} if kind == KINDS[2] else found


def synthetic(options: Any) -> dict[str, Row]:
    """Return how soon each way of training reaches the goal, and the errors after all batches."""

    def rate_of(kind: str) -> float:
        def late(rate: float) -> tuple[float, float]:
            found = measured(kind, rate, CHOSEN_ON)
            return found["batches to the goal"], found["error, common %"]

        return min(RATES, key=late)

    return {kind: seeded(options.seeds, partial(measured, kind, rate_of(kind)), ("rate",)) for kind in KINDS}

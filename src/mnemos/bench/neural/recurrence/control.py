"""A pole on a cart, of which a part is seen: the memory is all that differs.

The cart's and the pole's positions are seen, with noise, and half of the time nothing; their speeds never. Networks
imitate a linear controller that sees all, on the states that they reach themselves (DAgger, arXiv 1011.0686): 8 rounds of
64 episodes, 40 steps of training each. Steps are those until the pole falls or the cart leaves, of 200, over 256 new
episodes.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from mnemos.neural.model import mixer

HORIZON, FRAMES, WIDTH = 200, 4, 32
ROWS = ("all is seen", "no memory", "last 4 frames", "gru")
LIMITS = torch.tensor([2.4, 0.2095])  # of positions and angles
GAINS = torch.tensor([0.3, 0.6, 8.0, 2.0])  # of the controller that sees all


def moved(state: Tensor, right: Tensor) -> Tensor:
    """Return states (B, 4) after a push of 10 N to the right or left, 0.02 s later (Barto, Sutton and Anderson, 1983)."""
    x, v, angle, turn = state.unbind(1)
    force = torch.where(right, 10.0, -10.0)
    sin, cos = angle.sin(), angle.cos()
    push = (force + 0.05 * turn.square() * sin) / 1.1
    twist = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos.square() / 1.1))
    speed = push - 0.05 * twist * cos / 1.1
    return torch.stack([x + 0.02 * v, v + 0.02 * speed, angle + 0.02 * turn, turn + 0.02 * twist], 1)


def seen(state: Tensor, row: str, rng: Generator) -> Tensor:
    """Return what is observed of states: (B, 5), all of it, or positions with noise and a sign that they are there."""
    if row == "all is seen":
        return torch.cat([state * torch.tensor([1.0, 1.0, 10.0, 1.0]), torch.ones(len(state), 1)], 1)
    noise = torch.randn(len(state), 2, generator=rng) * torch.tensor([0.02, 0.005])
    there = (torch.rand(len(state), 1, generator=rng) > 0.5).float()
    positions = (state[:, [0, 2]] + noise) * torch.tensor([1.0, 10.0]) * there
    return torch.cat([positions, torch.zeros(len(state), 2), there], 1)


class Policy(nn.Module):  # type: ignore[misc]
    """An encoder, what remembers, and a head that says whether to push to the right."""

    def __init__(self, row: str) -> None:
        super().__init__()
        self.frames = FRAMES if row == "last 4 frames" else 1
        self.enter = nn.Linear(5 * self.frames, WIDTH)
        self.memory = None if row in ROWS[:3] else mixer(row, WIDTH)
        self.head = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, T) after observations (B, T, 5)."""
        padded = nn.functional.pad(x, (0, 0, self.frames - 1, 0))
        stacked = torch.cat([padded[:, i : i + x.shape[1]] for i in range(self.frames)], -1)
        h = self.enter(stacked).relu() if self.memory is None else self.memory(self.enter(stacked))[0]
        logits: Tensor = self.head(h)[..., 0]
        return logits


def played(policy: Policy | None, row: str, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return observations (B, T, 5), what the controller would do (B, T), and which steps are alive (B, T)."""
    rng = Generator().manual_seed(seed)
    state = (torch.rand(count, 4, generator=rng) - 0.5) * 0.1
    alive, observed, wanted, lives = torch.ones(count, dtype=torch.bool), [], [], []
    memory = None if policy is None or policy.memory is None else policy.memory.init_state(count)
    with torch.no_grad():
        for _ in range(HORIZON):
            observed.append(seen(state, row, rng))
            wanted.append((state @ GAINS > 0).float())
            lives.append(alive)
            if policy is None:
                right = wanted[-1] > 0
            elif memory is not None and policy.memory is not None:
                h, memory = policy.memory.step(policy.enter(observed[-1]), memory)
                right = policy.head(h)[:, 0] > 0
            else:
                recent = torch.stack(observed[-FRAMES:], 1)
                right = policy(recent)[:, -1] > 0
            state = torch.where(alive[:, None], moved(state, right), state)
            alive = alive & (state[:, [0, 2]].abs() < LIMITS).all(1)
            if not alive.any():
                break
    return torch.stack(observed, 1), torch.stack(wanted, 1), torch.stack(lives, 1)


def one(row: str, seed: int) -> dict[str, float]:
    """Return how long a policy balances."""
    torch.manual_seed(seed)
    policy = Policy(row)
    optimiser = torch.optim.Adam(policy.parameters(), lr=5e-3)
    games: list[tuple[Tensor, Tensor, Tensor]] = []
    for round_ in range(8):
        games.append(played(policy if round_ else None, row, 64, 1_000_003 * seed + round_))
        for step in range(40):
            x, wanted, alive = games[-1 - step % min(3, len(games))]
            loss = nn.functional.binary_cross_entropy_with_logits(policy(x)[alive], wanted[alive])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimiser.step()
    _, _, alive = played(policy, row, 256, 900_000_000 + seed)
    lasted = alive.sum(1).double()
    return {"steps": float(lasted.mean()), "to the end": float((lasted == HORIZON).double().mean())}

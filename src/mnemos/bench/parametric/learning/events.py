"""Streams of events whose law changes: prompts before a nearly frozen reader of the last events.

Five regimes of a Hawkes process of three types (exponential kernels, own rates and excitations; thinning). A reader (a causal
transformer over the last 12 events: type, and logarithm of the time since the one before) gives the next type and the mean
and deviation of the logarithm of its delay (a log-normal law), and was trained on a sixth regime. Each regime is learned once, in
turn. Figures are means over all five after the last: log-likelihood an event, in nats, and the next type told right.
"""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.bench.parametric.learning.backbones import Rows
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.prompt_pool import Prompted, PromptPool
from mnemos.parametric.consolidate.replay import Replay

TYPES, PAST, REGIMES = 3, 12, 5
WAYS: dict[str, tuple[tuple[Strategy, ...], bool]] = {  # strategies, and whether the reader is trained
    "frozen reader": ((), False),
    "fine-tuned in sequence": ((), True),
    "fine-tuned, 100 replayed": ((Replay(100, 20),), True),
    "one prompt": ((PromptPool(size=1, chosen=1),), True),
    "prompt pool": ((PromptPool(size=10, chosen=2),), True),
}


def measure(options: Any) -> dict[str, Row]:
    """Return likelihood and types told right of each method."""
    base = trained(windows(regime(100), 900, 100))
    return {name: seeded(options.seeds, partial(once, base, *way)) for name, way in WAYS.items()}


def regime(seed: int) -> tuple[Tensor, Tensor, float]:
    """Return base rates (types,), excitations (types, types) of column by row, and the decay of a regime."""
    generator = torch.Generator().manual_seed(seed)
    rates = 0.1 + 0.4 * torch.rand(TYPES, generator=generator)
    order = torch.randperm(TYPES, generator=generator)
    excites = 0.05 * torch.rand(TYPES, TYPES, generator=generator)
    excites[order, torch.arange(TYPES)] += 0.7  # each type is mostly followed by one other
    speed = float(10 ** (2 * torch.rand(1, generator=generator) - 1))
    return rates * speed, excites, speed


def windows(law: tuple[Tensor, Tensor, float], events: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return what is read, (N, PAST, TYPES + 1), and what follows, (N, 2): type, and logarithm of the delay."""
    generator = torch.Generator().manual_seed(seed)
    rates, excites, decay = law
    kinds: list[int] = []
    gaps: list[float] = []
    excited, wait = torch.zeros(TYPES), 0.0
    while len(kinds) < events + PAST:
        most = float((rates + excited).sum())
        delay = float(-torch.rand(1, generator=generator).clamp_min(1e-9).log() / most)
        excited = excited * math.exp(-decay * delay)
        wait += delay
        now = rates + excited
        if float(torch.rand(1, generator=generator)) * most <= float(now.sum()):
            kind = int(torch.multinomial(now, 1, generator=generator))
            excited = excited + decay * excites[:, kind]
            kinds.append(kind)
            gaps.append(math.log(max(wait, 1e-6)))
            wait = 0.0
    told = torch.cat([F.one_hot(torch.tensor(kinds), TYPES).float(), torch.tensor(gaps)[:, None]], 1)
    read = torch.stack([told[i : i + PAST] for i in range(events)])
    return read, torch.stack([torch.tensor(kinds[PAST:]).float(), torch.tensor(gaps[PAST:])], 1)


def cost(said: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of types and delays, in nats an event."""
    spread = said[:, TYPES + 1].clamp(-4, 4)
    off = (wanted[:, 1] - said[:, TYPES]) / spread.exp()
    delay = 0.5 * off.square() + spread + 0.5 * math.log(2 * math.pi) + wanted[:, 1]
    return F.cross_entropy(said[:, :TYPES], wanted[:, 0].long()) + delay.mean()


def trained(part: tuple[Tensor, Tensor], steps: int = 300) -> Rows:
    """Return a reader that was trained on one regime."""
    torch.manual_seed(0)
    model = Rows(PAST, TYPES + 1, TYPES + 2, causal=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(len(part[0]), (40,))
        optimiser.zero_grad()
        cost(model(part[0][rows]), part[1][rows]).backward()
        optimiser.step()
    return model


def once(base: Rows, strategies: tuple[Strategy, ...], trains: bool, seed: int) -> dict[str, float]:
    """Return the figures of one life."""
    torch.manual_seed(seed)
    laws = [regime(10 * seed + r) for r in range(REGIMES)]
    learner = Learner(
        copy.deepcopy(base), strategies, scenario="domain", criterion=cost, seed=seed,
        optimise=partial(torch.optim.Adam, lr=3e-3 if strategies and isinstance(strategies[0], PromptPool) else 1e-3),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    for number, law in enumerate(laws if trains else []):
        x, y = windows(law, 600, seed)
        for rows in torch.randperm(len(x), generator=generator).split(20):
            learner.observe(x[rows], y[rows], number)
    learner.end_task()
    tests = [windows(law, 200, seed + 1000) for law in laws]
    said = [learner.predict(x) for x, _ in tests]
    likely = [-float(cost(s, y)) for s, (_, y) in zip(said, tests, strict=True)]
    right = [float((s[:, :TYPES].argmax(1) == y[:, 0]).float().mean()) for s, (_, y) in zip(said, tests, strict=True)]
    row = {"log-likelihood": sum(likely) / REGIMES, "type %": sum(right) / REGIMES}
    if isinstance(learner.model, Prompted) and len(learner.model.pools[0].keys) > 1:
        row["prompts shared by regimes %"] = overlap(learner.model, [x for x, _ in tests])
    return row


@torch.no_grad()  # type: ignore[untyped-decorator]
def overlap(model: Prompted, parts: list[Tensor]) -> float:
    """Return how much of their prompts two parts share, in the mean of pairs: the sum of the lower of both shares of use."""
    use = [model.choose(model.backbone.encode(x))[0].mean(0) for x in parts]
    use = [u / u.sum() for u in use]
    pairs = [(a, b) for i, a in enumerate(use) for b in use[i + 1 :]]
    return float(torch.stack([torch.minimum(a, b).sum() for a, b in pairs]).mean())

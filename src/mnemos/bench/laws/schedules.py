"""Warm up, stay, decay: rates for a training that does not know when it ends (arXiv 2410.05192).

A small network reads a made-up language, whose next letter depends on the last two, and is to be ready after 1,000, 2,000 and
4,000 steps. WSD holds the rate and lowers it within the last tenth before each end, each time on a copy; WSD-S goes on from the
lowered copy in one run; the cosine comes down to each end and starts again from there. All have the same steps, and each the peak
rate that is best on another seed. The paper's models have 100 to 1,200 million parameters, this one has eight thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.laws.claims import Claim, Panel, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit

PAPERS = ("2410.05192",)
MEANS = (
    "a rate that stays while memories keep coming, and falls for a tenth of the steps when weights are shipped, comes close to a "
    'cosine that has to know the end: `parametric.consolidate.learning_rate` with "infinite", and its `annealed`.'
)
LETTERS, UNITS, WIDTH, BATCH, HELD = 16, 64, 16, 32, 4000
ENDS, WARM = (1000, 2000, 4000), 100  # steps
DECAY, LEAST = 0.1, 0.02  # share of the steps so far that decay; of the peak, at the end
PEAKS = {"WSD": 0.0042, "WSD-S": 0.0042, "cosine": 0.006}  # best on seed 100 of .0015, .003, .0042, .006, .0085, .012
STEP_OF_CURVE = 50


def rates(kind: str, peak: float, ends: tuple[int, ...] = ENDS) -> Iterator[float]:
    """Yield the rate of each step of "constant", "WSD-S" or "cosine" to the last end."""
    start = 0
    for end in ends:
        for step in range(start, end):
            warm = min(1.0, (step + 1) / WARM)
            if kind == "cosine":
                yield peak * warm * (LEAST + (1 - LEAST) * 0.5 * (1 + cos(pi * (step - start) / (end - start))))
            else:
                left = (end - step) / (DECAY * end) if kind == "WSD-S" else 1.0
                yield peak * warm * max(LEAST, min(1.0, left))
        start = end


def measure(seed: int, peaks: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return the figures of one seed."""
    peaks = peaks or PEAKS
    drawn = torch.randn(LETTERS, LETTERS, LETTERS, generator=torch.Generator().manual_seed(seed))
    language = (1.5 * drawn).softmax(-1)  # of each letter after two others
    found: dict[str, Any] = {"losses": {}, "before": {}, "curve": {}}
    for kind in ("WSD-S", "cosine"):
        run = _Run(language, seed)
        found["losses"][kind], found["before"][kind], found["curve"][kind] = {}, {}, {}
        for step, rate in enumerate(rates(kind, peaks[kind]), 1):
            run.step(rate)
            if step in ENDS:
                found["losses"][kind][step] = run.loss()
            if any(step == round(end * (1 - DECAY)) for end in ENDS):
                found["before"][kind][step] = run.loss()
            if step % STEP_OF_CURVE == 0:
                found["curve"][kind][step] = run.loss()
    run, losses = _Run(language, seed), {}
    for end in ENDS:
        for _ in range(run.steps, round(end * (1 - DECAY))):
            run.step(peaks["WSD"] * min(1.0, (run.steps + 1) / WARM))
        shipped = deepcopy(run)
        for step in range(run.steps, end):
            shipped.step(peaks["WSD"] * max(LEAST, (end - step) / (DECAY * end)))
        losses[end] = shipped.loss()
    found["losses"]["WSD"] = losses
    return found | {"entropy": float(-(language * language.log()).sum(-1).mean())}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    losses = {kind: {int(end): v for end, v in row.items()} for kind, row in figures["losses"].items()}
    curves = {kind: {int(step): v for step, v in row.items()} for kind, row in figures["curve"].items()}
    before = {int(step): v for step, v in figures["before"]["WSD-S"].items()}
    ready = {end: before[round(end * (1 - DECAY))] for end in ENDS}  # as a decay begins
    earlier = {end: curves["WSD-S"][round(end * (1 - 2 * DECAY))] for end in ENDS}  # as many steps before
    falls = {end: _less(ready[end], losses["WSD-S"][end]) for end in ENDS}
    held = {end: _less(earlier[end], ready[end]) for end in ENDS}
    apart = {end: mean(losses["WSD-S"][end]) - mean(losses["WSD"][end]) for end in ENDS}
    ahead = {end: mean(losses["cosine"][end]) - mean(losses["WSD-S"][end]) for end in ENDS}
    shown = {kind: ", ".join(f"{end:,}: {said(v, 3)}" for end, v in row.items()) for kind, row in losses.items()}
    claims = [
        Claim(
            "the loss falls steeply in each decay, by more than in the steps before it",
            verdict(min(min(of) for of in falls.values()) > 0 and all(mean(falls[e]) > mean(held[e]) for e in held),
                    min(mean(of) for of in falls.values()) > 0),
            "fall in the last tenth, and in as many steps before: "
            + ", ".join(f"{end:,}: {said(falls[end], 3)} and {said(held[end], 3)}" for end in ENDS),
        ),
        Claim(
            "one run that goes on from what was lowered is as good as a copy lowered for each end, within .01 nats",
            verdict(max(apart.values()) < 0.01, max(apart.values()) < 0.03),
            f"WSD-S {shown['WSD-S']}; WSD {shown['WSD']}",
        ),
        Claim(
            "it beats a cosine that starts again after each end",
            verdict(min(ahead.values()) > 0, mean(list(ahead.values())) > 0),
            f"cosine {shown['cosine']} (the language's own: {said(figures['entropy'], 3)})",
        ),
    ]  # fmt: skip
    ends = {kind: losses[kind] for kind in ("WSD", "WSD-S", "cosine")}
    panels = [
        Panel("in one run", "step", "held-out loss, nats", curves),
        Panel("at each end", "step", "held-out loss, nats", ends, log=True),
    ]
    line = fit("logarithm", ends["WSD-S"], "at each end", "WSD-S")
    return reported(claims, panels, [line], MEANS)


def _less(a: list[float], b: list[float]) -> list[float]:
    return [x - y for x, y in zip(a, b, strict=True)]


class _Run:
    """A network that reads the language, with its optimiser."""

    def __init__(self, language: Tensor, seed: int) -> None:
        torch.manual_seed(seed)
        self.language, self.rng, self.steps = language, torch.Generator().manual_seed(seed + 1), 0
        self.net = nn.Sequential(
            nn.Embedding(LETTERS, WIDTH), nn.Flatten(), nn.Linear(2 * WIDTH, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS),
            nn.ReLU(), nn.Linear(UNITS, LETTERS),
        )  # fmt: skip
        self.optimizer = torch.optim.AdamW(self.net.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
        self.held = torch.randint(LETTERS, (HELD, 2), generator=torch.Generator().manual_seed(seed + 2)).unique(dim=0)

    def step(self, rate: float) -> None:
        """Train on a batch at a rate."""
        self.optimizer.param_groups[0]["lr"] = rate
        last = torch.randint(LETTERS, (BATCH, 2), generator=self.rng)
        following = torch.multinomial(self.language[last[:, 0], last[:, 1]], 1, generator=self.rng)[:, 0]
        loss = nn.functional.cross_entropy(self.net(last), following)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.steps += 1

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
    def loss(self) -> float:
        """Return the expected loss over all pairs of letters."""
        expected = self.language[self.held[:, 0], self.held[:, 1]]
        return float(-(expected * self.net(self.held).log_softmax(-1)).sum(-1).mean())

"""A recurrent network that is trained to predict becomes Bayes' predictor, and its state the counts (arXiv 1905.03030).

A GRU reads 20 symbols of a source that is drawn anew for each sequence: a coin of Beta(1, 1), or a die with three sides of
Dirichlet(1, 1, 1). It is trained by log loss alone, and compared with the exact predictor (count + 1) / (symbols + sides). Its
state is then asked for the counts by ridge regressions, and states after sequences of equal counts are compared. The paper
also has bandits, which are left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit

PAPERS = ("1905.03030",)
MEANS = (
    "a recurrent memory keeps what its training had to predict, here counts, and drops the rest, here the order: a state of "
    "`space.states` is a statistic of what was read, so the text stays beside it."
)
SIDES = {"coin": 2, "die": 3}
TIME, UNITS, BATCH, STEPS, RATE = 20, 32, 256, 500, 1e-2
ASKED = 4096  # sequences that predictors are compared on


class Predictor(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """A GRU and a layer that says the next symbol."""

    def __init__(self, sides: int) -> None:
        super().__init__()
        self.sides, self.cell, self.head = sides, nn.GRU(sides, UNITS, batch_first=True), nn.Linear(UNITS, sides)

    def forward(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of each symbol (B, T, sides) from those before it, and the states before it (B, T, UNITS)."""
        seen = nn.functional.one_hot(symbols[:, :-1], self.sides).float()
        states = nn.functional.pad(self.cell(seen)[0], (0, 0, 1, 0))  # nothing was seen before the first
        return self.head(states), states


def sequences(sides: int, count: int, rng: Any) -> Tensor:
    """Return symbols (count, TIME) of sources that are drawn from the flat prior."""
    source = -torch.rand(count, sides, generator=rng).log()  # exponential numbers over their sum are Dirichlet(1, ...)
    return torch.multinomial(source / source.sum(-1, keepdim=True), TIME, replacement=True, generator=rng)


def exact(symbols: Tensor, sides: int) -> tuple[Tensor, Tensor]:
    """Return the probabilities of each symbol (B, T, sides) by Bayes' rule, and the counts before it."""
    seen = nn.functional.one_hot(symbols, sides).float()
    counts = seen.cumsum(1) - seen
    return (counts + 1) / (counts.sum(-1, keepdim=True) + sides), counts


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    return {name: _one(sides, seed) for name, sides in SIDES.items()}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    excess = {name: {int(t) + 1: v for t, v in row["excess"].items()} for name, row in figures.items()}
    worst = {name: max(mean(v) for v in row.values()) for name, row in excess.items()}
    r2, same = ({name: figures[name][of] for name in SIDES} for of in ("R2 of counts", "variance by counts"))
    learned = {name: {int(step): v for step, v in row["learning"].items()} for name, row in figures.items()}
    claims = [
        Claim(
            "the log loss is within 1 % of Bayes' predictor at every time",
            verdict(max(worst.values()) < 0.01, max(worst.values()) < 0.03),
            "largest excess: " + ", ".join(f"{name}: {100 * of:.2f} %" for name, of in worst.items()),
        ),
        Claim(
            "the state says the counts (R² of a linear probe above .95)",
            verdict(min(map(min, r2.values())) > 0.95, min(map(mean, r2.values())) > 0.95),
            f"R²: {listed(r2, 3)}",
        ),
        Claim(
            "sequences of equal counts lead to the same state (counts tell 95 % of the variance of states)",
            verdict(min(map(mean, same.values())) > 0.95, min(map(mean, same.values())) > 0.8),
            f"share of the variance: {listed(same, 3)}; excess after training: {said(excess['coin'][TIME], 4)}, coin",
        ),
    ]
    panels = [
        Panel("after training", "symbol", "excess log loss, share", excess),
        Panel("training", "step", "excess log loss, share, all symbols", learned, log=True, log_y=True),
    ]
    falls = fit("power law", learned["coin"], "training", "coin")
    return reported(claims, panels, [falls], MEANS)


def _one(sides: int, seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    model, asked = Predictor(sides), sequences(sides, ASKED, rng)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    learning = {}
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        symbols = sequences(sides, BATCH, rng)
        loss = nn.functional.cross_entropy(model(symbols)[0].transpose(1, 2), symbols)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step + 1 in (20, 50, 100, 200, 400, STEPS):
            learning[step + 1] = float(_excess(model, asked).mean())
    excess = _excess(model, asked)
    with torch.no_grad():
        states, (_, counts) = model(asked)[1], exact(asked, sides)
    last, count = states[:, -1].double(), counts[:, -1].double()
    return {
        "excess": {t: float(of) for t, of in enumerate(excess)}, "learning": learning,
        "R2 of counts": _probed(last, count[:, :-1]), "variance by counts": _by_counts(last, count),
    }  # fmt: skip


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _excess(model: Predictor, symbols: Tensor) -> Tensor:
    """Return the expected log loss over that of Bayes' predictor, less 1, by time (T,)."""
    expected, _ = exact(symbols, model.sides)
    lost = -(expected * model(symbols)[0].log_softmax(-1)).sum(-1).mean(0)
    return lost / -(expected * expected.log()).sum(-1).mean(0) - 1


def _probed(states: Tensor, counts: Tensor) -> float:
    """Return R² of ridge regressions from states to counts, fitted on one half and asked on the other."""
    half = len(states) // 2
    x = torch.cat([states, torch.ones(len(states), 1, dtype=states.dtype)], 1)
    gram = x[:half].T @ x[:half] + 1e-4 * torch.eye(x.shape[1], dtype=x.dtype)
    found = x[half:] @ torch.linalg.solve(gram, x[:half].T @ counts[:half])
    left = (found - counts[half:]).square().sum()
    return float(1 - left / (counts[half:] - counts[half:].mean(0)).square().sum())


def _by_counts(states: Tensor, counts: Tensor) -> float:
    """Return the share of the variance of states that lies between different counts."""
    _, group = counts.unique(dim=0, return_inverse=True)
    sums = torch.zeros(int(group.max()) + 1, states.shape[1], dtype=states.dtype).index_add_(0, group, states)
    means = sums / torch.bincount(group)[:, None]
    return float(1 - (states - means[group]).square().sum() / (states - states.mean(0)).square().sum())

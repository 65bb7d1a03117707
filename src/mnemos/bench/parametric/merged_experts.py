"""A small mixture of eight experts, trained, merged to fewer and compressed, for `mnemos bench weight-compression`.

The task: which of 8 classes a point of one of 24 clusters belongs to. Clusters lie in 4 regions, and a region has one rule, so
that eight experts are more than are needed. One expert a point, chosen by a linear router. Experts begin as copies of one
network that was trained on the task before, with their neurons in different orders, or as random networks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemos.parametric.compress.experts import Expert, Merged, MergeThenCompress

CLUSTERS, REGIONS, CLASSES, WIDTH, NEURONS, EXPERTS = 24, 4, 8, 16, 32, 8
STEPS, BATCH = 600, 256
WAYS = {
    "merge-then-compress": MergeThenCompress(rank=8, columns=0.25),
    "not aligned": MergeThenCompress(align=False),
    "uniform weights": MergeThenCompress(weights="uniform"),
    "uniform, not aligned": MergeThenCompress(weights="uniform", align=False),
    "grouped at random": MergeThenCompress(grouping="random"),
}


@dataclass(frozen=True)
class Task:
    """Points of clusters and the rule of each."""

    centres: Tensor  # (clusters, D)
    rules: Tensor  # (clusters, D, classes)
    weights: Tensor  # (clusters,): some are met more often

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return points (count, D) and their classes."""
        draw = torch.Generator().manual_seed(seed)
        of = torch.multinomial(self.weights, count, replacement=True, generator=draw)
        noise = torch.randn(count, WIDTH, generator=draw)
        return self.centres[of] + noise, torch.einsum("nd,ndc->nc", noise, self.rules[of]).argmax(1)


class Mixture(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """Experts (E, N, D), (E, N), (E, D', N), a router and a head."""

    def __init__(self, seed: int, experts: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.up = nn.Parameter(torch.randn(experts, NEURONS, WIDTH, generator=draw) / WIDTH**0.5)
        self.bias = nn.Parameter(torch.zeros(experts, NEURONS))
        self.down = nn.Parameter(torch.randn(experts, CLASSES, NEURONS, generator=draw) / NEURONS**0.5)
        self.router = nn.Parameter(torch.randn(experts, WIDTH, generator=draw) / WIDTH**0.5)

    def forward(self, points: Tensor, group: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits (n, classes) and the router's (n, E); `group` says which expert stands for each."""
        routed = points @ self.router.T
        share, chosen = routed.softmax(1).max(1)
        at = chosen if group is None else group[chosen]
        hidden = torch.relu(torch.einsum("nd,nkd->nk", points, self.up[at]) + self.bias[at])
        return torch.einsum("nk,nck->nc", hidden, self.down[at]) * share[:, None], routed


def measure(seed: int) -> dict[str, Any]:
    """Return the share of points that are classed right, by the start of the experts and how they are merged."""
    draw = torch.Generator().manual_seed(seed)
    regions = 3 * torch.randn(REGIONS, WIDTH, generator=draw)
    of = torch.arange(CLUSTERS) % REGIONS
    centres = regions[of] + torch.randn(CLUSTERS, WIDTH, generator=draw)
    rules = torch.randn(REGIONS, WIDTH, CLASSES, generator=draw)[of]
    task = Task(centres, rules, torch.rand(CLUSTERS, generator=draw) ** 2 + 0.05)
    return {
        "experts from one network": _merged(_train(task, _copies(task, seed), seed), task, seed),
        "random experts": _merged(_train(task, Mixture(seed, EXPERTS), seed), task, seed),
    }


def _copies(task: Task, seed: int) -> Mixture:
    """Return eight copies of a network that was trained before, their neurons in different orders."""
    one, model = _train(task, Mixture(seed, 1), seed), Mixture(seed, EXPERTS)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for i in range(EXPERTS):
            order = torch.randperm(NEURONS, generator=draw)
            model.up[i], model.bias[i], model.down[i] = one.up[0, order], one.bias[0, order], one.down[0][:, order]
    return model


def _train(task: Task, model: Mixture, seed: int) -> Mixture:
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    experts = len(model.router)
    for step in range(STEPS):
        points, classes = task.draw(BATCH, 10_000 * (seed + 1) + step)
        logits, routed = model(points)
        shares = routed.softmax(1).mean(0)
        used = functional.one_hot(routed.argmax(1), experts).float().mean(0)
        loss = functional.cross_entropy(logits, classes) + 0.01 * experts * (shares * used).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.requires_grad_(False)
    return model


def _merged(model: Mixture, task: Task, seed: int) -> dict[str, dict[str, float]]:
    points, classes = task.draw(4000, seed + 5)
    some, _ = task.draw(1000, seed + 6)
    routed = model(some)[1]
    used = functional.one_hot(routed.argmax(1), EXPERTS).sum(0)
    experts = [Expert((model.up[i], model.bias[i]), model.down[i]) for i in range(EXPERTS)]
    each = sum(t.numel() for t in (*experts[0].ups, experts[0].down))
    found = {"all": {"answered": _right(model(points)[0], classes), "share": 1.0}}
    for count in (4, 2):
        for name, way in WAYS.items():
            merged = replace(way, seed=seed).merge(experts, routed, used, count)
            logits = _with(model, merged)(points, merged.group)[0]
            found[f"{name} to {count}"] = {"answered": _right(logits, classes), "share": count / EXPERTS}
        merged = WAYS["merge-then-compress"].merge(experts, routed, used, count)
        small, nbytes = _compressed(WAYS["merge-then-compress"], merged)
        logits = _with(model, small)(points, merged.group)[0]
        found[f"merged and compressed to {count}"] = {
            "answered": _right(logits, classes), "share": nbytes / (4 * each * EXPERTS)
        }  # fmt: skip
    return found


def _with(model: Mixture, merged: Merged) -> Mixture:
    made = Mixture(0, len(merged.experts))
    made.requires_grad_(False)
    for i, expert in enumerate(merged.experts):
        made.up[i], made.bias[i], made.down[i] = *expert.ups, expert.down
    made.router = model.router
    return made


def _compressed(way: MergeThenCompress, merged: Merged) -> tuple[Merged, int]:
    nbytes, experts = 0, []
    for expert in merged.experts:
        up, down = way.compress(expert.ups[0]), way.compress(expert.down)
        nbytes += up.nbytes + down.nbytes + 4 * expert.ups[1].numel()
        experts.append(Expert((up.decompress(), expert.ups[1]), down.decompress()))
    return Merged(tuple(experts), merged.group), nbytes


def _right(logits: Tensor, classes: Tensor) -> float:
    return float((logits.argmax(1) == classes).float().mean())

"""How much each weight matters to what a model says: sums over samples of powers of per-sample gradients.

For nn.Linear layers that read (N, in) the sum over samples is a product of what the layer reads and what comes back to it,
sum_n (d_n^p)(a_n^p)^T, without any per-sample gradient being made: one pass back for each of `costs`. Other weights take one
pass back a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mnemos.parametric.consolidate.base import Batch, Learning
from mnemos.parametric.gradients import add_powers

Fisher = Literal["exact", "sampled", "empirical", "batched"]
Costs = Callable[[Tensor], Sequence[Tensor]]  # of logits (N, classes): what is derived, each (N,)


def fisher(learning: Learning, batch: Batch, kind: Fisher = "exact") -> dict[str, Tensor]:
    """Return the diagonal of the Fisher information by weight: the mean over samples of E_c[(d log p(c|x) / dw)^2].

    `exact` takes the expectation over all classes c that take part, `sampled` draws one of the model's, `empirical` takes the
    label. `batched` squares the mean gradient of the batch: what several libraries compute, and not the Fisher information, since
    gradients of different signs cancel before they are squared; it is here to be compared with.
    """
    if kind == "batched":
        weights = learning.weights()
        gradients = torch.autograd.grad(learning.cost(learning.model(batch.x), batch), list(weights.values()))
        return {name: g.square() for name, g in zip(weights, gradients, strict=True)}

    def costs(logits: Tensor) -> list[Tensor]:
        logs = learning.taking_part(logits, batch.tasks, batch.y).log_softmax(-1)
        if kind == "empirical":
            return [logs.gather(1, batch.y[:, None])[:, 0]]
        chances = logs.detach().exp()
        if kind == "sampled":
            drawn = torch.multinomial(chances, 1, generator=learning.generator)
            return [logs.gather(1, drawn)[:, 0]]
        return [logs[:, c] * chances[:, c].sqrt() for c in range(logs.shape[1]) if bool((chances[:, c] > 1e-12).any())]

    return powers(learning, batch.x, costs, 2)


def sensitivity(learning: Learning, x: Tensor) -> dict[str, Tensor]:
    """Return the mean over samples of |d ||logits||^2 / dw| by weight: needs no labels (MAS, arXiv 1711.09601)."""
    return powers(learning, x, lambda logits: [logits.square().sum(-1)], 1)


def powers(learning: Learning, x: Tensor, costs: Costs, power: int) -> dict[str, Tensor]:
    """Return the mean over samples of |gradient|^power by weight, summed over `costs`. Leaves model and gradients as they are."""
    weights = learning.weights()
    total = {name: torch.zeros_like(w) for name, w in weights.items()}
    was = learning.model.training
    learning.model.eval()  # neither dropout nor the statistics of a normalisation
    try:
        linear = {f"{name}.": m for name, m in learning.model.named_modules() if isinstance(m, nn.Linear)}
        covered = {f"{prefix}{p}" for prefix in linear for p in ("weight", "bias")}
        if set(weights) <= covered and x.dim() == 2:
            _by_layer(learning, x, costs, power, linear, total)
        else:
            _by_sample(learning, x, costs, power, weights, total)
    finally:
        learning.model.train(was)
    return {name: t / len(x) for name, t in total.items()}


def _by_layer(
    learning: Learning, x: Tensor, costs: Costs, power: int, linear: dict[str, nn.Module], total: dict[str, Tensor]
) -> None:
    reads: list[tuple[str, Tensor, Tensor]] = []
    handles = [
        m.register_forward_hook(lambda _, given, made, prefix=prefix: reads.append((prefix, given[0].detach(), made)))
        for prefix, m in linear.items()
    ]
    try:
        parts = costs(learning.model(x))
    finally:
        for handle in handles:
            handle.remove()
    for part in parts:
        back = torch.autograd.grad(part.sum(), [made for _, _, made in reads], retain_graph=True)
        for (prefix, given, _), delta in zip(reads, back, strict=True):
            size = delta.abs() ** power
            if f"{prefix}weight" in total:
                total[f"{prefix}weight"] += size.T @ given.abs() ** power
            if f"{prefix}bias" in total:
                total[f"{prefix}bias"] += size.sum(0)


def _by_sample(
    learning: Learning, x: Tensor, costs: Costs, power: int, weights: dict[str, nn.Parameter], total: dict[str, Tensor]
) -> None:
    parts = costs(learning.model(x))
    for part in parts:
        for one in part:
            add_powers(total, one, weights, power, again=True)

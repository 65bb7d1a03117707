"""Errors of sequences that weigh late steps more, so that long lags count as much as short ones.

B sequences   T steps
"""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "temporally-rescaled-error",
    papers=(Paper("Improve Long-term Memory Learning Through Rescaling the Error Temporally", "2307.11462"),),
    task="recurrent",
)
def rescaled_error(
    outputs: Tensor,  # (B, T, ...)
    targets: Tensor,  # (B, T, ...)
    power: float = 1.0,  # how fast weights grow over the steps; 0: not at all
) -> Tensor:
    """Return the squared error of outputs (B, T, O) with weights that grow over the steps (arXiv 2307.11462).

    For y_t = sum_s rho(s) x_{t-s} an error with weights w_t weighs a mistake of rho at lag s by the sum of w from step s on:
    with equal weights, short lags count T times as much as the longest. Weights are (t / T)^power, with mean 1; a power of 0
    is the mean squared error, a large one the error of the last step. The paper's family of weights is wider; powers are
    ours.
    """
    if outputs.shape != targets.shape or outputs.dim() < 2:
        raise InvalidInput(
            f"outputs are {tuple(outputs.shape)}, targets {tuple(targets.shape)}: give (B, T, ...) twice."
        )
    weights = weights_of(outputs.shape[1], power).to(outputs)
    each = (outputs - targets).square().flatten(2).mean(2) if outputs.dim() > 2 else (outputs - targets).square()
    return (each * weights).mean()


def weights_of(length: int, power: float) -> Tensor:
    """Return weights (T) of the steps, with mean 1. Raises InvalidInput for a negative power."""
    if power < 0:
        raise InvalidInput(f"power is {power}: give at least 0, which weighs all steps alike.")
    weights = (torch.arange(1, length + 1, dtype=torch.float64) / length) ** power
    return (weights / weights.mean()).float()


def weights_of_lags(length: int, power: float) -> Tensor:
    """Return how much a mistake at each lag (T) counts for white noise, relative to lag 0: the tail sums of the weights."""
    tails = weights_of(length, power).flip(0).cumsum(0).flip(0)
    return tails / tails[0]

"""The temperature of a read: where a softmax over many keys turns from an average into the nearest key.

n keys of d channels   h bandwidth of the kernel exp(-|x - y|^2 / (2 h^2))   beta = 1 / h^2   alpha = log(n) / d
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

PAPER = Paper("Kernel Density Estimators in Large Dimensions", "2408.05807")


@register("read-temperature", papers=(PAPER,), task="associative")
def read_temperature(
    keys: Tensor,  # that are read, (n, d)
    cues: Tensor | None = None,  # typical ones (m, d); None: the keys, each without itself
    share: float = 0.5,  # of the weight's square sum that is called condensed
    most: int = 256,  # cues that are looked at
) -> float:
    """Return the inverse temperature at which a read of keys (n, d) is condensed: few keys hold most of the weight.

    `cues` are typical ones; without them keys are asked for their neighbours, themselves left out. Weights are softmax(beta x y),
    as a Hopfield read has them, and the participation sum w^2 rises from 1/n (average) to 1 (nearest key) with beta; the
    value at which its mean over at most `most` cues reaches `share` is found by bisection, O(most n d). For Gaussian keys that is
    near 1 / h_G^2 of `condensation` (arXiv 2408.05807). Raises InvalidInput for fewer than two keys.
    """
    if keys.dim() != 2 or len(keys) < 2 or not 0 < share < 1:
        raise InvalidInput(
            f"keys have the shape {tuple(keys.shape)}, share is {share}: give two keys, a share in (0, 1)."
        )
    asked = keys if cues is None else cues
    step = max(1, len(asked) // most)
    chosen = torch.arange(0, len(asked), step)[:most]
    scores = asked[chosen].double() @ keys.double().T - keys.double().square().sum(-1) / 2
    if cues is None:
        scores[torch.arange(len(chosen)), chosen] = float("-inf")
    low, high = 1e-6, 1e6
    for _ in range(60):
        middle = math.sqrt(low * high)
        weight = (middle * scores).softmax(-1).square().sum(-1).mean()
        low, high = (middle, high) if float(weight) < share else (low, middle)
    return math.sqrt(low * high)


def condensation(alpha: float) -> float:
    """Return h_G: below it a kernel sum over exp(alpha d) standard normal keys is held by a few of them.

    It solves alpha = (log(1 + 1/h^2) - h^2 / (1 + h^2)^2) / 2: the points near the distance that dominates the sum run out.
    """
    return _solve(lambda s: (math.log1p(1 / s) - s / (1 + s) ** 2) / 2, alpha)


def normal_sums(alpha: float) -> float:
    """Return h_CLT: below it kernel sums over exp(alpha d) standard normal keys have heavy tails.

    It solves alpha = log E[w^2] / E[w]^2 / d of a weight w at a typical point.
    """
    return _solve(lambda s: math.log1p(1 / s) + 1 / (1 + s) - math.log1p(2 / s) / 2 - 1 / (2 + s), alpha)


def participation(weights: Tensor) -> Tensor:
    """Return how many keys hold the weights (..., n) of a read: 1 / sum w^2."""
    return 1 / weights.square().sum(-1)


def _solve(falling: object, alpha: float) -> float:
    """Return h for which a function of h^2 that falls equals alpha."""
    if alpha <= 0:
        raise InvalidInput(f"alpha is {alpha}: give log(n) / d of at least two keys.")
    low, high = 1e-12, 1e12
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if falling(middle) > alpha else (low, middle)  # type: ignore[operator]
    return math.sqrt(math.sqrt(low * high))

"""How a memory learns from a token: its architecture, its loss, what it retains, and the optimiser inside.

    B sequences   H heads   I, O channels of a weight of the memory   N tokens
    weights: one matrix (K, V), or two with a GELU between them; each (B, H, I, O)

Source: arXiv 2504.13173 (Miras), whose four choices these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput

Weights = list[Tensor]  # one matrix, or two
Factors = list[
    tuple[Tensor, Tensor]
]  # of each weight, left (N, I) and right (N, O): token n's gradient is left_n right_n'


@dataclass(frozen=True, slots=True)
class Rule:
    """The four choices of Miras, and what Titans and Atlas add."""

    memory: Literal["matrix", "mlp"] = "matrix"  # the architecture
    loss: Literal["dot", "l2", "lp", "huber"] = "l2"  # the attentional bias
    retention: Literal["decay", "lq", "kl"] = "decay"  # how what was learned is held
    optimiser: Literal["gradient", "momentum", "muon"] = "gradient"
    forget: bool = True  # whether a token chooses how much is forgotten
    window: int = 1  # c, tokens whose losses a step looks at (Omega rule)
    power: float = 3.0  # p of the lp loss
    norm: float = 4.0  # q of the lq retention
    faded: bool = False  # whether a gradient is taken where forgetting leads, as Gated DeltaNet does; a matrix only

    def __post_init__(self) -> None:
        choices = {
            "memory": ("matrix", "mlp"),
            "loss": ("dot", "l2", "lp", "huber"),
            "retention": ("decay", "lq", "kl"),
            "optimiser": ("gradient", "momentum", "muon"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InvalidInput(f"{name} is {getattr(self, name)!r}: give {', '.join(known)}.")
        if self.window < 1 or self.power < 2 or self.norm < 2:
            raise InvalidInput(
                f"window is {self.window}, power {self.power}, norm {self.norm}: give at least 1, 2 and 2."
            )
        if self.faded and (self.memory != "matrix" or self.retention != "decay" or self.window > 1):
            raise InvalidInput("faded is for a matrix with the retention 'decay' and a window of 1: leave it out.")

    @property
    def whole(self) -> bool:
        """Tell whether the memory of every token has to be written out, as it is no sum of a few outer products."""
        return self.optimiser == "muon" or self.retention != "decay"

    def held(self, weights: Weights, begin: Weights) -> Weights:
        """Return the weights that are read, for what was learned since the beginning."""
        pairs = zip(weights, begin, strict=True)
        if self.retention == "kl":
            return [(b + w).softmax(-2) for w, b in pairs]
        if self.retention == "lq":
            return [b + w / self.size(w).clamp_min(1) ** (self.norm - 2) for w, b in pairs]
        return [b + w for w, b in pairs]

    def size(self, weight: Tensor) -> Tensor:
        """Return the lq norm of each matrix."""
        return (weight.abs() ** self.norm).sum((-1, -2), keepdim=True).clamp_min(1e-12) ** (1 / self.norm)

    def penalty(self, read: Tensor, value: Tensor, limit: Tensor) -> Tensor:
        """Return the loss of what is read for a key beside its value, summed over channels; `limit` is huber's."""
        if self.loss == "dot":
            return -(read * value).sum(-1)
        r = read - value
        if self.loss == "lp":
            return (r.abs() ** self.power).sum(-1) / self.power
        if self.loss == "huber":
            near = r.abs() <= limit
            return torch.where(near, r**2 / 2, limit * (r.abs() - limit / 2)).sum(-1)
        return (r**2).sum(-1) / 2

    def slope(self, read: Tensor, value: Tensor, limit: Tensor) -> Tensor:
        """Return the gradient of `penalty` by what is read."""
        if self.loss == "dot":
            return -value
        r = read - value
        if self.loss == "lp":
            return r.sign() * r.abs() ** (self.power - 1)
        return torch.maximum(torch.minimum(r, limit), -limit) if self.loss == "huber" else r

    def factors(self, weights: Weights, k: Tensor, v: Tensor, limit: Tensor, keep: Tensor) -> Factors:
        """Return the gradients of tokens (B, H, N, .) at the same weights, as outer products."""
        if self.memory == "matrix":
            read = k @ weights[0]
            return [(k, self.slope(read * keep if self.faded else read, v, limit))]
        before = k @ weights[0]
        inner = gelu(before)
        e = self.slope(inner @ weights[1], v, limit)
        return [(k, (e @ weights[1].transpose(-1, -2)) * gelu_slope(before)), (inner, e)]


def answer(weights: Weights, q: Tensor) -> Tensor:
    """Return what a memory answers to queries (..., N, K)."""
    y = q @ weights[0]
    return y if len(weights) == 1 else gelu(y) @ weights[1]


def gelu(x: Tensor) -> Tensor:
    """Return the exact GELU."""
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def gelu_slope(x: Tensor) -> Tensor:
    """Return its derivative."""
    return (1 + torch.erf(x / 2**0.5)) / 2 + x * torch.exp(-(x**2) / 2) / (2 * torch.pi) ** 0.5


def orthogonal(x: Tensor, steps: int = 5) -> Tensor:
    """Return matrices with the singular vectors of x and singular values near 1, by Newton and Schulz (Muon's numbers)."""
    tall = x.shape[-2] > x.shape[-1]
    x = x.transpose(-1, -2) if tall else x
    x = x / (x.square().sum((-1, -2), keepdim=True) + 1e-12).sqrt()
    for _ in range(steps):
        square = x @ x.transpose(-1, -2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.transpose(-1, -2) if tall else x

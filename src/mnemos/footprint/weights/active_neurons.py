"""Which neurons of a feed-forward layer are active for some tokens, told before their weights are read.

D width, n neurons, N tokens, r rank. A neuron is active where w . x + b > 0, of its row w.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput

ROWS = 256  # turned into float at a time


@runtime_checkable
class Finder(Protocol):
    """Tells the active neurons of one layer."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Return which neurons (N, n) may be active for tokens (N, D); bool."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """Makes the finder of a layer. A dataclass of knobs."""

    def finder(self, weight: Tensor, bias: Tensor, inputs: Tensor | None) -> Finder:
        """Return the finder of a layer with rows (n, D), from what it was given (N, D) before where that is known."""
        ...


@dataclass(frozen=True, slots=True)
class Bounded:
    """Find all active neurons, and few others, by the rows in eight bits and a bound on what that changes; Mnemos' own.

    Misses none: with w' the rounded row and e = |w - w'|, w . x is at most w' . x + e |x| (Cauchy and Schwarz), and a neuron for
    which that and its bias is not above 0 is not active. Takes a quarter of the bytes of float32.
    """

    def finder(self, weight: Tensor, bias: Tensor, inputs: Tensor | None) -> Finder:
        """Return the finder of a layer; needs no inputs."""
        weight = weight.float()
        scale = weight.abs().amax(1).clamp(min=1e-12) / 127
        rows = (weight / scale[:, None]).round().to(torch.int8)
        error = (weight - rows * scale[:, None]).norm(dim=1)
        # computing in float32 rounds too: less than a part in 10^5 of |w| |x| for rows of some thousand numbers
        error = error + 1e-5 * weight.norm(dim=1)
        return _Rounded(rows, scale, error, bias.float().clone())


@dataclass(frozen=True, slots=True)
class _Rounded:
    rows: Tensor  # (n, D), int8
    scale: Tensor  # (n)
    error: Tensor  # (n)
    bias: Tensor  # (n)

    @property
    def nbytes(self) -> int:
        return int(self.rows.nbytes + self.scale.nbytes + self.error.nbytes + self.bias.nbytes)

    def __call__(self, x: Tensor) -> Tensor:
        x = x.float()
        parts = [x @ rows.to(x).T for rows in self.rows.split(ROWS)]
        return torch.cat(parts, 1) * self.scale + self.error * x.norm(dim=1, keepdim=True) + self.bias > 0


@dataclass(frozen=True, slots=True)
class LowRank:
    """Guess the active neurons by a map of low rank that learned from tokens: sigma(x A B + c) above a threshold.

    It begins as the best map of its rank for those inputs, and is trained to tell active neurons from others. The threshold is
    the one that misses `missed` of the active neurons of those inputs; a neuron that is missed adds nothing where it should.
    """

    rank: int = 32  # r
    missed: float = 0.02  # share of active neurons that may be missed
    steps: int = 200  # of Adam
    rate: float = 2e-3
    batch: int = 256  # tokens a step

    def finder(self, weight: Tensor, bias: Tensor, inputs: Tensor | None) -> Finder:
        """Return the finder of a layer. Raises InvalidInput without inputs."""
        if inputs is None:
            raise InvalidInput("a map of low rank learns from inputs: give what `recorded` returns to `inputs`.")
        x, w, b = inputs.float(), weight.float(), bias.float()
        right = torch.linalg.svd(x @ w.T, full_matrices=False).Vh[: self.rank]  # (r, n): where the outputs spread
        with torch.enable_grad():
            a, c = (w.T @ right.T).requires_grad_(), b.clone().requires_grad_()
            right = right.clone().requires_grad_()
            adam = torch.optim.Adam([a, right, c], lr=self.rate)
            generator = torch.Generator().manual_seed(0)
            for _ in range(self.steps):
                part = x[torch.randint(len(x), (self.batch,), generator=generator)]
                active = ((part @ w.T + b) > 0).float()
                adam.zero_grad()
                F.binary_cross_entropy_with_logits(part @ a @ right + c, active).backward()
                adam.step()
        a, right, c = a.detach(), right.detach(), c.detach()
        scores = (x @ a @ right + c)[(x @ w.T + b) > 0]
        least = float(torch.sort(scores).values[int(self.missed * len(scores))]) if len(scores) else 0.0
        return _Guess(a, right.contiguous(), c - least)


@dataclass(frozen=True, slots=True)
class _Guess:
    a: Tensor  # (D, r)
    b: Tensor  # (r, n)
    c: Tensor  # (n), less the threshold

    @property
    def nbytes(self) -> int:
        return int(self.a.nbytes + self.b.nbytes + self.c.nbytes)

    def __call__(self, x: Tensor) -> Tensor:
        found: Tensor = x.float() @ self.a @ self.b + self.c >= 0
        return found

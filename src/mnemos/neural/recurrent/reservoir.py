"""What reservoirs share: recurrent weights that are drawn once and never trained, and a linear readout in closed form.

B sequences   T tokens   D channels of a token   N units of a layer   F features: the units that are read
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Generator, Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import Cell
from mnemos.neural.recurrent.ridge import ridge

Skip = Literal["identity", "cyclic", "random"]


class Reservoir(Cell):
    """A cell whose units are random features of the past: a subclass writes `drive`, `advance`, `formula`, `init_state`.

    All weights but the readout are buffers: they are saved with it, and no gradient reaches them. As a layer of a trained
    stack the readout is trained like any other weight; `fit` sets it in one step instead.
    """

    def seen(self, state: State) -> Tensor:
        """Return the features (B, F) of a state."""
        return state["h"].flatten(1)

    def fit(self, x: Tensor, targets: Tensor, washout: int = 0, penalty: float = 1e-6) -> None:
        """Set the readout to the ridge regression of targets (B, T, D) on the features of x, from token `washout` on."""
        if targets.shape != x.shape or not 0 <= washout < x.shape[1]:
            raise InvalidInput(
                f"tokens are {tuple(x.shape)}, targets {tuple(targets.shape)}, washout {washout}: "
                "give targets of the shape of the tokens, and leave at least one of them."
            )
        with torch.no_grad():
            features, _ = self.features(x)
            weights, bias = ridge(features[:, washout:].flatten(0, 1), targets[:, washout:].flatten(0, 1), penalty)
            self.out.weight.copy_(weights)
            self.out.bias.copy_(bias)


def random(shape: Sequence[int], rng: Generator, scale: float = 1.0) -> Tensor:
    """Return numbers that are uniform in [-scale, scale]."""
    return (2 * torch.rand(*shape, generator=rng) - 1) * scale


def recurrent(size: int, radius: float, rng: Generator) -> Tensor:
    """Return a matrix (N, N) of uniform numbers whose largest eigenvalue has the absolute value `radius`."""
    drawn = random((size, size), rng).double()
    return (drawn * radius / torch.linalg.eigvals(drawn).abs().max()).float()


def orthogonal(kind: Skip, size: int, rng: Generator) -> Tensor:
    """Return an orthogonal matrix (N, N): the identity, a cyclic shift, or a random one."""
    if kind == "identity":
        return torch.eye(size)
    if kind == "cyclic":
        return torch.eye(size).roll(1, 0)
    if kind == "random":
        q, r = torch.linalg.qr(torch.randn(size, size, generator=rng).double())
        return (q * r.diagonal().sign()).float()
    raise InvalidInput(f"skip is {kind!r}: give 'identity', 'cyclic' or 'random'.")

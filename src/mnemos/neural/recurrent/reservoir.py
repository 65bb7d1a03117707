"""What reservoirs share: recurrent weights that are drawn once and never trained, and a linear readout in closed form.

B sequences   T tokens   D channels of a token   N units of a layer   F features: the units that are read
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.recurrent.cell import chosen
from mnemos.neural.recurrent.ridge import ridge

Skip = Literal["identity", "cyclic", "random"]


class Reservoir(Mixer):
    """A layer whose units are random features of the past: a subclass writes `drive`, `advance`, `formula`, `init_state`.

    All weights but the readout are buffers: they are saved with it, and no gradient reaches them. As a layer of a trained
    stack the readout is trained like any other weight; `fit` sets it in one step instead.
    """

    def __init__(self, width: int, features: int) -> None:
        super().__init__(width)
        self.out = nn.Linear(features, width)

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens x (B, T, D) give to their steps."""
        raise NotImplementedError

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the state after a step."""
        raise NotImplementedError

    def formula(self, x: Tensor, state: State) -> State:
        """Return the state after a token (B, D), as the paper writes it."""
        raise NotImplementedError

    def seen(self, state: State) -> Tensor:
        """Return the features (B, F) of a state."""
        return state["h"].flatten(1)

    def features(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Return the features (B, T, F) after each token of x, and the state after the last; padding is on the right."""
        state = self.checked(state, len(x))
        out = []
        for t, drive in enumerate(self.drive(x).to(next(iter(state.values())).dtype).unbind(1)):
            after = self.advance(drive, state)
            state = after if mask is None else chosen(mask[:, t], after, state)
            out.append(self.seen(state))
        return torch.stack(out, 1), state

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Read the features by the readout."""
        features, state = self.features(x, state, mask)
        return self.out(features.to(x.dtype)), state

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read token by token by the formula."""
        out = []
        for token in x.unbind(1):
            state = self.formula(token, state)
            out.append(self.out(self.seen(state).to(x.dtype)))
        return torch.stack(out, 1), state

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

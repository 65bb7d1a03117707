"""Deep residual echo state networks: reservoirs above each other whose units are carried on by an orthogonal matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.recurrent.reservoir import Reservoir, Skip, orthogonal, random, recurrent
from mnemos.registry import Paper, register


@register(
    "deep-residual-esn",
    papers=(
        Paper(
            "Deep Residual Echo State Networks: exploring residual orthogonal connections in untrained Recurrent Neural "
            "Networks",
            "2508.21172",
            "NennoMP/DeepResESN",
        ),
    ),
    task="recurrent",
    baselines=("echo-state-network",),
)
class DeepResidualESN(Reservoir):
    """Carries the units of each layer on by an orthogonal matrix, beside what is new (arXiv 2508.21172).

    h_t(l) = alpha O h_{t-1}(l) + beta tanh(W h_{t-1}(l) + V h_t(l-1) + b), h(0) the token; O is random, a cyclic shift or the
    identity. Nothing but the readout of all layers is fitted. It forgets how it began for sure where
    alpha + beta ||W|| < 1, and not at all where the radius of alpha O + beta W is above 1 (`radius` tells).
    Costs T steps of O(layers N^2).
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        size: int = 64,  # N, units of a layer
        layers: int = 2,  # reservoirs above each other
        skip: Skip = "random",  # O: "random", "cyclic" or "identity"
        alpha: float = 0.9,  # what is carried on
        beta: float = 0.1,  # what is new
        radius: float = 0.9,  # largest absolute eigenvalue of W
        scale: float = 1.0,  # of what a token gives
        between: float = 1.0,  # of what a layer gives to the next one
        bias: float = 0.0,  # of the biases
        linear: bool = False,  # whether tanh is left out
        seed: int = 0,  # of all that is drawn
    ) -> None:
        if layers < 1 or size < 1:
            raise InvalidInput(f"layers is {layers} and size {size}: give at least 1 of each.")
        super().__init__(width, layers * size)
        self.alpha, self.beta, self.linear = alpha, beta, linear
        rng = torch.Generator().manual_seed(seed)
        self.register_buffer("back", torch.stack([recurrent(size, radius, rng) for _ in range(layers)]))
        self.register_buffer("skip", torch.stack([orthogonal(skip, size, rng) for _ in range(layers)]))
        self.register_buffer("enter", random((size, width), rng, scale))
        self.register_buffer("up", random((layers - 1, size, size), rng, between / size**0.5))
        self.register_buffer("bias", random((layers, size), rng, bias))

    def init_state(self, batch: int) -> State:
        """Return zeros, (B, layers, N)."""
        layers, size = self.bias.shape
        return {"h": self.zeros(batch, layers, size)}

    def radius(self) -> float:
        """Return the largest absolute eigenvalue of alpha O + beta W over the layers: the dynamics around zero."""
        return float(torch.linalg.eigvals(self.alpha * self.skip + self.beta * self.back).abs().max())

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens give to the first layer."""
        return x @ self.enter.T

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the next units of all layers; what they hear of themselves is computed at once."""
        h = state["h"]
        own = h.transpose(0, 1)  # (layers, B, N)
        heard = torch.baddbmm(self.bias[:, None].to(h.dtype), own, self.back.transpose(1, 2).to(h.dtype))
        kept = self.alpha * (own @ self.skip.transpose(1, 2).to(h.dtype))
        units = []
        for layer in range(len(heard)):
            new = heard[layer] + drive
            units.append(kept[layer] + self.beta * (new if self.linear else new.tanh()))
            if layer + 1 < len(heard):
                drive = units[-1] @ self.up[layer].T.to(h.dtype)
        return {"h": torch.stack(units, 1)}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the next units as the paper writes them."""
        below, after = x @ self.enter.T, []
        for layer, h in enumerate(state["h"].unbind(1)):
            heard = h @ self.back[layer].T + below + self.bias[layer]
            h = self.alpha * h @ self.skip[layer].T + self.beta * (heard if self.linear else torch.tanh(heard))
            after.append(h)
            if layer + 1 < len(self.bias):
                below = h @ self.up[layer].T
        return {"h": torch.stack(after, 1)}

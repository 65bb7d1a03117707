"""Residual reservoir memory networks: a delay line beside a nonlinear reservoir."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.neural.base import State
from mnemos.neural.recurrent.reservoir import Reservoir, Skip, orthogonal, random, recurrent
from mnemos.registry import Paper, register


@register(
    "residual-reservoir-memory",
    papers=(Paper("Residual Reservoir Memory Networks", "2508.09925"),),
    task="recurrent",
    baselines=("echo-state-network",),
)
class ResidualReservoirMemory(Reservoir):
    """Keeps the past in a linear reservoir that turns it round a ring, and combines it in a nonlinear one (arXiv 2508.09925).

    m_t = C m_{t-1} + V x_t, C a cyclic shift, and h_t = alpha O h_{t-1} + beta tanh(W h_{t-1} + U m_t + Z x_t + b). C keeps
    every token for ever, one above the other after `memory` of them; with `decay` below 1 the older ones fade. The readout
    sees h and m, in the paper h alone (`read_memory=False`). Costs T steps of O(N^2 + N memory).
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        size: int = 64,  # N, units of the nonlinear reservoir
        memory: int = 64,  # M, units of the linear one
        skip: Skip = "cyclic",  # O: "random", "cyclic" or "identity"
        alpha: float = 0.5,  # what is carried on
        beta: float = 0.5,  # what is new
        radius: float = 0.9,  # largest absolute eigenvalue of W
        scale: float = 1.0,  # of what a token gives to both
        scale_memory: float = 1.0,  # of what the linear reservoir gives to the other
        bias: float = 0.0,  # of the biases
        decay: float = 0.98,  # what the linear reservoir keeps at a token
        read_memory: bool = True,  # whether the readout sees the linear reservoir too
        seed: int = 0,  # of all that is drawn
    ) -> None:
        super().__init__(width, size + memory if read_memory else size)
        self.alpha, self.beta, self.decay, self.read_memory = alpha, beta, decay, read_memory
        rng = torch.Generator().manual_seed(seed)
        self.register_buffer("back", recurrent(size, radius, rng))
        self.register_buffer("skip", orthogonal(skip, size, rng))
        self.register_buffer("enter", random((size, width), rng, scale))
        self.register_buffer("line", random((memory, width), rng, scale))
        self.register_buffer("up", random((size, memory), rng, scale_memory / memory**0.5))
        self.register_buffer("bias", random((size,), rng, bias))

    def init_state(self, batch: int) -> State:
        """Return zeros, (B, N) and (B, M)."""
        return {"h": self.zeros(batch, len(self.bias)), "m": self.zeros(batch, len(self.line))}

    def seen(self, state: State) -> Tensor:
        """Return what the readout sees."""
        return torch.cat([state["h"], state["m"]], 1) if self.read_memory else state["h"]

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens give to both reservoirs."""
        return x @ torch.cat([self.enter, self.line]).T

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the next units of both."""
        h, (first, line) = state["h"], drive.split([len(self.bias), len(self.line)], 1)
        m = self.decay * state["m"].roll(1, 1) + line
        heard = first + h @ self.back.T.to(h.dtype) + m @ self.up.T.to(h.dtype) + self.bias.to(h.dtype)
        return {"h": self.alpha * h @ self.skip.T.to(h.dtype) + self.beta * heard.tanh(), "m": m}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the next units as the paper writes them."""
        cycle = torch.eye(len(self.line), dtype=x.dtype).roll(1, 0)
        m = self.decay * state["m"] @ cycle.T + x @ self.line.T
        heard = torch.tanh(state["h"] @ self.back.T + m @ self.up.T + x @ self.enter.T + self.bias)
        return {"h": self.alpha * state["h"] @ self.skip.T + self.beta * heard, "m": m}

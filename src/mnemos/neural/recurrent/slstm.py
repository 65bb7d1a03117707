"""sLSTM: an LSTM with exponential gates and a normaliser."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import Cell, units
from mnemos.registry import Paper, register

Gate = Literal["exponential", "sigmoid"]
UNBEGUN = -1e30  # the stabiliser before the first token: whatever comes is larger


@register(
    "slstm",
    papers=(
        Paper("xLSTM: Extended Long Short-Term Memory", "2405.04517", "NX-AI/xlstm"),
        Paper("xLSTMTime : Long-term Time Series Forecasting With xLSTM", "2407.10240", "muslehal/xLSTMTime"),
    ),
    task="recurrent",
    baselines=("lstm", "linear-attention"),
)
class SLSTM(Cell):
    """Weighs what it takes in by exponentials, and divides by their sum: it can outweigh all that it holds (arXiv 2405.04517).

    c_t = f_t c_{t-1} + i_t z_t, n_t = f_t n_{t-1} + i_t, h_t = o_t c_t / n_t, with i = exp, f = sigmoid or exp, o = sigmoid
    and z = tanh of W x_t + R h_{t-1} + b; R mixes units of the same head only. c and n are held divided by exp(m_t),
    m_t = max(log f_t + m_{t-1}, log i_t), so that nothing overflows. The output is normed head by head before it is
    projected; the short convolution of the paper's block is left to the stack.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, units of the state; D if nothing is said
        heads: int = 1,  # blocks of R
        input_gate: Gate = "exponential",  # how i is made
        forget_gate: Gate = "sigmoid",  # how f is made
    ) -> None:
        super().__init__(width, units(width, hidden))
        if heads < 1 or self.hidden % heads:
            raise InvalidInput(f"heads is {heads}: give a divisor of the units, {self.hidden}.")
        self.heads, self.input_gate, self.forget_gate = heads, input_gate, forget_gate
        size = self.hidden // heads
        self.enter = nn.Linear(width, 4 * self.hidden)
        self.back = nn.Parameter(torch.randn(heads, size, 4 * size) * size**-0.5)
        self.norm = nn.RMSNorm(size)
        bias = self.enter.bias.data.view(heads, 4, size).zero_()
        bias[:, 2] = torch.linspace(3, 6, size)  # of the forget gate

    def init_state(self, batch: int) -> State:
        """Return zeros, and the stabiliser of a cell that has read nothing."""
        state = {name: self.zeros(batch, self.hidden) for name in ("h", "c", "n")}
        return state | {"m": self.zeros(batch, self.hidden) + UNBEGUN}

    def drive(self, x: Tensor) -> Tensor:
        """Return the part of the gates that tokens decide; per head z, i, f, o."""
        y: Tensor = self.enter(x)
        return y

    def gates(self, drive: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return z, log i, log f and o, (B, H) each."""
        heads = h.view(len(h), self.heads, -1).transpose(0, 1)  # (heads, B, size)
        mixed = (heads @ self.back.to(h.dtype)).transpose(0, 1) + drive.view(len(h), self.heads, -1)
        z, i, f, o = (part.flatten(1) for part in mixed.chunk(4, -1))
        log_i = i if self.input_gate == "exponential" else F.logsigmoid(i)
        log_f = f if self.forget_gate == "exponential" else F.logsigmoid(f)
        return z.tanh(), log_i, log_f, o.sigmoid()

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the next state, stabilised."""
        z, log_i, log_f, o = self.gates(drive, state["h"])
        kept = log_f + state["m"]
        m = torch.maximum(kept, log_i)
        i, f = (log_i - m).exp(), (kept - m).exp()
        c, n = f * state["c"] + i * z, f * state["n"] + i
        return {"h": o * c / n, "c": c, "n": n, "m": m}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the next state with the gates as they are written, which overflows for large ones."""
        z, log_i, log_f, o = self.gates(self.enter(x), state["h"])
        scale = state["m"].exp()
        c = log_f.exp() * (state["c"] * scale) + log_i.exp() * z
        n = log_f.exp() * (state["n"] * scale) + log_i.exp()
        m = torch.maximum(log_f + state["m"], log_i)
        return {"h": o * c / n, "c": c / m.exp(), "n": n / m.exp(), "m": m}

    def read(self, h: Tensor) -> Tensor:
        """Return outputs of states that are normed head by head."""
        normed: Tensor = self.norm(h.unflatten(-1, (self.heads, -1))).flatten(-2)
        return super().read(normed)

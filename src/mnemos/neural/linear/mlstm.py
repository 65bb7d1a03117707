"""The mLSTM: a matrix memory with exponential gates, kept in range by a running maximum."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.linear import rules
from mnemos.neural.linear.matrix import MatrixMemory, Parts
from mnemos.registry import Paper, register


@register(
    "mlstm",
    papers=(
        Paper("xLSTM: Extended Long Short-Term Memory", "2405.04517", "NX-AI/xlstm"),
        Paper("xLSTM 7B: A Recurrent LLM for Fast and Efficient Inference", "2503.13427", "NX-AI/xlstm"),
        Paper("xLSTMTime : Long-term Time Series Forecasting With xLSTM", "2407.10240", "muslehal/xLSTMTime"),
    ),
    task="mqar",
    baselines=("linear-attention",),
)
class MLSTM(MatrixMemory):
    """Writes with an exponential gate, so that a token can outweigh all before it (arXiv 2405.04517, 2503.13427).

    C_t = f_t C_{t-1} + i_t k_t v_t', n_t = f_t n_{t-1} + i_t k_t, h_t = C_t' q_t / max(|n_t . q_t|, 1), i = exp, f = sigmoid.
    What is held is C e^-m and n e^-m (the last column) with m_t = max(log f_t + m_{t-1}, log i_t), found for all tokens by a
    running maximum; then the form is that of a fading sum. Gates are capped softly at `cap` as in the 7B model.
    """

    normalised = True

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int | None = None,  # C, tokens that are computed together; 64 if nothing is said
        gate: Literal["exp", "sigmoid"] = "exp",  # the input gate
        input_bias: float = -10.0,  # of the input gate at the beginning; the 7B model's
        cap: float | None = 15.0,  # of the gates before their functions, softly; None: no cap
    ) -> None:
        super().__init__(width, heads, key, value, chunk)
        if gate not in ("exp", "sigmoid"):
            raise InvalidInput(f"gate is {gate!r}: give 'exp' or 'sigmoid'.")
        self.gate, self.cap = gate, cap
        self.to_gates = nn.Linear(width, 2 * heads)
        with torch.no_grad():
            self.to_gates.weight.mul_(0.1)
            self.to_gates.bias.copy_(torch.cat([torch.full((heads,), input_bias), torch.linspace(3, 6, heads)]))

    def init_state(self, batch: int) -> State:
        """Return an empty memory, and a scale of 1: m = 0."""
        return super().init_state(batch) | {"m": self.zeros(batch, self.heads, 1)}

    def gates(self, x: Tensor, mask: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithms of the input and the forget gate, (B, H, T) each; padding writes and forgets nothing."""
        capped = self.to_gates(x).to(like.dtype)
        if self.cap is not None:
            capped = self.cap * (capped / self.cap).tanh()
        write, keep = capped.transpose(1, 2).chunk(2, 1)
        write, keep = write if self.gate == "exp" else F.logsigmoid(write), F.logsigmoid(keep)
        if mask is not None:
            write, keep = write.masked_fill(~mask[:, None], -1e30), keep.masked_fill(~mask[:, None], 0.0)
        return write, keep

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Find all m by a running maximum, and then read and write chunk by chunk."""
        write, keep = self.gates(x, mask, state["m"])
        total = keep.cumsum(2)
        m = total + torch.maximum((write - total).cummax(2).values, state["m"])
        before = torch.cat([state["m"], m[..., :-1]], 2)
        parts = self.scaled(self.parts(x, state, mask), write - m, keep + before - m)
        read, S = rules.additive(parts.q, parts.k, parts.v, parts.decay, state["memory"], self.chunk)
        return self.answer(self.divided(read, m), x), {"memory": S, "m": m[..., -1:]}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Update m, C and n token by token."""
        write, keep = self.gates(x, None, state["m"])
        S, m, parts, out = state["memory"], state["m"], self.parts(x, state, None), []
        for t in range(x.shape[1]):
            before, m = m, torch.maximum(keep[..., t : t + 1] + m, write[..., t : t + 1])
            i, f = (write[..., t : t + 1] - m).exp()[..., None], (keep[..., t : t + 1] + before - m).exp()[..., None]
            S = f * S + i * parts.k[:, :, t, :, None] * parts.v[:, :, t, None]
            out.append(self.divided(parts.q[:, :, t, None] @ S, m))
        return self.answer(torch.cat(out, 2), x), {"memory": S, "m": m}

    def scaled(self, parts: Parts, write: Tensor, decay: Tensor) -> Parts:
        """Return keys and factors as the scaled memory sees them."""
        return replace(parts, k=parts.k * write.exp()[..., None], decay=decay[..., None])

    def features(self, x: Tensor) -> Tensor:
        """Scale, so that products of queries and keys are those of attention."""
        return x * self.key**-0.25

    @staticmethod
    def divided(read: Tensor, m: Tensor) -> Tensor:
        """Return C q / max(|n . q|, 1) for what the scaled memory answers (B, H, T, V + 1)."""
        return read[..., :-1] / torch.maximum(read[..., -1:].abs(), (-m)[..., None].exp())

    def answer(self, read: Tensor, x: Tensor) -> Tensor:
        """Return the output for reads that are divided already."""
        read = self.norm(read.to(x.dtype)).transpose(1, 2).flatten(2)
        return self.out(read * self.to_gate(x).sigmoid())

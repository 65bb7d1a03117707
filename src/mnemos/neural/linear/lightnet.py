"""LightNet: linear attention whose keys are weighed by a running softmax over time."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.neural.linear.running import EMPTY, joined, running, running_naive
from mnemos.registry import Paper, register


@register(
    "lightnet",
    papers=(
        Paper(
            "You Only Scan Once: Efficient Multi-dimension Sequential Modeling with LightNet",
            "2405.21022",
            "OpenNLPLab/LightNet",
        ),
    ),
    task="mqar",
    baselines=("linear-attention", "retention"),
)
class LightNet(MatrixMemory):
    """Weighs every key channel by a softmax over all tokens so far, instead of letting it fade (arXiv 2405.21022).

    z_t = logcumsumexp(k)_t, S_t = exp(z_{t-1} - z_t) S_{t-1} + exp(k_t - z_t) v_t', y_t = S_t' silu(q_t), z a key channel. The
    sum knows no order: memories of parts can be merged, and `everything` reads images or sets at once. Departure: no position
    encodings (MD-TPE, MD-LRPE).
    """

    def init_state(self, batch: int) -> State:
        """Return means of nothing, and logarithms of sums of nothing."""
        return super().init_state(batch) | {"z": self.zeros(batch, self.heads, self.key) + EMPTY}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Read and write chunk by chunk."""
        q, k, v = self.said(x, state, mask)
        read, S, z = running(q, k, v, state["memory"], state["z"], self.chunk)
        return self.answer(read, x), {"memory": S, "z": z}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read and write token by token."""
        read, S, z = running_naive(*self.said(x, state, None), state["memory"], state["z"])
        return self.answer(read, x), {"memory": S, "z": z}

    def everything(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, T, D) where each token reads all others, later ones too; tokens may lie in any order. One pass."""
        q, k, v = self.said(x, self.init_state(len(x)), mask)
        return self.answer(q @ (k.softmax(2).transpose(-1, -2) @ v), x)

    def said(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, logarithms of weights and values, in the precision of the memory; padding weighs nothing."""
        parts = self.parts(x, state, None)
        k = parts.k if mask is None else parts.k.masked_fill(~mask[:, None, :, None], EMPTY)
        return F.silu(parts.q), k, parts.v

    def merge(self, earlier: State, later: State) -> State:
        """Return the memory of both texts."""
        S, z = joined(earlier["memory"], earlier["z"], later["memory"], later["z"])
        return {"memory": S, "z": z}

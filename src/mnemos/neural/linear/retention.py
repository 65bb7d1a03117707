"""Retention: a sum of keys times values that fades by a fixed factor."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.registry import Paper, register


@register(
    "retention",
    papers=(
        Paper("Retentive Network: A Successor to Transformer for Large Language Models", "2307.08621"),
        Paper(
            "Various Lengths, Constant Speed: Efficient Language Modeling with Lightning Attention",
            "2405.17381",
            "OpenNLPLab/TransnormerLLM",
        ),
    ),
    task="linear-layers",
    baselines=("attention",),
)
class Retention(MatrixMemory):
    """Lets the memory of each head fade by a factor that never changes (arXiv 2307.08621; by blocks, 2405.17381).

    S_t = lambda S_{t-1} + phi(k_t) v_t', y_t = S_t' phi(q_t), lambda = 1 - 2^-(slowness + head), phi = SiLU. A block of C
    tokens reads itself by (Q K' * lambda^(i-j)) V and the memory before it by lambda^i Q S, so nothing is summed token by
    token and a token costs the same at any length. Departure: no rotary position; the short convolution before a mixer
    gives order.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other, each half as forgetful as the one before
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int | None = None,  # C, tokens that are computed together; 64 if nothing is said
        slowness: float = 5.0,  # of the first head: it keeps all but 2^-slowness at each token
    ) -> None:
        super().__init__(width, heads, key, value, chunk)
        self.slowness = slowness

    def features(self, x: Tensor) -> Tensor:
        """Return SiLU."""
        return F.silu(x)

    def decay(self, x: Tensor) -> Tensor:
        """Return the logarithm of the factor of each head."""
        lost = 2.0 ** -(self.slowness + torch.arange(self.heads, device=x.device, dtype=torch.float64))
        return torch.log1p(-lost)[None, :, None, None].expand(len(x), -1, x.shape[1], 1)

"""Gated linear attention: a sum whose key channels fade, each as the token says."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.registry import Paper, register


@register(
    "gated-linear-attention",
    papers=(Paper("Gated Linear Attention Transformers with Hardware-Efficient Training", "2312.06635"),),
    task="mqar",
    baselines=("linear-attention",),
)
class GatedLinearAttention(MatrixMemory):
    """Lets each key channel of the memory fade by a factor that the token chooses (arXiv 2312.06635).

    S_t = diag(a_t) S_{t-1} + k_t v_t', a_t = sigmoid(W x_t)^(1/16), W of low rank.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int | None = None,  # C, tokens that are computed together; 16 if nothing is said
        rank: int = 16,  # of the projection to the factors
        slowness: float = 16.0,  # the factors are sigmoids to the power 1 / slowness
    ) -> None:
        super().__init__(width, heads, key, value, chunk)
        self.to_decay = nn.Sequential(nn.Linear(width, rank, bias=False), nn.Linear(rank, heads * self.key))
        self.slowness = slowness

    def decay(self, x: Tensor) -> Tensor:
        """Return the logarithm of the factor of each key channel."""
        return F.logsigmoid(self.split(self.to_decay(x))) / self.slowness

"""DeltaNet: a token overwrites what its key held."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.registry import Paper, register


@register(
    "delta-net",
    papers=(
        Paper("Parallelizing Linear Transformers with the Delta Rule over Sequence Length", "2406.06484"),
        Paper("Linear Transformers Are Secretly Fast Weight Programmers", "2102.11174"),
    ),
    task="mqar",
    baselines=("linear-attention",),
)
class DeltaNet(MatrixMemory):
    """Corrects what the memory answers to a key, instead of adding to it (arXiv 2406.06484).

    S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}' k_t)', y_t = S_t' q_t, with q and k of length 1 after SiLU, and
    beta = sigmoid of the token.
    """

    rule = "delta"

    def build(self) -> None:
        """Make the projection to beta."""
        self.to_beta = nn.Linear(self.width, self.heads)

    def features(self, x: Tensor) -> Tensor:
        """Return SiLU, at length 1: then beta = 1 replaces the value of a key exactly."""
        return F.normalize(F.silu(x), dim=-1)

    def beta(self, x: Tensor) -> Tensor:
        """Return a sigmoid of the token."""
        return self.split(self.to_beta(x)).sigmoid()

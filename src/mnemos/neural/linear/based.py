"""Based: linear attention whose keys are compared by a polynomial that resembles an exponential."""

from __future__ import annotations

from torch import Tensor

from mnemos.neural.linear.features import size, taylor
from mnemos.neural.linear.linear_attention import LinearAttention
from mnemos.registry import Paper, register


@register(
    "based",
    papers=(
        Paper(
            "Simple linear attention language models balance the recall-throughput tradeoff",
            "2402.18668",
            "HazyResearch/based",
        ),
    ),
    task="mqar",
    baselines=("linear-attention", "attention", "mamba-2"),
)
class Based(LinearAttention):
    """Compares a query and a key by 1 + q.k + (q.k)^2 / 2, the beginning of exp(q.k), with a sum (arXiv 2402.18668).

    S_t = S_{t-1} + phi(k_t) v_t', y_t = S_t' phi(q_t) / z_t' phi(q_t), phi of `taylor`: 1 + K (K + 3) / 2 channels, so `key` is
    small and sets the size of the state. The paper's model is a hybrid with a short window of exact attention:
    `LM(vocabulary, mixers=["based", ("attention", {"window": 64})])`.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels before the features; 16, or less in a narrow layer, if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int | None = None,  # C, tokens that are computed together; 64 if nothing is said
    ) -> None:
        super().__init__(width, heads, key or min(16, width // max(heads, 1)), value, chunk)

    @property
    def channels(self) -> int:
        """Return the number of features."""
        return size(self.key)

    def features(self, x: Tensor) -> Tensor:
        """Return the polynomial's, of keys scaled as in attention."""
        return taylor(x * self.key**-0.25)

"""Attention that may read nothing, so that no head has to push its activations far out to do so."""

from __future__ import annotations

from mnemos.neural.linear.attention import Attention
from mnemos.registry import Paper, register


@register(
    "outlier-efficient-hopfield",
    papers=(
        Paper(
            "Outlier-Efficient Hopfield Layers for Large Transformer-Based Models", "2404.03828", "MAGICS-LAB/OutEffHop"
        ),
    ),
    task="associative",
    baselines=("attention",),
)
class OutlierEfficientHopfield(Attention):
    """Softmax attention with a slot of energy 0 that holds nothing: Softmax_1(x)_i = exp(x_i) / (1 + sum_j exp(x_j)).

    A Hopfield update whose memory has a "no-op" pattern (arXiv 2404.03828). Costs, state and options are those of `attention`.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # that read beside each other
        window: int | None = None,  # tokens that are seen, this one among them; None: all
    ) -> None:
        super().__init__(width, heads, window)
        self.empty = True

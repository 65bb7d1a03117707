"""An initialisation by which a selective state space layer begins as linear attention."""

from __future__ import annotations

import torch
from torch import nn

from mnemos.neural.statespace.mamba import Mamba
from mnemos.registry import Paper, register


@register(
    "mimetic-initialisation",
    papers=(Paper("Mimetic Initialization Helps State Space Models Learn to Recall", "2410.11135"),),
    task="copying",
    baselines=("mamba",),
)
def mimetic(
    model: nn.Module,  # whose Mamba layers are initialised, or one such layer
    decay: float = 1e-3,  # that a step of 1 leaves out of the state: factors begin at exp(-decay)
    likeness: float = 1.0,  # of W_C and W_B at the beginning, 1 equal, 0 independent
) -> None:
    """Set the layers of a model so that each begins as causal linear attention over all tokens (arXiv 2410.11135).

    Factors are near 1 (A = -decay, dt = 1 whatever the token), W_C is like W_B, so that a token reads what tokens like it
    wrote, and the short convolution passes the newest token. All is trained from there. Costs nothing in training.
    """
    with torch.no_grad():
        for layer in model.modules():
            if not isinstance(layer, Mamba):
                continue
            layer.log_rate.fill_(torch.tensor(decay).log())
            layer.to_step.weight.zero_()
            layer.to_step.bias.fill_(torch.tensor(1.0).expm1().log())  # softplus of it is 1
            n = layer.states
            writes = layer.to_parts.weight[layer.rank : layer.rank + n]
            reads = layer.to_parts.weight[layer.rank + n :]
            reads.copy_(likeness * writes + (1 - likeness**2) ** 0.5 * reads)
            layer.convolve.weight.zero_()
            layer.convolve.weight[:, -1] = 1.0
            layer.convolve.bias.zero_()

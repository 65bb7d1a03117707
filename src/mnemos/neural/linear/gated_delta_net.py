"""Gated DeltaNet: the delta rule over a memory that fades as the token says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.linear.delta_net import DeltaNet
from mnemos.registry import Paper, register


@register(
    "gated-delta-net",
    papers=(Paper("Gated Delta Networks: Improving Mamba2 with Delta Rule", "2412.06464", "NVlabs/GatedDeltaNet"),),
    task="mqar",
    baselines=("linear-attention", "gated-linear-attention"),
)
class GatedDeltaNet(DeltaNet):
    """Lets the memory fade by a factor that each token chooses, and then applies the delta rule (arXiv 2412.06464).

    S_t = a_t S_{t-1} + beta_t k_t (v_t - a_t S_{t-1}' k_t)', log a_t = -A softplus(W x_t + b), A > 0 a head: Mamba-2's gate.
    """

    def build(self) -> None:
        """Make the projections to beta and to the time step, and a rate for each head."""
        super().build()
        heads = self.heads
        self.to_decay = nn.Linear(self.width, heads)
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        with torch.no_grad():  # softplus(bias) is a time step between .001 and .1
            step = torch.empty(heads).uniform_(-6.9, -2.3).exp()
            self.to_decay.bias.copy_(step + (-torch.expm1(-step)).log())

    def decay(self, x: Tensor) -> Tensor:
        """Return minus a rate times a time step that the token chooses."""
        return -self.log_rate.exp()[:, None, None] * F.softplus(self.split(self.to_decay(x)))

"""A classifier that asks of each label how well it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.replaced_head import ReplacedHead, linear
from mnemos.registry import Paper, register


@register(
    "energy-head",
    papers=(Paper("Energy-Based Models for Continual Learning", "2011.12216", "ShuangLI59/ebm-continual-learning"),),
    task="classes in sequence",
    baselines=("plain",),
)
@dataclass
class EnergyHead(ReplacedHead):
    """Replaces the last layer by an energy E(x, y) whose label's embedding gates the features (EBM).

    -E(x, c) = w . relu(V (h * g_c)), g_c (D,) the gate of class c, is the logit of c: what a class has of its own acts on the
    features, not on the last product alone. Give the learner `rivals="batch"`: a label that is not in the batch is then no
    negative, so that energies of earlier classes are not pushed up; that is half of the method. Costs classes * (D + 1)
    * units multiplications a sample.
    """

    units: int = 100  # of the layer between gate and energy

    alone: ClassVar[str] = "classifier"

    def __post_init__(self) -> None:
        if self.units < 1:
            raise InvalidInput(f"{self.units} units make no layer: give at least 1.")

    def head(self, width: int, classes: int, generator: torch.Generator) -> nn.Module:
        """Return energies of features (N, width): (N, classes), turned to logits."""
        return Energies(width, classes, self.units, generator)


class Energies(nn.Module):  # type: ignore[misc]
    """Minus the energy of every label."""

    def __init__(self, width: int, classes: int, units: int, generator: torch.Generator) -> None:
        super().__init__()
        self.gates = nn.Parameter(torch.randn(classes, width, generator=generator).abs())
        self.mixed, self.summed = linear(width, units, generator), linear(units, 1, generator)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, D)."""
        gated = features[:, None] * self.gates
        logits: Tensor = self.summed(torch.relu(self.mixed(gated)))[..., 0]
        return logits

"""LongMamba: a trained Mamba reads longer texts than it was trained on by passing over tokens that matter little."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.statespace.mamba import Mamba
from mnemos.registry import Paper, register


@register(
    "long-mamba",
    papers=(
        Paper(
            "LongMamba: Enhancing Mamba's Long Context Capabilities via Training-Free Receptive Field Enlargement",
            "2504.16053",
            "GATECH-EIC/LongMamba",
        ),
    ),
    task="longer",
    baselines=("mamba",),
)
class LongMamba(Mamba):
    """Sets a channel's step to 0 where it is below the channel's threshold, so that its state passes unchanged (2504.16053).

    A channel is global where its state lasts over the length of training: the product of its factors over that length is
    above `lasting`. In global channels the thresholds are chosen so that the steps left of a longer text sum to what they
    summed to at the length of training; the others are never filtered. Without calibration nothing is filtered. The weights
    are those of a trained `Mamba`, by `load_state_dict`, and nothing is trained.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        states: int = 16,  # N, of each inner channel
        expand: float = 2,  # E / D, inner channels
        kernel: int = 4,  # of the short convolution
        rank: int | None = None,  # of the projection to the step; D / 16 if nothing is said
        polarised: bool = False,  # whether one state always stays and one is always gone
    ) -> None:
        super().__init__(width, states, expand, kernel, rank, polarised)
        self.register_buffer("threshold", torch.zeros(self.inner), persistent=False)

    def parts(self, u: Tensor, dtype: torch.dtype, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return what Mamba does, with a step of 0 below the threshold."""
        step, B, C = super().parts(u, dtype, mask)
        return step * (step >= self.threshold.to(dtype)), B, C

    def steps(self, x: Tensor, state: State | None = None) -> Tensor:
        """Return the steps (B, T, E) that tokens x (B, T, D) would take without a filter."""
        with torch.no_grad():
            u, _ = self.enter(x).chunk(2, -1)
            u, _ = self.convolve.mix(u, self.convolve.init_state(len(x)), None)
            return super().parts(F.silu(u), torch.float32, None)[0]

    def calibrate(self, long: Tensor, length: int, lasting: float = 0.1, every: bool = False) -> Tensor:
        """Choose thresholds from tokens `long` (B, T, D) for texts of T tokens; `length` is that of training.

        Returns which channels are global (E,). `every` filters all channels alike, which is a baseline. For T up to
        `length` nothing is filtered.
        """
        steps = self.steps(long).flatten(0, 1)  # (M, E)
        slowest = self.rates(torch.float32).abs().amin(0)  # (E,)
        lasts = torch.exp(-slowest * steps.mean(0) * length) > lasting
        chosen = torch.ones_like(lasts) if every else lasts
        share = min(1.0, length / long.shape[1])  # of the sum of all steps that may be left
        ordered = steps.sort(0, descending=True).values
        kept = ordered.cumsum(0) <= share * steps.sum(0)
        lowest = ordered.gather(0, (kept.sum(0) - 1).clamp_min(0)[None])[0]
        self.threshold.copy_(torch.where(chosen & (share < 1), lowest, torch.zeros_like(lowest)))
        return lasts


def calibrate(
    layers: Sequence[LongMamba], inputs: Sequence[Tensor], length: int, **options: float | bool
) -> list[Tensor]:
    """Calibrate the layers of a model, each on its own inputs; returns which channels are global in each."""
    return [layer.calibrate(x, length, **options) for layer, x in zip(layers, inputs, strict=True)]  # type: ignore[arg-type]

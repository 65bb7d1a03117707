"""A forecaster of time series around any layers: normed series, trend and season apart, patches as tokens.

B series   L steps that are seen   P steps of a patch   S steps ahead
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.model import Layer, Stack
from mnemos.registry import Paper, register


@register(
    "xlstm-time",
    papers=(
        Paper("xLSTMTime : Long-term Time Series Forecasting With xLSTM", "2407.10240", "muslehal/xLSTMTime"),
        Paper("Are Transformers Effective for Time Series Forecasting?", "2205.13504", "cure-lab/LTSF-Linear"),
    ),
    task="recurrent",
)
class Forecaster(nn.Module):  # type: ignore[misc]
    """Forecasts a series from its trend, its season and what layers remember of its patches (arXiv 2407.10240).

    A series is normed by its own mean and deviation, and what is forecast is brought back (so forecasts follow any scale and
    level); a moving average is its trend, the rest its season. Each has a linear map to the future, which is the linear
    forecaster of arXiv 2205.13504; layers read the patches, and their last output adds a correction that starts at zero.
    The paper feeds linear maps of both into an sLSTM or mLSTM; patches keep the number of steps small.
    """

    def __init__(
        self,
        seen: int,  # L
        ahead: int,  # S
        mixers: Sequence[Layer] = ("slstm",),  # layers that read the patches; none for the linear forecaster
        width: int = 32,  # channels of a patch
        patch: int = 8,  # P
        trend: int = 25,  # steps of the moving average, an odd number
    ) -> None:
        super().__init__()
        if seen < 1 or ahead < 1 or patch < 1 or seen % patch or trend % 2 == 0:
            raise InvalidInput(
                f"seen is {seen}, ahead {ahead}, patch {patch}, trend {trend}: give a patch that divides what is seen, and an "
                "odd trend."
            )
        self.seen, self.patch, self.trend = seen, patch, trend
        self.of_trend, self.of_season = nn.Linear(seen, ahead), nn.Linear(seen, ahead)
        self.stack = Stack(width, mixers, kernel=0) if mixers else None
        if mixers:
            self.enter, self.correct = nn.Linear(2 * patch, width), nn.Linear(width, ahead)
            nn.init.zeros_(self.correct.weight)
            nn.init.zeros_(self.correct.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return forecasts (B, S) of series (B, L)."""
        if x.dim() != 2 or x.shape[1] != self.seen:
            raise InvalidInput(f"series have the shape {tuple(x.shape)}: give (B, {self.seen}).")
        middle, spread = x.mean(1, keepdim=True), x.std(1, keepdim=True, correction=0).clamp_min(1e-6)
        normed = (x - middle) / spread
        half = self.trend // 2
        trend = F.avg_pool1d(F.pad(normed[:, None], (half, half), mode="replicate"), self.trend, 1)[:, 0]
        season = normed - trend
        y: Tensor = self.of_trend(trend) + self.of_season(season)
        if self.stack is not None:
            patches = torch.cat([part.unflatten(1, (-1, self.patch)) for part in (trend, season)], 2)
            y = y + self.correct(self.stack(self.enter(patches))[0][:, -1])
        return y * spread + middle

"""Wave-RNN: what was read travels along rings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import Cell
from mnemos.registry import Paper, register


@register(
    "wave-rnn",
    papers=(
        Paper(
            "Traveling Waves Encode the Recent Past and Enhance Sequence Learning",
            "2309.08045",
            "akandykeller/Wave_RNNs",
        ),
    ),
    task="recurrent",
    baselines=("tanh-rnn",),
)
class WaveRNN(Cell):
    """Moves its state one place along a ring at each token, so that the place of a trace tells its age (arXiv 2309.08045).

    h_t = relu(u * h_{t-1} + V x_t + b): a circular convolution with a kernel of three that starts as a shift,
    [1 - speed, speed] at the place itself and behind it; V starts at one place of each ring. h is (B, rings, places).
    Costs T steps of O(rings^2 places).
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        rings: int | None = None,  # waves beside each other; D if nothing is said
        places: int = 16,  # N, of a ring: how long a trace lasts
        speed: float = 1.0,  # places that a wave moves at a token, before training
        start: str = "wave",  # "wave", or "random" kernels and inputs for comparison
    ) -> None:
        self.rings = width if rings is None else rings
        if self.rings < 1 or places < 2 or start not in ("wave", "random"):
            raise InvalidInput(
                f"rings is {self.rings}, places {places}, start {start!r}: give 1, 2 and 'wave' or 'random'."
            )
        super().__init__(width, self.rings * places)
        self.enter = nn.Linear(width, self.hidden)
        self.kernel = nn.Parameter(torch.zeros(self.rings, self.rings, 3))
        if start == "wave":
            each = torch.arange(self.rings)
            self.kernel.data[each, each, 0], self.kernel.data[each, each, 1] = speed, 1 - speed
            weight = self.enter.weight.data.view(self.rings, places, width)
            weight[:, 1:] = 0
            weight[:, 0] = torch.eye(self.rings, width) if self.rings <= width else weight[:, 0]
            nn.init.zeros_(self.enter.bias)
        else:
            bound = (3 * self.rings) ** -0.5
            nn.init.uniform_(self.kernel, -bound, bound)

    def init_state(self, batch: int) -> State:
        """Return zeros, (B, rings x places)."""
        return {"h": self.zeros(batch, self.hidden)}

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens put on the rings."""
        given: Tensor = self.enter(x)
        return given

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the rings after a token."""
        h = state["h"].view(len(drive), self.rings, -1)
        around = torch.cat([h[..., -1:], h, h[..., :1]], -1)
        moved = F.conv1d(around, self.kernel.to(h.dtype)).flatten(1)
        return {"h": torch.relu(moved + drive)}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the rings after a token: each place hears its two neighbours and itself."""
        h = state["h"].view(len(x), self.rings, -1)
        moved = sum(torch.einsum("oi,bin->bon", self.kernel[..., j], h.roll(1 - j, -1)) for j in range(3))
        return {"h": torch.relu(moved.flatten(1) + self.enter(x))}

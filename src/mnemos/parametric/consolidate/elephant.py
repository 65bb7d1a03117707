"""An activation that is nearly nothing, and nearly flat, almost everywhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "elephant",
    papers=(Paper("Elephant Neural Networks: Born to Be a Continual Learner", "2310.01365"),),
    task="a function met point by point",
)
class Elephant(nn.Module):  # type: ignore[misc]
    """Returns 1 / (1 + |x / width|^power), an activation for a wide last hidden layer.

    Value and slope are both far from 0 within a narrow band alone, so that two inputs that differ share hardly any unit that
    has a gradient, and a step for one hardly moves the other: no buffer, no tasks. `spread` the biases of the layer before it,
    so that every input has units in their band.
    """

    def __init__(
        self,
        width: float = 0.1,  # of the band around 0 in which it is near 1 (a)
        power: float = 4.0,  # how steep the flanks of the band are (d)
    ) -> None:
        super().__init__()
        if width <= 0 or power <= 1:
            raise InvalidInput(f"width is {width} and power {power}: give a width above 0, and a power above 1.")
        self.width, self.power = width, power

    def forward(self, x: Tensor) -> Tensor:
        """Return activations of any shape."""
        return 1 / (1 + (x / self.width).abs() ** self.power)

    def extra_repr(self) -> str:
        """Return the knobs."""
        return f"width={self.width}, power={self.power}"


@torch.no_grad()  # type: ignore[untyped-decorator]
def spread(layer: nn.Linear, deviation: float = 1.0) -> nn.Linear:
    """Space the biases of a layer evenly over +- sqrt(3) * deviation, which is that standard deviation; return the layer.

    Raises InvalidInput for a layer without biases.
    """
    if layer.bias is None:
        raise InvalidInput("the layer has no biases: make it with bias=True.")
    reach = 3**0.5 * deviation
    layer.bias.copy_(torch.linspace(-reach, reach, len(layer.bias)))
    return layer

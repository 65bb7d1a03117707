"""Echo state networks: a random recurrent network, and a readout in closed form."""

from __future__ import annotations

from mnemos.neural.recurrent.deep_residual_esn import DeepResidualESN
from mnemos.registry import Paper, register


@register(
    "echo-state-network",
    papers=(
        Paper("The 'echo state' approach to analysing and training recurrent neural networks"),
        Paper("Memory Capacity of Nonlinear Recurrent Networks: Is it Informative?", "2502.04832"),
    ),
    task="recurrent",
)
class EchoStateNetwork(DeepResidualESN):
    """Drives leaky random units that are never trained, and reads them by ridge regression (Jaeger, 2001).

    h_t = (1 - leak) h_{t-1} + leak tanh(W h_{t-1} + V x_t + b): a deep residual network whose O is the identity. With more
    than one layer it is a deep echo state network, with `linear` a linear one, whose memory capacity is N almost surely.
    That of tanh units is whatever the scale of the input makes of it (arXiv 2502.04832): report the forgetting curve.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        size: int = 64,  # N, units of a layer
        layers: int = 1,  # reservoirs above each other
        leak: float = 1.0,  # how much of a unit is new at each token
        radius: float = 0.9,  # largest absolute eigenvalue of W
        scale: float = 1.0,  # of what a token gives
        bias: float = 0.0,  # of the biases
        linear: bool = False,  # whether tanh is left out
        seed: int = 0,  # of all that is drawn
    ) -> None:
        super().__init__(
            width, size, layers, "identity", 1 - leak, leak, radius, scale, bias=bias, linear=linear, seed=seed
        )

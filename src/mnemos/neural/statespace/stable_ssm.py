"""StableSSM: S4D whose decays are held so that slow ones can be learned."""

from __future__ import annotations

from mnemos.neural.statespace.s4d import S4D
from mnemos.registry import Paper, register


@register(
    "stable-ssm",
    papers=(
        Paper(
            "StableSSM: Alleviating the Curse of Memory in State-space Models through Stable Reparameterization",
            "2311.14495",
            "radarFudan/StableSSM",
        ),
    ),
    task="polynomial-memory",
    baselines=("s4d",),
)
class StableSSM(S4D):
    """Holds each rate of decay as 1 / (w^2 + 1/2), so that gradients stay bounded near the border of stability (2311.14495).

    With real states, as in the paper's theory, and rates between 0 and 2 before they are multiplied by the step. The other
    forms of S4D's `decay` are its baselines: `direct` has no bound, `exp` and `softplus` are between.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        states: int = 32,  # N, states of a channel
        init: str = "real",  # of the eigenvalues: real, legs, inv, lin or random
        shortest: float = 10.0,  # tokens of the shortest timescale that a channel begins with
        longest: float = 1000.0,  # tokens of the longest one
    ) -> None:
        super().__init__(width, states, init, shortest, longest, decay="best")

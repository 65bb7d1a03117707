"""Ways to hold a decay that training cannot make unstable, or too sensitive (StableSSM)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BEST_A, BEST_B = 1.0, 0.5  # of `best`; the paper's discrete form has 1 and 0.5


@dataclass(frozen=True, slots=True)
class Reparameterisation:
    """Holds a rate r > 0 of decay, lambda = -r, as a weight w that gradients move (arXiv 2311.14495).

    direct: r = w, which may cross 0 and whose gradient grows without bound as it comes near; exp: r = e^w; softplus:
    r = log(1 + e^w); best: r = 1 / (a w^2 + b), for which the gradient over the weight stays bounded.
    """

    rate: Callable[[Tensor], Tensor]  # of a weight
    inverse: Callable[[Tensor], Tensor]  # a weight for a rate


REPARAMETERISATIONS = {
    "direct": Reparameterisation(lambda w: w, lambda r: r),
    "exp": Reparameterisation(torch.exp, torch.log),
    "softplus": Reparameterisation(torch.nn.functional.softplus, lambda r: r + torch.log(-torch.expm1(-r))),
    "best": Reparameterisation(
        lambda w: 1 / (BEST_A * w.square() + BEST_B), lambda r: ((1 / r - BEST_B).clamp_min(0) / BEST_A).sqrt()
    ),
}

"""Linear readouts in closed form.

N rows   F features   O outputs
"""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput


def ridge(features: Tensor, targets: Tensor, penalty: float = 1e-6) -> tuple[Tensor, Tensor]:
    """Return the weights (O, F) and biases (O) with the least squared error on rows (N, F) and (N, O), in float64.

    `penalty` weighs the squared weights, relative to the largest variance of a feature direction. Solved by the singular
    values of the features, so that directions of very small variance are not lost. Costs O(N F^2).
    """
    if len(features) != len(targets) or features.dim() != 2 or targets.dim() != 2 or not len(features):
        raise InvalidInput(
            f"features are {tuple(features.shape)} and targets {tuple(targets.shape)}: give (N, F) and (N, O)."
        )
    if penalty < 0:
        raise InvalidInput(f"penalty is {penalty}: give at least 0.")
    x, y = features.double(), targets.double()
    middle, level = x.mean(0), y.mean(0)
    u, s, vt = torch.linalg.svd(x - middle, full_matrices=False)
    damped = torch.where(s > 0, s / (s.square() + penalty * s[0].square()), torch.zeros_like(s))
    weights = (u.T @ (y - level)).T * damped @ vt
    return weights, level - weights @ middle

"""The learner that never forgets, where it can be had exactly: linear maps with tasks that one map fits."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "ideal-linear-learner",
    papers=(Paper("The Ideal Continual Learner: An Agent That Never Forgets", "2305.00316"),),
    task="classes in sequence",
    baselines=("gradient-projection",),
)
class IdealLinear:
    """Keeps the set of all maps that fit every task so far: one of them, W, and the directions in which it may still move.

    A task X W = Y is solved inside the free directions by least squares of least norm, W <- W + K (X K)^+ (Y - X W), and what
    X spans there is free no more. What is stored is the orthonormal basis B (D, used) of the directions that are used, whose
    complement is K: the fewer tasks the less. A task of rank r uses r directions; a task that no map in the set fits is fitted
    as well as may be, earlier ones staying as they are. Costs one decomposition of (n, D) a task. Not for streams of more
    samples than D that no map fits: with no direction free it stands still.
    """

    def __init__(
        self,
        width: int,  # of the inputs (D)
        outputs: int,  # of the map
        directions: int | None = None,  # of a task that are held, its principal ones; None: all
        tolerance: float = 1e-6,  # a direction counts if it is this long beside the longest
    ) -> None:
        if width < 1 or outputs < 1 or (directions is not None and directions < 1):
            raise InvalidInput("give a width, outputs and, if any, directions of at least 1.")
        self.directions, self.tolerance = directions, tolerance
        self.weights = torch.zeros(width, outputs, dtype=torch.float64)
        self.used = torch.zeros(width, 0, dtype=torch.float64)

    @property
    def free(self) -> int:
        """Return how many directions are free."""
        return int(self.used.shape[0] - self.used.shape[1])

    def solve(self, inputs: Tensor, targets: Tensor) -> None:
        """Learn a task: inputs (n, D), targets (n, outputs). Raises InvalidInput for what does not fit the map."""
        x, y = inputs.double(), targets.double()
        if x.shape != (len(y), len(self.weights)) or y.shape[1:] != self.weights.shape[1:]:
            raise InvalidInput(
                f"inputs are {tuple(x.shape)} and targets {tuple(y.shape)} for a map of {tuple(self.weights.shape)}."
            )
        if not self.free:
            return
        left = x
        for _ in range(2):  # once more, for what rounding left
            left = left - left @ self.used @ self.used.T
        u, sizes, v = torch.linalg.svd(left, full_matrices=False)
        rank = int((sizes > self.tolerance * torch.linalg.matrix_norm(x, 2)).sum())
        u, sizes, v = u[:, :rank], sizes[:rank], v[:rank]
        self.weights += v.T @ (u.T @ (y - x @ self.weights) / sizes[:, None])
        self.used = torch.linalg.qr(torch.cat([self.used, v[: self.directions].T], 1))[0]

    def answer(self, inputs: Tensor) -> Tensor:
        """Return the outputs (n, outputs) of inputs (n, D)."""
        return inputs.double() @ self.weights

    @property
    def nbytes(self) -> int:
        """Bytes of the map and of the directions that are used."""
        return int(8 * (self.weights.numel() + self.used.numel()))

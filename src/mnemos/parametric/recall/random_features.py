"""Classes without a buffer: an exact linear head over random features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mnemos.parametric.recall.ridge import RidgeHead
from mnemos.registry import Paper, register

BOUND = 16.0  # of a feature: a unit vector times Gaussian weights, which would have to deviate this many times
GRID, WEIGHTS = 2**11, 2**6  # steps a unit of x and of W: their products are then summed exactly in float32


@register(
    "random-features-head",
    papers=(
        Paper("RanPAC: Random Projections and Pre-trained Models for Continual Learning", "2307.02251"),
        Paper("ACIL: Analytic Class-Incremental Learning with Absolute Memorization and Privacy Protection", "2205.14922"),
    ),
    task="classes in sequence",
    baselines=("ridge-head",),
    unmeasured="its first run is under way",
)  # fmt: skip
class RandomFeaturesHead:
    """Ridge regression over relu(x W), W random and never trained, x scaled to unit length.

    The default for classes that come one after another: it stores no samples, its answer does not depend on the order in which
    items came, and an item that is taken out was never there, to the last bit (`RidgeHead`). An item costs features^2 additions;
    the head holds (features + 1)^2 + classes * features numbers of 8 bytes, 32 bytes an item, and W.
    """

    def __init__(
        self,
        width: int,  # of x
        classes: int,  # labels are 0 to classes - 1
        features: int = 2500,  # random ones
        penalty: float = 1.0,  # of the squared weights of the readout
        seed: int = 0,  # of W
    ) -> None:
        made = torch.Generator().manual_seed(seed)
        self.project = (torch.randn(width, features, generator=made) * WEIGHTS).round() / WEIGHTS
        self.readout = RidgeHead(features, classes, penalty, BOUND)

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Learn items: features (m, D), labels (m,)."""
        self.readout.learn(self.lifted(features), labels)

    def forget(self, features: Tensor, labels: Tensor) -> None:
        """Take items out again. Raises NotFound, and forgets none, where one of them was never learned or is gone."""
        self.readout.forget(self.lifted(features), labels)

    def scores(self, features: Tensor) -> Tensor:
        """Return the scores (m, classes) of features (m, D)."""
        return self.readout.scores(self.lifted(features))

    def lifted(self, features: Tensor) -> Tensor:
        """Return the random features (m, features) of x (m, D)."""
        x = torch.nn.functional.normalize(features.float(), dim=-1)
        x = (x * GRID).round() / GRID  # or the last bits would depend on how many rows are multiplied at a time
        return (x @ self.project).clamp(0, BOUND)

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored; `load` reads it."""
        return {"project": self.project, **self.readout.tensors()}

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], penalty: float = 1.0) -> RandomFeaturesHead:
        """Return the head that `tensors` describe. Raises InvalidInput where they do not fit each other."""
        width, features = tensors["project"].shape
        head = cls(width, tensors["moment"].shape[1], features, penalty)
        head.project = tensors["project"].clone()
        head.readout = RidgeHead.load(tensors, penalty, BOUND)
        return head

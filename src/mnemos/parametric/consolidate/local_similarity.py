"""A classifier with several points for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning
from mnemos.parametric.consolidate.replaced_head import SHORT, ReplacedHead, linear
from mnemos.registry import Paper, register


@register(
    "local-similarity-head",
    papers=(
        Paper(
            "PODNet: Pooled Outputs Distillation for Small-Tasks Incremental Learning",
            "2004.13513",
            "arthurdouillard/incremental_learning.pytorch",
        ),
    ),
    task="one class at a time",
    baselines=("distillation", "replay"),
)
@dataclass
class LocalSimilarityHead(ReplacedHead):
    """Replaces the last layer by cosines to several points a class, mixed by how near each is (PODNet's LSC).

    logit_c = scale * sum_k s_ck <p_ck, h>, s_c the softmax over the k of <p_ck, h>. The learner's loss becomes
    the paper's NCA loss, in which the true class has to win by a margin over the sum of the others. Goes with
    `FeatureDistillation(keep="directions")`, the paper's POD-flat, and a replay.
    """

    points: int = 10  # of each class
    margin: float = 0.6  # by which the true class has to win, as a cosine (delta)
    scale: float = (
        8.0  # of logits (eta; the paper learns it, from 1: on short streams it then falls to 0, where all is equal)
    )

    alone: ClassVar[str] = "classifier"

    def __post_init__(self) -> None:
        if self.points < 1 or self.margin < 0 or self.scale <= 0:
            raise InvalidInput("give at least 1 point, a margin of at least 0, and a scale above 0.")

    def head(self, width: int, classes: int, generator: torch.Generator) -> nn.Module:
        """Return mixed cosines (N, classes) of features (N, width), over an embedding that is not cut off at 0."""
        points = torch.randn(classes, self.points, width, generator=generator)
        return nn.Sequential(linear(width, width, generator), Similarities(points, self.margin, self.scale))

    def place(self, learning: Learning) -> None:
        """Put it there, and its loss in the place of the learner's."""
        super().place(learning)
        assert isinstance(learning.classifier, Similarities)
        learning.criterion = learning.classifier.cost


class Similarities(nn.Module):  # type: ignore[misc]
    """Mixed cosines to several points a class, and the loss with a margin that goes with them."""

    def __init__(self, points: Tensor, margin: float, scale: float) -> None:
        super().__init__()
        self.points = nn.Parameter(points / points.shape[-1] ** 0.5)
        self.margin, self.scale = margin, scale

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, D)."""
        unit = F.normalize(features, dim=-1, eps=SHORT)
        near = torch.einsum("nd,ckd->nck", unit, F.normalize(self.points, dim=-1))
        return self.scale * (near.softmax(-1) * near).sum(-1)

    def cost(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the mean of max(0, log sum over the other classes - (true logit - margin * scale)): 0 once it is won."""
        own = logits.gather(1, y[:, None])[:, 0] - self.margin * self.scale
        others = logits.scatter(1, y[:, None], -torch.inf).logsumexp(-1)
        return (others - own).clamp(min=0).mean()

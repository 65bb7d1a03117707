"""Encoder updates that keep stored vectors usable: features of a new model are compared with those of an old one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning
from mnemos.parametric.consolidate.feature_distillation import FeatureDistillation, Of
from mnemos.registry import Paper, register


@register(
    "compatible-update",
    papers=(
        Paper(
            "CL2R: Compatible Lifelong Learning Representations",
            "2211.09032",
            "NiccoBiondi/CompatibleLifelongRepresentation",
        ),
    ),
    task="new questions, old vectors",
    baselines=("replay",),
)  # fmt: skip
@dataclass
class CompatibleUpdate(FeatureDistillation):
    """Fixes the classifier to the corners of a simplex, one for each class to come, and holds replayed features (CL2R).

    Every class has its direction before it is seen, and keeps it (global stationarity); features of what is replayed are held
    to those of the encoder before (local stationarity: `feature-distillation`). Give it behind a strategy that replays:
    `Replay(200) + CompatibleUpdate()`. The classifier is an nn.Linear of at least classes - 1 inputs, which no ReLU has cut off
    at 0: such features cannot reach every corner.
    """

    of: Of = "held"  # which samples' features: of the new batch too ("all") would hold what has to change

    alone: ClassVar[str] = "classifier"

    def before_task(self, learning: Learning) -> None:
        """Fix the classifier, before the first task."""
        super().before_task(learning)
        if learning.tasks == 1:
            _fix(learning)
            learning.rebuild()

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Fix the classifier again; its weights are stored with the model."""
        super().load(learning, tensors)
        if learning.tasks:
            _fix(learning)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _fix(learning: Learning) -> None:
    last = learning.classifier
    if not isinstance(last, nn.Linear) or last.in_features < last.out_features - 1:
        raise InvalidInput("the classifier is no nn.Linear with at least as many inputs as classes less one.")
    last.requires_grad_(False)
    last.weight.zero_()
    last.weight[:, : last.out_features - 1] = simplex(last.out_features)
    if last.bias is not None:
        last.bias.zero_()


def simplex(corners: int) -> Tensor:
    """Return the corners of a regular simplex about 0, (K, K - 1), each of length 1: all angles between them are the same."""
    centred = torch.eye(corners, dtype=torch.float64) - 1 / corners
    return F.normalize(centred @ torch.linalg.qr(centred).Q[:, : corners - 1], dim=1).float()

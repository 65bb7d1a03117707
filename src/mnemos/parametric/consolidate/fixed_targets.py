"""Classes are points that do not move: what their names mean, not what was learned last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.replaced_head import SHORT, ReplacedHead, linear
from mnemos.registry import Paper, register


@register(
    "fixed-targets",
    papers=(Paper("Enhancing Visual Continual Learning with Language-Guided Supervision", "2403.16124"),),
    task="classes in sequence",
    baselines=("replay", "plain"),
)
@dataclass
class FixedTargets(ReplacedHead):
    """Replaces the last layer by fixed vectors, one a class, such as embeddings of the classes' names (LingoCL).

    logits = scale * cos(A h + b, w_c); w_c never changes, A (d, D) is learned: features may have another width, and are often
    cut off at 0. Without vectors they are drawn at random, the paper's baseline.
    """

    vectors: Tensor | None = field(
        default=None, repr=False
    )  # (classes, d), such as Embedder.embed(names); None: random
    scale: float = 10.0  # of cosines, before the softmax
    centred: bool = True  # take the mean out of the vectors: names' embeddings have much in common

    alone: ClassVar[str] = "classifier"

    def __post_init__(self) -> None:
        if self.vectors is not None and self.vectors.dim() != 2:
            raise InvalidInput(f"vectors are {tuple(self.vectors.shape)}: give (classes, width).")

    def head(self, width: int, classes: int, generator: torch.Generator) -> nn.Module:
        """Return scaled cosines (N, classes) of features (N, width) to the vectors. Raises InvalidInput for too few of them."""
        drawn = torch.randn(classes, width, generator=generator)
        vectors = drawn if self.vectors is None else self.vectors.detach().float()
        if len(vectors) != classes:
            raise InvalidInput(f"there are {len(vectors)} vectors for {classes} classes: give one for each output.")
        if self.centred:
            vectors = vectors - vectors.mean(0)
        embedding = linear(width, vectors.shape[1], generator)
        return nn.Sequential(embedding, Cosines(F.normalize(vectors, dim=-1), self.scale))


class Cosines(nn.Module):  # type: ignore[misc]
    """Scaled cosines to fixed vectors; features shorter than 1 count by their length, which bounds their gradients."""

    vectors: Tensor

    def __init__(self, vectors: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, D)."""
        return self.scale * F.normalize(features, dim=-1, eps=SHORT) @ self.vectors.T

"""A model that grows by its upper layers alone: what lower layers see is shared, and samples are held for what that saves."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register


class Expanded(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """Shared lower layers, a block of upper ones for each task, and one head over what all blocks say."""

    def __init__(self, lower: nn.Module, block: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.lower, self.blocks, self.head = lower, nn.ModuleList([block]), head
        self.width = head.in_features  # of one block
        self.other = nn.Linear(self.width, head.out_features + 1)  # the new block alone: its classes, and "another"

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        seen = self.lower(x)
        said: Tensor = self.head(torch.cat([block(seen) for block in self.blocks], -1))
        return said

    def grow(self) -> None:
        """Freeze all blocks and the lower layers; add a copy of the last block, which the head does not listen to yet."""
        self.lower.requires_grad_(False)
        self.blocks.requires_grad_(False)
        self.blocks.append(copy.deepcopy(self.blocks[-1]).requires_grad_(True))
        head = nn.Linear(self.width * len(self.blocks), self.head.out_features)
        with torch.no_grad():
            head.weight.zero_()
            head.weight[:, : self.head.in_features] = self.head.weight
            head.bias.copy_(self.head.bias)
        self.head = head


@register(
    "model-expansion",
    papers=(
        Paper(
            "A Model or 603 Exemplars: Towards Memory-Efficient Class-Incremental Learning",
            "2205.13218",
            "wangkiw/ICLR23-MEMO",
        ),
    ),
    task="classes in sequence",
    baselines=("replay",),
)
@dataclass
class ModelExpansion(Strategy):
    """Adds a copy of the upper layers at each task and freezes the others (MEMO); `lower` 0 adds the whole model (DER of 2021).

    The model is an nn.Sequential that ends with an nn.Linear; `lower` of its parts are shared. `auxiliary` * cross-entropy
    teaches the new block to tell the classes of its task from "another"; after a task the head's weights of its classes are
    scaled to the length of the earlier ones. Compose it with `Replay`. Raises InvalidInput for another model.
    """

    lower: int = 2  # parts that are shared
    auxiliary: float = 1.0  # weight of the new block's own loss
    align: bool = True  # scale the head's weights of new classes

    def before_task(self, learning: Learning) -> None:
        """Add a block; in the first task make the model one that can grow."""
        self._grown(learning, learning.tasks)
        learning.rebuild()

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return the new block's own loss, on all batches that are read so far; None in the first task."""
        model = learning.model
        if not self.auxiliary or not isinstance(model, Expanded) or len(model.blocks) < 2:
            return None
        own = torch.tensor(learning.task_classes[learning.task])
        y = step.batch.y
        wanted = torch.where(torch.isin(y, own), y, model.head.out_features)
        return self.auxiliary * F.cross_entropy(model.other(step.features()[:, -model.width :]), wanted)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_task(self, learning: Learning) -> None:
        """Scale the head's weights of the classes that were learned to the length of the others."""
        model = learning.model
        new = learning.task_classes[learning.task]
        old = [c for c in learning.seen if c not in new]
        if self.align and old and new and isinstance(model, Expanded):
            lengths = model.head.weight.norm(dim=1)
            model.head.weight[new] *= lengths[old].mean() / lengths[new].mean()

    def _grown(self, learning: Learning, blocks: int) -> None:
        """Let the model have as many blocks."""
        model = learning.model
        if not isinstance(model, Expanded):
            if (
                not isinstance(model, nn.Sequential)
                or not isinstance(model[-1], nn.Linear)
                or self.lower > len(model) - 2
            ):
                raise InvalidInput(
                    f"the model is no nn.Sequential with a last nn.Linear and more than {self.lower} parts before it:"
                    " make it one, or lower less."
                )
            model = Expanded(model[: self.lower], model[self.lower : -1], model[-1])
        while len(model.blocks) < blocks:
            model.grow()
        learning.model, learning.classifier = model, model.head

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing: all is in the model."""
        return {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Make room for the weights that are loaded next."""
        if learning.tasks:
            self._grown(learning, learning.tasks)

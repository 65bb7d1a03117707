"""The weights that a task moved most are held where it left them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.base import Learning
from mnemos.registry import Paper, register


@register(
    "key-weights",
    papers=(
        Paper(
            "SEFE: Superficial and Essential Forgetting Eliminator for Multimodal Continual Instruction Tuning",
            "2505.02486",
            "jinpeng0528/SEFE",
        ),
    ),
    task="pixels permuted",
    baselines=("anchor", "plain"),
)
@dataclass
class KeyWeights(Anchor):
    """Marks the `share` of every weight tensor that a task moved most, and holds all that any task has marked (RegLoRA).

    Adds strength / 2 * the squares of what the marked weights have moved since the last task. The paper marks entries of the
    product B A of adapters that are merged after each task, which is the same of the weights that they are merged into.
    Stores an anchor and a mark a weight; looks at no samples.
    """

    share: float = 0.02  # of the weights of a tensor that a task marks

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise InvalidInput(f"share is {self.share}: give a share above 0 up to 1, such as 0.02.")
        self.recent = 0

    def before_task(self, learning: Learning) -> None:
        """Remember where the weights are."""
        self.begin = self._copy(learning)

    def _importance(self, learning: Learning) -> dict[str, Tensor]:
        marks = {}
        for name, w in self._held(learning).items():
            moved = (w.detach() - self.begin[name]).abs().flatten()
            mark = torch.zeros_like(moved)
            mark[moved.topk(max(1, round(self.share * len(moved)))).indices] = 1
            before = self.anchors[0][1][name] if self.anchors else torch.zeros_like(w)
            marks[name] = mark.view_as(w).maximum(before) - (0 if self.each_task else self.decay) * before
        return marks

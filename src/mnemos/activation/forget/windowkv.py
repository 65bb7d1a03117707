"""WindowKV: whole windows of tokens are kept or evicted, and layers share the choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.snapkv import FIRST, last_queries, window_attention
from mnemos.activation.forget.window_task import WindowTask
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "windowkv",
    papers=(
        Paper(
            "WindowKV: Task-Adaptive Group-Wise KV Cache Window Selection for Efficient LLM Inference",
            "2503.17922",
            code="optim996/WindowKV",
        ),
    ),
    task="records-known",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class WindowKV:
    """Cuts the text into windows of `size` tokens, each ranked by the attention that the last queries give its tokens.

    All heads of a layer, and all layers of a group, hold what the group's first layer chose. Budgets of groups that
    fall with depth are `Pyramid(group=...)`. The suffix stays; within a window the better tokens are evicted last. The
    caller chooses the `task`, or a `classifier` does for each row, from the last tokens of the prompt, such as
    `window_task.TaskClassifier`; entries are then evicted after the call, when its tokens are known.
    """

    size: int = 8  # tokens of a window
    task: WindowTask = "localise"  # the mean of a window's better half, or of all
    suffix: int | None = None  # last queries that rank, which stay; None: as in SnapKV
    group: int = 1  # neighbouring layers that share the choice
    classifier: Callable[[Tensor], WindowTask] | None = None  # the last ids of a row (n,) -> its task; None: `task`
    instruction: int = 32  # last tokens that the classifier sees

    @property
    def needs_tokens(self) -> bool:
        """Whether a classifier reads the tokens."""
        return self.classifier is not None

    def __post_init__(self) -> None:
        if self.size < 1 or (self.suffix is not None and self.suffix < 1) or self.group < 1:
            raise InvalidInput(f"size is {self.size}, suffix {self.suffix} and group {self.group}: give 1 or more.")
        if self.task not in get_args(WindowTask):
            raise InvalidInput(f"task is {self.task!r}: choose 'localise' or 'aggregate'.")

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores, (B, H, T); O(suffix T D) in the first layer of a group, nothing in the others."""
        if view.layer % self.group == 0:
            view.shared["windows"] = self._score(view)
        score: Tensor = view.shared["windows"]
        return score[:, None].expand(view.entries.keys.shape[:3])

    def _score(self, view: LayerView) -> Tensor:
        """Return the scores, (B, T)."""
        last = last_queries(view, self.suffix)
        votes = window_attention(view, last).mean((1, 2))[:, :-last]  # (B, T - last)
        count = -(-votes.shape[1] // self.size)
        padded = torch.nn.functional.pad(votes, (0, count * self.size - votes.shape[1]), value=float("nan"))
        windows = padded.unflatten(1, (count, self.size))
        half = windows.nan_to_num(-1.0).topk(-(-self.size // 2), dim=2).values
        half = torch.where(half < 0, float("nan"), half).nanmean(2)
        local = torch.tensor([task == "localise" for task in self._tasks(view)], device=votes.device)[:, None]
        each = torch.where(local, half, windows.nanmean(2)).repeat_interleave(self.size, 1)[:, : votes.shape[1]]
        return torch.nn.functional.pad(each + 1e-6 * votes, (0, last), value=FIRST)

    def _tasks(self, view: LayerView) -> list[WindowTask]:
        """Return the task of each row."""
        rows = view.entries.keys.shape[0]
        tokens = view.transcript.tokens
        if self.classifier is None or tokens is None:
            return [self.task] * rows
        return [self.classifier(row[-self.instruction :]) for row in tokens]

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by windows of four tokens, in each layer separately: small models have few layers."""
        return CacheMethod(WindowKV(size=4), prompt=share)

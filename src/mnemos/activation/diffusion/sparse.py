"""Sparse-dLLM: of what stands around a block, only the half that the block attends to is held while it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.activation.diffusion.cache import Policy, Step
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "sparse-dllm",
    papers=(Paper("Sparse-dLLM: Accelerating Diffusion LLMs with Dynamic Cache Eviction", "2508.02558"),),
)
@dataclass(frozen=True)
class Sparse(Policy):
    """Compute everything twice when a block begins, then hold the `keep` best of what is outside and compute the block.

    The score of an entry before or after the block is the mean over the block's queries and the heads of its weight in the
    attention. This departs from the paper's formula and the authors' code, which take q·k/√D itself (`softmax=False`): in the
    mean of those, what one query looks for is lost among what the others do not. A layer chooses for itself, and all its
    heads keep the same positions. Scores take the maximum with their neighbours (`kernel` wide). What is evicted is freed,
    and comes back when the next block begins. `delay` is the step of a block whose entries are kept: 1 in the paper, as
    they change most from step 0 to step 1.
    """

    keep: float = 0.5
    kernel: int = 3
    delay: int = 1
    softmax: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise InvalidInput(f"keep is {self.keep}: give a share above 0 and up to 1.")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InvalidInput(f"kernel is {self.kernel}: give an odd number of neighbours, such as 3.")
        if self.delay < 0:
            raise InvalidInput(
                f"delay is {self.delay}: give the step of a block after which entries are evicted, from 0."
            )

    def fresh(self, step: Step) -> Tensor:
        """Return all positions up to the delay, then the block; (B, T) bool."""
        return step.everything() if step.number <= self.delay else step.block()

    def kept(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor | None:
        """Return ⌊keep · (T - block)⌋ slots, one at least, of each row, ascending: (B, n)."""
        if step.number < self.delay:
            return step.ids.new_empty(len(step.ids), 0)  # the next step computes all again
        length = key.shape[2]
        around = torch.cat([torch.arange(step.start), torch.arange(step.end, length)]).to(key.device)
        count = min(len(around), max(1, int(self.keep * len(around))))
        score = self.score(step, layer, query, key)[:, around]
        if len(around):
            score = functional.max_pool1d(score[:, None], self.kernel, 1, self.kernel // 2)[:, 0]
        best = score.topk(count, 1).indices
        return around[best].sort(1).values

    def score(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor:
        """Return how much the block attends to each slot, (B, T); O(H q T D) with the block's q queries."""
        scores: Tensor = query[:, :, step.start : step.end] @ key.transpose(2, 3) / key.shape[3] ** 0.5  # (B, H, q, T)
        return (scores.softmax(-1) if self.softmax else scores).mean((1, 2))

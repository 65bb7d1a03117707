"""Sparse-dLLM: while a block is decoded, only the entries around it that it attends to most are held."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.activation.diffusion.base import ReusePolicy, Step
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "sparse-dllm",
    papers=(
        Paper(
            "Sparse-dLLM: Accelerating Diffusion LLMs with Dynamic Cache Eviction",
            "2508.02558",
            code="OpenMOSS/Sparse-dLLM",
        ),
    ),
    task="kv-diffusion",
)
@dataclass(frozen=True)
class SparseDllm(ReusePolicy):
    """Recompute all positions in the first steps of a block, then hold the best entries outside and compute the block.

    The score of an entry outside the block is its attention weight, averaged over the block's queries and the heads.
    This departs from the paper's formula and the authors' code, which average q·k/√D itself (`softmax=False`): that
    average hides an entry that one query needs among the many that do not. Each layer chooses for itself; all its
    heads keep the same positions. Evicted entries are freed and come back when the next block starts.
    """

    keep: float = 0.5  # share of the entries outside the block that are kept
    kernel: int = 3  # odd; a score is the maximum over this many neighbours
    delay: int = 1  # step of a block after which entries are evicted; they change most from step 0 to step 1
    softmax: bool = True  # score by attention weights; False: by q·k/√D, as the paper does

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise InvalidInput(f"keep is {self.keep}: give a share above 0 and at most 1.")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InvalidInput(f"kernel is {self.kernel}: give an odd number of neighbours, such as 3.")
        if self.delay < 0:
            raise InvalidInput(f"delay is {self.delay}: give the step of a block after which to evict, 0 or more.")

    def recompute(self, step: Step) -> Tensor:
        """Return all positions up to the delay, then the block; (B, T) bool."""
        return step.all_positions() if step.number <= self.delay else step.in_block()

    def retain(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor | None:
        """Return ⌊keep · (T - block)⌋ positions, at least one, of each sequence in ascending order: (B, n)."""
        if step.number < self.delay:
            return step.ids.new_empty(len(step.ids), 0)  # the next step computes all positions again
        length = key.shape[2]
        outside = torch.cat([torch.arange(step.start), torch.arange(step.end, length)]).to(key.device)
        count = min(len(outside), max(1, int(self.keep * len(outside))))
        score = self.score(step, layer, query, key)[:, outside]
        if len(outside):
            score = functional.max_pool1d(score[:, None], self.kernel, 1, self.kernel // 2)[:, 0]
        top = score.topk(count, 1).indices
        return outside[top].sort(1).values

    def score(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor:
        """Return how much the block attends to each position, (B, T); O(H q T D) for the block's q queries."""
        scores: Tensor = query[:, :, step.start : step.end] @ key.transpose(2, 3) / key.shape[3] ** 0.5  # (B, H, q, T)
        return (scores.softmax(-1) if self.softmax else scores).mean((1, 2))

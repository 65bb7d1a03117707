"""dKV-Cache: keys and values are cached one step after their token was decoded."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from mnemos.activation.diffusion.base import ReusePolicy, Step
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

PAPERS = (Paper("dKV-Cache: The Cache for Diffusion Language Models", "2505.15781", code="horseee/dKV-Cache"),)


@register("dkv-decode", papers=PAPERS, task="kv-diffusion")
@dataclass(frozen=True)
class DkvDecode(ReusePolicy):
    """Recompute masked and just decoded positions and reuse the others; every `refresh` steps recompute all.

    dKV-Cache-Decode. A step computes M_{t-1}, the positions masked when the previous step began: a token decoded in
    step t - 1 is read once as a token, in step t, and its entries are reused from then on. Steps are counted from 0
    in each block, as in the authors' code, so a block starts with a refresh. With `prompt=False` it is dKV-Cache-PD.
    """

    refresh: int = 8  # steps from one full recomputation to the next; the paper takes 8 for LLaDA and 4 for Dream
    delay: bool = (
        True  # cache a step after decoding; False computes M_t and caches entries of masks: the paper's ablation
    )
    prompt: bool = True  # recompute the prompt at a refresh; False reads it in the first step only

    def __post_init__(self) -> None:
        if self.refresh < 1:
            raise InvalidInput(
                f"refresh is {self.refresh}: give 1 step or more from one full recomputation to the next."
            )

    def recompute(self, step: Step) -> Tensor:
        """Return M_{t-1}, or all positions at a refresh; (B, T) bool."""
        if step.number % self.refresh:
            return step.masked_before if self.delay else step.masked
        positions = step.all_positions()
        if not (self.prompt or step.first):
            positions[:, : step.prompt] = False
        return positions


@register("dkv-greedy", papers=PAPERS, task="kv-diffusion")
@dataclass(frozen=True)
class DkvGreedy(ReusePolicy):
    """Recompute what this step and the previous one decode, and a window; every `refresh` steps recompute all.

    dKV-Cache-Greedy: D_t, D_{t-1} and the positions from D_{t-1} - ⌈w/2⌉ to D_{t-1} + ⌊w/2⌋, the better of the
    paper's two placements of the window. The order of decoding must be known in advance, so the schedule needs order
    "random", as in the authors' code. Between refreshes the cost of a step does not depend on the length of the
    sequence.
    """

    refresh: int = 2  # steps from one full recomputation to the next
    window: int = 4  # w: positions recomputed around D_{t-1}

    def __post_init__(self) -> None:
        if self.refresh < 1 or self.window < 0:
            raise InvalidInput(f"refresh is {self.refresh} and window is {self.window}: give 1 or more, and 0 or more.")

    def recompute(self, step: Step) -> Tensor:
        """Return D_t, D_{t-1} and its window, or all at a refresh; (B, T) bool.

        Raises InvalidInput for a schedule without an order.
        """
        if step.chosen is None:
            raise InvalidInput(
                "dKV-Cache-Greedy must know which tokens the next step decodes: use DecodingSchedule(order='random')."
            )
        if step.number % self.refresh == 0:
            return step.all_positions()
        last = step.masked_before & ~step.masked  # D_{t-1}
        positions = step.chosen | last
        for by in range(-ceil(self.window / 2), self.window // 2 + 1):
            positions = positions | shifted(last, by)
        return positions


def shifted(marks: Tensor, by: int) -> Tensor:
    """Return (B, T) marks moved by `by` positions; marks that leave the sequence are dropped."""
    moved = torch.roll(marks, by, 1)
    if by > 0:
        moved[:, :by] = False
    elif by < 0:
        moved[:, by:] = False
    return moved

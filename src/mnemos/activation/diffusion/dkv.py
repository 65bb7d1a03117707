"""dKV-Cache: keys and values are cached one step after their token was decoded."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from mnemos.activation.diffusion.cache import Policy, Step
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

PAPERS = (Paper("dKV-Cache: The Cache for Diffusion Language Models", "2505.15781"),)


@register("dkv-decode", papers=PAPERS)
@dataclass(frozen=True)
class Delayed(Policy):
    """Compute the masked and the just decoded positions, reuse the others; every `refresh` steps compute all.

    dKV-Cache-Decode. A step computes M_{t-1}, what was masked when the step before began: a token decoded in step t - 1 is
    read as a token in step t and its entries stay from then on (`delay`). Without the delay it is M_t, and the entries
    that stay were computed from the mask: the paper's ablation. The steps are counted anew in each block, as in the
    authors' code (a block begins with everything); the paper's `refresh` is 8 for LLaDA and 4 for Dream. With
    `prompt=False` only the first step reads the prompt (dKV-Cache-PD).
    """

    refresh: int = 8
    delay: bool = True
    prompt: bool = True

    def __post_init__(self) -> None:
        if self.refresh < 1:
            raise InvalidInput(
                f"refresh is {self.refresh}: give the steps from one full reading to the next, 1 or more."
            )

    def fresh(self, step: Step) -> Tensor:
        """Return M_{t-1}, or all when it is time; (B, T) bool."""
        if step.number % self.refresh:
            return step.before if self.delay else step.masked
        fresh = step.everything()
        if not (self.prompt or step.first):
            fresh[:, : step.prompt] = False
        return fresh


@register("dkv-greedy", papers=PAPERS)
@dataclass(frozen=True)
class Greedy(Policy):
    """Compute what is decoded in this step and the last, and a window; every `refresh` steps compute all.

    dKV-Cache-Greedy: D_t, D_{t-1} and the slots from D_{t-1} - ⌈w/2⌉ to D_{t-1} + ⌊w/2⌋, the better of the paper's two places
    for the window. The order of decoding must be known, so that the schedule needs order "random", which is also the
    authors'. Without a refresh a step costs the same whatever the length.
    """

    refresh: int = 2
    window: int = 4

    def __post_init__(self) -> None:
        if self.refresh < 1 or self.window < 0:
            raise InvalidInput(f"refresh {self.refresh} must be 1 or more, and window {self.window} 0 or more.")

    def fresh(self, step: Step) -> Tensor:
        """Return the slots that change, or all when it is time; (B, T) bool. Raises InvalidInput without an order."""
        if step.chosen is None:
            raise InvalidInput("dKV-Cache-Greedy must know what is decoded next: use Schedule(order='random').")
        if step.number % self.refresh == 0:
            return step.everything()
        last = step.before & ~step.masked  # D_{t-1}
        fresh = step.chosen | last
        for by in range(-ceil(self.window / 2), self.window // 2 + 1):
            fresh = fresh | shifted(last, by)
        return fresh


def shifted(marks: Tensor, by: int) -> Tensor:
    """Return (B, T) marks moved by so many slots; those that leave the sequence are lost."""
    moved = torch.roll(marks, by, 1)
    if by > 0:
        moved[:, :by] = False
    elif by < 0:
        moved[:, by:] = False
    return moved

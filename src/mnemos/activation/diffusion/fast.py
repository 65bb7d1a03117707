"""Fast-dLLM: while a block is decoded, what stands before it, or on both sides of it, is not computed again."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.diffusion.cache import Policy, Step
from mnemos.activation.diffusion.decode import Schedule
from mnemos.registry import Paper, register


@register(
    "fast-dllm",
    papers=(
        Paper(
            "Fast-dLLM: Training-free Acceleration of Diffusion LLM by Enabling KV Cache and Parallel Decoding",
            "2505.22618",
        ),
    ),
)
@dataclass(frozen=True)
class Fast(Policy):
    """Read everything when a block begins, then only the block (DualCache), or the block and all after it (PrefixCache).

    The first step of a block is at once the refresh of what the blocks before it changed and its first decoding step, as
    in the authors' code. `dual` is the paper's faster variant: the masks of later blocks are not computed again either.
    The other half of the paper, to decode at once all tokens whose probability is at least 0.9, is `parallel()`.
    """

    dual: bool = True

    def fresh(self, step: Step) -> Tensor:
        """Return all positions, the block, or the block and what follows it; (B, T) bool."""
        if step.number == 0:
            return step.everything()
        fresh = step.block()
        if not self.dual:
            fresh[:, step.end :] = True
        return fresh


def parallel(threshold: float = 0.9, block: int = 32) -> Schedule:
    """Return the schedule of confidence-aware parallel decoding, with the paper's threshold and block."""
    return Schedule(block=block, threshold=threshold)

"""Fast-dLLM: while a block is decoded, the entries before it, or on both sides of it, are reused."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.diffusion.base import ReusePolicy, Step
from mnemos.activation.diffusion.decode import DecodingSchedule
from mnemos.registry import Paper, register


@register(
    "fast-dllm",
    papers=(
        Paper(
            "Fast-dLLM: Training-free Acceleration of Diffusion LLM by Enabling KV Cache and Parallel Decoding",
            "2505.22618",
            code="NVlabs/Fast-dLLM",
        ),
    ),
    task="kv-diffusion",
)
@dataclass(frozen=True)
class FastDllm(ReusePolicy):
    """Recompute all positions when a block starts, then only the block (DualCache) or also what follows (PrefixCache).

    The first step of a block both refreshes the other entries and decodes, as in the authors' code. The other half of
    the paper, decoding at once all tokens whose probability is at least 0.9, is `parallel()`.
    """

    dual: bool = True  # DualCache, the paper's faster variant; False is PrefixCache

    def recompute(self, step: Step) -> Tensor:
        """Return all positions, the block, or the block and what follows it; (B, T) bool."""
        if step.number == 0:
            return step.all_positions()
        positions = step.in_block()
        if not self.dual:
            positions[:, step.end :] = True
        return positions


def parallel(threshold: float = 0.9, block: int = 32) -> DecodingSchedule:
    """Return the schedule of confidence-aware parallel decoding, with the paper's threshold and block."""
    return DecodingSchedule(block=block, threshold=threshold)

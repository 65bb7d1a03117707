"""SnapKV: the last tokens of a prompt say which of the others will be needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d

from mnemos.activation.method import CacheMethod, LayerView
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

FIRST = 1e9  # above every sum of weights: the window itself always stays


def last_queries(view: LayerView, window: int) -> int:
    """Return how many queries observe: `window`, and never more than a 64th of what is held or than the call has."""
    return max(1, min(window, len(view.entries) // 64, view.queries))


def window_attention(view: LayerView, window: int) -> Tensor:
    """Return the attention of the last `window` queries, summed, (B, H, G, T); O(window T D).

    It is the queries of this call: a prompt read in chunks is observed by its last chunk.
    """
    return view.weights(last=window).sum(3)


def pooled(score: Tensor, kernel: int) -> Tensor:
    """Return the maximum over `kernel` neighbours, (…, T): what stands beside a needed token is needed too.

    Neighbours tie; a thousandth of an entry's own score lets the needed token itself go last, which the paper leaves
    open.
    """
    flat = score.reshape(-1, 1, score.shape[-1])
    return max_pool1d(flat, kernel, stride=1, padding=kernel // 2).view_as(score) + score * 1e-3


def voted(votes: Tensor, size: int, kernel: int) -> Tensor:
    """Return the votes (…, T) pooled, and those of the window, the last `size`, above all."""
    score = torch.full_like(votes, FIRST)
    if votes.shape[-1] > size:
        score[..., :-size] = pooled(votes[..., :-size], kernel)
    return score


@register(
    "snapkv",
    papers=(Paper("SnapKV: LLM Knows What You are Looking for Before Generation", "2404.14469"),),
    task="key-value-known",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class SnapKV:
    """Votes of an observation window: its attention to the tokens before it, summed, max-pooled, the largest stay.

    The window is the last `window` tokens, which stay too, and never more than a 64th of what is held: the paper's
    prompts have thousands of tokens. `kernel` is odd. With grouped queries the heads of a group vote together, and what
    is held is one copy a group.
    """

    window: int = 32
    kernel: int = 7

    def __post_init__(self) -> None:
        if self.window < 1 or self.kernel < 1 or self.kernel % 2 == 0:
            raise InvalidInput(f"window {self.window} and kernel {self.kernel}: give 1 or more, and an odd kernel.")

    def __call__(self, view: LayerView) -> Tensor:
        """Return the votes, (B, H, T)."""
        size = last_queries(view, self.window)
        return voted(window_attention(view, size).mean(2), size, self.kernel)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """The prompt by SnapKV, with the smaller of the paper's two kernels."""
        return CacheMethod(SnapKV(kernel=5), prompt=share)

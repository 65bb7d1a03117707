"""SnapKV: the last tokens of a prompt tell which of the others will be needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

FIRST = 1e9  # above every sum of weights: the window itself always stays


WINDOW, SHORT = 32, 256  # the paper's window, and the entries below which a text is too short for it


def last_queries(view: LayerView, window: int | None) -> int:
    """Return the number of queries that observe: `window`, but no more than the call has.

    None: 32, and a 64th of the entries in a text below 256.
    """
    if window is None:
        window = WINDOW if len(view.entries) >= SHORT else len(view.entries) // 64
    return max(1, min(window, view.queries))


def window_attention(view: LayerView, window: int) -> Tensor:
    """Return the attention of the last `window` queries, summed, (B, H, G, T); O(window T D).

    They are queries of this call: a prompt read in chunks is observed by its last chunk.
    """
    return view.weights(last=window).sum(3)


def pooled(score: Tensor, kernel: int) -> Tensor:
    """Return the maximum over `kernel` neighbours, (…, T): what stands beside a needed token is needed too.

    Neighbours tie; a thousandth of an entry's own score keeps the needed token itself longest, which the paper leaves
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
    papers=(
        Paper(
            "SnapKV: LLM Knows What You are Looking for Before Generation", "2404.14469", code="FasterDecoding/SnapKV"
        ),
    ),
    task="key-value-known",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class SnapKV:
    """Ranks by the votes of an observation window: its attention to the tokens before it, summed and max-pooled.

    The window is the last `window` tokens, which stay too: the paper's prompts have thousands of tokens. On a pretrained
    decoder 32 queries choose much better than a few, for questions that are known and those that are not. With
    grouped queries the heads of a group vote together, and one copy per group is held.
    """

    window: int | None = None  # last queries that vote; None: the paper's 32, and a 64th of a text below 256 tokens
    kernel: int = 7  # odd width of the pooling

    def __post_init__(self) -> None:
        if (self.window is not None and self.window < 1) or self.kernel < 1 or self.kernel % 2 == 0:
            raise InvalidInput(
                f"window is {self.window} and kernel {self.kernel}: give a window of 1 or more, and an odd kernel."
            )

    def __call__(self, view: LayerView) -> Tensor:
        """Return the votes, (B, H, T)."""
        size = last_queries(view, self.window)
        return voted(window_attention(view, size).mean(2), size, self.kernel)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by SnapKV, with the smaller of the paper's two kernels."""
        return CacheMethod(SnapKV(kernel=5), prompt=share)

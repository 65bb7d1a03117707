"""Keeping what layers hold of some tokens, and computing it again for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.footprint.activations.recomputed import again, outermost
from mnemos.footprint.wrapper import Wrapper, Wraps
from mnemos.registry import Paper, register


@register(
    "token-wise",
    papers=(Paper("Efficiently Training 7B LLM with 1 Million Sequence Length on 8 GPUs", "2407.12117"),),
    baselines=("recomputed", "in-memory"),
)
@dataclass
class TokenWise(Wraps):
    """Keeps what feed-forward layers hold of the first tokens of each sequence, for savers, and computes the rest again.

    For layers that treat each token by itself. Gradients of weights are sums over both parts: equal to those of the plain layer
    up to the order of additions. `share_for` chooses the share that a disk has the time to take, as the paper does.
    """

    exact: ClassVar[bool] = False  # but for rounding
    share: float = 0.5  # of the tokens whose activations are kept: the paper's alpha
    layers: str = r"(.*\.)?(mlp|feed_forward|ffn|feeds\.\d+)"  # names of the layers, as a regular expression

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInput(f"share is {self.share}: give a number from 0 to 1.")

    @staticmethod
    def share_for(nbytes: float, seconds: float, bandwidth: float, room: float) -> float:
        """Return the share that a disk takes, at `bandwidth` bytes a second, while a layer is computed, and has `room` for."""
        return min(1.0, bandwidth * seconds / nbytes, room / nbytes)

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Wrap a layer whose name fits."""
        fits = outermost(self.layers, name) and any(True for _ in module.parameters())
        return Split(module, self.share) if fits else None


class Split(Wrapper):
    """A layer of tokens (..., T, D) that is computed in two parts along T."""

    def __init__(self, inner: nn.Module, share: float) -> None:
        super().__init__(inner)
        self.share = share

    def forward(self, x: Tensor) -> Any:
        """Return what the layer returns for each token."""
        kept = round(self.share * x.shape[-2])
        first = [self.inner(x[..., :kept, :])] if kept else []
        rest = [again(self.inner, x[..., kept:, :])] if kept < x.shape[-2] else []
        return torch.cat(first + rest, -2) if len(first + rest) > 1 else (first + rest)[0]

"""PyramidKV: budgets that fall from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "pyramidkv",
    papers=(
        Paper(
            "PyramidKV: Dynamic KV Cache Compression based on Pyramidal Information Funneling",
            "2406.02069",
            code="Zefan-Cai/PyramidKV",
        ),
    ),
    task="key-value-known",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class Pyramid:
    """Gives the last layer a `beta`-th of an even share, the first what that leaves of two, and those between a line.

    On the two layers of the small models it starves the one that looks things up: it beats random eviction and a
    sliding window at a quarter, but is below SnapKV with even budgets, and answers nothing at an eighth.
    """

    beta: float = 20.0  # the last layer keeps 1 / beta of an even share
    rising: bool = False  # turn the pyramid round: later layers keep more (Scissorhands)
    group: int = 1  # neighbouring layers that keep the same (WindowKV)

    def __post_init__(self) -> None:
        if self.beta < 1 or self.group < 1:
            raise InvalidInput(f"beta is {self.beta} and group {self.group}: give 1 or more.")

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return 0: only the index of a layer counts."""
        return torch.zeros(())

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each layer."""
        groups = -(-len(needs) // self.group)
        line = torch.linspace(2 - 1 / self.beta, 1 / self.beta, groups) if groups > 1 else torch.ones(1)
        line = (line.flip(0) if self.rising else line).repeat_interleave(self.group)[: len(needs)]
        return list(allocate(line, each * len(needs), 1, held).unbind(0))

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by SnapKV, with a pyramid of budgets."""
        return CacheMethod(SnapKV(kernel=5), prompt=share, allocation=Pyramid())

"""A decoder as a classifier of what follows, with an account of the tokens that it reads and is trained on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

BACKWARD = 2  # passes that a backward pass counts


@dataclass
class Meter:
    """Passes over tokens, a backward pass counting as two forward ones; copies of a model share theirs."""

    compute: int = 0

    def __deepcopy__(self, _: Any) -> Meter:
        """Return itself."""
        return self


class Metered(nn.Module):  # type: ignore[misc]
    """A copy of a decoder; x (N, T) tokens to the logits (N, tokens) of what follows. Answers are not counted."""

    def __init__(self, lm: Any, meter: Meter | None = None) -> None:
        super().__init__()
        self.lm, self.meter = copy.deepcopy(lm).requires_grad_(True), meter or Meter()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; counted where they are learned from, or read off an earlier copy."""
        if torch.is_grad_enabled():
            self.meter.compute += (1 + BACKWARD) * x.numel()
        elif not self.lm.lm_head.weight.requires_grad:
            self.meter.compute += x.numel()
        said: Tensor = self.lm(input_ids=x).logits[:, -1]
        return said

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def states(self, x: Tensor) -> Tensor:
        """Return the last hidden state (N, D) after tokens (N, T)."""
        self.meter.compute += x.numel()
        found: Tensor = self.lm(input_ids=x, output_hidden_states=True).hidden_states[-1][:, -1]
        return found

"""What prompts and adapters ride on: a backbone that is not trained, and a head that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput

Adapt = Callable[
    [int, Tensor], Tensor
]  # number of a block, and what it reads (N, T, D) -> what is added to what it returns


@runtime_checkable
class Backbone(Protocol):
    """A module of `depth` blocks of width D that turns x (N, ...) into features (N, D), and has a `head` that reads these."""

    width: int
    depth: int
    head: nn.Module

    def encode(self, x: Tensor, prompts: Tensor | None = None, adapt: Adapt | None = None) -> Tensor:
        """Return the features (N, D) of x.

        Prompts (N, depth, L, D) are read by the attention of each block as L more positions; `adapt` adds to what blocks return.
        """
        ...


def backbone_of(model: nn.Module) -> Backbone:
    """Return a model as a backbone, frozen except for its head. Raises InvalidInput where it is none."""
    if not isinstance(model, Backbone):
        raise InvalidInput(
            f"{type(model).__name__} takes no prompts or adapters: give it width, depth, a head, and encode(x, prompts, adapt)."
        )
    cast(nn.Module, model).requires_grad_(False)
    model.head.requires_grad_(True)
    return model


class Adapters(nn.Module):  # type: ignore[misc]
    """A bottleneck beside every block of a backbone: up(relu(down(h))) is added to what the block returns; nothing at first."""

    def __init__(self, depth: int, width: int, bottleneck: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(depth, width, bottleneck, generator=generator) / width**0.5)
        self.up = nn.Parameter(torch.zeros(depth, bottleneck, width))

    def forward(self, block: int, h: Tensor) -> Tensor:
        """Return what is added for h (N, T, D)."""
        return (h @ self.down[block]).relu() @ self.up[block]

"""Keeping what the backward pass needs as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mnemos.footprint.base import Held
from mnemos.registry import register


@register("in-memory", unmeasured="what the other savers are compared with")
@dataclass
class InMemory:
    """Keep tensors in memory as they are, as autograd does by itself: the baseline of the other savers."""

    exact: ClassVar[bool] = True

    def pack(self, tensor: Tensor) -> Held:
        """Return the tensor itself."""
        return Held((tensor,))

    def unpack(self, held: Held) -> Tensor:
        """Return the tensor itself."""
        return held.parts[0]

    def close(self) -> None:
        """Nothing is open."""

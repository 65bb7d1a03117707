"""What the layers of one cache share: the model, the method, the transcript, and a budget to share out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.attach import BACKEND
from mnemos.activation.base import Setup
from mnemos.activation.method import CacheMethod
from mnemos.activation.rotary import Rotary, checked_rotary
from mnemos.activation.transcript import Transcript
from mnemos.errors import InvalidInput


@dataclass
class Pending:
    """A layer that has read the prompt and waits for the others, to share a budget with them."""

    need: Tensor  # what `Allocation.need` said of it
    each: int  # entries it would keep if all kept alike
    held: int  # entries it has
    keep: Callable[[Tensor], None]  # evicts all but these many, () or (H,)


@dataclass
class CacheState:
    """What the layers of one cache share."""

    model: Any
    method: CacheMethod
    layers: int  # how many the model has
    reading_chunks: bool = False  # whether more of the prompt will come
    transcript: Transcript = field(default_factory=Transcript)
    memory: dict[str, Any] = field(default_factory=dict)  # what the method remembers of all layers
    waiting: list[Pending] = field(default_factory=list)
    _rotary: Rotary | None = None
    _call: tuple[int, int, Any] = (0, 0, None)  # the call that `_positions` are of
    _positions: Tensor = field(default_factory=lambda: torch.empty(0))

    def reset(self) -> None:
        """Forget what has been read."""
        self.transcript, self.memory, self.waiting = Transcript(), {}, []

    def setup(self, layer: int, heads: Tensor | None = None) -> Setup:
        """Return what the store of a layer, or of some of its heads, receives."""
        return Setup(layer, self.layers, self.rotary, self.model, self.get_transcript, self.memory, heads)

    def get_transcript(self) -> Transcript:
        """Return the transcript: another object after each `reset`."""
        return self.transcript

    def rotary(self) -> Rotary:
        """Return how keys move, checked once on this model. Raises InvalidInput where they cannot."""
        if self._rotary is None:
            self._rotary = checked_rotary(self.model)
        return self._rotary

    def positions(self, start: int, end: int, device: Any) -> Tensor:
        """Return the positions of a call, (q,), made once for all layers on a device."""
        key = (start, end, device)
        if self._call != key:
            self._call, self._positions = key, torch.arange(start, end, dtype=torch.int32, device=device)
        return self._positions

    def check_attached(self) -> None:
        """Raise InvalidInput unless Mnemos' attention backend is active: otherwise nothing would ever be evicted."""
        if self.model.config._attn_implementation != BACKEND:
            raise InvalidInput(
                "the model does not attend through Mnemos: use the cache inside `with attached(model):`."
            )

    def allocate(self) -> None:
        """Share the budget of the prompt among the layers that wait for it: the last layer has read the prompt."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        assert self.method.allocation is not None
        counts = self.method.allocation.counts([w.need for w in waiting], waiting[0].each, waiting[0].held)
        for one, count in zip(waiting, counts, strict=True):
            one.keep(count)

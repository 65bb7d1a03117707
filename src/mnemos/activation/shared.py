"""What the layers of one cache share: the model, the method, the transcript, and a budget to share out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.method import CacheMethod
from mnemos.activation.models import shares_keys
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
    given: Any = None  # the layer that was given keys in this call, and has not attended yet
    padding: Tensor | None = None  # (B, tokens read) of the call that is going on, False for padding
    known: Tensor | None = None  # the last `padding`: what is hidden of the tokens read
    allocated: bool = False  # whether layers and heads have their portions of a prompt's budget
    waits: bool = False  # whether what is to be evicted waits until the model has said that it will not go back
    shares_keys: bool = field(init=False)  # whether layers attend to the keys of others
    _start: int = 0  # tokens read before the call that is going on
    _thread: int | None = None  # that makes it
    _rotary: Rotary | None = None
    _call: tuple[int, int, Any] = (0, 0, None)  # the call that `_positions` are of
    _positions: Tensor = field(default_factory=lambda: torch.empty(0))

    def __post_init__(self) -> None:
        self.shares_keys = shares_keys(self.model)

    def reset(self) -> None:
        """Forget what has been read."""
        self.end()
        self.waits, self.allocated, self.known = False, False, None
        self.transcript, self.memory, self.waiting = Transcript(), {}, []

    def begins_prompt(self, queries: int) -> bool:
        """Return whether a call after the prompt begins another: it is long, or the first of several chunks."""
        return self.method.is_prompt((self.method.long_call or 0) + 1 if self.reading_chunks else queries)

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

    def begin(self, read: set[int]) -> None:
        """Begin a call, with the tokens that each layer has `read`.

        Raises InvalidInput if another thread is in a call, or an earlier one has failed half-way.
        """
        me = threading.get_ident()
        if self._thread not in (None, me):
            raise InvalidInput("another thread reads into this cache right now: give each thread a cache of its own.")
        if len(read) > 1:
            raise InvalidInput(
                f"a call with this cache failed half-way (its layers have read {sorted(read)} tokens): `reset()` it, "
                "or go on with a copy made before."
            )
        self._thread, self._start, self.given, self.padding = me, next(iter(read)), None, None

    def take_padding(self, mask: Tensor | None) -> None:
        """Take the padding of a call. Raises InvalidInput for a mask that says something else of tokens read before."""
        self.padding = mask
        if mask is None:
            return
        known, read = self.known, self._start
        if known is None or known.shape[0] != mask.shape[0]:
            known = mask.new_ones(mask.shape[0], 0) if read and known is None else mask[:, :read]
        before = torch.nn.functional.pad(known[:, :read], (0, max(read - known.shape[1], 0)), value=True)
        if mask.shape[1] >= read and not torch.equal(mask[:, :read], before):
            raise InvalidInput(
                "the attention mask says something else of tokens that the cache has read than it did then: mask a token from "
                "the call on that reads it (`generate` without `attention_mask` hides every pad token that it finds)."
            )
        self.known = mask

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        if self.known is not None:
            self.known = self.known.index_select(0, index.to(self.known.device))

    def end(self) -> None:
        """End the call."""
        self._thread = self.given = self.padding = None

    def give(self, layer: Any) -> None:
        """Note that a layer was given keys, and has to attend next. Raises InvalidInput where that cannot be right."""
        if self._thread is None:
            raise InvalidInput(
                "the model does not attend through Mnemos: use the cache inside `with attached(model):`, and give it by "
                "name, `past_key_values=`."
            )
        self.check_attended()
        if layer.tokens_read != self._start:
            raise InvalidInput(f"layer {layer.index} was given keys twice in one call, which is not supported.")
        self.given = layer

    def check_attended(self) -> None:
        """Raise InvalidInput if a layer was given keys that it has not attended to: nothing of them would be held."""
        if self.given is not None:
            raise InvalidInput(
                f"layer {self.given.index} gave keys to the cache and did not attend through Mnemos: was the model's "
                "attention changed inside `attached`? If not, this model is not supported."
            )

    def allocate(self) -> None:
        """Share the budget of the prompt among the layers that wait for it: the last layer has read the prompt."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        assert self.method.allocation is not None
        counts = self.method.allocation.counts([w.need for w in waiting], waiting[0].each, waiting[0].held)
        self.allocated = any(int(count.min()) < one.held for one, count in zip(waiting, counts, strict=True))
        for one, count in zip(waiting, counts, strict=True):
            one.keep(count)

"""The cache that transformers fills and reads."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from mnemos.activation.attach import BACKEND, attached
from mnemos.activation.layer import CacheLayer, Pending
from mnemos.activation.method import CacheMethod, Setup
from mnemos.activation.rotary import Rotary
from mnemos.activation.transcript import Transcript
from mnemos.errors import InvalidInput


class MemoryCache(Cache):  # type: ignore[misc]
    """A transformers cache that lets go, by a `CacheMethod`. Use it inside `with attached(model):`.

    Pass it as `past_key_values` to the model or to `generate` (sampling and beams too; assisted decoding where nothing
    is dropped while generating). Batches may be padded. `nbytes` and `held` tell what it holds, `seen` what it has
    read. The first call is the prompt; `read` reads one in chunks. Raises InvalidInput for models whose layers hold no
    keys and values.
    """

    def __init__(self, model: Any, method: CacheMethod | None = None) -> None:
        config = model.config.get_text_config(decoder=True)
        kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
        if kinds or getattr(config, "is_encoder_decoder", False):
            what = ", ".join(sorted(kinds)) or "an encoder and a decoder"
            raise InvalidInput(
                f"this model has {what}: only decoders whose layers attend to keys and values are supported."
            )
        self.model = model
        self.method = method or CacheMethod()
        self.reading = "off"  # "on" while a prompt comes in chunks
        self.waiting: list[Pending] = []
        self.transcript = Transcript()
        self.shared: dict[str, Any] = {}  # what a method keeps of all layers
        self._call: tuple[int, int, Any] = (0, 0, None)
        self._places = torch.empty(0)
        self._rotary: Rotary | None = None
        self._count = int(config.num_hidden_layers)
        super().__init__(layers=[])
        self.layers.extend(CacheLayer(self, i) for i in range(self._count))

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryCache:
        new = object.__new__(MemoryCache)
        memo[id(self)] = new
        memo[id(self.model)] = self.model  # stores refer to it too
        shared = {"model", "method", "_rotary"}
        new.__dict__.update({k: v if k in shared else copy.deepcopy(v, memo) for k, v in self.__dict__.items()})
        return new

    def copy(self) -> MemoryCache:
        """Return a cache of its own with the same content: models write into the cache that they are given."""
        return copy.deepcopy(self)

    @property
    def tokens_read(self) -> int:
        """Tokens read."""
        return int(self.layers[0].tokens_read)

    @property
    def held(self) -> list[list[int]]:
        """Entries held, by layer and group of heads."""
        return [layer.held for layer in self.layers]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(layer.nbytes for layer in self.layers)

    def reset(self) -> None:
        """Forget everything."""
        self.waiting, self.transcript, self.shared = [], Transcript(), {}
        super().reset()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        self.transcript.rows(beam_idx)
        super().reorder_cache(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        self.transcript.rows(indices)
        super().batch_select_indices(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row of the batch."""
        if self.transcript.tokens is not None:
            self.transcript.rows(torch.arange(self.transcript.tokens.shape[0]).repeat_interleave(repeats))
        super().batch_repeat_interleave(repeats)

    def get_transcript(self) -> Transcript:
        """Return what has been noted of the text."""
        return self.transcript

    def setup(self, index: int) -> Setup:
        """Return what a store may know."""
        return Setup(index, self._count, self.rotary, self.model, self.get_transcript, self.shared)

    def rotary(self) -> Rotary:
        """Return how keys move, checked on this model. Raises InvalidInput where they cannot."""
        if self._rotary is None:
            self._rotary = checked_rotary(self.model)
        return self._rotary

    def positions(self, start: int, end: int, device: Any) -> Tensor:
        """Return the positions of a call, (q,), made once for the layers of a device."""
        key = (start, end, device)
        if self._call != key:
            self._call, self._places = key, torch.arange(start, end, dtype=torch.int32, device=device)
        return self._places

    def check_attached(self) -> None:
        """Raise unless the model attends through our door: else nothing would ever be dropped."""
        if self.model.config._attn_implementation != BACKEND:
            raise InvalidInput(
                "the model does not attend through Mnemos: use the cache inside `with attached(model):`."
            )

    def share(self) -> None:
        """Share the budget among the layers that wait for it, now that all have read the prompt."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        assert self.method.allocation is not None
        counts = self.method.allocation.counts([w.need for w in waiting], waiting[0].each, len(waiting[0].view.entries))
        for one, count in zip(waiting, counts, strict=True):
            one.layer.share(one.view, one.rank, count)


def checked_rotary(model: Any) -> Rotary:
    """Return the rotation of a model's keys, after a look at what the model itself makes of one token at two positions."""
    rotary = Rotary(model)
    cache = MemoryCache(model)
    device = next(model.parameters()).device
    with torch.no_grad(), attached(model):
        model(torch.zeros(1, 8, dtype=torch.long, device=device), past_key_values=cache)
    keys = cache.layers[0].keys
    rotary.check(keys[:, :, :1], keys[:, :, 7:], 7)
    return rotary


@torch.no_grad()  # type: ignore[untyped-decorator]
def read(model: Any, ids: Tensor, cache: MemoryCache, *, chunk: int | None = None, **options: Any) -> Tensor:
    """Read a prompt (B, T) into a cache, `chunk` tokens at a time, and return the logits of its last token, (B, V).

    A method drops what its prompt budget does not hold once all has been read; one with a `decode` budget holds no more
    than that budget and a chunk at any time. Raises InvalidInput for an empty prompt.
    """
    if ids.shape[1] == 0:
        raise InvalidInput("the prompt has no tokens.")
    size, mask = chunk or ids.shape[1], options.pop("attention_mask", None)
    with attached(model):
        try:
            for first in range(0, ids.shape[1], size):
                end = first + size
                cache.reading = "on" if end < ids.shape[1] else "off"
                seen = {} if mask is None else {"attention_mask": mask[:, :end]}
                logits: Tensor = model(ids[:, first:end], past_key_values=cache, **seen, **options).logits
        finally:
            cache.reading = "off"
    return logits[:, -1]

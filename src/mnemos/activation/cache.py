"""The cache that a transformer of transformers fills and reads."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from mnemos.activation import saving
from mnemos.activation.attach import attached, check_supported
from mnemos.activation.base import Rereading
from mnemos.activation.calls import Recorder
from mnemos.activation.latent import LatentLayer, check_held_whole
from mnemos.activation.layer import CacheLayer
from mnemos.activation.method import CacheMethod
from mnemos.activation.models import caching_layers, expands_keys
from mnemos.activation.rotary import Rotary
from mnemos.activation.shared import CacheState
from mnemos.activation.transcript import Transcript
from mnemos.errors import InvalidInput


class MemoryCache(Cache, Recorder):  # type: ignore[misc]
    """A cache of transformers that evicts by a `CacheMethod`. Use it inside `with attached(model):`.

    Pass it as `past_key_values` to the model or to `generate` (sampling and beams too; assisted decoding where nothing
    is evicted while generating). Batches may be padded. The first call is a prompt, and so is each later one of more than
    `method.long_call` tokens; `read` reads one in chunks.

    Raises InvalidInput for models whose layers hold no keys and values.
    """

    def __init__(self, model: Any, method: CacheMethod | None = None) -> None:
        check_supported(model)
        self.state = CacheState(model, method or CacheMethod(), caching_layers(model))
        self.expands_keys = expands_keys(model)
        if self.expands_keys:
            check_held_whole(self.state.method)
        super().__init__(layers=[])
        self.layers.extend(self.new_layer(i) for i in range(self.state.layers))

    def new_layer(self, index: int) -> CacheLayer:
        """Return an empty layer of this cache."""
        return LatentLayer(self.state, index) if self.expands_keys else CacheLayer(self.state, index)

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryCache:
        new = object.__new__(type(self))
        memo[id(self)] = new
        for shared in (self.state.model, self.state.method, self.state._rotary):  # stores refer to them too
            memo[id(shared)] = shared
        for view in (view for layer in self.layers for view in layer.views):
            memo[id(view.module)] = view.module
        new.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return new

    def copy(self) -> MemoryCache:
        """Return an independent cache with the same content: a model changes the cache that it is given."""
        return copy.deepcopy(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise InvalidInput(
            "a cache cannot be pickled, as it refers to its model: use save(path) and MemoryCache.load(path, model)."
        )

    def save(self, path: str | Path) -> None:
        """Write the cache into a file (safetensors), its method included, as it is: compressed, nothing rounded again.

        What waits to be evicted is evicted first. Raises InvalidInput for a method or a store that cannot be written,
        such as one with a function defined in place, or with a slow tier.
        """
        for layer in self.layers:
            layer.settle()
            layer.evict_deferred()
        writer = saving.Writer(self.state)
        layers = [
            {name: writer.encode(value) for name, value in vars(layer).items() if name not in ("state", "deferred")}
            for layer in self.layers
        ]
        shared = {
            name: writer.encode(getattr(self.state, name)) for name in ("method", "transcript", "waits", "allocated")
        }
        header = {"model": saving.shape_of(self.model), "layers": layers, "shared": shared}
        header["memory"], header["objects"] = writer.encode(self.state.memory), writer.objects
        saving.write(Path(path), header, writer.tensors)

    @classmethod
    def load(cls, path: str | Path, model: Any) -> MemoryCache:
        """Read a cache that was saved, for the same model: it goes on as the one that was saved would.

        Raises InvalidInput for a model of another kind or size, and StoreCorrupt for a file that is damaged.
        """
        header, tensors = saving.read_file(Path(path), next(model.parameters()).device)
        if (known := saving.shape_of(model)) != header["model"]:
            raise InvalidInput(f"the cache was made by another model, {header['model']}, not by {known}.")
        cache = cls(model)
        reader = saving.Reader(cache.state, tensors, header["objects"])
        cache.state.memory.update(reader.decode(header["memory"]))  # in place: stores refer to it
        for name, value in header["shared"].items():
            setattr(cache.state, name, reader.decode(value))
        for layer, state in zip(cache.layers, header["layers"], strict=True):
            vars(layer).update({name: reader.decode(value) for name, value in state.items()})
        return cache

    @property
    def model(self) -> Any:
        """The model that fills the cache."""
        return self.state.model

    @property
    def method(self) -> CacheMethod:
        """What decides which entries stay."""
        return self.state.method

    @property
    def transcript(self) -> Transcript:
        """The tokens read, if the method asks for them."""
        return self.state.transcript

    def rotary(self) -> Rotary:
        """Return how keys move, checked on this model. Raises InvalidInput where they cannot."""
        return self.state.rotary()

    @property
    def tokens_read(self) -> int:
        """Number of tokens read."""
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
        """Forget what has been read."""
        self.state.reset()
        super().reset()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        self.transcript.select_rows(beam_idx)
        self.state.select_rows(beam_idx)
        super().reorder_cache(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        self.transcript.select_rows(indices)
        self.state.select_rows(indices)
        super().batch_select_indices(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row of the batch."""
        self.transcript.repeat_rows(repeats)
        if self.state.known is not None:
            self.state.known = self.state.known.repeat_interleave(repeats, 0)
        super().batch_repeat_interleave(repeats)

    def crop(self, tokens_to_remove: int) -> None:
        """Remove the last `-tokens_to_remove` tokens. Raises InvalidInput where entries have been evicted since."""
        ends = {layer.check_crop(tokens_to_remove) for layer in self.layers}
        self.transcript.crop(min(ends))
        super().crop(tokens_to_remove)

    def activate_past_recording(self) -> None:
        """Let what is to be evicted after a call wait for the next `crop`, or for the next call (assisted decoding)."""
        self.state.waits = True

    # -- what the hooks of the attention backend call (`calls.Recorder`)

    @property
    def given(self) -> Any:
        """The layer that was given keys in this call and has not attended yet; None: there is none."""
        return self.state.given

    def begin(self) -> None:
        """Begin a call. Raises InvalidInput for a cache that another call uses, or that one has left half-way."""
        self.state.begin({layer.tokens_read for layer in self.layers})
        for layer in self.layers:
            layer.settle()

    def take_mask(self, mask: Tensor | None) -> None:
        """Take the padding of a call. Raises InvalidInput where a method would take it for what was read last."""
        self.state.take_padding(mask)
        method = self.method
        prompt = not any(la.prompt for la in self.layers)
        if mask is not None and not prompt:
            prompt = self.state.begins_prompt(mask.shape[1] - self.tokens_read)
        ranks = method.decode is not None or (method.prompt is not None and prompt)
        if mask is not None and ranks and not bool(mask[:, -1].all()):
            raise InvalidInput(
                "a row of this batch ends in padding: pad on the left (`tokenizer.padding_side = 'left'`), since this method "
                "evicts by what was read last."
            )
        if mask is not None and method.reindex_positions and bool((mask[:, 1:] < mask[:, :-1]).any()):
            raise InvalidInput("this method moves keys together, and cannot where padding stands between tokens.")

    def end(self, failed: bool) -> None:
        """End a call. Raises InvalidInput if a layer was not attended to."""
        try:
            if not failed:
                self.state.check_attended()
                if len(read := {layer.tokens_read for layer in self.layers}) > 1:
                    raise InvalidInput(
                        f"{type(self.model).__name__} did not give keys to all layers of the cache (they have read "
                        f"{sorted(read)} tokens): this model is not supported."
                    )
        finally:
            self.state.end()
        if not failed and not self.state.waits:
            for layer in self.layers:
                layer.settle()

    @property
    def needs_tokens(self) -> bool:
        """Whether tokens and logits are recorded."""
        return self.method.needs_tokens

    @property
    def needs_hidden_states(self) -> bool:
        """Whether a layer records what it reads."""
        return any(group.hidden is not None for layer in self.layers for group in layer.groups)

    def record_tokens(self, ids: Tensor) -> None:
        """Record the ids (B, q) of a call that begins."""
        self.transcript.add_tokens(ids, self.tokens_read)

    def record_logits(self, logits: Tensor | None) -> None:
        """Record the logits (B, q or less, V) of a call that has ended, and evict what waited for them."""
        if logits is not None and self.transcript.tokens is not None:
            self.transcript.add_logits(logits, self.state.waits)
        if not self.state.waits:
            self._reread()
            for layer in self.layers:
                layer.evict_deferred()

    def _reread(self) -> None:
        """Let a score that asks for it read a prompt again, before any of it is evicted."""
        score = self.method.score
        if not isinstance(score, Rereading) or self.layers[0].prompt or self.state.reading_chunks:
            return
        if not all(layer.deferred for layer in self.layers):
            raise InvalidInput("this model has layers with a sliding window: they cannot be read against again.")
        assert self.transcript.tokens is not None
        tokens = self.transcript.tokens[:, self.layers[0].compressed :]
        score.reread(self.model, tokens, [view for layer in self.layers for view in layer.deferred])

    def record_hidden_states(self, layer: int, states: Tensor) -> None:
        """Record what a layer reads in the call that it begins, (B, q, width)."""
        self.layers[layer].hidden_states = states


@torch.no_grad()  # type: ignore[untyped-decorator]
def read(model: Any, ids: Tensor, cache: MemoryCache, *, chunk: int | None = None, **options: Any) -> Tensor:
    """Read a prompt (B, T) into a cache, `chunk` tokens at a time, and return the logits of its last token, (B, V).

    A method evicts what its prompt budget does not hold once all has been read, of a later document as of the first; one
    with a `decode` budget holds at most that budget and a chunk at any time. Raises InvalidInput for an empty prompt.
    """
    if ids.shape[1] == 0:
        raise InvalidInput("the prompt has no tokens: give at least one.")
    size, mask = chunk or ids.shape[1], options.pop("attention_mask", None)
    with attached(model):
        try:
            for first in range(0, ids.shape[1], size):
                end = first + size
                cache.state.reading_chunks = end < ids.shape[1]
                masked = {} if mask is None else {"attention_mask": mask[:, :end]}
                logits: Tensor = model(ids[:, first:end], past_key_values=cache, **masked, **options).logits
        finally:
            cache.state.reading_chunks = False
    return logits[:, -1]

"""A model of transformers that reads and generates over a pool: many sequences, one copy of what they share."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin

from mnemos.activation.attach import REFUSED, use_attention
from mnemos.activation.paged.pool import Pool
from mnemos.activation.paged.step import Step
from mnemos.errors import InvalidInput

SUPPORTED = {"full_attention", "sliding_attention"}  # kinds of layers
TOLERANCE = 0.02  # largest relative error of logits, beside those of the model's own cache
TRIED = 24  # tokens that a model is checked with
NUMBERS = itertools.count()  # of the attention functions of this process


class PagedLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer: it writes what it is given into the pages of the step, and marks the keys with itself."""

    is_sliding = False
    is_compileable = False
    supports_early_init = False

    def __init__(self, index: int) -> None:
        self.index = index
        self.step: Step | None = None
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the pool is there."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new keys and values; return them, marked as this layer's."""
        assert self.step is not None
        self.step.write(self.index, key_states, value_states)
        key_states._mnemos_pages = self
        return key_states, value_states

    def get_seq_length(self) -> int:
        """Return the tokens of the longest sequence, those of this call not counted."""
        return 0 if self.step is None else max(self.step.ends) - self.step.q

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the sizes of a mask, which is not used: a step knows who sees what."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """Return that there is no limit."""
        return -1

    get_max_cache_shape = get_max_length  # its name before transformers 5


class PagedModel:
    """A decoder whose keys and values live in a `Pool`.

    It computes what the model computes with its own cache, up to rounding, which the constructor checks. One thread at a
    time. While it is open the model attends through it: `close` gives the model back as it was.
    """

    def __init__(self, model: Any, blocks: int, *, size: int = 16, **options: Any) -> None:
        """Reserve a pool of `blocks`; `options` are those of `Pool`. Raises InvalidInput for a model that cannot use one."""
        config = model.config.get_text_config(decoder=True)
        kinds = set(getattr(config, "layer_types", None) or ()) - SUPPORTED
        if kinds or getattr(config, "is_encoder_decoder", False):
            raise InvalidInput(f"{type(model).__name__} has layers that are no plain attention ({sorted(kinds)}).")
        self.model, self.device = model.eval(), next(model.parameters()).device
        self.limit = int(getattr(config, "max_position_embeddings", 0) or 1 << 20)  # tokens of a sequence
        keys = self._try()
        self.pool = Pool(
            blocks, layers=int(config.num_hidden_layers), heads=keys.shape[1], width=keys.shape[3], size=size,
            dtype=keys.dtype, device=self.device, **options,
        )  # fmt: skip
        self.layers = [PagedLayer(i) for i in range(int(config.num_hidden_layers))]
        self.cache = Cache(layers=self.layers)
        self.keeps = "logits_to_keep" in inspect.signature(type(model).forward).parameters
        self._open = ExitStack()
        self._open.enter_context(use_attention(model, f"mnemos_pages_{next(NUMBERS)}", _forward, _mask))
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the model attend as before."""
        self._open.close()

    def forward(self, names: Sequence[str], tokens: Sequence[Sequence[int]]) -> Tensor:
        """Read equally many further tokens of each sequence; return the logits of the last ones, (B, V).

        Raises StoreFull where the pool has no space; nothing has changed then, nor after any other error.
        """
        before, q = {name: self.pool.length(name) for name in names}, len(tokens[0])
        try:
            for name, new in zip(names, tokens, strict=True):
                self.pool.grow(name, new)
            step = Step(self.pool, names, q)
            for layer in self.layers:
                layer.step = step
            logits = self._logits(tokens, [[*range(end - q, end)] for end in step.ends], self.cache)
            for name in names:
                self.pool.mark_written(name)
        except BaseException:
            for name, length in before.items():
                self.pool.truncate(name, length)
            raise
        finally:
            for layer in self.layers:
                layer.step = None
        return logits

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _logits(self, tokens: Any, positions: Any, cache: Any) -> Tensor:
        options = {"logits_to_keep": 1} if self.keeps else {}
        ids, at = (torch.tensor(x, device=self.device) for x in (tokens, positions))
        output = self.model(ids, position_ids=at, past_key_values=cache, use_cache=True, **options)
        logits: Tensor = output.logits[:, -1].float()
        return logits

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _try(self) -> Tensor:
        """Let the model read a few tokens with its own cache; return the keys of a layer, (1, H, T, D)."""
        cache = DynamicCache()
        vocabulary = int(self.model.config.get_text_config(decoder=True).vocab_size)
        self._tried = [(7 * i + 3) % vocabulary for i in range(TRIED)]
        ids = torch.tensor([self._tried], device=self.device)
        logits = self.model(ids, past_key_values=cache, use_cache=True).logits[0].float()
        self._expected = logits[-2:]
        keys: Tensor = cache.layers[0].keys
        if len(cache.layers) != self.model.config.get_text_config(decoder=True).num_hidden_layers:
            raise InvalidInput(
                f"{type(self.model).__name__} shares caches between layers: it cannot be served in pages."
            )
        return keys

    def _check(self) -> None:
        """Raise InvalidInput unless the model computes the same logits over pages."""
        self.pool.open("check", (), {"check": "1"})
        try:
            self.forward(["check"], [self._tried[:5]])
            found = [self.forward(["check"], [tokens]) for tokens in (self._tried[5:-1], self._tried[-1:])]
        finally:
            self.pool.free("check")
            self.pool.forget({"check": "1"})
        error = (torch.cat(found) - self._expected).abs().max() / self._expected.abs().max().clamp_min(1e-9)
        if not error < TOLERANCE:
            raise InvalidInput(
                f"{type(self.model).__name__} computes other logits over pages than with its own cache (relative error "
                f"{float(error):.3f}): its attention is of a kind that cannot be served in pages."
            )


def _mask(*args: Any, **kwargs: Any) -> None:
    """Make no mask: a step knows who sees what."""


def _forward(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    dropout: float = 0.0, sliding_window: int | None = None, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attend by queries (B, H*G, q, D) to the pages of the layer that the keys are marked with."""
    if unknown := [name for name in (*REFUSED, "softcap") if kwargs.get(name) is not None]:
        raise InvalidInput(f"this model's attention needs {', '.join(unknown)}, which cannot be served in pages.")
    layer = getattr(key, "_mnemos_pages", None)
    if layer is None or layer.step is None:
        raise InvalidInput(
            f"{type(module).__name__} changes keys after its cache has them: it cannot be served in pages."
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    output = layer.step.attend(layer.index, query, scale, sliding_window)
    return output.transpose(1, 2).contiguous(), None

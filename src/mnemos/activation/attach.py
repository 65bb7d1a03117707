"""The attention backend: a model attends to a cache by a function in transformers' own registry, nothing is patched.

A call without a cache of ours attends as the model did before: other threads, and other caches, notice nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mnemos.activation.calls import Installed, Recorder, cache_of_call, calls_forgotten, watch_calls
from mnemos.activation.entries import Entries
from mnemos.activation.models import attention_modules, decoder_of, is_causal
from mnemos.errors import InvalidInput

BACKEND = "mnemos"  # the name under which transformers knows our attention function
REFUSED = ("s_aux", "sinks", "position_bias", "indices", "block_indices")

_backends, _hooks, _calls = Installed(), Installed(), Installed()  # by configuration, by model, by model and base model
_LOCK = threading.Lock()
_taken: dict[int, str] = {}  # the function that `use_attention` lets a model attend by, by its configuration
_before: dict[int, str] = {}  # how a model attends otherwise, by its configuration


@contextmanager
def use_attention(model: Any, name: str, attention: Any, mask: Any) -> Iterator[None]:
    """Let a model attend by a function, registered with transformers under `name`; afterwards it attends as before.

    Raises InvalidInput for a model that does not support other attention functions, or that is `attached` or attends by
    another such function: who ended first would end the other's.
    """
    check_supported(model)
    key = id(model.config)
    with _LOCK:
        before = model.config._attn_implementation
        if before == BACKEND or key in _taken:
            raise InvalidInput(
                f"this model attends through {_taken.get(key, before)!r} already, in this thread or another: end that first, "
                "or load the model twice."
            )
        _taken[key] = name
    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, mask)
    try:
        model.set_attn_implementation(name)
        yield
    finally:
        model.set_attn_implementation(before)
        del _taken[key]


def check_supported(model: Any) -> None:
    """Raise InvalidInput for a model that does not support other attention functions."""
    if not getattr(model, "_supports_attention_backend", False):
        raise InvalidInput(
            f"{type(model).__name__} does not support other attention functions, so it cannot use this cache: "
            "use a model of transformers whose attention can be chosen."
        )


@contextmanager
def attached(model: Any) -> Iterator[Any]:
    """Let a model attend through Mnemos; after the last such block it attends as before.

    Blocks may be nested, and threads may use one model at the same time, each with caches of its own. Raises
    InvalidInput for a model that does not support other attention functions.
    """
    check_supported(model)
    decoder = decoder_of(model)
    with (
        _backends.use(decoder.config, lambda: _switch(decoder)),
        _calls.use(model.base_model, lambda: watch_calls(model.base_model)),
        nullcontext() if model.base_model is model else _calls.use(model, lambda: watch_calls(model)),
        _hooks.use(model, lambda: _record(model)),
        calls_forgotten(),
    ):
        yield model


def _switch(decoder: Any) -> Callable[[], object]:
    """Switch a decoder to our backend; return what switches it back."""
    before, key = decoder.config._attn_implementation, id(decoder.config)
    AttentionInterface.register(BACKEND, _forward)
    AttentionMaskInterface.register(BACKEND, _mask)
    _before[key] = before
    decoder.set_attn_implementation(BACKEND)

    def back() -> None:
        if decoder.config._attn_implementation == BACKEND:  # otherwise somebody has chosen another since
            decoder.set_attn_implementation(before)
        del _before[key]

    return back


def _record(model: Any) -> Callable[[], object]:
    """Record what a model reads and says for caches that ask for it; return what stops that."""
    hooks: list[Any] = []
    watched: list[Any] = []

    def watch(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Watch what layers read, once a cache asks for it: a hook costs every layer, every token."""
        cache = kwargs.get("past_key_values")
        if not watched and isinstance(cache, Recorder) and cache.needs_hidden_states:
            layers = attention_modules(model).values()
            watched.extend(m.register_forward_pre_hook(_record_hidden_states, with_kwargs=True) for m in layers)

    hooks.append(model.base_model.register_forward_pre_hook(watch, with_kwargs=True))
    hooks.append(model.register_forward_pre_hook(_record_tokens, with_kwargs=True))
    hooks.append(model.register_forward_hook(_record_logits, with_kwargs=True))
    return lambda: [hook.remove() for hook in (*hooks, *watched)]


def _otherwise(config: Any) -> str:
    """Return how a model attends without us."""
    name = str(_before.get(id(config), config._attn_implementation))
    if name == BACKEND:
        raise InvalidInput("the model attends through Mnemos outside `with attached(model):`: attach it first.")
    return name


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _mask(*args: Any, attention_mask: Tensor | None = None, **kwargs: Any) -> Any:
    """Return the padding alone, (B, 1, 1, tokens read): positions decide who sees whom, when attending.

    The cache keeps it: models may slice what they are given.
    """
    cache = cache_of_call()
    if cache is None:
        name = _otherwise(kwargs["config"]) if "config" in kwargs else "sdpa"
        return ALL_MASK_ATTENTION_FUNCTIONS[name](*args, attention_mask=attention_mask, **kwargs)
    if not is_causal(kwargs.get("mask_function")):
        raise InvalidInput(
            "this call wants a mask that is neither causal nor a sliding window (an image, or packed texts?), "
            "which is not supported: use the cache of transformers for it."
        )
    padding = None if attention_mask is None or bool(attention_mask.all()) else attention_mask.bool()
    cache.take_mask(padding)
    return None if padding is None else padding[:, None, None]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _forward(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    dropout: float = 0.0, sliding_window: int | None = None, softcap: float | None = None, **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attend by queries (B, H*G, q, D) to the cache layer that the keys of this call were given to."""
    cache, marked = cache_of_call(), getattr(key, "_mnemos_layer", None)
    if cache is None and marked is None:
        more = {"scaling": scaling, "sliding_window": sliding_window, "softcap": softcap} | kwargs
        return _attended_otherwise(module, query, key, value, attention_mask, dropout, more)
    layer = cache.given if cache is not None and marked is None else marked
    if layer is None:
        raise InvalidInput(
            f"a layer of {type(module).__name__} attends to keys that it did not give to the cache, which is not supported: "
            "use the cache of transformers for this model."
        )
    unknown = [name for name in REFUSED if kwargs.get(name) is not None]
    if unknown or kwargs.get("is_causal") is False or getattr(module, "is_causal", True) is False:
        what = ", ".join(unknown) or "attention to later tokens"
        raise InvalidInput(f"this model's attention needs {what}, which is not supported.")
    padding = layer.state.padding
    if attention_mask is not None and (
        padding is None or attention_mask.dtype != torch.bool or attention_mask.shape[1:3] != (1, 1)
    ):
        raise InvalidInput(
            "this model, or the caller, has a mask of its own: give the attention mask as (batch, tokens); masks of other "
            "shapes are not supported."
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    valid = None if padding is None else padding[:, None]
    if marked is None:  # the model has made other keys of those that it gave
        output = layer.attend_expanded(query, Entries(key, value), valid, scaling, sliding_window, softcap)
    else:
        new = Entries(key, value)
        if valid is not None:
            new.valid = valid[:, :, -key.shape[2] :].expand(key.shape[:3])
        output = layer.attend_to(module, query, new, scaling, sliding_window, softcap)
    return output.transpose(1, 2).contiguous(), None


def _attended_otherwise(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, dropout: float, more: dict[str, Any]
) -> tuple[Tensor, Tensor | None]:
    """Attend as the model does without us."""
    name = _otherwise(module.config)
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    chosen = ALL_ATTENTION_FUNCTIONS.get(name, eager) if name != "eager" else eager
    if chosen is None:
        raise InvalidInput(f"{type(module).__name__} has no attention named {name!r}: choose 'sdpa' before attaching.")
    given = {name: value for name, value in more.items() if value is not None}
    output: tuple[Tensor, Tensor | None] = chosen(module, query, key, value, mask, dropout=dropout, **given)
    return output


def _record_tokens(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    cache: Any = kwargs.get("past_key_values")
    ids = args[0] if args else kwargs.get("input_ids")
    if ids is not None and isinstance(cache, Recorder) and cache.needs_tokens:
        cache.record_tokens(ids)


def _record_logits(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
    cache: Any = kwargs.get("past_key_values")
    if isinstance(cache, Recorder) and cache.needs_tokens:
        logits = getattr(output, "logits", None)  # a model without a head has none
        cache.record_logits(None if logits is None else logits.detach())


def _record_hidden_states(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    cache: Any = kwargs.get("past_key_values", kwargs.get("past_key_value"))
    if isinstance(cache, Recorder) and cache.needs_hidden_states:
        cache.record_hidden_states(module.layer_idx, args[0] if args else kwargs["hidden_states"])

"""The attention backend: a model attends to a cache by a function in transformers' own registry, nothing is patched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from mnemos.activation.attention import attend
from mnemos.activation.entries import Entries
from mnemos.activation.models import attention_modules
from mnemos.errors import InvalidInput

BACKEND = "mnemos"  # the name under which transformers knows our attention function
REFUSED = ("softcap", "s_aux", "position_bias")


class Recorder(ABC):
    """A cache that records what a model reads and says, as its method asks for.

    A base class, not a protocol: every call of a model asks which kind of cache it is given.
    """

    @property
    @abstractmethod
    def needs_tokens(self) -> bool:
        """Whether tokens and logits are recorded."""

    @property
    @abstractmethod
    def needs_hidden_states(self) -> bool:
        """Whether a layer records what it reads."""

    @abstractmethod
    def record_tokens(self, ids: Tensor) -> None:
        """Record the ids (B, q) of a call that begins."""

    @abstractmethod
    def record_logits(self, logits: Tensor | None) -> None:
        """Record the logits (B, q or less, V) of a call that has ended."""

    @abstractmethod
    def record_hidden_states(self, layer: int, states: Tensor) -> None:
        """Record what a layer reads in the call that it begins, (B, q, width)."""


@contextmanager
def use_attention(model: Any, name: str, attention: Any, mask: Any) -> Iterator[None]:
    """Let a model attend by a function, registered with transformers under `name`; afterwards it attends as before.

    Raises InvalidInput for a model that does not support other attention functions.
    """
    if not getattr(model, "_supports_attention_backend", False):
        raise InvalidInput(
            f"{type(model).__name__} does not support other attention functions, so it cannot use this cache: "
            "use a model of transformers whose attention can be chosen."
        )
    before = model.config._attn_implementation
    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, mask)
    try:
        model.set_attn_implementation(name)
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def attached(model: Any) -> Iterator[Any]:
    """Let a model attend through Mnemos; afterwards it attends as before. Contexts may be nested.

    Raises InvalidInput for a model that does not support other attention functions.
    """
    if model.config._attn_implementation == BACKEND:
        yield model
        return
    hooks: list[Any] = []
    watched: list[Any] = []

    def watch(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Watch what layers read, once a cache asks for it: a hook costs every layer, every token."""
        cache = kwargs.get("past_key_values")
        if not watched and isinstance(cache, Recorder) and cache.needs_hidden_states:
            layers = attention_modules(model).values()
            watched.extend(m.register_forward_pre_hook(_record_hidden_states, with_kwargs=True) for m in layers)

    with use_attention(model, BACKEND, _forward, _mask):
        try:
            hooks.append(model.base_model.register_forward_pre_hook(watch, with_kwargs=True))
            hooks.append(model.register_forward_pre_hook(_record_tokens, with_kwargs=True))
            hooks.append(model.register_forward_hook(_record_logits, with_kwargs=True))
            yield model
        finally:
            for hook in (*hooks, *watched):
                hook.remove()


def _mask(*args: Any, attention_mask: Tensor | None = None, **kwargs: Any) -> Tensor | None:
    """Return the padding alone, (B, tokens read): positions decide who sees whom, when attending."""
    return None if attention_mask is None or bool(attention_mask.all()) else attention_mask.bool()


def _forward(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    dropout: float = 0.0, sliding_window: int | None = None, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attend by queries (B, H*G, q, D) to the cache layer that the keys of this call are marked with."""
    if unknown := [name for name in REFUSED if kwargs.get(name) is not None]:
        raise InvalidInput(f"this model's attention needs {', '.join(unknown)}, which is not supported.")
    if attention_mask is not None and attention_mask.dim() != 2:
        raise InvalidInput("give the attention mask as (batch, tokens): masks of other shapes are not supported.")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    new = Entries(key, value)
    if attention_mask is not None:
        new.valid = attention_mask[:, None, -key.shape[2] :].expand(key.shape[:3])
    layer = getattr(key, "_mnemos_layer", None)  # no cache, or another one: there is no layer
    if layer is None:
        output = attend(query, new, 0, scaling, sliding_window, dropout)
    else:
        output = layer.attend(module, query, new, scaling, sliding_window)
    return output.transpose(1, 2).contiguous(), None


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

"""The door through which a model attends to a cache: an attention function in transformers' own registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from mnemos.activation.attention import attend
from mnemos.activation.entries import Entries
from mnemos.activation.transcript import record_logits, record_tokens
from mnemos.errors import InvalidInput

BACKEND = "mnemos"  # the name under which transformers knows our attention function
REFUSED = ("softcap", "s_aux", "position_bias")


def _mask(*args: Any, attention_mask: Tensor | None = None, **kwargs: Any) -> Tensor | None:
    """Return the padding alone, (B, tokens seen): who may see whom is decided by positions when attending."""
    return None if attention_mask is None or bool(attention_mask.all()) else attention_mask.bool()


def _forward(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    dropout: float = 0.0, sliding_window: int | None = None, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """The attention function that transformers calls: (B, H*G, q, D) queries, the keys and values of this call."""
    if unknown := [name for name in REFUSED if kwargs.get(name) is not None]:
        raise InvalidInput(f"this model's attention needs {', '.join(unknown)}, which is not supported.")
    if attention_mask is not None and attention_mask.dim() != 2:
        raise InvalidInput("give the attention mask as (batch, tokens): masks of other shapes are not supported.")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    new = Entries(key, value)
    if attention_mask is not None:
        new.valid = attention_mask[:, None, -key.shape[2] :].expand(key.shape[:3])
    layer = getattr(key, "_mnemos_layer", None)
    if layer is None:
        output = attend(query, new, 0, scaling, sliding_window, dropout)
    else:
        output = layer.attend(module, query, new, scaling, sliding_window)
    return output.transpose(1, 2).contiguous(), None


@contextmanager
def use_attention(model: Any, name: str, attention: Any, mask: Any) -> Iterator[None]:
    """Let a model attend by a function in transformers' own registry, and give it back as it was.

    Raises InvalidInput for a model that does not support other attention functions.
    """
    if not getattr(model, "_supports_attention_backend", False):
        raise InvalidInput(f"{type(model).__name__} does not let its attention be chosen: it cannot use this cache.")
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
    """Let a model attend through Mnemos, and give it back as it was.

    Nothing is patched: the model's attention implementation is set by transformers' own registry. Raises InvalidInput
    for a model that does not support other attention functions.
    """
    if model.config._attn_implementation == BACKEND:
        yield model
        return
    hooks: list[Any] = []
    watched: list[Any] = []

    def watch(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Watch what layers read once a cache wants it: a hook costs every layer, every token."""
        if not watched and needs_hidden_states(kwargs.get("past_key_values")):
            layers = [m for m in model.modules() if hasattr(m, "layer_idx") and hasattr(m, "k_proj")]
            watched.extend(m.register_forward_pre_hook(_record_hidden_states, with_kwargs=True) for m in layers)

    with use_attention(model, BACKEND, _forward, _mask):
        try:
            hooks.append(model.base_model.register_forward_pre_hook(watch, with_kwargs=True))
            hooks.append(model.register_forward_pre_hook(record_tokens, with_kwargs=True))
            hooks.append(model.register_forward_hook(record_logits, with_kwargs=True))
            yield model
        finally:
            for hook in (*hooks, *watched):
                hook.remove()


def needs_hidden_states(cache: Any) -> bool:
    """Tell whether a cache keeps what its layers' attention reads instead of keys and values (XQuant)."""
    return getattr(getattr(getattr(cache, "method", None), "store", None), "needs_hidden_states", False)


def _record_hidden_states(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    cache = kwargs.get("past_key_values", kwargs.get("past_key_value"))
    if cache is not None and needs_hidden_states(cache):
        cache.layers[module.layer_idx].inputs = args[0] if args else kwargs["hidden_states"]

"""What is read from a model of transformers: its attention modules, how they scale their logits, what they cache."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from mnemos.errors import InvalidInput


def attention_modules(model: nn.Module) -> dict[str, Any]:
    """Return the attention modules by name: those that know their layer and project to keys."""
    return {
        name: module
        for name, module in model.named_modules()
        if "layer_idx" in vars(module) and "k_proj" in dict(module.named_children())
    }


def attention_scaling(model: nn.Module, layer: int) -> float:
    """Return the factor of a layer's logits. Raises InvalidInput where the model does not say it."""
    for module in model.modules():
        known = vars(module)
        if known.get("layer_idx") == layer and isinstance(known.get("scaling"), float):
            return float(known["scaling"])
    raise InvalidInput(
        f"layer {layer} of {type(model).__name__} does not say how it scales its logits: this method cannot use it."
    )


SUPPORTED = {"full_attention", "sliding_attention"}  # kinds of layers
CAUSAL = {"causal_mask_function", "sliding_window_overlay.<locals>.inner_mask"}  # masks that positions tell


def decoder_of(model: Any) -> Any:
    """Return the part of a model that reads text: the model itself, unless it also sees or hears."""
    return model.get_decoder() if model.config.get_text_config(decoder=True) is not model.config else model


def caching_layers(model: Any) -> int:
    """Return how many layers give keys and values to a cache: the last ones may attend to those of earlier layers.

    Raises InvalidInput for a model that keeps anything else of what it reads.
    """
    config = model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ()) - SUPPORTED
    if kinds or getattr(config, "is_encoder_decoder", False):
        what = f"layers of the kind {', '.join(sorted(kinds))}" if kinds else "an encoder and a decoder"
        raise InvalidInput(
            f"{type(model).__name__} has {what}: only decoders whose layers attend to keys and values are supported."
        )
    for name, _ in model.named_modules():
        if name.rpartition(".")[2] in ("indexer", "mamba", "conv", "linear_attn", "short_conv", "compressor"):
            raise InvalidInput(
                f"{type(model).__name__} keeps more of what it reads than keys and values ({name}), which is not supported: "
                "use the cache of transformers for this model."
            )
    return int(config.num_hidden_layers) - int(getattr(config, "num_kv_shared_layers", None) or 0)


def shares_keys(model: Any) -> bool:
    """Tell whether some layers attend to the keys of others."""
    return bool(getattr(model.config.get_text_config(decoder=True), "num_kv_shared_layers", None))


def expands_keys(model: nn.Module) -> bool:
    """Tell whether layers give latents to the cache, and make keys of them afterwards: latent attention (MLA)."""
    return any(inspect.ismethod(getattr(module, "expand_kv", None)) for module in model.modules())


def is_causal(mask: Callable[..., Any] | None) -> bool:
    """Tell whether a mask function of transformers is causal, with or without a sliding window, and nothing else."""
    if mask is None or mask.__qualname__ in CAUSAL:
        return True
    parts = inspect.getclosurevars(mask).nonlocals.get("mask_functions", ())
    return mask.__qualname__.startswith("and_masks.") and bool(parts) and all(is_causal(part) for part in parts)

"""What is read from a model of transformers: its attention modules and how they scale their logits."""

from __future__ import annotations

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

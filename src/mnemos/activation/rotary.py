"""Rotary positions (RoPE, arXiv 2104.09864): turning cached keys from one position to another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput

FIXED = ("default", "linear", "llama3", "yarn")  # kinds whose frequencies do not depend on the length of the text


class Rotary:
    """The rotation of a model's keys. A rotation by `a` and one by `b` make one by `a + b`, so cached keys can move.

    Raises InvalidInput for a model whose keys do not move so (no RoPE, or frequencies that change with the length).
    """

    def __init__(self, model: nn.Module) -> None:
        found = [m for m in model.modules() if isinstance(getattr(m, "inv_freq", None), Tensor)]
        if not found:
            raise InvalidInput("this model has no rotary positions: use a method that keeps positions as they are.")
        kind = str(getattr(found[0], "rope_type", "default"))
        if kind not in FIXED:
            raise InvalidInput(f"RoPE of type {kind!r} changes with the length: use a method that keeps positions.")
        self.frequencies: Tensor = found[0].inv_freq.detach().float()  # (D/2,)

    def shift(self, keys: Tensor, by: Tensor | int) -> Tensor:
        """Return keys (B, H, T, D) moved by `by` positions, (B, H, T) or a number. Exact up to rounding."""
        distance = torch.as_tensor(by, device=keys.device, dtype=torch.float32)
        angle = distance[..., None] * self.frequencies.to(keys.device)
        cos, sin = angle.cos(), angle.sin()
        half = self.frequencies.numel()
        x, y, rest = keys[..., :half].float(), keys[..., half : 2 * half].float(), keys[..., 2 * half :]
        turned = torch.cat((x * cos - y * sin, y * cos + x * sin), -1).to(keys.dtype)
        return torch.cat((turned, rest), -1) if rest.shape[-1] else turned

    def check(self, key: Tensor, moved: Tensor, by: int) -> None:
        """Raise unless `key` moved by `by` positions is what the model makes of it there (interleaved RoPE is not)."""
        error = (self.shift(key, by) - moved).abs().max() / moved.abs().max().clamp_min(1e-9)
        if error > 1e-2:
            raise InvalidInput(
                f"this model lays out its rotary positions in another way (error {float(error):.2f}): "
                "use a method that keeps positions as they are."
            )

"""Rotary positions (RoPE, arXiv 2104.09864): turning cached keys from one position to another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from mnemos.errors import InvalidInput

FIXED = ("default", "linear", "llama3", "yarn")  # kinds whose frequencies do not depend on the length of the text

TABLE = 2**16  # distances whose cosines and sines are kept


class Rotary:
    """The rotation of a model's keys. Rotating by `a` and then by `b` is rotating by `a + b`, so cached keys can move.

    Raises InvalidInput for a model whose keys cannot (no RoPE, or frequencies that change with the length).
    """

    def __init__(self, model: nn.Module) -> None:
        found = [vars(m) | dict(m.named_buffers(recurse=False)) for m in model.modules()]
        found = [known for known in found if isinstance(known.get("inv_freq"), Tensor)]
        if not found:
            raise InvalidInput("this model has no rotary positions: use a method that keeps positions as they are.")
        kind = str(found[0].get("rope_type", "default"))
        if kind not in FIXED:
            raise InvalidInput(
                f"this model's RoPE is of type {kind!r}, which changes with the length of the text: "
                "use a method that keeps positions as they are."
            )
        self.frequencies: Tensor = found[0]["inv_freq"].detach().float()  # (D/2,)
        self.table: tuple[Tensor, Tensor] | None = None  # cosines and sines, (distances, D/2)

    def shift(self, keys: Tensor, by: Tensor | int) -> Tensor:
        """Return keys (B, H, T, D) moved by `by` positions: (B, H, T), (T,) or a number. Exact up to rounding."""
        cos, sin = self.turns(torch.as_tensor(by, device=keys.device))
        half = self.frequencies.numel()
        x, y, rest = keys[..., :half].float(), keys[..., half : 2 * half].float(), keys[..., 2 * half :]
        if keys.requires_grad and torch.is_grad_enabled():
            return torch.cat([*(part.to(keys.dtype) for part in (x * cos - y * sin, y * cos + x * sin)), rest], -1)
        moved = torch.empty_like(keys, dtype=torch.float32, memory_format=torch.contiguous_format)
        first, second, last = moved.split((half, half, keys.shape[-1] - 2 * half), -1)
        torch.mul(x, cos, out=first).sub_(y * sin)  # into place: a third of the time of putting halves together
        torch.mul(y, cos, out=second).add_(x * sin)
        last.copy_(rest)
        return moved.to(keys.dtype)

    def turns(self, by: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of the angles by which keys are turned, (..., D/2).

        Taken from a table of the distances up to `TABLE`, made once for a model: O(TABLE D) bytes at most.
        """
        if by.is_floating_point() or not by.numel() or (far := int(by.abs().max())) >= TABLE:
            angle = by.float()[..., None] * self.frequencies.to(by.device)
            return angle.cos(), angle.sin()
        if self.table is None or far >= len(self.table[0]) or self.table[0].device != by.device:
            with torch.inference_mode(False):
                angle = torch.arange(1 << far.bit_length(), device=by.device)[:, None] * self.frequencies.to(by.device)
                self.table = angle.cos(), angle.sin()
        cos, sin = (t[by.abs()] for t in self.table)
        return cos, sin * by.sign()[..., None]

    def check(self, key: Tensor, moved: Tensor, by: int) -> None:
        """Raise InvalidInput unless `key` moved by `by` positions is `moved`, which the model computed there.

        Interleaved RoPE fails, for one.
        """
        error = (self.shift(key, by) - moved).abs().max() / moved.abs().max().clamp_min(1e-9)
        if error > 1e-2:
            raise InvalidInput(
                f"this model lays out its rotary positions in another way (error {float(error):.2f}): "
                "use a method that keeps positions as they are."
            )


def checked_rotary(model: Any) -> Rotary:
    """Return the rotation of a model's keys, checked against the keys of one token that the model reads eight times.

    Raises InvalidInput for a model whose keys cannot be moved.
    """
    rotary = Rotary(model)
    cache = DynamicCache()
    device = next(model.parameters()).device
    token = model.config.get_text_config(decoder=True).vocab_size // 2  # not 0, which may be padding: its keys are 0
    with torch.no_grad():
        model(torch.full((1, 8), token, device=device), past_key_values=cache)
    keys = cache.layers[0].keys
    rotary.check(keys[:, :, :1], keys[:, :, 7:], 7)
    return rotary

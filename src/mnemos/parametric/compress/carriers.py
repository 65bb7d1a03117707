"""Carriers in few bits: the tensors of a carrier, rounded when they are stored and widened when they are read."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.rounding import Rounded, RoundToNearest

SMALL = 256  # numbers up to which a tensor is kept as it is: scales would cost more than they save
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_PARTS = ("planes", "scale", "low")
_MARK = "mnemos.rounded"  # of a tensor that is stored in parts


def rounded(tensors: Mapping[str, Tensor], bits: int = 8, group: int = 64) -> dict[str, Tensor]:
    """Return the tensors of a carrier with numbers of `bits` bits, as tensors that safetensors can hold.

    Integers and tensors of at most 256 numbers are kept as they are. What it costs in recall is measured by
    `mnemos bench weight-compression`; the tensors that come back are close to these, not equal.
    """
    knobs = RoundToNearest(bits, group)
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if f"/{_MARK}" in name:
            raise InvalidInput(f"{name} is rounded already: widen the tensors first.")
        if tensor.numel() <= SMALL or not tensor.is_floating_point() or tensor.dim() < 2:
            kept[name] = tensor
            continue
        small = knobs.compress(tensor.reshape(-1, tensor.shape[-1]))
        code = list(_DTYPES).index(tensor.dtype)
        kept[f"{name}/{_MARK}"] = torch.tensor([code, group, *tensor.shape])
        kept |= {f"{name}/{part}": getattr(small, part) for part in _PARTS}
    return kept


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a carrier from those of `rounded`; others are returned as they are."""
    whole = [name.removesuffix(f"/{_MARK}") for name in tensors if name.endswith(f"/{_MARK}")]
    parts = {f"{name}/{part}" for name in whole for part in (_MARK, *_PARTS)}
    found = {name: tensor for name, tensor in tensors.items() if name not in parts}
    for name in whole:
        code, group, *shape = tensors[f"{name}/{_MARK}"].tolist()
        planes, scale, low = (tensors[f"{name}/{part}"] for part in _PARTS)
        found[name] = Rounded(planes, scale, low, shape[-1], group, _DTYPES[code]).decompress().reshape(shape)
    return found

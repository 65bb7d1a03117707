"""Keys and values as bytes: what a KV cube holds, in safetensors (no pickle: reading one never runs code)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mnemos.activation.cache import MemoryCache
from mnemos.activation.compress.bits import Packed, pack, unpack
from mnemos.activation.entries import Entries
from mnemos.activation.plain import Plain
from mnemos.errors import InvalidInput, StoreCorrupt

VERSION, PACKED_VERSION = 1, 2  # of what is held as it is, and in few bits: another layout since 2
PARTS = ("codes", "scale", "low")
AXES = {"keys": 2, "values": 3}  # keys per channel, values per token: KIVI, arXiv 2402.02750
GROUP = 32  # numbers that share a scale


@dataclass
class Segment:
    """Keys and values of consecutive tokens, by layer."""

    digest: str  # of the model and the tokens
    keys: list[Tensor]  # (1, H, T, D) each
    values: list[Tensor]  # (1, H, T, D) each

    def __len__(self) -> int:
        return int(self.keys[0].shape[2])

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(t.numel() * t.element_size() for t in (*self.keys, *self.values))

    def to(self, device: torch.device) -> Segment:
        """Return the segment on a device."""
        return Segment(self.digest, [t.to(device) for t in self.keys], [t.to(device) for t in self.values])


def cut(cache: MemoryCache, start: int, stop: int, digest: str) -> Segment:
    """Return tokens `start` to `stop` of a cache that has evicted nothing, as copies."""
    layers = [(layer.keys, layer.values) for layer in cache.layers]
    return Segment(
        digest,
        [k[:, :, start:stop].detach().clone() for k, _ in layers],
        [v[:, :, start:stop].detach().clone() for _, v in layers],
    )


def fill(cache: MemoryCache, segments: Sequence[Segment]) -> None:
    """Put segments, one after another, into an empty cache, as if their tokens had just been read.

    Raises InvalidInput for a cache that has read something, and for one that does not hold entries as they are.
    """
    if cache.tokens_read:
        raise InvalidInput(f"the cache has read {cache.tokens_read} tokens already: fill an empty one.")
    device = next(cache.model.parameters()).device
    for index, layer in enumerate(cache.layers):
        keys = torch.cat([s.keys[index] for s in segments], 2).to(device)
        values = torch.cat([s.values[index] for s in segments], 2).to(device)
        store = layer.groups[0].store
        if not isinstance(store, Plain):
            raise InvalidInput(
                f"a cache that holds entries in a {type(store).__name__} cannot be filled: make a plain one."
            )
        store.replace(Entries(keys, values))
        layer.tokens_read = layer.prompt = int(keys.shape[2])
        layer.is_initialized = True


def to_bytes(segment: Segment, bits: int | None = None) -> bytes:
    """Return a segment as safetensors, with `bits` (8, 4 or 2) quantised.

    Keys are rounded per channel and values per token, as in KIVI.
    """
    tensors: dict[str, Tensor] = {}
    for index, (keys, values) in enumerate(zip(segment.keys, segment.values, strict=True)):
        for side, tensor in (("keys", keys), ("values", values)):
            name = f"{index}.{side}"
            if bits is None:
                tensors[name] = tensor.contiguous()
            else:
                packed = pack(tensor, bits, AXES[side], GROUP)
                tensors |= {f"{name}.{part}": getattr(packed, part) for part in PARTS}
    first = segment.keys[0]
    version = PACKED_VERSION if bits else VERSION
    metadata = {"version": version, "digest": segment.digest, "layers": len(segment.keys), "bits": bits,
             "shape": list(first.shape), "dtype": str(first.dtype).removeprefix("torch.")}  # fmt: skip
    return bytes(save(tensors, metadata={"mnemos": json.dumps(metadata)}))


def from_file(path: Path, digest: str) -> Segment:
    """Read what `to_bytes` made.

    Raises StoreCorrupt for a file that is damaged, or of other tokens or another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("mnemos", "null"))
            known = isinstance(metadata, dict) and metadata.get("digest") == digest
            if not known or metadata.get("version") != (PACKED_VERSION if metadata.get("bits") else VERSION):
                raise StoreCorrupt(
                    f"{path.name} does not hold the keys and values that it is named after: delete it, "
                    "it is made again when needed."
                )
            sides: list[list[Tensor]] = []
            for side in ("keys", "values"):
                sides.append([_read(file, f"{index}.{side}", metadata) for index in range(int(metadata["layers"]))])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise StoreCorrupt(f"{path.name} cannot be read ({error}): delete it, it is made again when needed.") from error
    return Segment(digest, *sides)


def _read(file: Any, name: str, metadata: dict[str, Any]) -> Tensor:
    bits = metadata["bits"]
    if bits is None:
        return file.get_tensor(name)
    axis, shape = AXES[name.split(".")[1]], metadata["shape"]
    codes, scale, low = (file.get_tensor(f"{name}.{part}") for part in PARTS)
    dtype = getattr(torch, metadata["dtype"])
    return unpack(Packed(codes, scale, low, tuple(shape), dtype, bits, axis, min(GROUP, shape[axis])))

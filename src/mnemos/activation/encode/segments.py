"""Keys and values as bytes: what a KV cube holds, in safetensors (no pickle: reading one never runs code)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
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

VERSION = 2
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


def rounded(segment: Segment, bits: int) -> Segment:
    """Return a segment as it comes back from disk when it is written with `bits`."""

    def back(tensors: list[Tensor], axis: int) -> list[Tensor]:
        return [unpack(pack(t, bits, axis, GROUP)) for t in tensors]

    return Segment(segment.digest, back(segment.keys, AXES["keys"]), back(segment.values, AXES["values"]))


def to_bytes(segment: Segment, bits: int | None = None) -> bytes:
    """Return a segment as safetensors, with `bits` (8, 4 or 2) quantised.

    Keys are rounded per channel and values per token, as in KIVI. A checksum covers everything.
    """
    tensors: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for index, (keys, values) in enumerate(zip(segment.keys, segment.values, strict=True)):
        for side, tensor in (("keys", keys), ("values", values)):
            name = f"{index}.{side}"
            if bits is None:
                tensors[name] = tensor.contiguous()
            else:
                packed = pack(tensor, bits, AXES[side], GROUP)
                tensors |= {f"{name}.{part}": getattr(packed, part).contiguous() for part in PARTS}
                shapes[name] = list(tensor.shape)
    metadata = {"version": VERSION, "digest": segment.digest, "layers": len(segment.keys), "bits": bits,
             "shapes": shapes, "dtype": str(segment.keys[0].dtype).removeprefix("torch.")}  # fmt: skip
    metadata["checksum"] = _checksum(metadata, tensors)
    return bytes(save(tensors, metadata={"mnemos": json.dumps(metadata)}))


def _checksum(metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    """Return the CRC-32 of what a file says and holds. It finds damage, not forgery."""
    said = {name: value for name, value in metadata.items() if name != "checksum"}
    found = zlib.crc32(json.dumps(said, sort_keys=True).encode())
    for name in sorted(tensors):
        found = zlib.crc32(name.encode(), found)
        found = zlib.crc32(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data, found)
    return found


def from_file(path: Path, digest: str) -> Segment:
    """Read what `to_bytes` made.

    Raises StoreCorrupt for a file that is damaged, or of other tokens or another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("mnemos", "null"))
            if not isinstance(metadata, dict) or metadata.get("version") != VERSION or metadata.get("digest") != digest:
                raise StoreCorrupt(
                    f"{path.name} does not hold the keys and values that it is named after: delete it, "
                    "it is made again when needed."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        if _checksum(metadata, tensors) != metadata.get("checksum"):
            raise StoreCorrupt(f"{path.name} is damaged: delete it, it is made again when needed.")
        layers = range(int(metadata["layers"]))
        keys, values = ([_side(tensors, f"{i}.{side}", metadata) for i in layers] for side in ("keys", "values"))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise StoreCorrupt(f"{path.name} cannot be read ({error}): delete it, it is made again when needed.") from error
    return Segment(digest, keys, values)


def _side(tensors: Mapping[str, Tensor], name: str, metadata: Mapping[str, Any]) -> Tensor:
    bits = metadata["bits"]
    if bits is None:
        return tensors[name]
    axis, shape = AXES[name.split(".")[1]], metadata["shapes"][name]
    codes, scale, low = (tensors[f"{name}.{part}"] for part in PARTS)
    dtype = getattr(torch, metadata["dtype"])
    return unpack(Packed(codes, scale, low, tuple(shape), dtype, bits, axis, min(GROUP, shape[axis])))

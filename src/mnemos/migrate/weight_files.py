"""Weights as bytes: safetensors with a header of JSON, so that reading one never runs code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mnemos.errors import StoreCorrupt
from mnemos.migrate.weight_cubes import digest_of
from mnemos.parametric.base import Example
from mnemos.parametric.compress.carriers import widened

VERSION = 1
NAME = "mnemos"  # of the header among the metadata of the file


@dataclass(frozen=True, slots=True)
class WeightFile:
    """What the payload of a weight cube holds."""

    method: str  # the carrier's name in the registry
    knobs: Mapping[str, Any]  # its fields
    model: str  # fingerprint of the model that it was learned for
    examples: tuple[Example, ...]  # what was learned, to measure it again
    paraphrases: tuple[Example, ...]  # the same asked in other words
    chat: bool  # whether it was learned, and is asked, by the tokenizer's template
    tensors: Mapping[str, Tensor]

    def to_bytes(self) -> bytes:
        """Return the file."""
        header = {
            "version": VERSION, "method": self.method, "knobs": dict(self.knobs), "model": self.model,
            "examples": [asdict(e) for e in self.examples], "paraphrases": [asdict(e) for e in self.paraphrases],
            "chat": self.chat,
        }  # fmt: skip
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return bytes(save(tensors, metadata={NAME: json.dumps(header)}))


def read_weights(path: Path, digest: str) -> WeightFile:
    """Read the payload of a cube that says `digest` of it. Raises StoreCorrupt when it is another one, or damaged."""
    try:
        data = path.read_bytes()
        if digest_of(data) != digest:
            raise StoreCorrupt(
                f"the weights in {path.name} are damaged, or not those that were written: remove them "
                "(`space.weights.remove`) and learn them again. The texts that they were learned from are not affected."
            )
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][NAME])
        if header["version"] != VERSION:
            raise StoreCorrupt(f"{path.name} was written by a newer Mnemos than this one: upgrade it.")
        examples, asked = (tuple(Example(**e) for e in header[name]) for name in ("examples", "paraphrases"))
        of = str(header["method"]), _tuples(header["knobs"]), str(header["model"])
        return WeightFile(*of, examples, asked, bool(header["chat"]), widened(load(data)))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoreCorrupt(f"the weights in {path.name} cannot be read ({error}): learn them again.") from error


def _tuples(value: Any) -> Any:
    """Return knobs as a carrier has them: JSON makes lists of tuples."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_tuples(item) for item in value)
    return {name: _tuples(item) for name, item in value.items()} if isinstance(value, dict) else value

"""Where the blocks of a sequence go when the pool is full: to memory, or to files."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mnemos.errors import StoreCorrupt, StoreError


class Swap(Protocol):
    """Keeps one tensor a sequence. `put` and `take` come in pairs; `drop` is for one that will not come back."""

    @property
    def nbytes(self) -> int:
        """Bytes kept now."""

    def put(self, name: str, blocks: Tensor) -> None:
        """Keep the tensor under a name that is not in use. Raises StoreError where it cannot be written."""

    def take(self, name: str) -> Tensor:
        """Return the tensor, still kept: `drop` it once it is back. Raises StoreError where it cannot be read."""

    def drop(self, name: str) -> None:
        """Forget the tensor."""


@dataclass(slots=True)
class RamSwap:
    """Keeps the tensors in memory, which for a pool on an accelerator is the host's."""

    held: dict[str, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes kept now."""
        return sum(x.nbytes for x in self.held.values())

    def put(self, name: str, blocks: Tensor) -> None:
        """Keep the tensor."""
        self.held[name] = blocks.to("cpu")

    def take(self, name: str) -> Tensor:
        """Return the tensor."""
        return self.held[name]

    def drop(self, name: str) -> None:
        """Forget the tensor."""
        del self.held[name]


@dataclass(slots=True)
class DiskSwap:
    """Keeps each tensor as a safetensors file in a folder of its own, made when missing.

    The files belong to this process: they are scratch, not memory that outlives it. They have numbers for names, so
    that any name of a sequence will do.
    """

    folder: Path
    held: dict[str, Path] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def nbytes(self) -> int:
        """Bytes of the files."""
        return sum(path.stat().st_size for path in self.held.values())

    def put(self, name: str, blocks: Tensor) -> None:
        """Write the file under another name and then rename it: what has its name is whole."""
        path = self.folder / f"{next(self._numbers)}.safetensors"
        part = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({"blocks": blocks.to("cpu", copy=False).contiguous()}, part)
            part.replace(path)
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"{path}: blocks cannot be swapped out ({error}). They are still in the pool.") from error
        self.held[name] = path

    def take(self, name: str) -> Tensor:
        """Read the file."""
        path = self.held[name]
        try:
            blocks: Tensor = load_file(path)["blocks"]
        except OSError as error:
            raise StoreError(f"{path}: swapped blocks cannot be read ({error}): compute the sequence again.") from error
        except (SafetensorError, KeyError) as error:
            raise StoreCorrupt(f"{path}: damaged swap file ({error}): compute the sequence again.") from error
        return blocks

    def drop(self, name: str) -> None:
        """Remove the file."""
        self.held.pop(name).unlink(missing_ok=True)

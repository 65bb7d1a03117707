"""Swap space for the blocks of sequences that are moved out of a pool: memory, or files."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mnemos.errors import StoreCorrupt, StoreError


@dataclass(slots=True)
class RamSwap:
    """Keeps the tensors in memory; for a pool on an accelerator, in the host's."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    enabled: bool = field(default=True, init=False)

    @property
    def nbytes(self) -> int:
        """Bytes kept now."""
        return sum(x.nbytes for x in self.tensors.values())

    def put(self, name: str, blocks: Tensor) -> None:
        """Keep the tensor."""
        self.tensors[name] = blocks.to("cpu")

    def take(self, name: str) -> Tensor:
        """Return the tensor."""
        return self.tensors[name]

    def drop(self, name: str) -> None:
        """Delete the tensor."""
        del self.tensors[name]


@dataclass(slots=True)
class DiskSwap:
    """Keeps each tensor as a safetensors file.

    The files are scratch space of this process, not memory that outlives it. They are named by numbers, so a sequence
    may have any name.
    """

    folder: Path  # its own; created when missing
    files: dict[str, Path] = field(default_factory=dict)
    enabled: bool = field(default=True, init=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def nbytes(self) -> int:
        """Bytes of the files."""
        return sum(path.stat().st_size for path in self.files.values())

    def put(self, name: str, blocks: Tensor) -> None:
        """Write the file under a temporary name and rename it, so that no file is ever half written."""
        path = self.folder / f"{next(self._numbers)}.safetensors"
        part = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({"blocks": blocks.to("cpu", copy=False).contiguous()}, part)
            part.replace(path)
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"{path}: blocks cannot be swapped out ({error}). They are still in the pool.") from error
        self.files[name] = path

    def take(self, name: str) -> Tensor:
        """Read the file."""
        path = self.files[name]
        try:
            blocks: Tensor = load_file(path)["blocks"]
        except OSError as error:
            raise StoreError(
                f"{path}: swapped blocks cannot be read ({error}). Free the sequence and compute it again."
            ) from error
        except (SafetensorError, KeyError) as error:
            raise StoreCorrupt(
                f"{path}: the swap file is damaged ({error}). Free the sequence and compute it again."
            ) from error
        return blocks

    def drop(self, name: str) -> None:
        """Delete the file."""
        self.files.pop(name).unlink(missing_ok=True)

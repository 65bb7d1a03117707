"""Trained models in the user's cache folder (`MNEMOS_CACHE`, else the platform's), keyed by how they were made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path
from safetensors.torch import load_file, save_file

Make = Callable[[Path], Any]  # builds the untrained model of a folder


@dataclass(frozen=True)
class Trained:
    """A trained model, in evaluation mode and without gradients, with the record of its training and its folder."""

    model: Any
    record: dict[str, Any]
    path: Path


def cache_root() -> Path:
    """Return the user's cache folder."""
    return Path(os.environ.get("MNEMOS_CACHE") or user_cache_path("mnemos"))


def folder(name: str, recipe: Sequence[Any], cache: Path | None = None) -> Path:
    """Return the folder of a model, which may not exist yet; `recipe` is ready for JSON."""
    root = cache or cache_root()
    key = json.dumps(recipe, sort_keys=True)
    return root / "small" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def find(path: Path, make: Make) -> Trained | None:
    """Return the model in a folder, or None. A damaged folder is removed, with a warning."""
    if not path.exists():
        return None
    try:
        return load(path, make)
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(f"{path} is damaged ({error}): removed, and the model is trained again.", stacklevel=3)
        shutil.rmtree(path)
        return None


def save(model: Any, record: dict[str, Any], path: Path, describe: Callable[[Path], Any] | None = None) -> None:
    """Write weights and record to a folder atomically; a folder that another process wrote is kept.

    `describe` writes what else a reader needs, such as a configuration.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as name:
        part = Path(name) / "model"
        part.mkdir()
        if describe is not None:
            describe(part)
        save_file(model.state_dict(), part / "model.safetensors", metadata={"format": "pt"})
        (part / "training.json").write_text(json.dumps(record | {"sha256": checksum(part)}, indent=1), encoding="utf-8")
        try:
            part.rename(path)
        except OSError:
            if not path.exists():
                raise


def load(path: Path, make: Make) -> Trained:
    """Read a folder of `save`. Raises ValueError for changed weights, OSError when it is missing."""
    record = json.loads((path / "training.json").read_text(encoding="utf-8"))
    if checksum(path) != record["sha256"]:
        raise ValueError("the weights have another SHA-256 than the record")
    model = make(path)
    model.load_state_dict(load_file(path / "model.safetensors"))
    return Trained(model.eval().requires_grad_(False), record, path)


def checksum(path: Path) -> str:
    """Return the SHA-256 of the weights in a folder."""
    return hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()

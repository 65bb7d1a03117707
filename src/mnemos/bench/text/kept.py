"""An embedder whose vectors are kept in a file, so that another run of a benchmark embeds nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mnemos.embed import Embedder, load
from mnemos.embed.base import Progress, Vectors
from mnemos.errors import InvalidInput


class KeptEmbedder:
    """Embeds by another embedder what its file does not have yet. `save` writes the file."""

    def __init__(self, inner: Embedder, path: Path | None) -> None:
        self._inner, self._path = inner, path
        self.name, self.revision, self.dimension = inner.name, inner.revision, inner.dimension
        self._model = f"{self.name} {self.revision} {self.dimension}"
        self._known: dict[str, Vectors] = {}
        if path is not None and path.exists():
            with np.load(path) as data:
                if str(data["model"]) != self._model:
                    raise InvalidInput(
                        f"{path} has vectors of {data['model']}, not of {self._model}: give another file."
                    )
                self._known = dict(zip(data["names"].tolist(), data["vectors"], strict=True))

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, D) rows of unit length."""
        names = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
        new = {name: text for name, text in zip(names, texts, strict=True) if name not in self._known}
        if new:
            self._known |= zip(new, self._inner.embed(list(new.values()), progress=progress), strict=True)
        return np.stack([self._known[name] for name in names])

    def save(self) -> None:
        """Write what is known, where there is a path."""
        if self._path is not None:
            names, vectors = list(self._known), np.stack(list(self._known.values()))
            np.savez(self._path, model=self._model, names=np.array(names), vectors=vectors.astype(np.float32))


@contextmanager
def kept(spec: str, path: Path | None) -> Iterator[KeptEmbedder]:
    """Yield an embedder by its spec, and save its vectors at the end. Raises InvalidInput for "none"."""
    inner = load(spec)
    if inner is None:
        raise InvalidInput("this needs vectors: give an embedder other than none.")
    embedder = KeptEmbedder(inner, path)
    yield embedder
    embedder.save()

"""Vectors of the bundled embedder for what the guard compares, whatever embedder the space has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube
from mnemos.embed.minilm import MiniLM
from mnemos.errors import EmbedderError
from mnemos.text.memory import TextMemory

Floats = NDArray[np.float32]


def bundled_vectors(
    memory: TextMemory, cubes: Sequence[MemCube], most: int | None = None, seen: dict[str, Floats] | None = None
) -> Callable[[Sequence[str]], Floats]:
    """Return a function that embeds texts, (n, 384): those of the cubes by what is stored, others at 3 ms for 20 words.

    Of the others only the first `most` characters are read, or all; what is in `seen` is not embedded again, and what was
    embedded is put there. Where the bundled embedder fails the vectors are zeros, which say nothing for or against a text.
    """
    seen = {} if seen is None else seen
    embedder = memory.embedder if isinstance(memory.embedder, MiniLM) else _shared()
    stored = cache(lambda: _stored(memory, cubes) if embedder is memory.embedder else {})

    def embed(texts: Sequence[str]) -> Floats:
        known = stored()
        new = [text for text in dict.fromkeys(texts) if text not in known and text not in seen]
        if new:
            with suppress(EmbedderError):
                seen.update(zip(new, embedder.embed([text[:most] for text in new]), strict=True))
        found = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
        for i, text in enumerate(texts):
            vector = known.get(text, seen.get(text))
            if vector is not None:
                found[i] = vector
        return found

    return embed


@cache
def _shared() -> MiniLM:
    return MiniLM()


def _stored(memory: TextMemory, cubes: Sequence[MemCube]) -> dict[str, Floats]:
    corpus = memory.corpus()
    if corpus is None:
        return {}
    current = memory.store.get([cube.id for cube in cubes])
    names = [cube.id for cube in cubes if current.get(cube.id) == cube]
    found: dict[str, Floats] = {}
    for name, key in zip(names, memory.store.keys_of(names), strict=True):
        at = int(np.searchsorted(corpus.keys, key))
        if at < len(corpus) and corpus.keys[at] == key and corpus.vectors.present[at]:
            found[current[name].text] = corpus.vectors.take(np.array([at]))[0]
    return found

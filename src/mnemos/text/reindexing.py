"""Vectors of a space after a change of its embedding model: computed from the texts, or mapped from those of the old one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.base import Progress, Vectors
from mnemos.embed.portable import Portable
from mnemos.errors import InvalidInput
from mnemos.facts import Reading
from mnemos.store.setting import stored_value
from mnemos.tasks import INLINE, Workers
from mnemos.text.encode.readings import embed_and_read
from mnemos.text.encode.vector_map import VectorMap
from mnemos.text.memory import TextMemory

BATCH = 256
MAPPED = "mapped"  # the value that says which vectors were mapped: {"model": m, "until": the last key}
LEAST = 100  # texts that a map is fitted on


@dataclass(frozen=True, slots=True)
class Shard:
    """Texts of one space that a worker embeds, by key."""

    embedder: Portable
    rows: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a worker returns for a shard: as the owner of the space stores it."""

    vectors: Sequence[tuple[int, NDArray[np.float16]]]
    readings: Sequence[tuple[int, tuple[Reading, ...]]]


def reindex(
    memory: TextMemory, progress: Progress | None = None, workers: Workers = INLINE, sample: int | None = None
) -> int:
    """Compute the vectors that are missing for the space's embedder, and read those texts; return their number.

    It works from the stored texts in shards, which `workers` embed and this process commits, each in a transaction of its own:
    it can be stopped and started again, and a shard that is embedded twice changes nothing. At the end the vectors of
    other models are deleted. With `sample` only that number of texts, drawn at random, is embedded, and the vectors of the
    others are mapped from those of the model before (`vector-map`): searches work after seconds, a little worse; the next
    call without `sample` computes the mapped ones too. Raises EmbedderError, WorkerLost, and InvalidInput without an embedder,
    for a sample below 100, or one of a space without vectors of another model.
    """
    model = memory.model_key()
    if memory.embedder is None or model is None:
        raise InvalidInput("there is no embedder to reindex with. Open Mnemos with one, such as 'bundled'.")
    embedder = Portable(memory.embedder)
    done, before = 0, -1
    if sample is not None:
        done = _map(memory, model, sample, progress, workers)
    while done > before:  # again: what another process wrote without a vector in the meantime
        before = done
        done += _embed(memory, model, _shards(memory, model, embedder), progress, workers)
    if sample is None and (mapped := stored_value(memory.store, MAPPED, read_mapped)) is not None:
        if mapped["model"] == model:
            done += _embed(memory, model, _shards(memory, 0, embedder, mapped["until"]), progress, workers)
        memory.store.meta.set(MAPPED, "")
    memory.store.vectors.drop_others(model)
    return done


def embed_shard(shard: Shard) -> Embedded:
    """Embed and read the texts of a shard. Raises EmbedderError."""
    keys = [key for key, _ in shard.rows]
    vectors, readings = embed_and_read([text for _, text in shard.rows], shard.embedder.embedder)
    halves = (vector.astype(np.float16) for vector in vectors)
    return Embedded(list(zip(keys, halves, strict=True)), list(zip(keys, readings, strict=True)))


def read_mapped(text: str) -> dict[str, int]:
    """Return which vectors were mapped, as stored. Raises ValueError or KeyError for another text."""
    found = json.loads(text)
    return {name: int(found[name]) for name in ("model", "until")}


def _embed(memory: TextMemory, model: int, shards: Iterator[Shard], progress: Progress | None, workers: Workers) -> int:
    """Embed shards and store what comes back; return the number of vectors."""
    done = 0
    for found in workers.run(embed_shard, shards):
        with memory.store.transaction():
            memory.store.vectors.put(model, found.vectors)
            memory.store.readings.put(found.readings)
        done += len(found.vectors)
        if progress:
            progress(len(found.vectors))
    return done


def _map(memory: TextMemory, model: int, sample: int, progress: Progress | None, workers: Workers) -> int:
    """Embed a sample of the texts without a vector, and map the vectors of the others; return the number of vectors."""
    if sample < LEAST:
        raise InvalidInput(f"a sample of {sample} texts is too small for a map: give at least {LEAST}.")
    store, old = memory.store, _model_before(memory, model)
    if old is None:
        raise InvalidInput(
            f"space {memory.name!r} has no vectors of another model that could be mapped: reindex it without a sample."
        )
    keys = [key for rows in _pages(memory, model) for key in store.vectors.of(old, [key for key, _ in rows])]
    drawn = set(random.Random(0).sample(keys, min(sample, len(keys))))
    embedder = Portable(memory.embedder)  # type: ignore[arg-type]  # `reindex` has checked it
    shards = (
        Shard(embedder, chosen)
        for rows in _pages(memory, model)
        if (chosen := [row for row in rows if row[0] in drawn])
    )
    done = _embed(memory, model, shards, progress, workers)
    if not (left := len(keys) - done):
        return done
    fitted = VectorMap.fit(*_pairs(memory, old, model, sorted(drawn)))
    with store.transaction():
        store.meta.set(MAPPED, json.dumps({"model": model, "until": max(keys)}))
    for rows in _pages(memory, model):
        found = store.vectors.of(old, [key for key, _ in rows])
        if not found:
            continue
        mapped = fitted(np.stack(list(found.values()))).astype(np.float16)
        store.vectors.put(model, zip(found, mapped, strict=True))
        if progress:
            progress(len(found))
    return done + left


def _model_before(memory: TextMemory, model: int) -> int | None:
    """Return the number of the other model with the most vectors; None if there is none."""
    vectors = memory.store.vectors
    counts = {vectors.model(m["name"], m["revision"], m["dimension"]): m["vectors"] for m in _models(memory)}
    others = {m: count for m, count in counts.items() if m != model and count}
    return max(others, key=lambda m: others[m]) if others else None


def _models(memory: TextMemory) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = memory.store.stats()["models"]
    return found


def _pairs(memory: TextMemory, old: int, new: int, keys: Sequence[int]) -> tuple[Vectors, Vectors]:
    """Return the vectors of both models of those texts that have both."""
    of = memory.store.vectors.of
    before, now = of(old, keys), of(new, keys)
    both = [key for key in before if key in now]
    return np.stack([before[key] for key in both]), np.stack([now[key] for key in both])


def _pages(memory: TextMemory, model: int) -> Iterator[list[tuple[int, str]]]:
    """Yield the texts without a vector of a model, in the order of keys."""
    after = 0
    while rows := memory.store.vectors.missing(model, after=after, limit=BATCH):
        yield rows
        after = rows[-1][0]


def _shards(memory: TextMemory, model: int, embedder: Portable, until: int | None = None) -> Iterator[Shard]:
    """Yield the texts without a vector of a model, up to a key; there is no model 0, so that all texts are without its."""
    for rows in _pages(memory, model):
        if some := [row for row in rows if until is None or row[0] <= until]:
            yield Shard(embedder, some)

"""PrefillCache: cubes read once by a model, their keys and values kept in RAM and on disk, and put in front of prompts."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import torch

from mnemos.activation import MemoryCache, read
from mnemos.activation.encode.segments import Segment, cut, fill, from_file, to_bytes
from mnemos.cube import MemCube, to_micros
from mnemos.errors import Conflict, InvalidInput, StoreCorrupt
from mnemos.migrate.base import Activated, Mode, Render
from mnemos.migrate.pieces import Fingerprints, Piece, check_model, render, to_pieces
from mnemos.migrate.schedule import RetentionSchedule, SegmentStats
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.values import Entry, Filter

RAM = 1 << 30  # bytes of segments that a cache keeps in RAM
ALL = 1_000_000  # KV cubes read at once


@register(
    "activate",
    papers=(
        Paper("MemOS: A Memory OS for AI System", "2507.03724", code="MemTensor/MemOS"),
        Paper("RoFormer: Enhanced Transformer with Rotary Position Embedding", "2104.09864"),
    ),
    task="kv-speed",
)
@dataclass
class PrefillCache:
    """Keeps what models have computed of a space's cubes in two tiers, RAM and disk.

    RAM holds the segments used last. The disk holds every segment until `prune` deletes those that the schedule does not
    keep. A segment is a KV cube derived from the cubes it was read from: erasing or updating one of them erases it.
    """

    store: Store
    clock: Callable[[], datetime]
    ram: int = RAM  # bytes of segments in RAM at most
    schedule: RetentionSchedule = field(default_factory=RetentionSchedule)
    bits: int | None = (
        None  # of a stored number: 8, 4 or 2 quantise what is written to disk; None keeps the model's type
    )
    _uses: dict[str, tuple[int, int]] = field(default_factory=dict)  # not yet persisted: times used, and when last
    _segments: OrderedDict[str, Segment] = field(default_factory=OrderedDict)  # in RAM, the least recently used first
    _fingerprints: Fingerprints = field(default_factory=Fingerprints)

    def __post_init__(self) -> None:
        self.store.blobs.sweep({cube.id for cube in self._stored()})
        self.store.on_erase(self._forget)

    # -- activate

    def activate(
        self, cubes: Sequence[MemCube], model: Any, tokenizer: Any, *, mode: Mode = "exact", render: Render = render
    ) -> Activated:
        """Return cubes, in this order, as a prefix that costs no prefill where it was computed before.

        In mode "exact" each cube is read after those before it: the longest prefix of cubes that was activated before is
        reused, and the rest is read. In mode "block" each cube is read alone, once, and the cubes are joined in any order
        with their positions moved; that is cheap to recombine and costs some accuracy, since no cube has seen the others.
        Raises InvalidInput without cubes, for an unknown mode, and for a model whose layers do not hold all tokens.
        """
        start = time.perf_counter()
        if mode not in ("exact", "block"):
            raise InvalidInput(f"mode is {mode!r}: choose 'exact' or 'block'.")
        if not cubes:
            raise InvalidInput("there is nothing to activate: no cube was given, or none was found.")
        check_model(model)
        pieces = to_pieces(cubes, self._fingerprints.of(model), tokenizer, mode, render, self.bits)
        segments, sources = self._gather(pieces, model, mode)
        cache = MemoryCache(model)
        fill(cache, _joined(segments, cache) if mode == "block" else segments)
        ids = torch.tensor([[t for piece in pieces for t in piece.tokens]], device=next(model.parameters()).device)
        now = to_micros(self.clock())
        for piece in pieces:
            self._uses[piece.id] = (self._uses.get(piece.id, (0, 0))[0] + 1, now)
        seconds = time.perf_counter() - start
        return Activated(model, tokenizer, tuple(c.id for c in cubes), ids, cache, sources, seconds)

    def _gather(self, pieces: Sequence[Piece], model: Any, mode: Mode) -> tuple[list[Segment], dict[str, int]]:
        """Return the segments of the pieces, from RAM, from disk, or by reading; and how many came from each."""
        sources = {"ram": 0, "disk": 0, "prefill": 0}
        existing = set(self.store.get([piece.id for piece in pieces]))
        segments: list[Segment] = []
        for index, piece in enumerate(pieces):
            segment = self._find(piece, existing, sources)
            if segment is None and mode == "exact":
                segments += self._read(pieces, index, segments, model)
                sources["prefill"] += len(pieces) - index
                break
            if segment is None:
                segment = self._read([piece], 0, [], model)[0]
                sources["prefill"] += 1
            segments.append(segment)
        self._hold(pieces, segments)
        return segments, sources

    def _find(self, piece: Piece, existing: set[str], sources: dict[str, int]) -> Segment | None:
        if piece.id not in existing:
            self._segments.pop(piece.id, None)  # erased or updated, perhaps by another process
            return None
        held = self._segments.get(piece.id)
        if held is not None and held.digest == piece.digest:
            sources["ram"] += 1
            return held
        try:
            segment = from_file(self.store.blobs.path(piece.id), piece.digest)
        except StoreCorrupt:  # missing or damaged: it is computed again
            self.store.erase([piece.id])
            return None
        sources["disk"] += 1
        return segment

    def _read(self, pieces: Sequence[Piece], first: int, before: Sequence[Segment], model: Any) -> list[Segment]:
        """Let the model read the pieces from index `first` on, after the segments `before`; store and return each."""
        cache = MemoryCache(model)
        if before:
            fill(cache, before)
        segments = []
        for piece in pieces[first:]:
            start, at = time.perf_counter(), cache.tokens_read
            read(model, torch.tensor([piece.tokens], device=next(model.parameters()).device), cache)
            segment = cut(cache, at, cache.tokens_read, piece.digest).to(torch.device("cpu"))
            self._write(piece, segment, time.perf_counter() - start)
            segments.append(segment)
        return segments

    def _write(self, piece: Piece, segment: Segment, seconds: float) -> None:
        """Write a segment and its cube to disk, unless a cube it was read from was erased or updated concurrently."""
        now = self.clock()
        size = self.store.blobs.write(piece.id, to_bytes(segment, self.bits))
        metadata = {"digest": piece.digest, "tokens": len(piece.tokens), "bytes": size, "seconds": seconds}
        cube = MemCube(
            id=piece.id, text="", space=piece.cube.space, at=now, learned=now, form="activation", kind="kv",
            source="mnemos", parents=piece.parents, metadata=metadata,
        )  # fmt: skip
        with contextlib.suppress(Conflict), self.store.transaction():  # Conflict: another process wrote it first
            parents = self.store.get(piece.parents)
            if len(parents) == len(set(piece.parents)) and parents[piece.cube.id].version == piece.cube.version:
                self.store.insert([Entry(cube, ())], None)
                return
        if piece.id not in self.store.get([piece.id]):
            self.store.blobs.drop([piece.id])

    # -- tiers

    def _hold(self, pieces: Sequence[Piece], segments: Sequence[Segment]) -> None:
        """Hold segments in RAM as the most recently used, and evict the least recently used that do not fit."""
        for piece, segment in zip(pieces, segments, strict=True):
            self._segments.pop(piece.id, None)
            self._segments[piece.id] = segment
        held = self.ram_bytes
        while held > self.ram and self._segments:
            held -= self._segments.popitem(last=False)[1].nbytes

    @property
    def ram_bytes(self) -> int:
        """Bytes of the segments in RAM."""
        return sum(segment.nbytes for segment in self._segments.values())

    def _forget(self, forms: Mapping[str, str]) -> None:
        """Drop segments of erased cubes from RAM."""
        for cube_id in forms:
            self._segments.pop(cube_id, None)
            self._uses.pop(cube_id, None)

    def free_ram(self) -> None:
        """Free the segments in RAM; those on disk are kept."""
        self._segments.clear()

    def stats(self) -> list[SegmentStats]:
        """Return the size, cost and use of every segment on disk."""
        return [
            SegmentStats(
                cube.id, int(cube.metadata["bytes"]), float(cube.metadata["seconds"]), cube.recalls,
                to_micros(cube.learned) / 1e6, to_micros(cube.recalled_at or cube.learned) / 1e6,
            )
            for cube in self._stored()
        ]  # fmt: skip

    def prune(self) -> list[str]:
        """Erase the segments that the schedule does not keep from disk and RAM; return their ids."""
        self.flush()
        stats = self.stats()
        kept = set(self.schedule.keep(stats, to_micros(self.clock()) / 1e6))
        pruned = [s.id for s in stats if s.id not in kept]
        for cube_id in pruned:
            self._segments.pop(cube_id, None)
        return list(self.store.erase(pruned)) if pruned else []

    def flush(self) -> int:
        """Persist how often segments were used; return the number of segments. A killed process loses these counts only."""
        uses, self._uses = self._uses, {}
        if uses:
            self.store.lives.count_uses((cube_id, times, last) for cube_id, (times, last) in uses.items())
        return len(uses)

    def _stored(self) -> list[MemCube]:
        return [cube for _, cube in self.store.select(Filter(kind="kv", state=None), limit=ALL)]


def _joined(segments: Sequence[Segment], cache: MemoryCache) -> list[Segment]:
    """Move segments that were each read from position 0 to positions one after another."""
    moved, at = [], 0
    for segment in segments:
        keys = [cache.rotary().shift(k, at) for k in segment.keys] if at else segment.keys
        moved.append(Segment(segment.digest, keys, segment.values))
        at += len(segment)
    return moved

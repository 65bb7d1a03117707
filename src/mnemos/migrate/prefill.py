"""PrefillCache: cubes that a model reads once, kept as keys and values in RAM and on disk for later prompts."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import torch

from mnemos.activation import MemoryCache, read
from mnemos.activation.encode.segments import Segment, cut, fill, from_file, rounded, to_bytes
from mnemos.activation.recall.blend import Blend
from mnemos.activation.rotary import Rotary, checked_rotary
from mnemos.cube import MemCube, to_micros
from mnemos.errors import Conflict, InvalidInput, StoreCorrupt, StoreError
from mnemos.migrate.attachments import state_of
from mnemos.migrate.base import RECOMPUTE, Activated, Mode, Render, tokenize
from mnemos.migrate.fingerprints import Fingerprints
from mnemos.migrate.pieces import Piece, check_model, render, to_pieces
from mnemos.migrate.schedule import RetentionSchedule, SegmentStats
from mnemos.migrate.uses import Uses
from mnemos.migrate.weight_cubes import sweep
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.locks import try_lock
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

    RAM holds the segments used last. The disk holds what the schedule keeps: what is over its bounds is deleted when
    something is written. A segment is a KV cube derived from the cubes it was read from: erasing or updating one of them erases
    it. What a model computes with weights attached is derived from these too, and found only while they are attached.
    """

    store: Store  # of the cubes; keeps the segments beside them
    clock: Callable[[], datetime]  # tells the time
    ram: int = RAM  # bytes of segments in RAM at most
    schedule: RetentionSchedule = field(default_factory=RetentionSchedule)  # decides what is kept on disk
    bits: int | None = None  # of a number on disk: 8, 4 or 2 quantise; None keeps the model's type
    _segments: OrderedDict[str, Segment] = field(default_factory=OrderedDict)  # in RAM, the least recently used first
    _fingerprints: Fingerprints = field(default_factory=Fingerprints)
    _rotaries: weakref.WeakKeyDictionary[Any, Rotary] = field(default_factory=weakref.WeakKeyDictionary)  # by model
    _seen: object = None  # token of the store when every segment in RAM was known to exist
    _lock: threading.RLock = field(default_factory=threading.RLock)  # of the segments in RAM

    def __post_init__(self) -> None:
        self._uses = Uses(self.store, self.clock)
        sweep(self.store)
        self.store.on_erase(self._on_erase)
        self.store.before_suspend(self.rest)

    # -- activate

    def activate(
        self, cubes: Sequence[MemCube], model: Any, tokenizer: Any, *, mode: Mode = "exact", render: Render = render,
        recompute: float = RECOMPUTE, question: str | None = None,
    ) -> Activated:  # fmt: skip
        """Return cubes, in this order, as a prefix that costs no prefill where it was computed before.

        In mode "exact" each cube is read after those before it: the longest prefix of cubes that was activated before
        is reused, and the rest is read. In mode "block" each cube is read alone, once, behind a BOS token; the cubes
        are joined in any order with their positions moved, and the share `recompute` of their tokens is computed again:
        those that matter for `question`, else those that the other cubes change most (`activation.recall.blend`). 0 is
        the fastest, and 1 as exact as reading all. Raises InvalidInput without cubes, for an unknown mode, and for a
        model whose layers do not hold all tokens, or in mode "block" whose keys cannot be moved.
        """
        start = time.perf_counter()
        if mode not in ("exact", "block"):
            raise InvalidInput(f"mode is {mode!r}: choose 'exact' or 'block'.")
        if not cubes:
            raise InvalidInput("there is nothing to activate: no cube was given, or none was found.")
        check_model(model)
        blend = Blend(recompute)
        self._drop_erased()
        known, weights = state_of(model, self._fingerprints)
        pieces = to_pieces(cubes, known, tokenizer, mode, render, self.bits, weights)
        segments, sources = self._gather(pieces, model, mode)
        if sources["prefill"]:
            self.tend()
        sink = pieces[0].sink
        tokens = [*sink, *(t for piece in pieces for t in piece.tokens)]
        ids = torch.tensor([tokens], device=next(model.parameters()).device)
        if mode == "block":
            asked = torch.tensor(tokenize(tokenizer, question), dtype=torch.long) if question else None
            if model not in self._rotaries:
                self._rotaries[model] = checked_rotary(model)
            cache = blend.read(model, ids[0], segments, len(sink), asked, self._rotaries[model])
        else:
            cache = MemoryCache(model)
            fill(cache, segments)
        self._uses.count(piece.id for piece in pieces)
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
            return None  # new, or erased, or updated
        held = self._segments.get(piece.id)
        if held is not None and held.digest == piece.digest:
            sources["ram"] += 1
            return held
        try:
            with self.store.blobs.local(piece.id) as path:
                segment = from_file(path, piece.digest)
        except StoreCorrupt:  # missing or damaged: it is computed again
            self.store.erase([piece.id])
            return None
        sources["disk"] += 1
        return segment

    def _read(self, pieces: Sequence[Piece], first: int, before: Sequence[Segment], model: Any) -> list[Segment]:
        """Let the model read the pieces from index `first` on, after the segments `before`; store and return each.

        Where numbers are stored in few bits, each piece is read after what is stored of those before it: a prompt is
        then the same from RAM, from disk, and when it is read.
        """
        cache, segments = MemoryCache(model), list[Segment]()
        for piece in pieces[first:]:
            if not cache.tokens_read or self.bits is not None:
                cache = MemoryCache(model)
                if before or segments:
                    fill(cache, [*before, *segments])
            start, at = time.perf_counter(), cache.tokens_read
            read(model, torch.tensor([[*piece.sink, *piece.tokens]], device=next(model.parameters()).device), cache)
            segment = cut(cache, at, cache.tokens_read, piece.digest).to(torch.device("cpu"))
            segment = segment if self.bits is None else rounded(segment, self.bits)
            self._write(piece, segment, time.perf_counter() - start)
            segments.append(segment)
        return segments

    def _write(self, piece: Piece, segment: Segment, seconds: float) -> None:
        """Write a segment and its cube to disk, unless a cube it was read from was erased or updated concurrently."""
        now = self.clock()
        try:
            size = self.store.blobs.write(piece.id, to_bytes(segment, self.bits))
        except StoreError as error:
            warnings.warn(f"keys and values are used, but were not written: {error}", RuntimeWarning, stacklevel=5)
            return
        metadata = {"digest": piece.digest, "tokens": len(piece.tokens), "bytes": size, "seconds": seconds,
                    "before": piece.before, "cube": piece.cube.id}  # fmt: skip
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
        """Hold segments in RAM as the most recently used, and evict the least recently used that do not fit.

        A segment whose cube was erased since it was found is not held: the store is asked under the lock, which the
        callback of a later erasure waits for.
        """
        with self._lock:
            erased = self._erased(piece.id for piece in pieces)
            for piece, segment in zip(pieces, segments, strict=True):
                self._segments.pop(piece.id, None)
                if piece.id not in erased:
                    self._segments[piece.id] = segment
            held = self.ram_bytes
            while held > self.ram and self._segments:
                held -= self._segments.popitem(last=False)[1].nbytes

    def _on_erase(self, forms: Mapping[str, str]) -> None:
        """Drop the segments of erased cubes from RAM."""
        self._uses.drop(forms)
        with self._lock:
            for cube_id in forms:
                self._segments.pop(cube_id, None)

    def _drop_erased(self) -> None:
        """Drop from RAM the segments that another process has erased. One statement where nothing was written since."""
        token = self.store.change_token()
        if token is None or token != self._seen:
            with self._lock:
                self._on_erase(dict.fromkeys(self._erased(self._segments), "activation"))
            self._seen = token

    def _erased(self, ids: Iterable[str]) -> set[str]:
        """Return those of the ids of KV cubes that do not exist."""
        names = list(dict.fromkeys(ids))
        return set() if len(self.store.keys_of(names)) == len(names) else set(names) - self.store.get(names).keys()

    @property
    def ram_bytes(self) -> int:
        """Bytes of the segments in RAM."""
        with self._lock:
            return sum(segment.nbytes for segment in self._segments.values())

    def free_ram(self) -> None:
        """Free the segments in RAM; those on disk are kept."""
        with self._lock:
            self._segments.clear()

    def rest(self) -> bool:
        """Free the segments in RAM before the file is closed; return False if they are in use."""
        with try_lock(self._lock) as held:
            if held:
                with contextlib.suppress(StoreError):
                    self.flush()
                self._segments.clear()
            return held

    def stats(self) -> list[SegmentStats]:
        """Return the size, cost and use of every segment on disk."""
        return [
            SegmentStats(
                cube.id, int(cube.metadata["bytes"]), float(cube.metadata["seconds"]), cube.recalls,
                to_micros(cube.learned) / 1e6, to_micros(cube.recalled_at or cube.learned) / 1e6,
                cube.metadata.get("before"), str(cube.metadata.get("cube", "")),
            )
            for cube in self._stored()
        ]  # fmt: skip

    def tend(self) -> list[str]:
        """Prune where the disk holds more than the schedule allows; return the ids. O(segments) rows are read."""
        return [] if self.schedule.fits(self.stats()) else self.prune()

    def prune(self) -> list[str]:
        """Erase the segments that the schedule does not keep from disk and RAM; return their ids."""
        self.flush()
        stats = self.stats()
        kept = set(self.schedule.keep(stats, to_micros(self.clock()) / 1e6))
        pruned = [s.id for s in stats if s.id not in kept]
        return list(self.store.erase(pruned)) if pruned else []

    def flush(self) -> int:
        """Persist how often segments were used; return the number of segments. A killed process loses these counts."""
        return self._uses.flush()

    def _stored(self) -> list[MemCube]:
        return [cube for _, cube in self.store.select(Filter(kind="kv", state=None), limit=ALL)]

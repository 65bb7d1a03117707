"""Text to activation: cubes read once by a model, kept as keys and values, and put in front of prompts."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from mnemos.activation import MemoryCache, attached, read
from mnemos.activation.encode.segments import Segment, cut, fill, from_file, to_bytes
from mnemos.cube import MemCube, to_micros
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreCorrupt
from mnemos.migrate.schedule import RetentionSchedule, SegmentStats
from mnemos.registry import Paper, register
from mnemos.store.base import Entry, Filter

if TYPE_CHECKING:
    from mnemos.space import Space

Mode = Literal["exact", "block"]
Render = Callable[[MemCube], str]
RAM = 1 << 30  # bytes of segments that a space keeps in RAM


def render(cube: MemCube) -> str:
    """Return a cube as a line of a prompt: when, who, what."""
    return f"[{cube.at:%Y-%m-%d}] {cube.speaker + ': ' if cube.speaker else ''}{cube.text}\n"


@dataclass
class Piece:
    """A cube's part of a prompt: its tokens, and the digest of all that its keys and values depend on."""

    cube: MemCube
    tokens: list[int]
    digest: str
    before: tuple[str, ...]  # ids of the cubes that it depends on, itself last

    @property
    def id(self) -> str:
        """The id of the KV cube that holds it."""
        return base64.b32encode(bytes.fromhex(self.digest)[:10]).decode("ascii").lower()


@dataclass
class Activated:
    """Cubes that a model has already read: `ids` (1, T) are their tokens, `cache` what it made of them.

    `found` counts the pieces by where their keys and values came from (ram, disk, prefill), `seconds` is what it took.
    """

    model: Any
    tokenizer: Any
    cubes: tuple[str, ...]
    ids: Tensor
    cache: MemoryCache
    found: dict[str, int]
    seconds: float

    def generate(self, question: str | Tensor, **options: Any) -> Tensor:
        """Return what the model says after the cubes and a question, (1, new tokens); takes the options of `generate`.

        The same tokens, in mode "exact", as with the text of the cubes in the prompt. May be called again: the cache is
        copied, not used up.
        """
        if isinstance(question, str):
            question = torch.tensor([_tokens(self.tokenizer, question)], dtype=torch.long)
        asked = torch.cat((self.ids, question.to(self.ids.device)), 1)
        mask = torch.ones_like(asked)
        with attached(self.model):
            told: Tensor = self.model.generate(asked, attention_mask=mask, past_key_values=self.cache.copy(), **options)
        return told[:, asked.shape[1] :]

    def answer(self, question: str, **options: Any) -> str:
        """Return what the model says after the cubes and a question, as text."""
        return str(self.tokenizer.decode(self.generate(question, **options)[0], skip_special_tokens=True))


@dataclass
class Shelf:
    """What a space holds activated: the tiers RAM and disk (a model's own device is the third, while it generates).

    In RAM the segments used last stay; on the disk those that the schedule finds worth their bytes (`tend`). `bits`
    quantises what is written to the disk (8, 4 or 2 instead of the model's own). What the disk holds is derived from
    the cubes: it goes when they go, when they change, and is never used for another model.
    """

    space: Space
    ram: int = RAM
    schedule: RetentionSchedule = field(default_factory=RetentionSchedule)
    bits: int | None = None
    _uses: dict[str, tuple[int, int]] = field(default_factory=dict)  # not yet written: times used, and when last
    _hot: OrderedDict[str, Segment] = field(default_factory=OrderedDict)
    _models: weakref.WeakKeyDictionary[Any, tuple[int, str]] = field(default_factory=weakref.WeakKeyDictionary)

    def __post_init__(self) -> None:
        rows = self.space.store.select(Filter(kind="kv", state=None), limit=1_000_000)
        self.space.store.blobs.sweep({cube.id for _, cube in rows})

    # -- activate

    def activate(
        self, what: str | Sequence[str | MemCube], model: Any, tokenizer: Any, *, mode: Mode = "exact", k: int = 10,
        render: Render = render, **filters: Any,
    ) -> Activated:  # fmt: skip
        """Return cubes as a prefix that costs no prefill where it was computed before.

        `what` is a query (its `k` best cubes, in the order of time) or cubes or ids, in their order. In mode "exact"
        the cubes are read one after another, each after those before it: a prefix that was activated before is found,
        and what follows is read. In mode "block" each is read alone, once, and they are joined in any order with their
        positions moved: cheap to recombine, at some cost in accuracy, since no cube has seen the others
        (docs/activation.md). Raises InvalidInput when there is nothing to activate, and for models whose layers do not
        hold all tokens.
        """
        start = time.perf_counter()
        if mode not in ("exact", "block"):
            raise InvalidInput(f"mode is {mode!r}: choose 'exact' or 'block'.")
        cubes = self._cubes(what, k, filters)
        _check_model(model)
        pieces = self._pieces(cubes, model, tokenizer, mode, render)
        segments, found = self._gather(pieces, model, mode)
        cache = MemoryCache(model)
        fill(cache, self._placed(segments, cache) if mode == "block" else segments)
        ids = torch.tensor([[t for piece in pieces for t in piece.tokens]], device=next(model.parameters()).device)
        now = to_micros(self.space.clock())
        for piece in pieces:
            self._uses[piece.id] = (self._uses.get(piece.id, (0, 0))[0] + 1, now)
        seconds = time.perf_counter() - start
        return Activated(model, tokenizer, tuple(c.id for c in cubes), ids, cache, found, seconds)

    def _cubes(self, what: str | Sequence[str | MemCube], k: int, filters: dict[str, Any]) -> list[MemCube]:
        if isinstance(what, str):
            cubes = sorted((hit.cube for hit in self.space.search(what, k, **filters)), key=lambda c: (c.at, c.id))
        else:
            ids = [item if isinstance(item, str) else item.id for item in what]
            there = self.space.store.get(ids)
            if missing := [i for i in ids if i not in there]:
                raise NotFound(f"there is no cube {missing[0]!r} in space {self.space.name!r}.")
            cubes = [there[i] for i in ids]
        if not cubes:
            raise InvalidInput("there is nothing to activate: no cube was given, or none was found.")
        return cubes

    def _pieces(self, cubes: Sequence[MemCube], model: Any, tokenizer: Any, mode: Mode, render: Render) -> list[Piece]:
        pieces: list[Piece] = []
        of = self._model(model)
        start = getattr(tokenizer, "bos_token_id", None)
        for cube in cubes:
            tokens = _tokens(tokenizer, render(cube))
            if mode == "exact" and not pieces and start is not None:
                tokens = [start, *tokens]
            if not tokens:
                raise InvalidInput(f"cube {cube.id!r} has no tokens.")
            before = pieces[-1] if pieces and mode == "exact" else None
            told = [mode, of, self.bits, before and before.digest, cube.id, tokens]
            digest = hashlib.blake2b(json.dumps(told).encode(), digest_size=32).hexdigest()
            pieces.append(Piece(cube, tokens, digest, (*(before.before if before else ()), cube.id)))
        return pieces

    def _gather(self, pieces: Sequence[Piece], model: Any, mode: Mode) -> tuple[list[Segment], dict[str, int]]:
        """Return the segments of the pieces: from RAM, from the disk, or by reading what is in neither."""
        found = {"ram": 0, "disk": 0, "prefill": 0}
        there = set(self.space.store.get([piece.id for piece in pieces]))
        segments: list[Segment] = []
        for index, piece in enumerate(pieces):
            segment = self._find(piece, there, found)
            if segment is None and mode == "exact":
                segments += self._read(pieces, index, segments, model)
                found["prefill"] += len(pieces) - index
                break
            if segment is None:
                segment = self._read([piece], 0, [], model)[0]
                found["prefill"] += 1
            segments.append(segment)
        self._heat(pieces, segments)
        return segments, found

    def _find(self, piece: Piece, there: set[str], found: dict[str, int]) -> Segment | None:
        if piece.id not in there:
            self._hot.pop(piece.id, None)  # erased, or changed, by whomever
            return None
        hot = self._hot.get(piece.id)
        if hot is not None and hot.digest == piece.digest:
            found["ram"] += 1
            return hot
        try:
            segment = from_file(self.space.store.blobs.path(piece.id), piece.digest)
        except StoreCorrupt:  # missing or damaged: it is made anew
            self.space.store.erase([piece.id])
            return None
        found["disk"] += 1
        return segment

    def _read(self, pieces: Sequence[Piece], first: int, before: Sequence[Segment], model: Any) -> list[Segment]:
        """Let the model read the pieces from `first` on, after what comes before, and keep what it made of each."""
        cache = MemoryCache(model)
        if before:
            fill(cache, before)
        made = []
        for piece in pieces[first:]:
            start, at = time.perf_counter(), cache.tokens_read
            read(model, torch.tensor([piece.tokens], device=next(model.parameters()).device), cache)
            segment = cut(cache, at, cache.tokens_read, piece.digest).to(torch.device("cpu"))
            self._keep(piece, segment, time.perf_counter() - start)
            made.append(segment)
        return made

    def _keep(self, piece: Piece, segment: Segment, seconds: float) -> None:
        """Write a segment and its cube, unless what it was made of is gone or has changed meanwhile."""
        space, now = self.space, self.space.clock()
        size = space.store.blobs.write(piece.id, to_bytes(segment, self.bits))
        about = {"digest": piece.digest, "tokens": len(piece.tokens), "bytes": size, "seconds": seconds}
        cube = MemCube(
            id=piece.id, text="", space=space.name, at=now, learned=now, form="activation", kind="kv", source="mnemos",
            parents=piece.before, metadata=about,
        )  # fmt: skip
        with contextlib.suppress(Conflict), space.store.connection.write():  # Conflict: another process was faster
            parents = space.store.get(piece.before)
            if len(parents) == len(set(piece.before)) and parents[piece.cube.id].version == piece.cube.version:
                space.store.insert([Entry(cube, ())], None)
                return
        if piece.id not in space.store.get([piece.id]):
            space.store.blobs.drop([piece.id])

    def _placed(self, segments: Sequence[Segment], cache: MemoryCache) -> list[Segment]:
        """Move segments that were read alone to where they stand one after another."""
        placed, at = [], 0
        for segment in segments:
            keys = [cache.rotary().shift(k, at) for k in segment.keys] if at else segment.keys
            placed.append(Segment(segment.digest, keys, segment.values))
            at += len(segment)
        return placed

    # -- tiers

    def _heat(self, pieces: Sequence[Piece], segments: Sequence[Segment]) -> None:
        """Hold segments as those used last, and let go of the others that do not fit any more."""
        for piece, segment in zip(pieces, segments, strict=True):
            self._hot.pop(piece.id, None)
            self._hot[piece.id] = segment
        held = self.ram_bytes
        while held > self.ram and self._hot:
            held -= self._hot.popitem(last=False)[1].nbytes

    @property
    def ram_bytes(self) -> int:
        """Bytes held in RAM."""
        return sum(segment.nbytes for segment in self._hot.values())

    def cool(self) -> None:
        """Free what is held in RAM; the disk still has it."""
        self._hot.clear()

    def held(self) -> list[SegmentStats]:
        """Return what the disk holds, for the schedule."""
        rows = self.space.store.select(Filter(kind="kv", state=None), limit=1_000_000)
        return [
            SegmentStats(c.id, int(c.metadata["bytes"]), float(c.metadata["seconds"]), c.recalls,
                 to_micros(c.learned) / 1e6, to_micros(c.recalled_at or c.learned) / 1e6)
            for _, c in rows
        ]  # fmt: skip

    def tend(self) -> list[str]:
        """Remove from the disk (and RAM) what is not worth its bytes any more; return the ids that went."""
        self.flush()
        held = self.held()
        kept = set(self.schedule.keep(held, to_micros(self.space.clock()) / 1e6))
        going = [h.id for h in held if h.id not in kept]
        for cube_id in going:
            self._hot.pop(cube_id, None)
        return list(self.space.store.erase(going)) if going else []

    def flush(self) -> int:
        """Write how often segments were used and return how many were; a killed process loses that, and nothing else."""
        uses, self._uses = self._uses, {}
        if uses:
            with self.space.store.connection.write() as db:
                db.executemany(
                    "UPDATE cubes SET recalls = recalls + ?, recalled_at = ? WHERE id = ?",
                    ((times, last, cube_id) for cube_id, (times, last) in uses.items()),
                )
        return len(uses)

    # -- models

    def _model(self, model: Any) -> str:
        """Return a digest of a model's configuration and weights; computed again when a weight has changed."""
        state = hash(tuple((p.data_ptr(), p._version) for p in model.parameters()))
        known = self._models.get(model)
        if known is None or known[0] != state:
            digest = hashlib.blake2b(digest_size=32)
            config = {name: value for name, value in model.config.to_dict().items() if not name.startswith("_")}
            digest.update(json.dumps(config, sort_keys=True, default=str).encode())
            for name, weight in sorted(model.state_dict().items()):
                digest.update(name.encode() + str(weight.dtype).encode())
                digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().data)
            known = (state, digest.hexdigest())
            self._models[model] = known
        return known[1]


@register(
    "activate",
    papers=(
        Paper("MemOS: A Memory OS for AI System", "2507.03724"),
        Paper("RoFormer: Enhanced Transformer with Rotary Position Embedding", "2104.09864"),
    ),
)
def shelf(space: Space, **options: Any) -> Shelf:
    """Return what a space holds activated; the same one each time, unless `options` of `Shelf` are given."""
    known: Shelf | None = getattr(space, "shelf", None)
    if known is None or options:
        known = space.shelf = Shelf(space, **options)
        space.live.on_drop = known.cool
    return known


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _check_model(model: Any) -> None:
    config = model.config.get_text_config(decoder=True)
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()) or getattr(config, "sliding_window", None):
        raise InvalidInput("layers with a sliding window do not hold all tokens: this model cannot be activated.")

"""Ingestion: turn validated drafts into cubes, redact secrets, and store them with what they state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from mnemos.cube import MemCube, new_id
from mnemos.embed.base import Progress
from mnemos.errors import Conflict
from mnemos.facts import Decision
from mnemos.guard.secrets import redact_cube
from mnemos.store.hashes import text_hash
from mnemos.store.values import Filter
from mnemos.text.encode.messages import Draft
from mnemos.text.encode.notes import KEY as NOTE
from mnemos.text.memory import TextMemory
from mnemos.text.null import NoUpdater
from mnemos.zones import fixed, in_zone, load_zone, zone_name

ANY = Filter(state=None)
WRONG = timedelta(days=366)  # a clock that went back further was wrong before, and is believed now
Told = tuple[Any, ...]


def add(memory: TextMemory, drafts: Sequence[Draft], progress: Progress | None, reconcile: bool) -> list[MemCube]:
    """Store drafts in one transaction, all or none; return a cube for each, in order. See `Space.add_many`.

    A draft with the id of a stored cube, or without an id but told at the same given time in the same words by the same
    speaker, was stored before: its cube is returned. Whatever else it resembles, it is stored.
    """
    with memory.store.steady():
        now, secrets, zone = memory.now(), memory.secrets, memory.timezone
        told_at = now if now - memory.clock() < WRONG else memory.clock()
        made = [redact_cube(_to_cube(draft, memory.name, now, told_at, zone), secrets) for draft in drafts]
        known = memory.store.get([d.id for d in drafts if d.id is not None])
        told = _told(memory, [c for c, d in zip(made, drafts, strict=True) if d.id is None and d.at is not None])
    cubes: list[MemCube] = []
    new: list[MemCube] = []
    again: list[MemCube] = []
    for draft, cube in zip(drafts, made, strict=True):
        mark = _mark(cube) if draft.id is None and draft.at is not None else None
        existing = known.get(cube.id) if mark is None else told.get(mark)
        if existing is None:
            known[cube.id] = cube
            new.append(cube)
            if mark is not None:
                told[mark] = cube
        elif mark is not None:
            again.append(existing)
        elif not _had(memory, existing, cube):
            raise Conflict(
                f"id {cube.id!r} is already in space {memory.name!r} with other content. Use update() to change "
                "it, or leave the id out to get a new one. Nothing was stored."
            )
        cubes.append(existing or cube)
    updater = memory.system.update if reconcile else NoUpdater()
    entries = memory.encode(new, progress)
    with memory.store.transaction():
        stored = {cube.id: cube for cube in updater.add(memory, entries)}
        memory.store.decisions.put(Decision(c.id, now, "NOOP", "it was told before", (c.id,), "rules") for c in again)
    return [stored.get(cube.id, cube) for cube in cubes]


def _told(memory: TextMemory, cubes: Sequence[MemCube]) -> dict[Told, MemCube]:
    """Return the stored cubes that were told as these are; the words of each are looked up by their hash."""
    if not cubes:
        return {}
    keys = memory.store.same_words([text_hash(c.text) for c in cubes], ANY)
    return {_mark(c): c for c in reversed(memory.store.by_key(keys).values())}


def _mark(cube: MemCube) -> Told:
    """Return what a repeated write shares with the first one."""
    about = json.dumps({k: v for k, v in cube.metadata.items() if k != NOTE}, sort_keys=True)
    return cube.text, cube.speaker, cube.role, cube.session, cube.at, cube.kind, cube.source, about


def _had(memory: TextMemory, existing: MemCube, cube: MemCube) -> bool:
    """Tell whether some version of a stored cube has this content: it was imported before, and updated since."""
    past = [existing] if existing.version == 1 else memory.store.versions(existing.id)
    return any(_content_of(v) == _content_of(cube) for v in past)


def _content_of(cube: MemCube) -> tuple[Any, ...]:
    return cube.text, cube.session, cube.speaker, cube.role, cube.kind


def _to_cube(draft: Draft, space: str, now: datetime, told_at: datetime, zone: str) -> MemCube:
    at = draft.at or in_zone(told_at, load_zone(draft.timezone or zone))
    return MemCube(
        id=draft.id or new_id(), text=draft.text, space=space, at=fixed(at), timezone=zone_name(at), learned=now,
        kind=draft.kind, session=draft.session, speaker=draft.speaker, role=draft.role, source=draft.source,
        metadata=draft.metadata,
    )  # fmt: skip

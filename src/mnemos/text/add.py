"""Ingestion: turn validated drafts into cubes, redact secrets, and store them with what they state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mnemos.cube import MemCube, new_id
from mnemos.embed.base import Progress
from mnemos.errors import Conflict
from mnemos.guard.secrets import redact_cube
from mnemos.text.base import NoUpdater
from mnemos.text.encode.messages import Draft
from mnemos.text.memory import TextMemory
from mnemos.zones import fixed, in_zone, load_zone, zone_name


def add(memory: TextMemory, drafts: Sequence[Draft], progress: Progress | None, reconcile: bool) -> list[MemCube]:
    """Store drafts in one transaction, all or none; return a cube for each, in order. See `Space.add_many`."""
    now, secrets, zone = memory.clock(), memory.secrets, memory.timezone
    known = memory.store.get([d.id for d in drafts if d.id is not None])
    cubes: list[MemCube] = []
    new: list[MemCube] = []
    mergeable: list[bool] = []
    for draft in drafts:
        cube = redact_cube(_to_cube(draft, memory.name, now, zone), secrets)
        existing = known.get(cube.id)
        if existing is None:
            known[cube.id] = cube
            new.append(cube)
            mergeable.append(draft.id is None and draft.session is None and not draft.metadata)
        elif not _had(memory, existing, cube):
            raise Conflict(
                f"id {cube.id!r} is already in space {memory.name!r} with other content. Use update() to change "
                "it, or leave the id out to get a new one. Nothing was stored."
            )
        cubes.append(existing or cube)
    updater = memory.system.update if reconcile else NoUpdater()
    stored = updater.add(memory, memory.encode(new, progress), mergeable)
    became = {cube.id: result for cube, result in zip(new, stored, strict=True)}
    return [became.get(cube.id, cube) for cube in cubes]


def _had(memory: TextMemory, existing: MemCube, cube: MemCube) -> bool:
    """Tell whether some version of a stored cube has this content: it was imported before, and updated since."""
    past = [existing] if existing.version == 1 else memory.store.versions(existing.id)
    return any(_content_of(v) == _content_of(cube) for v in past)


def _content_of(cube: MemCube) -> tuple[Any, ...]:
    return cube.text, cube.session, cube.speaker, cube.role, cube.kind


def _to_cube(draft: Draft, space: str, now: datetime, zone: str) -> MemCube:
    at = draft.at or in_zone(now, load_zone(draft.timezone or zone))
    return MemCube(
        id=draft.id or new_id(), text=draft.text, space=space, at=fixed(at), timezone=zone_name(at), learned=now,
        kind=draft.kind, session=draft.session, speaker=draft.speaker, role=draft.role, source=draft.source,
        metadata=draft.metadata,
    )  # fmt: skip

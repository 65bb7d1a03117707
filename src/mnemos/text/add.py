"""Taking in: checked drafts become cubes, without secrets, and are stored with what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemos.cube import MemCube, new_id
from mnemos.errors import Conflict
from mnemos.guard.secrets import redact_cube
from mnemos.text.encode.entries import Progress, make_entries
from mnemos.text.encode.messages import Draft
from mnemos.text.memory import TextMemory
from mnemos.text.update.write import state_facts, write


def add(space: TextMemory, drafts: Sequence[Draft], progress: Progress | None, reconcile: bool) -> list[MemCube]:
    """Store drafts in one transaction, all or none; return a cube for each, in order. See `Space.add_many`."""
    now, secrets = space.clock(), space.secrets
    known = space.store.get([d.id for d in drafts if d.id is not None])
    cubes: list[MemCube] = []
    new: list[MemCube] = []
    mergeable: list[bool] = []
    for draft in drafts:
        cube = redact_cube(_to_cube(draft, space.name, now), secrets)
        there = known.get(cube.id)
        if there is None:
            known[cube.id] = cube
            new.append(cube)
            mergeable.append(draft.id is None and draft.session is None and not draft.metadata)
        elif not _had(space, there, cube):
            raise Conflict(
                f"id {cube.id!r} is already in space {space.name!r} with other content. Use update() to change "
                "it, or leave the id out to get a new one. Nothing was stored."
            )
        cubes.append(there or cube)
    entries = make_entries(new, space.embedder, progress)
    if not reconcile:
        space.store.insert(entries, space.model_key())
        return cubes
    model, trust = space.model_key(), space.trust
    statements = state_facts(entries, space.rules, mergeable, trust)
    with space.store.transaction():
        written = write(space.store, statements, model, space.rules, trust)
        became = {old.id: stored for old, stored in zip(new, written.cubes, strict=True)}
        if space.reasoner is not space.rules:  # the model looks at it when there is time: see consolidate
            waiting = [c.id for c in became.values() if c.id not in written.confirmed]
            space.store.queue.add(waiting, "not seen by the model")
    space.recalled(written.confirmed)
    return [became.get(cube.id, cube) for cube in cubes]


def _had(space: TextMemory, there: MemCube, cube: MemCube) -> bool:
    """Tell whether some version of a stored cube has this content: it was imported before, and since updated."""
    past = [there] if there.version == 1 else space.store.versions(there.id)
    return any(_content_of(v) == _content_of(cube) for v in past)


def _content_of(cube: MemCube) -> tuple[Any, ...]:
    return cube.text, cube.session, cube.speaker, cube.role, cube.kind


def _to_cube(draft: Draft, space: str, now: Any) -> MemCube:
    return MemCube(
        id=draft.id or new_id(), text=draft.text, space=space, at=draft.at or now, learned=now,
        kind=draft.kind, session=draft.session, speaker=draft.speaker, role=draft.role, source=draft.source,
        metadata=draft.metadata,
    )  # fmt: skip

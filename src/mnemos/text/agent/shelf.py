"""Shelf: the cubes of one kind and one name in a space, written without judging what they state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnemos.cube import MemCube, new_id
from mnemos.errors import NotFound
from mnemos.guard.secrets import redact_cube
from mnemos.store.values import Filter
from mnemos.text.encode.messages import to_draft
from mnemos.text.memory import TextMemory
from mnemos.zones import fixed, in_zone, load_zone, zone_name

PAGE = 1_000
ROLE = "assistant"  # of what an agent writes: it ends nothing that the user said


def rows_of(memory: TextMemory, filter: Filter, after: int = 0) -> list[tuple[int, MemCube]]:
    """Return the rows after a key that a filter lets through, by key. O(rows)."""
    found: list[tuple[int, MemCube]] = []
    while rows := memory.store.select(filter, after=after, limit=PAGE):
        after = rows[-1][0]
        found += rows
    return found


@dataclass(frozen=True, slots=True)
class Shelf:
    """The cubes of a kind whose session is `name`: found by kind, erased, exported and backed up like all others."""

    memory: TextMemory
    kind: str
    name: str

    @property
    def filter(self) -> Filter:
        """What lets the current ones through."""
        return Filter(kind=self.kind, session=self.name, superseded=True)

    def cubes(self) -> list[MemCube]:
        """Return the current ones in the order of their last change. O(cubes of the session)."""
        return [cube for _, cube in rows_of(self.memory, self.filter)]

    def draft(
        self,
        text: str,
        metadata: Mapping[str, Any],
        *,
        speaker: str | None = None,
        source: str | None = None,
        parents: Sequence[str] = (),
    ) -> MemCube:
        """Return a new cube, which is not stored yet.

        Raises InvalidInput for what `add` would refuse, and NotFound for a parent that does not exist.
        """
        if parents and (missing := set(parents) - self.memory.store.get(list(parents)).keys()):
            raise NotFound(f"there is no cube {min(missing)!r} in space {self.memory.name!r}; nothing was stored.")
        message = {"content": text, "speaker": speaker, "source": source, "session": self.name, "metadata": metadata}
        draft = to_draft(message, where=self.kind)
        now = self.memory.now()
        at = in_zone(now, load_zone(self.memory.timezone))
        return MemCube(
            id=new_id(), text=draft.text, space=self.memory.name, at=fixed(at), timezone=zone_name(at), learned=now,
            kind=self.kind, session=self.name, speaker=draft.speaker, role=ROLE, source=draft.source,
            parents=tuple(dict.fromkeys(parents)), metadata=draft.metadata,
        )  # fmt: skip

    def next(self, old: MemCube, new: MemCube) -> MemCube:
        """Return `new` as the version after `old`, which is not stored yet."""
        return replace(
            new, id=old.id, at=old.at, timezone=old.timezone, version=old.version + 1, pinned=old.pinned,
            learned=max(self.memory.now(), old.learned), parents=tuple(dict.fromkeys((*old.parents, *new.parents))),
            strength=old.strength, recalls=old.recalls, recalled_at=old.recalled_at, layer=old.layer,
        )  # fmt: skip

    def write(self, cubes: Sequence[MemCube]) -> list[MemCube]:
        """Store new cubes and next versions, all or none, with secrets redacted; return them as stored.

        Raises Conflict if a version is there already.
        """
        store, secrets = self.memory.store, self.memory.secrets
        made = [redact_cube(cube, secrets) for cube in cubes]
        with store.transaction():
            model = self.memory.model_key()
            entries = self.memory.encode(made)
            store.insert([entry for entry in entries if entry.cube.version == 1], model)
            for entry in entries:
                if entry.cube.version > 1:
                    store.replace(entry, model)
        return made

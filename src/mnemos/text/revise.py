"""New versions of one cube: by hand, and back to an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.secrets import redact_cube
from mnemos.text.encode.messages import moment, to_draft
from mnemos.text.memory import TextMemory
from mnemos.zones import check_zone, fixed, load_zone, zone_name

FIELDS = ("content", "at", "timezone", "session", "speaker", "role", "source", "kind", "metadata")
VALIDITY = ("valid_from", "valid_to")


def update(memory: TextMemory, cube_id: str, changes: Mapping[str, Any]) -> MemCube:
    """Write the next version of a cube with these changes; see `Space.update`."""
    old = memory.get(cube_id)
    _check_text(old)
    unknown = changes.keys() - {*FIELDS, *VALIDITY}
    if unknown:
        raise InvalidInput(f"update: unknown field {sorted(unknown)}. Use {', '.join((*FIELDS, *VALIDITY))}.")
    told = None if changes.get("timezone") is None else check_zone(changes["timezone"])
    zone = told or old.timezone or memory.timezone
    validity: dict[str, Any] = {name: moment(changes[name], name, zone) for name in VALIDITY if name in changes}
    given = {name: value for name, value in changes.items() if name not in VALIDITY}
    kept = {name: getattr(old, name) for name in FIELDS if name not in ("at", "timezone")}
    draft = to_draft({**kept, **given}, where="update", timezone=zone)
    at = draft.at or (old.at.astimezone(load_zone(told)) if told else old.local_at)
    new = replace(
        old, text=draft.text, at=fixed(at), timezone=zone_name(at), session=draft.session, speaker=draft.speaker,
        role=draft.role, source=draft.source, kind=draft.kind, metadata=draft.metadata, state="active", **validity,
    )  # fmt: skip
    _check_validity(new)
    new = redact_cube(new, memory.secrets)
    if not changes or new == old:  # without a change nothing is brought back that was superseded
        raise InvalidInput(f"update: nothing would change in cube {cube_id!r}. Give a new value.")
    return put(memory, old, new)


def _check_text(cube: MemCube) -> None:
    """Raise InvalidInput for a cube of another form: its fields say what its payload is, and a payload has no versions."""
    if cube.form != "text":
        raise InvalidInput(
            f"cube {cube.id!r} has the form {cube.form!r}, which is not edited: it is made of its parents. Change a "
            "parent, and make it again; or remove it."
        )


def _check_validity(cube: MemCube) -> None:
    """Raise InvalidInput for a statement that would end before it begins."""
    if cube.valid_from is not None and cube.valid_to is not None and cube.valid_to < cube.valid_from:
        raise InvalidInput(
            f"update: valid_to ({cube.valid_to.isoformat()}) is before valid_from ({cube.valid_from.isoformat()}). "
            "Give valid_from too, or exchange them."
        )


def rollback(memory: TextMemory, cube_id: str, version: int) -> MemCube:
    """Write an earlier version of a cube as its newest one; see `Space.rollback`."""
    versions = memory.history(cube_id)
    wanted = next((v for v in versions if v.version == version), None)
    if wanted is None:
        raise NotFound(f"cube {cube_id!r} has versions 1 to {len(versions)}, not {version}.")
    old = versions[-1]
    _check_text(old)
    kept: dict[str, Any] = {
        name: getattr(old, name) for name in ("strength", "recalls", "recalled_at", "pinned", "layer", "parents")
    }
    new = replace(wanted, **kept)
    if replace(new, version=old.version, learned=old.learned, replaced=None) == old:
        raise InvalidInput(f"rollback: version {version} of cube {cube_id!r} is its current content.")
    return put(memory, old, new)


def put(memory: TextMemory, old: MemCube, new: MemCube) -> MemCube:
    """Store `new` as the version after `old`."""
    new = replace(new, version=old.version + 1, learned=max(memory.now(), old.learned), replaced=None)
    [entry] = memory.encode([new])
    memory.system.update.revise(memory, entry)
    return new

"""Writing with a key that may not read: it learns nothing of what is there, neither by ids nor by what comes back.

Each text is stored as a new cube, whatever is there. An id that the caller gives is its own: it is turned into one that no
other key can give, so that repeating it tells only of the caller's own writes. The response repeats the request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mnemos.cube import MemCube, new_id
from mnemos.serve.keys import Key
from mnemos.space import Space
from mnemos.text.encode.messages import to_draft


def own_ids(messages: Sequence[Mapping[str, Any]], key: Key) -> list[dict[str, Any]]:
    """Return messages that are stored under ids of their own."""
    return [{**message, "id": _own(message.get("id"), key)} for message in messages]


def _own(given: Any, key: Key) -> Any:
    if given is None:
        return new_id()
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        return given  # it is refused
    name = f"{key.id}\0{given}".encode("utf-8", "surrogatepass")
    return "w-" + base64.b32encode(hashlib.blake2b(name, digest_size=15).digest()).decode("ascii").lower()


def echo(messages: Sequence[Mapping[str, Any]], space: Space) -> list[Any]:
    """Return messages as cubes that say nothing but what was sent."""
    now, drafts = space.clock(), [to_draft(message, timezone=space.timezone) for message in messages]
    return [
        MemCube(
            id=str(d.id), text=d.text, space=space.name, at=d.at or now, learned=now, kind=d.kind, session=d.session,
            speaker=d.speaker, role=d.role, source=d.source, metadata=d.metadata,
        ).to_dict() for d in drafts
    ]  # fmt: skip

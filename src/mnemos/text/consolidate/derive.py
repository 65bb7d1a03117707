"""Derived cubes: made of others, which they name as parents, and made again when those change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mnemos.cube import MemCube, from_micros, new_id
from mnemos.errors import ReasonerError
from mnemos.text.consolidate.groups import Made, Member
from mnemos.text.encode.entries import make_entries

if TYPE_CHECKING:
    from mnemos.space import Space

PARENTS = 2_000  # of one derived cube, at most


def put(
    space: Space,
    kind: str,
    of: str,
    text: str,
    members: Sequence[Member],
    fingerprint: str,
    there: Made | None,
    metadata: Mapping[str, Any],
) -> MemCube:
    """Write a derived cube, or its next version, in one transaction. Its parents are the members."""
    now = space.clock()
    first, last = members[0], members[-1]
    cube = MemCube(
        id=there.id if there else new_id(), text=text, space=space.name, at=first.when, learned=now, kind=kind,
        version=there.version + 1 if there else 1, session=first.session if kind == "episode" else None,
        source="mnemos", parents=tuple(m.id for m in members[:PARENTS]), valid_from=from_micros(first.at),
        valid_to=from_micros(last.at), metadata={**metadata, "of": of, "from": fingerprint},
    )  # fmt: skip
    [entry] = make_entries([cube], space.embedder)
    with space.store.connection.write() as db:
        if there:
            db.execute("DELETE FROM parents WHERE child = ?", (cube.id,))
            space.store.replace(replace(entry, cube=cube), space.model_key())
        else:
            space.store.insert([entry], space.model_key())
    return cube


def summarise(space: Space, texts: Sequence[str], sentences: int) -> tuple[str, str, bool]:
    """Return (title, summary, by the model): from the space's reasoner, or from the rules when that fails."""
    if space.reasoner is not space.rules:
        try:
            return space.reasoner.title(texts), space.reasoner.summarise(texts, sentences), True
        except ReasonerError:
            pass
    return space.rules.title(texts), space.rules.summarise(texts, sentences), space.reasoner is space.rules

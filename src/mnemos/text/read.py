"""Reading without a search: pages of cubes, the cubes that a caller names, and the numbers of a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemos.arguments import check_count, check_flag, check_list, check_number, check_texts
from mnemos.cube import MemCube, Page, from_micros, to_micros
from mnemos.errors import InvalidInput, NotFound
from mnemos.facts import KnownFact
from mnemos.reason.base import Metered
from mnemos.text.encode.messages import moment
from mnemos.text.feedback import OF_FEEDBACK
from mnemos.text.memory import TextMemory
from mnemos.text.recall.early import warn_if_early
from mnemos.text.recall.facts import known_facts
from mnemos.text.recall.filters import Filters, Time, make_filter
from mnemos.text.recall.tuning import model_of
from mnemos.text.search import search
from mnemos.zones import check_zone


def cubes(memory: TextMemory, limit: int, cursor: int | None, filters: Filters) -> Page:
    """Return a page of current cubes in the order of writing; see `Space.cubes`."""
    check_count(limit, "limit")
    after = 0 if cursor is None else check_count(cursor, "cursor", least=0)
    filter = make_filter(memory.timezone, **filters)
    rows = memory.store.select(filter, after=after, limit=limit + 1)
    if not rows and not after:
        warn_if_early(memory.store, filter.as_of)
    following = rows[limit - 1][0] if len(rows) > limit else None
    return Page([cube for _, cube in rows[:limit]], following, lambda at: cubes(memory, limit, at, filters))


def facts(
    memory: TextMemory,
    subject: str | None,
    attribute: str | None,
    as_of: Time,
    true_at: Time,
    include_ended: bool,
    timezone: str | None,
    min_confidence: float,
) -> Sequence[KnownFact]:
    """Return the facts that cubes state; see `Space.facts`."""
    least = check_number(min_confidence, "min_confidence")
    if not 0 <= least <= 1:
        raise InvalidInput(
            f"min_confidence is {least:g}. Give a share between 0 (all readings) and 1 (only what rules read)."
        )
    zone = memory.timezone if timezone is None else check_zone(timezone)
    times = moment(as_of, "as_of", zone), moment(true_at, "true_at", zone)
    ended = check_flag(include_ended, "include_ended")
    found = known_facts(memory.store, subject, attribute, *times, ended=ended, least=least)
    if not found and times[0] is not None:
        warn_if_early(memory.store, to_micros(times[0]))
    return found


def pick(memory: TextMemory, what: str | Sequence[str | MemCube], k: int, filters: Filters) -> list[MemCube]:
    """Return the `k` best cubes of a query, oldest first, or the current versions of cubes or ids, in their order.

    Raises NotFound for an id that does not exist.
    """
    if isinstance(what, str):
        found = [hit.cube for _, hit in search(memory, what, k, filters, None, "hybrid").hits]
        told = memory.store.told([cube.id for cube in found])
        return sorted(found, key=lambda cube: (cube.at, told.get(cube.id, 0)))
    ids = check_texts([c.id if isinstance(c, MemCube) else c for c in check_list(what, "what", "cubes or ids")], "what")
    existing = memory.store.get(ids)
    if missing := [cube_id for cube_id in ids if cube_id not in existing]:
        raise NotFound(f"there is no cube {missing[0]!r} in space {memory.name!r}.")
    return [existing[cube_id] for cube_id in ids]


def stats(memory: TextMemory) -> dict[str, Any]:
    """Return counts, sizes, models and bytes in RAM; see `Space.stats`."""
    found = {"space": memory.name, **memory.store.stats()}
    for name in ("first_at", "last_at"):
        found[name] = None if found[name] is None else from_micros(found[name]).isoformat()
    e, reasoner = memory.embedder, memory.reasoner
    found["embedder"] = e and {"name": e.name, "revision": e.revision, "dimension": e.dimension}
    found["reasoner"] = (reasoner.stats() if isinstance(reasoner, Metered) else {}) | {"name": reasoner.name}
    found |= {"feedback": len(memory.store.keys(OF_FEEDBACK)), "tuning": None}
    if (tuning := memory.tuning.current()) is not None:
        kinds = {"head": tuning.head is not None, "factors": dict(tuning.factors)}
        found["tuning"] = dict(tuning.report) | kinds | {"in_use": tuning.model == model_of(memory.embedder)}
    return found | {"index_bytes": memory.view.nbytes, "index": memory.view.about()}

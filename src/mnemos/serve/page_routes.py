"""The routes that the page needs beside the others: what a space looks like from above, and how its memories fade."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.exceptions import HTTPException

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, NotFound, StoreError
from mnemos.inspect.fading import check_law
from mnemos.serve import page_models as models
from mnemos.serve.problems import Json
from mnemos.serve.routes import Id, SpaceAccess, _rows
from mnemos.text.forget.policy import Policy

SHORT, LINE = 140, 200  # characters of a text in a graph, and in a list
ERASING = ("archived_cubes", "archived_bytes", "archived_days")  # the limits of a policy beyond which it erases


def ready(request: Request) -> Json:
    """Tell that the root can be read and written and that the keys answer; 503 otherwise. Needs no key."""
    root = request.app.state.pool.memory.root
    if request.app.state.stopping:
        raise HTTPException(503, "the server is ending.", {"Retry-After": "5"})
    try:
        with tempfile.TemporaryFile(dir=root) as file, os.scandir(root):
            file.write(b"\0")
            file.flush()
        request.app.state.keys.check()
    except (OSError, StoreError) as error:
        why = getattr(error, "strerror", None) or "the keys cannot be read"
        raise HTTPException(
            503, f"the server cannot work ({why}). See its log and its disk.", {"Retry-After": "5"}
        ) from error
    return Json({"status": "ready"})


def timeline(access: SpaceAccess, asked: Annotated[models.Timeline, Query()]) -> Json:
    """How much happened when, in at most 400 buckets; with `as_of` as was believed then. One scan in SQL, O(N)."""
    with access.open("read") as space:
        found = space.inspect.timeline(**asked.given())
        first, last = (None if t is None else t.isoformat() for t in (found.first, found.last))
        buckets = [{"start": start.isoformat(), "n": n} for start, n in found.buckets]
        return Json({"by": found.by, "first": first, "last": last, "buckets": buckets})


def graph(access: SpaceAccess, asked: Annotated[models.Graph, Query()]) -> Json:
    """Cubes and their links around one of them, or around those with the most links. By index: O(links shown)."""
    with access.open("read") as space:
        found = space.inspect.graph(**asked.model_dump())
        nodes = [
            _node(c, strength) for c, strength in zip(found.cubes, space.inspect.strengths(found.cubes), strict=True)
        ]
        edges = [{"source": e.a, "target": e.b, "kind": e.kind, "weight": e.weight} for e in found.links]
        return Json({"nodes": nodes, "edges": edges})


def curve(access: SpaceAccess, id: Id, days: Annotated[float, Query(gt=0, le=36_500)] = 90) -> Json:
    """What the law of the space says that a cube is worth in the next days, if nothing touches it. O(log N)."""
    with access.open("read") as space:
        found = space.inspect.curve(id, days=days)
        return Json({
            "law": found.law, "now": found.now, "floor": found.floor,
            "points": [{"at": at.isoformat(), "strength": strength} for at, strength in found.points],
            "recalls": [at.isoformat() for at in found.recalls],
        })  # fmt: skip


def due_soon(access: SpaceAccess, limit: Annotated[int, Query(ge=1, le=1_000)] = 50) -> Json:
    """What the policy lets go of now, and the weakest of the rest: at most `limit` of each. One scan of numbers, O(N)."""
    with access.open("read") as space:
        found = space.inspect.due_soon(limit=limit)
        return Json({
            "law": found.policy.law, "policy": asdict(found.policy),
            "archive": _briefs(found.archive), "erase": _briefs(found.erase), "next": _briefs(found.next),
            "counts": {"archive": found.archive_count, "erase": found.erase_count},
        })  # fmt: skip


def forms(access: SpaceAccess) -> Json:
    """What a space holds by form and kind, and what its parts take up, in bytes. Scans in SQL, O(N)."""
    with access.open("read") as space:
        found = space.inspect.sizes()
        parts = (("words index", found.words), ("vectors", found.vectors), ("versions", found.versions),
                 ("links", found.links), ("file", found.file))  # fmt: skip
        return Json({
            "forms": [dict(zip(("form", "kind", "n", "bytes"), row, strict=True)) for row in found.forms],
            "parts": [{"part": part, "bytes": size} for part, size in parts],
        })  # fmt: skip


def runs(access: SpaceAccess, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Json:
    """What the last consolidations did and when, newest first; those that changed nothing are not kept. O(1)."""
    with access.open("read") as space:
        return Json({"runs": _rows(space.inspect.runs(limit=limit))})


# -- changes


def pin(access: SpaceAccess, id: Id, body: models.Pin) -> Json:
    """Keep a cube from being let go of, or no longer. Needs read and write."""
    with access.open("read", "write") as space:
        (space.pin if body.on else space.unpin)(id)
        return Json(space.get(id).to_dict())


def archive(access: SpaceAccess, body: models.Archive) -> Json:
    """Take cubes out of search, or with `back` into it again; tells which changed. Needs read and write."""
    with access.open("read", "write") as space:
        change = space.unarchive if body.back else space.archive
        return Json({"changed": list(change(body.ids))})


def apply_policy(access: SpaceAccess, body: models.Fade | None = None) -> Json:
    """Say what the policy lets go of (needs read), or with preview=false do it (needs read, write and erase). O(N)."""
    preview = body is None or body.preview
    with access.open("read", *(() if preview else ("write", "erase"))) as space:
        return Json(asdict(space.apply_policy(preview=preview)))


def policy(access: SpaceAccess) -> Json:
    """What the space lets go of, and by which law."""
    with access.open("read") as space:
        return Json(asdict(space.policy))


def set_policy(access: SpaceAccess, body: models.PolicyShape) -> Json:
    """Change what the space lets go of. Needs read and write, and erase too where more would be erased than now."""
    try:
        wanted = Policy(**body.model_dump())
    except NotFound as error:  # of the law: the space would be told to be missing
        raise InvalidInput(str(error)) from error
    check_law(wanted)
    with access.open("read", "write") as space:
        now = space.policy
        erasing = [name for name in ERASING if getattr(wanted, name) not in (None, getattr(now, name))]
        if erasing:
            access.check("erase")
        space.policy = wanted
        return Json(asdict(wanted))


def _briefs(found: Sequence[tuple[MemCube, float]]) -> list[dict[str, Any]]:
    return [
        _node(cube, strength) | {
            "text": cube.text[:LINE], "speaker": cube.speaker, "session": cube.session, "pinned": cube.pinned,
        } for cube, strength in found
    ]  # fmt: skip


def _node(cube: MemCube, strength: float) -> dict[str, Any]:
    return {
        "id": cube.id, "text": cube.text[:SHORT], "kind": cube.kind, "state": cube.state, "at": cube.at.isoformat(),
        "strength": strength,
    }  # fmt: skip

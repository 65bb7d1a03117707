"""Routes for the web page: a whole space at a glance, how its memories fade, and changes to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, NotFound
from mnemos.inspect import vocabulary as names
from mnemos.inspect.fading import check_law
from mnemos.serve import page_models as models
from mnemos.serve.problems import Json
from mnemos.serve.routes import AnyAccess, Id, SpaceAccess, to_rows
from mnemos.text.forget.policy import Policy

GRAPH_TEXT, LIST_TEXT = 140, 200  # characters of a text in a graph and in a list
ERASING = ("archived_cubes", "archived_bytes", "archived_days")  # limits of a policy above which it erases


def vocabulary(access: AnyAccess) -> Json:
    """List the laws of forgetting, the kinds of links, and the signals of hits with what they measure."""
    return Json(asdict(names.vocabulary()))


def timeline(access: SpaceAccess, asked: Annotated[models.Timeline, Query()]) -> Json:
    """Count cubes by when they happened, in at most 400 buckets; with `as_of` as believed then. One scan, O(N)."""
    with access.open("read") as space:
        found = space.inspect.timeline(**asked.given())
        first, last = (None if t is None else t.isoformat() for t in (found.first, found.last))
        buckets = [{"start": start.isoformat(), "n": n} for start, n in found.buckets]
        return Json({"by": found.by, "first": first, "last": last, "buckets": buckets})


def graph(access: SpaceAccess, asked: Annotated[models.Graph, Query()]) -> Json:
    """Return cubes and links around a cube, or around those with the most links. By index: O(links returned)."""
    with access.open("read") as space:
        found = space.inspect.graph(**asked.model_dump())
        nodes = [
            _node(c, strength) for c, strength in zip(found.cubes, space.inspect.strengths(found.cubes), strict=True)
        ]
        edges = [{"source": e.a, "target": e.b, "kind": e.kind, "weight": e.weight} for e in found.links]
        return Json({"nodes": nodes, "edges": edges})


def curve(access: SpaceAccess, id: Id, days: Annotated[float, Query(gt=0, le=36_500)] = 90) -> Json:
    """Return the strength of a cube over the next days if it is not recalled, by the law of the space. O(log N)."""
    with access.open("read") as space:
        found = space.inspect.curve(id, days=days)
        return Json({
            "law": found.law, "now": found.now, "floor": found.floor,
            "points": [{"at": at.isoformat(), "strength": strength} for at, strength in found.points],
            "recalls": [at.isoformat() for at in found.recalls],
        })  # fmt: skip


def due_soon(access: SpaceAccess, limit: Annotated[int, Query(ge=1, le=1_000)] = 50) -> Json:
    """List what the policy would archive and erase now, and the next weakest: up to `limit` each. One scan, O(N)."""
    with access.open("read") as space:
        found = space.inspect.due_soon(limit=limit)
        return Json({
            "law": found.policy.law, "policy": asdict(found.policy),
            "archive": _briefs(found.archive), "erase": _briefs(found.erase), "next": _briefs(found.next),
            "counts": {"archive": found.archive_count, "erase": found.erase_count},
            "recalls_given_up": found.recalls_given_up,
        })  # fmt: skip


def forms(access: SpaceAccess) -> Json:
    """Return counts and bytes by form and kind, and the bytes of each part. Scans, O(N)."""
    with access.open("read") as space:
        found = space.inspect.sizes()
        parts = (("words index", found.words), ("vectors", found.vectors), ("versions", found.versions),
                 ("links", found.links), ("file", found.file))  # fmt: skip
        return Json({
            "forms": [dict(zip(("form", "kind", "n", "bytes"), row, strict=True)) for row in found.forms],
            "parts": [{"part": part, "bytes": size} for part, size in parts],
        })  # fmt: skip


def runs(access: SpaceAccess, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Json:
    """List what the last consolidations did, newest first; those that changed nothing are not recorded. O(1)."""
    with access.open("read") as space:
        return Json({"runs": to_rows(space.inspect.runs(limit=limit))})


# -- changes


def pin(access: SpaceAccess, id: Id, body: models.Pin) -> Json:
    """Pin a cube, so that no policy archives or erases it, or unpin it. Needs read and write."""
    with access.open("read", "write") as space:
        (space.pin if body.on else space.unpin)(id)
        return Json(space.get(id).to_dict())


def archive(access: SpaceAccess, body: models.Archive) -> Json:
    """Archive cubes, out of search, or with `back` restore them; return those that changed. Needs read and write."""
    with access.open("read", "write") as space:
        change = space.unarchive if body.back else space.archive
        return Json({"changed": list(change(body.ids))})


def apply_policy(access: SpaceAccess, body: models.ApplyPolicy | None = None) -> Json:
    """Show what the policy would archive and erase (needs read), or with preview=false do it (also write and erase)."""
    preview = body is None or body.preview
    with access.open("read", *(() if preview else ("write", "erase"))) as space:
        return Json(asdict(space.apply_policy(preview=preview)))


def policy(access: SpaceAccess) -> Json:
    """Return the policy of the space."""
    with access.open("read") as space:
        return Json(asdict(space.policy))


def set_policy(access: SpaceAccess, body: models.PolicyShape) -> Json:
    """Set the policy of the space. Needs read and write, and also erase if it sets a limit beyond which cubes are erased."""
    try:
        wanted = Policy(**body.model_dump())
    except NotFound as error:  # an unknown law; a 404 would mean that the space is missing
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
            "text": cube.text[:LIST_TEXT], "speaker": cube.speaker, "session": cube.session, "pinned": cube.pinned,
        } for cube, strength in found
    ]  # fmt: skip


def _node(cube: MemCube, strength: float) -> dict[str, Any]:
    return {
        "id": cube.id, "text": cube.text[:GRAPH_TEXT], "kind": cube.kind, "state": cube.state, "at": cube.at.isoformat(),
        "strength": strength,
    }  # fmt: skip

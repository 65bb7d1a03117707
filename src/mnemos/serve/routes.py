"""The routes of the REST server. Each gets its space from a `Desk`, which checks the key; there is no other way to one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Header, Query, Request
from fastapi import Path as InPath
from fastapi.responses import PlainTextResponse, StreamingResponse

from mnemos import __version__
from mnemos.cube import MemCube, told
from mnemos.errors import Conflict, InvalidInput
from mnemos.inspect import fading as overview
from mnemos.serve import models
from mnemos.serve.keys import Desk
from mnemos.serve.limits import Answers, Settings, name_of
from mnemos.serve.problems import Json
from mnemos.space import Space
from mnemos.store.sqlite import audit as log

BATCH = 100  # lines of an export that are sent together


def _plain(text: str) -> str:
    """Return a part of the path as it was meant: the app routes what is still percent-encoded."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidInput("a part of the path is not UTF-8.") from error


async def _desk(request: Request) -> Desk:
    return Desk(request.app.state.gate, request.state.key)


async def desk_of_space(
    request: Request, space: Annotated[str, InPath(description="The name of the space, percent-encoded.")]
) -> Desk:
    """Return what a request may do in a space."""
    return Desk(request.app.state.gate, request.state.key, _plain(space))


async def _cube_id(id: Annotated[str, InPath(description="The id of the cube, percent-encoded.")]) -> str:
    return _plain(id)


async def _body(request: Request) -> bytes:
    return await request.body()


Anywhere = Annotated[Desk, Depends(_desk)]
Here = Annotated[Desk, Depends(desk_of_space)]
Id = Annotated[str, Depends(_cube_id)]
Raw = Annotated[bytes, Depends(_body)]


def _cubes(cubes: Sequence[MemCube]) -> list[Any]:
    return [cube.to_dict() for cube in cubes]


def _rows(rows: Sequence[Any]) -> list[Any]:
    """Return dataclasses as data, with times in ISO 8601."""
    return [told(asdict(row)) for row in rows]


# -- spaces


def health() -> Json:
    """Tell that the server is up. Needs no key."""
    return Json({"status": "ok", "version": __version__})


def metrics(desk: Anywhere, request: Request) -> PlainTextResponse:
    """Numbers for Prometheus: requests, their times, and the cubes of the spaces in which the key has admin."""
    desk.need("admin")
    cubes = [(space.name, len(space)) for space in desk.others("admin")]
    return PlainTextResponse(request.app.state.metrics.render(cubes), media_type="text/plain; version=0.0.4")


def spaces(desk: Anywhere) -> Json:
    """List the spaces that the key may read."""
    return Json({"spaces": desk.spaces()})


def remove_space(desk: Here) -> Json:
    """Remove a space and everything in it. Needs admin."""
    desk.remove()
    return Json({"removed": desk.name})


def stats(desk: Here) -> Json:
    """Counts, sizes and models of a space."""
    with desk.open("read") as here:
        return Json({name: value for name, value in here.stats().items() if name != "path"})


def audit(
    desk: Here,
    after: Annotated[int, Query(ge=0, lt=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    verify: bool = False,
) -> Json:
    """Who did what, when: entries above number `after`; `verify` recomputes the chain. Needs admin."""
    with desk.open("admin") as here:
        found = _rows(log.entries(here.store.connection, after=after, limit=limit))
        if not verify:
            return Json({"entries": found})
        count, problems = log.verify(here.store.connection)
        return Json({"entries": found, "count": count, "problems": problems})


def consolidate(desk: Here, body: models.Consolidate | None = None) -> Json:
    """Sum up, profile, link, promote, and let go of what the policy says."""
    with desk.open("write", alone=True) as here:
        done = asdict(here.consolidate(**(body.model_dump() if body else {})))
        return Json({**done, "ids_waiting": sorted(done["ids_waiting"])})


# -- cubes


def add(
    desk: Here,
    body: models.Add,
    raw: Raw,
    request: Request,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Json:
    """Add one memory or many; they are on the disk when this answers.

    With an Idempotency-Key the same request within 24 hours adds nothing and gets the first answer.
    """
    given, reconcile = (body.messages, body.reconcile) if isinstance(body, models.Messages) else ([body], True)
    messages = [m.model_dump(exclude_unset=True) for m in given]
    with desk.open("write", create=True) as here:
        write = partial(here.add_many, messages, reconcile=reconcile)
        if idempotency_key is None:
            return Json({"cubes": _cubes(write())}, 201)
        answers: Answers = request.app.state.answers
        name = name_of(desk.key.id, desk.name, idempotency_key)
        before = answers.begin(name, hashlib.blake2b(raw, key=desk.key.seal, digest_size=32).digest())
        if before is not None:
            answer = Json({"cubes": _cubes(_again(here, before))}, 201)
            answer.headers["Idempotent-Replayed"] = "true"
            return answer
        try:
            cubes = write()
        except BaseException:
            answers.end(name, None)
            raise
        answers.end(name, [(cube.id, cube.version) for cube in cubes])
        return Json({"cubes": _cubes(cubes)}, 201)


def _again(here: Space, answer: Sequence[tuple[str, int]]) -> list[MemCube]:
    """Return the cubes of an earlier answer as they were then."""
    found = []
    for cube_id, version in answer:
        then = next((v for v in here.store.versions(cube_id) if v.version == version), None)
        if then is None:
            raise Conflict("what was stored under this Idempotency-Key has been erased since. Nothing was stored.")
        found.append(replace(then, replaced=None))
    return found


def list_cubes(desk: Here, page: Annotated[models.Listing, Query()]) -> Json:
    """List cubes in the order in which they were written, or the newest first, a page at a time."""
    filters = page.given("where", "newest")
    if page.where is not None:
        try:
            filters["where"] = dict(json.loads(page.where))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"where: not a JSON object ({error}).") from error
    with desk.open("read") as here:
        found = overview.newest(here, **filters) if page.newest else here.list(**filters)
        return Json({"items": _cubes(found.items), "next_cursor": found.next_cursor})


def get(desk: Here, id: Id) -> Json:
    """One cube, its current version."""
    with desk.open("read") as here:
        return Json(here.get(id).to_dict())


def update(desk: Here, id: Id, body: models.Object) -> Json:
    """Write the next version of a cube. The body has the fields that change. Needs read and write."""
    with desk.open("read", "write") as here:
        return Json(here.update(id, **_named(body)).to_dict())


def _named(body: models.Object) -> models.Object:
    if "cube_id" in body or "self" in body:  # would be taken for arguments of the method
        raise InvalidInput("update: a cube's id cannot be changed.")
    return body


def delete(desk: Here, id: Id) -> Json:
    """Remove a cube for good, with all its versions and what was derived from it."""
    with desk.open("erase") as here:
        return Json({"removed": list(here.delete(id))})


def history(desk: Here, id: Id) -> Json:
    """All versions of a cube, oldest first."""
    with desk.open("read") as here:
        return Json({"cubes": _cubes(here.history(id))})


def rollback(desk: Here, id: Id, body: models.Rollback) -> Json:
    """Make an earlier version of a cube its newest one. Needs read and write."""
    with desk.open("read", "write") as here:
        return Json(here.rollback(id, body.version).to_dict())


def links_of(desk: Here, id: Id, kind: str | None = None) -> Json:
    """The links from and to a cube."""
    with desk.open("read") as here:
        return Json({"links": _rows(here.links(id, kind=kind))})


def links(desk: Here, kind: str | None = None) -> Json:
    """All links that are kept."""
    with desk.open("read") as here:
        return Json({"links": _rows(here.links(kind=kind))})


# -- questions


def search(desk: Here, body: models.Search) -> Json:
    """The cubes that answer a question, best first."""
    with desk.open("read") as here:
        found = here.search(**body.given())
        return Json({"hits": [{"cube": h.cube.to_dict(), "score": h.score, "why": dict(h.why)} for h in found]})


def search_sessions(desk: Here, body: models.Search) -> Json:
    """The sessions that answer a question, best first, each with the cube that matches best."""
    with desk.open("read") as here:
        return Json({"sessions": _rows(here.search_sessions(**body.given()))})


def context(desk: Here, body: models.Context) -> Json:
    """A block for a prompt: the best cubes that fit into a budget, in time order, with ids to cite."""
    with desk.open("read") as here:
        return Json({"context": here.context(**body.given())})


def facts(desk: Here, asked: Annotated[models.Facts, Query()]) -> Json:
    """What cubes state: what holds now, or as believed at `as_of`."""
    with desk.open("read") as here:
        return Json({"facts": _rows(here.facts(**asked.model_dump()))})


def decisions(desk: Here, cube: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Json:
    """What was decided about new statements, and why."""
    with desk.open("read") as here:
        return Json({"decisions": _rows(here.decisions(cube, limit=limit))})


def forget(desk: Here, body: models.Forget) -> Json:
    """Show what would be erased (needs read), or with preview=false erase it and give a receipt (needs erase)."""
    chosen = body.given("preview")
    with desk.open("read" if body.preview else "erase") as here:
        if body.preview:
            return Json({"cubes": _cubes(here.forget_preview(**chosen))})
        receipt = here.forget(**chosen)
        return Json({**asdict(receipt), "verified": receipt.verified})


# -- archives


def export(desk: Here) -> StreamingResponse:
    """All cubes with their versions, a JSON object a line: what `import` takes."""
    rows = _dump(desk)
    first = next(rows)  # what is wrong shows before the answer begins
    return StreamingResponse(chain([first], rows), media_type="application/x-ndjson")


def _dump(desk: Desk) -> Iterator[bytes]:
    with desk.open("read") as here:
        lines: list[bytes] = []
        for row in here.dump():
            lines.append(json.dumps(row).encode("ascii"))
            if len(lines) == BATCH:
                yield b"\n".join(lines) + b"\n"
                lines = []
        yield b"".join(line + b"\n" for line in lines)


def import_(desk: Here, request: Request) -> Json:
    """Write what an export yielded, all or none; the body is read as it comes."""
    settings: Settings = request.app.state.settings
    with desk.open("write", create=True) as here:
        added, skipped = here.restore(models.records(models.lines(request, settings.line)))
        return Json({"added": added, "skipped": skipped})

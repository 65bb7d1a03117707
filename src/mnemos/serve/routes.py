"""Routes of the REST server. Each gets its space from an `Access`, which checks the key; there is no other way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Query, Request
from fastapi import Path as InPath
from fastapi.responses import PlainTextResponse, StreamingResponse

from mnemos.cube import Hit, MemCube, to_jsonable
from mnemos.errors import InvalidInput
from mnemos.guard.erasure import Receipt
from mnemos.serve import imports, models
from mnemos.serve.access import Access
from mnemos.serve.blind import echo, own_ids
from mnemos.serve.limits import ServerLimits
from mnemos.serve.once import Once
from mnemos.serve.problems import Json
from mnemos.space import Space
from mnemos.transfer.importer import import_path

BATCH = 100  # lines of an export in one part of the body


def decode_segment(text: str) -> str:
    """Return a segment of the path decoded: the app routes paths while they are percent-encoded. Raises InvalidInput."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidInput("a segment of the path is not UTF-8 after percent-decoding.") from error


async def _access(request: Request) -> Access:
    return Access(request.app.state.pool, request.state.key)


async def access_to_space(
    request: Request, space: Annotated[str, InPath(description="The name of the space, percent-encoded.")]
) -> Access:
    """Return the access of a request to the space in its path."""
    return Access(request.app.state.pool, request.state.key, decode_segment(space))


async def _cube_id(id: Annotated[str, InPath(description="The id of the cube, percent-encoded.")]) -> str:
    return decode_segment(id)


AnyAccess = Annotated[Access, Depends(_access)]
SpaceAccess = Annotated[Access, Depends(access_to_space)]
Id = Annotated[str, Depends(_cube_id)]


def _cubes(cubes: Sequence[MemCube]) -> list[Any]:
    return [cube.to_dict() for cube in cubes]


def to_rows(rows: Sequence[Any]) -> list[Any]:
    """Return dataclasses as JSON data, with times in ISO 8601."""
    return [to_jsonable(asdict(row)) for row in rows]


# -- spaces


def metrics(access: AnyAccess, request: Request) -> PlainTextResponse:
    """Return metrics for Prometheus: requests, durations, cubes of the spaces where the key has admin, spaces not opened."""
    access.require("admin")
    cubes = [None if space is None else (space.name, space.count()) for space in access.each("admin")]
    return PlainTextResponse(request.app.state.metrics.render(cubes), media_type="text/plain; version=0.0.4")


def spaces(access: AnyAccess) -> Json:
    """List the spaces that the key may read."""
    return Json({"spaces": access.spaces()})


def remove_space(access: SpaceAccess) -> Json:
    """Remove a space and everything in it. Needs admin."""
    access.remove()
    return Json({"removed": access.name})


def stats(access: SpaceAccess) -> Json:
    """Return counts, sizes and models of a space."""
    with access.open("read") as space:
        return Json({name: value for name, value in space.stats().items() if name != "path"})


def timezone(access: SpaceAccess) -> Json:
    """Return the time zone of the space: where naive times are told, and whose days "today" and plain dates are."""
    with access.open("read") as space:
        return Json({"timezone": space.timezone})


def set_timezone(access: SpaceAccess, body: models.Zone) -> Json:
    """Set the time zone of the space. What is stored already keeps the zone in which it was told."""
    with access.open("write", create=True) as space:
        space.timezone = body.timezone
        return Json({"timezone": space.timezone})


def audit(
    access: SpaceAccess,
    after: Annotated[int, Query(ge=0, lt=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    verify: bool = False,
    head: Annotated[str | None, Query(max_length=200)] = None,
) -> Json:
    """List who did what when, after entry number `after`. Needs admin.

    With `verify` it also recomputes the hash chain, which must contain `head` if given.
    """
    with access.open("admin") as space:
        found = to_rows(space.audit(after=after, limit=limit))
        if not verify:
            return Json({"entries": found})
        count, problems = space.verify_audit(head)
        return Json({"entries": found, "count": count, "problems": problems})


def consolidate(access: SpaceAccess, body: models.Consolidate | None = None) -> Json:
    """Consolidate: write summaries and profiles, link and promote cubes, apply the policy. Needs read and write."""
    with access.open("read", "write", exclusive=True) as space:
        done = asdict(space.consolidate(**(body.model_dump() if body else {})))
        return Json({**done, "ids_waiting": sorted(done["ids_waiting"])})


# -- cubes


def add(access: SpaceAccess, body: models.Add, once: Once) -> Json:
    """Add one memory or many. They are on disk when the response arrives.

    With an Idempotency-Key, repeating the request within 24 hours adds nothing and returns the first response. A key that
    may not read learns nothing of what is there: each text is new, ids that it gives are its own, and the response repeats
    the request.
    """
    given, reconcile = (body.messages, body.reconcile) if isinstance(body, models.Messages) else ([body], True)
    messages = [m.model_dump(exclude_unset=True) for m in given]
    blind = not access.key.may("read", access.name)
    if blind:
        messages = own_ids(messages, access.key)
    with access.open("write", create=True) as space:
        cubes = once(access, space, lambda: space.add_many(messages, reconcile=reconcile))
        return once.mark(Json({"cubes": echo(messages, space) if blind else _cubes(cubes)}, 201))


def list_cubes(access: SpaceAccess, page: Annotated[models.Listing, Query()]) -> Json:
    """List a page of cubes in the order in which they were written, or the newest first."""
    filters = page.given("newest")
    with access.open("read") as space:
        found = space.inspect.newest(**filters) if page.newest else space.cubes(**filters)
        return Json({"items": _cubes(found.items), "next_cursor": found.next_cursor})


def get(access: SpaceAccess, id: Id) -> Json:
    """Return the current version of a cube."""
    with access.open("read") as space:
        return Json(space.get(id).to_dict())


def update(access: SpaceAccess, id: Id, body: models.Object, once: Once) -> Json:
    """Write the next version of a cube, once for each Idempotency-Key. The body has what changes. Needs read and write."""
    with access.open("read", "write") as space:
        if "cube_id" in body or "self" in body:  # they would be taken for parameters of the method
            raise InvalidInput("update: a cube's id cannot be changed.")
        [cube] = once(access, space, lambda: [space.update(id, **body)])
        return once.mark(Json(cube.to_dict()))


def delete(access: SpaceAccess, id: Id) -> Json:
    """Erase a cube with all its versions and what was derived from it."""
    with access.open("erase") as space:
        return Json({"removed": list(space.delete(id))})


def history(access: SpaceAccess, id: Id) -> Json:
    """List all versions of a cube, oldest first."""
    with access.open("read") as space:
        return Json({"cubes": _cubes(space.history(id))})


def rollback(access: SpaceAccess, id: Id, body: models.Rollback, once: Once) -> Json:
    """Write an earlier version of a cube again, as its newest, once for each Idempotency-Key. Needs read and write."""
    with access.open("read", "write") as space:
        [cube] = once(access, space, lambda: [space.rollback(id, body.version)])
        return once.mark(Json(cube.to_dict()))


def links_of(access: SpaceAccess, id: Id, kind: str | None = None) -> Json:
    """List the links from and to a cube."""
    with access.open("read") as space:
        return Json({"links": to_rows(space.links(id, kind=kind))})


def links(access: SpaceAccess, kind: str | None = None) -> Json:
    """List all stored links."""
    with access.open("read") as space:
        return Json({"links": to_rows(space.links(kind=kind))})


# -- questions


def search(access: SpaceAccess, body: models.Search) -> Json:
    """Return the cubes that answer a question, best first."""
    with access.open("read") as space:
        found = space.search(**body.given())
        hits = [hit.to_dict() for hit in found]
        return Json({"hits": hits, "confidence": found.confidence, "answerable": found.answerable})


def search_sessions(access: SpaceAccess, body: models.Search) -> Json:
    """Return the sessions that answer a question, best first, each with its best cube."""
    with access.open("read") as space:
        return Json({"sessions": to_rows(space.search_sessions(**body.given()))})


def context(access: SpaceAccess, body: models.Context) -> Json:
    """Return a block for a prompt: the best cubes within a token budget, in chronological order, with ids to cite."""
    with access.open("read") as space:
        return Json({"context": space.context(**body.given())})


def facts(access: SpaceAccess, asked: Annotated[models.Facts, Query()]) -> Json:
    """List the facts that cubes state and that hold now, held at `true_at`, or were believed at `as_of`."""
    with access.open("read") as space:
        return Json({"facts": to_rows(space.facts(**asked.model_dump()))})


def decisions(
    access: SpaceAccess, cube: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 100
) -> Json:
    """List the decisions about new statements, with the reasons."""
    with access.open("read") as space:
        return Json({"decisions": to_rows(space.decisions(cube, limit=limit))})


def forget(access: SpaceAccess, body: models.Forget) -> Json:
    """Show what would be erased (needs read), or with preview=false erase it and return a receipt (needs erase)."""
    chosen = body.given("preview")
    with access.open("read" if body.preview else "erase") as space:
        if body.preview:
            shown = space.forget_preview(**chosen)
            offers = [{"cube": offer.cube.to_dict(), "reason": offer.reason} for offer in shown.offers]
            return Json({"cubes": _cubes(shown.cubes), "offers": offers})
        receipt = space.forget(**chosen)
        return Json({**asdict(receipt), "verified": receipt.verified})


def quarantined(access: SpaceAccess, body: models.Quarantined) -> Json:
    """Say which of these cubes `context` would withhold for a question, with the reasons; by default of those it finds."""
    with access.open("read") as space:
        return Json({"withheld": dict(space.quarantined(body.question, _hits(space, body.ids)))})


def used(access: SpaceAccess, body: models.Used, once: Once) -> Json:
    """Note that these cubes answered a question, so that the space can be tuned to it. Needs read and write."""
    with access.open("read", "write") as space:
        [cube] = once(access, space, lambda: [space.used(body.question, body.ids)])
        return once.mark(Json(cube.to_dict()))


def _hits(space: Space, ids: Sequence[str] | None) -> list[Hit] | None:
    """Return cubes by id as hits, without those that were erased in the meantime."""
    if ids is None:
        return None
    found = space.store.get(ids)
    return [Hit(found[cube_id], 0.0, {}) for cube_id in ids if cube_id in found]


def verify(access: SpaceAccess, body: models.ReceiptShape) -> Json:
    """Search the space again for what a receipt says was erased; return where something was found."""
    data = body.model_dump(exclude={"verified"})
    receipt = Receipt(**{**data, "ids": tuple(body.ids), "remains": tuple(body.remains)})
    with access.open("read") as space:
        return Json({"found": space.verify(receipt)})


# -- archives


def export(access: SpaceAccess) -> StreamingResponse:
    """Stream all cubes with their versions, one JSON object per line, as `import` reads them."""
    rows = _dump(access)
    first = next(rows)  # raise errors before the response starts
    return StreamingResponse(chain([first], rows), media_type="application/x-ndjson")


def _dump(access: Access) -> Iterator[bytes]:
    with access.open("read") as space:
        lines: list[bytes] = []
        for row in space.dump():
            lines.append(json.dumps(row).encode("ascii"))
            if len(lines) == BATCH:
                yield b"\n".join(lines) + b"\n"
                lines = []
        yield b"".join(line + b"\n" for line in lines)


def import_(access: SpaceAccess, request: Request) -> Json:
    """Store what an export wrote, all or nothing. The body is streamed. Needs read and write."""
    limits: ServerLimits = request.app.state.limits
    with access.open("read", "write", create=True) as space:
        added, skipped = space.restore(imports.records(imports.lines(request, limits.import_line)))
        return Json({"added": added, "skipped": skipped})


def import_file(
    access: SpaceAccess,
    request: Request,
    name: Annotated[str, Query(description="The name of the file, such as conversations.json; its end tells notes.")],
    format: Annotated[str | None, Query(description="The format, if it cannot be recognised from the content.")] = None,
    timezone: Annotated[
        str | None, Query(description="Whose clock times without an offset are on (default: the space's).")
    ] = None,
    me: Annotated[
        list[str],
        Query(description="Your names or addresses as a sender: what they sent is yours (default: the space's name)."),
    ] = [],  # noqa: B006
) -> Json:
    """Import a file: chats, an account's export, notes, a zip of them, or an archive. Again, it adds nothing.

    The body is the file. What was erased from the space is not imported. Returns what was read, added, updated, left out,
    and why. Needs read and write.
    """
    limits: ServerLimits = request.app.state.limits
    with access.open("read", "write", create=True) as space, TemporaryDirectory() as folder:
        try:
            path = imports.into_file(request, Path(folder), name, limits.import_file)
            report = import_path(space, path, format=format, timezone=timezone, me=me)
        except InvalidInput as error:
            raise InvalidInput(str(error).replace(f"{folder}/", "")) from error
        return Json(report.to_dict())

"""Once: a write that is repeated with its Idempotency-Key is carried out once, and answered as the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Header, Request

from mnemos.cube import MemCube
from mnemos.errors import Conflict, NotFound
from mnemos.serve.access import Access
from mnemos.serve.idempotency import IdempotencyStore, name_of
from mnemos.serve.problems import Json
from mnemos.space import Space


@dataclass(slots=True)
class OnceWriter:
    """The write of one request. Without an Idempotency-Key it is simply carried out."""

    store: IdempotencyStore
    what: bytes  # the path and the body
    key: str | None
    replayed: bool = False

    def __call__(self, access: Access, space: Space, write: Callable[[], Sequence[MemCube]]) -> list[MemCube]:
        """Carry out a write and return the cubes that it wrote, as they were then.

        Raises Conflict for a key that was used for something else, if the first request has not ended, or if a cube of its
        has been erased.
        """
        if self.key is None:
            return list(write())
        name = name_of(access.key.id, access.name, self.key)
        earlier = self.store.start(name, hashlib.blake2b(self.what, key=access.key.seal, digest_size=32).digest())
        if earlier is not None:
            self.replayed = True
            return _as_written(space, earlier)
        try:
            cubes = list(write())
        except BaseException:
            self.store.end(name, None)
            raise
        self.store.end(name, [(cube.id, cube.version) for cube in cubes])
        return cubes

    def mark(self, response: Json) -> Json:
        """Return a response with the header that tells of a replay, if it is one."""
        if self.replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return response


def _as_written(space: Space, stored: Sequence[tuple[str, int]]) -> list[MemCube]:
    """Return the cubes of an earlier response as they were then. Raises Conflict if one has been erased."""
    cubes = []
    for cube_id, version in stored:
        try:
            [cube] = [v for v in space.history(cube_id) if v.version == version]
        except (NotFound, ValueError) as error:
            raise Conflict(
                "the memory stored with this Idempotency-Key has been erased. Nothing was stored."
            ) from error
        cubes.append(replace(cube, replaced=None))
    return cubes


async def _once(
    request: Request, idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None
) -> OnceWriter:
    path = str(request.url.path).encode()
    body = await request.body()
    return OnceWriter(request.app.state.idempotency, len(path).to_bytes(4) + path + body, idempotency_key)


Once = Annotated[OnceWriter, Depends(_once)]

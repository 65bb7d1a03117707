"""Routes for keys: the caller's own, and for admins those within their own reach.

No key can reach further than the one that created it, in spaces, rights or time.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi import Path as InPath
from pydantic import Field

from mnemos.cube import utc_now
from mnemos.errors import NotFound
from mnemos.serve.access import Forbidden
from mnemos.serve.keys import Key, KeyStore
from mnemos.serve.models import Strict
from mnemos.serve.problems import Json
from mnemos.serve.routes import AnyAccess, decode_segment

DAY = 86_400  # seconds


class NewKey(Strict):
    """A key to create: names or patterns of spaces, rights, and days until it expires (default: when the caller's does)."""

    name: str = Field(min_length=1, max_length=200)
    spaces: list[Annotated[str, Field(min_length=1, max_length=1_000)]] = Field(min_length=1, max_length=100)
    rights: list[Literal["read", "write", "erase", "admin"]] = Field(min_length=1, max_length=4)
    days: float | None = Field(None, gt=0, lt=36_500)


def _keys(request: Request) -> KeyStore:
    store: KeyStore = request.app.state.keys
    return store


async def _key_id(id: Annotated[str, InPath(description="The id of the key, from `GET /v1/keys`.")]) -> str:
    return decode_segment(id)


Id = Annotated[str, Depends(_key_id)]


def own_key(access: AnyAccess) -> Json:
    """Return the key of this request: its spaces and rights."""
    shown = _shown(access.key)
    return Json({name: shown[name] for name in ("id", "name", "spaces", "rights", "made", "expires")})


def list_keys(access: AnyAccess, request: Request) -> Json:
    """List the keys that reach no further than the key of this request. Needs admin."""
    access.require("admin")
    store = _keys(request)
    return Json({"keys": [_shown(k, store) for k in store.all() if not _beyond(access.key, k.spaces, k.rights)]})


def add_key(access: AnyAccess, request: Request, body: NewKey) -> Json:
    """Create a key, which is shown only once. It may not reach further than the key of this request. Needs admin."""
    access.require("admin")
    if beyond := _beyond(access.key, body.spaces, body.rights):
        raise Forbidden(f"this key cannot grant what it does not have: {', '.join(beyond)}. No key was created.")
    store = _keys(request)
    token, key = store.add(body.name, spaces=body.spaces, rights=body.rights, days=_days(access.key, body.days, store))
    return Json({"key": token, **_shown(key, store)}, 201)


def revoke_key(access: AnyAccess, request: Request, id: Id) -> Json:
    """Revoke a key immediately. A key that reaches further than the key of this request is not found. Needs admin."""
    access.require("admin")
    store = _keys(request)
    key = next((k for k in store.all() if k.id == id), None)
    if key is None or _beyond(access.key, key.spaces, key.rights):
        raise NotFound(f"there is no key {id!r}.")
    return Json(_shown(store.revoke(id), store))


def _beyond(own: Key, spaces: Any, rights: Any) -> list[str]:
    """Return the spaces and rights that are out of reach of a key, so that it may neither grant nor see them.

    A pattern is in reach if the key has the identical pattern or "*"; whether one pattern includes another is not
    computed. A plain name is in reach if one of the key's patterns matches it.
    """
    if "*" in own.spaces:
        spaces = ()
    return [
        space
        for space in spaces
        if space not in own.spaces
        and (set("*?[") & set(space) or not any(fnmatchcase(space, pattern) for pattern in own.spaces))
    ] + [right for right in rights if right not in own.rights]


def _days(own: Key, days: float | None, store: KeyStore) -> float | None:
    """Return the days until a new key expires, at most those of the key that creates it. Raises Forbidden."""
    if own.expires is None:
        return days
    left = (own.expires - store.clock()).total_seconds() / DAY
    if days is not None and days > left:
        raise Forbidden(
            f"this key expires in {left:.2f} days, so it cannot create one for {days:g} days. No key was created."
        )
    return left if days is None else days


def _shown(key: Key, store: KeyStore | None = None) -> dict[str, Any]:
    """Return the public record of a key, with its state."""
    now = store.clock() if store else utc_now()
    return key.public() | {"state": key.state(now)}

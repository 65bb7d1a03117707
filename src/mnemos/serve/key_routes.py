"""The routes of keys: which one asks, and for those with admin the keys within their own scope, new ones and none beyond.

No key reaches further than the one that made it: not in spaces, not in rights, not in time.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi import Path as InPath
from pydantic import Field

from mnemos.cube import utc_now
from mnemos.errors import NotFound
from mnemos.serve.keys import Forbidden, Key, KeyStore
from mnemos.serve.models import Strict
from mnemos.serve.problems import Json
from mnemos.serve.routes import AnyAccess, _plain

DAY = 86_400  # seconds


class NewKey(Strict):
    """A key to make: names or patterns of spaces, rights, and after how many days it expires (none: as its maker does)."""

    name: str = Field(min_length=1, max_length=200)
    spaces: list[Annotated[str, Field(min_length=1, max_length=1_000)]] = Field(min_length=1, max_length=100)
    rights: list[Literal["read", "write", "erase", "admin"]] = Field(min_length=1, max_length=4)
    days: float | None = Field(None, gt=0, lt=36_500)


def _keys(request: Request) -> KeyStore:
    store: KeyStore = request.app.state.keys
    return store


async def _key_id(id: Annotated[str, InPath(description="The id of the key, as `GET /v1/keys` shows it.")]) -> str:
    return _plain(id)


Id = Annotated[str, Depends(_key_id)]


def own_key(access: AnyAccess) -> Json:
    """The key that asks: its spaces and its rights."""
    shown = _shown(access.key)
    return Json({name: shown[name] for name in ("id", "name", "spaces", "rights", "made", "expires")})


def list_keys(access: AnyAccess, request: Request) -> Json:
    """The keys that reach no further than the one that asks. Needs admin."""
    access.need("admin")
    store = _keys(request)
    return Json({"keys": [_shown(k, store) for k in store.all() if not _beyond(access.key, k.spaces, k.rights)]})


def add_key(access: AnyAccess, request: Request, body: NewKey) -> Json:
    """Make a key and show it, for the only time. It may not reach further than the one that asks. Needs admin."""
    access.need("admin")
    if beyond := _beyond(access.key, body.spaces, body.rights):
        raise Forbidden(f"this key cannot give what it does not have: {', '.join(beyond)}. No key was made.")
    store = _keys(request)
    token, key = store.add(body.name, spaces=body.spaces, rights=body.rights, days=_days(access.key, body.days, store))
    return Json({"key": token, **_shown(key, store)}, 201)


def revoke_key(access: AnyAccess, request: Request, id: Id) -> Json:
    """Make a key invalid, at once. One that reaches further than the one that asks is not found. Needs admin."""
    access.need("admin")
    store = _keys(request)
    key = next((k for k in store.all() if k.id == id), None)
    if key is None or _beyond(access.key, key.spaces, key.rights):
        raise NotFound(f"there is no key {id!r}.")
    return Json(_shown(store.revoke(id), store))


def _beyond(own: Key, spaces: Any, rights: Any) -> list[str]:
    """Return those of the spaces and rights that a key may not give or see, because it reaches less far itself.

    A pattern is within the key's scope when it is one of the key's own, letter by letter, or when the key has "*": what
    two patterns have in common is not computed. A plain name is when one of the key's patterns matches it.
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
    """Return in how many days a new key expires: not after the one that makes it."""
    if own.expires is None:
        return days
    left = (own.expires - store.clock()).total_seconds() / DAY
    if days is not None and days > left:
        raise Forbidden(
            f"this key expires in {left:.2f} days: one that it makes cannot last {days:g}. No key was made."
        )
    return left if days is None else days


def _shown(key: Key, store: KeyStore | None = None) -> dict[str, Any]:
    """Return what is told of a key: all but its secret, which is not kept, and its seal."""
    now = store.clock() if store else utc_now()
    return key.public() | {"state": key.state(now)}

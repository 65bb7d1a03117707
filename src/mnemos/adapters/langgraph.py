"""A LangGraph `BaseStore` (long-term memory) in a space."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from mnemos.adapters.base import MemorySpace, clock_of
from mnemos.adapters.reading import best, cubes
from mnemos.cube import MemCube
from mnemos.distribution import install_command
from mnemos.errors import Conflict, MnemosError, NotFound, StoreBusy

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        Item,
        ListNamespacesOp,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
    )

    from mnemos.adapters.langgraph_values import fits, passes, to_text
except ImportError as error:
    raise MnemosError(f"the store needs the package langgraph: {install_command('langgraph')}.") from error

KIND = "item"
ROLE = "assistant"  # the agent writes the items: nothing in them is the user's own words
TRIES = 20  # of a put that conflicts with other writers
REFRESH = 0.1  # share of the time to live that must have passed before a read renews it, which is a write


class MnemosStore(BaseStore):
    """Stores items as cubes of the kind "item": the value in the metadata, and a text of it that is searched.

    The text is made of the value's leaves, or of its `fields` (paths as in LangGraph's `IndexConfig`);
    `put(..., index=[...])` overrides them, and `index=False` excludes an item from searches with a query. A put on an
    existing key writes the next version of its cube: see `versions`. A delete erases.

    A time to live counts from the last write or read. Expired items are never returned, and `sweep` erases them. A read
    that renews an item writes a version; `ttl={"refresh_on_read": False}` avoids that. Secrets in values are redacted
    unless the space's setting keeps them. Listing namespaces reads all items.
    """

    supports_ttl = True

    def __init__(
        self, space: MemorySpace, *, fields: Sequence[str] | None = None, ttl: TTLConfig | None = None
    ) -> None:
        self.space = space
        self.fields = None if fields is None else list(fields)
        self.ttl_config = ttl
        self.clock = clock_of(space)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: all reads before all writes; of several puts on a key only the last counts."""
        results: list[Result] = []
        puts: dict[tuple[tuple[str, ...], str], PutOp] = {}
        for op in ops:
            result: Result = None
            if isinstance(op, GetOp):
                result = self._get(op)
            elif isinstance(op, SearchOp):
                result = self._search(op)
            elif isinstance(op, ListNamespacesOp):
                result = self._namespaces(op)
            elif isinstance(op, PutOp):
                puts[op.namespace, op.key] = op
            else:
                raise ValueError(f"unknown operation: {type(op).__name__}")
            results.append(result)
        for op in puts.values():
            self._put(op)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def versions(self, namespace: tuple[str, ...], key: str) -> list[Item]:
        """Return all versions of an item, oldest first; an empty list if there is no such item."""
        try:
            return [_item(cube) for cube in self.space.history(_id(namespace, key))]
        except NotFound:
            return []

    def sweep(self) -> int:
        """Erase the expired items; return their number."""
        expired = [cube for cube in self._cubes({}) if not self._alive(cube)]
        for cube in expired:
            self._erase(cube.id)
        return len(expired)

    def _get(self, op: GetOp) -> Item | None:
        try:
            cube = self.space.get(_id(op.namespace, op.key))
        except NotFound:
            return None
        if not self._alive(cube):
            return None
        self._renew([cube] if op.refresh_ttl else [])
        return _item(cube)

    def _search(self, op: SearchOp) -> list[SearchItem]:
        where, passing = _prefix(op.namespace_prefix), passes(op.filter or {})

        def keep(cube: MemCube) -> bool:
            return self._alive(cube) and passing(cube.metadata["value"])

        stop = op.offset + op.limit
        if stop < 1:
            return []
        found: list[tuple[MemCube, float | None]] = []
        if op.query and op.query.strip():
            indexed = {**where, "indexed": True}
            hits = best(self.space, op.query, stop, keep, kind=KIND, where=indexed, include_superseded=True)
            found += [(hit.cube, hit.score) for hit in hits]
            where = {**where, "indexed": False}  # as in LangGraph's own store, items without a score come last
        if len(found) < stop:
            for cube in self._cubes(where):
                if keep(cube):
                    found.append((cube, None))
                    if len(found) == stop:
                        break
        found = found[op.offset : stop]
        self._renew([cube for cube, _ in found] if op.refresh_ttl else [])
        return [SearchItem(**_parts(cube), score=score) for cube, score in found]

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        names = {tuple(cube.metadata["namespace"]) for cube in self._cubes({}) if self._alive(cube)}
        names = {n for n in names if all(fits(c, n) for c in op.match_conditions or ())}
        if op.max_depth is not None:
            names = {n[: op.max_depth] for n in names}
        return sorted(names)[op.offset : op.offset + op.limit]

    def _put(self, op: PutOp) -> None:
        name = _id(op.namespace, op.key)
        if op.value is None:
            self._erase(name)
            return
        value = dict(op.value)
        now = self.clock()
        metadata = {
            "namespace": list(op.namespace), **_prefix(op.namespace), "key": op.key, "value": value,
            "indexed": op.index is not False, "updated": now.isoformat(),
        }  # fmt: skip
        if op.ttl is not None:
            metadata |= {"ttl": op.ttl, "expires": now.timestamp() + 60 * op.ttl}
        text = to_text(value, op.index if isinstance(op.index, list) else self.fields).strip() or op.key or "-"
        speaker = ".".join(op.namespace)[:1_000] or None  # so that facts of one namespace supersede only its own
        for _ in range(TRIES):
            try:
                try:
                    old = self.space.get(name)
                except NotFound:
                    cube = self.space.add(
                        text, id=name, kind=KIND, at=now, metadata=metadata, speaker=speaker, role=ROLE, reconcile=False
                    )
                    if cube.metadata.get("updated") == metadata["updated"]:
                        return
                    continue  # another writer added the item first: update it in the next attempt
                at = old.at if self._alive(old) else now
                self.space.update(name, content=text, kind=KIND, at=at, metadata=metadata, role=ROLE)
                return
            except (Conflict, NotFound):
                continue
        raise StoreBusy(f"other writers changed the item {op.key!r} {TRIES} times in a row. Try again.")

    def _erase(self, name: str) -> None:
        try:
            self.space.delete(name)
        except NotFound:
            return  # deleting a missing item is not an error in LangGraph

    def _cubes(self, where: Mapping[str, Any]) -> Iterator[MemCube]:
        # any state: an item exists until it is deleted, even if other statements supersede it
        return cubes(self.space, kind=KIND, state="any", where=where)

    def _alive(self, cube: MemCube) -> bool:
        expires = cube.metadata.get("expires")
        return expires is None or self.clock().timestamp() < expires

    def _renew(self, read: Iterable[MemCube]) -> None:
        for cube in read:
            if (minutes := cube.metadata.get("ttl")) is None:
                continue
            until = self.clock().timestamp() + 60 * minutes
            if until - cube.metadata["expires"] < 60 * minutes * REFRESH:
                continue
            try:
                self.space.update(cube.id, metadata={**cube.metadata, "expires": until})
            except (Conflict, NotFound):
                continue  # another writer changed or deleted it


def _id(namespace: Sequence[str], key: str) -> str:
    encoded = json.dumps([*namespace, key])
    return "item-" + hashlib.blake2b(encoded.encode(), digest_size=16).hexdigest()


def _prefix(namespace: Sequence[str]) -> dict[str, Any]:
    return {f"namespace.{i}": label for i, label in enumerate(namespace)}  # so that the space can filter by prefix


def _parts(cube: MemCube) -> dict[str, Any]:
    m = cube.metadata
    updated = datetime.fromisoformat(m["updated"])
    return {
        "namespace": tuple(m["namespace"]),
        "key": m["key"],
        "value": m["value"],
        "created_at": cube.at,
        "updated_at": updated,
    }


def _item(cube: MemCube) -> Item:
    return Item(**_parts(cube))

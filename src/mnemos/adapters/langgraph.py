"""LangGraph's long-term memory, a `BaseStore`, over a space."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from mnemos.adapters.reading import best, cubes
from mnemos.cube import MemCube, utc_now
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

    from mnemos.adapters.langgraph_values import equal, fits, to_text
except ImportError as gone:
    raise MnemosError("the store needs the package langgraph: pip install 'mnemos[langgraph]'.") from gone

KIND = "item"
TRIES = 20  # of a put that others were faster than
REFRESH = 0.1  # of a time to live: a read that comes sooner after the last one does not write


class MnemosStore(BaseStore):
    """Items are cubes of the kind "item": their values stand in the metadata, a text of them is searched.

    `space` is a `Space` or anything with its verbs. The text is the value's leaves, or the `fields` (paths as in
    LangGraph's `IndexConfig`); `put(..., index=[...])` chooses others, and `index=False` keeps an item out of searches
    with a query. A put on a key that is there writes the next version of its cube: see `versions`. A delete erases.

    A time to live counts from the last write or read. Expired items are left out at once, and erased by `sweep`. A read
    that renews one writes a version; `ttl={"refresh_on_read": False}` spares that. Secrets in values are redacted unless
    the space's policy keeps them. Listing namespaces reads all items.
    """

    supports_ttl = True

    def __init__(self, space: Any, *, fields: Sequence[str] | None = None, ttl: TTLConfig | None = None) -> None:
        self.space = space
        self.fields = None if fields is None else list(fields)
        self.ttl_config = ttl
        self.clock: Callable[[], datetime] = getattr(space, "clock", utc_now)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations: what is read is read before anything is written; of several puts on a key the last one counts."""
        results: list[Result] = []
        puts: dict[tuple[tuple[str, ...], str], PutOp] = {}
        for op in ops:
            done: Result = None
            if isinstance(op, GetOp):
                done = self._get(op)
            elif isinstance(op, SearchOp):
                done = self._search(op)
            elif isinstance(op, ListNamespacesOp):
                done = self._namespaces(op)
            elif isinstance(op, PutOp):
                puts[op.namespace, op.key] = op
            else:
                raise ValueError(f"unknown operation: {type(op).__name__}")
            results.append(done)
        for op in puts.values():
            self._put(op)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def versions(self, namespace: tuple[str, ...], key: str) -> list[Item]:
        """Return all versions of an item, oldest first; none where there is no such item."""
        try:
            return [_item(cube) for cube in self.space.history(_id(namespace, key))]
        except NotFound:
            return []

    def sweep(self) -> int:
        """Erase the items whose time to live is over; return how many."""
        dead = [cube for cube in self._cubes({}) if not self._alive(cube)]
        for cube in dead:
            self._erase(cube.id)
        return len(dead)

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
        where = _prefix(op.namespace_prefix)

        def keep(cube: MemCube) -> bool:
            value = cube.metadata["value"]
            wanted = (op.filter or {}).items()
            return self._alive(cube) and all(equal(value.get(name), x) for name, x in wanted)

        stop = op.offset + op.limit
        if stop < 1:
            return []
        found: list[tuple[MemCube, float | None]] = []
        if op.query and op.query.strip():
            indexed = {**where, "indexed": True}
            hits = best(self.space, op.query, stop, keep, kind=KIND, where=indexed, include_superseded=True)
            found += [(hit.cube, hit.score) for hit in hits]
            where = {**where, "indexed": False}  # as LangGraph's own store: what has no score comes last
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
        speaker = ".".join(op.namespace)[:1_000] or None  # whose "I" it is: one namespace's facts end no other's
        for _ in range(TRIES):
            try:
                try:
                    old = self.space.get(name)
                except NotFound:
                    cube = self.space.add(
                        text, id=name, kind=KIND, at=now, metadata=metadata, speaker=speaker, reconcile=False
                    )
                    if cube.metadata.get("updated") == metadata["updated"]:
                        return
                    continue  # somebody else added the same text meanwhile: the next turn updates it
                at = old.at if self._alive(old) else now
                self.space.update(name, content=text, kind=KIND, at=at, metadata=metadata)
                return
            except (Conflict, NotFound):
                continue
        raise StoreBusy(f"the item {op.key!r} was changed by others {TRIES} times in a row. Try again.")

    def _erase(self, name: str) -> None:
        try:
            self.space.delete(name)
        except NotFound:
            return  # deleting what is not there is no error in LangGraph

    def _cubes(
        self, where: Mapping[str, Any]
    ) -> Iterator[MemCube]:  # whatever others say, an item is there until deleted
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
                continue  # it was written or deleted meanwhile


def _id(namespace: Sequence[str], key: str) -> str:
    spelled = json.dumps([*namespace, key])
    return "item-" + hashlib.blake2b(spelled.encode(), digest_size=16).hexdigest()


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

"""mem0's `Memory` class on Mnemos: the same methods and results, without an LLM. It does not need the package mem0."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any

from mnemos.adapters import base
from mnemos.adapters.mem0_filters import OWNERS, check_count, check_ids, split, to_day, to_where
from mnemos.adapters.reading import best, cubes
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, NotFound
from mnemos.store.where import matcher
from mnemos.system import Mnemos

AGENT = "assistant"  # the role of a text that a tool rewrote: it ends nothing that the user said
IDENTITY = (*OWNERS, "actor_id")
UNSET: Any = object()
RRF = 60  # reciprocal rank fusion, as in `Mnemos.search`: scores of different spaces are not comparable


class Memory:
    """A drop-in replacement for mem0's `Memory` in spaces of a root, a `Mnemos` or a client of a server.

    Each user has a separate space, `PREFIX user:ID`, so a call for one user never opens another user's file. A memory
    without a user is in the agent's space, one with only a run in the run's. Inside a space the agent is metadata and the
    run the session. A call without a user searches all of these spaces, as in mem0.

    `infer=True` stores texts unchanged and decides by rules what they supersede; `infer=False` only appends.
    Ids may be arguments, as in mem0 1, or in `filters`, as in mem0 2. Scores are those of Mnemos; there is no default
    `threshold`. Deleting erases: `history` keeps nothing of the text.
    """

    def __init__(self, memory: str | os.PathLike[str] | base.Memory | None = None, *, prefix: str = "mem0:") -> None:
        self.memory: base.Memory = Mnemos(memory) if memory is None or isinstance(memory, str | os.PathLike) else memory
        self.prefix = prefix
        self._heads = tuple(self._name(owner, "") for owner in OWNERS)

    def add(
        self, messages: Any, *, user_id: Any = None, agent_id: Any = None, run_id: Any = None,
        metadata: Mapping[str, Any] | None = None, timestamp: Any = None, expiration_date: Any = None,
        infer: bool = True, memory_type: str | None = None, prompt: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Store messages (a text, a message or a list) and return the event of each; system messages are left out.

        A message that was stored before, with the same timestamp, has the event "NONE". `prompt` is ignored: there is no
        LLM.
        """
        if memory_type is not None:
            raise InvalidInput(
                f"memory_type={memory_type!r} needs an LLM, which this adapter does not use. Leave it out, or add the "
                "summary yourself."
            )
        ids = check_ids({"user_id": user_id, "agent_id": agent_id, "run_id": run_id})
        owner = next(name for name in OWNERS if name in ids)
        extra = {name: value for name, value in (metadata or {}).items() if name not in IDENTITY}
        if owner == "user_id" and "agent_id" in ids:
            extra["agent_id"] = ids["agent_id"]
        if (expires := to_day(expiration_date)) is not None:
            extra["expiration_date"] = expires
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        now = base.clock_of(self.memory)()
        drafts = [
            {
                "content": m["content"], "role": base.role_of(m.get("role") or "user"), "speaker": m.get("name"),
                "source": "tool:mem0" if base.role_of(m.get("role")) == "tool" else None, "metadata": extra,
                "session": None if owner == "run_id" else ids.get("run_id"),
                "at": timestamp or m.get("timestamp") or m.get("created_at"),
            }
            for m in ([messages] if isinstance(messages, Mapping) else messages)
            if m.get("content") and m.get("role") != "system"
        ]  # fmt: skip
        name = self._name(owner, ids[owner])
        stored = self.memory.space(name).add_many(drafts, reconcile=infer) if drafts else []
        return {"results": [_added(cube, self._id(cube, name), now) for cube in stored]}

    def search(
        self, query: str, *, user_id: Any = None, agent_id: Any = None, run_id: Any = None, top_k: int | None = None,
        limit: int | None = None, filters: Mapping[str, Any] | None = None, threshold: float | None = None,
        rerank: bool = False, explain: bool = False, show_expired: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the memories that answer `query` best; `explain` adds the contribution of each signal.

        `rerank` is ignored. Raises InvalidInput without an id.
        """
        want = check_count(top_k, limit)
        ids, rest = split(filters, user_id, agent_id, run_id)
        spaces = list(self._spaces(ids))
        found: list[dict[str, Any]] = []
        for name, space, narrow in spaces if want else []:
            keep = self._filter(name, rest, show_expired)
            for rank, hit in enumerate(best(space, query, want, keep, **narrow), 1):
                score = hit.score if len(spaces) == 1 else 1 / (RRF + rank)
                row = self._row(hit.cube, name) | {"score": score}
                found.append(row | {"score_details": dict(hit.why)} if explain else row)
        found.sort(key=lambda row: -row["score"])
        return {"results": [row for row in found if threshold is None or row["score"] >= threshold][:want]}

    def get(self, memory_id: str) -> dict[str, Any] | None:
        """Return one memory, or None."""
        return (found := self._find(memory_id)) and self._row(found[2], found[0])

    def get_all(
        self, *, user_id: Any = None, agent_id: Any = None, run_id: Any = None, top_k: int | None = None,
        limit: int | None = None, filters: Mapping[str, Any] | None = None, show_expired: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the current memories in the order in which they were written. Raises InvalidInput without an id."""
        want = check_count(top_k, limit)
        ids, rest = split(filters, user_id, agent_id, run_id)
        found: list[dict[str, Any]] = []
        for name, space, narrow in self._spaces(ids):
            keep = self._filter(name, rest, show_expired)
            found += islice((self._row(cube, name) for cube in cubes(space, **narrow) if keep(cube)), want)
        return {"results": found[:want]}

    def update(
        self, memory_id: str, text: str | None = None, metadata: Mapping[str, Any] | None = None,
        expiration_date: Any = UNSET, data: str | None = None,
    ) -> dict[str, str]:  # fmt: skip
        """Write the next version of a memory; `metadata` is merged into the existing. `data` is mem0 1's name of `text`."""
        text = data if text is None else text
        if text is None and metadata is None and expiration_date is UNSET:
            raise InvalidInput("nothing to update. Give text, metadata or expiration_date.")
        _, space, cube = self._require(memory_id)
        new = {name: value for name, value in (metadata or {}).items() if name not in IDENTITY}
        if expiration_date is not UNSET:
            new["expiration_date"] = to_day(expiration_date)
        changes: dict[str, Any] = {"content": cube.text if text is None else text, "metadata": {**cube.metadata, **new}}
        if (changes["content"], changes["metadata"]) != (cube.text, dict(cube.metadata)):
            edited = {"role": AGENT} if changes["content"] != cube.text else {}
            space.update(cube.id, **changes, **edited)
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str) -> dict[str, str]:
        """Erase one memory with its versions. Raises InvalidInput if it does not exist."""
        space, cube = self._require(memory_id)[1:]
        space.delete(cube.id)
        return {"message": "Memory deleted successfully!"}

    def delete_all(self, user_id: Any = None, agent_id: Any = None, run_id: Any = None) -> dict[str, str]:
        """Erase all memories of a user, an agent and/or a run. Raises InvalidInput without an id."""
        for _, space, narrow in self._spaces(check_ids({"user_id": user_id, "agent_id": agent_id, "run_id": run_id})):
            with suppress(NotFound):  # no memory matched
                space.forget(**(narrow or {"everything": True}))
        return {"message": "Memories deleted successfully!"}

    def history(self, memory_id: str) -> list[dict[str, Any]]:
        """Return the changes of a memory, oldest first; an empty list for an erased one."""
        if (found := self._find(memory_id)) is None:
            return []
        versions: Sequence[MemCube] = found[1].history(found[2].id)
        return [
            {
                "id": f"{memory_id}#{v.version}", "memory_id": memory_id, "old_memory": old and old.text,
                "new_memory": v.text, "event": "UPDATE" if old else "ADD", "created_at": v.at.isoformat(),
                "updated_at": (v.learned if old else v.at).isoformat(), "is_deleted": False, "actor_id": v.speaker,
                "role": v.role,
            }
            for old, v in zip([None, *versions], versions, strict=False)
        ]  # fmt: skip

    def reset(self) -> None:
        """Erase every space of this prefix."""
        for name in self._names():
            if isinstance(self.memory, base.RemovesSpaces):
                self.memory.remove(name)
            else:
                with suppress(NotFound):
                    self.memory.space(name).forget(everything=True)

    def close(self) -> None:
        """Close the memory."""
        self.memory.close()

    def _name(self, owner: str, value: str) -> str:
        return f"{self.prefix}{owner.removesuffix('_id')}:{value}"

    def _names(self) -> list[str]:
        return [name for name in self.memory.spaces() if name.startswith(self._heads)]

    def _known(self, name: str) -> bool:
        return name in (self.memory if isinstance(self.memory, base.FindsSpaces) else self.memory.spaces())

    def _spaces(self, ids: Mapping[str, str]) -> Iterator[tuple[str, base.MemorySpace, dict[str, Any]]]:
        """Yield the spaces that may contain memories with these ids, and the filters to apply in each."""
        user = self._name("user_id", ids.get("user_id", ""))
        names = self._names() if "user_id" not in ids else [user] if self._known(user) else []
        for name in names:
            owner, value = self._owner(name)
            other = {key: x for key, x in ids.items() if (key, x) != (owner, value)}
            if owner in other or (owner == "run_id" and other) or (owner == "agent_id" and "user_id" in other):
                continue
            narrow: dict[str, Any] = {"session": other["run_id"]} if "run_id" in other else {}
            if "agent_id" in other:
                narrow["where"] = {"agent_id": other["agent_id"]}
            yield name, self.memory.space(name), narrow

    def _owner(self, name: str) -> tuple[str, str]:
        kind, _, value = name.removeprefix(self.prefix).partition(":")
        return f"{kind}_id", value

    def _id(self, cube: MemCube, name: str) -> str:
        return f"{cube.id}@{name.removeprefix(self.prefix)}"  # contains the space, since get() takes only the id

    def _find(self, memory_id: str) -> tuple[str, base.MemorySpace, MemCube] | None:
        cube_id, _, rest = str(memory_id).partition("@")
        name = self.prefix + rest
        if not name.startswith(self._heads) or not self._known(name):
            return None
        space = self.memory.space(name)
        try:
            return name, space, space.get(cube_id)
        except NotFound:
            return None

    def _require(self, memory_id: str) -> tuple[str, base.MemorySpace, MemCube]:
        if (found := self._find(memory_id)) is None:
            raise InvalidInput(f"Memory with id {memory_id} not found.")  # a ValueError, as in mem0
        return found

    def _filter(self, name: str, rest: Mapping[str, Any], show_expired: bool) -> Callable[[MemCube], bool]:
        """Return a function that tells whether a cube has not expired and passes mem0's filters."""
        today = base.clock_of(self.memory)().date().isoformat()
        passes = matcher(to_where(rest))

        def keep(cube: MemCube) -> bool:
            expires = cube.metadata.get("expiration_date")
            alive = show_expired or not expires or str(expires) >= today
            return alive and (not rest or passes({**cube.metadata, **self._row(cube, name)}))

        return keep

    def _row(self, cube: MemCube, name: str) -> dict[str, Any]:
        owner, value = self._owner(name)
        own = {"agent_id": cube.metadata.get("agent_id"), "run_id": cube.session, owner: value, "actor_id": cube.speaker,
               "role": cube.role, "expiration_date": cube.metadata.get("expiration_date")}  # fmt: skip
        rest = {k: v for k, v in cube.metadata.items() if k not in own}
        return {
            "id": self._id(cube, name), "memory": cube.text, "hash": hashlib.md5(cube.text.encode()).hexdigest(),
            "metadata": rest or None, "created_at": cube.at.isoformat(),
            "updated_at": (cube.learned if cube.version > 1 else cube.at).isoformat(),
            **{name: value for name, value in own.items() if value is not None},
        }  # fmt: skip


def _added(cube: MemCube, memory_id: str, now: datetime) -> dict[str, Any]:
    event = "NONE" if cube.learned < now else "ADD"
    return {"id": memory_id, "memory": cube.text, "event": event, "actor_id": cube.speaker, "role": cube.role}

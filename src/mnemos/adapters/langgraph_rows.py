"""Rows of LangGraph checkpoints: how checkpoints, values and writes are cubes, and back."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, Checkpoint, CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol

from mnemos.adapters.base import MemorySpace
from mnemos.adapters.reading import cubes
from mnemos.cube import MemCube, Page
from mnemos.errors import NotFound

CHECKPOINT, VALUE, WRITE = KINDS = ("checkpoint", "checkpoint-value", "checkpoint-write")  # kinds of the cubes
TEXT = "A checkpoint of LangGraph."  # the same for all, so that its vector is computed once
ROLE = "assistant"
LATE = 50  # the last checkpoint of a thread is looked for among as many that were written last
PART = 2_000_000  # characters of data in one cube: larger states are several cubes
PIECE = 15  # characters between blanks: no shape of a secret fits in, so that nothing of the data is redacted
ERASED = 1_000  # cubes of one erasure

Message = dict[str, Any]


class Inspects(Protocol):
    """A space that lists the cubes written last, embedded or served."""

    @property
    def inspect(self) -> Any:
        """Return the inspector."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of a graph and a namespace in it: "" for the graph, others for its subgraphs."""

    id: str
    ns: str

    @staticmethod
    def of(config: RunnableConfig) -> Thread:
        """Return the thread that a config names."""
        about = config["configurable"]
        return Thread(str(about["thread_id"]), about.get("checkpoint_ns") or "")

    def config(self, checkpoint: str | None) -> RunnableConfig:
        """Return the config that names a checkpoint of this thread."""
        return {"configurable": {"thread_id": self.id, "checkpoint_ns": self.ns, "checkpoint_id": checkpoint}}

    def checkpoint(self, name: str) -> str:
        """Return the id of the cube of a checkpoint."""
        return self._cube("checkpoint", name)

    def value(self, channel: str, version: str | int | float) -> str:
        """Return the id of the cube of a channel's value."""
        return self._cube("value", channel, version)

    def write(self, of: str, task: str, index: int) -> str:
        """Return the id of the cube of a task's write."""
        return self._cube("write", of, task, index)

    def _cube(self, *name: object) -> str:
        encoded = json.dumps([self.id, self.ns, *name]).encode()
        return "checkpoint-" + hashlib.blake2b(encoded, digest_size=16).hexdigest()


@dataclass(slots=True)
class Rows:
    """The cubes of one call of the checkpointer: each value is read once in it."""

    space: MemorySpace
    serde: SerializerProtocol
    _read: dict[str, MemCube | None] = field(default_factory=dict)

    # -- writing

    def messages(
        self, kind: str, thread: Thread, name: str, about: Message, value: Any, speaker: str | None = None
    ) -> list[Message]:
        """Return what to store of a value: one message, or several where it is large. The first one also says `about`."""
        kept, data = self.serde.dumps_typed(value)
        text = b64encode(data).decode()
        pieces = [text[i : i + PART] for i in range(0, len(text), PART)] or [""]
        made = []
        for i, piece in enumerate(pieces):
            metadata = {"of": name, "part": i, "parts": len(pieces), "type": kept, "data": _spaced(piece)}
            made.append(
                {
                    "content": TEXT, "kind": kind, "id": _part(name, i), "session": thread.id, "speaker": speaker,
                    "role": ROLE, "metadata": {**metadata, **about} if i == 0 else metadata,
                }
            )  # fmt: skip
        return made

    def write_of(
        self, thread: Thread, of: str, index: int, channel: str, value: Any, task: str, path: str
    ) -> list[Message]:
        """Return what to store of a task's write to a channel. Errors and interrupts have one place each, below 0."""
        place = WRITES_IDX_MAP.get(channel, index)
        about = {"task": task, "channel": channel, "index": place, "path": path}
        return self.messages(WRITE, thread, thread.write(of, task, place), about, value, speaker=of)

    def store(self, messages: Sequence[Message]) -> None:
        """Store messages in one transaction. What is there already is replaced, except a task's plain writes."""
        if not messages:
            return
        stored = self.space.add_many(messages, reconcile=False)
        for cube, message in zip(stored, messages, strict=True):
            about = message["metadata"]
            if cube.metadata != about and about.get("index", -1) < 0:
                self.space.update(cube.id, metadata=about)

    def erase(self, ids: Iterable[str]) -> None:
        """Erase cubes, with proof."""
        names = list(dict.fromkeys(ids))
        for i in range(0, len(names), ERASED):
            try:
                self.space.forget(names[i : i + ERASED])
            except NotFound:
                continue  # somebody else erased them

    # -- reading

    def all(self, kind: str, thread: str | None = None, **filters: Any) -> Iterator[MemCube]:
        """Yield the cubes of a kind, of a thread or of all, with the parts of large ones."""
        return cubes(self.space, kind=kind, session=thread, state="any", **filters)

    def checkpoints(self, thread: str | None, ns: str | None) -> list[MemCube]:
        """Return checkpoints, the last first."""
        found = (cube for cube in self.all(CHECKPOINT, thread) if not cube.metadata["part"])
        return sorted((c for c in found if ns in (None, c.metadata["ns"])), key=_time, reverse=True)

    def last(self, thread: Thread) -> MemCube | None:
        """Return the last checkpoint of a thread; None if there is none."""
        where = {"ns": thread.ns, "part": 0}
        try:
            page: Page = cast(Inspects, self.space).inspect.newest(
                limit=LATE, kind=CHECKPOINT, session=thread.id, where=where, state="any"
            )
        except NotFound:
            return None
        return max(page.items, key=_time, default=None)

    def get(self, name: str) -> MemCube | None:
        """Return a cube; None if there is none."""
        if name not in self._read:
            try:
                self._read[name] = self.space.get(name)
            except NotFound:
                self._read[name] = None
        return self._read[name]

    def writes(self, cube: MemCube) -> list[MemCube]:
        """Return what tasks wrote after a checkpoint, in the order in which a graph applies it."""
        found = [each for each in self.all(WRITE, cube.session, speaker=cube.id) if not each.metadata["part"]]
        return sorted(found, key=lambda each: [each.metadata[name] for name in ("path", "task", "index")])

    def load(self, cube: MemCube) -> Any:
        """Return the value of a cube, from all its parts."""
        parts = [cube, *(self.get(_part(cube.id, i)) for i in range(1, cube.metadata["parts"]))]
        text = "".join(part.metadata["data"] for part in parts if part is not None)
        return self.serde.loads_typed((cube.metadata["type"], b64decode(text)))

    def tuple_of(self, cube: MemCube) -> CheckpointTuple:
        """Return the checkpoint of a cube with its values and what tasks wrote after it."""
        thread, about, body = Thread(str(cube.session), cube.metadata["ns"]), cube.metadata, self.load(cube)
        found = {channel: self.get(name) for channel, name in value_names(thread, body).items()}
        body["channel_values"] = {channel: self.load(each) for channel, each in found.items() if each is not None}
        writes = [(w.metadata["task"], w.metadata["channel"], self.load(w)) for w in self.writes(cube)]
        parent = thread.config(about["parent"]) if about["parent"] else None
        return CheckpointTuple(thread.config(about["checkpoint"]), body, self.about(cube), parent, writes)

    def about(self, cube: MemCube) -> Any:
        """Return the metadata of a checkpoint, as LangGraph calls what is said about it."""
        kept, data = cube.metadata["about"]
        return self.serde.loads_typed((kept, b64decode(data)))

    def pack(self, value: Any) -> list[str]:
        """Return a small value as the field of a cube."""
        kept, data = self.serde.dumps_typed(value)
        return [kept, _spaced(b64encode(data).decode())]

    def needed(self, found: Sequence[MemCube]) -> set[str]:
        """Return the ids of the last of these checkpoints in each namespace, and of those that delta channels need."""
        names: set[str] = set()
        by_name = {cube.id: cube for cube in found}
        for ns in {str(cube.metadata["ns"]) for cube in found}:
            cube: MemCube | None = max((c for c in found if c.metadata["ns"] == ns), key=_time)
            missing = set(self.about(cube).get("counters_since_delta_snapshot") or ()) if cube else set()
            while cube is not None:
                names.add(cube.id)
                thread, body = Thread(str(cube.session), ns), self.load(cube)
                missing -= {channel for channel, name in value_names(thread, body).items() if self.get(name)}
                parent = cube.metadata["parent"]
                cube = by_name.get(thread.checkpoint(parent)) if missing and parent else None
        return names


def value_names(thread: Thread, body: Checkpoint) -> dict[str, str]:
    """Return the ids of the cubes that hold, or would hold, the values of a checkpoint, by channel."""
    return {channel: thread.value(channel, version) for channel, version in body["channel_versions"].items()}


def _part(name: str, number: int) -> str:
    return f"{name}-{number}" if number else name


def _spaced(text: str) -> str:
    return " ".join(text[i : i + PIECE] for i in range(0, len(text), PIECE))


def _time(cube: MemCube) -> str:
    return str(cube.metadata["checkpoint"])  # LangGraph's ids grow with time

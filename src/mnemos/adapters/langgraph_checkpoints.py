"""A LangGraph checkpointer (short-term memory of threads) in a space: a graph goes on where it was, in any process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Any

from mnemos.adapters.base import MemorySpace
from mnemos.cube import MemCube
from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError

try:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        BaseCheckpointSaver,
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
        get_checkpoint_metadata,
    )
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from mnemos.adapters.langgraph_rows import CHECKPOINT, KINDS, VALUE, WRITE, Rows, Thread, value_names
except ImportError as error:
    raise MnemosError(f"the checkpointer needs the package langgraph: {install_command('langgraph')}.") from error


class MnemosSaver(BaseCheckpointSaver[str]):
    """Stores the checkpoints of graphs as cubes: each step is on disk, whole or not at all, before the next one begins.

    A checkpoint is a cube of the kind "checkpoint" whose session is the thread; a value of a channel is stored once for each
    of its versions, and a write of a task once. Searches do not find them, laws do not forget them, archives and erasures
    include them. The state is stored exactly as it is, secrets in it too: pass LangGraph's `EncryptedSerializer` as `serde`
    to encrypt it.
    Give it a space of its own: a step is some five cubes. `prune` erases all checkpoints of a thread but the last.
    """

    def __init__(self, space: MemorySpace, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.space = space

    @property
    def _rows(self) -> Rows:
        return Rows(self.space, self.serde)

    # -- what a graph calls

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that a config names, or the last of its thread; None if there is none."""
        thread, rows, name = Thread.of(config), self._rows, config["configurable"].get("checkpoint_id")
        cube = rows.get(thread.checkpoint(name)) if name else rows.last(thread)
        return None if cube is None else rows.tuple_of(cube)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, the last first: of a thread, or of all with None. `filter` compares their metadata."""
        about = dict(config["configurable"]) if config else {}
        end, rows, left = before and before["configurable"].get("checkpoint_id"), self._rows, limit
        thread = about.get("thread_id")
        for cube in rows.checkpoints(None if thread is None else str(thread), about.get("checkpoint_ns")):
            name, told = cube.metadata["checkpoint"], rows.about(cube)
            if about.get("checkpoint_id") not in (None, name) or (end and name >= end):
                continue
            if any(told.get(key) != wanted for key, wanted in (filter or {}).items()):
                continue
            if left is not None:
                if left <= 0:
                    return
                left -= 1
            yield rows.tuple_of(cube)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint with the values that changed, in one transaction; return the config that names it."""
        thread, rows, values = Thread.of(config), self._rows, checkpoint["channel_values"]
        changed = {channel: version for channel, version in new_versions.items() if channel in values}
        made = [
            part
            for channel, version in changed.items()
            for part in rows.messages(VALUE, thread, thread.value(channel, version), {}, values[channel])
        ]
        about = {
            "ns": thread.ns, "checkpoint": checkpoint["id"], "parent": config["configurable"].get("checkpoint_id"),
            "about": rows.pack(get_checkpoint_metadata(config, metadata)),
        }  # fmt: skip
        body = {key: value for key, value in checkpoint.items() if key != "channel_values"}
        rows.store([*made, *rows.messages(CHECKPOINT, thread, thread.checkpoint(checkpoint["id"]), about, body)])
        return thread.config(checkpoint["id"])

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote, in one transaction. What it had written before stays, but for errors and interrupts."""
        thread, rows = Thread.of(config), self._rows
        of = thread.checkpoint(config["configurable"]["checkpoint_id"])
        rows.store(
            [
                part
                for i, (channel, value) in enumerate(writes)
                for part in rows.write_of(thread, of, i, channel, value, task_id, task_path)
            ]
        )

    # -- threads

    def delete_thread(self, thread_id: str) -> None:
        """Erase a thread, with proof: rows and raw bytes are searched for what is left of it."""
        rows = self._rows
        rows.erase(cube.id for kind in KINDS for cube in rows.all(kind, str(thread_id)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Erase the checkpoints that these runs made, with their writes and the values that only they had."""
        rows, wanted = self._rows, set(run_ids)
        self._drop([cube for cube in rows.checkpoints(None, None) if rows.about(cube).get("run_id") in wanted])

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints of a thread, with their writes, to another thread."""
        rows = self._rows
        for cube in reversed(rows.checkpoints(str(source_thread_id), None)):
            found, thread = rows.tuple_of(cube), Thread(str(target_thread_id), cube.metadata["ns"])
            versions = found.checkpoint["channel_versions"]
            self.put(thread.config(cube.metadata["parent"]), found.checkpoint, found.metadata, versions)
            of = thread.checkpoint(cube.metadata["checkpoint"])
            for write in rows.writes(cube):
                w = write.metadata
                rows.store(rows.write_of(thread, of, w["index"], w["channel"], rows.load(write), w["task"], w["path"]))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Erase all checkpoints of threads but the last of each namespace ("keep_latest"), or all ("delete").

        Those that a delta channel of the last one is computed from stay too. Raises InvalidInput for another strategy.
        """
        if strategy not in ("keep_latest", "delete"):
            raise InvalidInput(f"strategy is {strategy!r}, expected 'keep_latest' or 'delete'.")
        for thread_id in map(str, thread_ids):
            if strategy == "delete":
                self.delete_thread(thread_id)
            else:
                rows = self._rows
                found = rows.checkpoints(thread_id, None)
                stay = rows.needed(found)
                self._drop([cube for cube in found if cube.id not in stay])

    def _drop(self, found: Collection[MemCube]) -> None:
        """Erase checkpoints, their writes, and the values that no checkpoint of their threads has any more."""
        rows, gone = self._rows, {cube.id for cube in found}
        ids: list[str] = []
        for thread_id in {str(cube.session) for cube in found}:
            used: set[str] = set()
            for cube in rows.checkpoints(thread_id, None):
                if cube.id not in gone:
                    used |= set(value_names(Thread(thread_id, cube.metadata["ns"]), rows.load(cube)).values())
            ids += [cube.id for cube in rows.all(CHECKPOINT, thread_id) if cube.metadata["of"] in gone]
            ids += [cube.id for cube in rows.all(WRITE, thread_id) if cube.speaker in gone]
            ids += [cube.id for cube in rows.all(VALUE, thread_id) if cube.metadata["of"] not in used]
        rows.erase(ids)

    def get_next_version(self, current: str | int | float | None, channel: None) -> str:
        """Return the version after `current`: a counter, and a random number that tells forks of a thread apart."""
        number = 0 if current is None else int(str(current).split(".")[0])
        return f"{number + 1:032}.{secrets.randbelow(10**16):016}"

    # -- the same without blocking: each runs in a thread

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Run `get_tuple` in a thread."""
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Run `list` in a thread."""
        found = self.list(config, filter=filter, before=before, limit=limit)
        while (each := await asyncio.to_thread(next, found, None)) is not None:
            yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Run `put` in a thread."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Run `put_writes` in a thread."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Run `delete_thread` in a thread."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Run `delete_for_runs` in a thread."""
        await asyncio.to_thread(self.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Run `copy_thread` in a thread."""
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Run `prune` in a thread."""
        await asyncio.to_thread(self.prune, thread_ids, strategy=strategy)

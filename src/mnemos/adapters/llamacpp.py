"""Slots of a llama.cpp server: what it has computed of a space's context is saved to its disk, and restored.

llama.cpp keeps the keys and values of a conversation in a slot, and reuses what a prompt begins with. A server that was
started with `--slot-save-path` writes a slot to a file and reads it back. `ContextSlots` does that for prompts that begin
with a context of a space: the server reads each context once, also across restarts, and a saved file is derived from the
cubes that it shows: erasing one of them erases the file, and empties the slots that may hold it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.cube import MemCube
from mnemos.distribution import install_command
from mnemos.errors import Conflict, InvalidInput, MnemosError, NotFound
from mnemos.space import Space
from mnemos.store.values import Entry, Filter
from mnemos.text.recall.context import records

try:
    import httpx
except ImportError as error:
    raise MnemosError(f"slots of llama.cpp need the package httpx: {install_command('llm')}.") from error

KIND = "llama-slot"  # of the cubes that stand for saved files
ALL = 1_000_000  # of them read at once


class SlotError(MnemosError):
    """A llama.cpp server refused or failed."""


@dataclass(frozen=True)
class Warmed:
    """A slot that holds a prompt."""

    slot: int
    tokens: int
    restored: bool  # from a file; else the server has read the prompt


class LlamaSlots:
    """The slots of a server, by its HTTP API: save, restore, erase. Raises SlotError where it does not answer as it should."""

    def __init__(self, url: str, *, key: str | None = None, seconds: float = 600.0, transport: Any = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=seconds, trust_env=False, transport=transport
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def count(self) -> int:
        """Return how many slots the server has."""
        return int(self._call("GET", "/props")["total_slots"])

    def save(self, slot: int, name: str) -> int:
        """Write what a slot holds to a file of the server's folder; return its tokens. An empty slot raises SlotError."""
        tokens = int(self._call("POST", f"/slots/{slot}?action=save", {"filename": name})["n_saved"])
        if tokens < 1:
            raise SlotError(f"slot {slot} holds nothing to save, or there is no such slot: let it read a prompt first.")
        return tokens

    def restore(self, slot: int, name: str) -> int:
        """Read a file into a slot; return its tokens. Raises NotFound where it cannot be read: the slot is empty then."""
        try:
            return int(self._call("POST", f"/slots/{slot}?action=restore", {"filename": name})["n_restored"])
        except SlotError as error:
            if "Unable to restore" in str(error):
                raise NotFound(
                    f"the server has no slot file {name!r} for this model: let it read the prompt again."
                ) from error
            raise

    def erase(self, slot: int) -> int:
        """Empty a slot; return how many tokens it held."""
        return int(self._call("POST", f"/slots/{slot}?action=erase", {})["n_erased"])

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text of messages by the template of the server's model."""
        return str(self._call("POST", "/apply-template", {"messages": list(messages)})["prompt"])

    def read(self, slot: int, prompt: str) -> int:
        """Let a slot read a prompt and generate nothing; return its tokens."""
        body = {"prompt": prompt, "n_predict": 0, "cache_prompt": True, "id_slot": slot}
        return int(self._call("POST", "/completion", body)["tokens_evaluated"])

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
            data = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise SlotError(f"the llama.cpp server does not answer ({type(error).__name__}): is it running?") from error
        if answer.is_success and isinstance(data, dict):
            return data
        said = data.get("error") if isinstance(data, dict) else None
        what = said.get("message") if isinstance(said, dict) else f"status {answer.status_code}"
        hint = " Start it with --slot-save-path FOLDER." if answer.status_code == 501 else ""
        raise SlotError(f"the llama.cpp server refused {path.partition('?')[0]}: {what!s:.200}.{hint}")


class ContextSlots:
    """Prompts of a space in the slots of a server. `folder` is where the server saves slots, as this process sees it."""

    def __init__(self, space: Space, slots: LlamaSlots, folder: Path, model: str) -> None:
        """Sweep files whose cubes were erased in the meantime. `model` names what the server runs: files are for it alone."""
        self.space, self.slots, self.folder, self.model = space, slots, folder, model
        self._holding: dict[int, str] = {}  # slot -> the file of what it began with
        self._stale: set[int] = set()  # slots to empty: what they hold was erased, and the server could not be told
        self._end = space.store.on_erase(self._on_erase)
        self.sweep()

    def close(self) -> None:
        """Stop listening to erasures; `sweep` finds those that were missed."""
        self._end()

    def warm(self, context: str, messages: Sequence[Mapping[str, str]], slot: int = 0) -> Warmed:
        """Let a slot hold the prompt of messages that contain a context of the space: from a file, or by reading it.

        A prompt that begins with these messages costs no prefill then; name the slot in the request (`id_slot`). Raises
        SlotError, and InvalidInput for messages without the context.
        """
        if not context or not any(context in message.get("content", "") for message in messages):
            raise InvalidInput("the messages do not contain the context: put it into one of them, unchanged.")
        prompt = self.slots.prompt(messages)
        digest = hashlib.blake2b(f"{self.model}\0{prompt}".encode(), digest_size=10).hexdigest()
        name = f"mnemos-{digest}.bin"
        for stale in list(self._stale):
            self._empty(stale)
        known = self.space.store.get([name]).get(name)
        if known is not None and self._holding.get(slot) == name:
            return Warmed(slot, int(known.metadata["tokens"]), True)
        self._holding[slot] = name
        if known is not None:
            try:
                return Warmed(slot, self.slots.restore(slot, name), True)
            except NotFound:  # the file is gone, or of another build of the model: it is made again
                self.space.store.erase([name])
                self._holding[slot] = name
        tokens = self.slots.read(slot, prompt)
        self.slots.save(slot, name)
        self._keep(name, [record.id for record in records(context)], tokens)
        return Warmed(slot, tokens, False)

    def sweep(self) -> list[str]:
        """Delete the files of this space's contexts whose cubes no longer exist; return their names."""
        known = self._files()
        listed = self.space.store.meta.get(KIND).split()
        gone = [name for name in listed if name not in known]
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
        if gone:
            self.space.store.meta.set(KIND, " ".join(known))
        return gone

    def _files(self) -> list[str]:
        return [cube.id for _, cube in self.space.store.select(Filter(kind=KIND, state=None), limit=ALL)]

    def _keep(self, name: str, parents: Sequence[str], tokens: int) -> None:
        """Record a file as derived from cubes, unless one of them was erased while it was made."""
        now, store = self.space.clock(), self.space.store
        cube = MemCube(
            id=name, text="", space=self.space.name, at=now, learned=now, form="activation", kind=KIND, source="mnemos",
            parents=tuple(dict.fromkeys(parents)), metadata={"tokens": tokens, "model": self.model},
        )  # fmt: skip
        try:
            with store.transaction():
                store.meta.set(KIND, " ".join(dict.fromkeys([*store.meta.get(KIND).split(), name])))
                if len(store.get(list(cube.parents))) < len(cube.parents):
                    raise Conflict("a cube of the context was erased while the server read it")
                store.insert([Entry(cube, ())], None)
        except Conflict:
            self._drop(name)

    def _on_erase(self, forms: Mapping[str, str]) -> None:
        for name in forms:
            if name.startswith("mnemos-") and name.endswith(".bin"):
                self._drop(name)

    def _drop(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        for slot in [slot for slot, held in self._holding.items() if held == name]:
            del self._holding[slot]
            self._stale.add(slot)
            with suppress(SlotError):  # the next `warm` tries again
                self._empty(slot)

    def _empty(self, slot: int) -> None:
        self.slots.erase(slot)
        self._stale.discard(slot)

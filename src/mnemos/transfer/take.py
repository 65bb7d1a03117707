"""Take what was read into a space: what is new is added, what was edited gets a version, what was there is left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mnemos.cube import MemCube, to_micros
from mnemos.errors import InvalidInput, MnemosError
from mnemos.guard.secrets import redact, scan
from mnemos.text.encode.messages import to_draft
from mnemos.transfer.base import ImportTarget, Progress
from mnemos.transfer.documents import Shelf, retired
from mnemos.transfer.names import Named, Names
from mnemos.transfer.people import Senders
from mnemos.transfer.report import NOW, FileReport, Problem
from mnemos.transfer.source import Conversation, Document, Item, Message, Read, stable_id

ERASED = "it was erased from this space, and stays so unless restore_erased (--restore-erased) is given"


@dataclass(slots=True)
class Change:
    """One change of a space: a message to add, a version to write, or, without both, a cube to take out."""

    file: FileReport
    where: str
    message: Message | None = None
    id: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    gone: bool = False  # no message of the source asks for it


class Taking:
    """What one import will do to a space. Nothing is written before `write`."""

    def __init__(self, space: ImportTarget, restore_erased: bool, me: Sequence[str] = ()) -> None:
        self._senders = Senders(space.name, me)
        self._space, self._restore = space, restore_erased
        self._secrets = space.secrets
        self._names = Names(space.store, self._seen)
        self._plan: list[Change] = []
        self._new: dict[str, str] = {}  # texts by id
        self._pending: list[tuple[FileReport, Named]] = []
        self._documents: list[tuple[FileReport, Document]] = []

    def read(self, file: FileReport, found: Iterable[Read]) -> None:
        """Note what a file holds."""
        self._names.next_file()
        for piece in found:
            if isinstance(piece, Conversation):
                for named in self._names.name(piece):
                    self._note(file, named)
            elif isinstance(piece, Document):
                self._documents.append((file, piece))
                file.read += len(piece.items)
            else:
                self._note(file, piece)
        if not file.read:
            file.problems.append(Problem(file.name, "no message was found in it"))

    def _note(self, file: FileReport, found: Named | Item) -> None:
        file.read += 1
        item = found.item if isinstance(found, Named) else found
        if item.message is None:
            (file.problems if item.problem else file.left_out).append(
                Problem(item.where, item.problem or item.left_out)
            )
            return
        named = found if isinstance(found, Named) else Named(item, item.message)
        try:
            draft = to_draft(named.message, where=item.where)
        except InvalidInput as error:
            file.problems.append(Problem(item.where, str(error).removeprefix(f"{item.where}: ")))
            return
        if self._secrets == "refuse" and scan(draft.text):
            file.problems.append(Problem(item.where, "it holds a secret, which this space refuses"))
            return
        message = {**self._senders.told(named.message), "content": draft.text, "id": draft.id, "session": draft.session}
        if draft.at is None and not item.abandoned:
            file.remarks.append(Problem(item.where, NOW))
        if item.remark:
            file.remarks.append(Problem(item.where, f"without {item.remark}"))
        self._pending.append((file, Named(item, message, named.edits, named.before)))

    def write(self, progress: Progress | None) -> None:
        """Decide and write: all that is new in one transaction, then each version."""
        self._senders.check()
        self._decide()
        shelf = Shelf(self._space.store, {doc.where for _, doc in self._documents}) if self._documents else None
        for file, document in self._documents:
            for where, message, name, changes in shelf.sync(document, self._seen) if shelf else ():
                self._section(file, where, message, name, changes)
        new = [change for change in self._plan if change.message is not None]
        self._space.add_many([change.message or {} for change in new], progress=progress)
        for change in new:
            change.file.added += 1
        for change in self._plan:
            if change.message is None:
                self._version(change)

    def _decide(self) -> None:
        store = self._space.store
        ids = [name for _, n in self._pending for name in (str(n.message["id"]), n.before) if name]
        ids += [_other(n.message) for _, n in self._pending]
        known, erased = store.get(ids), set[str]() if self._restore else store.was_erased(ids)
        for file, named in self._pending:
            self._one(file, named, known, erased - known.keys())

    def _one(self, file: FileReport, named: Named, known: dict[str, MemCube], erased: set[str]) -> None:
        message, item = named.message, named.item
        name, text = str(message["id"]), self._seen(message["content"])
        if (
            (old := known.get(named.before)) is not None
            and old.session == message.get("session")
            and _same(old, message)
        ):
            name = named.before
        old = known.get(name)
        if item.abandoned:
            if old is not None and old.state == "active" and old.text == text:
                self._plan.append(Change(file, item.where, id=name))
            else:
                file.left_out.append(Problem(item.where, item.left_out))
            return
        if name in self._new:
            if self._new[name] == text:
                file.skipped += 1
                return
            name, old = _other(message), known.get(_other(message))
            file.remarks.append(Problem(item.where, f"id {message['id']!r:.80} is used twice; stored as {name!r}"))
        elif old is not None and text != old.text and not self._had(old, text):
            if named.edits and _same(old, message) and old.session == message.get("session"):
                self._edit(file, item.where, old, message)
                return
            name = _other(message)
            old = known.get(name)
            file.remarks.append(
                Problem(item.where, f"id {message['id']!r:.80} belongs to another memory; stored as {name!r}")
            )
        if old is not None:
            if retired(self._space.store, old) and old.text == text:
                self._plan.append(Change(file, item.where, id=name, changes={"content": old.text}))
            else:
                file.skipped += 1
        elif name in self._new:
            file.skipped += 1
        elif name in erased:
            file.problems.append(Problem(name, ERASED))
        else:
            self._new[name] = text
            self._plan.append(Change(file, item.where, {**message, "id": name}))

    def _edit(self, file: FileReport, where: str, old: MemCube, message: Message) -> None:
        """Plan the version of an edited message, unless the source is older than what is stored."""
        at = to_draft(message).at
        if at is not None and at < old.at:
            file.left_out.append(Problem(where, "an older text of what is there"))
            return
        changes: dict[str, Any] = {"content": message["content"]}
        changes |= {"at": at} if at is not None else {}
        self._plan.append(Change(file, where, id=old.id, changes=changes))

    def _section(
        self, file: FileReport, where: str, message: Message | None, name: str, changes: dict[str, Any]
    ) -> None:
        """Plan what becomes of a section of a document."""
        if message is None and not changes and name == "":
            file.skipped += 1
            return
        if message is not None:
            try:
                draft = to_draft(message, where=where)
            except InvalidInput as error:
                file.problems.append(Problem(where, str(error).removeprefix(f"{where}: ")))
                return
            if draft.at is None:
                file.remarks.append(Problem(where, NOW))
            if not self._restore and self._space.store.was_erased([message["id"], message.pop("before", "")]):
                file.problems.append(Problem(message["id"], ERASED))
                return
            message.pop("before", None)
        self._plan.append(Change(file, where, message, name, changes, gone=message is None and not changes))

    def _version(self, change: Change) -> None:
        try:
            if change.changes:
                self._space.update(change.id, **change.changes)
            else:
                now = to_micros(self._space.clock())
                self._space.store.lives.supersede(change.id, now, now)
            if change.gone:
                change.file.removed += 1
            else:
                change.file.updated += 1
        except MnemosError as error:
            change.file.problems.append(Problem(change.where, str(error)))

    def _seen(self, text: str) -> str:
        """Return a text as the space stores it."""
        return redact(text)[0] if self._secrets == "redact" else text

    def _had(self, old: MemCube, text: str) -> bool:
        return old.version > 1 and any(version.text == text for version in self._space.store.versions(old.id))


def _same(old: MemCube, message: Message) -> bool:
    """Tell whether a stored cube has the origin of a message: only then may the message change it."""
    role = message.get("role")
    return old.source == message.get("source") and (old.role == role or (old.role is None and old.source is not None))


def _other(message: Message) -> str:
    """Return an id for a message whose own is in use."""
    parts = [str(message.get(k) or "") for k in ("id", "session", "role", "speaker", "source", "content")]
    return stable_id("other", *parts)

"""Documents that were imported before: which sections are new, edited, moved to another name, or cut since."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

from mnemos.cube import MemCube
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.transfer.source import Document, Message, stable_id

PAGE = 1_000
KIND = "note"
Step = tuple[
    str, Message | None, str, dict[str, Any]
]  # where, what to add; or the id of a cube and its changes, or none


class Shelf:
    """The documents that a space holds, by name and by file. Reads all of its notes once: O(notes)."""

    def __init__(self, store: Store, names: Collection[str]) -> None:
        self._store, self._names = store, names  # names of the documents of this import
        self._by_name: dict[str, list[MemCube]] = defaultdict(list)
        self._name_of: dict[str, str] = {}  # by file
        self._ids: Counter[str] = Counter()
        after = 0
        while rows := store.select(Filter(kind=KIND, state=None), after=after, limit=PAGE):
            after = rows[-1][0]
            for _, cube in rows:
                if cube.source is not None:
                    self._by_name[cube.source].append(cube)
                    if file := cube.metadata.get("file"):
                        self._name_of[str(file)] = cube.source

    def sync(self, document: Document, seen: Callable[[str], str]) -> Iterator[Step]:
        """Yield what makes a space hold a document as it is now. `seen` returns a text as the space stores it.

        A section that is there takes no step but ("", None, "", {}). One under the same heading as a section that is gone
        is its edit; what is left of the old ones was cut, and is taken out of what is current. History is kept.
        """
        texts = Counter(seen(str(i.message["content"])) for i in document.items if i.message)
        name, old_name = self._place(document, texts)
        stored = self._by_name.get(old_name, [])
        there: dict[str, list[MemCube]] = defaultdict(list)
        for cube in sorted(stored, key=lambda c: c.state == "active"):
            there[cube.text].append(cube)
        file = {"file": document.file} if document.file else {}
        moved = {"source": name, "session": name} if name != old_name else {}
        added: list[tuple[str, Message]] = []
        for item in document.items:
            if item.message is None:
                continue
            metadata = {**item.message["metadata"], **file}
            message = {**item.message, "source": name, "session": name, "metadata": metadata}
            same = there.get(seen(str(message["content"])))
            if not same:
                added.append((item.where, message))
                continue
            cube = same.pop()
            if retired(self._store, cube) or moved:
                yield item.where, None, cube.id, {"content": cube.text, "metadata": metadata, **moved}
            else:
                yield item.where, None, "", {}
        gone: dict[str, list[MemCube]] = defaultdict(list)
        for cube in stored:
            if cube.state == "active" and any(cube is c for c in there[cube.text]):
                gone[str(cube.metadata.get("heading") or "")].append(cube)
        for where, message in added:
            heading = str(message["metadata"].get("heading") or "")
            if gone[heading]:
                changes = {
                    k: v for k, v in message.items() if k in ("content", "metadata", "at", "role") and v is not None
                }
                yield where, None, gone[heading].pop(0).id, {**changes, **moved}
            else:
                yield where, self._identified(message, document, seen), "", {}
        for cube in (cube for cubes in gone.values() for cube in cubes):
            yield f"{name}, a section that is gone", None, cube.id, {}

    def _place(self, document: Document, texts: Counter[str]) -> tuple[str, str]:
        """Return the name of a document in the space, and the one that its sections have there until now."""
        name = document.where
        if (known := self._name_of.get(document.file)) is not None:
            return known, known
        if (cubes := self._by_name.get(name)) and (self._common(cubes, texts) or not self._files(cubes)):
            return name, name
        for other, cubes in self._by_name.items():
            active = [c for c in cubes if c.state == "active"]
            if other in self._names or document.exists(other) or not active or not document.file:
                continue
            if 2 * self._common(active, texts) >= len(active) and self._common(active, texts):
                return (name if name not in self._by_name else f"{name}~{document.file[:6]}"), other
        name = f"{name}~{document.file[:6]}" if name in self._by_name else name
        return name, name

    def _common(self, cubes: list[MemCube], texts: Counter[str]) -> int:
        return sum(cube.text in texts for cube in cubes)

    def _files(self, cubes: list[MemCube]) -> bool:
        return any(cube.metadata.get("file") for cube in cubes)

    def _identified(self, message: Message, document: Document, seen: Callable[[str], str]) -> Message:
        """Return a new section with an id made of its words, so that what was erased is recognised under any name."""
        words = stable_id("note", message["metadata"].get("heading") or "", message["content"])
        number = next(
            n for n, item in enumerate(document.items) if item.message and item.message["content"] == message["content"]
        )
        name = words
        while name in self._ids or self._store.get([name]):
            name = stable_id(words, self._ids[words] + 1)
            self._ids[words] += 1
        self._ids[name] += 1
        return {**message, "id": name, "before": stable_id("note", document.where, number, message["content"])}


def retired(store: Store, cube: MemCube) -> bool:
    """Tell whether an import took a cube out of what is current: no statement supersedes it."""
    return cube.state == "superseded" and not any(
        link.b == cube.id for link in store.links.find([cube.id], kind="supersedes")
    )

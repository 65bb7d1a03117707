"""Working: the context of a long task within a budget of tokens: what stays, what is folded, what is fetched back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mnemos.arguments import check_count, check_optional, check_text, check_texts
from mnemos.cube import Hit, MemCube
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.key import key_of
from mnemos.registry import get
from mnemos.store.values import Filter
from mnemos.text.add import add
from mnemos.text.agent.shelf import Shelf
from mnemos.text.compress.base import ContextPolicy, Count, Fold, Item, Merge, Room
from mnemos.text.compress.merge import merge_lines
from mnemos.text.context import withheld
from mnemos.text.encode.messages import to_draft
from mnemos.text.memory import TextMemory
from mnemos.text.recall.context import estimate_tokens, pack
from mnemos.text.search import search

STATE, NOTE = "working-state", "working-note"  # kinds of the cubes
FRAME, RECORD = 90, 24  # tokens of a block without records, and of a record without its text, at most
PAGE = 1_000


class Working:
    """A context that stays within a budget: get it from `Space.working(name)`, in any process, as often as you like.

    Its steps are the cubes of the session `name`: what `add` of this object and of the space put there. Nothing leaves the
    space when it leaves the context. What stays is kept in a cube of the kind `working-state`, notes are cubes of the kind
    `working-note`, derived from what they replace and erased with it.
    """

    def __init__(
        self, memory: TextMemory, name: str, tokens: int, policy: ContextPolicy | str, agent: str | None,
        merge: Merge | None, count: Count | None,
    ) -> None:  # fmt: skip
        self.name, self.agent = check_text(name, "name"), check_optional(agent, "agent")
        self.tokens = check_count(tokens, "tokens", least=2 * FRAME)
        self.policy: ContextPolicy = get(policy, kind=ContextPolicy).target() if isinstance(policy, str) else policy
        self.count = count or estimate_tokens
        self._merge = merge or partial(_merge_by_rules, self.count)
        self._memory = memory
        self._states, self._notes = Shelf(memory, STATE, self.name), Shelf(memory, NOTE, self.name)

    def add(self, text: str, *, pin: bool = False, reconcile: bool = True, **more: Any) -> MemCube:
        """Store a step (a message, a thought, a tool's result) and fold the context if the policy says so.

        Takes the keywords of `Space.add`; give a tool's result `role="tool"`, so that it is trusted as one. `pin` keeps it in
        every prompt: what the task is. It is on disk when this returns, whatever leaves the context.
        """
        message = {"speaker": self.agent, **more, "content": text, "session": self.name}
        [cube] = add(self._memory, [to_draft(message, timezone=self._memory.timezone)], None, reconcile)
        if pin:
            self.pin([cube.id])
        self._settle()
        return cube

    def pin(self, ids: Sequence[str]) -> None:
        """Keep these memories of the space in every prompt; `drop` ends it. Raises NotFound."""
        names = check_texts(ids, "ids")
        with self._memory.store.transaction():
            for name in names:
                self._memory.get(name)
            state, cubes = self._context()
            pinned = dict.fromkeys((*_ids(state, "pinned"), *names))
            self._write(state, list(dict.fromkeys((*(c.id for c in cubes), *names))), list(pinned))

    def items(self) -> list[Item]:
        """Return what is in the context, oldest first."""
        state, cubes = self._context()
        return self._items(state, cubes)

    @property
    def state(self) -> str:
        """The notes in the context: what was folded, a statement a line."""
        return "\n".join(item.text for item in self.items() if item.note)

    def fold(self, note: str, ids: Sequence[str] | None = None) -> MemCube:
        """Replace items of the context by a note that the agent wrote, and return its cube.

        `ids` are those of items; by default all notes and all steps but the last, so that the note is the new state. The
        items stay in the space. Raises NotFound for an id that is not in the context.
        """
        with self._memory.store.transaction():
            state, cubes = self._context()
            items = self._items(state, cubes)
            steps = [item.id for item in items if not item.note]
            leave = [item.id for item in items if not item.pinned and item.id not in steps[-1:]]
            if ids is not None:
                leave = self._known(items, ids)
            if not leave:
                raise InvalidInput(f"there is nothing to fold in the context of {self.name!r}: add steps first.")
            keep = tuple(item.id for item in items if item.id not in leave)
            written = self._apply(state, cubes, Fold(keep, check_text(note, "note")), leave)
        if written is None:
            raise InvalidInput("note is empty: say what the items come to, or `drop` them.")
        return written

    def drop(self, ids: Sequence[str]) -> None:
        """Take items out of the context without a note; they stay in the space. Raises NotFound."""
        with self._memory.store.transaction():
            state, cubes = self._context()
            leave = self._known(self._items(state, cubes), ids)
            pinned = [name for name in _ids(state, "pinned") if name not in leave]
            self._write(state, [c.id for c in cubes if c.id not in leave], pinned)

    def bring(self, ids: Sequence[str]) -> None:
        """Put memories of the space into the context, as its newest items. Raises NotFound."""
        names = check_texts(ids, "ids")
        with self._memory.store.transaction():
            for name in names:
                self._memory.get(name)
            state, cubes = self._context()
            self._write(state, [*(c.id for c in cubes if c.id not in names), *names], _ids(state, "pinned"))
        self._settle()

    def prompt(self, question: str | None = None, *, fetch: int | None = None) -> str:
        """Return a block for a prompt: the context, and what the space has for `question`, within the budget.

        Pinned items come first, then the last step and the notes, then up to `fetch` memories (default: the policy's) that
        answer the question (default: the last step) and are not there yet, then other steps, the newest first; they are
        shown in the order of time, cited by id and marked as data. What `Space.context` would withhold is withheld.
        """
        cubes = self._settle()
        state = self._state()
        pinned, tails = set(_ids(state, "pinned")), {} if state is None else dict(state.metadata.get("tails", {}))
        steps = [c for c in cubes if c.kind != NOTE and c.id not in pinned]
        last = steps[-1:]
        asked = question if question is not None else "".join(c.text for c in last)
        number = self.policy.fetch if fetch is None else check_count(fetch, "fetch", least=0)
        found = self._fetched(asked, number, {c.id for c in cubes})
        first = [*(c for c in cubes if c.id in pinned), *last, *(c for c in cubes if c.kind == NOTE)]
        order = list(dict.fromkeys([c.id for c in first]))
        by_id = {c.id: _cut(c, tails.get(c.id, 0)) for c in (*cubes, *found)}
        order += [c.id for c in found] + [c.id for c in reversed(steps[:-1])]
        hits = [Hit(by_id[name], 0.0, {}) for name in order]
        own = [
            hit for hit in hits if hit.cube.session == self.name
        ]  # what tools say of each other is the agent's to weigh
        bad = {**withheld(self._memory, "", own), **withheld(self._memory, asked, [h for h in hits if h not in own])}
        hits = [hit for hit in hits if hit.cube.id not in bad]
        store = self._memory.store
        keys = dict(zip([h.cube.id for h in hits], store.keys_of([h.cube.id for h in hits]), strict=True))
        notes = [
            c.id for c in cubes if c.kind == NOTE
        ]  # among what is of one time: what a note has, the note, later steps
        place = {name: i for i, name in enumerate([*(c.id for c in found), *notes, *(c.id for c in steps)])}
        rows = [(keys[h.cube.id], h) for h in hits]
        dates = store.dates([keys[h.cube.id] for h in hits if h.cube.id not in tails])
        return pack(rows, dates, self.tokens, self.count, key_of(store), place)

    # -- parts

    def _state(self) -> MemCube | None:
        found = self._states.cubes()
        return found[-1] if found else None

    def _context(self) -> tuple[MemCube | None, list[MemCube]]:
        """Return the state, and the cubes in the context: those it keeps, and all steps that are newer than it.

        Where a note was erased with something that it was made of, what it stood for is there again, to be folded anew.
        """
        store, state = self._memory.store, self._state()
        kept = store.get(_ids(state, "keep"))
        whole = all(name in kept for name in _ids(state, "notes"))
        after = store.keys_of([state.id])[0] if state is not None and whole else 0
        cubes = {name: kept[name] for name in _ids(state, "keep" if whole else "pinned") if name in kept}
        filter = Filter(session=self.name, superseded=True)
        while rows := store.select(filter, after=after, limit=PAGE):
            after = rows[-1][0]
            cubes |= {cube.id: cube for _, cube in rows if cube.form == "text"}
        return state, list(cubes.values())

    def _items(self, state: MemCube | None, cubes: Sequence[MemCube]) -> list[Item]:
        pinned, tails = set(_ids(state, "pinned")), {} if state is None else dict(state.metadata.get("tails", {}))
        shown = [_cut(cube, tails.get(cube.id, 0)) for cube in cubes]
        return [Item(c.id, c.text, self.count(c.text) + RECORD, c.kind == NOTE, c.id in pinned, c.role) for c in shown]

    def _known(self, items: Sequence[Item], ids: Sequence[str]) -> list[str]:
        names = check_texts(ids, "ids")
        there = {item.id for item in items}
        if missing := [name for name in names if name not in there]:
            raise NotFound(f"{missing[0]!r} is not in the context of {self.name!r}: `items` lists what is.")
        return list(names)

    def _settle(self) -> list[MemCube]:
        """Let the policy fold until nothing changes; return the cubes in the context."""
        state, cubes = self._context()
        if self._decide(state, cubes) is None or self._memory.store.read_only:
            return cubes
        with self._memory.store.transaction():
            state, cubes = self._context()  # another agent may have folded it in the meantime
            if (fold := self._decide(state, cubes)) is not None:
                self._apply(state, cubes, fold)
            return self._context()[1]

    def _decide(self, state: MemCube | None, cubes: Sequence[MemCube]) -> Fold | None:
        items = self._items(state, cubes)
        goal = "\n".join(item.text for item in items if item.pinned)
        fold = self.policy.fold(items, Room(self.tokens - FRAME, self.count, self._merge, goal))
        if fold is None or (fold.note is None and fold.tail is None and set(fold.keep) == {i.id for i in items}):
            return None
        return fold

    def _apply(
        self, state: MemCube | None, cubes: Sequence[MemCube], fold: Fold, leave_too: Sequence[str] = ()
    ) -> MemCube | None:
        """Write the note that replaces what leaves, if there is one, and what stays; return the note. In a transaction."""
        pinned = [name for name in _ids(state, "pinned") if name not in leave_too]
        keep = [c.id for c in cubes if c.id in fold.keep or c.id in pinned]
        note = None
        leave = [c for c in cubes if c.id not in keep]
        if fold.note is not None and fold.note.strip() and leave:
            old = next((c for c in leave if c.kind == NOTE), None)
            new = self._notes.draft(
                fold.note, {}, speaker=self.agent, parents=[c.id for c in leave if old is None or c.id != old.id]
            )
            made, last = new if old is None else self._notes.next(old, new), max(leave, key=lambda c: c.at)
            [note] = self._notes.write([replace(made, at=last.at, timezone=last.timezone)])  # it is of that time
            keep = [note.id, *keep]
        self._write(state, keep, pinned, fold.tail)
        return note

    def _write(
        self, state: MemCube | None, keep: Sequence[str], pinned: Sequence[str], tail: tuple[str, int] | None = None
    ) -> None:
        before = {} if state is None else state.metadata.get("tails", {})
        tails = {name: start for name, start in before.items() if name in keep}
        if tail is not None:
            tails[tail[0]] = tails.get(tail[0], 0) + tail[1]
        notes = [cube.id for cube in self._memory.store.get(keep).values() if cube.kind == NOTE]
        about = {"keep": list(keep), "notes": notes, "pinned": [i for i in pinned if i in keep], "tails": tails}
        new = self._states.draft(f"The working context of {self.name}: {len(keep)} items.", about, speaker=self.agent)
        self._states.write([new if state is None else self._states.next(state, new)])

    def _fetched(self, question: str, number: int, there: set[str]) -> list[MemCube]:
        """Return the memories of the space that answer a question best, without those in the context."""
        if not number or not question.strip():
            return []
        hits = search(self._memory, question, number + len(there), {}, None, "hybrid").hits
        return [hit.cube for _, hit in hits if hit.cube.id not in there][:number]


def _ids(state: MemCube | None, name: str) -> list[str]:
    return [] if state is None else [str(i) for i in state.metadata.get(name, ())]


def _cut(cube: MemCube, start: int) -> MemCube:
    return replace(cube, text="[...] " + cube.text[start:]) if start else cube


def _merge_by_rules(count: Count, state: str, texts: Sequence[str], tokens: int) -> str:
    return merge_lines(state, texts, tokens, count)

"""Task: the state of a long task as a tree of steps, each with values, dependencies and a history.

After the Task Memory Engine, a tree (arXiv 2504.08525) and a graph of steps (arXiv 2505.19436). A revision of a step marks
exactly the steps that depend on it, and a prompt shows the way from the root to the step at hand with what it needs, so
that its tokens grow with the depth of the task and not with its length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mnemos.arguments import check_count, check_optional, check_text, check_texts
from mnemos.errors import Conflict, InvalidInput, NotFound
from mnemos.guard.trust import trust_of_source
from mnemos.store.values import Filter
from mnemos.text.agent.nodes import (
    Node,
    Nodes,
    active_of,
    ancestors,
    change_of,
    check_bases,
    dependants,
    needed,
    node_of,
    ready_of,
    stale_of,
    values_of,
)
from mnemos.text.agent.prompt import Count, task_block
from mnemos.text.agent.shelf import Shelf, rows_of
from mnemos.text.memory import TextMemory

KIND = "task-step"  # of the cubes
Change = Callable[[dict[str, Node]], Mapping[str, Node]]  # takes the steps, returns those to write


def names(memory: TextMemory) -> list[str]:
    """Return the names of all tasks, by when their first step was written."""
    cubes = [cube for _, cube in rows_of(memory, Filter(kind=KIND, superseded=True))]
    told = memory.store.told([cube.id for cube in cubes])
    cubes.sort(key=lambda cube: told.get(cube.id, 0))
    return list(dict.fromkeys(cube.session for cube in cubes if cube.session is not None))


class Task:
    """The state of one task: get it from `Space.task(name)`, in any process, as often as you like.

    Steps are cubes of the kind `task-step` whose session is the name of the task. Every call reads the state from the store, and
    every change is one transaction, durable when it returns: it survives a crash, and several agents may write.
    """

    def __init__(self, memory: TextMemory, name: str, agent: str | None = None) -> None:
        self.name, self.agent = check_text(name, "name"), check_optional(agent, "agent")
        self._memory, self._shelf = memory, Shelf(memory, KIND, self.name)

    # -- read

    def nodes(self) -> dict[str, Node]:
        """Return the steps by name, in the order in which they were added. O(steps)."""
        return self._read()

    def get(self, name: str) -> Node:
        """Return a step. Raises NotFound, with the steps that exist."""
        return self._node(self._read(), name)

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the values of every step that was not dropped, by step and slot."""
        return values_of(self._read())

    def history(self, name: str) -> list[Node]:
        """Return all versions of a step, oldest first; `node.cube` says who wrote each, and when. Raises NotFound."""
        cube = self.get(name).cube
        return [Node.of(version) for version in self._memory.history(cube.id)] if cube else []

    def dependants(self, name: str) -> list[str]:
        """Return the steps that depend on a step: its parts, what needs it, and what depends on those."""
        nodes = self._read()
        self._node(nodes, name)
        return dependants(nodes, name)

    def stale(self) -> list[str]:
        """Return the steps to check again: something that they depend on was revised since."""
        return stale_of(self._read())

    def ready(self) -> list[str]:
        """Return the open steps that can be worked on: they are valid, and all that they need is done and valid."""
        return ready_of(self._read())

    @property
    def change(self) -> int:
        """The number of the last change, 0 before the first; `rewind` takes one."""
        return change_of(self._read())

    def active(self) -> str | None:
        """Return the step that was started last, by this agent if it has a name; None when none is."""
        return active_of(self._read(), self.agent)

    # -- change

    def add(
        self, name: str, intent: str = "", slots: Mapping[str, Any] | None = None, *, parent: str | Sequence[str] = (),
        needs: Sequence[str] = (), source: str | None = None, of: Sequence[str] = (), **values: Any,
    ) -> Node:  # fmt: skip
        """Add a step and return it: a root, or a part of `parent` (several where a step is shared), based on `needs`.

        Values are given as keywords, or in `slots` where a name is no keyword. `source` says where they were read (see
        `Space.trust`), `of` are ids of cubes that they were read in: the step is erased with them. Adding the same again
        returns the step. Raises InvalidInput for a circle or an unknown step, and Conflict if it exists with other content.
        """
        parents = (parent,) if isinstance(parent, str) else tuple(check_texts(parent, "parent"))
        given = check_slots(slots, values)
        node = Node(
            _name(name), check_text(intent, "intent"), {k: v for k, v in given.items() if v is not None}, parents,
            tuple(check_texts(needs, "needs")), sources=_sources(given, source),
        )  # fmt: skip

        def change(nodes: dict[str, Node]) -> Mapping[str, Node]:
            if (known := nodes.get(node.name)) is not None:
                if _content(known) == _content(node):
                    return {}
                raise Conflict(f"task {self.name!r} has a step {name!r} with other content: `set` changes it.")
            check_bases(nodes, node)
            return {node.name: node}

        return self._apply(change, node.name, of)

    def set(
        self, name: str, slots: Mapping[str, Any] | None = None, *, intent: str | None = None,
        needs: Sequence[str] | None = None, source: str | None = None, of: Sequence[str] = (), **values: Any,
    ) -> Node:  # fmt: skip
        """Set values of a step and return it; None removes one. The step counts as checked.

        Where a value that was there, or the intent, is another one now, the steps that depend on it become stale: exactly
        those (`dependants`). What was there already changes nothing. Raises NotFound, and what `add` raises.
        """
        given = check_slots(slots, values)

        def change(nodes: dict[str, Node]) -> Mapping[str, Node]:
            old = self._node(nodes, name)
            merged = {k: v for k, v in {**old.slots, **given}.items() if v is not None}
            sources = {k: v for k, v in {**old.sources, **_sources(given, source)}.items() if k in merged}
            if source is None:
                sources = {k: v for k, v in sources.items() if k not in given}
            new = replace(
                old, slots=merged, sources=sources, stale=(), intent=old.intent if intent is None else intent,
                needs=old.needs if needs is None else tuple(check_texts(needs, "needs")),
            )  # fmt: skip
            if new.needs != old.needs:
                check_bases({**nodes, name: replace(new, needs=())}, new)
            return {} if new == old else {name: new, **_invalidated(nodes, old, new)}

        return self._apply(change, name, of)

    def start(self, name: str) -> Node:
        """Note that a step is being worked on: `prompt` is about it. Raises NotFound."""
        return self._status(name, "active")

    def done(self, name: str, slots: Mapping[str, Any] | None = None, **values: Any) -> Node:
        """Note that a step is done, and set values of it as `set` does; it counts as checked. Raises NotFound."""
        return self._status(name, "done", check_slots(slots, values))

    def confirm(self, name: str) -> Node:
        """Note that a stale step was checked and holds as it is. Raises NotFound."""
        return self._apply(lambda nodes: _if_new(nodes, replace(self._node(nodes, name), stale=())), name)

    def drop(self, name: str) -> Node:
        """Take a step and its parts out of the task; they stay in its history. What depends on them becomes stale."""

        def change(nodes: dict[str, Node]) -> Mapping[str, Node]:
            old = self._node(nodes, name)
            parts = [n for n in dependants(nodes, name) if name in ancestors(nodes, n)]
            gone = {n: replace(nodes[n], status="dropped", stale=()) for n in (name, *parts)}
            return {**_invalidated(nodes, old, gone[name]), **gone}

        return self._apply(change, name)

    def revert(self, name: str, version: int | None = None) -> Node:
        """Give a step the values and the intent of an earlier version (default: before the last revision of them).

        It is a revision like any other: it is written as the newest version, and what depends on it becomes stale. Raises
        NotFound for a version that does not exist or an empty past.
        """
        past = self.history(name)
        now = past[-1]
        if version is None:
            earlier = [n for n in past if (n.slots, n.intent) != (now.slots, now.intent)]
        else:
            number = check_count(version, "version")
            earlier = [n for n in past if n.cube is not None and n.cube.version == number]
        if not earlier:
            raise NotFound(f"step {name!r} of task {self.name!r} has no such version: `history` lists {len(past)}.")
        back = earlier[-1]

        def change(nodes: dict[str, Node]) -> Mapping[str, Node]:
            old = self._node(nodes, name)
            new = replace(old, slots=back.slots, intent=back.intent, sources=back.sources, stale=())
            return {} if new == old else {name: new, **_invalidated(nodes, old, new)}

        return self._apply(change, name)

    def rewind(self, change: int) -> None:
        """Bring the whole task to how it was after a change; steps added since are dropped. It is a change itself."""
        to = check_count(change, "change", least=0)

        def back(nodes: dict[str, Node]) -> Mapping[str, Node]:
            made: dict[str, Node] = {}
            for node in nodes.values():
                if node.change > to:
                    past = [n for n in self.history(node.name) if n.change <= to]
                    made[node.name] = past[-1] if past else replace(node, status="dropped", stale=())
            return made

        self._apply(back, None)

    # -- prompt

    def prompt(self, name: str | None = None, *, tokens: int = 600, count: Count | None = None) -> str:
        """Return a block for a prompt: the way from the root to a step, and what the steps on it need, within `tokens`.

        The step is `name`, else the active one, else the one changed last. Its tokens grow with the depth of the task, not
        with its length. It is marked as data, as `Space.context` does it, and steps with values of untrusted sources that
        look like orders are withheld. "" for a task without steps. Raises NotFound.
        """
        nodes = self._read()
        if not nodes:
            return ""
        at = name or self.active() or max(nodes.values(), key=lambda n: n.change).name
        self._node(nodes, at)
        way = [n for n in (*ancestors(nodes, at), at) if n == at or nodes[n].status != "dropped"]
        beside = [n for n in needed(nodes, reversed(way)) if nodes[n].status != "dropped"]
        # what may be left out comes last: the step, its parents upwards, what it needs, what they need
        order = [*reversed(way), *beside]
        shown = {n: i for i, n in enumerate([*beside, *way])}
        return task_block(self._memory, self.name, [nodes[n] for n in order], shown, tokens, count)

    # -- parts

    def _read(self) -> dict[str, Node]:
        cubes = self._shelf.cubes()
        told = self._memory.store.told([cube.id for cube in cubes])
        return {n.name: n for n in map(Node.of, sorted(cubes, key=lambda cube: told.get(cube.id, 0)))}

    def _node(self, nodes: Nodes, name: str) -> Node:
        return node_of(nodes, self.name, name)

    def _status(self, name: str, status: str, given: Mapping[str, Any] | None = None) -> Node:
        def change(nodes: dict[str, Node]) -> Mapping[str, Node]:
            old = self._node(nodes, name)
            merged = {k: v for k, v in {**old.slots, **(given or {})}.items() if v is not None}
            new = replace(old, status=status, slots=merged, stale=() if status == "done" else old.stale)
            return {} if new == old else {name: new, **_invalidated(nodes, old, new)}

        return self._apply(change, name)

    def _apply(self, change: Change, name: str | None, of: Sequence[str] = ()) -> Node:
        """Write what a change makes of the state, in one transaction; return the step `name` as it is then."""
        of = check_texts(of, "of")
        with self._memory.store.transaction():
            nodes = self._read()
            number = 1 + change_of(nodes)
            drafts = []
            for node in change(dict(nodes)).values():
                new = replace(node, change=number)
                cube = self._shelf.draft(
                    new.text, new.to_metadata(), speaker=self.agent, source=_least_trusted(new.sources.values()),
                    parents=of if node.name == name else (),
                )  # fmt: skip
                known = nodes.get(node.name)
                drafts.append(cube if known is None or known.cube is None else self._shelf.next(known.cube, cube))
            written = {n.name: n for n in map(Node.of, self._shelf.write(drafts))}
        return {**nodes, **written}[name] if name is not None else Node("")


def _invalidated(nodes: Nodes, old: Node, new: Node) -> dict[str, Node]:
    """Return the steps that depend on a step and are stale now that it was revised; none if nothing was."""
    revised = any(new.slots.get(slot) != value for slot, value in old.slots.items())
    if not revised and new.intent == old.intent and (new.status == old.status or new.status != "dropped"):
        return {}
    found = (nodes[name] for name in dependants(nodes, old.name))
    return {
        n.name: replace(n, stale=tuple(dict.fromkeys((*n.stale, old.name)))) for n in found if n.status != "dropped"
    }


def _if_new(nodes: Nodes, node: Node) -> dict[str, Node]:
    return {} if nodes.get(node.name) == node else {node.name: node}


def _name(name: str) -> str:
    if not check_text(name, "name").strip():
        raise InvalidInput("name is empty: give the step a name.")
    return name


def check_slots(slots: Mapping[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return slots and keywords as JSON has them. Raises InvalidInput."""
    if slots is not None and not isinstance(slots, Mapping):
        raise InvalidInput(f"slots is {slots!r:.60}, expected a dict of values by name.")
    merged = {**(slots or {}), **values}
    check_texts(list(merged), "slots")
    try:
        made: dict[str, Any] = json.loads(json.dumps(merged, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"slots cannot be written as JSON ({error}): use strings, numbers, lists and dicts."
        ) from error
    return made


def _sources(given: Mapping[str, Any], source: str | None) -> dict[str, str]:
    return {} if source is None else dict.fromkeys(given, check_text(source, "source"))


def _least_trusted(sources: Iterable[str]) -> str | None:
    return min(sources, key=trust_of_source, default=None)


def _content(node: Node) -> tuple[Any, ...]:
    return node.intent, dict(node.slots), node.parents, node.needs

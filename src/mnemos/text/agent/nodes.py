"""Nodes of a task and the graph that they make: paths, dependants, circles. Pure functions of nodes by name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mnemos.arguments import check_text
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, NotFound

STATUSES = ("open", "active", "done", "dropped")


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a task: what it is for, the values found so far, and what it depends on."""

    name: str
    intent: str = ""  # what the step is for, in words
    slots: Mapping[str, Any] = field(default_factory=dict)  # values by name, as JSON has them
    parents: tuple[str, ...] = ()  # the steps it is a part of: none for a root, several where a step is shared
    needs: tuple[str, ...] = ()  # other steps whose values it is based on
    status: str = "open"  # open, active, done or dropped
    stale: tuple[str, ...] = ()  # the steps whose revision it has not been checked against; none: it is valid
    sources: Mapping[str, str] = field(default_factory=dict)  # where slots were read, where that was said
    change: int = 0  # the change of the task that wrote this version
    cube: MemCube | None = None  # the version of the cube that holds it; None: not stored

    @property
    def based_on(self) -> tuple[str, ...]:
        """The steps that it depends on directly: its parents and what it needs."""
        return (*self.parents, *self.needs)

    @property
    def text(self) -> str:
        """The step as a sentence: what a search for the kind `task-step` finds."""
        values = "; ".join(f"{name} = {shown(value)}" for name, value in self.slots.items())
        head = f"{self.name}: {self.intent}" if self.intent else self.name
        return f"{head} ({self.status}{', to be checked again' if self.stale else ''}){'. ' + values if values else ''}"

    def to_metadata(self) -> dict[str, Any]:
        """Return it as the metadata of its cube."""
        return {
            "node": self.name, "intent": self.intent, "slots": dict(self.slots), "parents": list(self.parents),
            "needs": list(self.needs), "status": self.status, "stale": list(self.stale),
            "sources": dict(self.sources), "change": self.change,
        }  # fmt: skip

    @staticmethod
    def of(cube: MemCube) -> Node:
        """Return the node that a cube holds. Raises InvalidInput for a cube that holds none."""
        data = cube.metadata
        try:
            return Node(
                str(data["node"]), str(data["intent"]), dict(data["slots"]), tuple(data["parents"]), tuple(data["needs"]),
                str(data["status"]), tuple(data["stale"]), dict(data["sources"]), int(data["change"]), cube,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"cube {cube.id!r} holds no step of a task: {error}. Erase it or repair it.") from error


Nodes = Mapping[str, Node]


def values_of(nodes: Nodes) -> dict[str, dict[str, Any]]:
    """Return the values of every step that was not dropped, by step and slot."""
    return {n.name: dict(n.slots) for n in nodes.values() if n.status != "dropped"}


def stale_of(nodes: Nodes) -> list[str]:
    """Return the steps to check again."""
    return [n.name for n in nodes.values() if n.stale and n.status != "dropped"]


def ready_of(nodes: Nodes) -> list[str]:
    """Return the open steps that are valid, and of which all that they need is done and valid."""

    def settled(name: str) -> bool:
        return name not in nodes or (nodes[name].status in ("done", "dropped") and not nodes[name].stale)

    return [n.name for n in nodes.values() if n.status == "open" and not n.stale and all(map(settled, n.needs))]


def change_of(nodes: Nodes) -> int:
    """Return the number of the last change, 0 before the first."""
    return max((node.change for node in nodes.values()), default=0)


def active_of(nodes: Nodes, agent: str | None) -> str | None:
    """Return the step that was started last, by an agent if one is named; None when none is."""
    mine = [
        n for n in nodes.values()
        if n.status == "active" and (agent is None or n.cube is None or n.cube.speaker == agent)
    ]  # fmt: skip
    return max(mine, key=lambda n: n.change).name if mine else None


def node_of(nodes: Nodes, task: str, name: str) -> Node:
    """Return a step of a task. Raises NotFound, with the steps that exist."""
    if (node := nodes.get(check_text(name, "name"))) is None:
        raise NotFound(f"task {task!r} has no step {name!r}; it has {', '.join(nodes) or 'none yet'}.")
    return node


def shown(value: Any) -> str:
    """Return a value as a prompt shows it: words as they are, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def ancestors(nodes: Nodes, name: str) -> list[str]:
    """Return the steps that a step is a part of, roots first; each once. O(ancestors)."""
    found: list[str] = []

    def climb(at: str) -> None:
        for parent in nodes[at].parents:
            if parent in nodes and parent not in found:
                climb(parent)
                found.append(parent)

    climb(name)
    return found


def dependants(nodes: Nodes, name: str) -> list[str]:
    """Return all steps that depend on a step: its parts, what needs it, and what depends on those. O(nodes)."""
    below: dict[str, list[str]] = {}
    for node in nodes.values():
        for base in node.based_on:
            below.setdefault(base, []).append(node.name)
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        for child in below.get(waiting.pop(), ()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return [other for other in nodes if other in found]


def needed(nodes: Nodes, names: Iterable[str]) -> list[str]:
    """Return what some steps need and are not themselves, each once, in the order of the steps."""
    names = list(names)
    return [n for n in dict.fromkeys(n for name in names for n in nodes[name].needs) if n in nodes and n not in names]


def check_bases(nodes: Nodes, node: Node) -> None:
    """Raise InvalidInput where a step depends on one that does not exist, or on itself through others."""
    for base in node.based_on:
        if base != node.name and base not in nodes:
            raise InvalidInput(f"step {node.name!r} depends on {base!r}, which does not exist. Add {base!r} first.")
    below = {node.name, *dependants(nodes, node.name)}
    if around := [base for base in node.based_on if base in below]:
        raise InvalidInput(
            f"step {node.name!r} would depend on itself through {around[0]!r}. Nothing was stored; leave out one of them."
        )

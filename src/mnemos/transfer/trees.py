"""Conversations as trees: an edit or another answer begins a branch, and only the current branch was said in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mnemos.transfer.source import Item

ABANDONED = "on a branch that was left: an edited question, or another answer"
NO_PARENT = ("00000000-0000-4000-8000-000000000000", "00000000-0000-0000-0000-000000000000", "client-created-root", "")


@dataclass(slots=True)
class Branch:
    """The names of nodes: those of the current branch in the order of the conversation, and the others."""

    current: list[str]
    left: list[str]
    problems: list[Item]


def left_behind(item: Item) -> Item:
    """Return a message of a branch that was left: left out, but known as one that an earlier import may have taken."""
    if item.message is None:
        return item
    return Item(item.where, item.message, left_out=ABANDONED, abandoned=True)


def linked(messages: Iterable[tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the tree of (name, name of the parent) pairs, given in the order of time."""
    nodes: dict[str, dict[str, Any]] = {}
    for name, parent in messages:
        nodes[name] = {"parent": None if parent in NO_PARENT else parent, "children": []}
    for name, node in nodes.items():
        if isinstance(node["parent"], str) and node["parent"] in nodes:
            nodes[node["parent"]]["children"].append(name)
    return nodes


def branch(nodes: Mapping[str, Any], current: Any, place: str) -> Branch:
    """Return the branch that ends in the node `current`, or in the last leaf.

    Where a node does not say its parent, the parent is the node that counts it among its children. Where the parent of a
    node is missing, the last branch of every other piece that hangs in the air counts as said before it.
    """
    problems = [
        Item(f"{place}.{name}", None, "not a node of a conversation") for name, n in nodes.items() if not _node(n)
    ]
    parents = _parents(nodes)
    if not isinstance(current, str) or current not in nodes:
        if current:
            problems.append(
                Item(place, None, f"the current node {current!r:.60} does not exist; the last branch was used")
            )
        current = _last_leaf(nodes, list(nodes))
    found = _up(nodes, parents, current)
    top = found[0] if found else current
    given = _given(nodes, top)
    if given is not None:
        problems.append(
            Item(f"{place}.{top}", None, f"its parent {given!r:.60} is missing, and so is everything before it")
        )
        found = [*_pieces(nodes, parents, found, given), *found]
    known = set(found)
    return Branch(
        [name for name in found if _node(nodes[name])],
        [name for name, n in nodes.items() if name not in known and _node(n)],
        problems,
    )


def _parents(nodes: Mapping[str, Any]) -> dict[str, str]:
    """Return the parent of each node that has one."""
    parents: dict[str, str] = {}
    for name, node in nodes.items():
        children = node.get("children") if _node(node) else None
        for child in children if isinstance(children, list) else []:
            if isinstance(child, str):
                parents.setdefault(child, name)
    for name in nodes:
        given = _given(nodes, name)
        if isinstance(given, str) and given in nodes:
            parents[name] = given
    return {child: parent for child, parent in parents.items() if child in nodes}


def _up(nodes: Mapping[str, Any], parents: Mapping[str, str], leaf: str | None) -> list[str]:
    """Return the way from the root to a node; a circle is cut."""
    found: list[str] = []
    seen: set[str] = set()
    while leaf is not None and leaf not in seen:
        seen.add(leaf)
        found.append(leaf)
        leaf = parents.get(leaf)
    return found[::-1]


def _pieces(nodes: Mapping[str, Any], parents: Mapping[str, str], found: list[str], given: Any) -> list[str]:
    """Return the last branch of each tree whose root has another parent than the branch that was found."""
    roots: dict[str, str] = {}
    for name in nodes:
        way = [name]
        while way[-1] not in roots and (above := parents.get(way[-1])) is not None and above not in way[-1:]:
            if len(way) > len(nodes):
                break  # a circle
            way.append(above)
        root = roots.get(way[-1], way[-1])
        roots |= dict.fromkeys(way, root)
    kept, tops = set(found), dict[str, list[str]]()
    for name, root in roots.items():
        if root not in kept:
            tops.setdefault(str(_given(nodes, root)), []).append(name)
    tops.pop(str(given), None)  # siblings of the branch
    return [name for names in tops.values() for name in _up(nodes, parents, _last_leaf(nodes, names))]


def _given(nodes: Mapping[str, Any], name: str | None) -> Any:
    node = nodes.get(name) if name is not None else None
    return node.get("parent") if isinstance(node, Mapping) else None


def _node(value: Any) -> bool:
    return isinstance(value, Mapping)


def _last_leaf(nodes: Mapping[str, Any], names: list[str]) -> str | None:
    leaves = [name for name in names if _node(nodes[name]) and not nodes[name].get("children")]
    return next(reversed(leaves or names), None)

"""A part of a space's links, small enough to draw: around a cube, or around the most linked ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.arguments import check_count
from mnemos.cube import MemCube
from mnemos.errors import NotFound
from mnemos.facts import Link
from mnemos.store.base import Inspect, Store
from mnemos.store.values import Filter

NODES = 200  # of a graph at most
EDGES = 8  # per node on average, at most
DEPTH = 3  # at most


@dataclass(frozen=True, slots=True)
class Graph:
    """Cubes and the links between them: both ends of every link are among the cubes."""

    cubes: list[MemCube]
    links: list[Link]


def graph(
    store: Store, *, around: str | None = None, depth: int = 1, limit: int = 60, kind: str | None = None
) -> Graph:
    """Return at most `limit` cubes that are up to `depth` links from the cube `around`, nearest and strongest first.

    Without `around` it starts from the cubes with the most links, a quarter of the `limit`, filled up with the newest.
    `kind` follows links of one kind only. Both stored and implied links are followed ("same entity": the newest cubes
    with the same attribute). Raises NotFound for an unknown cube, and InvalidInput for a depth or limit out of range.
    O(links of the cubes shown), by index; without `around` O(links).
    """
    check_count(depth, "depth", most=DEPTH)
    check_count(limit, "limit", most=NODES)
    with store.transaction(write=False):
        seeds = _seeds(store.inspect, limit, kind) if around is None else [around]
        there = store.get(seeds)
        seeds = [name for name in seeds if name in there]
        if around is not None and not seeds:
            raise NotFound(f"there is no cube {around!r} in space {store.space!r}.")
        names, edges = _walk(store.inspect, seeds, depth, limit, kind)
        cubes = store.get(names)
        edges += store.inspect.links_among(names, kind)
    links = {(e.a, e.b, e.kind): e for e in edges if e.a in cubes and e.b in cubes and e.a != e.b}
    return Graph([cubes[name] for name in names if name in cubes], list(links.values())[: EDGES * limit])


def _seeds(inspect: Inspect, limit: int, kind: str | None) -> list[str]:
    few = max(limit // 4, 1)
    newest = [cube.id for _, cube in inspect.newest(Filter(derived=True), None, few)]
    return list(dict.fromkeys([*inspect.most_linked(few, kind), *newest]))[:few]


def _walk(
    inspect: Inspect, seeds: Sequence[str], depth: int, limit: int, kind: str | None
) -> tuple[list[str], list[Link]]:
    """Return the cubes reached, at most `limit`, and the links met, a few of which lead to other cubes."""
    names, edges = dict.fromkeys(seeds), list[Link]()
    frontier: Sequence[str] = list(names)
    for _ in range(depth):
        reached: list[str] = []
        for name in frontier:
            for link in inspect.neighbours(name, limit, kind):
                other = link.b if link.a == name else link.a
                if other not in names and len(names) < limit:
                    names[other] = None
                    reached.append(other)
                edges.append(link)
        frontier = reached
    return list(names), edges

"""Which parts of a computation run slice by slice, and how large the slices are, so that it fits a budget of bytes.

A region is a set of operations that end in one output, whose other results nobody else needs: it runs in a loop over slices of
that output along a dimension. Bytes are estimated from the shapes: each storage counts from the operation that makes it to the
last that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor
from torch.fx import Node

from mnemos.footprint.activations.chunk_flow import flow, name, shape, tensors, value

REGIONS = 8  # of a plan at most


@dataclass(frozen=True)
class Region:
    """Operations that run in a loop over slices of their last one's output."""

    members: tuple[Node, ...]  # in order; the last one's output is the region's
    dims: dict[Node, int]  # along which each member is sliced
    edges: dict[tuple[Node, Node], int | None]  # (member, input) -> how the input is sliced for it; None: whole
    chunk: int = 0  # elements of the dimension a slice has

    @property
    def end(self) -> Node:
        """The operation whose output the loop makes."""
        return self.members[-1]

    @property
    def size(self) -> int:
        """Elements along the dimension."""
        return shape(self.end)[self.dims[self.end]]

    @property
    def loops(self) -> int:
        """Slices."""
        return -(-self.size // self.chunk)

    @property
    def inputs(self) -> list[Node]:
        """What members read that is no member."""
        inside = set(self.members)
        return list(dict.fromkeys(given for member in self.members for given in tensors(member) if given not in inside))


Item: TypeAlias = Node | Region


def regions(order: Sequence[Node], end: Node) -> Iterator[Region]:
    """Yield the regions that end in an operation, by each of its dimensions, the smaller ones first."""
    if not isinstance(value(end), Tensor):
        return
    before = [node for node in order[: order.index(end) + 1] if node.op == "call_function"]
    for first in range(len(shape(end))):
        dims, members = {end: first}, list[Node]()
        edges: dict[tuple[Node, Node], int | None] = {}
        if shape(end)[first] < 2:
            continue
        for node in reversed(before):
            if node is not end:
                uses = {edges.get((user, node), "") for user in node.users}  # "": of somebody who is no member
                if len(uses) != 1 or not isinstance(dim := uses.pop(), int):
                    continue
                dims[node] = dim
            found = flow(node, dims[node])
            if found is None:
                del dims[node]
                continue
            members.insert(0, node)
            edges |= {(node, given): dim for given, dim in found.items()}
            made = Region(tuple(members), {m: dims[m] for m in members}, dict(edges))
            sliced = any(dim is not None for dim in found.values())
            if sliced and all(isinstance(value(given), Tensor) for given in made.inputs):
                yield made
        edges.clear()


@dataclass
class Memory:
    """Bytes of a computation, item by item."""

    items: Sequence[Item]
    now: list[int] = field(init=False)  # while each item runs
    peak: int = field(init=False)

    def __post_init__(self) -> None:
        last: dict[int, int] = {}  # storage -> the last item that reads it
        for at, item in enumerate(self.items):
            for node in (item,) if isinstance(item, Node) else (*item.inputs, item.end):
                for given in (node, *tensors(node)) if isinstance(item, Node) else (node,):
                    last |= dict.fromkeys(storages(given), at)
        given_from_outside = {
            s for item in self.items for n in _nodes(item) if n.op != "call_function" for s in storages(n)
        }
        live: dict[int, int] = {}
        self.now = []
        for at, item in enumerate(self.items):
            end = item if isinstance(item, Node) else item.end
            live |= {s: size for s, size in storages(end).items() if s not in given_from_outside}
            self.now.append(sum(live.values()) + (0 if isinstance(item, Node) else inner(item) * item.chunk))
            live = {s: size for s, size in live.items() if last[s] > at}
        self.peak = max(self.now, default=0)


def inner(region: Region) -> int:
    """Return the bytes that a region holds at most beside its inputs and its output, for each element of a slice."""
    inside = set(region.members)
    outside = {s for given in region.inputs for s in storages(given)}
    last = {s: at for at, m in enumerate(region.members) for n in (m, *tensors(m)) if n in inside for s in storages(n)}
    sizes = {s: size // region.size for m in region.members for s, size in storages(m).items() if s not in outside}
    live: set[int] = set()
    most = 0
    for at, member in enumerate(region.members):
        live |= storages(member).keys() & sizes.keys()
        most = max(most, sum(sizes[s] for s in live))
        live = {s for s in live if last[s] > at}
    return most


def storages(node: Node) -> dict[int, int]:
    """Return the storages that a node's tensors are in, with their bytes."""
    if "storages" not in node.meta:  # asked for thousands of times
        found = value(node)
        parts = found if isinstance(found, tuple | list) else [found]
        held = [t.untyped_storage() for t in parts if isinstance(t, Tensor)]
        node.meta["storages"] = {s._cdata: s.nbytes() for s in held}
    known: dict[int, int] = node.meta["storages"]
    return known


def _nodes(item: Item) -> Sequence[Node]:
    return (item, *tensors(item)) if isinstance(item, Node) else (*item.members, *item.inputs)


def with_region(items: Sequence[Item], region: Region) -> list[Item] | None:
    """Return the items with a region in the place of its last member; None where it cuts another region in two."""
    inside = set(region.members)
    found: list[Item] = []
    for item in items:
        of = {item} if isinstance(item, Node) else set(item.members)
        if not of & inside:
            found.append(item)
        elif not of <= inside:
            return None
        elif region.end in of:
            found.append(region)
    return found


def plan(order: Sequence[Node], budget: int, chunk: int | None = None) -> list[Item]:
    """Return what runs, in order, with regions such that the estimated peak is at most `budget` bytes, if that can be.

    Where the peak is, the region is taken that brings it below the budget with the fewest operations in all its loops, and
    otherwise the one that brings it lowest. `chunk` is the size of all slices; None: the largest that fits.
    """
    items: list[Item] = [node for node in order if node.op not in ("placeholder", "get_attr", "output")]
    candidates = [region for node in items if isinstance(node, Node) for region in regions(order, node)]
    for _ in range(REGIONS):
        memory = Memory(items)
        if memory.peak <= budget:
            break
        worst = items[memory.now.index(memory.peak)]
        at_worst = {worst} if isinstance(worst, Node) else set(worst.members)
        tried = []
        for region in candidates:
            if at_worst <= set(region.members):
                sized = _sized(region, items, budget, chunk)
                changed = None if sized is None else with_region(items, sized)
                if sized is not None and changed is not None:
                    peak = Memory(changed).peak
                    tried.append((max(peak, budget), sized.loops * len(sized.members), peak, changed))
        if not tried:
            break
        best = min(tried, key=lambda t: t[:3])
        if best[2] >= memory.peak:
            break
        items = best[3]
    return items


def _sized(region: Region, items: Sequence[Item], budget: int, chunk: int | None) -> Region | None:
    """Return a region with slices as large as the budget lets them be; None where it would not be in slices."""
    at_least = Region(region.members, region.dims, region.edges, 1)
    if chunk is None:
        changed = with_region(items, at_least)
        if changed is None:
            return None
        each = inner(at_least)
        base = Memory(changed).now[changed.index(at_least)] - each
        chunk = max(1, (budget - base) // max(1, each))
        chunk = -(-region.size // -(-region.size // chunk))  # of about equal size
    return None if chunk >= region.size else Region(region.members, region.dims, region.edges, chunk)


def summary(region: Region) -> str:
    """Return a sentence that says what runs in slices."""
    first, last = name(region.members[0]), name(region.end)
    return (
        f"{len(region.members)} operations from {first} to {last} run in {region.loops} slices of {region.chunk} "
        f"along dimension {region.dims[region.end]} of {shape(region.end)}"
    )

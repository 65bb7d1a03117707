"""A walk through rooms with a small memory: the part `places` of `mnemos bench slot-readers`."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.place_memory import Allocator, PlaceMemory, Strategy

ROOMS, STEPS, KINDS, SIZE = 12, 120, 64, 16  # rooms, moments of a walk, things to see, entries of the memory
TASKS = ("last in a room", "lately", "at the beginning", "in the busiest room")


class Walk(NamedTuple):
    """Coordinates (T, 2), rooms and things (T)."""

    coordinates: Tensor
    rooms: Tensor
    things: Tensor


def walk(draw: torch.Generator) -> Walk:
    """Return a walk through rooms of which some are entered far more often than others."""
    often = 1 / torch.arange(1, ROOMS + 1).float()
    rooms = often[torch.randperm(ROOMS, generator=draw)].multinomial(STEPS, replacement=True, generator=draw)
    corner = torch.stack([rooms % 4, rooms // 4], 1)
    inside = 0.1 + 0.8 * torch.rand(STEPS, 2, generator=draw)
    return Walk(corner + inside, rooms, torch.randint(KINDS, (STEPS,), generator=draw))


def right(memory: PlaceMemory, task: str, seen: Walk) -> float:
    """Return the share of the questions of a task that a memory answers rightly."""
    if task == TASKS[0]:
        last = {int(room): time for time, room in enumerate(seen.rooms)}
        times = list(last.values())
        answers = memory.read(torch.stack([torch.tensor([r % 4 + 0.5, r // 4 + 0.5]) for r in last]))
    else:
        busiest = (seen.rooms == seen.rooms.mode().values).nonzero()[:, 0].tolist()
        times = {
            TASKS[1]: list(range(STEPS - SIZE, STEPS)),
            TASKS[2]: list(range(SIZE)),
            TASKS[3]: busiest[-SIZE:],
        }[task]
        answers = memory.at(times)
    return float((answers.argmax(1) == seen.things[times]).double().mean())


def reached(drop: str, task: str, seed: int, spatial: bool = True) -> float:
    """Return what a strategy reaches in one episode of a task."""
    seen, memory = walk(rng(seed)), PlaceMemory(2, KINDS, SIZE, drop, spatial)  # type: ignore[arg-type]
    memory.write(seen.coordinates, F.one_hot(seen.things, KINDS).float())
    return right(memory, task, seen)


def places(options: Any) -> dict[str, Row]:
    """Return answers that are right by what a full memory drops, and by a strategy that is learned for each task."""
    strategies, tests = get_args(Strategy), 25

    def run(drop: str, spatial: bool, seed: int) -> dict[str, float]:
        allocator = Allocator(strategies, seed=seed)
        if drop == "learned":
            for episode in range(160):
                task = TASKS[episode % len(TASKS)]
                chosen = allocator.choose(task)
                allocator.learn(task, chosen, reached(chosen, task, 10**6 + 1000 * seed + episode))
        found = {}
        for task in TASKS:
            how = allocator.choose(task, explore=False) if drop == "learned" else drop
            shares = [reached(how, task, 1000 * seed + episode, spatial) for episode in range(tests)]
            found[f"{task} %"] = sum(shares) / tests
        return found | {"mean %": sum(found.values()) / len(found)}

    rows = {f"{drop} first": (drop, True) for drop in strategies} | {"learned": ("learned", True)}
    rows["most visited first, read by time alone"] = ("most visited", False)
    return {name: seeded(options.seeds, partial(run, *row)) for name, row in rows.items()}

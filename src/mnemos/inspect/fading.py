"""A space seen from above: what happened when, what its law says, what would go, and what it takes up.

A *strength* is here what the space's law says that a memory is worth at a moment (`Law.retention`), the number by which it
is archived; `MemCube.strength` is only one of the things that the law makes it of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from mnemos.cube import MemCube, from_micros, to_micros
from mnemos.errors import InvalidInput
from mnemos.store.values import Ints
from mnemos.text.base import DAY, Floats, Histories
from mnemos.text.forget.policy import Policy, candidates_due
from mnemos.text.memory import TextMemory

POINTS = 120  # of a curve


def strengths(memory: TextMemory, cubes: Sequence[MemCube]) -> list[float]:
    """Return what the space's law says that these cubes are worth now. O(cubes)."""
    if not cubes:
        return []
    now = to_micros(memory.clock()) / DAY
    return [float(x) for x in _finite(memory.law.retention(Histories.of(cubes), now))]


def _finite(values: Floats) -> Floats:
    """Return numbers that JSON has: an archive may hold any strength."""
    found: Floats = np.nan_to_num(values)
    return found


@dataclass(frozen=True, slots=True)
class Curve:
    """How a memory fades if nothing touches it: (moment, strength) points from now on.

    `floor` is the strength below which the policy archives, None where it has no such limit. Of the recalls the file
    keeps the number and the last one.
    """

    law: str
    now: float
    floor: float | None
    points: list[tuple[datetime, float]]
    recalls: list[datetime]


def curve(memory: TextMemory, cube_id: str, *, days: float = 90) -> Curve:
    """Return what the space's law says that a cube is worth in the next `days`, at 120 moments. Raises NotFound. O(log N)."""
    if not 0 < days <= 36_500:
        raise InvalidInput(f"days is {days}, expected a number above 0 and at most 36,500.")
    cube, policy, start = memory.get(cube_id), memory.policy, to_micros(memory.clock())
    law, histories = policy.make_law(), Histories.of([cube])
    moments = np.linspace(start, start + days * DAY, POINTS).astype(np.int64).tolist()
    values = [float(_finite(law.retention(histories, at / DAY))[0]) for at in moments]
    points = [(from_micros(at), value) for at, value in zip(moments, values, strict=True)]
    recalls = [cube.recalled_at] if cube.recalled_at else []
    return Curve(policy.law, values[0], policy.min_retention, points, recalls)


@dataclass(frozen=True, slots=True)
class DueSoon:
    """What the policy lets go of now, and what is the weakest of the rest: (cube, strength), the weakest first.

    At most as many of each as were asked for; `archive_count` and `erase_count` say how many there are.
    """

    policy: Policy
    archive: list[tuple[MemCube, float]]
    erase: list[tuple[MemCube, float]]
    next: list[tuple[MemCube, float]]
    archive_count: int
    erase_count: int


def due_soon(memory: TextMemory, *, limit: int = 50) -> DueSoon:
    """Say what `Space.apply_policy` would let go of now, and which active cubes are the weakest that it would not.

    Pinned cubes, those of the long term and derived ones are never let go of, so they are not here. One scan of numbers
    into arrays, O(N), about 1.2 us a cube.
    """
    going, law, now = (
        candidates_due(memory.store, memory.policy, memory.clock(), look=True),
        memory.law,
        to_micros(memory.clock()) / DAY,
    )
    keep, rest = _finite(law.retention(going.active.histories, now)), going.active.free.copy()
    rest[going.archive] = False
    left = np.flatnonzero(rest)
    left = left[np.argpartition(keep[left], limit)[:limit]] if len(left) > limit else left
    left = left[np.lexsort((going.active.histories.created[left], keep[left]))]

    def first(keys: Ints) -> list[tuple[MemCube, float]]:
        found = memory.store.by_key(keys[:limit].tolist())
        cubes = [found[n] for n in keys[:limit].tolist() if n in found]
        return list(zip(cubes, strengths(memory, cubes), strict=True))

    return DueSoon(
        memory.policy, first(going.archive_keys), first(going.erase_keys), first(going.active.keys[left]),
        len(going.archive), len(going.erase),
    )  # fmt: skip


def check_law(policy: Policy) -> None:
    """Raise InvalidInput unless the policy's law works with its constants: another would break every recall."""
    try:
        law = policy.make_law()
        for layers in ([0], [0, 1, 2]):
            ones, n = np.ones(len(layers)), len(layers)
            life = Histories(ones, ones, ones.astype(np.int64), ones, ones.astype(np.int64), np.array(layers))
            with np.errstate(all="ignore"):
                values = [law.retention(life, 2.0), *law.reinforce(life, 2.0)]
            if not all(v.shape == (n,) and np.isfinite(v.astype(np.float64)).all() for v in values):
                raise ValueError("it does not give a number for each memory")
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise InvalidInput(f"the law {policy.law!r} cannot work with {policy.constants} ({error}).") from error

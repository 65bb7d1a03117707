"""How memories fade: retention now and later, and what the policy is about to archive and erase.

A *strength* is here the retention that the law of the space gives a memory at a moment (`Law.retention`), by which it is
archived; `MemCube.strength` is only one of its inputs.
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
from mnemos.text.forget.long_tail import chances
from mnemos.text.forget.policy import Policy, candidates_due
from mnemos.text.memory import TextMemory

POINTS = 120  # of a curve


def strengths(memory: TextMemory, cubes: Sequence[MemCube]) -> list[float]:
    """Return the retention of cubes now. O(cubes)."""
    if not cubes:
        return []
    now = to_micros(memory.now()) / DAY
    return [float(x) for x in _finite(memory.law.retention(Histories.of(cubes), now))]


def _finite(values: Floats) -> Floats:
    """Return finite numbers, as JSON needs them: an imported strength may be anything."""
    found: Floats = np.nan_to_num(values)
    return found


@dataclass(frozen=True, slots=True)
class Curve:
    """How a memory fades from now on if it is not recalled."""

    law: str
    now: float
    floor: float | None  # the policy archives below it; None: no such limit
    points: list[tuple[datetime, float]]  # (moment, strength)
    recalls: list[datetime]  # the last one only: a store does not remember the others


def curve(memory: TextMemory, cube_id: str, *, days: float = 90) -> Curve:
    """Return the retention of a cube at 120 moments of the next `days`. Raises NotFound. O(log N)."""
    if not 0 < days <= 36_500:
        raise InvalidInput(f"days is {days}, expected a number above 0 and at most 36,500.")
    memory.flush()
    cube, policy, start = memory.get(cube_id), memory.policy, to_micros(memory.now())
    law, histories = policy.make_law(), Histories.of([cube])
    moments = np.linspace(start, start + days * DAY, POINTS).astype(np.int64).tolist()
    values = [float(_finite(law.retention(histories, at / DAY))[0]) for at in moments]
    points = [(from_micros(at), value) for at, value in zip(moments, values, strict=True)]
    recalls = [cube.recalled_at] if cube.recalled_at else []
    return Curve(policy.law, values[0], policy.min_retention, points, recalls)


@dataclass(frozen=True, slots=True)
class DueSoon:
    """What the policy would archive and erase now, and the weakest of the rest, as (cube, strength), weakest first."""

    policy: Policy
    archive: list[tuple[MemCube, float]]
    erase: list[tuple[MemCube, float]]
    next: list[tuple[MemCube, float]]
    archive_count: int  # of all, not only of those listed
    erase_count: int
    recalls_given_up: float  # share of coming recalls that would ask for what is archived, by the counts (`long_tail`)


def due_soon(memory: TextMemory, *, limit: int = 50) -> DueSoon:
    """Return what `Space.apply_policy` would archive and erase now, and the weakest active cubes that it would keep.

    At most `limit` of each. Pinned, long-term and derived cubes are exempt. One scan of numbers, O(N), about 1.2 us a cube.
    """
    memory.flush()  # as `apply_policy` does
    due = candidates_due(memory.store, memory.policy, memory.now(), scan=True)
    retention = _finite(memory.law.retention(due.active.histories, to_micros(memory.now()) / DAY))
    kept = due.active.free.copy()
    kept[due.archive] = False
    asked = chances(due.active.histories.recalls)
    left = np.flatnonzero(kept)
    left = left[np.argpartition(retention[left], limit)[:limit]] if len(left) > limit else left
    left = left[np.lexsort((due.active.histories.created[left], retention[left]))]

    def first(keys: Ints) -> list[tuple[MemCube, float]]:
        found = memory.store.by_key(keys[:limit].tolist())
        cubes = [found[n] for n in keys[:limit].tolist() if n in found]
        return list(zip(cubes, strengths(memory, cubes), strict=True))

    return DueSoon(
        memory.policy, first(due.archive_keys), first(due.erase_keys), first(due.active.keys[left]),
        len(due.archive), len(due.erase), float(asked[due.archive].sum()),
    )  # fmt: skip


def check_law(policy: Policy) -> None:
    """Raise InvalidInput unless the law of a policy works with its constants: it would break every recall."""
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

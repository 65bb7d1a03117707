"""The policy of a space: by which law memories fade, when they are archived, and when they are erased."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemos.cube import to_micros
from mnemos.errors import InvalidInput
from mnemos.store.base import DERIVED
from mnemos.store.removal import select_in
from mnemos.text.forget.base import Law, Lives
from mnemos.text.forget.heat import Heat
from mnemos.text.forget.laws import load_law
from mnemos.text.forget.strengthen import DAY

if TYPE_CHECKING:
    from mnemos.space import Space

HOT = 5.0  # heat from which on a memory belongs to the long term (tau of MemoryOS, arXiv 2506.06326)
WARM = 3.0
ORIGINAL = f"kind NOT IN {DERIVED}"  # derived cubes follow their parents


@dataclass(frozen=True)
class Policy:
    """What a space lets go of. The default lets go of nothing.

    `law` (one of `mnemos methods`) says how much each memory deserves to stay. Archived (out of search, restorable) is
    what falls `below` that, and what is over the budget of what is searched: `cubes`, `bytes` of text, `days` since last
    used. Of what is archived, what is over `archived_cubes`, `archived_bytes` or `archived_days` is erased.
    Pinned cubes and what is in the long term stay searchable; derived cubes follow their parents.
    """

    law: str = "ebbinghaus"
    constants: dict[str, Any] = field(default_factory=dict)
    below: float | None = None
    cubes: int | None = None
    bytes: int | None = None
    days: float | None = None
    archived_cubes: int | None = None
    archived_bytes: int | None = None
    archived_days: float | None = None

    def __post_init__(self) -> None:
        load_law(self.law, **self.constants)
        for f in fields(self)[2:]:
            value = getattr(self, f.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
                raise InvalidInput(f"policy: {f.name} is {value!r}, expected a number of 0 or more, or None.")

    def make_law(self) -> Law:
        """Return the law."""
        return load_law(self.law, **self.constants)

    def to_json(self) -> str:
        """Return the policy as JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Policy:
        """Read what `to_json` wrote; keys that this version does not know are refused with InvalidInput."""
        try:
            return Policy(**json.loads(text))
        except TypeError as error:
            raise InvalidInput(f"this is not a policy of a space ({error}).") from error


@dataclass(frozen=True)
class Faded:
    """What a policy let go of: ids archived and ids erased."""

    archived: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.archived or self.erased)


@dataclass(frozen=True)
class Row:
    """A candidate."""

    id: str
    pinned: bool


def fade(space: Space, *, preview: bool = False) -> Faded:
    """Archive and erase what the space's policy lets go of; with `preview` only say what. One scan, O(N)."""
    policy, now = space.policy, to_micros(space.clock()) / DAY
    archived: list[str] = []
    if any(v is not None for v in (policy.below, policy.cubes, policy.bytes, policy.days)):
        rows, lives = _candidates(space, f"state = 'active' AND {ORIGINAL}")
        archived = _over(policy.make_law(), rows, lives, now, policy.cubes, policy.bytes, policy.days, policy.below)
        if archived and not preview:
            archive(space, archived)
    erased: list[str] = []
    if any(v is not None for v in (policy.archived_cubes, policy.archived_bytes, policy.archived_days)):
        rows, lives = _candidates(space, f"state = 'archived' AND {ORIGINAL}", set(archived) if preview else set())
        erased = _over(
            policy.make_law(),
            rows,
            lives,
            now,
            policy.archived_cubes,
            policy.archived_bytes,
            policy.archived_days,
            None,
        )
        if erased and not preview:
            erased = space.store.erase(erased)
            space.live.drop()
    return Faded(tuple(archived), tuple(erased))


def _over(
    law: Law,
    rows: Sequence[Row],
    lives: Lives,
    now: float,
    cubes: int | None,
    size: int | None,
    days: float | None,
    below: float | None,
) -> list[str]:
    """Return the ids that go: the oldest and weakest first, until the rest is within the budget."""
    if not rows:
        return []
    keep = law.keep(lives, now)
    gone = np.zeros(len(rows), dtype=bool)
    if below is not None:
        gone |= keep < below
    if days is not None:
        gone |= now - lives.recalled > days
    free = np.array([not r.pinned for r in rows]) & (lives.layer < 2)
    gone &= free
    order = np.lexsort((lives.born, keep))  # the least kept first, among equals the oldest
    left, bytes_left = int((~gone).sum()), int(lives.size[~gone].sum())
    for i in order:
        if (cubes is None or left <= cubes) and (size is None or bytes_left <= size):
            break
        if free[i] and not gone[i]:
            gone[i] = True
            left -= 1
            bytes_left -= int(lives.size[i])
    return [row.id for row, away in zip(rows, gone, strict=True) if away]


def _candidates(space: Space, where: str, more: set[str] | None = None) -> tuple[list[Row], Lives]:
    """Return the current cubes of which an SQL condition holds, and those of the ids `more`, with their lives."""
    with space.store.connection.read() as db:
        query = (
            "SELECT id, pinned, learned, coalesce(recalled_at, learned), recalls, strength, length(text), layer FROM cubes "
            "WHERE replaced IS NULL AND "
        )
        found = db.execute(query + where).fetchall() + select_in(db, f"{query} id IN ({{}})", sorted(more or ()))
    columns = list(zip(*found, strict=True)) or [()] * 8
    lives = Lives(
        born=np.array(columns[2], dtype=np.float64) / DAY, recalled=np.array(columns[3], dtype=np.float64) / DAY,
        recalls=np.array(columns[4], dtype=np.int64), strength=np.array(columns[5], dtype=np.float64),
        size=np.array(columns[6], dtype=np.int64), layer=np.array(columns[7], dtype=np.int64),
    )  # fmt: skip
    return [Row(r[0], bool(r[1])) for r in found], lives


def archive(space: Space, ids: Sequence[str], *, back: bool = False) -> list[str]:
    """Take active cubes out of search, or with `back` archived ones into it; return the ids that changed."""
    old, new = ("archived", "active") if back else ("active", "archived")
    changed: list[str] = []
    with space.store.connection.write() as db:
        seq = space.store.next_seq(db)
        for name in ids:
            query = "UPDATE cubes SET state = ?, seq = ? WHERE id = ? AND replaced IS NULL AND state = ?"
            if db.execute(query, (new, seq, name, old)).rowcount:
                changed.append(name)
        space.store.log(db, "restore" if back else "archive", changed)
    return changed


def promote(space: Space) -> int:
    """Move what is hot to the long term, and what is warm to the middle layer; return how many moved.

    Heat is that of MemoryOS; its constants are those of `Heat`. Nothing moves down.
    """
    with space.store.connection.write() as db:
        rows, lives = _candidates(space, "state = 'active' AND recalls > 1 AND layer < 2")
        heat = Heat().keep(lives, to_micros(space.clock()) / DAY)
        layer = np.where(heat > HOT, 2, np.where(heat > WARM, 1, 0))
        moved = [(int(layer[i]), rows[i].id) for i in range(len(rows)) if layer[i] > lives.layer[i]]
        db.executemany("UPDATE cubes SET layer = ? WHERE id = ? AND replaced IS NULL", moved)
    return len(moved)

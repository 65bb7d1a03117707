"""The policy of a space: by which law memories fade, when they are archived, and when they are erased."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mnemos import registry
from mnemos.arguments import check_text
from mnemos.cube import to_micros
from mnemos.errors import InvalidInput
from mnemos.store.base import Store
from mnemos.store.values import LifeRows
from mnemos.text.base import DAY, Histories, Ints, Law
from mnemos.text.consolidate.report import Forgotten
from mnemos.text.forget.laws import load_law

Bools = NDArray[np.bool_]
_RENAMED = {"below": "min_retention"}  # names in policies that version 0.1 stored
_RENAMED_LAWS = {"use": "hema", "heat": "memoryos-heat"}
_NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Policy:
    """What a space lets go of. The default lets go of nothing.

    `law` (one of `mnemos methods`) says how much each memory deserves to stay. Archived (out of search, restorable) is
    what falls `min_retention` that, and what is over the budget of what is searched: `cubes`, `bytes` of text, `days` since last
    used. Of what is archived, what is over `archived_cubes`, `archived_bytes` or `archived_days` is erased.
    Pinned cubes and what is in the long term stay searchable; derived cubes follow their parents.
    """

    law: str = "ebbinghaus"
    constants: dict[str, Any] = field(default_factory=dict)
    min_retention: float | None = None
    cubes: int | None = None
    bytes: int | None = None
    days: float | None = None
    archived_cubes: int | None = None
    archived_bytes: int | None = None
    archived_days: float | None = None

    def __post_init__(self) -> None:
        check_text(self.law, "policy: law")
        if not isinstance(self.constants, Mapping):
            raise InvalidInput(f"policy: constants is {self.constants!r:.60}, expected a dict of numbers by name.")
        load_law(self.law, **self.constants)
        for f in fields(self)[2:]:
            value = getattr(self, f.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
                raise InvalidInput(f"policy: {f.name} is {value!r}, expected a number of 0 or more, or None.")

    def make_law(self) -> Law:
        """Return the law."""
        return load_law(self.law, **self.constants)

    @staticmethod
    def of(law: Law) -> Policy:
        """Return the policy that forgets nothing and strengthens by a law. Raises InvalidInput for one not registered."""
        name = registry.name_of(type(law))
        if name is None:
            raise InvalidInput(f"the law {type(law).__qualname__} is not registered: put @register above the class.")
        usual = load_law(name)
        names = [f.name for f in fields(cast(Any, law)) if getattr(law, f.name) != getattr(usual, f.name)]
        return Policy(name, {n: getattr(law, n) for n in names})

    def to_json(self) -> str:
        """Return the policy as JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Policy:
        """Read what `to_json` wrote, also under the names of version 0.1. Raises InvalidInput for an unknown key."""
        stored = json.loads(text)
        try:
            values = {_RENAMED.get(key, key): value for key, value in stored.items()}
            law = values.get("law", Policy.law)
            values["law"] = _RENAMED_LAWS.get(law, law)
            return Policy(**values)
        except (AttributeError, TypeError) as error:
            raise InvalidInput(f"this is not a policy of a space ({error}).") from error


def policy_json(policy: Policy) -> str:
    """Return a policy as JSON. Raises InvalidInput for anything else."""
    if not isinstance(policy, Policy):
        raise InvalidInput(f"policy is {policy!r:.60}, expected a Policy, such as mnemos.Policy(cubes=10_000).")
    return policy.to_json()


@dataclass(frozen=True)
class Candidates:
    """Current cubes, (N,): keys, whether each may be let go (not pinned, not in the long term), is archived, and history."""

    keys: Ints
    free: Bools
    archived: Bools
    histories: Histories

    def at(self, places: Ints) -> Candidates:
        """Return those at some places."""
        return Candidates(self.keys[places], self.free[places], self.archived[places], self.histories.at(places))


@dataclass(frozen=True)
class Due:
    """What a policy lets go of now: of the active cubes and of the archived ones, the places of those that go, weakest first."""

    active: Candidates
    archive: Ints
    archived: Candidates
    erase: Ints

    @property
    def archive_keys(self) -> Ints:
        """The keys of the versions that are archived."""
        return self.active.keys[self.archive]

    @property
    def erase_keys(self) -> Ints:
        """The keys of the versions that are erased."""
        return self.archived.keys[self.erase]


_NOBODY = Candidates(
    _NONE, _NONE.astype(bool), _NONE.astype(bool),
    Histories(_NONE.astype(float), _NONE.astype(float), _NONE, _NONE.astype(float), _NONE, _NONE),
)  # fmt: skip


def apply_policy(store: Store, policy: Policy, now: datetime, *, preview: bool = False) -> Forgotten:
    """Archive and erase what the space's policy lets go of; with `preview` only say what. At most one scan, O(N)."""
    going = candidates_due(store, policy, now)
    archived, erased = (store.ids_of(keys.tolist()) for keys in (going.archive_keys, going.erase_keys))
    if archived and not preview:
        archive(store, archived)
    if erased and not preview:
        erased = store.erase(erased)
    return Forgotten(tuple(archived), tuple(erased))


def candidates_due(store: Store, policy: Policy, moment: datetime, *, look: bool = False) -> Due:
    """Say what the space's policy lets go of now; with `look` the active cubes are read even if it lets go of none. O(N)."""
    now = to_micros(moment) / DAY
    budget = (policy.cubes, policy.bytes, policy.days, policy.min_retention)
    second = (policy.archived_cubes, policy.archived_bytes, policy.archived_days, None)
    states = [
        *(["active"] if look or any(limit is not None for limit in budget) else []),
        *(["archived"] if any(limit is not None for limit in second) else []),
    ]
    if not states:
        return Due(_NOBODY, _NONE, _NOBODY, _NONE)
    found = candidates(store.lives.candidates(states))
    law, old = policy.make_law(), found.archived
    active = found.at(np.flatnonzero(~old))
    archive = _over(law, active, now, *budget)
    archived = found.at(np.append(np.flatnonzero(old), np.flatnonzero(~old)[archive]))
    return Due(active, archive, archived, _over(law, archived, now, *second))


def _over(
    law: Law,
    found: Candidates,
    now: float,
    cubes: int | None,
    size: int | None,
    days: float | None,
    min_retention: float | None,
) -> Ints:
    """Return the places of those that go, the weakest first: the oldest and weakest go until the rest is within the budget."""
    if all(limit is None for limit in (cubes, size, days, min_retention)):
        return _NONE
    histories, free = found.histories, found.free
    keep = law.retention(histories, now)
    gone = np.zeros(len(histories), dtype=bool)
    if min_retention is not None:
        gone |= keep < min_retention
    if days is not None:
        gone |= now - histories.recalled > days
    gone &= free
    order = np.lexsort((histories.created, keep))  # the least kept first, among equals the oldest
    queue = order[free[order] & ~gone[order]]
    # what is left when none of the queue goes, one, two, ...
    number = int((~gone).sum()) - np.arange(len(queue) + 1)
    total = int(histories.size[~gone].sum()) - np.append(0, np.cumsum(histories.size[queue]))
    over = (number > (np.inf if cubes is None else cubes)) | (total > (np.inf if size is None else size))
    gone[queue[: int(over.sum())]] = True  # the numbers only fall
    return order[gone[order]]


def candidates(rows: LifeRows) -> Candidates:
    """Return the lives of current cubes as candidates."""
    histories = Histories(rows.learned / DAY, rows.recalled / DAY, rows.recalls, rows.strength, rows.size, rows.tier)
    return Candidates(rows.keys, ~rows.pinned & (rows.tier < 2), rows.archived, histories)


def archive(store: Store, ids: Sequence[str], *, back: bool = False) -> list[str]:
    """Take active cubes out of search, or with `back` archived ones into it; return the ids that changed."""
    old, new = ("archived", "active") if back else ("active", "archived")
    return store.lives.set_state(ids, old, new)

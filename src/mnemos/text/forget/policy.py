"""The policy of a space: the law of forgetting, and when memories are archived and erased."""

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
    """What a space forgets; the default forgets nothing. None means no limit.

    Cubes over a limit are archived (out of search, restorable), those with the lowest retention first; archived cubes
    over a limit of the archive are erased. Pinned cubes and those of the long term are kept; derived cubes follow their
    parents.
    """

    law: str = "ebbinghaus"  # the law of forgetting, which gives each cube a retention: `mnemos methods` lists them
    constants: dict[str, Any] = field(default_factory=dict)  # of the law, where they are not its defaults
    min_retention: float | None = None  # of a cube that is searched
    cubes: int | None = None  # searched, at most
    bytes: int | None = None  # of text searched, at most
    days: float | None = None  # since a searched cube was last recalled or learned, at most
    archived_cubes: int | None = None  # at most
    archived_bytes: int | None = None  # of archived text, at most
    archived_days: float | None = None  # since an archived cube was last recalled or learned, at most

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
        """Return the law with its constants."""
        return load_law(self.law, **self.constants)

    @staticmethod
    def of(law: Law) -> Policy:
        """Return the policy of a law that forgets nothing. Raises InvalidInput for a law that is not registered."""
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
    """Current cubes that a policy may forget, (N,)."""

    keys: Ints
    free: Bools  # neither pinned nor in the long term
    archived: Bools
    histories: Histories

    def at(self, places: Ints) -> Candidates:
        """Return the candidates at some places, as copies."""
        return Candidates(self.keys[places], self.free[places], self.archived[places], self.histories.at(places))


@dataclass(frozen=True)
class Due:
    """The cubes that a policy forgets now, the lowest retention first."""

    active: Candidates
    archive: Ints  # places in `active` of those to archive
    archived: Candidates  # including those to archive
    erase: Ints  # places in `archived` of those to erase

    @property
    def archive_keys(self) -> Ints:
        """The keys of the versions to archive."""
        return self.active.keys[self.archive]

    @property
    def erase_keys(self) -> Ints:
        """The keys of the versions to erase."""
        return self.archived.keys[self.erase]


_NOTHING = Candidates(_NONE, _NONE.astype(bool), _NONE.astype(bool), Histories.of([]))


def apply_policy(store: Store, policy: Policy, now: datetime, *, preview: bool = False) -> Forgotten:
    """Archive and erase the cubes that are due, or with `preview` only return their ids. At most one scan, O(N)."""
    due = candidates_due(store, policy, now)
    archived, erased = (store.ids_of(keys.tolist()) for keys in (due.archive_keys, due.erase_keys))
    if archived and not preview:
        archive(store, archived)
    if erased and not preview:
        erased = store.erase(erased)
    return Forgotten(tuple(archived), tuple(erased))


def candidates_due(store: Store, policy: Policy, moment: datetime, *, scan: bool = False) -> Due:
    """Return the cubes to archive or erase now; `scan` reads active cubes even when no limit is set. O(N)."""
    now = to_micros(moment) / DAY
    budget = (policy.cubes, policy.bytes, policy.days, policy.min_retention)
    second = (policy.archived_cubes, policy.archived_bytes, policy.archived_days, None)
    states = [
        *(["active"] if scan or any(limit is not None for limit in budget) else []),
        *(["archived"] if any(limit is not None for limit in second) else []),
    ]
    if not states:
        return Due(_NOTHING, _NONE, _NOTHING, _NONE)
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
    """Return the places of the candidates over a limit, the lowest retention first, among equals the oldest."""
    if all(limit is None for limit in (cubes, size, days, min_retention)):
        return _NONE
    histories, free = found.histories, found.free
    retention = law.retention(histories, now)
    due = np.zeros(len(histories), dtype=bool)
    if min_retention is not None:
        due |= retention < min_retention
    if days is not None:
        due |= now - histories.recalled > days
    due &= free
    order = np.lexsort((histories.created, retention))
    queue = order[free[order] & ~due[order]]
    # cubes and bytes that remain when the first 0, 1, 2, ... of the queue are forgotten
    number = int((~due).sum()) - np.arange(len(queue) + 1)
    total = int(histories.size[~due].sum()) - np.append(0, np.cumsum(histories.size[queue]))
    over = (number > (np.inf if cubes is None else cubes)) | (total > (np.inf if size is None else size))
    due[queue[: int(over.sum())]] = True  # `over` is True up to a place and False from there: the numbers only fall
    return order[due[order]]


def candidates(rows: LifeRows) -> Candidates:
    """Return rows of the store as candidates."""
    histories = Histories(rows.learned / DAY, rows.recalled / DAY, rows.recalls, rows.strength, rows.size, rows.tier)
    return Candidates(rows.keys, ~rows.pinned & (rows.tier < 2), rows.archived, histories)


def archive(store: Store, ids: Sequence[str], *, back: bool = False) -> list[str]:
    """Take active cubes out of search, or with `back` archived ones into it; return the ids that changed."""
    old, new = ("archived", "active") if back else ("active", "archived")
    return store.lives.set_state(ids, old, new)
